# SPDX-License-Identifier: Apache-2.0
"""What a repository holds: settings, snapshots, and which one each suite points to. Reads; checks by hash."""

import gzip
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial

from bigtop_builder import openpgp
from bigtop_builder.errors import BuilderError, CheckFailed, InputError
from bigtop_builder.expand import BrokenStreamError
from bigtop_builder.repository import layout
from bigtop_builder.repository.accidents import init_command, lost_state
from bigtop_builder.repository.index import xz, zst
from bigtop_builder.repository.index.blocks import holding
from bigtop_builder.repository.index.packages import Stanza, parse_stanzas
from bigtop_builder.repository.index.sources import PoolFile, SourceStanza, parse_sources
from bigtop_builder.repository.layout import (
    COPY,
    Block,
    Entry,
    Form,
    Index,
    Mirror,
    Notice,
    Notices,
    Settings,
    Snapshot,
)
from bigtop_builder.repository.pointer import DamagedError, Pointer, unverified_pointer
from bigtop_builder.repository.store import Store


class State:
    """Reads a store.

    Args:
        store: Where the repository lies.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def settings(self) -> Settings:
        """The repository's settings.

        Raises:
            InputError: There is no repository, or it is of a format this version does not know.
        """
        text = self.store.read(layout.SETTINGS)
        if text is None:
            raise InputError(
                f"{self.store.name} is no repository"
                if not (standing := self._any_suite())
                else f"{self.store.name}/{layout.SETTINGS} is missing",
                hint=lost_state(self.store.name)
                if self._stateless()
                else init_command(self.store.name, standing),
            )
        try:
            return Settings.from_json(text, source=layout.SETTINGS)
        except InputError as error:
            raise InputError(
                f"{self.store.name}/{layout.SETTINGS} is damaged, or of a format this version does not know",
                details=error.details,
                hint=f"{COPY}; or move it away, and repo init with the same origin, label and keys makes it anew: "
                f"{init_command(self.store.name, self._any_suite())}",
            ) from error

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other publishers out, as `Store.lock` does it.

        Raises:
            InputError: It is a mirror: nothing is published there.
            PublishError: Another publisher has it for too long, or the store cannot be written.
        """
        with self.store.lock():
            if text := self.store.read(layout.MIRROR):
                where = f"{self.store.name}/{layout.MIRROR}"
                source = Mirror.from_json(text, source=where).source or "another repository"
                raise InputError(
                    f"{self.store.name} is a mirror of {source}: nothing is published there",
                    hint=f"publish to {source}; bigtop-builder repo export brings it to the mirror",
                )
            yield

    def unverified_pointer(self, suite: str) -> Pointer | None:
        """Where a suite stands, as it says itself; None if nothing was published to it.

        The signature is not looked at: `authentic.require_good` is for what is signed again.

        Raises:
            CheckFailed: Its InRelease is damaged or not one of ours, or was lost.
        """
        path = f"{layout.suite_folder(suite)}/InRelease"
        back = f"bigtop-builder repo refresh {suite} brings it back; or {COPY}"
        if (signed := self.store.read(path)) is not None:
            try:
                return unverified_pointer(suite, signed, source=f"{self.store.name}/{path}")
            except DamagedError as error:
                error.hint = back
                raise
        if (serial := self.switches(suite)) > 1 and serial > self.first(suite):
            raise CheckFailed(
                f"{self.store.name}/{path} is missing, and {suite} was switched {serial} times",
                hint=back,
            )
        return None

    def unverified_wrapper(self, suite: str) -> Pointer | None:
        """The newest wrapper that was signed for a suite, whether it was switched to or not; None if there is none.

        The signature is not looked at.

        Raises:
            CheckFailed: It is not one of ours, or of another suite or serial.
        """
        first = self.first(suite)
        for serial in sorted((one for one in self.releases(suite) if one >= first), reverse=True):
            path = f"{layout.release_folder(suite, serial)}/InRelease"
            if (signed := self.store.read(path)) is not None:
                return unverified_pointer(suite, signed, source=f"{self.store.name}/{path}", serial=serial)
        return None

    def entries(self, suite: str) -> set[int]:
        """Serials of which the suite's history has a file, signed or not."""
        return self._serials("state/history", suite)

    def releases(self, suite: str) -> set[int]:
        """Serials of which the suite has a wrapper, or a part of one."""
        return self._serials("releases", suite)

    def switches(self, suite: str) -> int:
        """Highest serial that a suite without InRelease has had; 1 may be of a publish that was cut off.

        Of a snapshot's own suite it is 0, as of one that is being removed; in a mirror too, which export completes.
        """
        if layout.OWN_SUITE.fullmatch(suite):
            return 0
        if self.store.size(layout.MIRROR) is not None or self.store.size(layout.SETTINGS) is None:
            return 0
        return max(self._serials("state/history", suite) | self._serials("releases", suite), default=0)

    def retired(self, suite: str) -> Entry | None:
        """What the history says of a suite without InRelease that was retired; None if it was not.

        One publish may have begun since, and been cut off before its switch. The signature is not looked at.
        """
        if layout.OWN_SUITE.fullmatch(suite):
            return None
        for serial in sorted(self.entries(suite), reverse=True)[:2]:
            with suppress(BuilderError):  # a damaged one is told by check
                if (found := self.entry(suite, serial)) and found.action == "retire":
                    return found
        return None

    def first(self, suite: str) -> int:
        """Serial of the first publish to a suite without InRelease: one that was retired goes on counting."""
        entry = self.retired(suite)
        return entry.serial + 1 if entry else 1

    def _serials(self, folder: str, suite: str) -> set[int]:
        found = {name.partition(".")[0] for name in self.store.names(f"{folder}/{suite}")}
        return {int(name) for name in found if name.isdecimal()}

    def _stateless(self) -> bool:
        """Whether all that the next publisher needs is gone, and what hosts read is there: no settings mend that."""
        there = self.store.names("snapshots") or self._any_suite()
        return bool(there) and not self.store.names("state/blocks")

    def _any_suite(self) -> Mapping[str, str]:
        """Fields of the Release of any suite; none if there is none of ours."""
        for suite in self.store.names("dists"):
            with suppress(BuilderError):
                if pointer := self.unverified_pointer(suite):
                    return pointer.fields
        return {}

    def unverified_pointers(self, suites: Iterable[str]) -> dict[str, Pointer]:
        """Where suites stand, as they say, in their order; those that nothing was published to are left out.

        Raises:
            CheckFailed: An InRelease is not one of ours.
        """
        named = list(dict.fromkeys(suites))
        with ThreadPoolExecutor(self.store.readers) as threads:
            found = zip(named, threads.map(self.unverified_pointer, named), strict=True)
            return {suite: pointer for suite, pointer in found if pointer}

    def snapshot(self, snapshot: str) -> Snapshot:
        """A snapshot by its id.

        Raises:
            InputError: There is none.
            CheckFailed: Its file was altered.
        """
        path = layout.snapshot_file(snapshot)
        text = self.store.read(path)
        if text is None:
            raise InputError(f"there is no snapshot {snapshot} in {self.store.name}", hint=COPY)
        _held(text, snapshot, f"{self.store.name}/{path}")
        return Snapshot.from_json(text, source=f"{self.store.name}/{path}")

    def snapshots(self) -> tuple[str, ...]:
        """Ids of all snapshots that are whole, sorted."""
        names = self.store.names("snapshots")
        there = self.store.held(layout.snapshot_file(name) for name in names)
        return tuple(name for name in names if layout.snapshot_file(name) in there)

    def notices(self, public: bytes) -> dict[str, Notice]:
        """Snapshots that are out of use, by id.

        Args:
            public: Keys, binary, of which one must have signed the list.

        Raises:
            SigningError: None of them has.
        """
        signed = self.store.read(layout.WITHDRAWN)
        if signed is None:
            return {}
        where = f"{self.store.name}/{layout.WITHDRAWN}"
        proof = openpgp.verify(signed, keyring=public, what=where, expired=True)
        notices = Notices.from_json(proof.text, source=where)
        return {one.snapshot: one for one in notices.withdrawn}

    def stanzas(self, block: Block) -> list[Stanza]:
        """The packages of a block.

        Raises:
            CheckFailed: Its file is missing or was altered.
        """
        return list(parse_stanzas(self.block(block)[0].decode()))

    def sources(self, block: Block) -> list[SourceStanza]:
        """The source packages of a block.

        Raises:
            CheckFailed: Its file is missing or was altered.
        """
        return list(parse_sources(self.block(block)[0].decode()))

    def block(self, block: Block) -> tuple[bytes, bytes]:
        """Text of a block, and its file: the gzip member.

        Raises:
            CheckFailed: Its file is missing or was altered.
        """
        path = layout.block_file(block.sha256)
        packed = self.store.read(path)
        where = f"{self.store.name}/{path}"
        if packed is None:
            raise CheckFailed(f"{where} is missing", hint=COPY)
        try:
            text = gzip.decompress(packed)
        except (OSError, EOFError, ValueError) as error:
            raise CheckFailed(f"{where} was altered: {error}", hint=COPY) from error
        _held(text, block.sha256, where)
        return text, packed

    def stream(self, sha256: str, text: bytes, form: Form = ".xz") -> bytes | None:
        """A block's .xz stream or .zst frame; None if it was never kept.

        Args:
            sha256: Hash of the block.
            text: Its text.
            form: Which of the two.

        Raises:
            CheckFailed: The file does not hold that text.
        """
        path = layout.block_file(sha256, form)
        decompress = zst.decompress if form == ".zst" else xz.decompress
        packed = self.store.read(path)
        where = f"{self.store.name}/{path}"
        try:
            whole = packed is None or decompress(packed, limit=len(text)) == text
        except BrokenStreamError as error:
            raise CheckFailed(f"{where} was altered: {error}", hint=COPY) from error
        if not whole:
            raise CheckFailed(f"{where} was altered: it holds another text", hint=COPY)
        return packed

    def find(self, index: Index, names: Iterable[str]) -> Iterator[Stanza]:
        """All packages in the blocks that hold or would hold these names."""
        for block in holding(index.blocks, names):
            yield from self.stanzas(block)

    def packages(self, index: Index) -> Iterator[Stanza]:
        """All packages of an index, in order."""
        for block in index.blocks:
            yield from self.stanzas(block)

    def find_sources(self, index: Index | None, names: Iterable[str]) -> Iterator[SourceStanza]:
        """All source packages in the blocks that hold or would hold these names."""
        for block in holding(index.blocks if index else (), names):
            yield from self.sources(block)

    def pool_files(self, snapshots: Iterable[Snapshot]) -> dict[str, Stanza | PoolFile]:
        """Path in the pool -> file, for all packages and sources of some snapshots; each block is read once.

        Raises:
            CheckFailed: A block is missing or was altered.
        """
        every = list(snapshots)
        packages = [index for one in every for named in one.components.values() for index in named.values()]
        sources = [index for one in every for index in one.sources.values()]
        with ThreadPoolExecutor(self.store.readers) as threads:
            found: dict[str, Stanza | PoolFile] = {
                stanza.filename: stanza
                for stanzas in threads.map(self.stanzas, _blocks(packages))
                for stanza in stanzas
            }
            for stanzas in threads.map(self.sources, _blocks(sources)):
                found |= {one.filename: one for stanza in stanzas for one in stanza.files}
        return found

    def history(self, suite: str) -> tuple[Entry, ...]:
        """The suite's switches, oldest first."""
        pointer = self.unverified_pointer(suite)
        return tuple(reversed([*self.backwards(pointer)])) if pointer else ()

    def backwards(self, pointer: Pointer) -> Iterator[Entry]:
        """A suite's switches, newest first, read as far as they are asked for, in parts that double."""
        last, count = pointer.serial, self.store.readers
        while last > 0:
            serials = range(last, max(last - count, 0), -1)
            with ThreadPoolExecutor(self.store.readers) as threads:
                found = list(threads.map(partial(self.entry, pointer.suite), serials))
            yield from (entry for entry in found if entry)
            last, count = last - count, 2 * count

    def entry(self, suite: str, serial: int) -> Entry | None:
        """One of the suite's switches; None if its record is missing."""
        path = layout.history_file(suite, serial)
        text = self.store.read(path)
        return None if text is None else Entry.from_json(text, source=f"{self.store.name}/{path}")


def _blocks(indices: Iterable[Index]) -> list[Block]:
    """Their blocks, each once."""
    return list({block.sha256: block for index in indices for block in index.blocks}.values())


def _held(data: bytes, sha256: str, what: str) -> None:
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CheckFailed(f"{what} was altered: its sha256 is not {sha256}", hint=COPY)
