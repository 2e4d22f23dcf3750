# SPDX-License-Identifier: Apache-2.0
"""What suites hold, for people and programs: it reads each block once, whatever number of suites has it."""

from collections.abc import Iterable, Sequence

from bigtop_builder.errors import InputError
from bigtop_builder.repository.founding import meant
from bigtop_builder.repository.layout import Block, Index
from bigtop_builder.repository.pointer import Pointer
from bigtop_builder.repository.state import State

Package = tuple[str, str, str, str]
"""Component, name, version, architecture; `source` for source packages."""


def packages_of(state: State, suites: Sequence[str] = ()) -> list[tuple[Pointer, list[Package]]]:
    """Suites that something was published to, in the order of the settings, and the packages in each, sorted.

    Args:
        state: The repository.
        suites: Only these; all if empty.

    Raises:
        InputError: The repository has no such suite.
    """
    known = state.settings().suites
    for suite in suites:
        if suite not in known:
            raise InputError(f"{state.store.name} has no suite {suite!r}", hint=meant(suite, known))
    pointers = state.pointers(suite for suite in known if not suites or suite in suites)
    read: dict[str, list[tuple[str, str, str]]] = {}

    def keys(block: Block) -> list[tuple[str, str, str]]:
        if block.sha256 not in read:
            read[block.sha256] = [stanza.key for stanza in state.stanzas(block)]
        return read[block.sha256]

    def held(component: str, indices: Iterable[Index]) -> list[Package]:
        blocks = {block.sha256: block for index in indices for block in index.blocks}
        return [
            (component, *key) for key in sorted({key for block in blocks.values() for key in keys(block)})
        ]

    listed = []
    for pointer in pointers.values():
        snapshot = state.snapshot(pointer.snapshot)
        packages = [one for name, named in snapshot.components.items() for one in held(name, named.values())]
        sources = [
            (name, *source.key)
            for name, index in snapshot.sources.items()
            for block in index.blocks
            for source in state.sources(block)
        ]
        listed.append((pointer, [*packages, *sources]))
    return listed
