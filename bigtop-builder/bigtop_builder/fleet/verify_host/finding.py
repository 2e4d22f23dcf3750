# SPDX-License-Identifier: Apache-2.0
"""What is found on a host, and what keeps anything from being said of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

AS_SAID, DIFFERS, WRONG_USE, UNREAD = range(4)
FEW = 3
"""Names of a finding that has many."""


class Unable(Exception):
    """What keeps anything from being said of the host.

    Args:
        status: Exit status.
        brief: What is wrong, with its name and value.
        way_out: What to do about it.
    """

    def __init__(self, status: int, brief: str, way_out: str = "") -> None:
        super().__init__(brief)
        self.status, self.brief, self.way_out = status, brief, way_out


@dataclass(frozen=True)
class Finding:
    """What was found.

    Attributes:
        check: What kind of thing it is.
        subject: Package or thing that it is about.
        level: `error`, or `note` for what is told only.
        detail: What is so.
        way_out: What mends it.
    """

    check: str
    subject: str
    level: str
    detail: str
    way_out: str = ""


error = partial(Finding, level="error")


note = partial(Finding, level="note")


def unread(subject: str, path: str, failed: OSError) -> Finding:
    """What could not be read."""
    detail = f"{path}: {failed.strerror or failed}"
    return error("unreadable", subject, detail=detail, way_out="run verify-host as root")


def some(names: Sequence[str]) -> str:
    """A few names of many."""
    return ", ".join(names[:FEW]) + (f" and {len(names) - FEW} more" if len(names) > FEW else "")
