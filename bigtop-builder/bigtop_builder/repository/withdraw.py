# SPDX-License-Identifier: Apache-2.0
"""Taking a bad snapshot out of use: a signed notice for hosts, a mark in its own suite, and no way back to it."""

from collections.abc import Collection
from dataclasses import dataclass

from bigtop_builder.errors import InputError
from bigtop_builder.log import plain
from bigtop_builder.openpgp import Keyring
from bigtop_builder.owner import whoever
from bigtop_builder.repository import layout
from bigtop_builder.repository.authentic import check_signers, public_keys, require_signed
from bigtop_builder.repository.catalog import named
from bigtop_builder.repository.layout import Notice, Notices
from bigtop_builder.repository.notices import marked, whole_list
from bigtop_builder.repository.pointer import WITHDRAWN, Pointer
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.rollback import keyring_alone, last_good
from bigtop_builder.repository.state import State
from bigtop_builder.repository.wrapper import Change, switch_all

LONG = 500
"""Characters of a reason, at most: it becomes a field of Release."""


ELSE = "promote another suite to it, or add a mended package"


@dataclass(frozen=True, kw_only=True)
class Affected:
    """A suite that points to a withdrawn snapshot.

    Attributes:
        suite: The suite.
        target: Id of the snapshot that it can go back to; empty if there is none.
        stays: What is to be known of that one; empty if nothing is.
    """

    suite: str
    target: str
    stays: str = ""

    @property
    def way_out(self) -> str:
        """The command that mends it, or what else does."""
        if self.target:
            return f"bigtop-builder repo rollback {self.suite} --to {self.target[:16]}"
        return f"it never had another that is in use: {ELSE}"


@dataclass(frozen=True, kw_only=True)
class Withdrawal:
    """A snapshot that is out of use, or in use again.

    Attributes:
        snapshot: Its id.
        withdrawn: It is out of use.
        changed: Something was written.
        affected: Suites that point to it.
    """

    snapshot: str
    withdrawn: bool
    changed: bool
    affected: tuple[Affected, ...]


def withdraw(
    repository: Repository, wanted: str, *, keyring: Keyring, why: str, undo: bool = False, who: str = ""
) -> Withdrawal:
    """Take a snapshot out of use, or bring it back. Suites that point to it are named, and left alone.

    Args:
        repository: The repository.
        wanted: What `catalog.found` takes, but for a suite: it may have gone back meanwhile.
        keyring: Holds the repository's keys.
        why: Reason, in one line.
        undo: Bring it back into use.
        who: Whom the notice names.

    Raises:
        InputError: There is no such snapshot, a suite was named, or there is no reason.
        SigningError: A key cannot sign, or the repository's keys have not signed what is to be signed anew.
    """
    reason = " ".join(plain(why).split())
    if not reason or len(reason) > LONG:
        raise InputError(
            "a withdrawal needs a reason, which hosts' checks will show"
            if not reason
            else "the reason is too long",
            hint=f"--why 'namenode loses edits', {LONG} characters at most",
        )
    state = repository.state
    check_signers(keyring, state.settings().keys)
    with state.lock():
        _refuse_suite(state, wanted)
        public = public_keys(state, keyring)
        listed = whole_list(state, lambda: public)
        notices = marked(state, lambda: public) if listed is None else listed
        snapshot = named(state, wanted, gone=notices if undo else ())
        moment = repository.clock().replace(microsecond=0)
        notice = Notice(
            snapshot=snapshot,
            suite=layout.snapshot_suite(snapshot),
            when=moment,
            who=who or whoever(),
            why=reason,
        )
        changed = (snapshot in notices) is undo or (listed is None and bool(notices))
        if changed:
            others = [one for one in notices.values() if one.snapshot != snapshot]
            wanted_ones = others if undo else [*others, notices.get(snapshot, notice)]
            write_notices(repository, Notices(when=moment, withdrawn=tuple(wanted_ones)), keyring)
        mark = "" if undo else f"{notices.get(snapshot, notice).why}"
        changed |= _mark(repository, notice, mark, keyring, public, undo=undo)
        known = {one for one in notices if one != snapshot} | ({snapshot} if not undo else set())
        return Withdrawal(
            snapshot=snapshot,
            withdrawn=not undo,
            changed=changed,
            affected=tuple(_affected(state, snapshot, known)),
        )


def write_notices(repository: Repository, notices: Notices, keyring: Keyring) -> None:
    """Sign the list of withdrawn snapshots, and put it where hosts' checks read it. The repository must be locked."""
    text = notices.to_json().encode()
    keys = repository.state.settings().keys
    repository.store.put({layout.WITHDRAWN: keyring.clearsign(text, keys)})


def _refuse_suite(state: State, wanted: str) -> None:
    """A suite that was rolled back points to the good snapshot: so a bad one is named by itself."""
    if wanted in state.settings().suites:
        snapshot = named(state, wanted)
        raise InputError(
            f"{wanted} is a suite: it points to snapshot {snapshot}",
            hint=f"bigtop-builder repo withdraw {snapshot[:16]}, if it is that one; repo history {wanted} has others",
        )


def _mark(
    repository: Repository, notice: Notice, mark: str, keyring: Keyring, public: bytes, *, undo: bool
) -> bool:
    """Say it in the snapshot's own suite too."""
    state = repository.state
    said = state.unverified_pointer(notice.suite)
    if said is None or said.fields.get(WITHDRAWN, "") == mark:
        return False
    own = require_signed(state, said, public)
    change = Change(
        suite=notice.suite,
        snapshot=notice.snapshot,
        action="restore" if undo else "withdraw",
        who=notice.who,
        why=notice.why,
        marks={WITHDRAWN: mark},
    )
    switch_all(state, [(own, change)], keyring=keyring, clock=repository.clock)
    return True


def _affected(state: State, snapshot: str, withdrawn: set[str]) -> list[Affected]:
    pointers = state.unverified_pointers(state.settings().suites)
    return [affected(state, one, withdrawn) for one in pointers.values() if one.snapshot == snapshot]


def affected(state: State, pointer: Pointer, withdrawn: Collection[str]) -> Affected:
    """Where a suite can go that points to a withdrawn snapshot.

    Args:
        state: The repository.
        pointer: Where it stands.
        withdrawn: Ids of snapshots that are out of use.
    """
    target = last_good(state, pointer.suite, withdrawn)
    alone = bool(target) and keyring_alone(state, pointer.snapshot, target)
    stays = (
        f"it goes back by the keyring package alone, all else of the bad one stays: {ELSE}" if alone else ""
    )
    return Affected(suite=pointer.suite, target=target, stays=stays)
