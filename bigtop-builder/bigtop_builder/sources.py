# SPDX-License-Identifier: Apache-2.0
"""Sources of components: chosen, fetched, checked against their pins, repacked as Bigtop wants them.

    <cache>/sources/<sha512>/download               what was fetched, once it is what the pin says
    <cache>/sources/<sha512>-<commit>/download      the same of a commit: its pin alone does not say which
    <cache>/sources/repacked/<id>/<destination>     what goes into Bigtop's dl/, with its .sha256

Both are hashed again before they are used; what does not hold is made again.
"""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from bigtop_builder import archive
from bigtop_builder.acquire import Desk, acquire, location, settle, sync
from bigtop_builder.contents import VERSION
from bigtop_builder.download import Progress, quiet, wrong_checksum
from bigtop_builder.errors import SourceError
from bigtop_builder.hashes import hash_of
from bigtop_builder.proof import prove_signed
from bigtop_builder.recipe import Component, Source
from bigtop_builder.schema import digest
from bigtop_builder.settings import Settings
from bigtop_builder.workspace import Workspace

log = logging.getLogger(__name__)


def select(component: Component, settings: Settings) -> Source | None:
    """The source that a component is built from.

    The first pinned candidate of a kind that this site uses; else the first of such a kind, which has to be
    pinned before it is built; None if there is none.
    """
    usable = _usable(component, settings)
    return next((source for source in usable if source.sha512), usable[0] if usable else None)


def form_of(tarball_source: str | None) -> Literal["tar.gz", "zip"]:
    """The form that Bigtop's Gradle expects in dl/: it unzips what `tarball.source` calls a zip.

    The file's name there is `tarball.destination` all the same (packages.gradle, task `<component>-tar`).
    """
    return "zip" if (tarball_source or "").endswith(".zip") else "tar.gz"


def fetch(
    source: Source,
    *,
    component: Component,
    destination: str,
    top: str,
    form: Literal["tar.gz", "zip"] = "tar.gz",
    workspace: Workspace,
    settings: Settings,
    recipe_dir: Path,
    progress: Progress = quiet,
) -> Path:
    """Return the archive that goes into Bigtop's dl/, verified and repacked.

    Args:
        source: What `select` chose.
        component: Its other candidates with the same pin stand in when this one cannot be had.
        destination: File name.
        top: Single top folder in it.
        form: What it is, whatever its name says; see `form_of`.
        workspace: Holds the cache.
        settings: Mirrors and proxy.
        recipe_dir: Where relative paths in the recipe start.
        progress: Told how far a download is.

    Raises:
        SourceError: The source is unpinned, cannot be had, is not what its pin or signature says, or its
            archive holds what it should not.
        EnvironmentMissing: The disk is full, or a program is missing.
    """
    if not source.sha512:
        raise SourceError(
            f"{component.name}: source {source.where} is unpinned, so it cannot be verified",
            hint=f"bigtop-builder source fetch RELEASE -c {component.name} --pin",
        )
    if destination != Path(destination).name or "/" in top or not destination or not top:
        raise SourceError(f"{component.name}: {destination!r} and {top!r} are no plain names")
    desk = Desk(workspace=workspace, settings=settings, recipe_dir=recipe_dir, progress=progress)
    key = digest(source.kept_as, destination, top, form, VERSION)
    packed = workspace.sources / "repacked" / key / destination
    with desk.lock(source.sha512):
        if not _holds(packed):
            fetched = _verified(source, component, desk)
            _repack(fetched, packed, top=top, form=form, name=source.where)
    return packed


def sha256_of_packed(packed: Path) -> str:
    """Sha256 of what `fetch` returned, which has it on record and has compared it just then."""
    return _record(packed).read_text().strip()


def _record(packed: Path) -> Path:
    return packed.with_name(f"{packed.name}.sha256")


def _usable(component: Component, settings: Settings) -> list[Source]:
    return [source for source in component.sources if source.kind in settings.sources.kinds]


def _holds(packed: Path) -> bool:
    """Whether a repacked archive is whole; it is removed if not."""
    if (
        packed.is_file()
        and _record(packed).is_file()
        and sha256_of_packed(packed) == hash_of(packed, "sha256")
    ):
        return True
    shutil.rmtree(packed.parent, ignore_errors=True)
    return False


def _repack(fetched: Path, packed: Path, *, top: str, form: Literal["tar.gz", "zip"], name: str) -> None:
    torn = packed.parent.with_suffix(".part")
    shutil.rmtree(torn, ignore_errors=True)
    torn.mkdir(parents=True)
    try:
        new = torn / packed.name
        archive.repack(fetched, new, top=top, form=form, name=name)
        sync(new)
        _record(new).write_text(f"{hash_of(new, 'sha256')}\n")
        torn.rename(packed.parent)
    finally:
        shutil.rmtree(torn, ignore_errors=True)


def _verified(source: Source, component: Component, desk: Desk) -> Path:
    """The download of a pinned source, from the cache or the first candidate that has it."""
    final = desk.kept(source)
    if final.is_file() and hash_of(final, "sha512") == source.sha512:
        return final
    final.unlink(missing_ok=True)
    usable = _usable(component, desk.settings)
    same = [other for other in usable if other != source and other.sha512 == source.sha512]
    failures: list[SourceError] = []
    for candidate in (source, *same):
        try:
            return _attempt(candidate, final, desk)
        except SourceError as error:
            log.warning("%s: %s", component.name, error.brief)
            failures.append(error)
    others = [other.where for other in usable if other not in (source, *same)]
    raise _given_up(component.name, failures, others)


def _attempt(source: Source, final: Path, desk: Desk) -> Path:
    part = final.with_name("download.part")
    got = acquire(source, part, desk)
    try:
        if got != source.sha512:
            raise wrong_checksum(source.where, expected=source.sha512, got=got)
        if source.signed_by:
            place = location(source, desk.settings)
            prove_signed(part, source, place=place, settings=desk.settings, base=desk.recipe_dir)
    except SourceError:
        part.unlink(missing_ok=True)
        raise
    return settle(part, final)


def _given_up(name: str, failures: Sequence[SourceError], others: Sequence[str]) -> SourceError:
    first, *rest = failures
    details = [first.details, *(str(failure) for failure in rest)]
    more = f"; next candidates, to be pinned first: {', '.join(others)}" if others else ""
    return SourceError(
        f"{name}: {first.brief}",
        details="\n".join(text for text in details if text),
        hint=f"{first.hint or 'see that this machine reaches it, or name a mirror in the settings'}{more}",
    )
