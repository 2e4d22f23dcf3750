# SPDX-License-Identifier: Apache-2.0
"""Are indices, the blocks they are made of and the files of the pool there, and what they must be."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from bigtop_builder.errors import BuilderError
from bigtop_builder.repository import layout
from bigtop_builder.repository.index.packages import Stanza, parse_stanzas
from bigtop_builder.repository.index.sources import PoolFile, parse_sources
from bigtop_builder.repository.layout import COPY, Block, Form, Settings, Snapshot
from bigtop_builder.repository.state import State


@dataclass(frozen=True, kw_only=True)
class _File:
    """What a file of the store must be.

    Attributes:
        suite: One that has it, of the settings if any of these has.
    """

    path: str
    size: int
    sha256: str
    suite: str = field(compare=False)


@dataclass(kw_only=True)
class _Block:
    """A block of one or more suites.

    Attributes:
        suite: One of these.
        folder: Of the index, as `Snapshot.indices` has it.
        forms: Those in which it may be kept beside the gzip member.
    """

    suite: str
    folder: str
    block: Block
    forms: set[Form]


@dataclass(frozen=True, kw_only=True)
class Files:
    """The files of a repository that is being checked: what several suites share is looked at once.

    Attributes:
        state: The repository.
        settings: Its settings.
        threads: Do the work.
    """

    state: State
    settings: Settings
    threads: ThreadPoolExecutor

    def indices(self, snapshots: Mapping[str, Snapshot]) -> Iterator[str]:
        """What is wrong with indices, under each suite's own path and by hash.

        Args:
            snapshots: Suite -> what it points to.
        """
        yield from self._right(
            [file for suite, one in snapshots.items() for file in self._indices(suite, one)]
        )

    def blocks(self, snapshots: Mapping[str, Snapshot]) -> tuple[list[str], frozenset[str]]:
        """What is wrong with blocks and the files of the pool that they name, and the sha256 of each of these.

        Args:
            snapshots: Suite -> what it points to.
        """
        found: list[str] = []
        named: list[_File] = []
        for problems, files in self.threads.map(self._block, _blocks(snapshots)):
            found += problems
            named += files
        found += self._right(list(dict.fromkeys(named)))
        return found, frozenset(one.sha256 for one in named)

    def _indices(self, suite: str, snapshot: Snapshot) -> Iterator[_File]:
        """Files of the indices that clients may ask for."""
        for folder, index in snapshot.indices():
            for name, entry in index.written(self.settings.forms):
                hashes = layout.by_hash("SHA256", entry.sha256), layout.by_hash("SHA512", entry.sha512)
                for one in (name, *hashes):
                    path = f"{layout.suite_folder(suite)}/{folder}/{one}"
                    yield _File(path=path, size=entry.size, sha256=entry.sha256, suite=suite)

    def _block(self, block: _Block) -> tuple[list[str], list[_File]]:
        """What is wrong with a block, and the files of the pool that it names."""
        sha256 = block.block.sha256
        try:
            text = self.state.block(block.block)[0]
            for form in sorted(block.forms):
                self.state.stream(sha256, text, form)
        except BuilderError as error:
            return [f"{block.suite}: {error.brief}: {error.hint}"], []
        return [], [
            _File(path=one.filename, size=one.size, sha256=one.sha256, suite=block.suite)
            for one in _named(block.folder, text.decode())
        ]

    def _right(self, files: Sequence[_File]) -> Iterator[str]:
        """Whether files are there, and what they must be; one that several paths lead to is read once."""
        store = self.state.store
        held = store.held(file.path for file in files)
        whole: dict[tuple[str, str], list[_File]] = {}
        wrong: dict[str, list[_File]] = {}
        for file in files:
            there = held.get(file.path)
            if there and there.size == file.size:
                whole.setdefault((store.origin(file.path), file.sha256), []).append(file)
                continue
            said = f"has {there.size} bytes, not {file.size}" if there else "is missing"
            wrong.setdefault(f"{self._real(file.path)} {said}", []).append(file)
        found = self.threads.map(lambda same: store.sha256(same[0].path), whole.values())
        for same, sha256 in zip(whole.values(), found, strict=True):
            if sha256 != same[0].sha256:
                wrong[f"{self._real(same[0].path)} was altered, its sha256 is not {same[0].sha256}"] = same
        for told, hit in wrong.items():
            yield f"{told}{self._mend(hit)}"

    def _mend(self, same: Sequence[_File]) -> str:
        """Whom a fault of a file hits, and what mends it; the file may have several names."""
        suites = sorted(
            dict.fromkeys(one.suite for one in same), key=lambda one: one not in self.settings.suites
        )
        one, named = same[0], ", ".join(suites)
        if self.state.store.size(layout.MIRROR) is not None:
            return f" (of {named}): {COPY}"
        if one.path.startswith("dists/"):
            refresh = f"bigtop-builder repo refresh {suites[0]}"
            if not self.state.store.origin(""):  # it is a copy where the store has no links
                return f" (of {named}): {refresh} copies it anew, and so does the command that was cut off"
            return f" (of {named}): {refresh} joins it anew from its blocks; or {COPY}"
        if one.path.endswith(".deb"):
            add = (
                f"bigtop-builder repo add {suites[0] if suites[0] in self.settings.suites else 'SUITE'} FILE"
            )
            return f" (of {named}): {add} puts back the same bytes, of sha256 {one.sha256}; or {COPY}"
        return f" (of {named}; sha256 {one.sha256}): {COPY}"

    def _real(self, path: str) -> str:
        """The file that a path leads to: to bring back a link would mend nothing."""
        origin, root = self.state.store.origin, self.state.store.origin("")
        return origin(path).removeprefix(f"{root}/")


def _blocks(snapshots: Mapping[str, Snapshot]) -> list[_Block]:
    """All blocks of snapshots, each once."""
    found: dict[str, _Block] = {}
    for suite, snapshot in snapshots.items():
        for folder, index in snapshot.indices():
            forms: set[Form] = {layout.form_of(name) for name in index.files} - {"", ".gz"}
            for block in index.blocks:
                fresh = _Block(suite=suite, folder=folder, block=block, forms=set())
                found.setdefault(block.sha256, fresh).forms.update(forms)
    return list(found.values())


def _named(folder: str, text: str) -> Iterator[Stanza | PoolFile]:
    """Files of the pool that a block of an index in this folder names."""
    if folder.endswith("/source"):
        yield from (file for source in parse_sources(text) for file in source.files)
    elif "/binary-" in folder:
        yield from parse_stanzas(text)
