# SPDX-License-Identifier: Apache-2.0
"""The one door to OpenPGP: signing with gpg in a home of its own, verifying with gpgv.

gpg always works in a private home below /tmp that is gone afterwards: the user's own ~/.gnupg is never looked
at, and the agent's socket has a short path (a socket's may have 107 bytes). Secrets and passphrases travel
through standard input and inherited descriptors, never through arguments.
"""

import fcntl
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Literal, Self

from bigtop_builder.errors import InputError, SigningError
from bigtop_builder.run import Completed, run

Algorithm = Literal["ed25519", "rsa4096"]
GOOD = re.compile(
    r"^\[GNUPG:\] GOODSIG .*^\[GNUPG:\] VALIDSIG [^\n]* ([0-9A-F]{40})$", re.MULTILINE | re.DOTALL
)
HOMES = Path("/tmp")  # noqa: S108  # a short path; the homes in it are private and do not stay
HOME_PREFIX = "bb-gpg-"
LOCK = "bb.lock"
PASSPHRASE_VARIABLE = "BIGTOP_BUILDER_KEY_PASSPHRASE"  # noqa: S105  # the variable's name


@dataclass(frozen=True, kw_only=True)
class Key:
    """One key of a keyring.

    Attributes:
        fingerprint: Of the primary key, 40 digits.
        user: `Name <email>`.
        created: When it was made, UTC.
        expires: When its signatures stop being accepted, UTC: the last day of any part of it that can sign;
            None for never.
        secret: A secret part that signs is here.
        usable: It, or a subkey of it, can sign today: neither expired nor revoked.
    """

    fingerprint: str
    user: str
    created: datetime
    expires: datetime | None
    secret: bool
    usable: bool


class Keyring:
    """gpg in a home of its own. A context manager: on leaving, the agent is ended and the home removed.

    Args:
        passphrase: Of the secret keys; empty if they have none.
    """

    def __init__(self, *, passphrase: str = "") -> None:
        self._passphrase = passphrase
        self._home: Path | None = None

    def __enter__(self) -> Self:
        _sweep()
        new = Path(tempfile.mkdtemp(prefix="bb-new-", dir=HOMES))
        self._lock = os.open(new / LOCK, os.O_WRONLY | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        # Only now it has the name that others sweep: they never find a living one without its lock.
        self._home = new.rename(HOMES / new.name.replace("bb-new-", HOME_PREFIX))
        return self

    def __exit__(self, *_: object) -> None:
        if self._home:
            _remove(self._home)
            os.close(self._lock)
        self._home = None

    def new_key(self, name: str, email: str, *, algorithm: Algorithm = "ed25519", expires: str = "2y") -> str:
        """Make a signing key and return its fingerprint.

        Args:
            name: Real name in the user id.
            email: Address in the user id.
            algorithm: `ed25519` or `rsa4096`.
            expires: As gpg takes it: `2y`, `90d`, `2028-01-31`, `never`.

        Raises:
            InputError: Name or address cannot be part of a user id.
            SigningError: gpg refused.
        """
        if re.search(r"[<>\n]", name + email) or not name.strip() or "@" not in email:
            raise InputError(f"{name!r} <{email}> is no user id", hint="give a plain name and an address")
        done = self._gpg(
            ["--status-fd", "1", "--quick-generate-key", f"{name} <{email}>", algorithm, "sign", expires],
            check=False,
        )
        created = re.search(rb"KEY_CREATED \w ([0-9A-F]{40})", done.stdout)
        if created is None:
            raise SigningError(
                f"gpg made no {algorithm} key that ends after {expires!r}", details=done.complaint
            )
        return created[1].decode()

    def import_key(self, material: bytes) -> tuple[str, ...]:
        """Take in keys, secret or public, armored or binary, and return their fingerprints.

        Raises:
            SigningError: There is no key in it.
        """
        done = self._gpg(["--status-fd", "1", "--import"], stdin=material, check=False)
        found = dict.fromkeys(re.findall(rb"IMPORT_OK \d+ ([0-9A-F]{40})", done.stdout))
        if not found:
            raise SigningError(
                "no OpenPGP key to import",
                details=done.complaint,
                hint="give what gpg --export-secret-keys wrote",
            )
        return tuple(fingerprint.decode() for fingerprint in found)

    def export_public(self, fingerprints: Sequence[str], *, armor: bool = True) -> bytes:
        """Public halves of keys, as small as they go: without others' signatures.

        Raises:
            SigningError: A key is not here.
        """
        known = {key.fingerprint for key in self.keys()}
        for fingerprint in fingerprints:
            if fingerprint not in known:
                raise missing(fingerprint)
        options = ["--armor"] if armor else []
        return self._gpg([*options, "--export-options", "export-minimal", "--export", *fingerprints]).stdout

    def export_secret(self, fingerprint: str) -> bytes:
        """The secret key, armored, protected by the passphrase if there is one.

        Raises:
            SigningError: The key is not here.
        """
        exported = self._gpg(["--armor", "--export-secret-keys", fingerprint], check=False).stdout
        if not exported:
            raise missing(fingerprint)
        return exported

    def revocation(self, fingerprint: str) -> bytes:
        """The revocation certificate that gpg made with a new key."""
        return (self.home / "openpgp-revocs.d" / f"{fingerprint}.rev").read_bytes()

    def keys(self) -> tuple[Key, ...]:
        """All keys, in gpg's order."""
        listing = self._gpg(["--with-colons", "--with-secret", "--list-keys"]).text
        return tuple(_keys(listing))

    def check(self, fingerprints: Sequence[str]) -> tuple[Key, ...]:
        """See that each key can sign, before anything is done that needs it.

        Raises:
            SigningError: There is none, or one is missing, public only, expired or revoked.
        """
        if not fingerprints:
            raise SigningError("no signing key is named", hint="bigtop-builder key new NAME EMAIL makes one")
        known = {key.fingerprint: key for key in self.keys()}
        return tuple(_usable(known.get(fingerprint), fingerprint) for fingerprint in fingerprints)

    def clearsign(self, data: bytes, fingerprints: Sequence[str]) -> bytes:
        """Text with its signatures around it, as InRelease has it.

        Raises:
            SigningError: A key cannot sign, or the passphrase is wrong.
        """
        return self._sign(["--clear-sign"], data, fingerprints)

    def detach_sign(self, data: bytes, fingerprints: Sequence[str]) -> bytes:
        """Armored detached signatures.

        Raises:
            SigningError: A key cannot sign, or the passphrase is wrong.
        """
        return self._sign(["--armor", "--detach-sign"], data, fingerprints)

    @property
    def home(self) -> Path:
        """The private GNUPGHOME, as long as the keyring is open."""
        if self._home is None:
            raise SigningError("the keyring is closed", hint="use it in a with statement")
        return self._home

    def _sign(self, options: list[str], data: bytes, fingerprints: Sequence[str]) -> bytes:
        self.check(fingerprints)
        users = [word for fingerprint in fingerprints for word in ("--local-user", fingerprint)]
        done = self._gpg(["--digest-algo", "SHA512", *users, *options], stdin=data, check=False)
        if done.returncode or not done.stdout:
            raise SigningError(
                f"gpg did not sign with {', '.join(fingerprints)}",
                details=done.complaint,
                hint=f"is the passphrase right? It is read from {PASSPHRASE_VARIABLE}",
            )
        return done.stdout

    def _gpg(self, words: list[str], *, stdin: bytes = b"", check: bool = True) -> Completed:
        base = ["gpg", "--homedir", str(self.home), "--batch", "--no-tty", "--yes", "--quiet"]
        base += [
            "--no-auto-key-locate",
            "--no-auto-check-trustdb",
            "--trust-model",
            "always",
            "--pinentry-mode",
            "loopback",
        ]
        with _pipe(self._passphrase.encode()) as descriptor:
            return run(
                [*base, "--passphrase-fd", str(descriptor), *words],
                stdin=stdin,
                check=check,
                error=SigningError,
                env={"LC_ALL": "C.UTF-8"},
                pass_fds=(descriptor,),
            )


def missing(fingerprint: str, *, where: str = "") -> SigningError:
    """The error that a key is not where it should be."""
    return SigningError(
        f"key {fingerprint} is not here{where}",
        hint="bigtop-builder key list shows those here, key new makes one",
    )


def verify(data: bytes, *, keyring: bytes, signature: bytes | None = None, what: str) -> tuple[str, ...]:
    """Verify signatures with gpgv, which trusts the given keys and nothing else.

    Args:
        data: Clear-signed text, or what a detached signature is of.
        keyring: Public keys, binary.
        signature: The detached signature; None if `data` is clear-signed.
        what: Name for the error.

    Returns:
        Fingerprints of the primary keys whose signatures are good.

    Raises:
        SigningError: One does not fit the data, or there is none by a key of the keyring that is neither
            expired nor revoked. As in apt, others may stand beside a good one.
    """
    with tempfile.TemporaryDirectory(prefix="bb-gpgv-") as folder:
        signed = Path(folder, "signed")
        signed.write_bytes(data)
        done = _gpgv(Path(folder), signed, keyring=keyring, signature=signature)
    groups = done.text.split("[GNUPG:] NEWSIG")[1:]
    good = tuple(dict.fromkeys(match[1] for group in groups if (match := GOOD.search(group))))
    if not good or "[GNUPG:] BADSIG" in done.text:
        raise SigningError(f"{what} has no good signature", details=done.complaint)
    return good


def signers(file: Path, *, keyring: bytes, signature: bytes) -> tuple[str, ...]:
    """Who signed a file of any size: keys that have expired since count too, revoked ones do not.

    Args:
        file: What was signed.
        keyring: Public keys, binary.
        signature: The detached signature.

    Returns:
        Fingerprints of the keys whose signature holds, each followed by its primary key's.
    """
    with tempfile.TemporaryDirectory(prefix="bb-gpgv-") as folder:
        done = _gpgv(Path(folder), file, keyring=keyring, signature=signature)
    found: list[str] = []
    good = False
    statuses = (line.split()[1:] for line in done.text.splitlines() if line.startswith("[GNUPG:] "))
    for status, *words in statuses:  # gnupg's doc/DETAILS: the verdict on a signature, then VALIDSIG
        if status in {"GOODSIG", "EXPKEYSIG"}:
            good = True
        elif status in {"NEWSIG", "REVKEYSIG", "EXPSIG", "BADSIG", "ERRSIG"}:
            good = False
        elif status == "VALIDSIG" and good:
            found += [words[0], words[-1]]
    return tuple(found)


def _gpgv(folder: Path, signed: Path, *, keyring: bytes, signature: bytes | None) -> Completed:
    keys = folder / "keys.gpg"
    keys.write_bytes(keyring)
    files = [signed]
    if signature is not None:
        files.insert(0, folder / "signature")
        files[0].write_bytes(signature)
    return run(
        ["gpgv", "--homedir", folder, "--status-fd", "1", "--keyring", keys, *files],
        check=False,
        env={"LC_ALL": "C.UTF-8"},
    )


def _keys(listing: str) -> Iterator[Key]:
    """Keys of a colon listing (gnupg's doc/DETAILS)."""
    rows = [line.split(":") for line in listing.splitlines()]
    starts = [number for number, row in enumerate(rows) if row[0] == "pub"]
    for start, end in pairwise([*starts, len(rows)]):
        group = rows[start:end]
        parts = [row for row in group if row[0] in {"pub", "sub"} and "s" in row[11]]
        able = [row for row in parts if row[1] not in {"e", "r", "i", "n", "d"}]
        ends = [_moment(row[6]) for row in able or parts]
        yield Key(
            fingerprint=next(row[9] for row in group if row[0] == "fpr"),
            user=next((row[9] for row in group if row[0] == "uid"), ""),
            created=datetime.fromtimestamp(int(group[0][5]), UTC),
            expires=None if None in ends else max((end for end in ends if end), default=None),
            secret=any(row[14] == "+" for row in parts),
            usable=bool(able) and group[0][1] not in {"e", "r", "i", "n", "d"},
        )


def _moment(text: str) -> datetime | None:
    return datetime.fromtimestamp(int(text), UTC) if text else None


def _usable(key: Key | None, fingerprint: str) -> Key:
    if key is None:
        raise missing(fingerprint)
    if not key.secret:
        raise SigningError(
            f"of key {fingerprint} only the public half is here", hint="import the secret key and try again"
        )
    if not key.usable:
        gone = key.expires is not None and key.expires <= datetime.now(UTC)
        ended = f"expired on {key.expires:%Y-%m-%d}" if gone else "is revoked"
        raise SigningError(f"key {fingerprint} {ended}", hint="bigtop-builder key rotate makes its successor")
    return key


def _sweep() -> None:
    """Remove the homes that killed processes left: a living one holds its lock."""
    for lock in HOMES.glob(f"{HOME_PREFIX}*/{LOCK}"):
        with suppress(OSError), lock.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(lock.parent)


def _remove(home: Path) -> None:
    run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
    shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _pipe(data: bytes) -> Iterator[int]:
    """The reading end of a pipe that a thread fills: a pipe takes only so much before someone reads."""
    reading, writing = os.pipe()
    thread = threading.Thread(target=_fill, args=(writing, data), daemon=True)
    thread.start()
    try:
        yield reading
    finally:
        os.close(reading)
        thread.join()


def _fill(writing: int, data: bytes) -> None:
    with os.fdopen(writing, "wb") as file:
        file.write(data)
