# SPDX-License-Identifier: Apache-2.0
"""Snapshots that are needed and not there: what an accident took, and no gc."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from datetime import datetime

from bigtop_builder import openpgp
from bigtop_builder.errors import BuilderError, SigningError
from bigtop_builder.repository import layout
from bigtop_builder.repository.authentic import kept_keys, once_kept, signed_entry
from bigtop_builder.repository.layout import COPY, Collected
from bigtop_builder.repository.pointer import Pointer
from bigtop_builder.repository.rollback import predecessor
from bigtop_builder.repository.state import State


def lost(state: State, there: Iterable[str], public: bytes) -> tuple[str, ...]:
    """Ids of snapshots of which only their own suite is left, or its history.

    A gc removes these before the snapshot itself, and only a published one has them: so it was no gc.

    Args:
        state: The repository.
        there: Ids of the snapshots that are there.
        public: Keys, binary, of which one must have signed an entry of a history.

    Raises:
        CheckFailed: An own suite's InRelease cannot be read.
    """
    known = {layout.snapshot_suite(one) for one in there}
    suites = {*state.store.names("dists"), *state.store.names("state/history")} - known
    found: set[str] = set()
    for suite in filter(layout.OWN_SUITE.fullmatch, suites):
        pointer = state.unverified_pointer(suite)
        found.add(pointer.snapshot if pointer else _told(state, suite, public))
    return tuple(sorted(found - {""}))


def collected(state: State, wanted: Collection[str], public: bytes) -> dict[str, datetime]:
    """When snapshots were removed last, by the signed records of gc, whose keys may sign no more.

    Args:
        state: The repository.
        wanted: Their ids.
        public: Present keys, binary.
    """
    found: dict[str, datetime] = {}
    known = public + b"".join(kept_keys(state).values()) if wanted else b""
    for name in state.store.names("state/collected") if wanted else ():
        path = f"state/collected/{name}"
        text = state.store.read(path) or b""
        if name.endswith(".json") and any(one.encode() in text for one in wanted):
            with suppress(SigningError):
                signature = state.store.read(f"{path}.asc") or b""
                proof = openpgp.verify(text, signature=signature, keyring=known, what=path, expired=True)
                record = Collected.from_json(proof.text, source=path)
                for one in {*record.snapshots} & {*wanted}:
                    found[one] = max(record.when, found.get(one, record.when))
    return found


def missing_snapshots(state: State, pointers: Iterable[Pointer], public: bytes, once: bytes) -> Iterator[str]:
    """What is wrong, a line a snapshot: suites point to it or go back to it, or it is kept, and it is not there.

    Args:
        state: The repository.
        pointers: Where its suites stand, and snapshots' own.
        public: Present keys, binary.
        once: All keys that it has had, binary.
    """
    standing, there = list(pointers), {*state.snapshots()}
    reasons: dict[str, list[str]] = {}
    for one in standing:
        reasons.setdefault(one.snapshot, []).append(_why(one))
    with suppress(BuilderError):  # what is damaged is told where it lies
        for snapshot in lost(state, there, public):
            name = once_kept(state, snapshot, public)
            reasons.setdefault(snapshot, [f"it is kept as {name}" if name else "it was published"])
    back = _back(state, standing)
    gone = collected(state, back.keys() - there, once)
    for snapshot in back.keys() - gone.keys():
        reasons.setdefault(snapshot, []).extend(f"{suite} goes back to it" for suite in back[snapshot])
    for snapshot in sorted(reasons.keys() - there):
        yield f"{layout.snapshot_file(snapshot)} is missing: {', '.join(reasons[snapshot])}; {COPY}"


def _back(state: State, pointers: Iterable[Pointer]) -> dict[str, list[str]]:
    """Snapshot -> suites that a rollback takes there; in a mirror there is none."""
    found: dict[str, list[str]] = {}
    mirror = state.store.size(layout.MIRROR) is not None
    for one in pointers:
        if not mirror and not layout.OWN_SUITE.fullmatch(one.suite):
            with suppress(BuilderError):
                if target := predecessor(state.backwards(one), one.snapshot):
                    found.setdefault(target, []).append(one.suite)
    return found


def _why(pointer: Pointer) -> str:
    """Why a snapshot is needed that a suite points to."""
    if pointer.kept:
        return f"it is kept as {pointer.kept}"
    return f"{pointer.suite} {'is its own suite' if layout.OWN_SUITE.fullmatch(pointer.suite) else 'points to it'}"


def _told(state: State, suite: str, public: bytes) -> str:
    """Id of a snapshot, by the newest signed entry of its own suite's history; empty if there is none."""
    for serial in sorted(state.entries(suite), reverse=True):
        path = layout.history_file(suite, serial)
        text = state.store.read(path)
        if text is not None and (entry := signed_entry(state, path, text, public)):
            return entry.after
    return ""
