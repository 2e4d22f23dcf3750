# SPDX-License-Identifier: Apache-2.0
"""Why a patch does not apply: which hunk of which file, what it looks for, and what is there instead."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from unidiff.errors import UnidiffParseError
from unidiff.patch import Hunk, PatchedFile, PatchSet

FAILED_AT = re.compile(r"^error: patch failed: (?P<file>.+):(?P<line>\d+)$", re.MULTILINE)
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


def explain(complaint: str, diff: str, content: Callable[[str], str | None]) -> Refusal:
    """Turn git's complaint about a patch into what a maintainer needs to mend it.

    Args:
        complaint: Standard error of `git apply`.
        diff: Text of the patch.
        content: Gives the text of a file in the tree, None if there is none.
    """
    if (failed := FAILED_AT.search(complaint)) and (
        place := _hunk(diff, failed["file"], int(failed["line"]))
    ):
        number, hunk = place
        return Refusal(
            file=failed["file"], hunk=number, text=_difference(hunk, content(failed["file"]) or "")
        )
    lines = [line.removeprefix("error: ") for line in complaint.splitlines() if line.startswith("error: ")]
    first = lines[0] if lines else complaint.strip()
    return Refusal(file=first.partition(":")[0], hunk=0, text="\n".join(lines) or complaint.strip())


def _hunk(diff: str, file: str, line: int) -> tuple[int, Hunk] | None:
    try:
        patched = next((one for one in PatchSet(diff) if _path(one) == file), None)
    except UnidiffParseError:
        return None
    return next(((n, hunk) for n, hunk in enumerate(patched or (), 1) if hunk.source_start == line), None)


def _path(patched: PatchedFile) -> str:
    return str(patched.source_file).removeprefix("a/")


def _difference(hunk: Hunk, text: str) -> str:
    expected = [str(line.value).rstrip("\n") for line in hunk if not line.is_added]
    start = max(hunk.source_start - 1, 0)
    there = text.splitlines()[start : start + len(expected)]
    at = next((n for n, (a, b) in enumerate(zip(expected, there, strict=False)) if a != b), len(there))
    low = max(at - 1, 0)
    return "\n".join(
        [
            f"line {start + at + 1}, the patch looks for:",
            *(f"  | {line}" for line in expected[low : low + SHOWN]),
            "there is instead:",
            *([f"  | {line}" for line in there[low : low + SHOWN]] or ["  (the file ends before)"]),
        ]
    )
