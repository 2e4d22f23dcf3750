# SPDX-License-Identifier: Apache-2.0
"""Where a suite can go back to."""

import logging
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from itertools import chain

from bigtop_builder.errors import BuilderError, CheckFailed, InputError, SigningError
from bigtop_builder.log import plain
from bigtop_builder.repository import layout
from bigtop_builder.repository.authentic import signed_entry
from bigtop_builder.repository.catalog import found
from bigtop_builder.repository.layout import Action, Entry
from bigtop_builder.repository.notices import Keys, notice_of, out_of_use
from bigtop_builder.repository.pointer import Pointer
from bigtop_builder.repository.published import Published, compared, difference
from bigtop_builder.repository.state import State

log = logging.getLogger(__name__)

CAME: frozenset[Action] = frozenset({"add", "replace", "remove", "promote"})
"""What brings a suite to a snapshot that is new to it: the one before is what it goes back to."""
SHOWN = 20
"""Snapshots that a message lists; `repo history` has all."""


def predecessor(newest: Iterable[Entry], snapshot: str) -> str:
    """Id of the snapshot that a suite goes back to from one that it points to; empty if there is none.

    Args:
        newest: The suite's switches, newest first; read as far as needed.
        snapshot: The one it points to.
    """
    entry = came(newest, snapshot)
    return entry.before if entry else ""


def came(newest: Iterable[Entry], snapshot: str) -> Entry | None:
    """The switch that brought a suite to a snapshot."""
    return next((one for one in newest if one.after == snapshot and one.action in CAME), None)


def earlier(state: State, pointer: Pointer, wanted: str | None = None, *, public: Keys) -> str:
    """Id of a snapshot that a suite pointed to.

    Where a rollback was the last to move the suite and none is named, it is the present one: a rollback that
    was cut off and is run again must not go back twice.

    Args:
        state: The repository.
        pointer: Where the suite stands.
        wanted: What `catalog.found` takes; the one before the present one if None.
        public: Keys that have signed the list of withdrawn snapshots, and the entry that says what was before.

    Raises:
        InputError: There is none, or `wanted` is empty, none that the suite pointed to, or not plain.
        SigningError: None of the keys has signed the entry that says what was before.
    """
    if wanted == "":
        raise InputError(
            "--to is empty",
            details=_told(state, pointer, public),
            hint="name one of these, or leave out --to for the one before",
        )
    if wanted:
        return _called(state, pointer, wanted, public)
    newest = (one for one in state.backwards(pointer) if one.action != "refresh")
    moved = next(newest, None)
    if moved and moved.action == "rollback" and moved.after == pointer.snapshot:
        log.warning(
            "%s was rolled back already, at %s by %s; to go further: --to ID; %s",
            pointer.suite,
            f"{moved.when:%Y-%m-%d %H:%M} UTC",
            moved.who,
            _told(state, pointer, public),
        )
        return pointer.snapshot
    entry = came(chain([moved] if moved else [], newest), pointer.snapshot)
    if entry is None:
        _refuse_lost(state, pointer)
    if entry is None or not entry.before:
        raise InputError(
            f"suite {pointer.suite} has no snapshot before the present one",
            details=_told(state, pointer, public),
            hint="--to ID takes it to one that it pointed to; one of another suite comes in by repo promote",
        )
    require_signed_entry(state, pointer.suite, entry, public())
    return entry.before


def _refuse_lost(state: State, pointer: Pointer) -> None:
    """See that the history is there which does not say how a suite came to where it stands.

    Raises:
        CheckFailed: Entries of it are missing.
    """
    lost = sorted({*range(1, pointer.serial + 1)} - state.entries(pointer.suite))
    if lost:
        raise CheckFailed(
            f"what says where {pointer.suite} goes back to is missing: "
            f"{len(lost)} of the {pointer.serial} entries in state/history/{pointer.suite}",
            hint=f"bring state/history/{pointer.suite} back from a copy of the repository; or bigtop-builder repo "
            f"promote ID {pointer.suite} --allow-downgrade: repo list --snapshots has the ids",
        )


def require_signed_entry(state: State, suite: str, entry: Entry, public: bytes) -> None:
    """See that a key has signed an entry: the one alone that decides, however long the history is.

    Raises:
        SigningError: None has.
    """
    path = layout.history_file(suite, entry.serial)
    if signed_entry(state, path, state.store.read(path) or b"", public) != entry:
        raise SigningError(
            f"{path}, which says where {suite} goes back to, is signed by none of the repository's keys",
            details=f"from {entry.before} to {entry.after}, {entry.action} by {plain(entry.who)}: {plain(entry.why)}",
            hint="a key that signs no more may have, or somebody else has put it there: bigtop-builder repo history "
            f"{suite} tells; bigtop-builder repo rollback {suite} --to {entry.before[:16]} goes there all the same",
        )


def ways(state: State, pointer: Pointer, public: Keys) -> dict[str, Entry]:
    """Snapshots that a suite can go back to, newest first, each with the switch that brought the suite there last.

    Neither the present one, nor those that are withdrawn or gone.
    """
    there = set(state.snapshots()) - {pointer.snapshot} - out_of_use(state, public).keys()
    brought: dict[str, Entry] = {}
    for one in state.backwards(pointer):
        known = brought.setdefault(one.after, one)
        if known.action not in CAME and one.action in CAME:
            brought[one.after] = one
    newest = sorted(brought.values(), key=lambda one: one.serial, reverse=True)
    return {one.after: one for one in newest if one.after in there}


def last_good(state: State, suite: str, unusable: Collection[str]) -> str:
    """Id of the snapshot that a suite should go back to; empty if it had none that is there and in use.

    One that has all that the present one has, but for the keyring package, still holds what is bad: it comes last.
    """
    history = state.history(suite)
    there = set(state.snapshots()) - set(unusable)
    seen: list[str] = []
    snapshot = history[-1].after if history else ""
    while snapshot and snapshot not in seen:
        seen.append(snapshot)
        snapshot = predecessor(reversed(history), snapshot)
    earlier = [*seen[1:], *(entry.after for entry in reversed(history))]
    usable = [one for one in dict.fromkeys(earlier) if one in there and one != history[-1].after]
    better = (one for one in usable if not keyring_alone(state, history[-1].after, one))
    return next(better, next(iter(usable), ""))


def keyring_alone(state: State, before: str, after: str) -> bool:
    """Whether two snapshots differ in the keyring package alone, as those before and after `key rotate` do."""
    from bigtop_builder.repository.keyring_package import package_name  # 3 ms that only a way back should pay

    with suppress(BuilderError):
        added, removed = difference(state, state.snapshot(before), state.snapshot(after))
        return {one.name for one in added} | {one.name for one in removed} == {
            package_name(state.settings().origin)
        }
    return False


def warn_of_withdrawn(state: State, pointer: Pointer, public: Keys) -> None:
    """Say that a suite stands at a snapshot that is out of use: a command that changes nothing does not refuse it."""
    if notice := notice_of(state, pointer.snapshot, public):
        good = last_good(state, pointer.suite, {*out_of_use(state, public), pointer.snapshot})
        log.warning(
            "snapshot %s is withdrawn, and %s points to it still: %s\n  way out: %s",
            pointer.snapshot[:16],
            pointer.suite,
            notice.why,
            f"bigtop-builder repo rollback {pointer.suite} --to {good[:16]}"
            if good
            else "promote another one to it",
        )


def went_back(state: State, before: Pointer, done: Published, public: Keys) -> Published:
    """What a rollback did, with the packages that came and went; a warning, if that is the keyring package alone.

    Args:
        state: The repository.
        before: Where the suite stood.
        done: The switch.
        public: Keys that have signed the list of withdrawn snapshots.
    """
    done = compared(state, before, done)
    try:
        _warn_of_keyring_alone(state, done, public)
    except BuilderError as error:  # the suite was switched, and nothing that is read after it changes that
        log.warning("%s was switched; where else it can go is not known: %s", done.suite, error.brief)
    return done


def _warn_of_keyring_alone(state: State, done: Published, public: Keys) -> None:
    from bigtop_builder.repository.keyring_package import package_name  # 3 ms that only a rollback should pay

    names = {one.name for one in done.added} | {one.name for one in done.removed}
    pointer = state.unverified_pointer(done.suite) if len(names) == 1 else None
    if pointer is None or names != {package_name(state.settings().origin)}:
        return
    every = ways(state, pointer, public)
    came = next(
        (one for one in state.backwards(pointer) if one.after == done.snapshot and one.action in CAME), None
    )
    further = {name: one for name, one in every.items() if came is None or one.serial < came.serial}
    log.warning(
        "%s: only the keyring package changes; %s",
        done.suite,
        f"--to ID goes further back:\n{_lines(state, further)}"
        if further
        else "there is nothing further back",
    )


def _called(state: State, pointer: Pointer, wanted: str, public: Keys) -> str:
    past = {one.after for one in state.backwards(pointer)}
    snapshot = found(state, wanted, gone=past, suite=pointer.suite)
    if snapshot in past:
        return snapshot
    raise InputError(
        f"{wanted} is no snapshot that {pointer.suite} pointed to",
        details=_told(state, pointer, public),
        hint=f"bigtop-builder repo promote {snapshot[:16]} {pointer.suite} brings it in"
        if snapshot
        else "name one that it pointed to; a snapshot of another suite comes in by promote",
    )


def _told(state: State, pointer: Pointer, public: Keys) -> str:
    """Where a suite can go, for people."""
    every = ways(state, pointer, public)
    if every:
        return f"it can go to\n{_lines(state, every)}"
    return f"it points to {pointer.snapshot}, and has no other that is there and in use"


def _lines(state: State, every: Mapping[str, Entry]) -> str:
    shown = dict([*every.items()][:SHOWN])
    own = state.unverified_pointers(map(layout.snapshot_suite, shown))
    kept = {one.snapshot: one.kept for one in own.values() if one.kept}
    lines = [
        f"{name[:16]}  {one.when:%Y-%m-%d %H:%M} UTC  {one.action} by {plain(one.who)}"
        f"{f': {plain(one.why)}' if one.why else ''}{f' (kept as {kept[name]})' if name in kept else ''}"
        for name, one in shown.items()
    ]
    if len(every) > SHOWN:
        lines.append(f"and {len(every) - SHOWN} more: repo history")
    return "\n".join(lines)
