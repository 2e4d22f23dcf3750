# SPDX-License-Identifier: Apache-2.0
"""Verifying with gpgv, which trusts the keys it is given and nothing else."""

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.errors import SigningError
from bigtop_builder.openpgp.armor import canonical, unverified_text
from bigtop_builder.openpgp.key import instead
from bigtop_builder.run import Completed, run

GOOD = re.compile(
    r"^\[GNUPG:\] GOODSIG .*^\[GNUPG:\] VALIDSIG [^\n]* ([0-9A-F]{40})$", re.MULTILINE | re.DOTALL
)
ONCE_GOOD = re.compile(
    r"^\[GNUPG:\] (?:GOODSIG|EXPKEYSIG) .*^\[GNUPG:\] VALIDSIG [^\n]* ([0-9A-F]{40})$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class Signed:
    """What somebody has signed. Only `verify` makes one: so whoever holds one reads nothing but what was signed.

    Attributes:
        text: What a detached signature is of, or what gpgv gave out of a clear-signed text, as `canonical` has it.
        keys: Fingerprints of the primary keys whose signatures are good.
    """

    text: bytes
    keys: tuple[str, ...]


def verify(
    data: bytes, *, keyring: bytes, signature: bytes | None = None, what: str, expired: bool = False
) -> Signed:
    """Verify signatures.

    Args:
        data: Clear-signed text, or what a detached signature is of.
        keyring: Public keys, binary.
        signature: The detached signature; None if `data` is clear-signed.
        what: Name for the error.
        expired: Keys that have expired since count too: the publisher takes up what such a key has signed,
            which no host would.

    Raises:
        SigningError: One does not fit the data, or there is none by a key of the keyring that is neither
            expired nor revoked. As in apt, others may stand beside a good one. Or a clear-signed text has something
            around it, which gpgv does not mind.
    """
    framed = None if signature is not None else _framed(data, what)
    with tempfile.TemporaryDirectory(prefix="bb-gpgv-") as folder:
        signed, text = Path(folder, "signed"), Path(folder, "text")
        signed.write_bytes(data)
        given: list[str | Path] = ["--output", text] if signature is None else []
        done = _gpgv(Path(folder), signed, keyring=keyring, signature=signature, options=given)
        said = data if signature is not None else canonical(text.read_bytes()) if text.exists() else b""
    groups = done.text.split("[GNUPG:] NEWSIG")[1:]
    once = tuple(dict.fromkeys(match[1] for group in groups if (match := ONCE_GOOD.search(group))))
    good = once if expired else tuple(dict.fromkeys(m[1] for group in groups if (m := GOOD.search(group))))
    if "[GNUPG:] BADSIG" not in done.text and framed in {
        None,
        said,
    }:  # two readings of it would be one too many
        if good:
            return Signed(text=said, keys=good)
        if once:
            raise SigningError(
                f"{what} has no good signature, only one by the expired key {once[0]}", hint=instead(once[0])
            )
    raise SigningError(f"{what} has no good signature", details=done.complaint)


def _framed(data: bytes, what: str) -> bytes:
    """What stands in the frame of a clear-signed text."""
    try:
        return unverified_text(data)
    except SigningError as error:
        raise SigningError(
            f"{what} has no good signature",
            details="it is not one clear-signed text with nothing around it",
        ) from error


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


def _gpgv(
    folder: Path, signed: Path, *, keyring: bytes, signature: bytes | None, options: Sequence[str | Path] = ()
) -> Completed:
    keys = folder / "keys.gpg"
    keys.write_bytes(keyring)
    files = [signed]
    if signature is not None:
        files.insert(0, folder / "signature")
        files[0].write_bytes(signature)
    return run(
        ["gpgv", "--homedir", folder, "--status-fd", "1", "--keyring", keys, *options, *files],
        check=False,
        env={"LC_ALL": "C.UTF-8"},
    )
