# SPDX-License-Identifier: Apache-2.0
"""What git would apply, and dpkg-source's `patch -F 0` would refuse, leave out or do otherwise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bigtop_builder.git_index import Index
from bigtop_builder.patches.diff import FileDiff, Hunk
from bigtop_builder.patches.refusal import Refusal


@dataclass(frozen=True, kw_only=True)
class Context:
    """How many lines of context a hunk has before its first change and after its last."""

    before: int
    after: int

    @property
    def may_move(self) -> bool:
        """Whether one that begins at line 1 may be found elsewhere than at the start of the file."""
        return self.before >= self.after > 0


def context_of(hunk: Hunk) -> Context:
    """Count a hunk's context."""
    kinds = bytes(line[0] if line.strip(b"\r\n") else 32 for line in hunk.lines if line[:1] != b"\\")
    return Context(
        before=len(kinds) - len(kinds.lstrip(b" ")),
        after=len(kinds) - len(kinds.rstrip(b" ")),
    )


def refusals_of_patch(index: Index, diff: bytes, files: Sequence[FileDiff]) -> Iterator[Refusal]:
    """What git would take, and patch would not take or do otherwise."""
    lines = diff.split(b"\n")
    filled = {file.path for file in files if file.hunks}
    for file in files:
        if file.kind == "new" and not file.hunks and file.path not in filled:
            yield Refusal(file=file.path, hunk=0, text="it is new and empty, and `patch` makes no empty file")
        for hunk, text in _doubts(index, file, lines):
            yield Refusal(file=file.path, hunk=hunk, text=text)


def _doubts(index: Index, file: FileDiff, lines: Sequence[bytes]) -> Iterator[tuple[int, str]]:
    if file.hunks and lines[file.hunks[0].line - 2].endswith(b"\r"):
        yield 0, "its header ends in CRLF, and `patch` then changes the line ends of the whole diff"
    if file.kind in {"new", "delete"}:
        return
    end = 0
    for number, hunk in enumerate(file.hunks, 1):
        context = context_of(hunk)
        if hunk.new_start == hunk.new_count == 0:
            yield number, "it leaves an empty file, which `patch -E` removes: delete the file instead"
        elif hunk.old_start > 1 and context.before == context.after == 0:
            yield number, "it has no context, so nothing proves its place"
        elif 0 < context.after < context.before and not _ends_file(index, file, hunk):
            yield (
                number,
                (
                    f"it has {context.before} lines of context before its change and {context.after} after it: "
                    "`patch` takes that at the end of a file alone"
                ),
            )
        if hunk.old_start < end:
            yield (
                number,
                "it comes before the hunk above it, and `patch` takes hunks in the order of the file",
            )
        end = hunk.old_start + hunk.old_count


def _ends_file(index: Index, file: FileDiff, hunk: Hunk) -> bool:
    """Whether a file ends with what a hunk looks for; also true if it is not there at all, which git tells."""
    there = index("cat-file", "blob", f":{file.old}", check=False)
    sought = b"\n".join(line[1:].rstrip(b"\n") for line in hunk.lines if line[:1] in {b" ", b"-", b""})
    return there.returncode != 0 or (b"\n" + there.stdout).rstrip(b"\n").endswith(
        b"\n" + sought.rstrip(b"\n")
    )
