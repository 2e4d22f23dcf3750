# SPDX-License-Identifier: Apache-2.0
"""A change of keys through all that it touches: repository, definition, and the keyring package for hosts."""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import tomlkit

from bigtop_builder.artifact import Deb
from bigtop_builder.atomic import write_whole
from bigtop_builder.errors import SigningError
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.publishing import Archive, keyring_deb
from bigtop_builder.repository import layout, rotation
from bigtop_builder.repository.publish import Repository

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Succession:
    """A repository whose keys change.

    Attributes:
        repository: The repository.
        store: Keys of this site.
        passphrase: Of the keys; empty if they have none.
        archive: The project whose repository it is; None for one that stands alone.
    """

    repository: Repository
    store: KeyStore
    passphrase: str = ""
    archive: Archive | None = None

    def begin(self, old: str, new: str, *, why: str = "") -> tuple[str, ...]:
        """Let a key sign beside another one, and return the suites that got a new keyring package."""
        with self._keyring(new) as keyring:
            rotation.begin(self.repository, old, new, keyring=keyring, why=why)
            return self._spread(keyring, why=why)

    def finish(self, old: str, *, new: str = "", why: str = "") -> tuple[str, ...]:
        """Let a key sign no more, and return the suites that got a new keyring package."""
        public = self._public(old)
        with self._keyring(new, without=old) as keyring:
            rotation.finish(self.repository, old, new=new, keyring=keyring, public=public, why=why)
            return self._spread(keyring, why=why)

    def renew(self, fingerprint: str, *, why: str = "") -> tuple[str, ...]:
        """Sign with the present subkeys of a key, and return the suites that got a new keyring package."""
        with self._keyring() as keyring:
            rotation.renew(self.repository, fingerprint, keyring=keyring, why=why)
            return self._spread(keyring, why=why)

    def revoke(self, fingerprint: str, certificate: bytes, *, why: str = "") -> tuple[str, ...]:
        """Take back a key, and return the suites that got a new keyring package."""
        public = self._public(fingerprint)
        with Keyring() as scratch:
            if fingerprint not in (scratch.import_key(public) if public else ()):
                raise SigningError(f"the public half of {fingerprint} is not here", hint="key import FILE")
            scratch.revoke(fingerprint, certificate)
            revoked = scratch.export_public([fingerprint], armor=False)
        with self._keyring(without=fingerprint) as keyring:
            rotation.revoke(
                self.repository, fingerprint, keyring=keyring, public=public, revoked=revoked, why=why
            )
            return self._spread(keyring, why=why)

    @contextmanager
    def _keyring(self, new: str = "", *, without: str = "") -> Iterator[Keyring]:
        keys = dict.fromkeys([*self.repository.state.settings().keys, new])
        chosen = [key for key in keys if key and key != without]
        if not chosen:
            with Keyring() as empty:  # what comes next says that it was the only key
                yield empty
            return
        with self.store.open(chosen, passphrase=self.passphrase) as keyring:
            yield keyring

    def _public(self, fingerprint: str) -> bytes:
        """Public half of a key that signed, here or in the repository; its fingerprint says that it is the one."""
        if public := self.store.public(fingerprint):
            return public
        kept = self.repository.store.read(layout.key_file(fingerprint))
        with Keyring() as keyring:
            return kept if kept and keyring.import_key(kept) == (fingerprint,) else b""

    def _spread(self, keyring: Keyring, *, why: str) -> tuple[str, ...]:
        """Have the definition name the keys, and the suites hold a keyring package with them."""
        keys = self.repository.state.settings().keys
        if self.archive is None:
            log.warning(
                "hosts need the public keys of %s by hand: bigtop-builder key export prints each",
                ", ".join(keys),
            )
            return ()
        archive = self._define(self.archive, keys)
        with tempfile.TemporaryDirectory(prefix="bb-keyring-") as scratch:
            package = keyring_deb(archive, keyring, self.repository, Path(scratch))
            suites = tuple(
                suite for suite in archive.definition.suites if self._holds(archive, suite, package)
            )
            for suite in suites:
                self.repository.add(
                    suite,
                    [package],
                    component=archive.definition.component,
                    keyring=keyring,
                    why=why or "keys changed",
                )
        return suites

    def _define(self, archive: Archive, keys: Sequence[str]) -> Archive:
        if tuple(archive.definition.keys) != tuple(keys):
            document = tomlkit.parse(archive.path.read_text(encoding="utf-8"))
            document["keys"] = list(keys)
            write_whole(archive.path, tomlkit.dumps(document))
            log.info("%s names the keys %s now: commit it", archive.path, ", ".join(keys))
        return replace(archive, definition=archive.definition.model_copy(update={"keys": tuple(keys)}))

    def _holds(self, archive: Archive, suite: str, package: Deb) -> bool:
        state = self.repository.state
        pointer = state.pointer(suite)
        indices = state.snapshot(pointer.snapshot).components if pointer else {}
        return any(
            stanza.name == package.name
            for index in indices.get(archive.definition.component, {}).values()
            for stanza in state.find(index, [package.name])
        )
