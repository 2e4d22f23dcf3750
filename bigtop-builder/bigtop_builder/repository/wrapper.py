# SPDX-License-Identifier: Apache-2.0
"""The signed wrapper around a snapshot, and the one switch that makes it the suite (design, invariant 3)."""

import getpass
import logging
import socket
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bigtop_builder.errors import PublishError
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout
from bigtop_builder.repository.index import release_text
from bigtop_builder.repository.layout import Action, Added, Entry, IndexFile, Settings, Snapshot
from bigtop_builder.repository.state import SERIAL, SNAPSHOT, Pointer, State
from bigtop_builder.repository.store import Alias, Content

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
AHEAD = timedelta(seconds=5)
"""How far a Release may be dated ahead of the clock; hosts refuse 10 s (apt.conf(5), Max-FutureTime)."""
FIXED = ("Origin", "Label", "Suite", "Codename")


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
    """

    suite: str
    snapshot: str
    action: Action
    who: str = ""
    why: str = ""
    source: str = ""
    added: tuple[Added, ...] = ()


def switch(state: State, pointer: Pointer | None, change: Change, *, keyring: Keyring, clock: Clock) -> int:
    """Write wrapper and history entry, make the wrapper the suite, and return the new serial.

    Args:
        state: The repository, locked.
        pointer: Where the suite stands; None if it is new.
        change: What is wanted.
        keyring: Holds the repository's keys.
        clock: Says what time it is.

    Raises:
        PublishError: The suite's Date is ahead of the clock, a fixed field would change, or the store
            cannot be written.
        SigningError: A key cannot sign.
    """
    settings = state.settings()
    serial = pointer.serial + 1 if pointer else 1
    date = next_date(pointer, clock)
    snapshot = state.snapshot(change.snapshot)
    fields = _fields(settings, change, serial, snapshot)
    _check_fixed(fields, pointer)
    days = settings.suites[change.suite].valid_days
    release = release_text(
        fields=fields,
        date=date,
        valid_until=date + timedelta(days=days) if days else None,
        files=_indices(snapshot),
    ).encode()
    history = _entry(change, pointer, serial, date).to_json().encode()
    folder = layout.release_folder(change.suite, serial)
    files: dict[str, Content] = {
        f"{folder}/{name}": Alias(f"snapshots/{change.snapshot}/{name}") for name in snapshot.components
    }
    files |= {
        f"{folder}/Release": release,
        f"{folder}/Release.gpg": keyring.detach_sign(release, settings.keys),
        f"{folder}/InRelease": keyring.clearsign(release, settings.keys),
        layout.history_file(change.suite, serial): history,
        layout.history_file(change.suite, serial) + ".asc": keyring.detach_sign(history, settings.keys),
    }
    state.store.delete(folder)
    state.store.put(files, modified=date)
    before = pointer.signed if pointer else None
    state.store.switch(change.suite, folder, files=_places(snapshot, settings.forms), before=before)
    log.info("%s: %s points to snapshot %s", change.action, change.suite, change.snapshot[:12])
    return serial


def next_date(pointer: Pointer | None, clock: Clock) -> datetime:
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


def _fields(settings: Settings, change: Change, serial: int, snapshot: Snapshot) -> dict[str, str]:
    suite = settings.suites[change.suite]
    return {
        "Origin": settings.origin,
        "Label": settings.label,
        "Suite": change.suite,
        "Codename": suite.codename,
        "Description": suite.description,
        "Architectures": " ".join(snapshot.architectures),
        "Components": " ".join(sorted(snapshot.components)),
        "Signed-By": ", ".join(settings.keys),
        SERIAL: str(serial),
        SNAPSHOT: change.snapshot,
    }


def _check_fixed(fields: Mapping[str, str], pointer: Pointer | None) -> None:
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
        f"{component}/binary-{architecture}/{name}": entry
        for component, indices in snapshot.components.items()
        for architecture, index in indices.items()
        for name, entry in index.files.items()
    }


def _places(snapshot: Snapshot, forms: Collection[str]) -> dict[str, str]:
    """Every index that clients may ask for: path below the suite -> where it lies."""
    places: dict[str, str] = {}
    for path, entry in _indices(snapshot).items():
        folder, _, name = path.rpartition("/")
        if name.removeprefix(layout.PACKAGES) in forms:
            place = layout.by_hash("SHA256", entry.sha256)
            names = (name, place, layout.by_hash("SHA512", entry.sha512))
            places |= {f"{folder}/{one}": place for one in names}
    return places


def _entry(change: Change, pointer: Pointer | None, serial: int, date: datetime) -> Entry:
    return Entry(
        suite=change.suite,
        serial=serial,
        when=date,
        who=change.who or f"{getpass.getuser()}@{socket.gethostname()}",
        why=change.why,
        action=change.action,
        before=pointer.snapshot if pointer else "",
        after=change.snapshot,
        source=change.source,
        added=change.added,
    )
