# SPDX-License-Identifier: Apache-2.0
"""The one door for processes: argv lists, echoed at debug level, never a shell string."""

import logging
import os
import shlex
import shutil
import subprocess  # noqa: TID251  # this module is the door
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from bigtop_builder.errors import BuilderError, EnvironmentMissing

log = logging.getLogger(__name__)

Argument = str | os.PathLike[str]

PACKAGE_OF = {
    "ar": "binutils",
    "apt-get": "apt",
    "debuild": "devscripts",
    "dpkg-buildpackage": "dpkg-dev",
    "dpkg-deb": "dpkg",
    "gpg": "gnupg",
    "gpg-connect-agent": "gnupg",
    "java": "default-jdk-headless",
    "javac": "default-jdk-headless",
    "mvn": "maven",
}
"""Debian package of a program, where it has another name."""


@dataclass(frozen=True, kw_only=True)
class Completed:
    """What a process left behind.

    Attributes:
        argv: The command as it was run.
        returncode: Exit status, negative for a signal.
        stdout: Bytes of standard output.
        stderr: Bytes of standard error.
    """

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output, decoded, without trailing newlines."""
        return self.stdout.decode(errors="replace").rstrip("\n")

    @property
    def complaint(self) -> str:
        """Standard error, decoded, without surrounding white space."""
        return self.stderr.decode(errors="replace").strip()

    def checked(self, error: type[BuilderError]) -> Self:
        """This, if the exit status is 0.

        Raises:
            BuilderError: It is not (the class given as `error`).
        """
        if self.returncode != 0:
            raise error(
                f"{self.argv[0]} failed with exit status {self.returncode}",
                details=f"$ {shlex.join(self.argv)}\n{self.complaint or self.text[-2000:]}",
            )
        return self


def run(
    argv: Sequence[Argument],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
    stderr: IO[bytes] | None = None,
    check: bool = True,
    error: type[BuilderError] = BuilderError,
    inherit: bool = True,
    pass_fds: tuple[int, ...] = (),
) -> Completed:
    """Run a process to its end and return what it printed.

    Args:
        argv: Program and arguments. The program is looked up on PATH.
        cwd: Folder to run in.
        env: Variables. Secrets go here: `ps` and the log show arguments.
        stdin: Bytes, or an open file, for standard input; nothing if None.
        stdout: An open file that takes standard output; captured in memory if None.
        stderr: The same for standard error.
        check: Raise `error` when the exit status is not 0.
        error: Class of the error raised.
        inherit: Whether `env` comes on top of this process's own variables; else there are no others.
        pass_fds: Descriptors that the process inherits.

    Raises:
        EnvironmentMissing: The program is not installed.
        BuilderError: The exit status is not 0 and `check` is set (the class given as `error`).
    """
    words = _words(argv)
    feed: dict[str, object] = (
        {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin or subprocess.DEVNULL}
    )
    done = subprocess.run(
        words,
        cwd=cwd,
        env=_variables(env, inherit=inherit),
        stdout=stdout or subprocess.PIPE,
        stderr=stderr or subprocess.PIPE,
        check=False,
        pass_fds=pass_fds,
        **feed,  # type: ignore[call-overload]
    )
    completed = Completed(
        argv=tuple(words),
        returncode=done.returncode,
        stdout=done.stdout or b"",
        stderr=done.stderr or b"",
    )
    return completed.checked(error) if check else completed


def stream(
    argv: Sequence[Argument],
    *,
    on_line: Callable[[bytes], None],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    inherit: bool = True,
) -> int:
    """Run a process, hand each line of its output (stdout and stderr together) to `on_line`, return its status.

    The process is terminated when `on_line` raises or the user presses Ctrl-C.
    """
    words = _words(argv)
    with subprocess.Popen(
        words,
        cwd=cwd,
        env=_variables(env, inherit=inherit),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            for line in process.stdout or ():
                on_line(line)
        except BaseException:
            process.terminate()
            raise
    return process.returncode


def require(program: str, *, why: str) -> str:
    """Return the path of a program.

    Raises:
        EnvironmentMissing: It is not installed; the hint names the Debian package that has it.
    """
    found = shutil.which(program)
    if found is None:
        package = PACKAGE_OF.get(program, program)
        raise EnvironmentMissing(
            f"{program} is not installed, and is needed to {why}",
            hint=f"apt-get install {package}",
        )
    return found


def _variables(env: Mapping[str, str] | None, *, inherit: bool) -> dict[str, str]:
    return {**(os.environ if inherit else {}), **(env or {})}


def _words(argv: Sequence[Argument]) -> list[str]:
    words = [os.fspath(word) for word in argv]
    log.debug("$ %s", shlex.join(words))
    words[0] = require(words[0], why="run this step")
    return words
