# SPDX-License-Identifier: Apache-2.0
"""The first publish to a suite that was cut off before its switch, or whose switch was lost: any publisher ends it.

What comes next is built on it, so nothing that somebody signed for the suite is dropped in silence. Where its
snapshot is withdrawn since, or gone, a warning says so, and what comes next begins anew.
"""

import logging
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from bigtop_builder import openpgp
from bigtop_builder.errors import BuilderError, CheckFailed, SigningError
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout
from bigtop_builder.repository.authentic import public_keys, require_good, signed_entry
from bigtop_builder.repository.layout import Entry
from bigtop_builder.repository.notices import notice_of
from bigtop_builder.repository.pointer import Pointer, Proven, proven_pointer
from bigtop_builder.repository.published import Published, from_pool, unchanged
from bigtop_builder.repository.state import State
from bigtop_builder.repository.wrapper import Change, Clock, switch

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """What was signed for a suite that has no InRelease.

    Attributes:
        suite: The suite.
        snapshot: Id of the snapshot that it was to point to.
        entry: The history entry; None if it was not signed yet.
        barred: Why it is not taken up; empty if it is.
    """

    suite: str
    snapshot: str
    entry: Entry | None
    barred: str

    @property
    def told(self) -> str:
        """What is missing, and what becomes of it."""
        missing = (
            f"{layout.suite_folder(self.suite)}/InRelease is missing, and {self.suite} was published to once"
        )
        if self.barred:
            return f"{missing}: that is not taken up, for {self.barred}: the next publish to it begins anew"
        mend = f"bigtop-builder repo refresh {self.suite} brings it back"
        return f"{missing}: the next publish to it takes that up, and {mend}"


class Completion:
    """Takes up what was cut off; an error that comes after it names what was switched nevertheless.

    Args:
        state: The repository, locked.
        keyring: Holds its keys.
        clock: Says what time it is.
    """

    def __init__(self, state: State, keyring: Keyring, clock: Clock) -> None:
        self._state = state
        self._keyring = keyring
        self._clock = clock
        self._taken: Proven | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._taken and isinstance(error, BuilderError):
            done = (
                f"before that, release {self._taken.serial} of {self._taken.suite}, which had been cut off, was "
                f"completed with snapshot {self._taken.snapshot[:16]}, and it stands"
            )
            error.details = "\n".join(filter(None, [error.details.rstrip(), done]))

    def take_up(self, suite: str) -> Proven | None:
        """As `take_up` does it."""
        self._taken = take_up(self._state, suite, keyring=self._keyring, clock=self._clock)
        return self._taken

    def alone(self, pointer: Pointer) -> Published:
        """What a command says that had nothing to do beyond what was taken up, if anything was."""
        done = unchanged(pointer)
        if self._taken is None:
            return done
        entry = self._state.entry(pointer.suite, pointer.serial)
        return replace(done, changed=True, added=entry.added if entry else ())


def unfinished(state: State, suite: str, public: bytes) -> Unfinished | None:
    """What was signed first for a suite without InRelease; None if nothing was.

    Args:
        state: The repository; the suite never had a second InRelease.
        suite: The suite.
        public: Keys, binary, of which one must have signed it.

    Raises:
        SigningError: None of the keys has signed the suite's wrapper.
        CheckFailed: The wrapper is of another suite, serial or repository.
    """
    last = state.unverified_wrapper(suite)
    entry = _entry(state, suite, public)
    snapshot = last.snapshot if last else entry.after if entry else ""
    if not snapshot:
        return None
    barred = _barred(state, snapshot, public)
    if last and not barred:
        snapshot = require_ours(state, last, public).snapshot
    told = entry if entry and entry.after == snapshot else None
    return Unfinished(suite=suite, snapshot=snapshot, entry=told, barred=barred)


def require_ours(state: State, last: Pointer, public: bytes) -> Proven:
    """What a wrapper says that is signed, and for this repository: the same keys may sign others too.

    Raises:
        SigningError: None of the keys has signed it.
        CheckFailed: It is another repository's.
    """
    folder = f"{state.store.name}/{layout.release_folder(last.suite, last.serial)}"
    try:
        proof = openpgp.verify(last.signed, keyring=public, what=f"{folder}/InRelease", expired=True)
    except SigningError as error:
        hint = "none of the present keys has signed it: nobody takes it up"
        raise SigningError(
            error.brief,
            details=error.details,
            hint=f"{hint}; remove {folder}, and the suite goes on without it",
        ) from error
    source = f"{folder}/InRelease"
    ours = proven_pointer(last.suite, proof, source=source, signed=last.signed, serial=last.serial)
    require_origin(state, ours)
    return ours


def require_origin(state: State, last: Pointer) -> None:
    """See that a wrapper is of this repository.

    Raises:
        CheckFailed: It is another one's.
    """
    folder = f"{state.store.name}/{layout.release_folder(last.suite, last.serial)}"
    settings = state.settings()
    for name, ours in (("Origin", settings.origin), ("Label", settings.label)):
        if (theirs := last.fields.get(name, "")) != ours:
            raise CheckFailed(
                f"{folder}/InRelease is of another repository: its {name} is {theirs!r}, not {ours!r}",
                hint=f"somebody has put it there: remove {folder}",
            )


def take_up(
    state: State, suite: str, *, keyring: Keyring, clock: Clock, public: bytes = b""
) -> Proven | None:
    """Switch a suite without InRelease to what was signed for it first.

    Args:
        state: The repository, locked; the suite has no InRelease, and never had a second one.
        suite: The suite.
        keyring: Holds the repository's keys.
        clock: Says what time it is.
        public: Keys, binary, of which one must have signed it; the present ones if empty.

    Returns:
        Where the suite stands now; None if nothing was signed for it, or its snapshot is withdrawn or gone: then
        the suite begins anew, with the same serial.

    Raises:
        SigningError: A key cannot sign, or the repository's keys have not signed the suite's wrapper.
        CheckFailed: The wrapper is of another suite, serial or repository.
        PublishError: The store cannot be written.
    """
    public = public or public_keys(state, keyring)
    found = unfinished(state, suite, public)
    if found is None:
        return None
    if found.barred:
        log.warning(
            "the first publish to %s was cut off, and is not taken up: %s; the suite begins anew",
            suite,
            found.barred,
        )
        return None
    log.warning(
        "the first publish to %s was cut off, or its switch was lost: snapshot %s comes first",
        suite,
        found.snapshot[:12],
    )
    change = _again(found.entry) if found.entry else _unknown(state, suite, found.snapshot)
    switch(state, None, change, keyring=keyring, clock=clock, public=public)
    standing = state.unverified_pointer(suite)
    return require_good(state, standing, public_keys(state, keyring)) if standing else None


def _entry(state: State, suite: str, public: bytes) -> Entry | None:
    path = layout.history_file(suite, state.first(suite))
    text = state.store.read(path)
    return signed_entry(state, path, text, public) if text is not None else None


def _barred(state: State, snapshot: str, public: bytes) -> str:
    """Why nothing is to point to a snapshot; empty if something may."""
    if notice := notice_of(state, snapshot, lambda: public):
        return f"snapshot {snapshot[:16]} is withdrawn: {notice.why}"
    if state.store.size(layout.snapshot_file(snapshot)) is None:
        return f"snapshot {snapshot[:16]} is gone"
    return ""


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
    """A publish of which only the signed state is left, and no word of who, why, and by which action."""
    model = state.snapshot(snapshot)
    indices = [index for named in model.components.values() for index in named.values()]
    every = [one for index in indices for one in state.packages(index)]
    every += [
        one for index in model.sources.values() for block in index.blocks for one in state.sources(block)
    ]
    found = {one.key: one for one in every}
    return Change(
        suite=suite,
        snapshot=snapshot,
        action="add",
        why="the first publish was cut off: whether it was an add or a promote, and why, is not known",
        added=tuple(from_pool(one) for _, one in sorted(found.items())),
    )
