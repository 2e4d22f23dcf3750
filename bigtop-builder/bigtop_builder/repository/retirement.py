# SPDX-License-Identifier: Apache-2.0
"""Retiring a suite: hosts find it no more, and its history stays, with a signed word of who, when and why.

Order: the signed entry, the settings, then the switch is removed. Until then the suite is whole, and the next publish
to it writes over the entry; from then on it is retired, and the same command removes what is left of it.
"""

from dataclasses import dataclass

from bigtop_builder.errors import InputError
from bigtop_builder.openpgp import Keyring
from bigtop_builder.owner import whoever
from bigtop_builder.repository import layout
from bigtop_builder.repository.authentic import check_signers
from bigtop_builder.repository.founding import change_settings, unpublished
from bigtop_builder.repository.layout import Entry
from bigtop_builder.repository.pointer import Proven
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.unfinished import Completion
from bigtop_builder.repository.wrapper import next_date


@dataclass(frozen=True, kw_only=True)
class Retired:
    """A suite that is no more.

    Attributes:
        suite: The suite.
        serial: Of the history entry that says so; 0 if nothing was ever published to it.
        snapshot: Id of the one that it had last; empty if it had none.
        changed: Something was written or removed.
    """

    suite: str
    serial: int
    snapshot: str
    changed: bool


def retire(repository: Repository, suite: str, *, keyring: Keyring, who: str = "", why: str = "") -> Retired:
    """Take a suite from hosts and from the settings. Its snapshots and packages stay until `gc` takes them.

    Args:
        repository: The repository.
        suite: The suite.
        keyring: Holds the repository's keys.
        who: Whom the history names; this user and host if empty.
        why: Reason for the history.

    Raises:
        InputError: There is no such suite, or it is a snapshot's own.
        SigningError: A key cannot sign, or the suite's state is not signed by the repository's keys.
        CheckFailed: The suite was lost, stands at an old state, or has another suite's.
        PublishError: The store cannot be written, or clocks differ.
    """
    if layout.OWN_SUITE.fullmatch(suite):
        raise InputError(f"{suite} is a snapshot's own suite", hint="it goes with the snapshot, by repo gc")
    state = repository.state
    check_signers(keyring, state.settings().keys)
    with state.lock(), Completion(state, keyring, repository.clock) as completion:
        pointer = repository.trusted(suite, keyring) or completion.take_up(suite)
        known = suite in state.settings().suites
        left = bool(state.store.names(layout.suite_folder(suite)))
        entry = _written(repository, pointer, keyring, who, why) if pointer else state.retired(suite)
        if not (entry or known):
            raise unpublished(state, suite)
        if known:
            suites = {name: one for name, one in state.settings().suites.items() if name != suite}
            change_settings(state, suites=suites)
        state.store.take_down(suite)
    return Retired(
        suite=suite,
        serial=entry.serial if entry else 0,
        snapshot=entry.after if entry else "",
        changed=bool(pointer or known or left),
    )


def _written(repository: Repository, pointer: Proven, keyring: Keyring, who: str, why: str) -> Entry:
    """The history entry, signed and in the store."""
    entry = Entry(
        suite=pointer.suite,
        serial=pointer.serial + 1,
        when=next_date(pointer, repository.clock),
        who=who or whoever(),
        why=why,
        action="retire",
        before=pointer.snapshot,
        after=pointer.snapshot,
        codename=pointer.fields["Codename"],
    )
    text, path = entry.to_json().encode(), layout.history_file(entry.suite, entry.serial)
    signature = keyring.detach_sign(text, repository.state.settings().keys)
    repository.store.put({path: text, f"{path}.asc": signature})
    return entry
