# SPDX-License-Identifier: Apache-2.0
"""What a command did to a suite."""

import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from bigtop_builder.errors import BuilderError
from bigtop_builder.repository.gate import Lowered, Vanished
from bigtop_builder.repository.index.packages import Key, Stanza, parse_stanzas
from bigtop_builder.repository.index.sources import ARCHITECTURE, SourceStanza, parse_sources
from bigtop_builder.repository.layout import Added, Index, Removed, Snapshot
from bigtop_builder.repository.pointer import Pointer
from bigtop_builder.repository.state import State

log = logging.getLogger(__name__)

Place = tuple[str, str]
"""Component and architecture of an index; of sources as `Removed` has it."""
Placed = tuple[str, Key]
"""Component of a package, and what identifies it."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a command did.

    Attributes:
        suite: The suite it was about.
        serial: Of the switch that stands now.
        snapshot: Id of the snapshot that the suite points to now.
        changed: Something was written; if not, all was as wanted already.
        added: Packages that came in.
        removed: Packages that went out.
        vanished: Packages that hosts find no more, as was accepted.
        lowered: Packages whose newest version went down, as was allowed.
        mended: Files of the pool that were missing or had other bytes, and have the right ones again.
    """

    suite: str
    serial: int
    snapshot: str
    changed: bool
    added: tuple[Added, ...] = ()
    removed: tuple[Removed, ...] = ()
    vanished: tuple[Vanished, ...] = ()
    lowered: tuple[Lowered, ...] = ()
    mended: tuple[str, ...] = ()


def from_pool(stanza: Stanza | SourceStanza) -> Added:
    """What is told of a package that came into a suite from the repository's own pool."""
    return Added(
        name=stanza.name,
        version=stanza.version,
        architecture=stanza.architecture,
        sha256=stanza.sha256,
        verified="pool",
    )


def unchanged(pointer: Pointer) -> Published:
    """What a command says that found all as it was wanted."""
    return Published(suite=pointer.suite, serial=pointer.serial, snapshot=pointer.snapshot, changed=False)


def compared(state: State, before: Pointer | None, done: Published) -> Published:
    """The same with the packages that came and went by a switch to a snapshot that was there before.

    They are read after the switch, and only from blocks that the two snapshots do not share: what is missing of them
    is no reason not to go back. Of a suite that had no snapshot before all are new, and none is listed.

    Args:
        state: The repository.
        before: Where the suite stood.
        done: The switch.
    """
    if before is None:
        return done
    try:
        old, new = (state.snapshot(one) for one in (before.snapshot, done.snapshot))
        added, removed = difference(state, old, new)
    except BuilderError as error:
        log.warning("%s was switched; which packages come and go is not known: %s", done.suite, error.brief)
        return done
    return replace(done, added=added, removed=removed)


def difference(
    state: State, before: Snapshot, after: Snapshot
) -> tuple[tuple[Added, ...], tuple[Removed, ...]]:
    """Packages, sources too, that only the second of two snapshots has, and those that only the first has.

    Raises:
        CheckFailed: A block is missing or was altered.
    """
    old, new = _indices(before), _indices(after)
    come: dict[Placed, Stanza] = {}
    gone: dict[Placed, Stanza] = {}
    for place in sorted({*old, *new}):
        left, right = _apart(state, place, old.get(place), new.get(place))
        for mine, theirs, others, into in ((left, right, new, gone), (right, left, old, come)):
            known = {*theirs, *_elsewhere(state, mine, place, others)}
            into |= {(place[0], key): one for key, one in mine.items() if key not in known}
    added = tuple(from_pool(one) for _, one in sorted(come.items()))
    removed = (
        Removed(component=component, name=name, version=version, architecture=architecture)
        for component, (name, version, architecture) in sorted(gone)
    )
    return added, tuple(removed)


def _indices(snapshot: Snapshot) -> dict[Place, Index]:
    packages = {
        (component, architecture): index
        for component, named in snapshot.components.items()
        for architecture, index in named.items()
    }
    return packages | {(component, ARCHITECTURE): index for component, index in snapshot.sources.items()}


def _apart(
    state: State, place: Place, old: Index | None, new: Index | None
) -> tuple[dict[Key, Stanza], dict[Key, Stanza]]:
    """What differs between two indices of a place, of each by key. Blocks that both have are not read."""
    blocks = [{one.sha256: one for one in index.blocks} if index else {} for index in (old, new)]
    shared = blocks[0].keys() & blocks[1].keys()
    with ThreadPoolExecutor(state.store.readers) as threads:
        texts = [
            threads.map(state.block, [one for name, one in side.items() if name not in shared])
            for side in blocks
        ]
        left, right = ({part for text, _ in side for part in text.decode().split("\n\n")} for side in texts)
    # Most stanzas of a block stay as they are: only the others are worth reading field by field.
    parse: Callable[[str], Iterable[Stanza]] = parse_sources if place[1] == ARCHITECTURE else parse_stanzas
    was, now = ({one.key: one for one in parse("\n\n".join(side))} for side in (left - right, right - left))
    return was, now


def _elsewhere(
    state: State, packages: Mapping[Key, Stanza], place: Place, others: Mapping[Place, Index]
) -> set[Key]:
    """Those for `all` that the other side has for another architecture, if it has no index of this one."""
    names = {one.name for one in packages.values() if one.architecture == "all"}
    if place in others or not names:
        return set()
    beside = [index for (component, _), index in others.items() if component == place[0]]
    return {one.key for index in beside for one in state.find(index, names)}
