# SPDX-License-Identifier: Apache-2.0
"""The snapshots of a repository: what there is, and which are kept whatever the rules of retention say."""

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from bigtop_builder.errors import InputError
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout
from bigtop_builder.repository.authentic import check_signers, public_keys, require_signed
from bigtop_builder.repository.pointer import KEPT
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.state import State
from bigtop_builder.repository.wrapper import Change, switch_all

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._~\-]{0,63}")
"""Under which a snapshot is kept."""


@dataclass(frozen=True, kw_only=True)
class SnapshotInfo:
    """One snapshot.

    Attributes:
        snapshot: Its id.
        suite: Its own suite.
        when: When it was published first, UTC; None if it has no suite of its own yet.
        suites: Suites that point to it.
        kept: Name under which it is kept; empty if it is not.
        withdrawn: Why it is out of use; empty if it is not.
        packages: Architecture -> packages that a host of it finds there.
    """

    snapshot: str
    suite: str
    when: datetime | None
    suites: tuple[str, ...]
    kept: str
    withdrawn: str
    packages: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A snapshot that is kept from now on, or no more.

    Attributes:
        snapshot: Its id.
        suite: Its own suite.
        name: Under which it is kept; empty if it is not.
        changed: Something was written.
    """

    snapshot: str
    suite: str
    name: str
    changed: bool


def listed(state: State, public: bytes) -> list[SnapshotInfo]:
    """All snapshots, oldest first.

    Args:
        state: The repository.
        public: Keys, binary, that have signed the list of withdrawn snapshots.
    """
    suites = state.pointers(state.settings().suites).values()
    snapshots = state.snapshots()
    own = state.pointers(map(layout.snapshot_suite, snapshots))
    notices = state.notices(public)

    def info(snapshot: str) -> SnapshotInfo:
        suite = layout.snapshot_suite(snapshot)
        pointer, notice = own.get(suite), notices.get(snapshot)
        first = state.entry(suite, 1) if pointer else None
        return SnapshotInfo(
            snapshot=snapshot,
            suite=suite,
            when=first.when if first else pointer.date if pointer else None,
            suites=tuple(one.suite for one in suites if one.snapshot == snapshot),
            kept=pointer.kept if pointer else "",
            withdrawn=notice.why if notice else "",
            packages=_packages(state, snapshot),
        )

    with ThreadPoolExecutor(state.store.readers) as threads:
        found = list(threads.map(info, snapshots))
    return sorted(found, key=lambda one: (one.when is not None, one.when, one.snapshot))


def keep(
    repository: Repository,
    wanted: str,
    *,
    keyring: Keyring,
    name: str = "",
    undo: bool = False,
    who: str = "",
    why: str = "",
) -> Kept:
    """Keep a snapshot whatever the rules of retention say, or leave it to them again.

    Args:
        repository: The repository.
        wanted: A suite, for the snapshot that it points to, or what `State.named` takes.
        keyring: Holds the repository's keys.
        name: Name for it; the suite or the beginning of the id, and the day, if empty.
        undo: Keep it no more.
        who: Whom the history names.
        why: Reason for the history.

    Raises:
        InputError: There is no such snapshot, or the name is none or another one's.
        SigningError: A key cannot sign, or the repository's keys have not signed the snapshot's state.
    """
    state = repository.state
    if name and (NAME.fullmatch(name) is None or name in state.settings().suites):
        raise InputError(
            f"{name!r} cannot be a snapshot's name",
            hint="64 letters, digits, + . _ ~ and - at most, and not the name of a suite",
        )
    check_signers(keyring, state.settings().keys)
    with state.lock():
        suite = wanted in state.settings().suites
        snapshot = repository.standing(wanted, keyring).snapshot if suite else state.named(wanted)
        own = state.pointer(layout.snapshot_suite(snapshot))
        if own is None and not suite:
            raise InputError(
                f"snapshot {snapshot[:16]} has no suite of its own",
                hint="bigtop-builder repo refresh makes it",
            )
        if own:
            require_signed(state, own, public_keys(state, keyring))
        held = own.kept if own else ""
        begin = wanted if suite else snapshot[:16]
        called = "" if undo else name or held or f"{begin}-{repository.clock():%Y%m%dT%H%M%SZ}"
        result = Kept(
            snapshot=snapshot, suite=layout.snapshot_suite(snapshot), name=called, changed=called != held
        )
        if result.changed:
            _refuse_double(state, called, snapshot)
            change = Change(
                suite=result.suite,
                snapshot=snapshot,
                action="release" if undo else "keep",
                who=who,
                why=why,
                marks={KEPT: called},
            )
            switch_all(state, [(own, change)], keyring=keyring, clock=repository.clock)
        return result


def _refuse_double(state: State, name: str, snapshot: str) -> None:
    own = state.pointers(map(layout.snapshot_suite, state.snapshots() if name else ()))
    for other in own.values():
        if other.kept == name and other.snapshot != snapshot:
            raise InputError(
                f"snapshot {other.snapshot[:16]} is kept as {name!r} already",
                hint=f"give another name, or bigtop-builder repo snapshot {name} --undo",
            )


def _packages(state: State, snapshot: str) -> dict[str, int]:
    model = state.snapshot(snapshot)
    return {
        architecture: sum(
            block.count
            for indices in model.components.values()
            for block in (indices[architecture].blocks if architecture in indices else ())
        )
        for architecture in model.architectures
    }
