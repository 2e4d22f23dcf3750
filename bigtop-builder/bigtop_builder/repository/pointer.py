# SPDX-License-Identifier: Apache-2.0
"""Where a suite stands: its signed InRelease itself is the pointer (fields X-Serial and X-Snapshot).

So one object is what clients read, what the next publisher reads, and what is switched.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bigtop_builder.errors import BuilderError, CheckFailed
from bigtop_builder.repository.index.release import parse_date, parse_release, release_date
from bigtop_builder.repository.layout import COPY

SERIAL = "X-Serial"
SNAPSHOT = "X-Snapshot"
KEPT = "X-Kept"
WITHDRAWN = "X-Withdrawn"
UNTIL = "Valid-Until"


class DamagedError(CheckFailed):
    """An InRelease is empty, cut off or altered: no Release can be read from it."""


@dataclass(frozen=True, kw_only=True)
class Pointer:
    """Where a suite stands.

    Attributes:
        serial: Counts the suite's switches from 1.
        snapshot: Id of the snapshot.
        date: Date of its Release, UTC.
        fields: All fields of its Release.
        signed: InRelease as it is in the store; empty if it was lost, and something else says where the suite stood.
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


def read_pointer(suite: str, signed: bytes, *, source: str, serial: int | None = None) -> Pointer:
    """Where a suite stands, from its InRelease; the signature is not looked at.

    Args:
        suite: The suite: a signature says nothing of where a file lies, so that what is signed has to.
        signed: InRelease.
        source: Where it lies, for errors.
        serial: The serial of its folder; None if it may have any.

    Raises:
        DamagedError: There is no whole Release text in it.
        CheckFailed: It is not one of ours, or of another suite or serial.
    """
    try:
        fields = parse_release(signed.decode(errors="replace"), source=source)
        date = release_date(fields)
    except (BuilderError, ValueError) as error:
        said = error.brief if isinstance(error, BuilderError) else str(error)
        raise DamagedError(f"{source} is damaged, and no Release file", details=said, hint=COPY) from error
    if not fields.get(SERIAL, "").isdigit() or SNAPSHOT not in fields:
        raise CheckFailed(
            f"{source} names no snapshot: another tool wrote it",
            hint="publish to a folder that this tool made",
        )
    if fields.get("Suite") != suite or serial not in {None, int(fields[SERIAL])}:
        where = f"of {suite}" if serial is None else f"{serial} of {suite}"
        raise CheckFailed(
            f"{source} is release {fields[SERIAL]} of suite {fields.get('Suite')!r}, and not {where}",
            hint=f"somebody has put it there: remove it, and {COPY}",
        )
    return Pointer(
        suite=suite,
        serial=int(fields[SERIAL]),
        snapshot=fields[SNAPSHOT],
        date=date,
        fields=fields,
        signed=signed,
    )
