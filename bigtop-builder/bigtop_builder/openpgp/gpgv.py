# SPDX-License-Identifier: Apache-2.0
"""Verifying with gpgv, which trusts the keys it is given and nothing else."""

import re
import tempfile
from pathlib import Path

from bigtop_builder.errors import SigningError
from bigtop_builder.openpgp.key import instead
from bigtop_builder.run import Completed, run

GOOD = re.compile(
    r"^\[GNUPG:\] GOODSIG .*^\[GNUPG:\] VALIDSIG [^\n]* ([0-9A-F]{40})$", re.MULTILINE | re.DOTALL
)
ONCE_GOOD = re.compile(
    r"^\[GNUPG:\] (?:GOODSIG|EXPKEYSIG) .*^\[GNUPG:\] VALIDSIG [^\n]* ([0-9A-F]{40})$",
    re.MULTILINE | re.DOTALL,
)


def verify(
    data: bytes, *, keyring: bytes, signature: bytes | None = None, what: str, expired: bool = False
) -> tuple[str, ...]:
    """Verify signatures.

    Args:
        data: Clear-signed text, or what a detached signature is of.
        keyring: Public keys, binary.
        signature: The detached signature; None if `data` is clear-signed.
        what: Name for the error.
        expired: Keys that have expired since count too: the publisher takes up what such a key has signed,
            which no host would.

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
    once = tuple(dict.fromkeys(match[1] for group in groups if (match := ONCE_GOOD.search(group))))
    good = once if expired else tuple(dict.fromkeys(m[1] for group in groups if (m := GOOD.search(group))))
    if "[GNUPG:] BADSIG" not in done.text:
        if good:
            return good
        if once:
            raise SigningError(
                f"{what} has no good signature, only one by the expired key {once[0]}", hint=instead(once[0])
            )
    raise SigningError(f"{what} has no good signature", details=done.complaint)


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
