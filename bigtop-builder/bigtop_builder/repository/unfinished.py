# SPDX-License-Identifier: Apache-2.0
"""The first publish to a suite that was cut off before its switch, or whose switch was lost: any publisher ends it.

What comes next is built on it, so nothing that somebody signed for the suite is dropped in silence.
"""

import logging
from dataclasses import replace

from bigtop_builder import openpgp
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout
from bigtop_builder.repository.authentic import public_keys, signed_entry
from bigtop_builder.repository.layout import Added, Entry
from bigtop_builder.repository.pointer import Pointer
from bigtop_builder.repository.published import Published, unchanged
from bigtop_builder.repository.state import State
from bigtop_builder.repository.wrapper import Change, Clock, switch

log = logging.getLogger(__name__)

FIRST = 1
"""Serial of a first publish."""


def take_up(state: State, suite: str, *, keyring: Keyring, clock: Clock) -> Pointer | None:
    """Switch a suite without InRelease to what was signed for it first.

    Args:
        state: The repository, locked; the suite has no InRelease, and never had a second one.
        suite: The suite.
        keyring: Holds the repository's keys.
        clock: Says what time it is.

    Returns:
        Where the suite stands now; None if nothing was signed for it.

    Raises:
        SigningError: A key cannot sign, or the repository's keys have not signed the suite's wrapper.
        PublishError: The snapshot is withdrawn since, or the store cannot be written.
    """
    public = public_keys(state, keyring)
    last = state.last_wrapper(suite)
    if last:
        what = f"{state.store.name}/{layout.release_folder(suite, last.serial)}/InRelease"
        openpgp.verify(last.signed, keyring=public, what=what, expired=True)
    entry = _entry(state, suite, public)
    snapshot = last.snapshot if last else entry.after if entry else ""
    if not snapshot:
        return None
    log.warning(
        "the first publish to %s was cut off, or its switch was lost: snapshot %s comes first",
        suite,
        snapshot[:12],
    )
    change = _again(entry) if entry and entry.after == snapshot else _unknown(state, suite, snapshot)
    switch(state, None, change, keyring=keyring, clock=clock)
    return state.pointer(suite)


def completed(state: State, pointer: Pointer) -> Published:
    """What a command says that had nothing to do beyond what `take_up` did."""
    entry = state.entry(pointer.suite, pointer.serial)
    return replace(unchanged(pointer), changed=True, added=entry.added if entry else ())


def _entry(state: State, suite: str, public: bytes) -> Entry | None:
    path = layout.history_file(suite, FIRST)
    text = state.store.read(path)
    return signed_entry(state, path, text, public) if text is not None else None


def _again(entry: Entry) -> Change:
    return Change(
        suite=entry.suite,
        snapshot=entry.after,
        action=entry.action,
        who=entry.who,
        why=entry.why,
        source=entry.source,
        added=entry.added,
        removed=entry.removed,
        waived=entry.waived,
        records=entry.records,
    )


def _unknown(state: State, suite: str, snapshot: str) -> Change:
    """A publish of which only the signed state is left, and no word of who and why."""
    indices = [index for named in state.snapshot(snapshot).components.values() for index in named.values()]
    found = {one.key: one for index in indices for one in state.packages(index)}
    return Change(
        suite=suite,
        snapshot=snapshot,
        action="add",
        why="the first publish was cut off",
        added=tuple(
            Added(
                name=one.name,
                version=one.version,
                architecture=one.architecture,
                sha256=one.sha256,
                verified="pool",
            )
            for _, one in sorted(found.items())
        ),
    )
