# SPDX-License-Identifier: Apache-2.0
"""What a diff does to one file, and what can be wrong with it."""

from dataclasses import dataclass, field
from typing import Literal

WHOLE_ID = 40
"""Digits of an object id."""

Kind = Literal["change", "new", "delete", "rename", "copy", "mode", "binary"]
Rule = Literal["malformed", "path", "p0", "binary", "header-only", "no-diff"]


@dataclass(frozen=True, kw_only=True)
class Hunk:
    r"""One hunk.

    Attributes:
        line: Number of its `@@` line in the file that was read, from 1.
        old_start: First line in the old file, from 1; with a count of 0, the line before.
        old_count: Lines of the old file.
        new_start: The same of the new file.
        new_count: Lines of the new file.
        lines: Its lines with their first character and their end, `\ No newline at end of file` among them.
    """

    line: int
    old_start: int
    old_count: int
    new_start: int
    new_count: int
    lines: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class FileDiff:
    """What a diff does to one file.

    Attributes:
        old: Its path before, below the top of the tree; empty if it is new.
        new: Its path after; empty if it goes.
        line: Number of the first line that is about it, from 1.
        hunks: Its hunks; none for an empty new file, a rename or a mode alone.
        kind: What happens to it. `change` may come with another mode, `rename` and `copy` with hunks.
        old_mode: Mode before, six octal digits; empty if the diff does not say.
        new_mode: Mode after.
        old_blob: Object id before, as long as the diff has it; empty if it does not say.
        new_blob: Object id after.
    """

    old: str
    new: str
    line: int
    hunks: tuple[Hunk, ...] = ()
    kind: Kind = "change"
    old_mode: str = ""
    new_mode: str = ""
    old_blob: str = ""
    new_blob: str = ""

    @property
    def names_base(self) -> bool:
        """Whether it names the file that its hunks were made on by a whole object id."""
        return len(self.old_blob) >= WHOLE_ID

    @property
    def path(self) -> str:
        """Where people look for it: its path before, or after if it is new."""
        return self.old or self.new


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with a diff.

    Attributes:
        line: Number of the line, from 1.
        rule: Which kind of fault.
        path: File that the diff is about there; empty if none.
        text: What is wrong.
        hint: The way out.
    """

    line: int
    rule: Rule
    path: str
    text: str
    hint: str
