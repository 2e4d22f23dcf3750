# SPDX-License-Identifier: Apache-2.0
"""Which snapshots stay, and why: the rules of the suites, held against their histories. Reads nothing itself."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bigtop_builder.repository.layout import Entry, Retention
from bigtop_builder.repository.rollback import predecessor

DAY = timedelta(days=1)
"""What a suite pointed to or what was written within this time stays whatever the rules: hosts may read it."""


@dataclass(frozen=True, kw_only=True)
class Past:
    """Where a suite pointed.

    Attributes:
        history: All its switches, oldest first.
        rules: Its retention.
    """

    history: Sequence[Entry]
    rules: Retention


@dataclass(frozen=True, kw_only=True)
class Marked:
    """What is known of snapshots beside the suites' histories.

    Attributes:
        kept: Id -> name under which somebody keeps it.
        touched: Id -> when it was written, kept or withdrawn last.
        withdrawn: Ids of those that are out of use, which nothing can go back to.
    """

    kept: Mapping[str, str] = field(default_factory=dict)
    touched: Mapping[str, datetime] = field(default_factory=dict)
    withdrawn: Collection[str] = ()


def retained(pasts: Mapping[str, Past], marked: Marked, *, now: datetime) -> dict[str, tuple[str, ...]]:
    """Snapshots that stay, with all reasons why.

    Args:
        pasts: Suite -> where it pointed.
        marked: What else is known.
        now: The time, UTC.
    """
    found: dict[str, dict[str, None]] = {}
    for suite, past in pasts.items():
        for snapshot, reason in _of_suite(suite, past, marked, now):
            found.setdefault(snapshot, {})[reason] = None
    for suite, past in pasts.items():
        for entry in past.history:
            if entry.action == "promote" and entry.source in pasts and pasts[entry.source].rules.promoted:
                found.setdefault(entry.after, {})[f"promoted from {entry.source} to {suite}"] = None
    for snapshot, name in marked.kept.items():
        found.setdefault(snapshot, {})[f"kept as {name}"] = None
    for snapshot, moment in marked.touched.items():
        if moment > now - DAY:
            found.setdefault(snapshot, {})["of the last 24 hours"] = None
    return {snapshot: tuple(reasons) for snapshot, reasons in found.items()}


def _of_suite(suite: str, past: Past, marked: Marked, now: datetime) -> Iterator[tuple[str, str]]:
    """What one suite's rules keep, the strongest reason first."""
    history, rules = past.history, past.rules
    if not history:
        return
    if history[-1].action == "retire":
        yield from _lately(suite, history, DAY, history[-1].when, now)
        return
    yield history[-1].after, f"{suite} points to it"
    for snapshot in _rollbacks(history, rules.rollbacks, marked.withdrawn):
        yield snapshot, f"{suite} can go back to it"
    last = list(dict.fromkeys(entry.after for entry in reversed(history)))
    if rules.keep is None and rules.keep_days is None:
        yield from ((snapshot, f"{suite} keeps all") for snapshot in last)
    elif rules.keep is not None:
        yield from ((snapshot, f"one of the last {rules.keep} of {suite}") for snapshot in last[: rules.keep])
    yield from _lately(suite, history, max(timedelta(days=rules.keep_days or 0), DAY), now, now)


def _lately(
    suite: str, history: Sequence[Entry], days: timedelta, end: datetime, now: datetime
) -> Iterator[tuple[str, str]]:
    """What a suite pointed to within some days, if it pointed somewhere until `end`."""
    ends = [*(entry.when for entry in history[1:]), end]
    for entry, left in zip(history, ends, strict=True):
        if left > now - days:
            yield entry.after, f"{suite} pointed to it within {days.days} {'day' if days == DAY else 'days'}"


def _rollbacks(history: Sequence[Entry], count: int, withdrawn: Collection[str]) -> Iterator[str]:
    """Snapshots that rollbacks, one after another, go to; withdrawn ones are on the way but do not count."""
    seen = {history[-1].after}
    snapshot = predecessor(reversed(history), history[-1].after)
    while count and snapshot and snapshot not in seen:
        yield snapshot
        seen.add(snapshot)
        count -= snapshot not in withdrawn
        snapshot = predecessor(reversed(history), snapshot)
