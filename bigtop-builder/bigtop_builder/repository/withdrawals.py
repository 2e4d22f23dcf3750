# SPDX-License-Identifier: Apache-2.0
"""Whether the list of withdrawn snapshots is whole, and heeded: one line for each fault, with what mends it."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from bigtop_builder.errors import BuilderError
from bigtop_builder.repository import layout
from bigtop_builder.repository.layout import COPY, Notice
from bigtop_builder.repository.notices import MEND, marked
from bigtop_builder.repository.pointer import WITHDRAWN, Pointer
from bigtop_builder.repository.state import State
from bigtop_builder.repository.withdraw import ELSE, affected


def unheeded(state: State, pointers: Iterable[Pointer], public: bytes) -> Iterator[str]:
    """Faults of the list of withdrawn snapshots, and suites that point to one of these.

    Args:
        state: The repository.
        pointers: Where its suites stand, and snapshots' own.
        public: Present keys, binary.
    """
    own = {one.suite: one for one in pointers}
    others = [own.pop(suite) for suite in [*own] if not layout.OWN_SUITE.fullmatch(suite)]
    yield from _differing(state, own.values(), public)
    notices = _notices(state, public)
    for pointer in others:
        if notice := notices.get(pointer.snapshot):
            yield (
                f"{pointer.suite} points to snapshot {pointer.snapshot[:16]}, which is withdrawn: {notice.why}: "
                f"{_way_out(state, pointer, notices)}"
            )


def _differing(state: State, own: Iterable[Pointer], public: bytes) -> Iterator[str]:
    """What is wrong with the list, and whether snapshots' own suites say the same."""
    mend = COPY if state.store.size(layout.MIRROR) is not None else MEND
    try:
        notices = state.notices(public)
    except BuilderError as error:
        yield f"{error.brief}: {error.hint or mend}"
        return
    if state.store.size(layout.WITHDRAWN) is None and _notices(state, public):
        yield f"{layout.WITHDRAWN} is missing, and snapshots are withdrawn: {mend}"
    for one in own:
        said = one.fields.get(WITHDRAWN, "")
        there = notices[one.snapshot].why if one.snapshot in notices else ""
        if said != there:
            again = f"bigtop-builder repo withdraw {one.snapshot[:16]} --why {shlex.quote(there or said)}"
            yield (
                f"{one.suite} and {layout.WITHDRAWN} differ on whether it is withdrawn: {again} takes it out of use; "
                "with --undo too it is in use again"
            )


def _notices(state: State, public: bytes) -> Mapping[str, Notice]:
    """Snapshots that are out of use; a list that cannot be believed is told of elsewhere."""
    with suppress(BuilderError):
        if state.store.size(layout.WITHDRAWN) is not None:
            return state.notices(public)
    return marked(state, lambda: public)


def _way_out(state: State, pointer: Pointer, notices: Mapping[str, Notice]) -> str:
    if state.store.size(layout.MIRROR) is not None:
        return "export it again when it has gone back"
    with suppress(BuilderError):  # a damaged history is told of where it lies
        one = affected(state, pointer, notices.keys())
        return f"{one.way_out}{one.stays and f' ({one.stays})'}"
    return ELSE
