# SPDX-License-Identifier: Apache-2.0
"""Where a suite stands: its signed InRelease itself is the pointer (fields X-Serial and X-Snapshot).

So one object is what clients read, what the next publisher reads, and what is switched.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bigtop_builder.errors import CheckFailed
from bigtop_builder.repository.index.release import parse_date, parse_release, release_date

SERIAL = "X-Serial"
SNAPSHOT = "X-Snapshot"
KEPT = "X-Kept"
WITHDRAWN = "X-Withdrawn"
UNTIL = "Valid-Until"


@dataclass(frozen=True, kw_only=True)
class Pointer:
    """Where a suite stands.

    Attributes:
        serial: Counts the suite's switches from 1.
        snapshot: Id of the snapshot.
        date: Date of its Release, UTC.
        fields: All fields of its Release.
        signed: InRelease as it is in the store.
    """

    suite: str
    serial: int
    snapshot: str
    date: datetime
    fields: Mapping[str, str]
    signed: bytes

    @property
    def kept(self) -> str:
        """Of a snapshot's own suite: the name under which it is kept whatever the rules; empty if it is not."""
        return self.fields.get(KEPT, "")

    @property
    def until(self) -> datetime | None:
        """Until when hosts take it, UTC; None for any time."""
        text = self.fields.get(UNTIL)
        return parse_date(text) if text else None


def read_pointer(suite: str, signed: bytes, *, source: str) -> Pointer:
    """Where a suite stands, from its InRelease; the signature is not looked at.

    Args:
        suite: The suite.
        signed: InRelease.
        source: Where it lies, for errors.

    Raises:
        CheckFailed: It is not one of ours.
        PublishError: There is no Release text in it.
    """
    fields = parse_release(signed.decode(errors="replace"), source=source)
    if not fields.get(SERIAL, "").isdigit() or SNAPSHOT not in fields:
        raise CheckFailed(
            f"{source} names no snapshot: another tool wrote it",
            hint="publish to a folder that this tool made",
        )
    return Pointer(
        suite=suite,
        serial=int(fields[SERIAL]),
        snapshot=fields[SNAPSHOT],
        date=release_date(fields),
        fields=fields,
        signed=signed,
    )
