# SPDX-License-Identifier: Apache-2.0
"""What a repository holds: settings, snapshots, and which one each suite points to. Reads; checks by hash.

A suite's pointer is its signed InRelease itself (fields X-Serial and X-Snapshot), so one object is what
clients read, what the next publisher reads, and what is switched.
"""

import gzip
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from lzma import LZMAError

from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.repository import layout, xz
from bigtop_builder.repository.index import COPY, Stanza, parse_release, parse_stanzas, place, release_date
from bigtop_builder.repository.layout import Block, Entry, Index, Settings, Snapshot
from bigtop_builder.repository.store import Store

SERIAL = "X-Serial"
SNAPSHOT = "X-Snapshot"


@dataclass(frozen=True, kw_only=True)
class Pointer:
    """Where a suite stands.

    Attributes:
        serial: Counts the suite's switches from 1.
        snapshot: Id of the snapshot.
        date: Date of its Release, UTC.
        fields: All fields of its Release.
        signed: InRelease as it is in the store.
    """

    suite: str
    serial: int
    snapshot: str
    date: datetime
    fields: Mapping[str, str]
    signed: bytes


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
                f"{self.store.name} is no repository",
                hint=f"bigtop-builder repo init {self.store.name} --key FPR",
            )
        try:
            return Settings.from_json(text, source=layout.SETTINGS)
        except InputError as error:
            raise InputError(
                f"{self.store.name}/{layout.SETTINGS} is damaged, or of a format this version does not know",
                details=error.details,
                hint=f"{COPY}; or move it away, and repo init with the same origin, label and keys makes it anew",
            ) from error

    def pointer(self, suite: str) -> Pointer | None:
        """Where a suite stands; None if nothing was published to it.

        Raises:
            CheckFailed: Its InRelease is not one of ours.
        """
        path = f"{layout.suite_folder(suite)}/InRelease"
        signed = self.store.read(path)
        if signed is None:
            return None
        fields = parse_release(signed.decode(errors="replace"), source=f"{self.store.name}/{path}")
        if not fields.get(SERIAL, "").isdigit() or SNAPSHOT not in fields:
            raise CheckFailed(
                f"{self.store.name}/{path} names no snapshot: another tool wrote it",
                hint="publish to a folder that this tool made",
            )
        return Pointer(
            suite=suite,
            serial=int(fields[SERIAL]),
            snapshot=fields[SNAPSHOT],
            date=release_date(fields),
            fields=fields,
            signed=signed,
        )

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

    def stanzas(self, block: Block) -> list[Stanza]:
        """The packages of a block.

        Raises:
            CheckFailed: Its file is missing or was altered.
        """
        return list(parse_stanzas(self.block(block)[0].decode()))

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

    def stream(self, sha256: str, text: bytes) -> bytes | None:
        """A block's .xz stream; None if it was never kept.

        Args:
            sha256: Hash of the block.
            text: Its text.

        Raises:
            CheckFailed: The file does not hold that text.
        """
        path = layout.block_file(sha256, ".xz")
        packed = self.store.read(path)
        where = f"{self.store.name}/{path}"
        try:
            whole = packed is None or xz.decompress(packed, limit=len(text)) == text
        except LZMAError as error:
            raise CheckFailed(f"{where} was altered: {error}", hint=COPY) from error
        if not whole:
            raise CheckFailed(f"{where} was altered: it holds another text", hint=COPY)
        return packed

    def find(self, index: Index, names: Iterable[str]) -> Iterator[Stanza]:
        """All packages in the blocks that hold or would hold these names."""
        firsts = [block.first for block in index.blocks]
        for position in sorted({place(firsts, name) for name in names}) if firsts else ():
            yield from self.stanzas(index.blocks[position])

    def packages(self, index: Index) -> Iterator[Stanza]:
        """All packages of an index, in order."""
        for block in index.blocks:
            yield from self.stanzas(block)

    def history(self, suite: str) -> tuple[Entry, ...]:
        """The suite's switches, oldest first."""
        pointer = self.pointer(suite)
        entries = []
        for serial in range(1, pointer.serial + 1 if pointer else 1):
            path = layout.history_file(suite, serial)
            text = self.store.read(path)
            if text is not None:
                entries.append(Entry.from_json(text, source=f"{self.store.name}/{path}"))
        return tuple(entries)


def _held(data: bytes, sha256: str, what: str) -> None:
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CheckFailed(f"{what} was altered: its sha256 is not {sha256}", hint=COPY)
