# SPDX-License-Identifier: Apache-2.0
"""Keeping a snapshot under a name, whatever the rules of retention say."""

import re
from dataclasses import dataclass

from bigtop_builder.errors import InputError
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout
from bigtop_builder.repository.authentic import check_signers, public_keys, require_signed
from bigtop_builder.repository.catalog import named
from bigtop_builder.repository.pointer import KEPT
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.state import State
from bigtop_builder.repository.wrapper import Change, switch_all

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._~\-]{0,63}")
"""Under which a snapshot is kept."""


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
        wanted: What `catalog.found` takes.
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
    _require_name(state, name)
    check_signers(keyring, state.settings().keys)
    with state.lock():
        suite = wanted in state.settings().suites
        snapshot = repository.standing(wanted, keyring).snapshot if suite else named(state, wanted)
        said = state.unverified_pointer(layout.snapshot_suite(snapshot))
        if said is None and not suite:
            raise InputError(
                f"snapshot {snapshot[:16]} has no suite of its own",
                hint="bigtop-builder repo refresh makes it",
            )
        own = require_signed(state, said, public_keys(state, keyring)) if said else None
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


def _require_name(state: State, name: str) -> None:
    """See that a snapshot can be kept under a name, if one is given.

    Raises:
        InputError: It is none, or a suite's.
    """
    taken = name in state.settings().suites or layout.OWN_SUITE.fullmatch(name)
    if name and (NAME.fullmatch(name) is None or taken):
        raise InputError(
            f"{name!r} cannot be a snapshot's name",
            hint="64 letters, digits, + . _ ~ and - at most, and not the name of a suite or a snapshot's own",
        )


def _refuse_double(state: State, name: str, snapshot: str) -> None:
    own = state.unverified_pointers(map(layout.snapshot_suite, state.snapshots() if name else ()))
    for other in own.values():
        if other.kept == name and other.snapshot != snapshot:
            raise InputError(
                f"snapshot {other.snapshot[:16]} is kept as {name!r} already",
                hint=f"give another name, or bigtop-builder repo snapshot {name} --undo",
            )
