# SPDX-License-Identifier: Apache-2.0
"""Removing what nobody needs any more: snapshots beyond retention, and files that no snapshot names.

Order of removal: the snapshot's own suite, wrappers that were replaced, the snapshot's model, then its indices,
blocks, packages. Each step is durable before the next begins. So what stands is whole after a crash, and the same
command removes the rest.

The record comes first. On a full disk, where it finds no room, it comes as soon as a step has made some. A snapshot's
own suite frees more than the record takes, so it is there before the snapshot's model goes: where a model is missing
and no record tells of it, it was lost. In a run that removes no such suite, a crash in between may leave no record.
"""

import errno
import logging
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from bigtop_builder.errors import CheckFailed, PublishError
from bigtop_builder.openpgp import Keyring
from bigtop_builder.owner import whoever
from bigtop_builder.repository import layout
from bigtop_builder.repository.authentic import check_signers, once_kept, public_keys
from bigtop_builder.repository.layout import COPY, Collected, Retention, Settings
from bigtop_builder.repository.missing import collected, lost
from bigtop_builder.repository.notices import out_of_use
from bigtop_builder.repository.retention import DAY, Marked, Past, retained
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store import Listed
from bigtop_builder.repository.unfinished import unfinished
from bigtop_builder.repository.wrapper import Clock

log = logging.getLogger(__name__)

FOLDERS = ("dists", "releases", "snapshots", layout.BY_HASH, "state/blocks", layout.POOL)
HASHES = re.compile(r'"([0-9a-f]{64}|[0-9a-f]{128})"')
"""Hashes in a snapshot's model: of indices and blocks of whatever kind, so that none is overlooked."""
PACKAGE = re.compile(r"pool/.+\.(?:u?deb|dsc|(?:diff\.gz|tar\.(?:gz|xz|bz2|lzma|zst))(?:\.asc)?)")
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
KINDS = ("switches", "wrappers", "snapshots", "links", "indices", "blocks", "packages")
"""What is removed, in this order."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a gc would do.

    Attributes:
        stays: Snapshot that stays -> why.
        snapshots: Those that go.
        files: Kind -> files that go, as `KINDS` orders them.
    """

    stays: Mapping[str, tuple[str, ...]]
    snapshots: tuple[str, ...]
    files: Mapping[str, tuple[Listed, ...]]

    @property
    def count(self) -> int:
        """Files that go."""
        return sum(len(files) for files in self.files.values())

    @property
    def size(self) -> int:
        """Bytes that go."""
        return sum(one.size for files in self.files.values() for one in files)


def collect(
    state: State,
    *,
    keyring: Keyring,
    clock: Clock,
    rules: Retention | None = None,
    who: str = "",
    why: str = "",
) -> Plan:
    """Remove what nobody needs, and leave a signed record of it.

    Args:
        state: The repository.
        keyring: Holds its keys.
        clock: Says what time it is.
        rules: What is set in them is for all suites, in place of the same of their own.
        who: Whom the record names; this user and host if empty.
        why: Reason for the record.

    Raises:
        CheckFailed: Something that decides is missing or was altered; nothing was removed.
        SigningError: A key cannot sign, or a suite's state is not signed by the repository's keys.
        PublishError: The store cannot be written.
    """
    keys = state.settings().keys
    check_signers(keyring, keys)
    with state.lock():
        now = clock().replace(microsecond=0)
        found = plan(state, now=now, public=public_keys(state, keyring), rules=rules)
        if not found.count:
            return found
        record = Collected(
            when=now,
            who=who or whoever(),
            why=why,
            snapshots=found.snapshots,
            files=found.count,
            size=found.size,
        )
        text = record.to_json().encode()
        path = layout.collected_file(now)
        remove(state, found, record={path: text, f"{path}.asc": keyring.detach_sign(text, keys)})
    return found


def remove(state: State, found: Plan, *, record: Mapping[str, bytes] | None = None) -> None:
    """Remove what a plan says. The repository must be locked since before the plan was made.

    Args:
        state: The repository.
        found: The plan.
        record: Files to write before; on a full disk as soon as there is room.

    Raises:
        PublishError: The store cannot be written.
    """
    waiting = dict(record or {})
    for kind in KINDS:
        if waiting and _written(state, waiting):
            waiting = {}
        if files := found.files.get(kind, ()):
            state.store.remove([one.path for one in files])
            log.info("removed %d %s, %.1f MB", len(files), kind, sum(one.size for one in files) / 1e6)
    if waiting:
        state.store.put(waiting)


def _written(state: State, record: Mapping[str, bytes]) -> bool:
    """Write a record if the disk has room for it."""
    try:
        state.store.put(record)
    except PublishError as error:
        if not isinstance(error.__cause__, OSError) or error.__cause__.errno not in FULL:
            raise
        return False
    return True


def plan(state: State, *, now: datetime, public: bytes, rules: Retention | None = None) -> Plan:
    """Say what stays and what goes.

    Args:
        state: The repository.
        now: The time, UTC.
        public: Keys, binary, that have signed the list of withdrawn snapshots, histories and wrappers.
        rules: What is set in them is for all suites, in place of the same of their own.

    Raises:
        CheckFailed: Something that decides is missing or was altered.
        SigningError: None of the keys has signed something that decides.
    """
    there = state.snapshots()
    every = (*there, *lost(state, there, public))
    pasts = _pasts(state, state.settings(), public, rules)
    pasts |= _retired(state, pasts, since=now - DAY)
    stays = retained(pasts, _marked(state, every, public, now), now=now)
    _require_there(state, stays, there, pasts, public)
    stays = {snapshot: reasons for snapshot, reasons in stays.items() if snapshot in set(there)}
    return sweep(state, stays, gone=tuple(one for one in every if one not in stays), now=now)


def _require_there(
    state: State,
    stays: Mapping[str, tuple[str, ...]],
    there: Collection[str],
    pasts: Mapping[str, Past],
    public: bytes,
) -> None:
    """See that snapshots which stay are there, but for those that a gc under other rules has removed.

    Raises:
        CheckFailed: One was lost: what only it names would be removed for good.
    """
    missing = sorted(stays.keys() - set(there))
    gone = collected(state, missing, public)
    for snapshot in missing:
        moments = [one.when for past in pasts.values() for one in past.history if one.after == snapshot]
        kept = any(reason.startswith("kept as ") for reason in stays[snapshot])
        if kept or snapshot not in gone or gone[snapshot] < max(moments, default=gone[snapshot]):
            own = layout.snapshot_suite(snapshot)
            otherwise = (
                f"remove dists/{own} and state/history/{own}" if kept else "gc goes on when no rule needs it"
            )
            raise CheckFailed(
                f"{state.store.name}/{layout.snapshot_file(snapshot)} is missing, and in use: nothing was removed",
                details="\n".join(stays[snapshot]),
                hint=f"{COPY}; if none has it, {otherwise}",
            )


def sweep(
    state: State, stays: Mapping[str, tuple[str, ...]], *, gone: tuple[str, ...], now: datetime
) -> Plan:
    """Find the files that no snapshot which stays needs, and that are older than a day.

    Args:
        state: The repository.
        stays: Snapshot that stays -> why.
        gone: Snapshots that go, with all that is theirs alone, whatever its age.
        now: The time, UTC.

    Raises:
        CheckFailed: A snapshot that stays is not whole.
    """
    needed = _needed(state, stays, gone)
    folders = [*FOLDERS, *(f"state/history/{suite}" for suite in sorted(needed.suites))]
    files: dict[str, list[Listed]] = {kind: [] for kind in KINDS}
    for folder in folders:
        for one in state.store.walk(folder):
            kind, aged = needed.kind(one.path)
            if kind and not (aged and one.modified > now - DAY):
                files[kind].append(one)
    listed = {kind: tuple(sorted(found, key=lambda one: one.path)) for kind, found in files.items() if found}
    return Plan(stays=stays, snapshots=gone, files=listed)


@dataclass(frozen=True, kw_only=True)
class _Needed:
    """What stays, to hold paths against.

    Attributes:
        stays: Ids of snapshots.
        gone: Ids of snapshots that go.
        suites: Own suites of those.
        releases: Wrappers that suites point to.
        hashes: Of indices and blocks.
        packages: Paths in the pool.
    """

    stays: frozenset[str]
    gone: frozenset[str]
    suites: frozenset[str]
    releases: frozenset[str]
    hashes: frozenset[str]
    packages: frozenset[str]

    def kind(self, path: str) -> tuple[str, bool]:
        """What a file is if it may go, else nothing; and whether it must be a day old."""
        kind, stays, aged = "", True, True
        match path.split("/"):
            case ["dists", suite] | ["dists", suite, "InRelease"]:
                kind, stays, aged = "switches", suite not in self.suites, False
            case ["dists" | "releases", suite, *_] | ["state", "history", suite, *_] if suite in self.suites:
                kind, stays, aged = "wrappers", False, False
            case ["dists", *_, "by-hash", _, name] | [layout.BY_HASH, _, name]:
                kind, stays = "indices", name in self.hashes
            case ["releases", suite, serial, *_]:
                kind, stays = "wrappers", f"releases/{suite}/{serial}" in self.releases
            case ["snapshots", snapshot, *rest] if snapshot in self.gone:
                kind, stays, aged = "snapshots" if rest == ["snapshot.json"] else "links", False, False
            case ["snapshots", snapshot, *_]:
                kind, stays = "links", snapshot in self.stays
            case ["state", "blocks", name]:
                kind, stays = "blocks", name.partition(".")[0] in self.hashes
            case _ if PACKAGE.fullmatch(path):
                kind, stays = "packages", path in self.packages
        return ("" if stays else kind), aged


def _needed(state: State, stays: Iterable[str], gone: Iterable[str]) -> _Needed:
    snapshots = [state.snapshot(one) for one in stays]
    hashes = {found for one in snapshots for found in HASHES.findall(one.to_json())}
    suites = frozenset(layout.snapshot_suite(one) for one in gone)
    pointers = state.unverified_pointers(suite for suite in state.store.names("dists") if suite not in suites)
    return _Needed(
        stays=frozenset(stays),
        gone=frozenset(gone),
        suites=suites,
        releases=frozenset(layout.release_folder(one.suite, one.serial) for one in pointers.values()),
        hashes=frozenset(hashes),
        packages=frozenset(state.pool_files(snapshots)),
    )


def _pasts(state: State, settings: Settings, public: bytes, rules: Retention | None) -> dict[str, Past]:
    """Where each suite pointed.

    Raises:
        CheckFailed: An entry of a history is missing, or a publish was cut off that the next one takes up.
        SigningError: None of the keys has signed what would be taken up.
    """
    pasts: dict[str, Past] = {}
    suites = {*settings.suites, *state.store.names("dists"), *state.store.names("state/history")}
    named = sorted(suite for suite in suites if not layout.OWN_SUITE.fullmatch(suite))
    pointers = state.unverified_pointers(named)
    for suite in named:
        found = None if suite in pointers else unfinished(state, suite, public)
        if found and not found.barred:
            raise CheckFailed(
                f"{state.store.name}/{layout.suite_folder(suite)}/InRelease is missing, and {suite} was published to",
                hint=f"bigtop-builder repo refresh {suite} brings it back, or the command that was cut off",
            )
    for suite, pointer in pointers.items():
        history = state.history(suite)
        if [entry.serial for entry in history] != list(range(1, pointer.serial + 1)):
            raise CheckFailed(
                f"{state.store.name}: the history of {suite} has {len(history)} entries of {pointer.serial}, "
                "so nobody can tell which snapshots it may go back to",
                hint=f"{COPY}, or leave everything: nothing was removed",
            )
        known = settings.suites.get(suite)
        own = known.retention if known else Retention()
        told = rules.model_dump(exclude_unset=True) if rules else {}
        pasts[suite] = Past(history=history, rules=own.model_copy(update=told))
    return pasts


def _retired(state: State, known: Collection[str], *, since: datetime) -> dict[str, Past]:
    """Where suites pointed that were retired lately: hosts may still read what their InRelease named."""
    suites = sorted(set(state.store.names("state/history")) - set(known))
    entries = [entry for entry in map(state.retired, suites) if entry and entry.when > since]
    rules = Retention(promoted=False)
    return {
        one.suite: Past(
            history=[
                found for serial in range(1, one.serial + 1) if (found := state.entry(one.suite, serial))
            ],
            rules=rules,
        )
        for one in entries
    }


def _marked(state: State, every: Iterable[str], public: bytes, now: datetime) -> Marked:
    kept: dict[str, str] = {}
    touched: dict[str, datetime] = {}
    own = state.unverified_pointers(map(layout.snapshot_suite, every))
    for snapshot in (one for one in every if layout.snapshot_suite(one) not in own):
        if name := once_kept(state, snapshot, public):
            kept[snapshot] = name
    for pointer in own.values():
        if pointer.kept:
            kept[pointer.snapshot] = pointer.kept
        elif pointer.date > now - DAY:
            moved = (one.when for one in state.backwards(pointer) if one.action != "refresh")
            touched[pointer.snapshot] = next(moved, pointer.date)
    models = {layout.snapshot_file(one): one for one in every}
    for one in state.store.walk("snapshots"):
        if found := models.get(one.path):
            touched[found] = max(one.modified, touched.get(found, one.modified))
    return Marked(kept=kept, touched=touched, withdrawn=out_of_use(state, lambda: public).keys())
