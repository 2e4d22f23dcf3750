# SPDX-License-Identifier: Apache-2.0
"""A recipe's text in blocks: one a table, with the comment above it, so that a draft keeps what people wrote."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

HEADER: Final = re.compile(r"\[\[?\s*(?P<name>[A-Za-z0-9_.\"-]+)\s*\]\]?\s*(?:#.*)?$")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A table of TOML.

    Attributes:
        name: Its key, as in `components.sources`; empty for what stands above the first table.
        lead: Empty lines and comments above it.
        body: Its header, and all up to the next block's lead.
    """

    name: str
    lead: str
    body: str

    @property
    def text(self) -> str:
        """The block as it is written."""
        return f"{self.lead}{self.body}"

    @property
    def group(self) -> str:
        """The first word of its key."""
        return self.name.partition(".")[0]


def split(text: str) -> list[Block]:
    """Cut a recipe into its blocks; their texts, one after another, are the recipe's.

    A line that looks like a header inside a text of several lines or a list is none: what stands before it does not
    parse.

    Args:
        text: TOML that parses.
    """
    parts: list[list[str]] = [[]]
    for line in text.splitlines(keepends=True):
        if HEADER.match(line) and _parses("".join(parts[-1])):
            parts.append([])
            while parts[-2] and parts[-2][-1].strip()[:1] in ("", "#"):
                parts[-1].insert(0, parts[-2].pop())
        parts[-1].append(line)
    return [_block(lines, first=number == 0) for number, lines in enumerate(parts)]


def components_in(blocks: Iterable[Block]) -> dict[str, list[Block]]:
    """Name of a component -> its blocks, the one that names it first."""
    found: dict[str, list[Block]] = {}
    name = ""
    for block in (one for one in blocks if one.group == "components"):
        if block.name == "components":
            name = _values(block, "components")["name"]
        found.setdefault(name, []).append(block)
    return found


def carried_in(blocks: Iterable[Block]) -> dict[str, Block]:
    """Name of a carried component -> its block."""
    return {_values(block, "carry")["component"]: block for block in blocks if block.name == "carry"}


def _values(block: Block, key: str) -> dict[str, str]:
    values: dict[str, str] = tomllib.loads(block.body)[key][0]
    return values


def _parses(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _block(lines: list[str], *, first: bool) -> Block:
    if first:
        return Block(name="", lead="", body="".join(lines))
    at = next(number for number, line in enumerate(lines) if HEADER.match(line))
    match = HEADER.match(lines[at])
    name = match["name"] if match else ""
    return Block(name=name, lead="".join(lines[:at]), body="".join(lines[at:]))
