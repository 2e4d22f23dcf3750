# SPDX-License-Identifier: Apache-2.0
"""Signing anew what hosts would refuse soon: each suite and each snapshot's own, in as many steps as there are."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bigtop_builder import openpgp
from bigtop_builder.errors import CheckFailed, SigningError
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout
from bigtop_builder.repository.authentic import (
    check_signers,
    kept_keys,
    once_kept,
    public_keys,
    recorded,
    require_signed,
)
from bigtop_builder.repository.founding import adopt, unpublished
from bigtop_builder.repository.joining import rejoin
from bigtop_builder.repository.layout import Action, Notices, Settings
from bigtop_builder.repository.notices import marked, out_of_use
from bigtop_builder.repository.pointer import KEPT, WITHDRAWN, Pointer, Proven
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.recovery import brought_back, clear, linked, stood, whole
from bigtop_builder.repository.state import State
from bigtop_builder.repository.unfinished import take_up, unfinished
from bigtop_builder.repository.withdraw import write_notices
from bigtop_builder.repository.wrapper import Change, settings_of, signed_by, switch_all

log = logging.getLogger(__name__)

THREADS = 8
BATCH = 100
"""Suites whose files are written together."""
SHARE = 3
"""A Release is due when this part of its time is left."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """A suite that is to be signed anew.

    Attributes:
        suite: The suite.
        snapshot: Where it points.
        pointer: How it stands; None for a snapshot that has no suite of its own yet. `_proven` is signed over.
        reason: Why.
        marks: Fields that it is to have again, if it was lost.
    """

    suite: str
    snapshot: str
    pointer: Pointer | None
    reason: str
    marks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Refreshed:
    """A suite that was signed anew.

    Attributes:
        suite: The suite.
        serial: Its new serial; 0 for the list of withdrawn snapshots.
        snapshot: Where it points.
        reason: Why.
    """

    suite: str
    serial: int
    snapshot: str
    reason: str


def refresh(
    repository: Repository,
    suites: Sequence[str] = (),
    *,
    keyring: Keyring,
    everything: bool = False,
    who: str = "",
    why: str = "",
) -> tuple[Refreshed, ...]:
    """Sign anew with a new Date and Valid-Until, over the snapshots that suites point to.

    Of suites that are named, indices that are missing or altered are joined anew from their blocks.

    Of suites that are named, and with `everything`, a first publish that was cut off is completed before: with a
    change of keys the last who know it may go.

    Args:
        repository: The repository.
        suites: These, whether due or not; all that are due if empty, and snapshots' own suites among them.
        keyring: Holds the repository's keys.
        everything: All, whether due or not.
        who: Whom the histories name.
        why: Reason for the histories; the reason why it was due if empty.

    Raises:
        InputError: Nothing was published to one of the suites.
        SigningError: A key cannot sign, or a suite's state is not signed by the repository's keys.
    """
    state = repository.state
    check_signers(keyring, state.settings().keys)
    with state.lock():
        if not suites:
            return refresh_locked(repository, keyring=keyring, everything=everything, who=who, why=why)
        _bring_keys(state, keyring)
        public = public_keys(state, keyring)
        for suite in suites:
            _complete(repository, suite, public, keyring, strict=True)
        found = named(state, suites, public)
        for snapshot in dict.fromkeys(one.snapshot for one in found):
            rejoin(state, snapshot)
        return _sign(repository, found, public, keyring, who, why)


def refresh_locked(
    repository: Repository,
    *,
    keyring: Keyring,
    everything: bool = False,
    trusted: bytes = b"",
    who: str = "",
    why: str = "",
) -> tuple[Refreshed, ...]:
    """As `refresh` of no suite by name, for who has the lock, and has seen that the keys can sign.

    Args:
        repository: The repository, locked.
        keyring: Holds its keys.
        everything: All suites, whether due or not.
        trusted: Public keys, binary, one of which must have signed what stands; the present ones if empty.
        who: Whom the histories name.
        why: Reason for the histories; the reason why it was due if empty.
    """
    state = repository.state
    _bring_keys(state, keyring)
    public = trusted or public_keys(state, keyring)
    for suite in state.settings().suites if everything else ():
        _complete(repository, suite, public, keyring, strict=False)
    found = due(state, public, now=repository.clock(), everything=everything)
    found = [one if one.pointer else _recovered(state, one, public) for one in found]
    done = _sign(repository, found, public, keyring, who, why)
    if reason := notices_due(state, public, everything=everything):
        listed = tuple(out_of_use(state, lambda: public).values())
        moment = repository.clock().replace(microsecond=0)
        write_notices(repository, Notices(when=moment, withdrawn=listed), keyring)
        done += (Refreshed(suite=layout.WITHDRAWN, serial=0, snapshot="", reason=reason),)
    return done


def _sign(
    repository: Repository, found: Sequence[Due], public: bytes, keyring: Keyring, who: str, why: str
) -> tuple[Refreshed, ...]:
    """Sign suites anew, in the order given; none is switched before all of them were seen to be signed."""
    state = repository.state
    with ThreadPoolExecutor(THREADS) as threads:
        changes = list(threads.map(lambda one: _change(state, one, public, who, why), found))
    done: list[Refreshed] = []
    for start in range(0, len(found), BATCH):
        part = changes[start : start + BATCH]
        serials = switch_all(state, part, keyring=keyring, clock=repository.clock)
        done += [
            Refreshed(suite=one.suite, serial=serial, snapshot=change.snapshot, reason=one.reason)
            for one, (_, change), serial in zip(found[start:], part, serials, strict=False)
        ]
    return tuple(done)


def _bring_keys(state: State, keyring: Keyring) -> None:
    """Write the public halves anew that were lost: the publisher has them, for the keys sign."""
    lost = {
        layout.key_file(key): keyring.export_public([key], armor=False)
        for key in state.settings().keys
        if not state.store.size(layout.key_file(key))
    }
    if lost:
        state.store.put(lost)
        log.warning("written anew, for it was lost: %s", ", ".join(lost))


def _complete(repository: Repository, suite: str, public: bytes, keyring: Keyring, *, strict: bool) -> None:
    """Take up the first publish to a suite if it was cut off; unless strict, what nobody can take up stays."""
    state = repository.state
    switched = state.store.size(f"{layout.suite_folder(suite)}/InRelease") is not None or linked(state, suite)
    if switched or suite not in state.settings().suites or state.switches(suite) != state.first(suite):
        return
    try:
        unfinished(state, suite, public)
    except (CheckFailed, SigningError) as error:
        if strict:
            raise
        log.warning("%s is left without a release: %s\n  way out: %s", suite, error.brief, error.hint)
        return
    take_up(state, suite, keyring=keyring, clock=repository.clock, public=public)


def named(state: State, suites: Sequence[str], public: bytes) -> list[Due]:
    """Suites that somebody named; one whose InRelease is gone or spoilt stands where what else is signed says.

    Args:
        state: The repository, locked.
        suites: Their names.
        public: Keys, binary, of which one must have signed what stands.

    Raises:
        InputError: Nothing was published to one.
        SigningError: None of the keys has signed the newest wrapper.
        CheckFailed: Nothing signed says where one stood, or it is not certain; nothing was written.
    """
    found = []
    for suite in dict.fromkeys(suites):
        own = layout.OWN_SUITE.fullmatch(suite)
        standing = whole(state, suite, public)
        lost = standing is None
        pointer = standing or _stood(state, suite, public)
        reason = brought_back(state, pointer) if lost and pointer else "asked for"
        snapshot = pointer.snapshot if pointer else _snapshot_of(state, suite, public) if own else ""
        if not snapshot:
            raise unpublished(state, suite)
        if pointer:
            adopt(state, pointer)
        if lost:
            clear(state, suite)
            log.warning("%s: %s", suite, reason)
        marks = _marks(state, snapshot, public) if own and lost else {}
        found.append(Due(suite=suite, snapshot=snapshot, pointer=pointer, reason=reason, marks=marks))
    return found


def _snapshot_of(state: State, suite: str, public: bytes) -> str:
    """Id of the published snapshot whose own suite this is; empty if there is none."""
    known = [one for one in state.snapshots() if layout.snapshot_suite(one) == suite]
    return next(iter(recorded(state, known, public)), "")


def _recovered(state: State, one: Due, public: bytes) -> Due:
    """A snapshot's own suite that never was, or was lost, with the name it had.

    It stands where it stood if it was switched more than once. A first wrapper alone may be of a publish that was cut
    off, and not be whole: it is made anew.
    """
    last = _stood(state, one.suite, public)
    marks = _marks(state, one.snapshot, public)
    if last is None or last.serial == 1:
        return replace(one, marks=marks)
    reason = brought_back(state, last)
    log.warning("%s: %s", one.suite, reason)
    return replace(one, pointer=last, reason=reason, marks=marks)


def _stood(state: State, suite: str, public: bytes) -> Proven | None:
    """Where a suite stood whose InRelease is gone or spoilt; a snapshot's own can be made anew in any case."""
    try:
        return stood(state, suite, public)
    except (CheckFailed, SigningError) as error:
        if not layout.OWN_SUITE.fullmatch(suite):
            raise
        log.warning("%s is made anew: %s", suite, error.brief)
    return None


def _marks(state: State, snapshot: str, public: bytes) -> dict[str, str]:
    """Fields of a snapshot's own suite that was lost, by what else is signed: why it is withdrawn, and its name."""
    notice = out_of_use(state, lambda: public).get(snapshot)
    marks = {WITHDRAWN: notice.why if notice else ""}
    name = once_kept(state, snapshot, public)
    if name is not None:
        others = state.unverified_pointers(map(layout.snapshot_suite, state.snapshots())).values()
        taken = any(other.kept == name and other.snapshot != snapshot for other in others)
        marks[KEPT] = f"{snapshot[:16]}-{name}"[:64] if name and taken else name
    return marks


def due(state: State, public: bytes, *, now: datetime, everything: bool = False) -> list[Due]:
    """Suites of snapshots and others that are to be signed anew, in this order.

    Args:
        state: The repository.
        public: Its present keys, binary.
        now: The time, UTC.
        everything: All are.
    """
    settings = state.settings()
    snapshots = {layout.snapshot_suite(one): one for one in state.snapshots()}
    pointers = state.unverified_pointers([*snapshots, *settings.suites])
    missing = [one for suite, one in snapshots.items() if suite not in pointers]
    known = recorded(state, missing, public)
    for orphan in sorted(set(missing) - known):
        log.warning("no signed history names snapshot %s: it is left as it is", orphan)
    standing = list(pointers.values())
    with ThreadPoolExecutor(THREADS) as threads:
        reasons = threads.map(
            lambda one: "asked for" if everything else why_due(one, settings, public, now=now), standing
        )
        again = [
            Due(suite=one.suite, snapshot=one.snapshot, pointer=one, reason=reason)
            for one, reason in zip(standing, reasons, strict=True)
            if reason
        ]
    first = [
        Due(suite=layout.snapshot_suite(one), snapshot=one, pointer=None, reason="it has none of its own")
        for one in sorted(known)
    ]
    return [*first, *again]


def why_due(pointer: Pointer, settings: Settings, public: bytes, *, now: datetime) -> str:
    """Why a suite is to be signed anew; empty if it is not."""
    if told := ending(pointer, now=now):
        return told
    days = settings_of(settings, pointer.suite).valid_days
    lasting = pointer.until - pointer.date if pointer.until else None
    if lasting != (timedelta(days=days) if days else None):
        return f"it is to be valid {f'{days} days' if days else 'for any time'} now"
    if pointer.fields.get("Signed-By", "") != signed_by(settings):
        return "the repository has other keys now"
    try:
        good = openpgp.verify(pointer.signed, keyring=public, what=pointer.suite)
    except SigningError:
        return "hosts would not take its signature"
    return "" if set(good.keys) == set(settings.keys) else "not each key has signed it"


def ending(pointer: Pointer, *, now: datetime) -> str:
    """What is to be said of a suite whose Valid-Until is near or over; else nothing."""
    if pointer.until is None or (pointer.until - now) * SHARE > pointer.until - pointer.date:
        return ""
    said = "it is expired since" if pointer.until <= now else "it expires on"
    return f"{said} {pointer.until:%Y-%m-%d %H:%M} UTC"


def _change(state: State, one: Due, public: bytes, who: str, why: str) -> tuple[Proven | None, Change]:
    """Where a suite stands by what is signed, and what is wanted: that same snapshot.

    Raises:
        SigningError: None of the keys has signed it.
        CheckFailed: It is a copy without links, or an old state.
    """
    pointer = _proven(state, one.pointer, public)
    action: Action = "refresh" if pointer else "snapshot"
    change = Change(
        suite=one.suite,
        snapshot=pointer.snapshot if pointer else one.snapshot,
        action=action,
        who=who,
        why=why or one.reason,
        marks=one.marks,
    )
    return pointer, change


def _proven(state: State, pointer: Pointer | None, public: bytes) -> Proven | None:
    """Of a suite that was lost, what else is signed has been looked at already."""
    if pointer is None or (isinstance(pointer, Proven) and not pointer.signed):
        return pointer
    return require_signed(state, pointer, public)


def notices_due(state: State, public: bytes, *, everything: bool) -> str:
    """Why the list of withdrawn snapshots is to be signed anew, or made anew; empty if it is not."""
    signed = state.store.read(layout.WITHDRAWN)
    if signed is None:
        return "it was lost" if marked(state, lambda: public) else ""
    if everything:
        return "asked for"
    known = public + b"".join(kept_keys(state).values())
    try:
        good = openpgp.verify(signed, keyring=known, what=layout.WITHDRAWN)
    except SigningError:
        return "none of the keys has signed it as it is"
    return (
        ""
        if set(good.keys) == set(state.settings().keys)
        else "other keys than the present ones have signed it"
    )
