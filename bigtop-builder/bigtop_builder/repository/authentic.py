# SPDX-License-Identifier: Apache-2.0
"""Which snapshots a holder of the keys has published: nobody else's are ever signed."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from operator import attrgetter

from bigtop_builder import openpgp
from bigtop_builder.errors import CheckFailed, SigningError
from bigtop_builder.openpgp import Key, Keyring, Signed
from bigtop_builder.repository import layout
from bigtop_builder.repository.accidents import require_link
from bigtop_builder.repository.layout import COPY, Entry
from bigtop_builder.repository.pointer import Pointer, Proven, proven_pointer
from bigtop_builder.repository.state import State

KEEPING = frozenset({"keep", "release"})
"""Actions that say whether a snapshot is kept from then on."""
BATCH = 16
"""Small files in memory at once."""


def public_keys(state: State, keyring: Keyring) -> bytes:
    """The repository's public keys as the publisher has them, binary.

    Raises:
        SigningError: One is not in the keyring.
    """
    return keyring.export_public(state.settings().keys, armor=False)


def check_signers(keyring: Keyring, fingerprints: Sequence[str]) -> tuple[Key, ...]:
    """See that each key of a repository can sign, as `Keyring.check` does it.

    Raises:
        SigningError: One cannot. Where it expired or was revoked and another did not, that one can go on.
    """
    try:
        return keyring.check(fingerprints)
    except SigningError as error:
        named = [key for key in keyring.keys() if key.fingerprint in fingerprints]  # noqa: SIM118  # it is no mapping
        ended = [key.fingerprint for key in named if not key.usable]
        healthy = [key.fingerprint for key in named if key.usable]
        if not ended or not healthy:
            raise
        raise SigningError(
            error.brief,
            details=error.details,
            hint=f"bigtop-builder key rotate {ended[0]} --finish --to {healthy[0]}: "
            "the other key goes on without it",
        ) from error


def kept_keys(state: State) -> dict[str, bytes]:
    """Path -> public key, of all keys that the repository has had: as good as the store that has them."""
    paths = [f"state/keys/{name}" for name in state.store.names("state/keys")]
    return {path: key for path in paths if (key := state.store.read(path)) is not None}


def newest_signed(state: State, suite: str, public: bytes, *, beyond: int) -> int:
    """Highest serial beyond another one of which a suite has a signed history entry; 0 if there is none."""
    serials = sorted((one for one in state.entries(suite) if one > beyond), reverse=True)
    texts = _texts(state, [layout.history_file(suite, one) for one in serials])
    told = (signed_entry(state, path, text, public) for path, text in texts)
    return next((entry.serial for entry in told if entry), 0)


def require_newest(state: State, pointer: Pointer, public: bytes) -> None:
    """See that a suite does not stand where it stood long ago: hosts would go back with the next switch.

    One release beyond it may have been signed, by a publish that was cut off before its switch. A second one is
    begun only after the first was switched to. A snapshot's own suite has but one snapshot to stand at.

    Raises:
        CheckFailed: The signed history goes further than one switch.
    """
    if layout.OWN_SUITE.fullmatch(pointer.suite):
        return
    last = newest_signed(state, pointer.suite, public, beyond=pointer.serial + 1)
    # A mirror has the histories before its switch.
    if last and state.store.size(layout.MIRROR) is None:
        place = f"{state.store.name}/{layout.suite_folder(pointer.suite)}"
        raise CheckFailed(
            f"{place} stands at release {pointer.serial}, and the history of {pointer.suite} goes to {last}: "
            "an old state was put back",
            hint=f"remove {place}, and bigtop-builder repo refresh {pointer.suite} brings back the newest; or {COPY}",
        )


def require_signed(state: State, pointer: Pointer, public: bytes) -> Proven:
    """Where a suite stands whose state is ours, and can be switched.

    Raises:
        CheckFailed: It is a copy without links, or an old state.
        SigningError: None of the keys has signed it, whether they have expired since or not.
    """
    require_link(state.store, pointer.suite, pointer.serial)
    require_newest(state, pointer, public)
    return require_good(state, pointer, public, expired=True)


def require_good(state: State, pointer: Pointer, public: bytes, *, expired: bool = False) -> Proven:
    """Where a suite stands, by what a key has signed of its InRelease.

    Raises:
        SigningError: None has, or it was cut off or altered: the way back is named.
    """
    what = f"{state.store.name}/{layout.suite_folder(pointer.suite)}/InRelease"
    try:
        proof = openpgp.verify(pointer.signed, keyring=public, what=what, expired=expired)
    except SigningError as error:
        error.hint = error.hint or f"bigtop-builder repo refresh {pointer.suite} brings it back; or {COPY}"
        raise
    return proven_pointer(pointer.suite, proof, source=what, signed=pointer.signed)


def require_published(state: State, snapshot: str, public: bytes) -> None:
    """See that a snapshot is ours: its own suite or an entry of a history names it, and is signed.

    Raises:
        SigningError: Nothing signed names it.
    """
    own = state.unverified_pointer(layout.snapshot_suite(snapshot))
    if own and require_signed(state, own, public).snapshot == snapshot:
        return
    if not recorded(state, {snapshot}, public):
        raise SigningError(
            f"nothing that the repository's keys have signed names snapshot {snapshot} of {state.store.name}",
            hint=f"somebody else may have put it there; if not, {COPY}",
        )


def recorded(state: State, wanted: Iterable[str], public: bytes) -> set[str]:
    """Those of some snapshots that signed entries of histories name: of their own suites, or as `published`.

    An own suite is signed anew with each change of keys, whereas another suite's old entries never are.
    """
    every = set(wanted)
    own = {one for one in every if any(_own_entries(state, one, public))}
    return own | published(state, every - own, public)


def published(state: State, wanted: Iterable[str], public: bytes) -> set[str]:
    """Those of some snapshots that signed entries of the suites' histories name."""
    missing = set(wanted)
    found: set[str] = set()
    pointers = state.unverified_pointers(state.settings().suites if missing else ())
    for suite, pointer in pointers.items():
        paths = [layout.history_file(suite, serial) for serial in range(pointer.serial, 0, -1)]
        for path, text in _texts(state, paths):
            if found == missing:
                return found
            if any(one.encode() in text for one in missing - found):
                entry = signed_entry(state, path, text, public)
                found |= missing & {entry.after if entry else ""}
    return found


def once_kept(state: State, snapshot: str, public: bytes) -> str | None:
    """Name under which a snapshot was kept last, by the signed history of its own suite, which may be lost itself.

    Each change of keys signs every suite anew, and that entry has the name too: so the present keys are enough. What
    `kept_keys` has would not do, for whoever can write to the store can put a key of his own there.

    Args:
        state: The repository.
        snapshot: Id of the snapshot.
        public: Keys, binary, of which one must have signed an entry.

    Returns:
        The name; empty if it is kept no more, None if it never was.
    """
    for entry in sorted(_own_entries(state, snapshot, public), key=attrgetter("when"), reverse=True):
        if entry.kept or entry.action in KEEPING:
            made = f"{snapshot[:16]}-{entry.when:%Y%m%dT%H%M%SZ}" if entry.action == "keep" else ""
            return entry.kept or made  # entries did not always have the name
    return None


def _own_entries(state: State, snapshot: str, public: bytes) -> Iterator[Entry]:
    """Signed entries of the history of a snapshot's own suite, which stays when the suite is lost."""
    folder = f"state/history/{layout.snapshot_suite(snapshot)}"
    names = [name for name in state.store.names(folder) if name.endswith(".json")]
    for path, text in _texts(state, [f"{folder}/{name}" for name in names]):
        entry = signed_entry(state, path, text, public)
        if entry and entry.after == snapshot:
            yield entry


def signed_entry(state: State, path: str, text: bytes, public: bytes) -> Entry | None:
    """A history entry, if it is signed, and of this suite and serial: what was not is not even looked into."""
    proof = proof_of(text, state.store.read(f"{path}.asc") or b"", public)
    entry = Entry.from_json(proof.text, source=path) if proof else None
    return entry if entry and layout.history_file(entry.suite, entry.serial) == path else None


def proof_of(data: bytes, signature: bytes | None, public: bytes) -> Signed | None:
    """What keys have signed, whether they have expired since or not; None if none has.

    Args:
        data: Clear-signed text, or what the signature is of.
        signature: A detached one; None if there is none.
        public: Keys, binary.
    """
    with suppress(SigningError):
        return openpgp.verify(data, signature=signature, keyring=public, what="a file", expired=True)
    return None


def _texts(state: State, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Small files, each with its path, in order; those that are missing are left out."""
    for start in range(0, len(paths), BATCH):
        part = paths[start : start + BATCH]
        with ThreadPoolExecutor(state.store.readers) as threads:
            found = list(threads.map(state.store.read, part))
        yield from ((path, text) for path, text in zip(part, found, strict=True) if text is not None)
