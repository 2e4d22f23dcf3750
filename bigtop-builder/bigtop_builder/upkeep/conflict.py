# SPDX-License-Identifier: Apache-2.0
"""Where a patch and a release disagree: hunk, base, ours and theirs, and the upstream commit behind ours."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from bigtop_builder.git_index import Index, Merge
from bigtop_builder.git_tree import TreeEntry
from bigtop_builder.patches.diff import FileDiff, parse_diff
from bigtop_builder.patches.queue import Patch
from bigtop_builder.patches.refusal import Refusal

CHANGED = re.compile(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)
BLAMED = re.compile(r"^([0-9a-f]{40}) \d+ (\d+)", re.MULTILINE)
BASE, OURS, THEIRS = 1, 2, 3
LINE_ENDS = b"\r\n"
MAX = 12
"""Lines of a side that a report for people shows."""


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """One hunk of a patch that a release cannot take.

    Attributes:
        patch: Id of the patch.
        file: The patch's file.
        line: Line of the hunk in that file; 0 if the file as a whole is the matter.
        path: Path in the tree.
        hunk: Number of the hunk among those of that path, from 1; 0 for the file as a whole.
        base: Lines that the patch was made on.
        ours: What the release has in their place.
        theirs: What the patch wants there.
        commit: Upstream commit that last touched those lines; empty if that is not known.
        subject: Its subject; without a commit, the patch of the queue that wrote those lines.
        lacks: Whether it is a commit that the old release has and the new one never had.
        text: What git says, where there are no lines to show.
    """

    patch: str
    file: str
    line: int
    path: str
    hunk: int
    base: tuple[str, ...] = ()
    ours: tuple[str, ...] = ()
    theirs: tuple[str, ...] = ()
    commit: str = ""
    subject: str = ""
    lacks: bool = False
    text: str = ""

    @property
    def value(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)

    def told(self) -> list[str]:
        """For people."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        what = f"{self.path}, hunk {self.hunk}" if self.hunk else self.path
        lines = [f"{place}: {what}", *(f"  {line}" for line in self.text.splitlines())]
        for name in ("base", "ours", "theirs"):
            side: tuple[str, ...] = getattr(self, name)
            if not self.text:
                more = [f"    | and {len(side) - MAX} more"] if len(side) > MAX else []
                lines += [f"  {name}:", *(f"    | {line}" for line in side[:MAX] or ("(nothing)",)), *more]
        upstream = f"{self.commit[:12]} {self.subject}".strip() or "not known"
        what = "written by what this release never had" if self.lacks else "last touched upstream by"
        return [*lines, f"  {what}: {upstream}"]


def refusals(patch: Patch, found: Sequence[Refusal]) -> tuple[Conflict, ...]:
    """The places where a patch that cannot be merged does not apply."""
    files = {file.old or file.new: file for file in parse_diff(patch.diff, source=str(patch.path))}
    unsettled = []
    for one in found:
        file = files.get(one.file)
        line = file.hunks[one.hunk - 1].line if file and one.hunk else file.line if file else 0
        unsettled.append(
            Conflict(
                patch=patch.id,
                file=str(patch.path),
                line=line,
                path=one.file,
                hunk=one.hunk,
                text=one.text or "it does not apply",
            )
        )
    return tuple(unsettled)


class _Past(NamedTuple):
    """Where lines can be from: the new release with its patches, the old release, the patches before this one."""

    new: str
    old: str
    earlier: Sequence[Patch]


@dataclass(frozen=True)
class _Range:
    """Lines of the old side that became lines of the new side; both from 0, ends not in."""

    old: tuple[int, int]
    new: tuple[int, int]


def conflicts(
    index: Index,
    merge: Merge,
    patch: Patch,
    *,
    ours: str,
    before: str,
    history: str,
    old_history: str,
    earlier: Sequence[Patch] = (),
) -> tuple[Conflict, ...]:
    """What a merge could not settle.

    Args:
        index: Reads all trees.
        merge: The merge.
        patch: The patch that was merged.
        ours: Tree that it was merged into.
        before: Tree that the patch was made on.
        history: Commit of the release, for blame; empty if there is no history.
        old_history: Commit of the release that the patch was made for, likewise.
        earlier: The patches before it.
    """
    files = parse_diff(patch.diff, source=str(patch.path))
    old = index.entries(before, [file.old for file in files if file.old])
    told = history and index.commit(ours, history)
    found: list[Conflict] = []
    for path in merge.conflicts:
        stages = merge.stages[path]
        file = _file_of(path, stages.get(BASE), files, old)
        if len(stages) == THEIRS and file:
            found += _of_lines(index, patch, path, stages, file, _Past(told, old_history, earlier))
        else:
            found.append(_of_file(index, merge, patch, path, file, history))
    return tuple(found)


def _file_of(
    path: str, base: TreeEntry | None, files: Sequence[FileDiff], old: Mapping[str, TreeEntry]
) -> FileDiff | None:
    """The part of the patch behind a path, which may have another name in the release."""
    named = (file for file in files if path in (file.old, file.new))
    same = (file for file in files if base and file.old and old.get(file.old) == base)
    return next(named, next(same, None))


def _of_file(
    index: Index, merge: Merge, patch: Patch, path: str, file: FileDiff | None, history: str
) -> Conflict:
    said = " ".join(text for text in merge.messages if path in text) or "conflict"
    name = (file.old or file.new) if file else path
    commit, subject = _last(index, history, "--", *{path, name or path})
    return Conflict(
        patch=patch.id,
        file=str(patch.path),
        line=file.line if file else 0,
        path=path,
        hunk=0,
        text=said.partition("\n")[0],
        commit=commit,
        subject=subject,
    )


def _of_lines(
    index: Index,
    patch: Patch,
    path: str,
    stages: Mapping[int, TreeEntry],
    file: FileDiff,
    past: _Past,
) -> Iterator[Conflict]:
    base, ours, theirs = (_lines(index, stages[side].oid) for side in (BASE, OURS, THEIRS))
    here = _ranges(index, stages[BASE].oid, stages[OURS].oid)
    there = _ranges(index, stages[BASE].oid, stages[THEIRS].oid)
    for number, hunk in enumerate(file.hunks, 1):
        low, high = hunk.old_start - 1, hunk.old_start - 1 + hunk.old_count
        wanted = [one for one in there if low <= one.old[0] and one.old[1] <= max(high, low + 1)]
        met = [one for one in here if any(_touch(one.old, other.old) for other in wanted)]
        if not met:
            continue
        wanted = [one for one in wanted if any(_touch(one.old, other.old) for other in met)]
        span = (min(one.old[0] for one in (*met, *wanted)), max(one.old[1] for one in (*met, *wanted)))
        commit, subject, lacks = _upstream(index, past, path, met, base, ours)
        yield Conflict(
            patch=patch.id,
            file=str(patch.path),
            line=hunk.line,
            path=path,
            hunk=number,
            base=_text(base[span[0] : span[1]]),
            ours=_text(ours[slice(*_through(span, met))]),
            theirs=_text(theirs[slice(*_through(span, wanted))]),
            commit=commit,
            subject=subject,
            lacks=lacks,
        )


def _touch(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two ranges overlap or meet: a merge takes neighbouring changes for a conflict, too."""
    return one[0] <= other[1] and other[0] <= one[1]


def _through(span: tuple[int, int], changes: Sequence[_Range]) -> tuple[int, int]:
    """Lines of the new side that a span of the old side became."""
    first, last = changes[0], changes[-1]
    return first.new[0] - (first.old[0] - span[0]), last.new[1] + (span[1] - last.old[1])


def _ranges(index: Index, old: str, new: str) -> tuple[_Range, ...]:
    diff = index("diff", "--no-ext-diff", "--no-textconv", "--unified=0", old, new, check=False).stdout
    return tuple(_range(*found) for found in CHANGED.findall(diff))


def _range(old: bytes, old_count: bytes, new: bytes, new_count: bytes) -> _Range:
    """A hunk without context; of an empty side its header names the line before (diff(1), unified format)."""
    sides = []
    for start, count in ((int(old), int(old_count or 1)), (int(new), int(new_count or 1))):
        first = start - 1 if count else start
        sides.append((first, first + count))
    return _Range(*sides)


def _upstream(
    index: Index, past: _Past, path: str, met: Sequence[_Range], base: Sequence[bytes], ours: Sequence[bytes]
) -> tuple[str, str, bool]:
    """The newest commit behind the release's side: who wrote its lines, or who took the patch's away.

    Where the release never had those lines, it is the commit that wrote them in the old one, or a patch of the queue.
    """
    written = [one for one in met if one.new[0] < one.new[1]]
    if past.new and written:
        spans = [word for one in written for word in ("-L", f"{one.new[0] + 1},{one.new[1]}")]
        blamed = index("blame", "--porcelain", *spans, past.new, "--", path, check=False)
        if commits := {commit for commit, _ in BLAMED.findall(blamed.text)} - {past.new}:
            return *_last(index, *sorted(commits), "--no-walk=sorted"), False
        there = [line for one in written for line in ours[slice(*one.new)] if line.strip()]
        if writer := _writer(there, past.earlier):
            return "", writer, False
    gone = [line for one in met for line in base[slice(*one.old)] if line.strip()]
    if not gone:
        return "", "", False
    sought = f"-S{os.fsdecode(max(gone, key=len).rstrip(LINE_ENDS))}"
    if past.new and (found := _last(index, f"{past.new}^", sought, "--", path))[0]:
        return *found, False
    if (found := _last(index, past.old, sought, "--", path))[0]:
        return *found, True
    return "", _writer(gone, past.earlier), False


def _writer(lines: Sequence[bytes], earlier: Sequence[Patch]) -> str:
    """The newest patch before this one that adds a line, in words; empty if there is none."""
    if not lines:
        return ""
    line = b"\n+" + max(lines, key=len).rstrip(LINE_ENDS)
    return next((f"patch {one.id} of this queue" for one in reversed(earlier) if line in one.diff), "")


def _last(index: Index, *words: str) -> tuple[str, str]:
    """Id and subject of the newest commit that fits; empty where there is no history."""
    if not words or not words[0]:
        return "", ""
    done = index("log", "-1", "--format=%H%x00%s", *words, check=False)
    commit, _, subject = done.text.partition("\0")
    return (commit, subject) if done.returncode == 0 else ("", "")


def _lines(index: Index, oid: str) -> list[bytes]:
    return index("cat-file", "blob", oid).stdout.splitlines(keepends=True)


def _text(lines: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(line.rstrip(b"\r\n").decode(errors="replace") for line in lines)
