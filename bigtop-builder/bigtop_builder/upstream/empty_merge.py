# SPDX-License-Identifier: Apache-2.0
"""Whether a release's files have a patch's whole effect already: merged three-way, it changes nothing.

The patch's base, the release's tree and the patched base are merged, all reduced to the files of the patch. An
empty merge alone proves nothing: a patch that takes out a line leaves nothing to do where that line never was.
So the commit is sought that made the merge empty, and it must change lines as the patch does.
"""

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bigtop_builder.git_index import Index
from bigtop_builder.git_tree import parse_objects
from bigtop_builder.mirror import Mirror
from bigtop_builder.upstream.blocks import BLANK, read_blocks

Line = tuple[bytes, bytes]
"""A sign and a line."""
OTHER = {b"+": b"-", b"-": b"+"}
TELLING = 4
"""Bytes, white space not counted, from which on a line says something."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a diff makes of its files.

    Attributes:
        diff: The diff.
        paths: Its files, old and new names.
        lines: Path -> its telling lines.
    """

    diff: bytes = field(repr=False)
    paths: frozenset[str]
    lines: dict[str, frozenset[Line]] = field(repr=False)


def effect_of(diff: bytes) -> Effect:
    """Read a diff's effect."""
    lines: dict[str, set[Line]] = {}
    for block in read_blocks(diff.split(b"\n")):
        here = lines.setdefault(os.fsdecode(block.path), set())
        for sign, some in ((b"-", block.removed), (b"+", block.added)):
            here |= {(sign, line) for line in some if _tells(line)}
    renamed = {
        os.fsdecode(line.split(b" ", 2)[2].strip())
        for line in diff.split(b"\n")
        if line.startswith((b"rename from ", b"rename to "))
    }
    return Effect(
        diff=diff,
        paths=frozenset(renamed | set(lines)),
        lines={path: frozenset(some) for path, some in lines.items()},
    )


class Contents:
    """Files of one commit as sets of lines, read once, many at a time."""

    def __init__(self, mirror: Mirror, commit: str) -> None:
        self._mirror = mirror
        self._commit = commit
        self._files: dict[str, frozenset[bytes] | None] = {}

    def load(self, paths: Iterable[str]) -> None:
        """Read files that were not read before."""
        wanted = sorted(path for path in set(paths) - self._files.keys() if "\n" not in path)
        if not wanted:
            return
        asked = "".join(f"{self._commit}:{path}\n" for path in wanted)
        printed = self._mirror.git("cat-file", "--batch", stdin=os.fsencode(asked)).stdout
        for path, found in zip(wanted, parse_objects(printed), strict=True):
            self._files[path] = frozenset(found.content.split(b"\n")) if found else None

    def may_have(self, effect: Effect) -> bool:
        """False if the commit's files certainly lack a part of the effect: a line that comes is not there."""
        self.load(effect.lines)
        for path, lines in effect.lines.items():
            there = self._files.get(path) or frozenset()
            if any(sign == b"+" and line not in there for sign, line in lines):
                return False
        return bool(effect.lines)

    def undoes(self, effect: Effect, moved: Mapping[str, str]) -> bool:
        """Whether the effect does not show: of the lines that come not one is there, or of those that go all are.

        Args:
            effect: The patch's. Lines that it moves within a file say nothing.
            moved: Path in the patch -> path in the commit, where that is another one.
        """
        paths = {path: moved.get(path, path) for path in effect.lines}
        self.load(paths.values())
        left: dict[bytes, list[bool]] = {b"+": [], b"-": []}
        for path, lines in effect.lines.items():
            there = self._files.get(paths[path]) or frozenset()
            for sign, line in lines:
                if (OTHER[sign], line) not in lines:
                    left[sign].append((line in there) == (sign == b"+"))
        return any(some and not any(some) for some in left.values())

    def lacks(self, path: str) -> bool:
        """Whether the commit has no such file."""
        self.load([path])
        return self._files.get(path) is None


def landing(effect: Effect, release: str, *, index: Index, base: str = "") -> str | None:
    """The commit of a release's history that completed a patch's effect; empty if it is not there as a whole.

    None if it cannot be known: the patch does not apply to its base, or the files that it names are not here.

    Args:
        effect: The patch's.
        release: Commit whose history is searched.
        index: Has the objects of release and base. What it holds is lost.
        base: Tree or commit that the patch applies to; if empty, its files are those that the diff names by
            their ids (full index), where the repository has them.
    """
    sides = _sides(effect, index, base)
    if sides is None:
        return None
    if not _empty(release, effect.paths, sides, index):
        return ""
    words = ("rev-list", "--topo-order", "--reverse", release, "--", *sorted(effect.paths))
    commits = index(*words, env={"GIT_LITERAL_PATHSPECS": "1"}).text.split()
    done = _first_empty(commits, effect.paths, sides, index)
    return done if done and _does_likewise(done, effect, index) else ""


def _sides(effect: Effect, index: Index, base: str) -> tuple[str, str] | None:
    """Trees of the patch's files before and after it; None if it does not apply to its base."""
    if base:
        index.load(base, effect.paths)
    else:
        with tempfile.TemporaryDirectory(prefix="bigtop-builder-ancestor-") as folder:
            file = Path(folder) / "index"
            made = index("apply", f"--build-fake-ancestor={file}", "-", stdin=effect.diff, check=False)
            if made.returncode != 0 or not file.is_file():
                return None
            tree = index("write-tree", "--missing-ok", env={"GIT_INDEX_FILE": str(file)}).text
        index.load(tree)
    before = index("write-tree", "--missing-ok").text
    applied = index("apply", "--cached", "--whitespace=nowarn", "-", stdin=effect.diff, check=False)
    if applied.returncode != 0:
        return None
    return before, index("write-tree", "--missing-ok").text


def _empty(commit: str, paths: Iterable[str], sides: tuple[str, str], index: Index) -> bool:
    index.load(commit, paths)
    ours = index("write-tree", "--missing-ok").text
    merged = index.merge(sides[0], ours, sides[1])
    return not merged.conflicts and merged.tree == ours


def _first_empty(commits: Sequence[str], paths: Iterable[str], sides: tuple[str, str], index: Index) -> str:
    """A commit from which on the merge is empty, found by halving; empty if there is none."""
    low, high = 0, len(commits) - 1
    if high < 0 or not _empty(commits[high], paths, sides, index):
        return ""
    while low < high:
        middle = (low + high) // 2
        if _empty(commits[middle], paths, sides, index):
            high = middle
        else:
            low = middle + 1
    return commits[high]


def _does_likewise(commit: str, effect: Effect, index: Index) -> bool:
    """Whether a commit takes out a telling line that the patch takes out, and adds one that it adds.

    Else the lines may have been so from the start, as where a patch goes back to what an old release has.
    """
    words = ("diff-tree", "-p", "--root", "--no-renames", "-m", "--first-parent", commit)
    theirs = effect_of(index(*words).stdout).lines
    shared = {
        sign for path, lines in effect.lines.items() for sign, _ in lines & theirs.get(path, frozenset())
    }
    return shared == {sign for lines in effect.lines.values() for sign, _ in lines}


def _tells(line: bytes) -> bool:
    return len(line.translate(None, BLANK)) >= TELLING
