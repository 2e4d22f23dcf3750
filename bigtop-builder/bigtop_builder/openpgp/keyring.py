# SPDX-License-Identifier: Apache-2.0
"""Keys at work: made, read, told apart, and made to sign."""

import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, Self

from bigtop_builder.errors import InputError, SigningError
from bigtop_builder.openpgp import armor
from bigtop_builder.openpgp.gpgv import verify
from bigtop_builder.openpgp.home import PASSPHRASE_VARIABLE, Home
from bigtop_builder.openpgp.key import ClockBehindError, Key, missing, read_keys, require_usable
from bigtop_builder.openpgp.signer import Form, Signer
from bigtop_builder.run import Completed

Algorithm = Literal["ed25519", "rsa4096"]
FUTURE = re.compile(r"key ([0-9A-F]+) was created (.+ in the future) \(time warp or clock problem\)")
"""What gpg says of a key that it does not take because of the clock."""


class Keyring:
    """gpg in a home of its own. A context manager: on leaving, the agent is ended and the home removed.

    Args:
        passphrase: Of the secret keys; empty if they have none.
    """

    def __init__(self, *, passphrase: str = "") -> None:
        self._home = Home(passphrase=passphrase)
        self._stack = ExitStack()
        self._lent: dict[str, Signer] = {}
        self._listed: tuple[Key, ...] | None = None
        self._exported: dict[tuple[tuple[str, ...], bool], bytes] = {}

    def __enter__(self) -> Self:
        self._stack.enter_context(self._home)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def new_key(
        self,
        name: str,
        email: str,
        *,
        algorithm: Algorithm = "ed25519",
        expires: str = "2y",
        subkey: bool = False,
    ) -> str:
        """Make a signing key and return its fingerprint.

        Args:
            name: Real name in the user id.
            email: Address in the user id.
            algorithm: `ed25519` or `rsa4096`.
            expires: As gpg takes it: `2y`, `90d`, `2028-01-31`, `never`.
            subkey: Let a subkey sign, which `expires` is of; the primary key certifies only and never expires.

        Raises:
            InputError: Name or address cannot be part of a user id.
            SigningError: gpg refused.
        """
        if re.search(r"[<>\n]", name + email) or not name.strip() or "@" not in email:
            raise InputError(f"{name!r} <{email}> is no user id", hint="give a plain name and an address")
        usage, ends = ("cert", "never") if subkey else ("sign", expires)
        done = self._gpg(
            ["--status-fd", "1", "--quick-generate-key", f"{name} <{email}>", algorithm, usage, ends],
            check=False,
        )
        created = re.search(rb"KEY_CREATED \w ([0-9A-F]{40})", done.stdout)
        if created is None:
            raise SigningError(
                f"gpg made no {algorithm} key that ends after {expires!r}", details=done.complaint
            )
        fingerprint = created[1].decode()
        if subkey:
            self.new_subkey(fingerprint, algorithm=algorithm, expires=expires)
        return fingerprint

    def new_subkey(self, fingerprint: str, *, algorithm: Algorithm, expires: str) -> None:
        """Give a key another subkey that signs; its primary secret key must be here.

        Raises:
            SigningError: gpg refused.
        """
        done = self._gpg(["--quick-add-key", fingerprint, algorithm, "sign", expires], check=False)
        if done.returncode:
            raise SigningError(
                f"gpg made no new subkey of {fingerprint}",
                details=done.complaint,
                hint=f"is the passphrase right? It is read from {PASSPHRASE_VARIABLE}",
            )

    def forget_subkeys(self, fingerprint: str, subkeys: Sequence[str]) -> None:
        """Drop the secret halves of subkeys; the public ones stay.

        Raises:
            SigningError: gpg refused.
        """
        for subkey in subkeys:
            self._gpg(["--delete-secret-keys", f"{subkey}!"])
        if set(self.key(fingerprint).signing) & set(subkeys):
            raise SigningError(f"gpg kept a subkey of {fingerprint} that it should have dropped")

    def import_key(self, material: bytes) -> tuple[str, ...]:
        """Take in keys, secret or public, armored or binary, and return their fingerprints.

        Raises:
            SigningError: There is no key in it.
            ClockBehindError: There is one, which is made only later by this machine's clock.
        """
        done = self._gpg(["--status-fd", "1", "--import"], stdin=material, check=False)
        found = dict.fromkeys(re.findall(rb"IMPORT_OK \d+ ([0-9A-F]{40})", done.stdout))
        if not found and (warp := FUTURE.search(done.complaint)):
            raise ClockBehindError(f"key {warp[1]}", made=warp[2], details=done.complaint)
        if not found:
            raise SigningError(
                "no OpenPGP key to import",
                details=done.complaint,
                hint="give what gpg --export-secret-keys wrote",
            )
        return tuple(fingerprint.decode() for fingerprint in found)

    def lend(self, public: bytes, signer: Signer) -> tuple[str, ...]:
        """Take in public halves whose secret ones someone else holds, who is to sign with them.

        Raises:
            SigningError: There is no key in it.
        """
        fingerprints = self.import_key(public)
        self._lent |= dict.fromkeys(fingerprints, signer)
        return fingerprints

    def export_public(self, fingerprints: Sequence[str], *, armor: bool = True) -> bytes:
        """Public halves of keys, as small as they go: without others' signatures.

        Raises:
            SigningError: A key is not here.
        """
        known = {key.fingerprint for key in self.keys()}
        for fingerprint in fingerprints:
            if fingerprint not in known:
                raise missing(fingerprint)
        wanted = tuple(fingerprints), armor
        if wanted not in self._exported:
            options = ["--armor"] if armor else []
            words = [*options, "--export-options", "export-minimal", "--export", *fingerprints]
            self._exported[wanted] = self._home.gpg(words).stdout
        return self._exported[wanted]

    def export_secret(self, fingerprint: str, *, primary: bool = True) -> bytes:
        """The secret key, armored, protected by the passphrase if there is one.

        Args:
            fingerprint: The key.
            primary: With the primary secret key; a stub in its place if not.

        Raises:
            SigningError: The key is not here.
        """
        what = "--export-secret-keys" if primary else "--export-secret-subkeys"
        exported = self._gpg(["--armor", what, fingerprint], check=False).stdout
        if not exported:
            raise missing(fingerprint)
        return exported

    def revocation(self, fingerprint: str) -> bytes:
        """The revocation certificate that gpg made with a new key."""
        return (self.home / "openpgp-revocs.d" / f"{fingerprint}.rev").read_bytes()

    def new_revocation(self, fingerprint: str) -> bytes:
        """A revocation certificate made now, of a key whose primary secret key is here.

        Raises:
            SigningError: gpg refused.
        """
        # The dialogue: create? reason 0 (none is given), its text (none), right so?
        answers = b"y\n0\n\ny\n"
        done = self._home.gpg(
            ["--armor", "--generate-revocation", fingerprint], stdin=answers, check=False, batch=False
        )
        if done.returncode or not done.stdout:
            raise SigningError(
                f"gpg made no revocation certificate of {fingerprint}",
                details=done.complaint,
                hint="it takes the primary secret key, and its passphrase",
            )
        return done.stdout

    def revoke(self, fingerprint: str, certificate: bytes) -> None:
        """Take in a revocation certificate.

        Raises:
            SigningError: It is none, or of another key.
        """
        # gpg puts a colon before the armor of those that it makes itself, so that nobody uses one by mistake.
        self._gpg(
            ["--import"], stdin=re.sub(rb"^:(?=-----)", b"", certificate, flags=re.MULTILINE), check=False
        )
        if not self.key(fingerprint).revoked:
            raise SigningError(
                f"that is no revocation certificate of {fingerprint}",
                hint="key new wrote one beside the key: FINGERPRINT.revocation.asc",
            )

    def keys(self) -> tuple[Key, ...]:
        """All keys, in gpg's order."""
        if self._listed is None:
            listing = self._home.gpg(["--with-colons", "--with-secret", "--list-keys"]).text
            self._listed = tuple(read_keys(listing))
        return self._listed

    def key(self, fingerprint: str) -> Key:
        """One key.

        Raises:
            SigningError: It is not here.
        """
        found = next((key for key in self.keys() if key.fingerprint == fingerprint), None)
        if found is None:
            raise missing(fingerprint)
        return found

    def check(self, fingerprints: Sequence[str]) -> tuple[Key, ...]:
        """See that each key can sign, before anything is done that needs it.

        Raises:
            SigningError: There is none, or one is missing, public only, expired or revoked, or
                no part of it can sign.
        """
        if not fingerprints:
            raise SigningError("no signing key is named", hint="bigtop-builder key new NAME EMAIL makes one")
        known = {key.fingerprint: key for key in self.keys()}
        return tuple(
            require_usable(known.get(fingerprint), fingerprint, lent=fingerprint in self._lent)
            for fingerprint in fingerprints
        )

    def clearsign(self, data: bytes, fingerprints: Sequence[str]) -> bytes:
        """Text with its signatures around it, as InRelease has it.

        Raises:
            SigningError: A key cannot sign, the passphrase is wrong, or another signer's answer is.
        """
        return self._sign("clear-sign", data, fingerprints)

    def detach_sign(self, data: bytes, fingerprints: Sequence[str]) -> bytes:
        """Armored detached signatures.

        Raises:
            SigningError: A key cannot sign, the passphrase is wrong, or another signer's answer is.
        """
        return self._sign("detach-sign", data, fingerprints)

    @property
    def home(self) -> Path:
        """The private GNUPGHOME, as long as the keyring is open."""
        return self._home.path

    def _sign(self, form: Form, data: bytes, fingerprints: Sequence[str]) -> bytes:
        keys = self.check(fingerprints)
        # A subkey and its successor sign side by side, for hosts that know the first one only.
        parts = [part for key in keys if key.fingerprint not in self._lent for part in key.signing]
        own = [self._sign_here(form, data, parts)] if parts else []
        lent = [fingerprint for fingerprint in fingerprints if fingerprint in self._lent]
        if not lent:
            return own[0]
        answers = [self._sign_there(form, data, fingerprint) for fingerprint in lent]
        whole = armor.join([*own, *answers]) if form == "detach-sign" else armor.join_clear([*own, *answers])
        self._verify(form, data, whole, fingerprints, what="the joint signature")
        return whole

    def _sign_here(self, form: Form, data: bytes, parts: Sequence[str]) -> bytes:
        users = [word for part in parts for word in ("--local-user", f"{part}!")]
        done = self._home.gpg(
            ["--digest-algo", "SHA512", *users, "--armor", f"--{form}"], stdin=data, check=False
        )
        if done.returncode or not done.stdout:
            raise SigningError(
                f"gpg did not sign with {', '.join(parts)}",
                details=done.complaint,
                hint=f"is the passphrase right? It is read from {PASSPHRASE_VARIABLE}",
            )
        return done.stdout

    def _sign_there(self, form: Form, data: bytes, fingerprint: str) -> bytes:
        """What another signer answered, looked at before it is used."""
        answer = self._lent[fingerprint].sign(form, data, fingerprint)
        self._verify(form, data, answer, [fingerprint], what=f"what the signer of {fingerprint} answered")
        return answer

    def _verify(
        self, form: Form, data: bytes, signed: bytes, fingerprints: Sequence[str], *, what: str
    ) -> None:
        public = self.export_public(fingerprints, armor=False)
        if form == "clear-sign":
            proof = verify(signed, keyring=public, what=what)
        else:
            proof = verify(data, keyring=public, signature=signed, what=what)
        if armor.canonical(proof.text) != armor.canonical(data) or set(proof.keys) != set(fingerprints):
            raise SigningError(
                f"{what} is not the data signed by {', '.join(fingerprints)}",
                hint="nothing of it was used; see the command that `signer` names in the settings",
            )

    def _gpg(self, words: list[str], *, stdin: bytes = b"", check: bool = True) -> Completed:
        """Run gpg for what may change the keys."""
        self._listed = None
        self._exported.clear()
        return self._home.gpg(words, stdin=stdin, check=check)
