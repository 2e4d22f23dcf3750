# SPDX-License-Identifier: Apache-2.0
"""A home of its own for gpg, below /tmp, that is gone afterwards.

The user's own ~/.gnupg is not looked at, and the agent's socket has a short path (a socket's may have 107
bytes). Secrets and passphrases travel through standard input and inherited descriptors, never as arguments.
"""

import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from bigtop_builder.errors import SigningError
from bigtop_builder.run import Completed, run

HOMES = Path("/tmp")  # noqa: S108  # a short path; the homes in it are private and do not stay
HOME_PREFIX = "bb-gpg-"
LOCK = "bb.lock"
PASSPHRASE_VARIABLE = "BIGTOP_BUILDER_KEY_PASSPHRASE"  # noqa: S105  # the variable's name


class Home:
    """A private GNUPGHOME. A context manager: on leaving, the agent is ended and the folder removed.

    Args:
        passphrase: Of the secret keys; empty if they have none.
    """

    def __init__(self, *, passphrase: str = "") -> None:
        self._passphrase = passphrase
        self._path: Path | None = None

    def __enter__(self) -> Self:
        _sweep()
        new = Path(tempfile.mkdtemp(prefix="bb-new-", dir=HOMES))
        self._lock = os.open(new / LOCK, os.O_WRONLY | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        # Only now it has the name that others sweep: they never find a living one without its lock.
        self._path = new.rename(HOMES / new.name.replace("bb-new-", HOME_PREFIX))
        return self

    def __exit__(self, *_: object) -> None:
        if self._path:
            _remove(self._path)
            os.close(self._lock)
        self._path = None

    @property
    def path(self) -> Path:
        """The folder, as long as the home is open."""
        if self._path is None:
            raise SigningError("the keyring is closed", hint="use it in a with statement")
        return self._path

    def gpg(
        self, words: list[str], *, stdin: bytes = b"", check: bool = True, batch: bool = True
    ) -> Completed:
        """Run gpg.

        Args:
            words: Its arguments, without those that are always the same.
            stdin: What it reads.
            check: Raise when its status is not 0.
            batch: Ask nothing. Some commands exist for a dialogue only, which standard input then answers.

        Raises:
            SigningError: It failed, and `check` is set.
        """
        base = ["gpg", "--homedir", str(self.path), "--no-tty", "--yes", "--quiet", "--no-auto-key-locate"]
        base += ["--no-auto-check-trustdb", "--trust-model", "always", "--pinentry-mode", "loopback"]
        base += ["--batch"] if batch else ["--no-batch", "--command-fd", "0"]
        with _pipe(self._passphrase.encode()) as descriptor:
            return run(
                [*base, "--passphrase-fd", str(descriptor), *words],
                stdin=stdin,
                check=check,
                error=SigningError,
                env={"LC_ALL": "C.UTF-8"},
                pass_fds=(descriptor,),
            )


def _sweep() -> None:
    """Remove the homes that killed processes left: a living one holds its lock."""
    for lock in HOMES.glob(f"{HOME_PREFIX}*/{LOCK}"):
        with suppress(OSError), lock.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(lock.parent)


def _remove(home: Path) -> None:
    # The agent is all that gpg starts here; gpgconf --kill would start four processes to end it.
    run(["gpg-connect-agent", "--homedir", home, "--no-autostart", "KILLAGENT", "/bye"], check=False)
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
