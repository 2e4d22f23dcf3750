# SPDX-License-Identifier: Apache-2.0
"""Where a patch does not apply: which hunk of which file, what it looks for, and what is there instead."""

from dataclasses import dataclass

from bigtop_builder.patches.file_diff import Hunk

SHOWN = 6


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Where a patch stopped.

    Attributes:
        file: Path in the tree.
        hunk: Number of the hunk in that file, from 1; 0 if the whole file is the matter.
        text: Several lines for people: expected and found.
    """

    file: str
    hunk: int
    text: str


def difference(hunk: Hunk, line: int, text: str) -> str:
    """What a hunk looks for and what is there instead, from the first line on that differs.

    Args:
        hunk: The hunk.
        line: Where it was looked for, from 1.
        text: The file in the tree; empty if there is none.
    """
    sought = (one[1:].rstrip(b"\n").decode(errors="replace") for one in hunk.lines if one[:1] != b"+")
    expected, start = list(sought), max(line - 1, 0)
    there = text.splitlines()[start : start + len(expected)]
    at = next((n for n, (a, b) in enumerate(zip(expected, there, strict=False)) if a != b), len(there))
    low = max(at - 1, 0)
    return "\n".join(
        [
            f"line {start + at + 1}, the patch looks for:",
            *(f"  | {one}" for one in expected[low : low + SHOWN]),
            "there is instead:",
            *([f"  | {one}" for one in there[low : low + SHOWN]] or ["  (the file ends before)"]),
        ]
    )
