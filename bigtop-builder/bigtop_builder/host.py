# SPDX-License-Identifier: Apache-2.0
"""Rooms on this very machine: a private folder, for `--builder host`.

Nothing is walled off: commands see the machine's programs and files. Below the folder they have their own HOME
and workdir, and no variable of the user's but those in `PASSED`.
"""

import logging
import os
import platform
import re
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO

from bigtop_builder.errors import BuilderError, EnvironmentMissing
from bigtop_builder.folder_lock import locked
from bigtop_builder.interrupt import finish, sigterm_unwinds
from bigtop_builder.recipe import Target
from bigtop_builder.room import CommandRunner, Transcript
from bigtop_builder.run import Argument, Completed, run, stream
from bigtop_builder.schema import digest
from bigtop_builder.tarstream import chunks, unpack

log = logging.getLogger(__name__)

LOCAL = "127.0.0.1"
PASSED = ("PATH", "LANG", "JAVA_HOME", "TMPDIR", "http_proxy", "https_proxy", "no_proxy")
PREFIX = "bigtop-room-"
END_SECONDS = 10.0
MARK = "BIGTOP_ROOM"
"""Variable that every process of a room inherits, so that it is found when the room closes."""
TOOLCHAIN = re.compile(
    r"^(build-essential|debhelper|devscripts|fakeroot|g\+\+|gcc|gradle|libc6-dev|make|maven|openjdk-\d+-jdk.*)\t"
)
"""Installed packages that decide what a build on this machine makes."""


class LocalRoom(CommandRunner):
    """What rooms without an engine share: each command is one on this machine."""

    address = LOCAL
    gateway = LOCAL

    def __init__(self, name: str, workdir: str, env: Mapping[str, str]) -> None:
        self.name = name
        self.workdir = workdir
        self._env = {"HOME": f"{workdir}/home", **env}

    def command(self, argv: Sequence[str], *, cwd: str) -> list[Argument]:
        """The command on this machine that runs `argv` in the room; it gets the room's variables alone."""
        return [*moved(cwd), *argv]

    def _carry_out(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: str,
        transcript: Transcript,
        *,
        streamed: bool,
    ) -> Completed:
        command, variables = self.command(argv, cwd=cwd), {**self._env, **env}
        if streamed:
            status = stream(command, on_line=transcript, env=variables, inherit=False)
            stdout = stderr = b""
        else:
            status, stdout, stderr = _captured(command, variables)
            for line in (stdout + stderr).splitlines(keepends=True):
                transcript(line)
        return Completed(argv=tuple(argv), returncode=status, stdout=stdout, stderr=stderr)

    def put(self, tar: Iterable[bytes] | IO[bytes], folder: str) -> None:
        """Unpack a tar stream into an existing folder."""
        reader, writer = os.pipe()
        argv = ["tar", "--extract", "--file=-", "--same-permissions"]
        with os.fdopen(writer, "wb") as sink, ThreadPoolExecutor(1) as pool:
            done = pool.submit(self._tar, argv, folder, stdin=os.fdopen(reader, "rb"))
            # tar that failed has closed its end; its own words say why.
            with suppress(BrokenPipeError), sink:
                for piece in chunks(tar):
                    sink.write(piece)
            self._require(done.result(), f"files cannot be put into {folder} of {self.name}")

    def get(self, path: str, into: Path) -> None:
        """Copy a file or folder out, as this user's own."""
        place = PurePosixPath(path)
        reader, writer = os.pipe()
        with ThreadPoolExecutor(1) as pool, os.fdopen(reader, "rb") as source:
            argv = ["tar", "--create", "--file=-", "--", place.name]
            done = pool.submit(self._tar, argv, str(place.parent), stdout=os.fdopen(writer, "wb"))
            try:
                unpack(source, into)
            except BuilderError:
                source.close()
                if not done.result().complaint:
                    raise
            self._require(done.result(), f"{path} cannot be copied out of {self.name}")

    def abort(self) -> None:
        """End what runs in it: all that carries its mark."""
        _end_marked(self.name)

    def _tar(
        self,
        argv: Sequence[str],
        folder: str,
        *,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
    ) -> Completed:
        try:
            command = self.command(argv, cwd=folder)
            return run(command, stdin=stdin, stdout=stdout, check=False, env=self._env, inherit=False)
        finally:
            for end in (stdin, stdout):
                if end:
                    end.close()

    def _require(self, done: Completed, what: str) -> None:
        if done.returncode:
            raise BuilderError(what, details=done.complaint)


class HostRooms:
    """Opens rooms on this machine.

    Args:
        folder: Where their folders lie; the system's temporary folder if None.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir())

    @contextmanager
    def open(
        self,
        *,
        purpose: str,
        env: Mapping[str, str] | None = None,
        memory_mb: int | None = None,  # noqa: ARG002  # RoomMaker's: limits hold for containers
        cpus: int | None = None,  # noqa: ARG002  # likewise
        network: bool = True,  # noqa: ARG002  # likewise
    ) -> Iterator[LocalRoom]:
        """A new folder; it, and every process that was started from it, is gone when the context is left."""
        with private_folder(self._folder, purpose) as folder:
            work = folder / "build"
            (work / "home").mkdir(parents=True)
            passed = {name: os.environ[name] for name in PASSED if name in os.environ}
            yield LocalRoom(folder.name, str(work), {**passed, MARK: folder.name, **(env or {})})


def toolchain() -> str:
    """Sha256 of what decides the result of builds on this machine: its release, architecture and tools."""
    installed = run(["dpkg-query", "-W", "-f", "${Package}\t${Version}\n"]).text
    tools = sorted(line for line in installed.splitlines() if TOOLCHAIN.match(line))
    system = platform.freedesktop_os_release()
    return digest(system.get("ID", ""), system.get("VERSION_ID", ""), platform.machine(), *tools)


def require_target(target: Target) -> None:
    """Refuse to build on a system that the packages are not for.

    Raises:
        EnvironmentMissing: This machine runs another distribution, suite or architecture.
    """
    system = platform.freedesktop_os_release()
    mine = (
        system.get("ID", ""),
        system.get("VERSION_CODENAME", ""),
        run(["dpkg", "--print-architecture"]).text,
    )
    wanted = (target.distribution, target.suite, target.architecture)
    if mine != wanted:
        raise EnvironmentMissing(
            f"this machine is {' '.join(mine)}, and the recipe's packages are for {' '.join(wanted)}",
            hint="build with Docker (`--builder docker`), or on such a machine",
        )


@contextmanager
def private_folder(
    parent: Path, purpose: str, remove: Callable[[Path], None] = shutil.rmtree
) -> Iterator[Path]:
    """A folder that ends with its context, processes that carry its mark first.

    A lock on it says that its owner lives; what was left by one that was killed is removed first.
    """
    parent.mkdir(parents=True, exist_ok=True)
    _sweep(parent, remove)
    name = f"{PREFIX}{re.sub(r'[^A-Za-z0-9_.-]+', '-', purpose)}-{secrets.token_hex(4)}"
    hidden, folder = parent / f".{name}.new", parent / name
    hidden.mkdir(mode=0o755)
    with sigterm_unwinds(), locked(hidden):
        hidden.rename(folder)
        try:
            yield folder
        finally:
            finish(lambda: _clear(folder, remove))


def _sweep(parent: Path, remove: Callable[[Path], None]) -> None:
    for folder in parent.glob(f"{PREFIX}*-????????/"):
        # FileNotFoundError: its owner, or another sweeper, is quicker. BlockingIOError: its owner lives.
        with suppress(FileNotFoundError, BlockingIOError), locked(folder, wait=False) as held:
            if os.fstat(held).st_uid == os.getuid():
                log.info("removing %s: the process that opened it is gone", folder)
                _clear(folder, remove)


def _clear(folder: Path, remove: Callable[[Path], None]) -> None:
    """Kill what carries the folder's mark, and remove it."""
    _end_marked(folder.name)
    if folder.exists():
        remove(folder)


def _end_marked(name: str) -> None:
    """Kill a room's processes until none is seen: one may have started another meanwhile."""
    deadline = time.monotonic() + END_SECONDS
    while marked := _marked(name):
        for pid in marked:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise BuilderError(f"processes {marked} of {name} do not end", hint="look at them with ps")
        time.sleep(0.01)


def _marked(name: str) -> list[int]:
    mark = f"{MARK}={name}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        # Other users' processes, and those that end meanwhile, are not ours to look at.
        with suppress(PermissionError, FileNotFoundError, ProcessLookupError):
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


def _captured(command: Sequence[Argument], env: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    """Status, stdout and stderr through files: a pipe would stay open as long as a daemon that was started."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        done = run(command, stdout=out, stderr=err, check=False, env=env, inherit=False)
        out.seek(0)
        err.seek(0)
        return done.returncode, out.read(), err.read()


def moved(cwd: str) -> list[Argument]:
    """The start of a command that runs in a folder of the room."""
    return ["env", f"--chdir={cwd}"]
