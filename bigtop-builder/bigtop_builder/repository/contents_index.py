# SPDX-License-Identifier: Apache-2.0
"""Contents-<architecture>: which file is in which package (Debian wiki, RepositoryFormat), for apt-file.

A line a path, in order of paths, cut into blocks where a path says so. What a change costs follows from the files of
the packages that come and go, and of other versions of these: their .debs are read from the pool.
"""

import re
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bigtop_builder.artifact import AGAIN, frame
from bigtop_builder.cores import on_all_cores
from bigtop_builder.errors import CheckFailed
from bigtop_builder.expand import BrokenStreamError, Window, allowance, expand
from bigtop_builder.repository import layout
from bigtop_builder.repository.index import Stanza
from bigtop_builder.repository.layout import Block, Form, Index, Snapshot
from bigtop_builder.repository.snapshot import Draft, changed
from bigtop_builder.repository.store import Held
from bigtop_builder.tarball import Tarball

FORMS: tuple[Form, ...] = (".gz",)
"""The one that apt-file asks for in every Debian release."""
BOUNDARY = 1 << 10
"""A block begins at one path of so many."""
SECTION = re.compile(r"^Section: (\S+)$", re.MULTILINE)

Places = Mapping[str, frozenset[str]]
"""Path -> `section/package` of those that have it."""


class Line(NamedTuple):
    """One path: `name` is the path, `text` the line."""

    name: str
    text: str


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


def amended(
    blocks: Sequence[Block], come: Places, gone: Places, load: Callable[[Block], str]
) -> list[Block | Sequence[Line]]:
    """Put lines into an index of files, and take others out.

    Args:
        blocks: The index so far.
        come: What is to be in it.
        gone: What is to be in it no more.
        load: Reads the text of one block; called for those alone that change.

    Returns:
        The blocks in order: those that stay, and the lines of new ones. It is the list that cutting the whole index
        anew would give.
    """
    firsts = [block.first for block in blocks]
    touched: dict[int, list[str]] = {}
    for path in {*come, *gone}:
        touched.setdefault(max(bisect_right(firsts, path) - 1, 0), []).append(path)
    amended: list[Block | Sequence[Line]] = []
    for position, block in enumerate(blocks or (None,)):
        if block and position not in touched:
            amended.append(block)
            continue
        there = dict(parse_lines(load(block))) if block else {}
        for path in touched.get(position, ()):
            there[path] = there.get(path, frozenset()) - gone.get(path, frozenset()) | come.get(
                path, frozenset()
            )
        lines = [_line(path, there[path]) for path in sorted(there) if there[path]]
        if lines and amended and not _begins(lines[0].name):
            last = amended.pop()
            text = load(last) if isinstance(last, Block) else ""
            before = [_line(*one) for one in parse_lines(text)] if isinstance(last, Block) else list(last)
            lines = [*before, *lines]
        amended += _cut(lines)
    return amended


def parse_lines(text: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Path and packages of each line of a block."""
    for line in text.splitlines():
        path, _, packages = line.rpartition(" ")
        yield path, frozenset(packages.split(","))


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


def _line(path: str, packages: Iterable[str]) -> Line:
    return Line(path, f"{path} {','.join(sorted(packages))}")


def _cut(lines: Iterable[Line]) -> list[Sequence[Line]]:
    blocks: list[list[Line]] = []
    for line in lines:
        if not blocks or _begins(line.name):
            blocks.append([])
        blocks[-1].append(line)
    return list(blocks)


def _begins(path: str) -> bool:
    return zlib.crc32(path.encode()) % BOUNDARY == 0


def _written(name: str) -> str:
    """A path without its leading `./`; bytes that are no printable text stand there escaped."""
    path = (
        name.removeprefix("./").lstrip("/").encode(errors="surrogateescape").decode(errors="backslashreplace")
    )
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in path)
