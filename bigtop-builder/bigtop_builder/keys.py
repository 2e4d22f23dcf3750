# SPDX-License-Identifier: Apache-2.0
"""Keys of this site: a folder of exported keys, one file each, and the forms in which people name one.

A key that the folder has not may come from a variable, from the user's own gpg with its agent, or stay with an
HSM whose command signs.
"""

import logging
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from bigtop_builder.errors import EnvironmentMissing, InputError, SigningError
from bigtop_builder.openpgp import Algorithm, ClockBehindError, Command, Key, Keyring, UserHome, missing
from bigtop_builder.openpgp.expiry import check_expiry
from bigtop_builder.openpgp.key_file import read_file, write_private
from bigtop_builder.settings import Settings

log = logging.getLogger(__name__)

FINGERPRINT: Final = re.compile(r"[0-9A-F]{40}")
SECRET: Final = ".secret.asc"  # noqa: S105  # a file name's end
PUBLIC: Final = ".public.asc"
REVOCATION: Final = ".revocation.asc"
FOLLOWS: Final = ".follows"
"""End of the marker of a key that was made to follow another one and signs nothing yet: it holds the other one."""
VARIABLE: Final = "BIGTOP_BUILDER_SIGNING_KEY"
RIGHTS: Final = "mend the rights, or name another folder as keys_dir in the settings"
RSA: Final = 1
"""RSA's number (RFC 4880, 9.1)."""


class KeyStore:
    """A folder of keys, one file each, that only its owner can read.

    Args:
        folder: `<FINGERPRINT>.secret.asc`, `.public.asc`, `.revocation.asc` and `.follows` lie in it.
        armored: Secret keys besides, armored.
        agent: The user's own gpg signs with keys that are not here.
        signer: Command that signs with keys of which only the public half is here.
    """

    def __init__(
        self, folder: Path, *, armored: str = "", agent: UserHome | None = None, signer: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self._armored = armored
        self._agent = agent
        self._signer = Command(signer) if signer else None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The keys that the settings and the variable for a secret key give."""
        return cls(
            settings.keys_dir,
            armored=os.environ.get(VARIABLE, ""),
            agent=UserHome() if settings.gpg_agent else None,
            signer=settings.signer,
        )

    def new(
        self,
        name: str,
        email: str,
        *,
        algorithm: Algorithm = "ed25519",
        expires: str = "2y",
        passphrase: str = "",
        offline: Path | None = None,
        follows: str = "",
    ) -> str:
        """Make a key, keep it, and return its fingerprint; whole or not at all.

        Args:
            name: Real name in the user id.
            email: Address in the user id.
            algorithm: `ed25519` or `rsa4096`.
            expires: `90d`, `6w`, `18m`, `2y`, a day as `2028-01-31`, or `never`.
            passphrase: Protects the secret half; none if empty.
            offline: File that the primary secret key goes into, for the safe: the store keeps a subkey that
                signs until `expires`, and no more of it.
            follows: Key that it is made to follow: `awaiting` finds it until `settle`.

        Raises:
            InputError: Name or address cannot be part of a user id, `expires` has another form, or the file
                for the safe is there already.
            SigningError: gpg refused.
            EnvironmentMissing: The store or the file for the safe cannot be written.
        """
        check_expiry(expires)
        with Keyring(passphrase=passphrase) as keyring, ExitStack() as undo:
            fingerprint = keyring.new_key(
                name, email, algorithm=algorithm, expires=expires, subkey=offline is not None
            )
            if offline is not None:
                write_private(
                    offline, keyring.export_secret(fingerprint), hint="name a file that is not there yet"
                )
                undo.callback(offline.unlink)
            # The secret half is last: with it the key is there, and all that belongs to it.
            for end, data in {
                **({FOLLOWS: f"{follows}\n".encode()} if follows else {}),
                REVOCATION: keyring.revocation(fingerprint),
                PUBLIC: keyring.export_public([fingerprint]),
                SECRET: keyring.export_secret(fingerprint, primary=offline is None),
            }.items():
                self._write(f"{fingerprint}{end}", data)
                undo.callback((self.folder / f"{fingerprint}{end}").unlink)
            undo.pop_all()
        log.info("new key %s in %s", fingerprint, self.folder)
        log.info(
            "its revocation certificate is %s: keep a copy elsewhere",
            self.folder / f"{fingerprint}{REVOCATION}",
        )
        return fingerprint

    def awaiting(self, old: str) -> str:
        """The newest usable key that was made to follow a key and does not yet; empty if there is none."""
        usable = {key.fingerprint: key.created for key in self.listing()[0] if key.usable}
        marked = [
            path.name.removesuffix(FOLLOWS)
            for path in self.folder.glob(f"*{FOLLOWS}")
            if read_file(path).decode(errors="replace").strip() == old
        ]
        return max((one for one in marked if one in usable), key=lambda one: usable[one], default="")

    def settle(self, fingerprint: str) -> None:
        """A key signs now: nothing awaits it any more.

        Raises:
            EnvironmentMissing: Its marker cannot be removed.
        """
        path = self.folder / f"{fingerprint}{FOLLOWS}"
        try:
            if path.exists():  # a read-only store with no marker is nothing to complain of
                path.unlink()
        except OSError as error:
            raise EnvironmentMissing(f"{path} cannot be removed: {error.strerror}", hint=RIGHTS) from error

    def new_subkey(
        self, fingerprint: str, primary: Path | None, *, expires: str = "2y", passphrase: str = ""
    ) -> str:
        """Give a key another subkey that signs, beside the present one; two that sign already stay as they are.

        Args:
            fingerprint: The key; a subkey of it signs.
            primary: File with its primary secret key, from the safe; None if the store has that.
            expires: As `new` takes it.
            passphrase: Of both.

        Returns:
            Fingerprint of the newest subkey.

        Raises:
            InputError: The primary key itself signs, or its secret half is needed; or the store does not hold
                the key's secret half, and so could not keep the subkey's.
            SigningError: The file holds another key, or gpg refused.
        """
        check_expiry(expires)
        self._require_kept(fingerprint)
        with self.open([fingerprint], passphrase=passphrase) as keyring:
            if primary is not None and fingerprint not in keyring.import_key(read_file(primary)):
                raise SigningError(f"{primary} does not hold {fingerprint}", hint="key list shows the keys")
            key = keyring.key(fingerprint)
            if key.offline:
                raise InputError(
                    f"the primary secret key of {fingerprint} is not here",
                    hint="--primary FILE: what key new --offline-primary wrote, from the safe",
                )
            if fingerprint in key.signing:
                raise InputError(
                    f"{fingerprint} signs itself, not by a subkey",
                    hint="bigtop-builder key rotate without --subkey makes another key",
                )
            if len(key.signing) > 1:
                log.info(
                    "subkey %s signs beside %s already: the rotation to it goes on; --finish ends it",
                    key.signing[-1],
                    key.signing[-2],
                )
                return key.signing[-1]
            algorithm: Algorithm = "rsa4096" if key.algorithm == RSA else "ed25519"
            keyring.new_subkey(fingerprint, algorithm=algorithm, expires=expires)
            self._keep(keyring, fingerprint, primary=primary is None)
            made = keyring.key(fingerprint).signing[-1]
        log.info("new subkey %s of %s in %s", made, fingerprint, self.folder)
        return made

    def drop_subkeys(self, fingerprint: str, *, passphrase: str = "") -> int:
        """Let the newest subkey of a key sign alone, and return how many older ones were dropped.

        Raises:
            InputError: The store does not hold the key's secret half.
            SigningError: gpg refused.
        """
        self._require_kept(fingerprint)
        with self.open([fingerprint], passphrase=passphrase) as keyring:
            key = keyring.key(fingerprint)
            older = [part for part in key.signing[:-1] if part != fingerprint]
            if older:
                keyring.forget_subkeys(fingerprint, older)
                self._keep(keyring, fingerprint, primary=not key.offline)
        return len(older)

    def take(self, material: bytes, *, passphrase: str = "") -> tuple[str, ...]:
        """Keep keys that somebody else made: secret ones, or public ones whose secret half an HSM has.

        Raises:
            SigningError: There is no key in it, or the store has one of them already.
        """
        with Keyring(passphrase=passphrase) as keyring:
            fingerprints = keyring.import_key(material)
            keys = [keyring.key(fingerprint) for fingerprint in fingerprints]
            for key in keys:
                if key.secret and self._secret(key.fingerprint).exists():
                    raise SigningError(
                        f"key {key.fingerprint} is in the store already",
                        hint=f"to take it anew, move {self._secret(key.fingerprint)} away first",
                    )
            for fingerprint, key in zip(fingerprints, keys, strict=True):
                if key.secret:
                    secret = keyring.export_secret(fingerprint, primary=not key.offline)
                    self._write(f"{fingerprint}{SECRET}", secret)
                self._replace(f"{fingerprint}{PUBLIC}", keyring.export_public([fingerprint]))
        return fingerprints

    def certificate(self, fingerprint: str, *, given: Path | None = None, passphrase: str = "") -> bytes:
        """A revocation certificate: the one given, the one that was made with the key, or one made now.

        Raises:
            SigningError: There is none, and the primary secret key is not here to make one.
        """
        beside = self.folder / f"{fingerprint}{REVOCATION}"
        if given is not None or beside.is_file():
            return read_file(given or beside)
        with self.open([fingerprint], passphrase=passphrase) as keyring:
            if keyring.key(fingerprint).offline or not keyring.key(fingerprint).secret:
                raise SigningError(
                    f"neither a revocation certificate of {fingerprint} nor its primary secret key is here",
                    hint="--certificate FILE: what gpg --generate-revocation made where the key is",
                )
            return keyring.new_revocation(fingerprint)

    def revoke(self, fingerprint: str, certificate: bytes, *, passphrase: str = "") -> None:
        """Mark a key of the store as revoked: nothing signs with it from then on.

        Raises:
            SigningError: The certificate is none of this key.
        """
        with self.open([fingerprint], passphrase=passphrase) as keyring:
            keyring.revoke(fingerprint, certificate)
            self._keep(keyring, fingerprint, primary=not keyring.key(fingerprint).offline)
        log.info("revoked %s in %s", fingerprint, self.folder)

    def public(self, fingerprint: str) -> bytes:
        """The public half of a key that this site has or had, binary; empty if there is none."""
        with Keyring() as keyring:
            for name in (f"{fingerprint}{SECRET}", f"{fingerprint}{PUBLIC}"):
                if (self.folder / name).is_file() and fingerprint in keyring.import_key(
                    read_file(self.folder / name)
                ):
                    return keyring.export_public([fingerprint], armor=False)
        with suppress(SigningError), self.open([fingerprint]) as keyring:
            return keyring.export_public([fingerprint], armor=False)
        return b""

    def fingerprints(self) -> tuple[str, ...]:
        """Keys that have a secret half here."""
        names = sorted(path.name.removesuffix(SECRET) for path in self.folder.glob(f"*{SECRET}"))
        return tuple(name for name in names if FINGERPRINT.fullmatch(name))

    def full(self, given: str) -> str:
        """A fingerprint as people write it, in the one spelling: 40 capital digits.

        Raises:
            InputError: It is no full one; the key of the store that it is the end of is named.
        """
        digits = plain(given)
        if FINGERPRINT.fullmatch(digits):
            return digits
        ends = [one for one in self.fingerprints() if digits and one.endswith(digits)]
        raise InputError(
            f"{given!r} is no full fingerprint: all 40 digits are needed, a key id is not enough",
            hint=f"if you mean this key: {ends[0]}"
            if len(ends) == 1
            else "bigtop-builder key list shows the fingerprints of this site's keys",
        )

    @contextmanager
    def open(self, fingerprints: Sequence[str] = (), *, passphrase: str = "") -> Iterator[Keyring]:
        """A keyring that holds these keys, or all if none is named.

        Raises:
            SigningError: A key is not in the store, or its file is damaged.
        """
        chosen = tuple(fingerprints) or self.fingerprints()
        with Keyring(passphrase=passphrase) as keyring:
            for fingerprint in chosen:
                if not self._bring(keyring, fingerprint):
                    raise missing(fingerprint, where=f" in {self.folder}")
            yield keyring

    def listing(self) -> tuple[tuple[Key, ...], tuple[SigningError, ...]]:
        """All keys of the store, and what is wrong with the files that hold none.

        Raises:
            EnvironmentMissing: The store is there, and cannot be read.
        """
        try:
            os.scandir(self.folder).close()
        except FileNotFoundError:
            return (), ()  # the first key makes it
        except OSError as error:
            raise EnvironmentMissing(
                f"{self.folder} cannot be read: {error.strerror}", hint="run as its owner, or set keys_dir"
            ) from error
        problems: list[SigningError] = []
        with Keyring() as keyring:
            for path in sorted(self.folder.glob(f"*{SECRET}")):
                try:
                    _load(keyring, path)
                except SigningError as error:
                    problems.append(error)
            return keyring.keys(), tuple(problems)

    def _bring(self, keyring: Keyring, fingerprint: str) -> bool:
        """Put a key into a keyring, from the first of its possible places that has it."""
        path = self._secret(fingerprint)
        if path.is_file():
            _load(keyring, path)
            return True
        if self._armored:
            try:
                if fingerprint in keyring.import_key(self._armored.encode()):
                    return True
            except ClockBehindError:
                raise
            except SigningError as error:
                raise SigningError(
                    f"{VARIABLE} holds no armored secret key", hint="give what gpg --export-secret-keys wrote"
                ) from error
        if self._agent and (public := self._agent.public(fingerprint)):
            return fingerprint in keyring.lend(public, self._agent)
        half = self.folder / f"{fingerprint}{PUBLIC}"
        return bool(
            self._signer and half.is_file() and fingerprint in keyring.lend(read_file(half), self._signer)
        )

    def _secret(self, fingerprint: str) -> Path:
        return self.folder / f"{fingerprint}{SECRET}"

    def _require_kept(self, fingerprint: str) -> None:
        """Raise unless a change of the key's secret half could be kept.

        Raises:
            InputError: It comes from elsewhere: the variable, the user's gpg, an HSM.
        """
        if not self._secret(fingerprint).is_file():
            raise InputError(
                f"the secret half of {fingerprint} is not in {self.folder}: its subkeys cannot be changed here",
                hint="change them with gpg where the key is kept, then bigtop-builder key rotate "
                f"{fingerprint} --to {fingerprint} signs with them; or take the secret key in with key import",
            )

    def _keep(self, keyring: Keyring, fingerprint: str, *, primary: bool) -> None:
        """Write a key that the store has anew."""
        if self._secret(fingerprint).is_file():
            self._replace(f"{fingerprint}{SECRET}", keyring.export_secret(fingerprint, primary=primary))
        self._replace(f"{fingerprint}{PUBLIC}", keyring.export_public([fingerprint]))

    def _replace(self, name: str, data: bytes) -> None:
        beside = f".{name}.{uuid.uuid4().hex}.new"
        self._write(beside, data)
        (self.folder / beside).replace(self.folder / name)

    def _write(self, name: str, data: bytes) -> None:
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self.folder / name, data, hint=RIGHTS)


def plain(given: str) -> str:
    """A fingerprint without what gpg and people put between its digits: spaces, a 0x, small letters."""
    return "".join(given.split()).upper().removeprefix("0X")


def _load(keyring: Keyring, path: Path) -> None:
    """Take a file of the store into a keyring.

    Raises:
        SigningError: It cannot be read, or does not hold the key that it is named after.
        ClockBehindError: It holds a key that is made only later, by this machine's clock.
    """
    details = reason = ""
    try:
        if path.name.removesuffix(SECRET) not in keyring.import_key(path.read_bytes()):
            reason = "holds another key than its name says"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except ClockBehindError:
        raise
    except SigningError as error:
        reason, details = "is damaged: gpg finds no key in it", error.details
    if reason:
        raise SigningError(
            f"{path} {reason}",
            details=details,
            hint="bring the file back from a backup, or move it out of the folder",
        )
