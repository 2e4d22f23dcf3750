# SPDX-License-Identifier: Apache-2.0
"""Contents of a snapshot, for apt-file, from the packages that come and go.

What a change costs follows from the files of these packages, and of other versions of them: their .debs are read from
the pool.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from bigtop_builder.artifact import AGAIN, frame
from bigtop_builder.cores import on_all_cores
from bigtop_builder.errors import CheckFailed
from bigtop_builder.expand import BrokenStreamError, Window, allowance, expand
from bigtop_builder.repository import layout
from bigtop_builder.repository.index.contents import FORMS, amended
from bigtop_builder.repository.index.packages import Stanza
from bigtop_builder.repository.layout import Index, Snapshot
from bigtop_builder.repository.snapshot import Draft, changed
from bigtop_builder.repository.store import Held
from bigtop_builder.tarball import Tarball

SECTION = re.compile(r"^Section: (\S+)$", re.MULTILINE)


def with_contents(draft: Draft, before: Snapshot, after: Snapshot) -> Snapshot:
    """A snapshot with Contents for each of its indices of packages.

    Args:
        draft: Writes them; all packages are in the pool.
        before: The snapshot before, with or without Contents.
        after: The snapshot, without them.
    """
    files = _Files(draft)
    contents: dict[str, dict[str, Index]] = {}
    for component, indices in after.components.items():
        contents[component] = {
            architecture: _index(
                draft,
                files,
                layout.contents_name(architecture),
                (before.components.get(component, {}).get(architecture), index),
                before.contents.get(component, {}).get(architecture),
            )
            for architecture, index in indices.items()
        }
    return after.model_copy(update={"contents": contents})


def _index(
    draft: Draft, files: "_Files", name: str, packages: tuple[Index | None, Index], old: Index | None
) -> Index:
    """Contents of an index of packages, from those before."""
    gone, come = changed(packages[0] if old else None, packages[1], draft)
    if old and not gone and not come:
        return old
    names = {one.name for one in gone}
    stay = [one for one in draft.find(packages[1], names) if one.name in names] if names else []
    files.read([*gone, *stay, *come])
    left = _places(files, gone)
    still = _places(files, stay)
    left = {path: there - still.get(path, frozenset()) for path, there in left.items()}
    grown = amended(old.blocks if old else (), _places(files, come), left, draft.text)
    return draft.written(grown, name, FORMS)


def files_of(deb: Path) -> tuple[str, ...]:
    """Paths of all that a .deb installs but folders, as Contents writes them.

    Raises:
        CheckFailed: It is no whole .deb.
    """
    try:
        with deb.open("rb") as file:
            data = frame(file)[1]
            file.seek(data.at)
            pieces = expand(Window(file, data.size), data.suffix, limit=allowance(data.size))
            return tuple(_written(entry.name) for entry in Tarball(pieces) if entry.kind != "folder")
    except BrokenStreamError as error:
        raise CheckFailed(f"{deb} is no whole .deb: {error}", hint=AGAIN) from error


class _Files:
    """File lists of packages, each read once."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._known: dict[str, tuple[str, ...]] = {}

    def read(self, packages: Iterable[Stanza]) -> None:
        """Read those that are not known yet, on all cores."""
        wanted = {
            one.filename: Held(size=one.size, sha256=one.sha256)
            for one in packages
            if one.filename not in self._known
        }
        copies = self._draft.state.store.local(wanted, self._draft.scratch)
        self._known |= dict(zip(wanted, on_all_cores(files_of, copies), strict=True))

    def of(self, package: Stanza) -> tuple[str, ...]:
        """Those of one that was read."""
        return self._known[package.filename]


def _places(files: _Files, packages: Iterable[Stanza]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for package in packages:
        section = SECTION.search(package.text)
        place = f"{section[1]}/{package.name}" if section else package.name
        for path in files.of(package):
            found.setdefault(path, set()).add(place)
    return {path: frozenset(places) for path, places in found.items()}


def _written(name: str) -> str:
    """A path without its leading `./`; bytes that are no printable text stand there escaped."""
    path = (
        name.removeprefix("./").lstrip("/").encode(errors="surrogateescape").decode(errors="backslashreplace")
    )
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in path)
