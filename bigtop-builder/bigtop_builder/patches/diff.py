# SPDX-License-Identifier: Apache-2.0
"""Unified diffs, read strictly: what `git apply` and dpkg-source would drop in silence is a fault here.

All is bytes: sources may be in latin-1, and lines may end in CRLF. Rules of the form are those of git-diff(1),
"Generating patch text with -p", and of diff(1), "Unified Format".
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NoReturn

from bigtop_builder.errors import InputError
from bigtop_builder.patches.diff_names import (
    NULL,
    below,
    first_folders,
    keeps_first,
    named,
    read_path,
    why_outside,
)
from bigtop_builder.patches.file_diff import Fault, FileDiff, Hunk, Kind, Rule

__all__ = ["Fault", "FileDiff", "Hunk", "parse_diff", "scan_diff"]

HUNK: Final = re.compile(rb"@@ -(\d{1,18})(?:,(\d{1,18}))? \+(\d{1,18})(?:,(\d{1,18}))? @@(?: .*)?")
INDEX: Final = re.compile(
    rb"index (?P<old>[0-9a-f]{4,64})\.\.(?P<new>[0-9a-f]{4,64})(?: (?P<mode>[0-7]{6}))?"
)
MODE: Final = re.compile(rb"(?P<what>old|new|new file|deleted file) mode (?P<mode>[0-7]{6})")
MOVE: Final = re.compile(rb"(?P<what>rename|copy) (?P<side>from|to) (?P<path>.+)")
SIMILARITY: Final = re.compile(rb"(?:dis)?similarity index \d+%")
EPOCH: Final = re.compile(rb"\b(?:1969-12-31|1970-01-01) \d\d:\d\d:00(?:\.0+)?(?!\.)")
"""How diff dates a file that is not there."""
LINES: Final = re.compile(rb"[^\n]*\n|[^\n]+")
MADE_ANEW: Final = "make it anew: git diff --full-index, or git format-patch"
BINARY: Final = "its content is binary, and dpkg-source takes text alone"
NO_BINARY: Final = "put the file elsewhere: into debian/, or fetch it as a source"


def parse_diff(data: bytes, *, source: str) -> tuple[FileDiff, ...]:
    """Read a diff, or a mail that holds one.

    Args:
        data: The file.
        source: Its name, for errors.

    Raises:
        InputError: It is no diff, a part is malformed, binary, or for a path out of the tree, or it was made for
            `-p0`. File, line, the path in it and the way out are named; the first fault counts.
    """
    files, faults = scan_diff(data)
    if faults:
        first = faults[0]
        path = f"{first.path}: " if first.path else ""
        raise InputError(f"{source}:{first.line}: {path}{first.text}", hint=first.hint)
    return files


def scan_diff(data: bytes) -> tuple[tuple[FileDiff, ...], tuple[Fault, ...]]:
    """Read a diff to its end, and tell all its faults, in the order of their lines."""
    reader = _Reader(tuple(LINES.findall(data)))
    reader.read()
    return tuple(reader.files), tuple(sorted(reader.faults, key=lambda fault: fault.line))


class _Stop(Exception):
    """The rest of this file's part cannot be understood."""


@dataclass
class _Head:
    """What the lines before the first hunk say."""

    line: int
    names: tuple[str, str] | None = None
    git: bytes | None = None
    moved: dict[str, str] = field(default_factory=dict)
    move: Literal["rename", "copy", ""] = ""
    modes: dict[str, str] = field(default_factory=dict)
    blobs: tuple[str, str] = ("", "")
    epochs: tuple[bool, bool] = (False, False)
    binary: int = 0


class _Reader:
    """Goes through the lines once. Faults are kept, and reading goes on with the next file."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self.lines = lines
        self.at = 0
        self.files: list[FileDiff] = []
        self.faults: list[Fault] = []
        self._path = ""
        self._folders = frozenset(first_folders(lines))

    def read(self) -> None:
        while self.at < len(self.lines):
            if self._starts_file():
                begun, self._path = self.at, ""
                try:
                    self._file()
                except _Stop:
                    self.at += self.at == begun
            else:
                self._between()
                self.at += 1
        if not self.files and not self.faults:
            self._fault(
                max(len(self.lines), 1), "no-diff", "there is no diff in it", f"add the diff, or {MADE_ANEW}"
            )

    def _file(self) -> None:
        head = _Head(line=self.at + 1)
        if self._line().startswith(b"diff "):
            self._git_header(head)
        if self._line().startswith(b"--- "):
            self._names(head)
        elif self._line().startswith(b"@@ ") and not head.binary:
            self._malformed("the lines `--- a/PATH` and `+++ b/PATH` are missing above this hunk", MADE_ANEW)
        file = self._identified(head)
        if head.binary:
            self.files.append(replace(file, kind="binary"))
            self._stop(head.binary, "binary", BINARY, NO_BINARY)
        file = replace(file, hunks=tuple(self._hunks()))
        if not file.hunks and (head.names or (file.kind == "change" and file.old_mode == file.new_mode)):
            text = "it has a header and no hunk, so nothing happens to this file"
            self._stop(head.line, "header-only", text, f"take it out, or {MADE_ANEW}")
        elif not file.hunks and file.kind == "change":
            file = replace(file, kind="mode")
        elif (
            head.git is None
            and file.kind == "change"
            and file.hunks[0].old_start == file.hunks[0].old_count == 0
        ):
            file = replace(file, old="", kind="new")
        self.files.append(file)

    def _git_header(self, head: _Head) -> None:
        line = self._line()
        if line.startswith((b"diff --cc ", b"diff --combined ")):
            text = "this is the combined diff of a merge, which nothing can apply"
            self._stop(self.at + 1, "malformed", text, "make one of a side: git diff MERGE^1 MERGE")
        head.git = line.removeprefix(b"diff --git ")
        self._path = below(read_path(line.rpartition(b" ")[2]))
        self.at += 1
        while self.at < len(self.lines) and self._extended(head):
            self.at += 1

    def _extended(self, head: _Head) -> bool:
        """Take one of git's lines between `diff --git` and `---`; False at the end of them."""
        line = self._line()
        if match := INDEX.fullmatch(line):
            head.blobs = (match["old"].decode(), match["new"].decode())
            if match["mode"]:
                head.modes.setdefault("index", match["mode"].decode())
        elif match := MODE.fullmatch(line):
            head.modes[match["what"].decode()] = match["mode"].decode()
        elif match := MOVE.fullmatch(line):
            head.move = "rename" if match["what"] == b"rename" else "copy"
            head.moved[match["side"].decode()] = read_path(match["path"])
        elif line == b"GIT binary patch" or (line.startswith(b"Binary files ") and line.endswith(b" differ")):
            self.at += 1
            head.binary = self.at
            return False
        elif not line.strip() or self._ends_header(line):
            return False
        elif not SIMILARITY.fullmatch(line):
            self._malformed(f"git has no such header: {_shown(line)}", f"mend the line, or {MADE_ANEW}")
        return True

    def _ends_header(self, line: bytes) -> bool:
        return self._starts_file() or line.startswith((b"--- ", b"@@ ", b"-- ", b"From ", b"commit "))

    def _names(self, head: _Head) -> None:
        """Take the lines `---` and `+++`."""
        after = self._line(1)
        if not after.startswith(b"+++ "):
            self._malformed("no line `+++ b/PATH` follows `--- a/PATH`", f"add it, or {MADE_ANEW}")
        old, new = self._line()[4:], after[4:]
        head.epochs = (bool(EPOCH.search(old)), bool(EPOCH.search(new)))
        head.names = (named(old), named(new))
        self.at += 2

    def _identified(self, head: _Head) -> FileDiff:
        """The file that a header is about."""
        sides = head.names or self._git_names(head)
        self._path = next((side for side in reversed(sides) if side != NULL), "")
        for side in sides:
            self._inside(head.line, side)
        old, new = self._stripped(head, sides)
        self._path = new or old
        kind: Kind = head.move or ("new" if not old else "delete" if not new else "change")
        before = head.modes.get("old") or head.modes.get("deleted file") or head.modes.get("index", "")
        after = head.modes.get("new") or head.modes.get("new file") or head.modes.get("index", "")
        if ("old" in head.modes) != ("new" in head.modes):
            self._stop_here(head, "one of the lines `old mode` and `new mode` is missing")
        return FileDiff(
            old=old,
            new=new,
            line=head.line,
            kind=kind,
            old_mode=before if old else "",
            new_mode=after if new else "",
            old_blob=head.blobs[0],
            new_blob=head.blobs[1],
        )

    def _git_names(self, head: _Head) -> tuple[str, str]:
        """The two names of a `diff --git` line, which may hold spaces: both are the same, or those of a move."""
        line = head.git or b""
        quoted = re.fullmatch(rb'("(?:[^"\\]|\\.)*"|\S+) ("(?:[^"\\]|\\.)*"|\S+)', line)
        pairs = [(quoted[1], quoted[2])] if quoted else []
        pairs += [(line[:at], line[at + 1 :]) for at, char in enumerate(line) if char == ord(" ")]
        for one, other in pairs:
            names = (read_path(one), read_path(other))
            ends = (below(names[0]), below(names[1]))
            if ends == (head.moved.get("from"), head.moved.get("to")) or (ends[0] and ends[0] == ends[1]):
                gone = names[0] if "new file" not in head.modes else NULL
                return gone, (names[1] if "deleted file" not in head.modes else NULL)
            if names == (head.moved.get("from"), head.moved.get("to")) or (
                names[0] == names[1] and not ends[0]
            ):
                return names
        return self._stop_here(head, f"two names of one file are not in this line: {_shown(line)}")

    def _stripped(self, head: _Head, sides: tuple[str, str]) -> tuple[str, str]:
        """Both names as `-p1` takes them; empty for one that is not there."""
        there = [side for side in sides if side != NULL]
        if not there:
            self._stop_here(head, "it is /dev/null before and after")
        if head.moved.get("from") == sides[0] or keeps_first(there, self._folders):
            text = "its paths have no first folder that -p1 could strip (`a/`, `b/`): it was made for -p0"
            self._stop(
                head.line, "p0", text, "make it anew with git diff --default-prefix, or write a/ and b/"
            )
        old, new = (below(side) if side != NULL else "" for side in sides)
        for path in (old, new):
            self._inside(head.line, path)
        if head.moved and (old, new) != (head.moved.get("from"), head.moved.get("to")):
            self._stop_here(head, f"it moves {head.moved.get('from')}, and its names are {old} and {new}")
        if head.git is not None and old and new and old != new and not head.moved:
            self._stop_here(head, f"it names two files, {old} and {new}, and is no rename")
        if old and new and not head.moved:
            if not (old.startswith(new) or new.startswith(old)):
                self._stop_here(head, f"it names two files, {old} and {new}")
            old = new = min(old, new, key=len)
        if head.git is None and old and new and not all(head.epochs):
            old, new = ("" if head.epochs[0] else old), ("" if head.epochs[1] else new)
        if (("new file" in head.modes) and old) or (("deleted file" in head.modes) and new):
            self._stop_here(head, "its mode line and its names differ on whether the file is new or goes")
        return old, new

    def _hunks(self) -> Iterator[Hunk]:
        while self.at < len(self.lines) and self._line().startswith(b"@@"):
            match = HUNK.fullmatch(self._line())
            if not match:
                self._malformed(
                    f"no hunk header: {_shown(self._line())}", "write it as `@@ -OLD,COUNT +NEW,COUNT @@`"
                )
            start, counts = self.at + 1, (_count(match[2]), _count(match[4]))
            self.at += 1
            lines = self._body(start, counts)
            yield Hunk(
                line=start,
                old_start=int(match[1]),
                old_count=counts[0],
                new_start=int(match[3]),
                new_count=counts[1],
                lines=lines,
            )
            self._require_end(start, counts)

    def _body(self, start: int, counts: tuple[int, int]) -> tuple[bytes, ...]:
        """The lines of a hunk, as many as its header says."""
        first, seen = self.at, [0, 0]
        while seen[0] < counts[0] or seen[1] < counts[1]:
            line = self.lines[self.at] if self.at < len(self.lines) else b"?"
            mark = line[:1] if line.rstrip(b"\r\n") else b" "
            if mark not in b" +-\\" or (
                mark == b"-" and self._starts_file() and self._line(2).startswith(b"@@ ")
            ):
                self._miscounted(start, counts, seen)
            seen[0] += mark in b" -"
            seen[1] += mark in b" +"
            if seen[0] > counts[0] or seen[1] > counts[1]:
                self._miscounted(start, counts, seen)
            self.at += 1
        if self.at < len(self.lines) and self.lines[self.at].startswith(b"\\"):
            self.at += 1
        return tuple(self.lines[first : self.at])

    def _require_end(self, start: int, counts: tuple[int, int]) -> None:
        """A line that would still belong to the hunk is dropped in silence by git and patch alike."""
        line = self.lines[self.at] if self.at < len(self.lines) else b""
        if line[:1] in (b"+", b"-") and not self._starts_file() and not re.match(rb"-- \r?\n|---\r?\n", line):
            more = (counts[0] + (line[:1] == b"-"), counts[1] + (line[:1] == b"+"))
            self._miscounted(start, counts, more)

    def _miscounted(self, start: int, counts: Sequence[int], seen: Sequence[int]) -> NoReturn:
        said, found = (f"{numbers[0]} old and {numbers[1]} new lines" for numbers in (counts, seen))
        text = f"the hunk of line {start} says {said}, and has {found} here"
        hint = f"correct the counts in line {start} (recountdiff of patchutils does so), or {MADE_ANEW}"
        self._stop(min(self.at + 1, len(self.lines)), "malformed", text, hint)

    def _between(self) -> None:
        """A line that belongs to no file: prose, or what has lost its header."""
        line = self._line()
        self._path = ""
        if HUNK.fullmatch(line) and not self.faults:
            text = "a hunk without the lines `--- a/PATH` and `+++ b/PATH` above it"
            self._fault(self.at + 1, "malformed", text, f"add them, or {MADE_ANEW}")
        elif line.startswith(b"Binary files ") and line.endswith(b" differ"):
            self._fault(self.at + 1, "binary", BINARY, NO_BINARY)
        elif line == b"***************":
            text = "this is a context diff, and only unified ones are taken"
            self._fault(self.at + 1, "malformed", text, "make it anew: diff -u, or git diff")

    def _starts_file(self) -> bool:
        line = self._line()
        starts = (b"diff --git ", b"diff --cc ", b"diff --combined ")
        return line.startswith(starts) or (line.startswith(b"--- ") and self._line(1).startswith(b"+++ "))

    def _inside(self, line: int, path: str) -> None:
        """Raise if a path leads out of the tree, or into git's own folder."""
        if path == NULL or not path:
            return
        wrong = why_outside(path)
        if wrong:
            self._path = path
            self._stop(line, "path", wrong, "name a file below the top of the tree, as in a/pom.xml")

    def _line(self, ahead: int = 0) -> bytes:
        return self.lines[self.at + ahead].rstrip(b"\r\n") if self.at + ahead < len(self.lines) else b""

    def _malformed(self, text: str, hint: str) -> NoReturn:
        self._stop(self.at + 1, "malformed", text, hint)

    def _stop_here(self, head: _Head, text: str) -> NoReturn:
        self._stop(head.line, "malformed", text, MADE_ANEW)

    def _stop(self, line: int, rule: Rule, text: str, hint: str) -> NoReturn:
        self._fault(line, rule, text, hint)
        raise _Stop

    def _fault(self, line: int, rule: Rule, text: str, hint: str) -> None:
        self.faults.append(Fault(line=line, rule=rule, path=self._path, text=text, hint=hint))


def _count(digits: bytes | None) -> int:
    return 1 if digits is None else int(digits)


def _shown(line: bytes) -> str:
    return repr(line.decode(errors="replace"))
