# SPDX-License-Identifier: Apache-2.0
"""Whether what a suite shows is signed, as apt takes it: one line for each fault, with what mends it."""

from collections.abc import Iterator

from bigtop_builder import openpgp
from bigtop_builder.errors import SigningError
from bigtop_builder.repository import layout
from bigtop_builder.repository.layout import COPY, Snapshot
from bigtop_builder.repository.pointer import Pointer
from bigtop_builder.repository.state import State


def signatures(state: State, pointer: Pointer, public: bytes) -> Iterator[str]:
    """Whether InRelease is signed, with nothing around it, as apt wants it, and Release is the same and signed."""
    folder = layout.suite_folder(pointer.suite)
    again = f"bigtop-builder repo refresh {pointer.suite} signs it anew"
    back = f"bigtop-builder repo refresh {pointer.suite} brings it back; or {COPY}"
    what = f"{folder}/InRelease"
    try:
        proof = openpgp.verify(pointer.signed, keyring=public, what=what)
    except SigningError as error:
        yield _told(error, back)
        return
    release, detached = (state.store.read(f"{folder}/{name}") for name in ("Release", "Release.gpg"))
    if release is None or detached is None:
        yield f"{folder}/{'Release' if release is None else 'Release.gpg'} is missing: {again}"
        return
    yield from verified(release, detached, public, f"{folder}/Release", mend=again)
    if openpgp.canonical(release) != proof.text:
        yield f"{folder}/Release and InRelease differ: {again}"


def verified(
    data: bytes, signature: bytes, public: bytes, what: str, *, mend: str, expired: bool = False
) -> Iterator[str]:
    """Whether a detached signature is good, as `openpgp.verify` says it; if not, what mends it."""
    try:
        openpgp.verify(data, keyring=public, signature=signature, what=what, expired=expired)
    except SigningError as error:
        yield _told(error, mend)


def _told(error: SigningError, mend: str) -> str:
    if error.hint:
        return f"{error.brief}: {error.hint}"
    said = error.details.splitlines()[-1] if error.details else "none at all"
    return f"{error.brief} ({said}): {mend}"


def unnamed(pointer: Pointer, snapshot: Snapshot) -> Iterator[str]:
    """Indices of a snapshot that the Release does not name as they are."""
    lines = set(pointer.fields["Sha256"].split("\n"))
    for folder, index in snapshot.indices():
        for name, entry in index.files.items():
            if f" {entry.sha256} {entry.size} {folder}/{name}" not in lines:
                yield (
                    f"Release of {pointer.suite} does not name {folder}/{name} as the snapshot has it: "
                    f"bigtop-builder repo refresh {pointer.suite} makes it anew"
                )
