# SPDX-License-Identifier: Apache-2.0
"""Whether a patch applies, with exact context: as dpkg-source does it with `patch -F 0`, but in a git index.

`git apply` looks for hunks as GNU patch does, with a few differences that are levelled here, so that what is clean
here also builds (measured with git 2.39 and patch 2.7.6, tests/unit/test_apply.py):

- git binds a hunk that begins at line 1 to the start of the file; patch does so only where the hunk has less
  context before its change than after it.
- patch looks for a hunk beginning where the one before it was found; git begins where the header says.
- patch binds a hunk with less context after its change than before it to the end of the file; git does so only
  where there is none at all. It refuses hunks that are not in the order of the file, and CRLF in headers.
- patch makes no empty file: a new one is left out in silence, one that becomes empty is removed.

Nothing is written but the index, and by a check not even that.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Final, Literal

from bigtop_builder.errors import TreeError
from bigtop_builder.git_index import Index
from bigtop_builder.patches.diff import FileDiff, parse_diff
from bigtop_builder.patches.diff_names import printable
from bigtop_builder.patches.refusal import Refusal, difference
from bigtop_builder.patches.strictness import context_of, refusals_of_patch

State = Literal["clean", "offset", "conflict"]
APPLIES: Final = frozenset({"clean", "offset"})
"""States of a patch that can be applied as it is."""
Place = tuple[int, int]
"""A hunk: number of the file in the diff from 0, and number of the hunk in it from 1."""

CHECKING = re.compile(r"Checking patch .*\.\.\.")
FOUND = re.compile(r"Hunk #(?P<hunk>\d+) succeeded at \d+ \(offset (?P<lines>-?\d+) lines?\)\.")
FAILED = re.compile(r"error: patch failed: .*:(?P<line>\d+)")
SOUGHT = "error: while searching for:"
LACKING = re.compile(
    r"could not fetch [0-9a-f]+ from|failed to read |unable to read |failed to unpack tree object|bad object|"
    r"not a valid object|missing blob|unable to find [0-9a-f]{40}"
)
"""What git says when an object is not there: the clone is partial or shallow, and its server out of reach."""
HEADER = re.compile(rb"@@ -(\d+)((?:,\d+)?) \+(\d+)((?:,\d+)?) @@")
ROUNDS = 8
SHOWN = 4
"""Hunks or files that are told of."""


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A hunk that was found elsewhere than its header says.

    Attributes:
        file: Path in the tree.
        hunk: Number of the hunk in that file, from 1.
        lines: How far, in lines; downwards is positive.
    """

    file: str
    hunk: int
    lines: int


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What a patch did on a tree.

    Attributes:
        state: `clean`, `offset` (its context is there, but at other lines) or `conflict`.
        tree: Id of the patched tree; None after a conflict or if it was not asked for.
        moved: Hunks found elsewhere.
        refusals: Where it stopped: one for each file that refuses it.
        there: After a conflict: it could be taken back, so all that it does is there already.
    """

    state: State
    tree: str | None = None
    moved: tuple[Moved, ...] = ()
    refusals: tuple[Refusal, ...] = field(default=(), repr=False)
    there: bool = False

    @property
    def refusal(self) -> Refusal | None:
        """The first place where it stopped."""
        return self.refusals[0] if self.refusals else None


def check(index: Index, tree: str, diff: bytes, *, source: str = "the patch") -> Applied:
    """Apply a diff to a tree.

    Args:
        index: Any of the repository's; what it holds is replaced by the files that the diff touches.
        tree: Tree or commit.
        diff: The diff, in mail format or plain.
        source: Its name, for errors.

    Raises:
        InputError: It is no diff that can be read.
        TreeError: The clone lacks an object.
    """
    index.load(tree, touched(diff, source=source))
    done = apply(index, diff, source=source)
    return done if done.refusals else _with_tree(done, index.write_tree())


def apply_series(
    index: Index, tree: str, diffs: Sequence[bytes], *, sources: Sequence[str] = ()
) -> Iterator[Applied]:
    """Apply diffs one on top of another. One that does not apply is left out, and the next is judged without it.

    The tree is loaded once for all, which makes a long series quicker than `check` for each.

    Args:
        index: What it holds is replaced, and must stay until the last one was tried.
        tree: Tree or commit.
        diffs: In their order.
        sources: Their names, for errors.

    Raises:
        InputError: One is no diff that can be read.
        TreeError: The clone lacks an object.
    """
    names = sources or [f"patch {number}" for number in range(1, len(diffs) + 1)]
    if diffs:
        index.load(tree)
    for diff, name in zip(diffs, names, strict=True):
        done = apply(index, diff, source=name)
        yield done if done.refusals else _with_tree(done, index.write_tree())


def apply(index: Index, diff: bytes, *, source: str = "the patch") -> Applied:
    """Apply a diff to what the index holds; it stays as it was if the diff does not apply.

    Raises:
        InputError: It is no diff that can be read.
        TreeError: The clone lacks an object.
    """
    done, data = _settle(index, diff, source, explained=True)
    if done.refusals:
        return done
    if _git_apply(index, data).failed:
        raise TreeError(f"{source} passed its check and was then refused", hint="report this")
    return done


def fits(index: Index, diff: bytes, *, source: str = "the patch") -> Applied:
    """As `apply`, but the index is only read: many threads may ask one index at once.

    Raises:
        InputError: It is no diff that can be read.
        TreeError: The clone lacks an object.
    """
    return _settle(index, diff, source)[0]


def is_there(index: Index, diff: bytes) -> bool:
    """Whether a diff could be taken back from what the index holds, so that all it does is there."""
    return index("apply", "--cached", "--check", "--reverse", *WORDS, stdin=diff, check=False).returncode == 0


def told(applied: Applied) -> str:
    """Where hunks moved, or which ones are refused, in one line."""
    rows = (f"{one.file}, hunk {one.hunk}: {one.lines:+d} lines" for one in applied.moved)
    refused = (_named(one) for one in applied.refusals)
    listed = [*rows, *refused]
    more = [f"{len(listed) - SHOWN} more"] if len(listed) > SHOWN else []
    there = ["all that it does is there already"] if applied.there else []
    return printable("; ".join([*listed[:SHOWN], *more, *there]))


def _named(refusal: Refusal) -> str:
    """A refusal in one line; what is there instead takes several, and is not told."""
    place = f"{refusal.file}, hunk {refusal.hunk}" if refusal.hunk else refusal.file
    if refusal.hunk and (not refusal.text or "\n" in refusal.text):
        return place
    return "; ".join(f"{place}: {line.removeprefix(f'{place}: ')}" for line in refusal.text.splitlines())


def touched(diff: bytes, *, source: str = "the patch") -> frozenset[str]:
    """The paths that a diff reads or writes.

    Raises:
        InputError: It is no diff that can be read.
    """
    return frozenset(path for file in _parsed(diff, source) for path in (file.old, file.new) if path)


WORDS = ("-p1", "--whitespace=nowarn", "-")


@dataclass(frozen=True, kw_only=True)
class _Said:
    """What `git apply -v` said.

    Attributes:
        offsets: Hunk -> lines it was moved, from where it was sent to.
        failed: File's number -> line of the header of the hunk that failed, 0 if the file as a whole did.
        complaint: All of it.
    """

    offsets: Mapping[Place, int]
    failed: Mapping[int, int]
    complaint: str


@lru_cache(maxsize=4096)
def _parsed(diff: bytes, source: str) -> tuple[FileDiff, ...]:
    return parse_diff(diff, source=source)


def _with_tree(done: Applied, tree: str) -> Applied:
    return Applied(state=done.state, tree=tree, moved=done.moved)


def _settle(index: Index, diff: bytes, source: str, *, explained: bool = False) -> tuple[Applied, bytes]:
    """Check a diff until each hunk was looked for from where patch would; return also what was sent last."""
    files = _parsed(diff, source)
    if refusals := tuple(refusals_of_patch(index, diff, files)):
        return Applied(state="conflict", refusals=refusals), diff
    shifts: dict[Place, int] = {}
    for _ in range(ROUNDS):
        sent = _shifted(diff, files, shifts)
        said = _git_apply(index, sent, "--check")
        wanted = _wanted(files, said, shifts)
        if wanted == shifts:
            break
        shifts = wanted
    if said.failed:
        refusals = tuple(_refusals(files, said, shifts))
        if explained:
            refusals = (_explained(index, files, said, refusals[0]), *refusals[1:])
        return Applied(state="conflict", refusals=refusals, there=is_there(index, diff)), sent
    totals = _totals(files, said, shifts)
    if refusals := tuple(_out_of_order(files, totals)):
        return Applied(state="conflict", refusals=refusals), sent
    moved = tuple(
        Moved(file=files[file].path, hunk=hunk, lines=lines)
        for (file, hunk), lines in totals.items()
        if lines
    )
    return Applied(state="offset" if moved else "clean", moved=moved), sent


def _git_apply(index: Index, diff: bytes, *words: str) -> _Said:
    done = index("apply", "--cached", "-v", *words, *WORDS, stdin=diff, check=False)
    if done.returncode and LACKING.search(done.complaint):
        folder = index("rev-parse", "--absolute-git-dir", check=False).text
        raise TreeError(
            f"the clone {folder} lacks objects that the patch needs",
            details=done.complaint,
            hint="it is partial or shallow: make its server reachable and fetch, or name a full clone in "
            "mirrors.git of the settings",
        )
    file, offsets, failed = -1, {}, {}
    for line in done.complaint.splitlines():
        if CHECKING.fullmatch(line):
            file += 1
        elif found := FOUND.fullmatch(line):
            offsets[file, int(found["hunk"])] = int(found["lines"])
        elif refused := FAILED.fullmatch(line):
            failed[max(file, 0)] = int(refused["line"])
        elif line.startswith("error: ") and line != SOUGHT:
            failed.setdefault(max(file, 0), 0)
    if done.returncode and not failed:
        failed[max(file, 0)] = 0
    return _Said(offsets=offsets, failed=failed if done.returncode else {}, complaint=done.complaint)


def _wanted(files: Sequence[FileDiff], said: _Said, shifts: Mapping[Place, int]) -> dict[Place, int]:
    """How far each header is to be shifted, so that git begins to look for it where patch does."""
    wanted = dict(shifts)
    totals = _totals(files, said, shifts)
    for number, file in enumerate(files):
        for position, hunk in enumerate(file.hunks, 1):
            place, before = (number, position), (number, position - 1)
            shift = shifts.get(place, 0)
            if before in totals and totals[before] not in (shift, totals.get(place)):
                wanted[place] = totals[before]
            elif said.failed.get(number) == hunk.old_start + shift == 1 and context_of(hunk).may_move:
                wanted[place] = 1
    return wanted


def _totals(files: Sequence[FileDiff], said: _Said, shifts: Mapping[Place, int]) -> dict[Place, int]:
    """Hunk -> lines from where its own header says to where it was found; of those that were found."""
    totals = {}
    for number, file in enumerate(files):
        stopped = said.failed.get(number)
        for position, hunk in enumerate(file.hunks, 1):
            place = (number, position)
            shift = shifts.get(place, 0)
            if stopped is not None and (stopped == 0 or hunk.old_start + shift == stopped):
                break
            totals[place] = said.offsets.get(place, 0) + shift
    return totals


def _shifted(diff: bytes, files: Sequence[FileDiff], shifts: Mapping[Place, int]) -> bytes:
    if not shifts:
        return diff
    lines = diff.split(b"\n")
    for (file, position), shift in shifts.items():
        at = files[file].hunks[position - 1].line - 1
        lines[at] = HEADER.sub(partial(_header, shift), lines[at], count=1)
    return b"\n".join(lines)


def _header(shift: int, found: re.Match[bytes]) -> bytes:
    old, new = (max(int(found[part]) + shift, 1) for part in (1, 3))
    return b"@@ -%d%s +%d%s @@" % (old, found[2], new, found[4])


def _refusals(files: Sequence[FileDiff], said: _Said, shifts: Mapping[Place, int]) -> Iterator[Refusal]:
    for number, line in sorted(said.failed.items()):
        hunks = enumerate(files[number].hunks, 1)
        at = next((n for n, hunk in hunks if line and hunk.old_start + shifts.get((number, n), 0) == line), 0)
        text = "" if line else "\n".join(_errors(said.complaint, files[number].path))
        yield Refusal(file=files[number].path, hunk=at, text=text)


def _errors(complaint: str, path: str) -> list[str]:
    """What git says of a file, without the lines that it looked for."""
    lines = [line.removeprefix("error: ") for line in complaint.splitlines() if line.startswith("error: ")]
    name = os.fsencode(path).decode(errors="replace")  # as the complaint was read
    own = [path + line.removeprefix(name) for line in lines if line.startswith(f"{name}: ")]
    return own or [line for line in lines if line != SOUGHT.removeprefix("error: ")]


def _explained(index: Index, files: Sequence[FileDiff], said: _Said, first: Refusal) -> Refusal:
    """The first refusal, with what its hunk looks for and what is there instead."""
    if not first.hunk:
        return first
    number, line = min(said.failed.items())
    hunk = files[number].hunks[first.hunk - 1]
    return replace(first, text=difference(hunk, line, index.read(first.file) or ""))


def _out_of_order(files: Sequence[FileDiff], totals: Mapping[Place, int]) -> Iterator[Refusal]:
    """Hunks that git found above the hunk before them."""
    for number, file in enumerate(files):
        end = 0
        for position, hunk in enumerate(file.hunks, 1):
            start = hunk.new_start + totals.get((number, position), 0)
            if start < end:
                text = f"its lines are above those of hunk {position - 1}, and `patch` looks below it alone"
                yield Refusal(file=file.path, hunk=position, text=text)
            end = start + hunk.new_count
