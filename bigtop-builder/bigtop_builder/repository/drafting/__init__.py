# SPDX-License-Identifier: Apache-2.0
"""Bringing a new snapshot into the store: blocks, indices and records first, what names them last."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from bigtop_builder.repository.drafting.contents import with_contents
from bigtop_builder.repository.drafting.translation import style_of, with_translations
from bigtop_builder.repository.layout import Snapshot
from bigtop_builder.repository.snapshot import Draft
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store import Content

NONE: Mapping[str, Content] = MappingProxyType({})


def write_snapshot(
    state: State,
    before: Snapshot,
    make: Callable[[Draft], Snapshot],
    records: Mapping[str, Content] = NONE,
) -> str:
    """Write a snapshot, and return its id. The repository must be locked.

    Args:
        state: The repository.
        before: The snapshot that it grows from.
        make: Makes the snapshot with the draft it is given.
        records: Further files that must be there before it.

    Raises:
        PublishError: The store cannot be written.
    """
    settings = state.settings()
    with state.store.scratch() as scratch:
        style = style_of(state, before, split=settings.translations)
        draft = Draft(state=state, forms=settings.forms, scratch=scratch, style=style)
        snapshot = with_translations(draft, before, make(draft))
        if settings.contents:
            snapshot = with_contents(draft, before, snapshot)
        elif snapshot.contents:
            snapshot = snapshot.model_copy(update={"contents": {}})
        state.store.put({**draft.files, **records})
    name, files = draft.seal(snapshot)
    state.store.put(files)
    return name
