# SPDX-License-Identifier: Apache-2.0
"""Sources of components: chosen, fetched, checked against their pins, repacked as Bigtop wants them.

A pin is the sha512 of what is downloaded. A git commit and a folder are not downloaded as one file; theirs is
that of a plain tar of our own making (`archive`, form `tar`, top folder `source`), which depends on names,
contents and executable bits alone: not on git's version, its attributes or a compressor. So every source is
first one file with one hash, then repacked. docs/decisions/0004-sources.md tells why.

    <cache>/sources/<sha512>/download               what was fetched, once it is what the pin says
    <cache>/sources/repacked/<id>/<destination>     what goes into Bigtop's dl/, with its .sha256

Both are hashed again before they are used; what does not hold is made again.
"""

import errno
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal

import tomlkit
from filelock import FileLock

from bigtop_builder import archive
from bigtop_builder.archive import Contents, hash_of
from bigtop_builder.atomic import write_whole
from bigtop_builder.download import Progress, download, quiet, wrong_checksum
from bigtop_builder.errors import EnvironmentMissing, InputError, SourceError, TreeError
from bigtop_builder.mirror import Mirror
from bigtop_builder.proof import prove, prove_signed
from bigtop_builder.recipe import Component, Source
from bigtop_builder.schema import digest
from bigtop_builder.settings import Settings
from bigtop_builder.workspace import Workspace

log = logging.getLogger(__name__)

TOP: Final = "source"
"""Top folder of the tar that a commit or folder is pinned as: a recipe's pin outlives a change of names."""
GITLINK: Final = "160000"
SYMLINK: Final = "120000"
EXECUTABLE: Final = "100755"


@dataclass(frozen=True, kw_only=True)
class Pin:
    """What `source fetch --pin` writes.

    Attributes:
        sha512: Of the download, or of the tar that stands for a commit or folder.
        checked: What the bytes were verified with, in words.
    """

    sha512: str
    checked: str


@dataclass(frozen=True, kw_only=True)
class _Desk:
    """What all steps of fetching one source share."""

    workspace: Workspace
    settings: Settings
    recipe_dir: Path
    progress: Progress

    def home(self, sha512: str) -> Path:
        """Folder of a download."""
        return self.workspace.sources / sha512

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Keep two runs apart, and say it plainly when the disk is full."""
        self.workspace.locks.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.workspace.locks / f"source-{name[:32]}.lock"):
                yield
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise EnvironmentMissing(
                f"no space left on the disk that holds {self.workspace.root}",
                hint="make room there, or set cache_dir in the settings to another disk",
            ) from error


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


def location(source: Source, settings: Settings) -> str:
    """The URL or path of a source at this site; it may hold a password."""
    match source.kind:
        case "apache":
            return f"{settings.mirrors.apache.rstrip('/')}/{source.path}"
        case "archive":
            return f"{settings.mirrors.archive.rstrip('/')}/{source.path}"
        case "maven":
            return f"{settings.mirrors.maven.rstrip('/')}/{_maven_path(source.coordinates)}"
        case "git":
            return settings.mirrors.git.get(source.repository, source.repository)
        case "file":
            return source.file
        case "url":
            return source.url


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
    desk = _Desk(workspace=workspace, settings=settings, recipe_dir=recipe_dir, progress=progress)
    key = digest(source.sha512, destination, top, form, archive.VERSION)
    packed = workspace.sources / "repacked" / key / destination
    with desk.lock(source.sha512):
        if not _holds(packed):
            fetched = _verified(source, component, desk)
            _repack(fetched, packed, top=top, form=form, name=source.where)
    return packed


def pin(
    source: Source,
    *,
    workspace: Workspace,
    settings: Settings,
    recipe_dir: Path,
    trust_first_use: bool = False,
    progress: Progress = quiet,
) -> Pin:
    """Fetch a source, verify it by what its publisher offers, and return the pin for a human to review.

    In this order: a signature by one of `signed_by`, if any are given; a checksum file beside it. A git
    commit is its own checksum, and a local file is reviewed with the recipe. The download stays in the cache.

    Args:
        source: The candidate. If it has a pin already, the bytes must match it.
        workspace: Holds the cache.
        settings: Mirrors and proxy.
        recipe_dir: Where relative paths in the recipe start.
        trust_first_use: Pin it even if there is nothing to verify it with.
        progress: Told how far a download is.

    Raises:
        SourceError: It cannot be had, does not verify, or there is nothing to verify it with.
    """
    desk = _Desk(workspace=workspace, settings=settings, recipe_dir=recipe_dir, progress=progress)
    name = digest(source.where)
    part = workspace.sources / "pending" / name / "download.part"
    with desk.lock(name):
        got = _acquire(source, part, desk)
        try:
            if source.sha512 not in ("", got):
                raise wrong_checksum(source.where, expected=source.sha512, got=got)
            place = location(source, settings)
            checked = prove(part, source, place=place, settings=settings, base=recipe_dir)
            checked = checked or _first_use(source, trust=trust_first_use)
        except SourceError:
            part.unlink()
            raise
        _settle(part, desk.home(got) / "download")
    return Pin(sha512=got, checked=checked)


def write_pin(recipe: Path, component: str, index: int, pin: Pin) -> None:
    """Write a pin into a recipe, keeping its comments and layout.

    Args:
        recipe: The recipe's file.
        component: Name of the component.
        index: Which of its sources, counted from 0.
        pin: What is written.

    Raises:
        InputError: The recipe has no such component or source.
    """
    document = tomlkit.parse(recipe.read_text(encoding="utf-8"))
    try:
        found = next(item for item in document["components"] if item["name"] == component)
        source = found["sources"][index]
    except (KeyError, IndexError, StopIteration) as error:
        raise InputError(f"{recipe}: component {component!r} has no source number {index + 1}") from error
    source["sha512"], source["checked"] = pin.sha512, pin.checked
    write_whole(recipe, tomlkit.dumps(document))


def _usable(component: Component, settings: Settings) -> list[Source]:
    return [source for source in component.sources if source.kind in settings.sources.kinds]


def _maven_path(coordinates: str) -> str:
    """Path of an artifact in a repository with Maven's default layout."""
    group, artifact, version, classifier, extension = coordinates.split(":")
    file = "-".join(part for part in (artifact, version, classifier) if part)
    return f"{group.replace('.', '/')}/{artifact}/{version}/{file}.{extension}"


def _holds(packed: Path) -> bool:
    """Whether a repacked archive is whole; it is removed if not."""
    recorded = packed.with_name(f"{packed.name}.sha256")
    if packed.is_file() and recorded.is_file() and recorded.read_text().strip() == hash_of(packed, "sha256"):
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
        _sync(new)
        new.with_name(f"{new.name}.sha256").write_text(f"{hash_of(new, 'sha256')}\n")
        torn.rename(packed.parent)
    finally:
        shutil.rmtree(torn, ignore_errors=True)


def _verified(source: Source, component: Component, desk: _Desk) -> Path:
    """The download of a pinned source, from the cache or the first candidate that has it."""
    final = desk.home(source.sha512) / "download"
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


def _attempt(source: Source, final: Path, desk: _Desk) -> Path:
    part = final.with_name("download.part")
    got = _acquire(source, part, desk)
    try:
        if got != source.sha512:
            raise wrong_checksum(source.where, expected=source.sha512, got=got)
        if source.signed_by:
            place = location(source, desk.settings)
            prove_signed(part, source, place=place, settings=desk.settings, base=desk.recipe_dir)
    except SourceError:
        part.unlink(missing_ok=True)
        raise
    return _settle(part, final)


def _given_up(name: str, failures: Sequence[SourceError], others: Sequence[str]) -> SourceError:
    first, *rest = failures
    details = [first.details, *(str(failure) for failure in rest)]
    more = f"; next candidates, to be pinned first: {', '.join(others)}" if others else ""
    return SourceError(
        f"{name}: {first.brief}",
        details="\n".join(text for text in details if text),
        hint=f"{first.hint or 'see that this machine reaches it, or name a mirror in the settings'}{more}",
    )


def _first_use(source: Source, *, trust: bool) -> str:
    if trust:
        return "first use"
    raise SourceError(
        f"there is nothing to verify {source.where} with: no checksum file beside it, no signed_by",
        hint="give signed_by and keys in the recipe, or pin it as it is with --trust-first-use",
    )


def _settle(part: Path, final: Path) -> Path:
    """Give a verified download its name, once its bytes are on the disk."""
    _sync(part)
    final.parent.mkdir(parents=True, exist_ok=True)
    return part.replace(final)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _acquire(source: Source, part: Path, desk: _Desk) -> str:
    """Write what the pin is of to `part`, and return its sha512. Verifies nothing but downloads."""
    part.parent.mkdir(parents=True, exist_ok=True)
    if source.kind == "git":
        return _pack(source, part, lambda contents: _read_commit(contents, source, desk))
    if source.kind != "file":
        url = location(source, desk.settings)
        return download(url, part, settings=desk.settings, sha512=source.sha512, progress=desk.progress)
    path = desk.recipe_dir / source.file
    if path.is_dir():
        return _pack(source, part, lambda contents: archive.read_folder(contents, path))
    if not path.is_file():
        raise SourceError(
            f"source {source.where} is neither a file nor a folder",
            details=f"looked for {path}",
            hint="a file is named relative to the recipe's folder",
        )
    shutil.copyfile(path, part)
    return hash_of(part, "sha512")


def _pack(source: Source, part: Path, fill: Callable[[Contents], None]) -> str:
    with Contents(source.where, part.parent) as contents:
        fill(contents)
        contents.write(part, top=TOP, form="tar")
    return hash_of(part, "sha512")


def _read_commit(contents: Contents, source: Source, desk: _Desk) -> None:
    """Add the files of a commit as they are stored.

    Blobs are read one by one and not with `git archive`, which heeds the tree's .gitattributes: what it leaves
    out (export-ignore), fills in (export-subst) or converts (eol) depends on git's version and on the clone.
    """
    try:
        mirror = Mirror.ensure(
            source.repository,
            source.commit,
            ref=source.ref,
            workspace=desk.workspace,
            settings=desk.settings,
            base=desk.recipe_dir,
        )
        mirror.complete(source.commit)
    except TreeError as error:
        raise SourceError(error.brief, details=error.details, hint=error.hint) from error
    listed = mirror.git("ls-tree", "-r", "-z", "--full-tree", source.commit, error=SourceError).stdout
    files = [line.split("\t", 1) for line in os.fsdecode(listed).split("\0") if line]
    for entry, name in files:
        if entry.startswith(GITLINK):
            raise SourceError(
                f"{source.where} has a submodule, {name}: its files are in no tree of this repository",
                hint="give an archive that holds them as `file` or `url`",
            )
    ids = "".join(f"{entry.split()[2]}\n" for entry, _ in files).encode()
    with tempfile.TemporaryFile(dir=desk.workspace.sources) as blobs:
        mirror.git("cat-file", "--batch", "--buffer", stdin=ids, stdout=blobs, error=SourceError)
        blobs.seek(0)
        for entry, name in files:
            _add_blob(contents, name, entry.split()[0], blobs)


def _add_blob(contents: Contents, name: str, mode: str, blobs: IO[bytes]) -> None:
    """Add the next blob of `git cat-file --batch`: `<id> blob <size>`, the bytes, a newline."""
    header = blobs.readline().split()
    if len(header) != 3 or header[1] != b"blob":  # noqa: PLR2004  # see above
        raise SourceError(f"{contents.name}: git cannot read {name}", details=b" ".join(header).decode())
    size = int(header[2])
    if mode == SYMLINK:
        contents.link(name, os.fsdecode(blobs.read(size)))
    else:
        contents.file(name, blobs, size=size, executable=mode == EXECUTABLE)
    blobs.read(1)
