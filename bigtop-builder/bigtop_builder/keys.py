# SPDX-License-Identifier: Apache-2.0
"""Keys of this site: a folder of exported keys, one file each, and the forms in which people name one."""

import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from bigtop_builder.errors import InputError, SigningError
from bigtop_builder.openpgp import Algorithm, Key, Keyring, missing

log = logging.getLogger(__name__)

FINGERPRINT: Final = re.compile(r"[0-9A-F]{40}")
PERIOD: Final = re.compile(r"([1-9][0-9]{0,4})([dwmy])")
DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
DAYS: Final = {"d": 1, "w": 7, "m": 30, "y": 365}
LONGEST: Final = 50 * 365
"""Days that a key may live: OpenPGP counts 136 years of seconds from 1970 on (RFC 4880, 3.5)."""
SECRET: Final = ".secret.asc"  # noqa: S105  # a file name's end


class KeyStore:
    """A folder of keys, one file each, that only its owner can read.

    Args:
        folder: `<FINGERPRINT>.secret.asc`, `.public.asc` and `.revocation.asc` lie in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def new(
        self,
        name: str,
        email: str,
        *,
        algorithm: Algorithm = "ed25519",
        expires: str = "2y",
        passphrase: str = "",
    ) -> str:
        """Make a key, keep it, and return its fingerprint.

        Args:
            name: Real name in the user id.
            email: Address in the user id.
            algorithm: `ed25519` or `rsa4096`.
            expires: `90d`, `6w`, `18m`, `2y`, a day as `2028-01-31`, or `never`.
            passphrase: Protects the secret half; none if empty.

        Raises:
            InputError: Name or address cannot be part of a user id, or `expires` has another form.
            SigningError: gpg refused, or the store cannot be written.
        """
        check_expiry(expires)
        with Keyring(passphrase=passphrase) as keyring:
            fingerprint = keyring.new_key(name, email, algorithm=algorithm, expires=expires)
            self._write(f"{fingerprint}.revocation.asc", keyring.revocation(fingerprint))
            self._write(f"{fingerprint}.public.asc", keyring.export_public([fingerprint]))
            self._write(f"{fingerprint}{SECRET}", keyring.export_secret(fingerprint))
        log.info("new key %s in %s", fingerprint, self.folder)
        return fingerprint

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
                path = self.folder / f"{fingerprint}{SECRET}"
                if not path.is_file():
                    raise missing(fingerprint, where=f" in {self.folder}")
                _load(keyring, path)
            yield keyring

    def listing(self) -> tuple[tuple[Key, ...], tuple[SigningError, ...]]:
        """All keys of the store, and what is wrong with the files that hold none."""
        problems: list[SigningError] = []
        with Keyring() as keyring:
            for path in sorted(self.folder.glob(f"*{SECRET}")):
                try:
                    _load(keyring, path)
                except SigningError as error:
                    problems.append(error)
            return keyring.keys(), tuple(problems)

    def _write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise SigningError(
                f"{path} cannot be written: {error.strerror}",
                hint="mend the rights, or name another folder as keys_dir in the settings",
            ) from error


def plain(given: str) -> str:
    """A fingerprint without what gpg and people put between its digits: spaces, a 0x, small letters."""
    return "".join(given.split()).upper().removeprefix("0X")


def check_expiry(text: str) -> None:
    """Raise unless a new key may end then.

    Raises:
        InputError: It is none of the forms, a day that is over, or too far ahead.
    """
    today = datetime.now(UTC).date()
    days = 0
    if period := PERIOD.fullmatch(text):
        days = int(period[1]) * DAYS[period[2]]
    elif DAY.fullmatch(text):
        with suppress(ValueError):  # there is no 31 February
            days = (date.fromisoformat(text) - today).days
    if text != "never" and not 0 < days <= LONGEST:
        raise InputError(
            f"{text!r} is no time at which a key can expire",
            hint=f"90d, 6w, 18m, 2y, a day to come as {today.year + 2}-01-31, or never; at most 50 years",
        )


def _load(keyring: Keyring, path: Path) -> None:
    """Take a file of the store into a keyring.

    Raises:
        SigningError: It cannot be read, or does not hold the key that it is named after.
    """
    details = reason = ""
    try:
        if path.name.removesuffix(SECRET) not in keyring.import_key(path.read_bytes()):
            reason = "holds another key than its name says"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except SigningError as error:
        reason, details = "is damaged: gpg finds no key in it", error.details
    if reason:
        raise SigningError(
            f"{path} {reason}",
            details=details,
            hint="bring the file back from a backup, or move it out of the folder",
        )
