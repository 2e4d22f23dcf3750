# SPDX-License-Identifier: Apache-2.0
"""Indices that were lost or altered: they are joined anew from the blocks that the repository keeps."""

import logging
from collections.abc import Iterable, Iterator

from bigtop_builder.errors import CheckFailed
from bigtop_builder.repository import layout
from bigtop_builder.repository.layout import COPY, Form, Index, IndexFile, Snapshot
from bigtop_builder.repository.snapshot import Draft, links_of
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store import Alias, Content

log = logging.getLogger(__name__)


def require_indices(state: State, suite: str, snapshot: str) -> None:
    """See that the indices of a snapshot are there before a suite points to it: a few files, by their sizes.

    Raises:
        CheckFailed: One is missing, or of another size: hosts would refuse the suite.
    """
    wanted = dict(_written(state, state.snapshot(snapshot)))
    held = state.store.held(wanted)
    wrong = [path for path, entry in wanted.items() if path not in held or held[path].size != entry.size]
    if wrong:
        raise CheckFailed(
            f"hosts would refuse {suite}: {len(wrong)} of {len(wanted)} indices of snapshot {snapshot[:16]} are "
            f"missing or cut off, as {wrong[0]}",
            hint=f"bigtop-builder repo refresh {layout.snapshot_suite(snapshot)} joins them anew from their blocks; "
            f"or {COPY}",
        )


def rejoin(state: State, snapshot: str) -> None:
    """Join anew what a snapshot's indices lack, byte for byte as it was. The repository must be locked.

    Args:
        state: The repository.
        snapshot: Id of the snapshot; each of its indices is read, and held to its hash.

    Raises:
        CheckFailed: A block is missing or was altered too, or what is joined is not what the snapshot says.
    """
    model = state.snapshot(snapshot)
    wanted = dict(_written(state, model))
    held = state.store.held(wanted)
    wrong = {
        path
        for path, entry in wanted.items()
        if path not in held or held[path].size != entry.size or state.store.sha256(path) != entry.sha256
    }
    for _, index in model.indices() if wrong else ():
        if mine := {path for path, _ in _paths(index, state.settings().forms)} & wrong:
            _join(state, index, mine)
    aliases: dict[str, Content] = {
        layout.by_hash("SHA512", entry.sha512): Alias(path) for path, entry in wanted.items()
    } | links_of(snapshot, model, state.settings().forms)
    there = state.store.held(aliases) if state.store.origin("") else aliases
    if lost := {path: alias for path, alias in aliases.items() if path not in there}:
        state.store.put(lost)
        log.warning("linked anew, for they were lost: %s", ", ".join(lost))


def _join(state: State, index: Index, wrong: Iterable[str]) -> None:
    forms = tuple(layout.form_of(file) for file, _ in index.written(state.settings().forms))
    plain = next(file.removesuffix(layout.form_of(file)) for file in index.files)
    with state.store.scratch() as scratch:
        draft = Draft(state=state, forms=forms, scratch=scratch)
        draft.written(index.blocks, plain, forms)
        if other := [path for path in wrong if path not in draft.files]:
            raise CheckFailed(f"{other[0]} cannot be joined anew: its blocks make other bytes now", hint=COPY)
        state.store.put(draft.files)
    log.warning("joined anew from their blocks: %s", ", ".join(sorted(wrong)))


def _written(state: State, snapshot: Snapshot) -> Iterator[tuple[str, IndexFile]]:
    """Where each index of a snapshot lies that is there, and what it is."""
    for _, index in snapshot.indices():
        yield from _paths(index, state.settings().forms)


def _paths(index: Index, forms: tuple[Form, ...]) -> Iterator[tuple[str, IndexFile]]:
    for _, entry in index.written(forms):
        yield layout.by_hash("SHA256", entry.sha256), entry
