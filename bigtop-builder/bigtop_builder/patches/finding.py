# SPDX-License-Identifier: Apache-2.0
"""What lint has to say of a place in the queue."""

from dataclasses import dataclass
from typing import Final, Literal

REWRITE: Final = "patch refresh writes it anew"
"""The way out of what a command mends; lint puts the release of the file into it."""


@dataclass(frozen=True, kw_only=True, order=True)
class Finding:
    """One remark.

    Attributes:
        file: File of the queue.
        line: Line in it, from 1; 0 for the file as a whole.
        rule: Its name, one word.
        text: What is wrong.
        hint: The way out.
        level: `error` must be mended; a `note` is for the reviewer to judge.
    """

    file: str
    line: int
    rule: str
    text: str
    hint: str
    level: Literal["error", "note"] = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.level}: {self.rule}: {self.text} ({self.hint})"
