# SPDX-License-Identifier: Apache-2.0
"""Indices cut into blocks of stanzas, which grow and shrink. Pure.

An index is cut where a package's name says so, not where a count is full: one more package changes one block, and all
others are found again under the hash they had.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cmp_to_key
from itertools import groupby
from operator import attrgetter
from typing import Protocol, TypeVar

from debian.debian_support import NativeVersion

from bigtop_builder.repository.index.packages import Key, Stanza
from bigtop_builder.repository.layout import Block

BOUNDARY = 4
"""A block begins at names whose hash begins with a byte below: 64 names on average."""

AnyStanza = TypeVar("AnyStanza", bound=Stanza)


class Piece(Protocol):
    """What an index is made of: a stanza, or a line."""

    @property
    def name(self) -> str:
        """What it is found by."""

    @property
    def text(self) -> str:
        """Its text; one more newline follows it."""


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


def _compare(left: Stanza, right: Stanza) -> int:
    one, two = NativeVersion(left.version), NativeVersion(right.version)
    if one != two:
        return -1 if one < two else 1
    return -1 if left.key < right.key else int(left.key > right.key)
