# SPDX-License-Identifier: Apache-2.0
"""Who signs with keys that never come to this tool: gpg's agent of the user, or a command for an HSM."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from bigtop_builder.errors import SigningError
from bigtop_builder.run import Completed, run

Form = Literal["detach-sign", "clear-sign"]


class Signer(Protocol):
    """Signs with a key that it holds."""

    def sign(self, form: Form, data: bytes, fingerprint: str) -> bytes:
        """An armored detached signature of the data, or the data clear-signed.

        Raises:
            SigningError: It did not sign.
        """


class Command:
    """The site's own command, the hook for an HSM: `COMMAND… detach-sign|clear-sign FINGERPRINT`.

    It reads the data from its standard input and writes to its standard output: an armored detached signature
    of the data for `detach-sign`, the data clear-signed for `clear-sign`. Any other exit status than 0 is a
    refusal, whose reason it writes to its standard error.

    Args:
        words: The command and its own arguments.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)

    def sign(self, form: Form, data: bytes, fingerprint: str) -> bytes:
        """Have the command sign.

        Raises:
            SigningError: It failed, or answered nothing.
        """
        done = run([*self._words, form, fingerprint], stdin=data, check=False)
        if done.returncode or not done.stdout:
            raise SigningError(
                f"the signer {self._words[0]} did not sign with {fingerprint}: exit status {done.returncode}",
                details=done.complaint,
                hint="it is the command that `signer` names in the settings; run it by hand to see what is wrong",
            )
        return done.stdout


class UserHome:
    """The user's own gpg (GNUPGHOME, else ~/.gnupg): its agent asks for passphrases and knows smart cards.

    Args:
        path: The folder; gpg's own choice if None.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    def public(self, fingerprint: str) -> bytes:
        """The public half of a key whose secret half is here, binary; empty if there is none."""
        if self._gpg(["--list-secret-keys", fingerprint]).returncode:
            return b""
        return self._gpg(["--export-options", "export-minimal", "--export", fingerprint]).stdout

    def fingerprints(self) -> tuple[str, ...]:
        """Fingerprints of all keys that have a secret half here."""
        rows = [
            line.split(":") for line in self._gpg(["--with-colons", "--list-secret-keys"]).text.splitlines()
        ]
        # The row after each `sec` is its `fpr` (gnupg's doc/DETAILS).
        return tuple(rows[at + 1][9] for at, row in enumerate(rows[:-1]) if row[0] == "sec")

    def sign(self, form: Form, data: bytes, fingerprint: str) -> bytes:
        """Have the agent sign.

        Raises:
            SigningError: gpg refused.
        """
        done = self._gpg(
            ["--digest-algo", "SHA512", "--local-user", fingerprint, "--armor", f"--{form}"], stdin=data
        )
        if done.returncode or not done.stdout:
            raise SigningError(
                f"the user's gpg did not sign with {fingerprint}",
                details=done.complaint,
                hint="is the card in its place, and the passphrase known to the agent? "
                f"gpg --local-user {fingerprint} --clear-sign shows what is wrong",
            )
        return done.stdout

    def _gpg(self, words: list[str], *, stdin: bytes = b"") -> Completed:
        home = ["--homedir", str(self._path)] if self._path else []
        return run(
            ["gpg", *home, "--batch", "--no-tty", "--yes", "--quiet", "--no-auto-key-locate", *words],
            stdin=stdin,
            check=False,
            env={"LC_ALL": "C.UTF-8"},
        )
