# SPDX-License-Identifier: Apache-2.0
"""Whether apt's lists are new enough, and of the right snapshot."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from .finding import Finding, error, note
from .release import Release, out_of_use

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .apt import Apt
    from .offered import Offered


def moment(text: str) -> datetime:
    """A date of an InRelease; the beginning of time if it is none."""
    try:
        when = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return datetime.min.replace(tzinfo=timezone.utc)
    return when.replace(tzinfo=when.tzinfo or timezone.utc)


def stale(apt: Apt, max_age: int, now: datetime) -> Iterator[Finding]:
    """Lists that nobody has asked for in a while."""
    when = apt.updated()
    if max_age and when and when < now - timedelta(days=max_age):
        detail = f"apt-get update has last run on {when.date()}, more than {max_age} days ago"
        yield error("lists", "apt", detail=detail, way_out="apt-get update")


def lists(found: Offered, release: Release, now: datetime) -> Iterator[Finding]:
    """Lists of the repository that are over, or of another snapshot."""
    yield from found.findings
    update = "apt-get update"
    if not found.suites:
        yield error(
            "lists",
            release.origin,
            detail="apt has no list of the repository: what it would install cannot be compared",
            way_out=f"add the repository to /etc/apt/sources.list.d, then {update}",
        )
    current = any(one.get("X-Snapshot") == release.snapshot for one in found.suites.values())
    for one in found.suites.values():
        suite = one.get("Suite") or one.get("Codename", "?")
        if one.get("X-Snapshot") != release.snapshot:
            detail = f"apt knows it with snapshot {one.get('X-Snapshot', '?')[:16]} of {one.get('Date')}"
            tell = note if current else error
            way = "" if current else f"{update}, or name the snapshot's own suite in the sources"
            yield tell(
                "lists", suite, detail=f"{detail}, the manifest is of {release.snapshot[:16]}", way_out=way
            )
        elif one.get("X-Withdrawn"):
            yield out_of_use(release, one["X-Withdrawn"])
        if "Valid-Until" in one and moment(one["Valid-Until"]) < now:
            yield error(
                "lists", suite, detail=f"its list was valid until {one['Valid-Until']}", way_out=update
            )
