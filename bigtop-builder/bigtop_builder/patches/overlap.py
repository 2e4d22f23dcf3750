# SPDX-License-Identifier: Apache-2.0
"""Two patches that touch the same lines, and whether a recipe has them the right way round.

Nothing is applied: the diffs themselves tell, by the object ids of the files and by lines that one of them
brings and the other one looks for.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations

from bigtop_builder.patches.diff import FileDiff, scan_diff
from bigtop_builder.patches.finding import Finding
from bigtop_builder.patches.queue import Diff, Entry

TELLING = 6
"""Shortest line, without white space around it, that can tell which patch was made first: `}` cannot."""


def find_overlaps(
    entry: Entry, others: Sequence[Entry], orders: Mapping[str, Sequence[str]]
) -> tuple[Finding, ...]:
    """What is to be said of a patch and those of its target that touch the same lines.

    A pair is told of at the patch that comes second, whichever of the two is asked for.

    Args:
        entry: The patch.
        others: All patches of the queue; itself may be among them.
        orders: Recipe -> its patches, in order.
    """
    known = {other.id: other for other in (*others, entry) if other.target == entry.target}
    met: dict[tuple[Diff, Diff], list[str]] = defaultdict(list)
    for release, listed in orders.items():
        if entry.id not in listed:
            continue
        here = [
            (known[one], diff) for one in listed if one in known and (diff := known[one].diff_for(release))
        ]
        for (first, early), (second, late) in combinations(here, 2):
            if entry.id in (first.id, second.id):
                met[early, late].append(release)
    return tuple(found for (early, late), releases in met.items() for found in _pair(early, late, releases))


def _pair(early: Diff, late: Diff, releases: Sequence[str]) -> Iterator[Finding]:
    files = {file.new or file.old: file for file in _scanned(early.data)}
    for file in _scanned(late.data):
        before = files.get(file.old or file.new)
        if before is None:
            continue
        path, where = file.old or file.new, ", ".join(releases)
        here, there = _id(late), _id(early)
        if line := _wrong(before, file):
            yield Finding(
                file=str(late.path),
                line=file.line,
                rule="order",
                text=f"{path}: {there} comes before {here} in {where}, and was made on top of it: line {line} of "
                f"{early.path} looks for what {here} brings",
                hint=f"put {here} before {there} in the recipe",
            )
        elif line := _met(before, file):
            yield Finding(
                file=str(late.path),
                line=line,
                rule="overlap",
                text=f"{path}: it touches the same lines as {there}, which comes before it in {where}",
                hint="keep this order; where one of them goes, look whether the other still applies",
                level="note",
            )


def _met(first: FileDiff, second: FileDiff) -> int:
    """Line of the first hunk of the second one that touches lines of the first; 0 if none does."""
    taken = [(hunk.new_start, hunk.new_start + max(hunk.new_count, 1)) for hunk in first.hunks]
    for hunk in second.hunks:
        low, high = hunk.old_start, hunk.old_start + max(hunk.old_count, 1)
        if any(start < high and low < end for start, end in taken):
            return hunk.line
    return 0


def _wrong(first: FileDiff, second: FileDiff) -> int:
    """Line of the first one that shows that it was made after the second; 0 if nothing does."""
    if _same(first.new_blob, second.old_blob):
        return 0
    if _same(second.new_blob, first.old_blob):
        return first.line
    brought, sought = _lines(first, b"+") - _lines(first, b" -"), _lines(second, b" -")
    if brought & sought:
        return 0
    telling = _lines(second, b"+") - sought
    for hunk in first.hunks:
        for number, line in enumerate(hunk.lines, hunk.line + 1):
            if line[:1] in b" -" and line[1:].strip() in telling:
                return number
    return 0


def _lines(file: FileDiff, marks: bytes) -> set[bytes]:
    """The lines of a file's diff that begin with one of these marks, as far as they can tell anything."""
    lines = (line for hunk in file.hunks for line in hunk.lines if line[:1] in marks)
    return {text for line in lines if len(text := line[1:].strip()) >= TELLING}


def _same(one: str, other: str) -> bool:
    """Whether two object ids, one of which may be abbreviated, name the same file."""
    length = min(len(one), len(other))
    return bool(length) and one[:length] == other[:length] and bool(one.strip("0"))


def _id(diff: Diff) -> str:
    return "/".join(diff.path.parent.parts[-2:])


@lru_cache(maxsize=2048)
def _scanned(data: bytes) -> tuple[FileDiff, ...]:
    return scan_diff(data)[0]
