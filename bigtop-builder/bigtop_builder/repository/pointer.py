# SPDX-License-Identifier: Apache-2.0
"""Where a suite stands: its signed InRelease itself is the pointer (fields X-Serial and X-Snapshot).

So one object is what clients read, what the next publisher reads, and what is switched. What one says is a `Pointer`,
whoever wrote it: enough to list, to wait, and to say what is wrong. Nothing is signed but over a `Proven` one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bigtop_builder.errors import BuilderError, CheckFailed
from bigtop_builder.openpgp import Signed, unverified_text
from bigtop_builder.repository.index.release import parse_date, parse_release, release_date
from bigtop_builder.repository.layout import COPY

SERIAL = "X-Serial"
SNAPSHOT = "X-Snapshot"
KEPT = "X-Kept"
WITHDRAWN = "X-Withdrawn"
UNTIL = "Valid-Until"
COUNT = re.compile(r"[1-9][0-9]{0,8}")
ID = re.compile(r"[0-9a-f]{64}")


class DamagedError(CheckFailed):
    """An InRelease is empty, cut off or altered: no Release can be read from it."""


@dataclass(frozen=True, kw_only=True)
class Pointer:
    """Where a suite stands, as its InRelease says; the signature was not looked at.

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


@dataclass(frozen=True, kw_only=True)
class Proven(Pointer):
    """Where a suite stands, by what one of the repository's keys has signed, and by nothing else.

    Made by `proven_pointer`, and of a signed entry of a history where nothing else is left.
    """


def unverified_pointer(suite: str, signed: bytes, *, source: str, serial: int | None = None) -> Pointer:
    """Where a suite stands, as its InRelease says; the signature is not looked at.

    Args:
        suite: The suite.
        signed: InRelease.
        source: Where it lies, for errors.
        serial: The serial of its folder; None if it may have any.

    Raises:
        DamagedError: There is no whole Release text in it.
        CheckFailed: It is not one of ours, or of another suite or serial.
    """
    try:
        text = unverified_text(signed)
    except BuilderError as error:
        raise _damaged(source, error) from error
    return Pointer(suite=suite, signed=signed, **_stated(suite, text, source, serial))


def proven_pointer(
    suite: str, proof: Signed, *, source: str, signed: bytes = b"", serial: int | None = None
) -> Proven:
    """Where a suite stands, by what was signed: its InRelease, or a Release with its Release.gpg.

    Args:
        suite: The suite: a signature says nothing of where a file lies, so that what is signed has to.
        proof: What the verifier gave out.
        source: Where it lies, for errors.
        signed: InRelease as it is in the store; empty if it was lost.
        serial: The serial of its folder; None if it may have any.

    Raises:
        DamagedError: There is no whole Release text in it.
        CheckFailed: It is not one of ours, or of another suite or serial.
    """
    return Proven(suite=suite, signed=signed, **_stated(suite, proof.text, source, serial))


def _stated(suite: str, text: bytes, source: str, serial: int | None) -> dict[str, Any]:
    """What a Release says of where a suite stands, by attribute."""
    try:
        fields = parse_release(text.decode(errors="replace"), source=source)
        date = release_date(fields)
        if until := fields.get(UNTIL):
            parse_date(until)
    except (BuilderError, ValueError) as error:
        raise _damaged(source, error) from error
    if not COUNT.fullmatch(fields.get(SERIAL, "")) or not ID.fullmatch(fields.get(SNAPSHOT, "")):
        raise CheckFailed(
            f"{source} names no snapshot: another tool wrote it",
            hint=f"if it was altered, bigtop-builder repo refresh {suite} brings it back; else publish to a folder "
            "that this tool made",
        )
    if fields.get("Suite") != suite or serial not in {None, int(fields[SERIAL])}:
        where = f"of {suite}" if serial is None else f"{serial} of {suite}"
        raise CheckFailed(
            f"{source} is release {fields[SERIAL]} of suite {fields.get('Suite')!r}, and not {where}",
            hint=f"somebody has put it there: remove it, and {COPY}",
        )
    return {"serial": int(fields[SERIAL]), "snapshot": fields[SNAPSHOT], "date": date, "fields": fields}


def _damaged(source: str, error: Exception) -> DamagedError:
    said = error.brief if isinstance(error, BuilderError) else str(error)
    return DamagedError(f"{source} is damaged, and no Release file", details=said, hint=COPY)
