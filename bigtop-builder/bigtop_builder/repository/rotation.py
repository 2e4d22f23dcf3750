# SPDX-License-Identifier: Apache-2.0
"""Which keys sign a repository, and how one follows another: for a while both sign, so that no host is lost.

Each step signs every suite, every snapshot's own suite and the list of withdrawn snapshots anew, and completes
itself when it is repeated after a crash. It is one turn at the lock: what other publishers did is read in it.
"""

import logging
from collections.abc import Sequence

from bigtop_builder.errors import InputError
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout
from bigtop_builder.repository.authentic import proof_of
from bigtop_builder.repository.founding import change_settings
from bigtop_builder.repository.layout import Settings
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.refresh import due, notices_due, refresh_locked
from bigtop_builder.repository.rollback import came

log = logging.getLogger(__name__)


def begin(repository: Repository, old: str, new: str, *, keyring: Keyring, why: str = "") -> None:
    """Let a key sign beside another one.

    Args:
        repository: The repository.
        old: Fingerprint of a key that signs it.
        new: Fingerprint of the key that will.
        keyring: Holds all of its keys and the new one.
        why: Reason for the histories.

    Raises:
        InputError: The old one does not sign this repository, or the new one was revoked there.
        SigningError: A key cannot sign.
    """
    with repository.state.lock():
        settings = repository.state.settings()
        require_signing(repository, old)
        keys = tuple(dict.fromkeys([*settings.keys, new]))
        refuse_revoked(settings, [new])
        keyring.check(keys)
        _set_keys(repository, keys, keyring)
        refresh_locked(repository, keyring=keyring, everything=True, why=why or f"{new} signs beside {old}")


def finish(
    repository: Repository, old: str, *, new: str = "", keyring: Keyring, public: bytes = b"", why: str = ""
) -> None:
    """Let a key sign no more; the others sign all that it signed.

    Args:
        repository: The repository.
        old: Fingerprint of the key.
        new: Key that takes its place at once, where the old one cannot sign any more: hosts that have not the
            new one need it by hand.
        keyring: Holds the keys that stay.
        public: Public half of the old key, binary, by which what it signed is known.
        why: Reason for the histories.

    Raises:
        InputError: No other key would sign, or the new one was revoked there.
        SigningError: A key cannot sign, or a suite's state is signed by none of the keys.
    """
    with repository.state.lock():
        _finish(repository, old, new=new, keyring=keyring, public=public, why=why or f"{old} signs no more")


def renew(repository: Repository, fingerprint: str, *, keyring: Keyring, why: str = "") -> None:
    """Sign all with the present subkeys of a key, and give out its public half as it is now.

    Raises:
        InputError: The key does not sign this repository.
        SigningError: A key cannot sign.
    """
    why = why or f"other subkeys of {fingerprint} sign"
    with repository.state.lock():
        require_signing(repository, fingerprint)
        keys = repository.state.settings().keys
        keyring.check(keys)
        _set_keys(repository, keys, keyring)
        refresh_locked(repository, keyring=keyring, everything=True, why=why)


def revoke(
    repository: Repository,
    fingerprint: str,
    *,
    keyring: Keyring,
    public: bytes,
    revoked: bytes,
    why: str = "",
) -> None:
    """Take back a key, whether it signs now or did once: the others sign all that it signed, histories too.

    Args:
        repository: The repository.
        fingerprint: The key.
        keyring: Holds the keys that stay.
        public: Its public half from before, binary, by which what it signed is known.
        revoked: Its public half with the revocation, binary, for the repository to keep.
        why: Reason for the histories.

    Raises:
        InputError: No other key would sign.
        SigningError: A key cannot sign, or a suite's state is signed by none of the keys.
    """
    why = why or f"{fingerprint} was revoked"
    with repository.state.lock():
        _finish(repository, fingerprint, new="", keyring=keyring, public=public, why=why)
        _sign_histories(repository, keyring, public)
        refused = tuple(dict.fromkeys([*repository.state.settings().revoked, fingerprint]))
        repository.store.put({layout.key_file(fingerprint): revoked})
        change_settings(repository.state, revoked=refused)


def require_signing(repository: Repository, fingerprint: str) -> None:
    """Raise unless a key signs a repository.

    Raises:
        InputError: It does not.
    """
    keys = repository.state.settings().keys
    if fingerprint not in keys:
        raise InputError(
            f"{fingerprint} does not sign {repository.store.name}", hint=f"its keys: {', '.join(keys)}"
        )


def refuse_revoked(settings: Settings, keys: Sequence[str]) -> None:
    """Raise if a key was revoked in a repository.

    Raises:
        InputError: One was.
    """
    for key in keys:
        if key in settings.revoked:
            raise InputError(
                f"{key} was revoked in this repository", hint="bigtop-builder key new makes another key"
            )


def _finish(repository: Repository, old: str, *, new: str, keyring: Keyring, public: bytes, why: str) -> None:
    settings = repository.state.settings()
    keys = tuple(dict.fromkeys(key for key in [*settings.keys, new] if key not in {old, ""}))
    if not keys:
        raise InputError(
            f"{old} is the only key that signs {repository.store.name}",
            hint=f"bigtop-builder key rotate {old} puts another one beside it first",
        )
    refuse_revoked(settings, keys)
    keyring.check(keys)
    trusted = keyring.export_public(keys, armor=False) + public
    if keys == settings.keys and not _pending(repository, keyring):
        log.info("%s signs nothing of %s: nothing is to be signed anew", old, repository.store.name)
        _sign_ways_back(repository, keyring, trusted)
        return
    _set_keys(repository, keys, keyring)
    refresh_locked(repository, keyring=keyring, everything=True, trusted=trusted, why=why)
    _sign_ways_back(repository, keyring, trusted)


def _pending(repository: Repository, keyring: Keyring) -> bool:
    """Whether anything is left that not exactly the present keys have signed, or a first publish to be completed."""
    state = repository.state
    public = keyring.export_public(state.settings().keys, armor=False)
    return bool(
        due(state, public, now=repository.clock())
        or notices_due(state, public, everything=False)
        or any(
            state.store.size(f"{layout.suite_folder(suite)}/InRelease") is None and state.switches(suite)
            for suite in state.settings().suites
        )
        or any(state.store.size(layout.key_file(key)) is None for key in state.settings().keys)
    )


def _set_keys(repository: Repository, keys: Sequence[str], keyring: Keyring) -> None:
    """Write which keys sign, after their public halves: whoever reads the settings finds these."""
    public = {layout.key_file(key): keyring.export_public([key], armor=False) for key in keys}
    repository.store.put({path: key for path, key in public.items() if repository.store.read(path) != key})
    change_settings(repository.state, keys=tuple(keys))


def _sign_ways_back(repository: Repository, keyring: Keyring, public: bytes) -> None:
    """Have the present keys sign what says where a rollback goes, and from where a retired suite would go on.

    It is one entry of each suite's history.
    """
    state = repository.state
    present = keyring.export_public(state.settings().keys, armor=False)
    pointers = state.unverified_pointers(state.settings().suites)
    for suite in state.store.names("state/history"):
        pointer = pointers.get(suite)
        entry = came(state.backwards(pointer), pointer.snapshot) if pointer else state.retired(suite)
        if entry:
            _sign_again(repository, layout.history_file(suite, entry.serial), keyring, present, public)


def _sign_histories(repository: Repository, keyring: Keyring, public: bytes) -> None:
    """Have the present keys sign what a key alone has signed of the histories: 10 ms an entry."""
    store, keys = repository.store, repository.state.settings().keys
    present = keyring.export_public(keys, armor=False)
    for suite in store.names("state/history"):
        for name in store.names(f"state/history/{suite}"):
            if name.endswith(".asc"):
                path = f"state/history/{suite}/{name.removesuffix('.asc')}"
                _sign_again(repository, path, keyring, present, public)


def _sign_again(repository: Repository, path: str, keyring: Keyring, present: bytes, public: bytes) -> None:
    """Have the present keys sign an entry of a history that only another one has signed."""
    store = repository.store
    entry, signature = store.read(path) or b"", store.read(f"{path}.asc") or b""
    if not proof_of(entry, signature, present) and proof_of(entry, signature, public):
        store.put({f"{path}.asc": keyring.detach_sign(entry, repository.state.settings().keys)})
