# SPDX-License-Identifier: Apache-2.0
"""Tar archives in a .deb, read as dpkg reads them: the forms that deb(5) names, and no other.

tarfile reads more than dpkg does (pax records, sparse files), takes a damaged header for the end of the
archive, and keeps a name of any length in memory: too much trust for packages of unknown origin.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from bigtop_builder.expand import BrokenStreamError

BLOCK = 512
NAME_LIMIT = 4096
"""Bytes of a name: Linux takes no longer path (PATH_MAX in limits.h)."""
ZEROS = bytes(BLOCK)
LONG_NAME, LONG_LINK = b"L", b"K"
PAX, PAX_FOR_ALL = b"x", b"g"
PAX_LIMIT = 1 << 16
PAX_PATH = re.compile(rb"\d+ path=([^\n]+)\n")

Kind = Literal["file", "hardlink", "symlink", "folder", "device", "fifo"]
KINDS: dict[bytes, Kind] = {
    b"\0": "file",
    b"0": "file",
    b"1": "hardlink",
    b"2": "symlink",
    b"3": "device",
    b"4": "device",
    b"5": "folder",
    b"6": "fifo",
}


@dataclass(slots=True)
class Entry:
    """One thing in an archive: its name and link as they stand there, its size in bytes, its header."""

    name: str
    kind: Kind
    size: int
    link: str
    header: bytes = field(repr=False)

    @property
    def mode(self) -> int:
        """Permission bits."""
        return _number(self.header, 100, 108, 0)

    @property
    def modified(self) -> int:
        """When it was modified, in seconds since 1970."""
        return _number(self.header, 136, 148, 0)

    @property
    def owner(self) -> str:
        """User and group, by name, and by number."""
        names = "/".join((_text(self.header[265:297]), _text(self.header[297:329])))
        return f"{names} {_number(self.header, 108, 116, 0)}/{_number(self.header, 116, 124, 0)}"


class Tarball:
    """An archive that comes in pieces of any size; memory holds one piece and one header.

    Iterate over it for its entries, and take the content of a file before you ask for the next.

    Args:
        pieces: Its bytes.
        pax: Take the long names that POSIX's tar writes too (pax(1)); dpkg reads none, other archives have them.
    """

    def __init__(self, pieces: Iterable[bytes], *, pax: bool = False) -> None:
        self._pieces = iter(pieces)
        self._pax = pax
        self._piece = b""
        self._at = 0
        self._left = 0
        self._padding = 0
        self.offset = 0
        """Bytes taken so far."""

    def __iter__(self) -> Iterator[Entry]:
        """Entries in order.

        Raises:
            BrokenStreamError: A header is damaged or of a kind that dpkg does not read, or the end is missing.
        """
        while (block := self._block()) != ZEROS:
            name = link = ""
            while (
                kind := block[156:157]
            ) in self._before:  # the next header's name or link is too long for it
                size = _number(block, 124, 136, self.offset)
                if kind in {PAX, PAX_FOR_ALL}:
                    name = self._pax_name(size) or name
                else:
                    text = self._long(size)
                    name, link = (text, link) if kind == LONG_NAME else (name, text)
                block = self._block()
            entry = _entry(block, self.offset, name)
            entry.link = link or entry.link
            self._left = entry.size
            self._padding = -entry.size % BLOCK
            yield entry
            for _ in self.content():
                pass
            self._exactly(self._padding)
        self._end()

    def content(self) -> Iterator[bytes]:
        """What is left of the present entry's content, piece by piece."""
        while self._left:
            piece = self._some(self._left)
            if not piece:
                raise self._cut()
            self._left -= len(piece)
            yield piece

    def read(self) -> bytes:
        """What is left of the present entry's content in one: for entries whose size was looked at."""
        return b"".join(self.content())

    def _block(self) -> bytes:
        return self._exactly(BLOCK)

    def _long(self, size: int) -> str:
        if size > NAME_LIMIT:
            raise BrokenStreamError(f"tar archive has a name of {size} bytes at byte {self.offset}")
        return _text(self._exactly(size + -size % BLOCK)[:size])

    @property
    def _before(self) -> frozenset[bytes]:
        """Types of headers that say something of the next one: GNU's, and POSIX's."""
        return frozenset({LONG_NAME, LONG_LINK, *((PAX, PAX_FOR_ALL) if self._pax else ())})

    def _pax_name(self, size: int) -> str:
        if size > PAX_LIMIT:
            raise BrokenStreamError(f"tar archive has a pax header of {size} bytes at byte {self.offset}")
        found = PAX_PATH.search(self._exactly(size + -size % BLOCK)[:size])
        return _text(found[1]) if found else ""

    def _end(self) -> None:
        """See that a second block of zeros ends the archive, and that nothing but zeros follows."""
        total = self.offset
        damaged = self._block() != ZEROS
        while piece := self._some(1 << 20):
            damaged = damaged or piece != bytes(len(piece))
        if damaged or self.offset % BLOCK:
            raise BrokenStreamError(f"tar archive is damaged or goes on after its end at byte {total}")

    def _some(self, most: int) -> bytes:
        """At least one byte and at most so many; none at the end."""
        if self._at == len(self._piece):
            self._piece, self._at = next(self._pieces, b""), 0
        taken = (
            self._piece[self._at : self._at + most] if self._at or most < len(self._piece) else self._piece
        )
        self._at += len(taken)
        self.offset += len(taken)
        return taken

    def _exactly(self, size: int) -> bytes:
        taken = self._some(size) if size else b""
        while len(taken) < size:
            more = self._some(size - len(taken))
            if not more:
                raise self._cut()
            taken += more
        return taken

    def _cut(self) -> BrokenStreamError:
        return BrokenStreamError(f"tar archive is damaged or cut off at byte {self.offset}")


def _entry(block: bytes, end: int, long_name: str) -> Entry:
    """Read a header (tar(5)); GNU's has other things where POSIX's has the first part of a long name.

    A header with a long name before it has that name's first 100 bytes, which may end anywhere.
    """
    if sum(block[:148]) + sum(block[156:]) + 8 * ord(" ") != _number(block, 148, 156, end):
        raise BrokenStreamError(f"tar archive is damaged at byte {end - BLOCK}: a header's checksum is wrong")
    kind = KINDS.get(block[156:157])
    if kind is None:
        raise BrokenStreamError(
            f"tar archive has an entry of type {block[156:157]!r} at byte {end - BLOCK}: dpkg reads none (deb(5))"
        )
    name = long_name or _text(block[:100])
    if not long_name and block[257:263] == b"ustar\0" and (prefix := _text(block[345:500])):
        name = f"{prefix}/{name}"
    if kind == "file" and name.endswith("/"):
        kind = "folder"  # tar of Unix version 7 had no type for it
    size = _number(block, 124, 136, end) if kind == "file" else 0
    return Entry(name, kind, size, _text(block[157:257]), block)


def _number(block: bytes, start: int, end: int, offset: int) -> int:
    """An octal number, or GNU's binary one for what is too large."""
    if block[start : start + 1] == b"\x80":
        return int.from_bytes(block[start + 1 : end], "big")
    digits = block[start:end].strip(b" \0") or b"0"
    if digits.strip(b"01234567"):
        raise BrokenStreamError(
            f"tar archive is damaged at byte {offset - BLOCK}: {digits!r} is no octal number"
        )
    return int(digits, 8)


def _text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode(errors="surrogateescape")
