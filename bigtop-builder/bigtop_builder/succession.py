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
from bigtop_builder.publishing import Archive, carried_keys, keyring_deb
from bigtop_builder.repository import layout, rotation
from bigtop_builder.repository.publish import Repository

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How hosts learn of a change of keys.

    Attributes:
        suites: Suites that got a new keyring package.
        lacking: Suites whose newest keyring package has not all keys, or that have none.
        warning: What is to be done by hand; empty if nothing is.
    """

    suites: tuple[str, ...]
    lacking: tuple[str, ...]
    warning: str


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

    def begin(self, old: str, new: str, *, why: str = "") -> Spread:
        """Let a key sign beside another one."""
        with self._keyring(new) as keyring:
            rotation.begin(self.repository, old, new, keyring=keyring, why=why)
            self.store.settle(new)
            return self._spread(keyring, why=why)

    def finish(self, old: str, *, new: str = "", why: str = "", known: bool = False) -> Spread:
        """Let a key sign no more.

        Args:
            old: The key.
            new: Key that takes its place at once.
            why: Reason for the histories.
            known: Hosts have the keys that stay, whatever the suites' keyring packages hold.

        Raises:
            SigningError: The old key still signs, and nothing brought another one of the keys to hosts that follow a
                suite: they would be locked out.
        """
        public = self._public(old)
        unaware = () if known else self._unaware(old, new)
        with self._keyring(new, without=old) as keyring:
            rotation.finish(self.repository, old, new=new, keyring=keyring, public=public, why=why)
            spread = self._spread(keyring, why=why)
        return _warned(spread, old, unaware)

    def renew(self, fingerprint: str, *, why: str = "") -> Spread:
        """Sign with the present subkeys of a key."""
        with self._keyring() as keyring:
            rotation.renew(self.repository, fingerprint, keyring=keyring, why=why)
            return self._spread(keyring, why=why)

    def finish_renewal(self, fingerprint: str, *, why: str = "", known: bool = False) -> Spread:
        """Sign with the newest subkey of a key alone.

        Args:
            fingerprint: The key.
            why: Reason for the histories.
            known: Hosts have that subkey, whatever the suites' keyring packages hold.

        Raises:
            SigningError: An older subkey still signs, and nothing brought the newest one to hosts that follow a
                suite: they would be locked out.
        """
        if not known:
            self._require_spread(fingerprint)
        self.store.drop_subkeys(fingerprint, passphrase=self.passphrase)
        return self.renew(fingerprint, why=why)

    def revoke(self, fingerprint: str, certificate: bytes, *, why: str = "") -> Spread:
        """Take back a key. Who knows what hosts have: a warning names what those need that know it alone."""
        state = self.repository.state
        signed = fingerprint in state.settings().keys
        suites = tuple(state.unverified_pointers(state.settings().suites)) if signed else ()
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
            return _warned(self._spread(keyring, why=why), fingerprint, suites)

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

    def _unaware(self, old: str, new: str) -> tuple[str, ...]:
        """Suites whose hosts cannot know another key; an error if they still take what the old one signs."""
        keys = self.repository.state.settings().keys
        staying = [key for key in (*keys, new) if key not in {"", old}]
        lacking = self._lacking(staying) if staying else ()
        if lacking and old in keys and self._signs(old):
            again = f"bigtop-builder key rotate {old} --to {staying[-1]}"
            raise self._locked_out(lacking, old, staying, key=staying[-1], again=again)
        return lacking

    def _require_spread(self, fingerprint: str) -> None:
        with self.store.open([fingerprint], passphrase=self.passphrase) as keyring:
            signing = keyring.key(fingerprint).signing
        lacking = self._lacking(signing[-1:]) if len(signing) > 1 else ()
        if lacking:
            again = f"bigtop-builder key rotate {fingerprint} --to {fingerprint}"
            raise self._locked_out(lacking, signing[0], signing[-1:], key=fingerprint, again=again)

    def _locked_out(
        self, lacking: Sequence[str], old: str, wanted: Sequence[str], *, key: str, again: str
    ) -> SigningError:
        """The error that hosts of some suites would know none of the keys or subkeys that are to sign.

        Args:
            lacking: The suites.
            old: What they know.
            wanted: What is to sign.
            key: The key that brings it to them.
            again: Command that puts it into the keyring packages.
        """
        suites, named = ", ".join(lacking), ", ".join(wanted)
        if self.archive is None:
            return SigningError(
                f"nothing here tells whether hosts of {suites} have {named}: those that know {old} alone "
                "would refuse the repository",
                hint=f"bring it to them (bigtop-builder key export {key}), then say --hosts-have-new-key",
            )
        return SigningError(
            f"the keyring package in {suites} has not {named}, "
            "there is none, or hosts can have a higher one without it: "
            f"hosts that know {old} alone would refuse the repository",
            hint=f"{again} puts it into the suites that have one; "
            f"into others: {_by_hand(lacking)}; with --hosts-have-new-key if you brought it to them otherwise",
        )

    def _signs(self, fingerprint: str) -> bool:
        """Whether a key signs, so that hosts take what it signed."""
        try:
            with self.store.open([fingerprint], passphrase=self.passphrase) as keyring:
                keyring.check([fingerprint])
        except SigningError:
            return False
        return True

    def _lacking(self, keys: Sequence[str]) -> tuple[str, ...]:
        """Published suites whose hosts can have a keyring package with none of some keys or subkeys, or have none.

        Of a repository without a definition no package is known: all of them.
        """
        if self.archive is None:
            state = self.repository.state
            return tuple(state.unverified_pointers(state.settings().suites))
        carried = carried_keys(self.archive, self.repository)
        return tuple(
            suite
            for suite, packages in carried.items()
            if not packages or any(not there & set(keys) for there in packages)
        )

    def _spread(self, keyring: Keyring, *, why: str) -> Spread:
        """Have the definition name the keys, and the suites hold a keyring package with them."""
        keys = self.repository.state.settings().keys
        if self.archive is None:
            named = ", ".join(keys)
            warning = f"hosts need the public keys of {named} by hand: bigtop-builder key export prints each"
            log.warning("%s", warning)
            return Spread(suites=(), lacking=(), warning=warning)
        archive = self._define(self.archive, keys)
        with tempfile.TemporaryDirectory(prefix="bb-keyring-") as scratch:
            package = keyring_deb(archive, keyring, self.repository, Path(scratch))
            suites = tuple(
                suite
                for suite in self.repository.state.settings().suites
                if self._holds(archive, suite, package)
            )
            for suite in suites:
                self.repository.add(
                    suite,
                    [package],
                    component=archive.definition.component,
                    keyring=keyring,
                    why=why or "keys changed",
                )
        lacking = self._lacking(keys[-1:])
        warning = ""
        if lacking:
            warning = (
                f"{', '.join(lacking)} {'have' if len(lacking) > 1 else 'has'} no keyring package with {keys[-1]}: "
                f"hosts learn it only by hand: {_by_hand(lacking)}"
            )
            log.warning("%s", warning)
        return Spread(suites=suites, lacking=lacking, warning=warning)

    def _define(self, archive: Archive, keys: Sequence[str]) -> Archive:
        if tuple(archive.definition.keys) != tuple(keys):
            document = tomlkit.parse(archive.path.read_text(encoding="utf-8"))
            document["keys"] = list(keys)
            write_whole(archive.path, tomlkit.dumps(document))
            log.info("%s names the keys %s now: commit it", archive.path, ", ".join(keys))
        return replace(archive, definition=archive.definition.model_copy(update={"keys": tuple(keys)}))

    def _holds(self, archive: Archive, suite: str, package: Deb) -> bool:
        state = self.repository.state
        pointer = state.unverified_pointer(suite)
        indices = state.snapshot(pointer.snapshot).components if pointer else {}
        return any(
            stanza.name == package.name
            for index in indices.get(archive.definition.component, {}).values()
            for stanza in state.find(index, [package.name])
        )


def _warned(spread: Spread, old: str, suites: Sequence[str]) -> Spread:
    """The same, with a warning of hosts that know but a key which signs no more, unless there is one of them."""
    others = [suite for suite in suites if suite not in spread.lacking]
    if not others or (spread.warning and not spread.lacking):
        return spread
    warning = (
        f"hosts that know {old} alone refuse {', '.join(others)} until you bring them the keyring package: "
        "bigtop-builder key package ."
    )
    log.warning("%s", warning)
    return replace(spread, warning="; ".join(filter(None, [spread.warning, warning])))


def _by_hand(suites: Sequence[str]) -> str:
    adds = ", ".join(f"repo add {suite} <that file>" for suite in suites)
    return f"bigtop-builder key package ., then {adds}"
