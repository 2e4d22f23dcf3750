# SPDX-License-Identifier: Apache-2.0
"""Text of Contents-<architecture>: which file is in which package (Debian wiki, RepositoryFormat). Pure.

A line a path, in order of paths, cut into blocks where a path says so.
"""

import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from bigtop_builder.repository.layout import Block, Form

FORMS: tuple[Form, ...] = (".gz",)
"""The one that apt-file asks for in every Debian release."""
BOUNDARY = 1 << 10
"""A block begins at one path of so many."""

Places = Mapping[str, frozenset[str]]
"""Path -> `section/package` of those that have it."""


class Line(NamedTuple):
    """One path: `name` is the path, `text` the line."""

    name: str
    text: str


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
