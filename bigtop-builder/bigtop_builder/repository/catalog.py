# SPDX-License-Identifier: Apache-2.0
"""The snapshots of a repository: what there is, and what each is called. Reads only; `keeping` gives names."""

import re
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from bigtop_builder.errors import InputError
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout
from bigtop_builder.repository.authentic import public_keys, require_published
from bigtop_builder.repository.founding import meant, unpublished
from bigtop_builder.repository.notices import out_of_use
from bigtop_builder.repository.state import State

if TYPE_CHECKING:  # publish asks here what a snapshot is called
    from bigtop_builder.repository.publish import Repository

BEGINNING = re.compile(r"[0-9a-f]+")
SERIAL = re.compile(r"[1-9][0-9]*")
DIGITS = 6
"""Of an id, that must be given at least: fewer are a slip of the hand, or a serial."""
SHOWN = 10
"""Candidates that a refusal names."""


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


def listed(state: State, public: bytes) -> list[SnapshotInfo]:
    """All snapshots, oldest first.

    Args:
        state: The repository.
        public: Keys, binary, that have signed the list of withdrawn snapshots.
    """
    suites = state.unverified_pointers(state.settings().suites).values()
    snapshots = state.snapshots()
    own = state.unverified_pointers(map(layout.snapshot_suite, snapshots))
    notices = out_of_use(state, lambda: public)

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


def named(state: State, wanted: str, *, gone: Collection[str] = ()) -> str:
    """Id of a snapshot by any of its names, as `found` takes them.

    Raises:
        InputError: There is none of that name, or it is not plain which.
    """
    if snapshot := found(state, wanted, gone=gone):
        return snapshot
    raise InputError(
        f"{state.store.name} has no snapshot {wanted!r}",
        hint="bigtop-builder repo list --snapshots shows them",
    )


def found(state: State, wanted: str, *, gone: Collection[str] = (), suite: str = "") -> str:
    """Id of the snapshot that a word means; empty if it means none.

    A suite, for the snapshot that it points to; or the name under which one is kept, its id, six digits or more from
    the beginning of it, or its own suite.

    Args:
        state: The repository.
        wanted: The word.
        gone: Ids of snapshots that count, whether they are there or not.
        suite: The suite whose serials a user has seen; each one's if empty.

    Raises:
        InputError: It means more than one, or is too short or a serial, or nothing was published to the suite.
    """
    suites = state.settings().suites if wanted else {}
    if wanted in suites:
        if pointer := state.unverified_pointer(wanted):
            return pointer.snapshot
        raise unpublished(state, wanted)
    every = {*state.snapshots(), *gone}
    if wanted in every:
        return wanted
    short = wanted.removeprefix("snapshot-") if layout.OWN_SUITE.fullmatch(wanted) else wanted
    begun = {one for one in every if BEGINNING.fullmatch(short) and one.startswith(short)}
    kept = set() if short != wanted or not wanted else _kept(state, wanted)
    if not kept and len(wanted) < DIGITS:
        _refuse_short(state, wanted, begun, [suite] if suite else [*suites])
    meant_ones = kept | (begun if len(short) >= DIGITS else set())
    if len(meant_ones) > 1:
        raise InputError(
            f"{wanted!r} is more than one snapshot of {state.store.name}",
            details=_candidates(meant_ones, kept, wanted),
            hint="name one of these by more digits of its id",
        )
    return next(iter(meant_ones), "")


def promoted(repository: "Repository", source: str, keyring: Keyring) -> tuple[str, str]:
    """Id of a snapshot that is to be promoted, and a suite that has it: the repository's keys have signed that.

    Args:
        repository: The repository.
        source: What `found` takes.
        keyring: Holds the repository's keys.

    Raises:
        InputError: It is neither a suite that something was published to nor a snapshot.
        SigningError: The keys have not signed it.
    """
    state = repository.state
    known = state.settings().suites
    if source in known:
        return repository.standing(source, keyring).snapshot, source
    if not (snapshot := found(state, source)):
        if state.retired(source):
            raise unpublished(state, source)
        raise InputError(
            f"{state.store.name} has no suite and no snapshot {source!r}", hint=meant(source, known)
        )
    require_published(state, snapshot, public_keys(state, keyring))
    return snapshot, layout.snapshot_suite(snapshot)


def _kept(state: State, name: str) -> set[str]:
    """Snapshots that are kept under a name."""
    own = state.unverified_pointers(map(layout.snapshot_suite, state.snapshots()))
    return {one.snapshot for one in own.values() if one.kept == name}


def _refuse_short(state: State, wanted: str, begun: Collection[str], suites: Collection[str]) -> None:
    """See that too few digits are no serial that a list has shown, and no beginning of an id."""
    if SERIAL.fullmatch(wanted):
        entries = {suite: state.entry(suite, int(wanted)) for suite in suites}
        if told := [
            f"{entry.after} (serial {wanted} of {suite})" for suite, entry in entries.items() if entry
        ]:
            raise InputError(
                f"{wanted} is a serial: {told[0]}",
                details="\n".join(told[1:]),
                hint=f"name the snapshot by its id: {told[0][:16]}",
            )
    if begun:
        raise InputError(
            f"{wanted!r} is too short for the id of a snapshot",
            details=_candidates(begun, (), wanted),
            hint=f"give {DIGITS} digits of it at least, or the name under which it is kept",
        )


def _candidates(snapshots: Collection[str], kept: Collection[str], name: str) -> str:
    lines = [f"{one}{f' is kept as {name}' if one in kept else ''}" for one in sorted(snapshots)]
    return "\n".join([*lines[:SHOWN], *([f"and {len(lines) - SHOWN} more"] if lines[SHOWN:] else [])])


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
