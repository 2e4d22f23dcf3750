# SPDX-License-Identifier: Apache-2.0
"""Where hosts of a snapshot go back to, and whether it is there to go to."""

import logging
from collections.abc import Iterable

from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.repository import layout
from bigtop_builder.repository.authentic import newest_signed, require_good, require_signed
from bigtop_builder.repository.catalog import named
from bigtop_builder.repository.index.packages import Stanza
from bigtop_builder.repository.layout import COPY
from bigtop_builder.repository.notices import notice_of
from bigtop_builder.repository.pointer import Pointer, Proven
from bigtop_builder.repository.rollback import came, keyring_alone, require_signed_entry
from bigtop_builder.repository.state import State
from bigtop_builder.schema import some

log = logging.getLogger(__name__)

NAME_IT = "name it with --rollback-to SNAPSHOT; bigtop-builder repo history SUITE shows what there was"


def own_suite(state: State, snapshot: str, public: bytes) -> Proven:
    """The snapshot's own suite, which the keys have signed.

    Raises:
        CheckFailed: It has none.
        SigningError: None of the keys has signed it.
    """
    suite = layout.snapshot_suite(snapshot)
    pointer = state.unverified_pointer(suite)
    own = require_signed(state, pointer, public) if pointer else None
    if own is None or own.snapshot != snapshot:
        raise CheckFailed(
            f"snapshot {snapshot} of {state.store.name} has no suite of its own, {suite}, that hosts could stay with",
            hint="bigtop-builder repo refresh makes it",
        )
    return own


def titles(state: State, own: Proven) -> tuple[str, str]:
    """Origin and label, as a snapshot's own suite has them: state/repository.json is signed by nobody.

    Raises:
        CheckFailed: The two differ, or a host cannot be given them.
    """
    settings, found = state.settings(), []
    for name, said in (("Origin", settings.origin), ("Label", settings.label)):
        signed = own.fields.get(name, "")
        if signed != said:
            raise CheckFailed(
                f"{name} of {state.store.name} is {said!r} by {layout.SETTINGS}, and the keys have signed {signed!r} "
                f"in {own.suite}",
                hint=f"{layout.SETTINGS} was altered: {COPY}",
            )
        found.append(signed)
    return found[0], found[1]


def pointing(state: State, snapshot: str, public: bytes) -> list[Proven]:
    """Suites that point to a snapshot, as their signatures say, and have gone no further.

    Raises:
        CheckFailed: The signed history of one goes further: an old state was put back, or a switch was cut off.
        SigningError: None of the keys has signed one.
    """
    pointers = state.unverified_pointers(state.settings().suites).values()
    return [_newest(state, one, public) for one in pointers if one.snapshot == snapshot]


def _newest(state: State, pointer: Pointer, public: bytes) -> Proven:
    if last := newest_signed(state, pointer.suite, public, beyond=pointer.serial):
        raise CheckFailed(
            f"{state.store.name}/{layout.suite_folder(pointer.suite)} stands at release {pointer.serial}, and the "
            f"signed history of {pointer.suite} goes to {last}: hosts would get an old state",
            hint=f"bigtop-builder repo refresh {pointer.suite} completes a switch that was cut off; "
            "an export to a mirror is run again",
        )
    return require_good(state, pointer, public, expired=True)


def way_back(
    state: State, snapshot: str, suites: Iterable[Proven], wanted: str, back: str, public: bytes
) -> str:
    """Id of the snapshot that hosts go back to; empty if there is none, or none that is plain, which a warning tells.

    Args:
        state: The repository.
        snapshot: Where they come from.
        suites: Suites that point to it.
        wanted: What the user called it: of several suites the one that was named counts.
        back: Snapshot or suite that the user named for the way back; empty if none.
        public: The repository's keys, binary.

    Raises:
        InputError: `back` is none, or the snapshot itself, or withdrawn.
        SigningError: What says it is signed by none of the keys.
    """
    if back:
        return _named_target(state, snapshot, back, public)
    pointing = list(suites)
    counting = [one for one in pointing if one.suite == wanted] or pointing
    found: dict[str, str] = {}
    for pointer in counting:
        entry = came(state.backwards(pointer), snapshot)
        if entry and entry.before:
            require_signed_entry(state, pointer.suite, entry, public)
            found[pointer.suite] = entry.before
    targets = set(found.values())
    if len(targets) > 1:
        said = ", ".join(f"{suite} had {one[:16]}" for suite, one in found.items())
        log.warning("which snapshot hosts go back to is not plain: %s\n  way out: %s", said, NAME_IT)
    if len(targets) != 1:
        return ""
    target = targets.pop()
    if unusable := _unusable(state, target, public):
        log.warning("snapshot %s, which was there before, %s\n  way out: %s", target[:16], unusable, NAME_IT)
        return ""
    if keyring_alone(state, target, snapshot):
        log.warning(
            "snapshot %s, where hosts go back to, differs in the keyring package alone\n  way out: %s",
            target[:16],
            NAME_IT,
        )
    return target


def _named_target(state: State, snapshot: str, back: str, public: bytes) -> str:
    target = named(state, back)
    wrong = "is the snapshot itself" if target == snapshot else _unusable(state, target, public)
    if wrong:
        raise InputError(
            f"hosts cannot go back to {back}: it {wrong}",
            hint="bigtop-builder repo list --snapshots shows what there is",
        )
    own_suite(state, target, public)
    return target


def _unusable(state: State, snapshot: str, public: bytes) -> str:
    """Why nothing goes to a snapshot; empty if it can."""
    if state.store.size(layout.snapshot_file(snapshot)) is None:
        return "is not there any more"
    notice = notice_of(state, snapshot, lambda: public)
    return f"is withdrawn: {notice.why}" if notice else ""


def require_whole(state: State, snapshot: str) -> None:
    """See that the packages of a snapshot are in the pool, by their sizes.

    Raises:
        CheckFailed: One is not.
    """
    every = state.pool_files([state.snapshot(snapshot)])
    files = {path: one for path, one in every.items() if isinstance(one, Stanza)}  # no host needs the sources
    held = state.store.held(files)
    lost = [path for path, file in files.items() if path not in held or held[path].size != file.size]
    if lost:
        raise CheckFailed(
            f"{some(lost, 'file')} of snapshot {snapshot[:16]} {'are' if lost[1:] else 'is'} missing, or cut off",
            hint=f"bigtop-builder repo check names what mends each; or {COPY}",
        )
