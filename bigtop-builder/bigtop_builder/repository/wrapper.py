# SPDX-License-Identifier: Apache-2.0
"""The signed wrapper around a snapshot, and the one switch that makes it the suite (design, invariant 3)."""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from bigtop_builder.errors import CheckFailed, PublishError, SigningError
from bigtop_builder.openpgp import Keyring
from bigtop_builder.owner import whoever
from bigtop_builder.repository import layout
from bigtop_builder.repository.accidents import known_again
from bigtop_builder.repository.authentic import once_kept, public_keys, require_published, signed_entry
from bigtop_builder.repository.index.release import release_text
from bigtop_builder.repository.joining import require_indices
from bigtop_builder.repository.layout import (
    COPY,
    Action,
    Added,
    Entry,
    Form,
    IndexFile,
    Removed,
    Settings,
    Snapshot,
    SuiteSettings,
)
from bigtop_builder.repository.notices import notice_of
from bigtop_builder.repository.pointer import KEPT, SERIAL, SNAPSHOT, WITHDRAWN, Proven
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store import Alias, Content

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
AHEAD = timedelta(seconds=5)
"""How far a Release may be dated ahead of the clock; hosts refuse 10 s (apt.conf(5), Max-FutureTime)."""
SIGNING = 4
"""Signatures that are made at once."""
FIXED = ("Origin", "Label", "Suite", "Codename")
# A snapshot that a publish makes is new, and had no suite of its own that could have been lost.
MOVES: frozenset[Action] = frozenset({"promote", "rollback"})
"""Actions that point a suite to a snapshot that was there before."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One switch of a suite that is wanted.

    Attributes:
        suite: The suite.
        snapshot: Id of the snapshot it is to point to.
        action: What led to it.
        who: Whom the history names; this user and host if empty.
        why: Reason for the history.
        source: For `promote`: the suite that the snapshot came from.
        added: Packages that come in.
        removed: Packages that go out.
        waived: What the gate was told to let through.
        records: File name -> hash of .changes and .buildinfo that came along.
        marks: Fields of a snapshot's own suite that change; the others stay as they were.
    """

    suite: str
    snapshot: str
    action: Action
    who: str = ""
    why: str = ""
    source: str = ""
    added: tuple[Added, ...] = ()
    removed: tuple[Removed, ...] = ()
    waived: tuple[str, ...] = ()
    records: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Wrapper:
    """A Release that is to be signed, and what lies beside it.

    Attributes:
        change: What is wanted.
        before: The suite's InRelease until now; None if it is new.
        serial: Of the switch.
        folder: Where it goes.
        release: The text.
        history: The history entry.
        links: Aliases for each component.
        places: What clients may ask for: path below the suite -> where it lies.
    """

    change: Change
    before: bytes | None
    serial: int
    folder: str
    release: bytes
    history: bytes
    links: Mapping[str, Content]
    places: Mapping[str, str]


def switch(
    state: State,
    pointer: Proven | None,
    change: Change,
    *,
    keyring: Keyring,
    clock: Clock,
    public: bytes = b"",
) -> int:
    """Make a snapshot the suite, after it got a suite of its own if it has none, and return the new serial.

    Args:
        state: The repository, locked.
        pointer: Where the suite stands; None if it is new.
        change: What is wanted.
        keyring: Holds the repository's keys.
        clock: Says what time it is.
        public: Keys, binary, of which one must have signed what is read; the present ones if empty.

    Raises:
        PublishError: The snapshot is withdrawn, the suite's Date is ahead of the clock, a fixed field would
            change, or the store cannot be written.
        SigningError: A key cannot sign.
    """

    def keys() -> bytes:
        return public or public_keys(state, keyring)

    if pointer is None or pointer.snapshot != change.snapshot:
        _refuse_withdrawn(state, change, keys)
    suite = layout.snapshot_suite(change.snapshot)
    own = state.unverified_pointer(suite)
    if change.action in MOVES:
        require_indices(state, change.suite, change.snapshot)
    if change.action == "rollback":
        require_published(state, change.snapshot, keys())
    changes: list[tuple[Proven | None, Change]] = [(pointer, change)]
    if own is None:
        name = once_kept(state, change.snapshot, keys()) if change.action in MOVES else None
        first = Change(
            suite=suite,
            snapshot=change.snapshot,
            action="snapshot",
            who=change.who,
            why=change.why,
            marks={KEPT: name} if name else {},
        )
        changes.insert(0, (None, first))
    return switch_all(state, changes, keyring=keyring, clock=clock)[-1]


def switch_all(
    state: State, changes: Sequence[tuple[Proven | None, Change]], *, keyring: Keyring, clock: Clock
) -> tuple[int, ...]:
    """Write wrappers and history entries, make each the suite in the order given, and return the new serials.

    Args:
        state: The repository, locked.
        changes: Where each suite stands, and what is wanted.
        keyring: Holds the repository's keys.
        clock: Says what time it is.

    Raises:
        PublishError: A suite's Date is ahead of the clock, a fixed field would change, or the store cannot
            be written. Suites may have been switched by then, each of them whole.
        SigningError: A key cannot sign; nothing was switched.
    """
    settings = state.settings()
    changes = [(pointer or _retired(state, change.suite, keyring), change) for pointer, change in changes]
    # One date for all: they are written together, with one modification time.
    date = max(next_date(pointer, clock) for pointer, _ in changes)
    wrappers = [_wrapper(state, settings, pointer, change, date) for pointer, change in changes]
    files = _signed(wrappers, settings, keyring)
    for one in wrappers:
        state.store.clear(one.folder)
    state.store.put(files, modified=date)
    for one in wrappers:
        state.store.switch(one.change.suite, one.folder, files=one.places, before=one.before)
        snapshot = one.change.snapshot[:12]
        log.info("%s: %s points to snapshot %s", one.change.action, one.change.suite, snapshot)
    return tuple(one.serial for one in wrappers)


def _retired(state: State, suite: str, keyring: Keyring) -> Proven | None:
    """Where a suite stands that was retired and comes back: its serials and dates go on, its codename stays.

    It has no snapshot: what it had may be gone, and no rollback leads there.

    Raises:
        SigningError: None of the keys has signed that it was retired.
    """
    said = state.retired(suite)
    if said is None:
        return None
    path = layout.history_file(suite, said.serial)
    entry = signed_entry(state, path, state.store.read(path) or b"", public_keys(state, keyring))
    if entry is None:
        raise SigningError(
            f"{path} says that {suite} was retired, and none of the present keys has signed it",
            hint=f"{COPY}; or publish under another name",
        )
    settings = state.settings()
    fields = dict(zip(FIXED, (settings.origin, settings.label, suite, entry.codename), strict=True))
    return Proven(suite=suite, serial=entry.serial, snapshot="", date=entry.when, fields=fields, signed=b"")


def _wrapper(
    state: State, settings: Settings, pointer: Proven | None, change: Change, date: datetime
) -> Wrapper:
    if pointer and layout.OWN_SUITE.fullmatch(change.suite) and pointer.snapshot != change.snapshot:
        raise PublishError(
            f"{change.suite} is snapshot {pointer.snapshot}, and would be {change.snapshot} too",
            hint="the ids begin alike, by chance or by intent: publish another set of packages",
        )
    serial = pointer.serial + 1 if pointer else 1
    snapshot = state.snapshot(change.snapshot)
    fields = _fields(settings, change, serial, snapshot, pointer)
    _check_fixed(fields, pointer)
    days = settings_of(settings, change.suite).valid_days
    folder = layout.release_folder(change.suite, serial)
    release = release_text(
        fields=fields,
        date=date,
        valid_until=date + timedelta(days=days) if days else None,
        files=_indices(snapshot),
    )
    return Wrapper(
        change=change,
        before=(pointer.signed or None) if pointer else None,
        serial=serial,
        folder=folder,
        release=release.encode(),
        history=_entry(change, pointer, serial, date).to_json().encode(),
        links={
            f"{folder}/{name}": Alias(f"snapshots/{change.snapshot}/{name}") for name in snapshot.components
        },
        places=places_of(snapshot, settings.forms),
    )


def _signed(wrappers: Sequence[Wrapper], settings: Settings, keyring: Keyring) -> dict[str, Content]:
    """The files of wrappers; all signatures at once, because starting gpg takes longer than signing."""
    files: dict[str, Content] = {}
    wanted: dict[str, tuple[Callable[[bytes, Sequence[str]], bytes], bytes]] = {}
    for one in wrappers:
        entry = layout.history_file(one.change.suite, one.serial)
        files |= {**one.links, f"{one.folder}/Release": one.release, entry: one.history}
        wanted[f"{one.folder}/Release.gpg"] = keyring.detach_sign, one.release
        wanted[f"{one.folder}/InRelease"] = keyring.clearsign, one.release
        wanted[f"{entry}.asc"] = keyring.detach_sign, one.history
    first, *others = [partial(sign, data, settings.keys) for sign, data in wanted.values()]
    # gpg-agent rewrites the file of an imported key when it is used first, and whoever reads it meanwhile fails.
    signed = [first()]
    with ThreadPoolExecutor(SIGNING) as threads:
        signed += threads.map(lambda sign: sign(), others)
    return files | dict(zip(wanted, signed, strict=True))


def _refuse_withdrawn(state: State, change: Change, keys: Callable[[], bytes]) -> None:
    if notice := notice_of(state, change.snapshot, keys):
        raise PublishError(
            f"snapshot {change.snapshot[:16]} is withdrawn, and {change.suite} must not point to it",
            details=f"{notice.when:%Y-%m-%d %H:%M} UTC, {notice.who}: {notice.why}",
            hint=f"name another one by rollback --to; bigtop-builder repo withdraw {change.snapshot[:16]} --undo "
            "brings it back into use",
        )


def settings_of(settings: Settings, suite: str) -> SuiteSettings:
    """Settings of a suite, or of a snapshot's own.

    Raises:
        CheckFailed: They have no such suite, as those of an older copy.
    """
    if layout.OWN_SUITE.fullmatch(suite):
        text = "One snapshot, which never changes"
        return SuiteSettings(codename=suite, description=text, valid_days=settings.snapshot_days)
    if suite not in settings.suites:
        raise CheckFailed(f"{layout.SETTINGS} has no suite {suite}, and dists has", hint=known_again(suite))
    return settings.suites[suite]


def next_date(pointer: Proven | None, clock: Clock) -> datetime:
    """Date of the next Release: now, but at least a second after the one before, or apt would ignore it.

    Waits where many switches in a row would run ahead of the clock.

    Raises:
        PublishError: The one before is dated too far ahead: one of the publishers' clocks is wrong.
    """
    now = clock().replace(microsecond=0)
    if pointer is None:
        return now
    if pointer.date > now + AHEAD:
        raise PublishError(
            f"{pointer.suite} was published at {pointer.date:%Y-%m-%d %H:%M:%S} UTC, "
            f"{(pointer.date - now).total_seconds():.0f} s ahead of this machine's clock",
            hint="set the clock of this machine or of the other publisher, or wait that long",
        )
    date = max(now, pointer.date + timedelta(seconds=1))
    time.sleep(max(0.0, (date - now - AHEAD).total_seconds()))
    return date


def signed_by(settings: Settings) -> str:
    """The field Signed-By: all keys, each of which signs."""
    return ", ".join(settings.keys)


def _fields(
    settings: Settings, change: Change, serial: int, snapshot: Snapshot, pointer: Proven | None
) -> dict[str, str]:
    suite = settings_of(settings, change.suite)
    marks = {name: pointer.fields.get(name, "") if pointer else "" for name in (KEPT, WITHDRAWN)}
    fields = {
        "Origin": settings.origin,
        "Label": settings.label,
        "Suite": change.suite,
        "Codename": suite.codename,
        "Description": suite.description,
        "Architectures": " ".join(snapshot.architectures),
        "Components": " ".join(sorted(snapshot.components)),
        "Signed-By": signed_by(settings),
        SERIAL: str(serial),
        SNAPSHOT: change.snapshot,
        **marks,
        **change.marks,
    }
    for name, value in fields.items():
        if "\n" in value or "\r" in value:
            raise PublishError(
                f"{name} of {change.suite} would be {value!r}: a second line would be a field of its own",
                hint=f"mend {layout.SETTINGS}: nobody signs fields that somebody has put into it",
            )
    return fields


def _check_fixed(fields: Mapping[str, str], pointer: Proven | None) -> None:
    for name in FIXED:
        was = pointer.fields.get(name, "") if pointer else fields[name]
        if was != fields[name]:
            raise PublishError(
                f"{name} of {fields['Suite']} is {was!r} and cannot become {fields[name]!r}: "
                "apt on the hosts would refuse the suite",
                hint=f"mend {layout.SETTINGS}, or make a suite of another name",
            )


def _indices(snapshot: Snapshot) -> dict[str, IndexFile]:
    return {
        f"{folder}/{name}": entry
        for folder, index in snapshot.indices()
        for name, entry in index.files.items()
    }


def places_of(snapshot: Snapshot, forms: Collection[Form]) -> dict[str, str]:
    """Every index that clients may ask for: path below the suite -> where it lies."""
    places: dict[str, str] = {}
    for folder, index in snapshot.indices():
        for name, entry in index.written(forms):
            place = layout.by_hash("SHA256", entry.sha256)
            names = (name, place, layout.by_hash("SHA512", entry.sha512))
            places |= {f"{folder}/{one}": place for one in names}
    return places


def _entry(change: Change, pointer: Proven | None, serial: int, date: datetime) -> Entry:
    return Entry(
        suite=change.suite,
        serial=serial,
        when=date,
        who=change.who or whoever(),
        why=change.why,
        action=change.action,
        before=pointer.snapshot if pointer else "",
        after=change.snapshot,
        source=change.source,
        kept=change.marks.get(KEPT, pointer.kept if pointer else ""),
        added=change.added,
        removed=change.removed,
        waived=change.waived,
        records=dict(change.records),
    )
