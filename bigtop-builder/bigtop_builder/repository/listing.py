# SPDX-License-Identifier: Apache-2.0
"""What suites hold and where they have been, for people and programs.

Each block is read once, whatever number of suites has it; each entry of a history is held to its signature.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bigtop_builder import openpgp
from bigtop_builder.errors import BuilderError, InputError
from bigtop_builder.repository import layout
from bigtop_builder.repository.founding import meant, unpublished
from bigtop_builder.repository.layout import Block, Entry, Index
from bigtop_builder.repository.pointer import Pointer, proven_pointer
from bigtop_builder.repository.state import State

Package = tuple[str, str, str, str]
"""Component, name, version, architecture; `source` for source packages."""
VERIFYING = 4
"""Signatures that are verified at once."""


@dataclass(frozen=True, kw_only=True)
class Move:
    """One switch of a suite, as its history has it.

    Attributes:
        serial: Its serial.
        entry: What the history says; None if its file is missing or cannot be read.
        signers: Fingerprints of the keys that have signed it.
        problem: Why it is not to be believed; empty if it is.
    """

    serial: int
    entry: Entry | None
    signers: tuple[str, ...] = ()
    problem: str = ""


def moves_of(state: State, suite: str, public: bytes) -> list[Move]:
    """All switches of a suite or of a snapshot's own, newest first, each verified.

    Args:
        state: The repository.
        suite: The suite.
        public: Keys, binary, that have signed since there is a history. One that has expired since counts, and one
            that was revoked does not.

    Raises:
        InputError: Nothing was published to the suite.
        SigningError: None of the keys has signed where it stands.
    """
    pointer = state.unverified_pointer(suite)
    last: Pointer | Entry | None = pointer or state.retired(suite)
    if last is None:
        raise unpublished(state, suite)
    if pointer:
        what = f"{state.store.name}/{layout.suite_folder(suite)}/InRelease"
        proof = openpgp.verify(pointer.signed, keyring=public, what=what, expired=True)
        last = proven_pointer(suite, proof, source=what)
    with ThreadPoolExecutor(VERIFYING) as threads:
        return list(
            threads.map(lambda serial: _move(state, suite, serial, public), range(last.serial, 0, -1))
        )


def _move(state: State, suite: str, serial: int, public: bytes) -> Move:
    path = layout.history_file(suite, serial)
    if (text := state.store.read(path)) is None:
        return Move(serial=serial, entry=None, problem=f"{path} is missing")
    entry = None
    try:
        entry = Entry.from_json(text, source=path)
        signature = state.store.read(f"{path}.asc") or b""
        signers = openpgp.verify(text, signature=signature, keyring=public, what=path, expired=True).keys
    except BuilderError as error:
        return Move(serial=serial, entry=entry, problem=error.brief)
    if (entry.suite, entry.serial) != (suite, serial):
        problem = f"{path} is of serial {entry.serial} of {entry.suite}"
        return Move(serial=serial, entry=entry, signers=signers, problem=problem)
    return Move(serial=serial, entry=entry, signers=signers)


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
        if suite not in known and state.retired(suite):
            raise unpublished(state, suite)
        if suite not in known:
            raise InputError(f"{state.store.name} has no suite {suite!r}", hint=meant(suite, known))
    pointers = state.unverified_pointers(suite for suite in known if not suites or suite in suites)
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
