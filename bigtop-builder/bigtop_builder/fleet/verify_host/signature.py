# SPDX-License-Identifier: Apache-2.0
"""Signatures, by gpgv or sqv."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .finding import UNREAD, WRONG_USE, Finding, Unable, error
from .process import ran

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNED = r"^\[GNUPG:\] {} .*^\[GNUPG:\] VALIDSIG [^\n]* ([0-9A-F]{{40}})$"
GOOD = re.compile(SIGNED.format("GOODSIG"), re.MULTILINE | re.DOTALL)
EXPIRED = re.compile(SIGNED.format("EXPKEYSIG"), re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Checked:
    """What became of a signature.

    Attributes:
        good: Whether a key of the keyring has signed the text.
        text: The text, of a clear-signed one what was signed of it.
        signer: Fingerprint of the key that has.
        expired: Whether that key has expired since.
        said: What the program said.
    """

    good: bool
    text: bytes
    signer: str = ""
    expired: bool = False
    said: str = ""


def check_signature(data: bytes, keyring: str, signature: bytes | None = None) -> Checked:
    """Verify a text, clear-signed if it comes without a signature.

    As in apt, other signatures may stand beside a good one, but none that does not fit the text.

    Raises:
        Unable: No program is there that can.
    """
    program = next((name for name in ("gpgv", "sqv") if shutil.which(name)), "")
    if not program:
        raise Unable(UNREAD, "neither gpgv nor sqv is installed", "apt-get install gpgv")
    with tempfile.TemporaryDirectory(prefix="verify-host-") as folder:
        signed, output, apart = (Path(folder, name) for name in ("signed", "text", "signature"))
        signed.write_bytes(data)
        argv = [program, "--keyring", str(Path(keyring).absolute())]
        argv += ["--homedir", folder, "--status-fd", "2"] if program == "gpgv" else []
        if signature is None:
            argv += ["--output", str(output), *(["--cleartext"] if program == "sqv" else [])]
        else:
            apart.write_bytes(signature)
            argv += ["--signature-file"] if program == "sqv" else []
            argv += [str(apart)]
        done = ran([*argv, str(signed)])
        text = data if signature is not None else output.read_bytes() if output.exists() else b""
    said = done.stderr.decode(errors="replace").strip()
    if program == "sqv":
        key = re.search(rb"^[0-9A-F]{40,64}$", done.stdout, re.MULTILINE)
        return Checked(done.returncode == 0, text, key[0].decode() if key else "", said=said)
    told = "\n".join(line for line in said.splitlines() if not line.startswith("[GNUPG:]"))
    if "[GNUPG:] BADSIG" in said:
        return Checked(good=False, text=text, said=told)
    groups = said.split("[GNUPG:] NEWSIG")[1:]
    now, once = ([match[1] for group in groups if (match := like.search(group))] for like in (GOOD, EXPIRED))
    return Checked(bool(now or once), text, (*now, *once, "")[0], expired=bool(once and not now), said=told)


def trusted(path: Path, data: bytes, keyring: str, signature: bytes | None = None) -> Checked:
    """A text that a key of the keyring has signed.

    Raises:
        Unable: None has.
    """
    checked = check_signature(data, keyring, signature)
    if not checked.good:
        raise Unable(
            WRONG_USE,
            f"{path} has no good signature by a key of {keyring}\n{checked.said}".rstrip(),
            "fetch it anew with its signature; if the repository's keys changed, install its new keyring package",
        )
    return checked


def expired(subject: str, checked: Checked) -> Iterator[Finding]:
    """A key that is over."""
    if checked.expired:
        yield error(
            "key",
            subject,
            detail=f"it is signed by the key {checked.signer}, which has expired",
            way_out="install the repository's new keyring package: apt refuses what an expired key has signed",
        )
