# SPDX-License-Identifier: Apache-2.0
"""Texts of the indices: stanzas, blocks of stanzas, Release. Pure; nothing here reads or writes a file.

An index is cut into blocks where a package's name says so, not where a count is full: one more package
changes one block, and all others are found again under the hash they had.
"""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import cmp_to_key
from itertools import groupby
from operator import attrgetter
from typing import Protocol, TypeVar

from debian.debian_support import NativeVersion

from bigtop_builder.artifact import Deb, parse_control
from bigtop_builder.errors import PublishError
from bigtop_builder.repository.layout import Block, IndexFile

OURS = frozenset({"Filename", "Size", "Md5sum", "Sha1", "Sha256", "Sha512", "Status", "Package"})
"""Fields that the index sets; a control file that has one does not get it through."""
COPY = "bring it back from a copy of the repository"
"""The way out for a file that never changes: it is the same in any copy that has it."""
BOUNDARY = 4
"""A block begins at names whose hash begins with a byte below: 64 names on average."""
KEYS = re.compile(r"^(Package|Version|Architecture|Filename|Size|SHA256): (.*)$", re.MULTILINE)
CLEARSIGNED = "-----BEGIN PGP SIGNED MESSAGE-----"
SIGNATURE = "-----BEGIN PGP SIGNATURE-----"


class Piece(Protocol):
    """What an index is made of: a stanza, or a line."""

    @property
    def name(self) -> str:
        """What it is found by."""

    @property
    def text(self) -> str:
        """Its text; one more newline follows it."""


Key = tuple[str, str, str]
"""Name, version and architecture: what identifies a package."""


@dataclass(frozen=True, kw_only=True)
class Stanza:
    """One package in an index.

    Attributes:
        text: The stanza, with one newline at its end.
        filename: Path in the repository.
        size: Bytes of the .deb.
        sha256: Hash of the .deb.
    """

    name: str
    version: str
    architecture: str
    filename: str
    size: int
    sha256: str
    text: str

    @property
    def key(self) -> Key:
        """What identifies a package."""
        return self.name, self.version, self.architecture


AnyStanza = TypeVar("AnyStanza", bound=Stanza)


def stanza_of(deb: Deb, filename: str) -> Stanza:
    """What an index says of a .deb: its control file, where it is, and its hash (deb-control(5))."""
    fields = {"Package": deb.name}
    fields |= {name: value for name, value in deb.control.items() if name not in OURS}
    fields |= {"Filename": filename, "Size": str(deb.size), "SHA256": deb.sha256}
    return Stanza(
        name=deb.name,
        version=deb.version,
        architecture=deb.architecture,
        filename=filename,
        size=deb.size,
        sha256=deb.sha256,
        text="".join(_field(name, value) for name, value in fields.items()),
    )


def parse_stanzas(text: str) -> Iterator[Stanza]:
    """Read the text of a block, one that `block_text` wrote."""
    for part in text.split("\n\n"):
        if not part:
            continue
        fields: dict[str, str] = dict(KEYS.findall(part))
        yield Stanza(
            name=fields["Package"],
            version=fields["Version"],
            architecture=fields["Architecture"],
            filename=fields["Filename"],
            size=int(fields["Size"]),
            sha256=fields["SHA256"],
            text=part + "\n",
        )


def block_text(pieces: Iterable[Piece]) -> str:
    """Text of a block; the texts of an index's blocks, joined, are the index."""
    return "".join(piece.text + "\n" for piece in pieces)


def begins_block(name: str) -> bool:
    """Whether a package of this name is the first of a block."""
    return hashlib.sha256(name.encode()).digest()[0] < BOUNDARY


def in_order(stanzas: Iterable[AnyStanza]) -> list[AnyStanza]:
    """Stanzas by name, version (as dpkg compares them) and architecture."""
    ordered: list[AnyStanza] = []
    for _, same in groupby(sorted(stanzas, key=attrgetter("name")), key=attrgetter("name")):
        versions = list(same)
        ordered += versions if len(versions) == 1 else sorted(versions, key=cmp_to_key(_compare))
    return ordered


def split(stanzas: Sequence[AnyStanza]) -> list[list[AnyStanza]]:
    """Cut ordered stanzas into blocks; all versions of a package are in one."""
    blocks: list[list[AnyStanza]] = []
    for name, same in groupby(stanzas, key=attrgetter("name")):
        if not blocks or begins_block(name):
            blocks.append([])
        blocks[-1] += same
    return blocks


def grow(
    blocks: Sequence[Block], added: Iterable[AnyStanza], load: Callable[[Block], Iterable[AnyStanza]]
) -> list[Block | list[AnyStanza]]:
    """Put stanzas into an index.

    Args:
        blocks: The index so far.
        added: Stanzas that are not in it.
        load: Reads one block; called for those alone that change.

    Returns:
        The blocks in order: those that stay, and the contents of the new ones. It is the list that cutting
        the whole index anew would give.
    """
    firsts = [block.first for block in blocks]
    fresh: dict[int, list[AnyStanza]] = {}
    for stanza in added:
        fresh.setdefault(place(firsts, stanza.name), []).append(stanza)
    grown: list[Block | list[AnyStanza]] = []
    for position, block in enumerate(blocks):
        if position in fresh:
            grown += split(in_order([*load(block), *fresh[position]]))
        else:
            grown.append(block)
    return grown if blocks else list(split(in_order(fresh.get(0, []))))


def shrink(
    blocks: Sequence[Block], gone: Collection[Key], load: Callable[[Block], Iterable[AnyStanza]]
) -> list[Block | list[AnyStanza]]:
    """Take stanzas out of an index.

    Args:
        blocks: The index so far.
        gone: Keys of the stanzas.
        load: Reads one block; called for those alone that change, and for one that takes in what is left of the
            next.

    Returns:
        The blocks in order, as `grow` has them: the list that cutting what is left would give.
    """
    firsts = [block.first for block in blocks]
    touched = {place(firsts, name) for name, _, _ in gone}
    shrunk: list[Block | list[AnyStanza]] = []
    for position, block in enumerate(blocks):
        if position not in touched:
            shrunk.append(block)
            continue
        left = [stanza for stanza in load(block) if stanza.key not in gone]
        if left and shrunk and not begins_block(left[0].name):
            last = shrunk.pop()
            left = [*(load(last) if isinstance(last, Block) else last), *left]
        shrunk += split(left)
    return shrunk


def place(firsts: Sequence[str], name: str) -> int:
    """Position of the block that a package belongs to, from the names that the blocks begin with."""
    return max(bisect_right(firsts, name) - 1, 0)


def holding(blocks: Sequence[Block], names: Iterable[str]) -> list[Block]:
    """The blocks of an index that hold or would hold these names, in order."""
    firsts = [block.first for block in blocks]
    positions = {place(firsts, name) for name in names} if firsts else ()
    return [blocks[position] for position in sorted(positions)]


def release_text(
    *,
    fields: Mapping[str, str],
    date: datetime,
    valid_until: datetime | None,
    files: Mapping[str, IndexFile],
) -> str:
    """The Release file (Debian wiki, RepositoryFormat).

    Args:
        fields: Origin, Label, Suite and so on, in order; empty values are left out.
        date: Date, UTC.
        valid_until: Until when clients take it.
        files: Path below the suite -> size and hashes.
    """
    lines = [f"{name}: {value}" for name, value in fields.items() if value]
    lines.append(f"Date: {_stamp(date)}")
    if valid_until:
        lines.append(f"Valid-Until: {_stamp(valid_until)}")
    lines.append("Acquire-By-Hash: yes")
    for title, hashed in (("SHA256", attrgetter("sha256")), ("SHA512", attrgetter("sha512"))):
        lines.append(f"{title}:")
        lines += [f" {hashed(files[name])} {files[name].size} {name}" for name in sorted(files)]
    return "\n".join(lines) + "\n"


def parse_release(text: str, *, source: str) -> dict[str, str]:
    """Fields of a Release or InRelease file; the signature is not looked at.

    Raises:
        PublishError: There is no Release text in it.
    """
    if text.startswith(CLEARSIGNED):
        text = text.partition("\n\n")[2].partition(SIGNATURE)[0].replace("\n- ", "\n").removeprefix("- ")
    fields = parse_control(text.rstrip("\n"), source=source)
    if "Date" not in fields:
        raise PublishError(f"{source} is no Release file: it has no Date", hint=COPY)
    return fields


def release_date(fields: Mapping[str, str]) -> datetime:
    """Date of a Release file, UTC."""
    return parse_date(fields["Date"])


def parse_date(text: str) -> datetime:
    """A date as Release has it, UTC."""
    return parsedate_to_datetime(text).astimezone(UTC)


def _stamp(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC), usegmt=True).replace("GMT", "UTC")


def _field(name: str, value: str) -> str:
    return f"{name}:{value}\n" if value.startswith("\n") else f"{name}: {value}\n"


def _compare(left: Stanza, right: Stanza) -> int:
    one, two = NativeVersion(left.version), NativeVersion(right.version)
    if one != two:
        return -1 if one < two else 1
    return -1 if left.key < right.key else int(left.key > right.key)
