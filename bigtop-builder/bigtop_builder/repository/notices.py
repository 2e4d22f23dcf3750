# SPDX-License-Identifier: Apache-2.0
"""Which snapshots are out of use: the signed list says it, and, where that is lost, each snapshot's own suite."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

from bigtop_builder.errors import BuilderError, SigningError
from bigtop_builder.owner import whoever
from bigtop_builder.repository import layout
from bigtop_builder.repository.authentic import require_good
from bigtop_builder.repository.layout import COPY, Notice
from bigtop_builder.repository.pointer import WITHDRAWN, Pointer
from bigtop_builder.repository.state import State

log = logging.getLogger(__name__)

Keys = Callable[[], bytes]
"""Public keys, binary, of which one must have signed what is read; asked for only then."""
MEND = f"bigtop-builder repo refresh makes it anew of what snapshots' own suites say; or {COPY}"


def out_of_use(state: State, public: Keys) -> Mapping[str, Notice]:
    """Snapshots that are out of use, by id: of the list, or of what their own suites say if it is lost or spoilt."""
    listed = whole_list(state, public)
    return marked(state, public) if listed is None else listed


def whole_list(state: State, public: Keys) -> Mapping[str, Notice] | None:
    """What the signed list says; None if there is none, or it was altered, of which a warning tells."""
    if state.store.size(layout.WITHDRAWN) is None:
        return None
    try:
        return state.notices(public())
    except SigningError as error:
        log.warning("%s: snapshots' own suites say which are withdrawn\n  way out: %s", error.brief, MEND)
    return None


def marked(state: State, public: Keys) -> dict[str, Notice]:
    """Snapshots whose own suites say that they are out of use, by id; what is damaged or not signed says nothing."""
    found: dict[str, Notice] = {}
    for suite in filter(layout.OWN_SUITE.fullmatch, state.store.names("dists")):
        with suppress(BuilderError):
            if notice := _mark(state, state.unverified_pointer(suite), public):
                found[notice.snapshot] = notice
    return found


def notice_of(state: State, snapshot: str, public: Keys) -> Notice | None:
    """Why a snapshot is out of use, by the list or by its own suite; None if it is not.

    Raises:
        SigningError: Its own suite says so, and none of the keys has signed that.
    """
    listed = whole_list(state, public) or {}
    if snapshot in listed:
        return listed[snapshot]
    own = state.unverified_pointer(layout.snapshot_suite(snapshot))
    return _mark(state, own, public) if own and own.snapshot == snapshot else None


def _mark(state: State, own: Pointer | None, public: Keys) -> Notice | None:
    if own is None or not own.fields.get(WITHDRAWN):
        return None
    proven = require_good(state, own, public(), expired=True)
    why = proven.fields.get(WITHDRAWN, "")
    told = next((one for one in state.backwards(proven) if one.action == "withdraw"), None)
    return Notice(
        snapshot=proven.snapshot,
        suite=proven.suite,
        when=told.when if told else proven.date,
        who=told.who if told else whoever(),
        why=why,
    )
