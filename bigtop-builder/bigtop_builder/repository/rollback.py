# SPDX-License-Identifier: Apache-2.0
"""Where a suite can go back to."""

import logging
from collections.abc import Iterable
from itertools import chain

from bigtop_builder.errors import InputError
from bigtop_builder.repository.layout import Action, Entry
from bigtop_builder.repository.pointer import Pointer
from bigtop_builder.repository.state import State

log = logging.getLogger(__name__)

CAME: frozenset[Action] = frozenset({"add", "replace", "remove", "promote"})
"""What brings a suite to a snapshot that is new to it: the one before is what it goes back to."""


def predecessor(newest: Iterable[Entry], snapshot: str) -> str:
    """Id of the snapshot that a suite goes back to from one that it points to; empty if there is none.

    Args:
        newest: The suite's switches, newest first; read as far as needed.
        snapshot: The one it points to.
    """
    return next((one.before for one in newest if one.after == snapshot and one.action in CAME), "")


def earlier(state: State, pointer: Pointer, wanted: str | None = None) -> str:
    """Id of a snapshot that a suite pointed to.

    Where a rollback was the last to move the suite and none is named, it is the present one: a rollback that
    was cut off and is run again must not go back twice.

    Args:
        state: The repository.
        pointer: Where the suite stands.
        wanted: The beginning of the id; the one before the present one if None.

    Raises:
        InputError: There is none, `wanted` is empty, or more than one that begins so.
    """
    if wanted == "":
        raise InputError(
            "--to is empty",
            details=f"{pointer.suite} pointed to\n{_told(state, pointer)}",
            hint="name one of these, or leave out --to for the one before",
        )
    if wanted:
        return _called(state, pointer, wanted)
    newest = (one for one in state.backwards(pointer) if one.action != "refresh")
    moved = next(newest, None)
    if moved and moved.action == "rollback" and moved.after == pointer.snapshot:
        log.warning(
            "%s was rolled back already, at %s by %s; to go further: --to ID, one of\n%s",
            pointer.suite,
            f"{moved.when:%Y-%m-%d %H:%M} UTC",
            moved.who,
            _told(state, pointer),
        )
        return pointer.snapshot
    if not (last := predecessor(chain([moved] if moved else [], newest), pointer.snapshot)):
        raise InputError(
            f"suite {pointer.suite} has no snapshot before the present one",
            details=f"it pointed to\n{_told(state, pointer)}",
            hint="--to ID takes it to one of these; one of another suite comes in by repo promote",
        )
    return last


def _called(state: State, pointer: Pointer, wanted: str) -> str:
    found = {one.after for one in state.backwards(pointer) if one.after.startswith(wanted)}
    if len(found) != 1:
        raise InputError(
            f"{wanted} is {'more than one' if found else 'no'} snapshot that {pointer.suite} pointed to",
            details=_told(state, pointer),
            hint="name one of these; a snapshot of another suite comes in by promote",
        )
    return found.pop()


def _told(state: State, pointer: Pointer) -> str:
    """Where a suite pointed, oldest first, for people."""
    history = reversed([*state.backwards(pointer)])
    return "\n".join(f"{one.serial}: {one.after} ({one.when:%Y-%m-%d %H:%M} UTC)" for one in history)
