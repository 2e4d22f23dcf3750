# SPDX-License-Identifier: Apache-2.0
"""Is a repository whole: every signature, hash and reference that a host or the next publisher will follow."""

from collections.abc import Iterator

from bigtop_builder import openpgp
from bigtop_builder.errors import BuilderError
from bigtop_builder.repository import layout
from bigtop_builder.repository.index import COPY, Stanza, parse_release
from bigtop_builder.repository.layout import IndexFile, Settings, Snapshot
from bigtop_builder.repository.state import Pointer, State


def check(state: State, *, trusted: bytes = b"") -> tuple[str, ...]:
    """What is wrong with a repository, one thing a line with what mends it; empty if all holds.

    Args:
        state: The repository.
        trusted: Public keys, binary, that its suites must be signed with; those that it keeps itself if
            empty, which finds accidents but no forger.

    Raises:
        InputError: There is no repository.
    """
    settings = state.settings()
    kept = {path: state.store.read(path) for path in map(layout.key_file, settings.keys)}
    found = [f"{path} is missing: {COPY}" for path, key in kept.items() if key is None]
    public = trusted or b"".join(key or b"" for key in kept.values())
    seen: set[str] = set()
    for suite in settings.suites:
        found += _suite(state, settings, suite, public, seen)
    return tuple(dict.fromkeys(found))


def _suite(state: State, settings: Settings, suite: str, public: bytes, seen: set[str]) -> Iterator[str]:
    try:
        pointer = state.pointer(suite)
        if pointer is None:
            return
        yield from _signatures(state, pointer, public)
        snapshot = state.snapshot(pointer.snapshot)
        yield from _indices(state, settings, pointer, snapshot)
        yield from _history(state, pointer, public)
        for indices in snapshot.components.values():
            for index in indices.values():
                for stanza in state.packages(index):
                    if stanza.filename not in seen:
                        seen.add(stanza.filename)
                        yield from _package(state, stanza)
    except BuilderError as error:
        yield f"{suite}: {error.brief}: {error.hint}"


def _signatures(state: State, pointer: Pointer, public: bytes) -> Iterator[str]:
    folder = layout.suite_folder(pointer.suite)
    release = state.store.read(f"{folder}/Release") or b""
    detached = state.store.read(f"{folder}/Release.gpg") or b""
    again = f"bigtop-builder repo refresh {pointer.suite} signs it anew"
    yield from _signed(pointer.signed, None, public, f"{folder}/InRelease", mend=COPY)
    yield from _signed(release, detached, public, f"{folder}/Release", mend=again)
    if parse_release(release.decode(errors="replace"), source=f"{folder}/Release") != pointer.fields:
        yield f"{folder}/Release and InRelease differ: {again}"


def _history(state: State, pointer: Pointer, public: bytes) -> Iterator[str]:
    for serial in range(1, pointer.serial + 1):
        path = layout.history_file(pointer.suite, serial)
        entry, signature = state.store.read(path), state.store.read(f"{path}.asc")
        if entry is None or signature is None:
            yield f"{path} or its signature is missing: {COPY}"
        else:
            yield from _signed(entry, signature, public, path, mend=COPY)


def _signed(data: bytes, signature: bytes | None, public: bytes, what: str, *, mend: str) -> Iterator[str]:
    try:
        openpgp.verify(data, keyring=public, signature=signature, what=what)
    except BuilderError as error:
        yield f"{error.brief} ({error.details.splitlines()[-1] if error.details else 'none at all'}): {mend}"


def _indices(state: State, settings: Settings, pointer: Pointer, snapshot: Snapshot) -> Iterator[str]:
    """Files of the indices, under the suite's own path and by hash, and that Release names them."""
    release = pointer.fields["Sha256"]
    for component, indices in snapshot.components.items():
        for architecture, index in indices.items():
            folder = f"{component}/binary-{architecture}"
            for name, entry in index.files.items():
                if f" {entry.sha256} {entry.size} {folder}/{name}" not in release.split("\n"):
                    yield (
                        f"Release of {pointer.suite} does not name {folder}/{name} as the snapshot has it: "
                        f"bigtop-builder repo refresh {pointer.suite} makes it anew"
                    )
                if name.removeprefix(layout.PACKAGES) in settings.forms:
                    yield from _index(state, f"{layout.suite_folder(pointer.suite)}/{folder}", name, entry)


def _index(state: State, folder: str, name: str, entry: IndexFile) -> Iterator[str]:
    paths = (name, f"by-hash/SHA256/{entry.sha256}", f"by-hash/SHA512/{entry.sha512}")
    for path in (f"{folder}/{path}" for path in paths):
        yield from _file(state, path, entry.size, entry.sha256)


def _package(state: State, stanza: Stanza) -> Iterator[str]:
    yield from _file(state, stanza.filename, stanza.size, stanza.sha256)


def _file(state: State, path: str, size: int, sha256: str) -> Iterator[str]:
    there = state.store.size(path)
    if there is None:
        yield f"{path} is missing: {COPY}"
    elif there != size:
        yield f"{path} has {there} bytes, not {size}: {COPY}"
    elif state.store.sha256(path) != sha256:
        yield f"{path} was altered, its sha256 is not {sha256}: {COPY}"
