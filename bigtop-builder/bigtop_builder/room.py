# SPDX-License-Identifier: Apache-2.0
"""A room: a place to run commands in that is thrown away afterwards, a container or a chroot.

Builds and install checks are written against this protocol, so the same steps run with and without Docker.
Files go in and out as tar streams: nothing is mounted, so a remote engine works too.

Builders write below `Room.workdir` only, because a room may be this very machine (`host.py`), and every
command runs with HOME set to `<workdir>/home`.
"""

import logging
import shlex
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Protocol

from bigtop_builder.errors import BuilderError
from bigtop_builder.run import Completed

log = logging.getLogger(__name__)

KEPT_LINES = 40
"""Lines of a failed command's output that its error shows."""


class Transcript:
    """The last lines of a command's output, handed on as they come, and whether they told of a full disk."""

    def __init__(self, on_line: Callable[[bytes], None] | None = None) -> None:
        self.disk_full = False
        self._on_line = on_line
        self._last: deque[bytes] = deque(maxlen=KEPT_LINES)

    def __call__(self, line: bytes) -> None:
        """Take one line."""
        self.disk_full = self.disk_full or b"No space left on device" in line
        self._last.append(line)
        if self._on_line:
            self._on_line(line)

    @property
    def text(self) -> str:
        """The lines kept, decoded."""
        return b"".join(self._last).decode(errors="replace").rstrip()


def failure(
    error: type[BuilderError],
    done: Completed,
    transcript: Transcript,
    *,
    room: str,
    cause: str = "",
    hint: str = "",
) -> BuilderError:
    """The error of a command that failed in a room.

    Args:
        error: Its class.
        done: The command and its status.
        transcript: What it printed.
        room: Name of the room.
        cause: What the room knows about it, such as an exceeded memory limit.
        hint: The way out of that cause.
    """
    if transcript.disk_full:
        cause, hint = "the disk is full", "free space where Docker or the cache keeps its data (see `df -h`)"
    brief = f"{done.argv[0]} failed with exit status {done.returncode} in {room}"
    return error(
        f"{brief}: {cause}" if cause else brief,
        details=f"$ {shlex.join(done.argv)}\n{transcript.text}",
        hint=hint,
    )


class CommandRunner(ABC):
    """How every kind of room runs a command (`Room.run`): told in the log, its last lines kept for the error.

    Attributes:
        name: What people see in logs.
        workdir: Where a command runs that names no folder.
    """

    name: str
    workdir: str

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        check: bool = True,
        error: type[BuilderError] = BuilderError,
        on_line: Callable[[bytes], None] | None = None,
    ) -> Completed:
        """Run a command to its end (`Room.run`)."""
        log.debug("%s $ %s", self.name, shlex.join(argv))
        transcript = Transcript(on_line)
        done = self._carry_out(argv, env or {}, cwd or self.workdir, transcript, streamed=bool(on_line))
        cause, hint = self._diagnosed(done, transcript) if done.returncode else ("", "")
        if done.returncode and check:
            raise failure(error, done, transcript, room=self.name, cause=cause, hint=hint)
        return done

    @abstractmethod
    def _carry_out(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: str,
        transcript: Transcript,
        *,
        streamed: bool,
    ) -> Completed:
        """Run a command, and give its lines to the transcript.

        Args:
            argv: Program and arguments.
            env: Variables on top of the room's own.
            cwd: Folder in the room.
            transcript: Takes each line.
            streamed: Lines are wanted as they come; what is returned then has no output.
        """

    def _diagnosed(self, done: Completed, transcript: Transcript) -> tuple[str, str]:  # noqa: ARG002  # for rooms that know more
        """What the room knows of a command that failed, and the way out; both may be empty."""
        return "", ""


class Room(Protocol):
    """One running place. Rooms are context managers; leaving one removes it with all it holds."""

    @property
    def name(self) -> str:
        """What people see in logs: a container's name, a chroot's folder."""

    @property
    def workdir(self) -> str:
        """Absolute path of an existing folder, as commands in the room see it, that is the builder's own."""

    @property
    def address(self) -> str:
        """Host name or IP address under which this machine reaches the room's network."""

    @property
    def gateway(self) -> str:
        """Host name or IP address under which the room reaches a server on this machine."""

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        check: bool = True,
        error: type[BuilderError] = BuilderError,
        on_line: Callable[[bytes], None] | None = None,
    ) -> Completed:
        """Run a command to its end, as root.

        Args:
            argv: Program and arguments; for a shell line give `["sh", "-c", line]`.
            env: Variables on top of the room's own.
            cwd: Folder in the room; None is `workdir`.
            check: Raise `error` when the exit status is not 0.
            error: Class of the error raised.
            on_line: Called with each line of output (stdout and stderr together) as it comes; the result then
                has an empty stdout and stderr. A daemon that keeps the output open may delay the return.

        Raises:
            BuilderError: The exit status is not 0 and `check` is set (the class given as `error`); a full
                disk or an exceeded memory limit is named with its cure.
        """

    def put(self, tar: Iterable[bytes] | IO[bytes], folder: str) -> None:
        """Unpack a tar stream into an existing folder of the room."""

    def get(self, path: str, into: Path) -> None:
        """Copy a file, or a folder with what is below it, into an existing folder of this machine."""

    def abort(self) -> None:
        """End what runs in it, from another thread: whoever waits for that goes on, with an error."""


class RoomMaker(Protocol):
    """Opens rooms of one kind."""

    def open(
        self,
        *,
        purpose: str,
        env: Mapping[str, str] | None = None,
        memory_mb: int | None = None,
        cpus: int | None = None,
        network: bool = True,
    ) -> AbstractContextManager[Room]:
        """A new room, clean each time. Limits hold for containers, and only these can be without a network."""
