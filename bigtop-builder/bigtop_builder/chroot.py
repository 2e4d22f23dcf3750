# SPDX-License-Identifier: Apache-2.0
"""Clean target systems without Docker: a base that mmdebstrap made, unpacked, in namespaces of its own.

One process keeps the mount and process namespaces of a room open (namespaces(7)); each command enters them.
When it ends, which it does as soon as this process lets go of a pipe, the kernel ends all others in the room and
drops the mounts, which no one outside ever saw. The network is the machine's own. It keeps accidents in, not
attackers: commands are root, as a user only root of a user namespace.
"""

import logging
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from filelock import FileLock

from bigtop_builder.base import base_tarball
from bigtop_builder.errors import ONCE_ONLINE, EnvironmentMissing, ImageError
from bigtop_builder.host import LocalRoom, moved, private_folder
from bigtop_builder.image import ImageSpec, context, site_id
from bigtop_builder.proxy import proxy_environment
from bigtop_builder.run import Argument, Completed, require, run
from bigtop_builder.settings import Settings
from bigtop_builder.tarstream import pack
from bigtop_builder.workspace import Workspace

log = logging.getLogger(__name__)

WORKDIR = "/build"
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}
KEEPER = """
# /proc is still the outer one here, so this is the number by which the outside knows this shell.
read -r pid rest </proc/self/stat
cd "$1"
mount --bind . .
cd "$1"
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do
    : >dev/$node
    mount --bind /dev/$node dev/$node
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for stream in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${stream%:*}" "dev/${stream#*:}"; done
for file in resolv.conf hosts; do
    rm -f etc/$file
    cp -L /etc/$file etc/$file 2>/dev/null || :
done
mkdir -p build/home
echo "$pid"
# With SIGCHLD ignored the kernel reaps the orphans that this process, the namespace's first, inherits.
# (dash has no way to ignore it.)
exec env --ignore-signal=CHLD chroot . cat
"""
"""What opens a room. Once within, it says again what it is told; it ends with its standard input."""


class ChrootRooms:
    """Opens clean systems of one target image.

    Args:
        spec: What the system is made of; a registry's base is replaced by mmdebstrap's of the same suite.
        workspace: Holds the unpacked system's tar file, and the rooms.
        settings: The site.
        on_line: Takes the lines of mmdebstrap and apt while the system is made.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        workspace: Workspace,
        settings: Settings,
        on_line: Callable[[bytes], None] | None = None,
    ) -> None:
        self._spec = spec
        self._workspace = workspace
        self._settings = settings
        self._on_line = on_line or (lambda line: log.debug("%s", line.decode(errors="replace").rstrip()))

    @contextmanager
    def open(
        self,
        *,
        purpose: str,
        env: Mapping[str, str] | None = None,
        memory_mb: int | None = None,  # noqa: ARG002  # RoomMaker's: limits hold for containers
        cpus: int | None = None,  # noqa: ARG002  # likewise
        network: bool = True,  # noqa: ARG002  # likewise
    ) -> Iterator["Chroot"]:
        """A new system; it and all processes in it are gone when the context is left.

        Raises:
            EnvironmentMissing: This user, on this machine, may not make namespaces.
            ImageError: The system cannot be made.
        """
        with self._unpacked(self.tarball, purpose, env or {}) as room:
            yield room

    @cached_property
    def tarball(self) -> Path:
        """The target system as a tar file: made once, by the setup script that the Docker image runs too."""
        spec, images = self._spec, self._workspace.images
        name = f"{spec.kind}-{spec.base.suite}-{spec.id[:16]}-{site_id(spec, self._settings)}.tar"
        base = base_tarball(
            self._spec.base.without_registry,
            workspace=self._workspace,
            settings=self._settings,
            on_line=self._on_line,
        )
        with FileLock(self._workspace.locks / f"{name}.lock"):
            if not (images / name).is_file():
                self._make(base, images / name)
        return images / name

    def _make(self, base: Path, path: Path) -> None:
        if self._settings.offline:
            raise ImageError(f"{path} is not there, and offline none is made", hint=ONCE_ONLINE)
        log.info("making a clean system of %s, once", self._spec.base.suite)
        env = proxy_environment(self._settings)
        with self._unpacked(base, "setup", env) as room:
            room.run(["mkdir", "/tmp/setup"])  # noqa: S108  # in the room
            room.put(pack(context(self._spec, self._settings)), "/tmp/setup")  # noqa: S108  # likewise
            room.run(["sh", "/tmp/setup/setup.sh"], error=ImageError, on_line=self._on_line)  # noqa: S108
            room.run(["rm", "-r", "/tmp/setup", WORKDIR])  # noqa: S108  # likewise
            room.save().rename(path)

    @contextmanager
    def _unpacked(self, tarball: Path, purpose: str, env: Mapping[str, str]) -> Iterator["Chroot"]:
        for program in ("unshare", "nsenter", "chroot", "tar"):
            require(program, why="open a chroot")
        with private_folder(self._workspace.images / "rooms", purpose, _remove) as folder:
            root = folder / "root"
            root.mkdir()
            argv = ["tar", "--extract", "--numeric-owner", "--same-permissions", "--exclude=./dev/*"]
            _as_root([*argv, f"--directory={root}", f"--file={tarball}"])
            with _kept(root) as pid:
                yield Chroot(folder.name, root, pid, env)


class Chroot(LocalRoom):
    """A room (`room.Room`) in namespaces of this machine."""

    def __init__(self, name: str, root: Path, pid: int, env: Mapping[str, str]) -> None:
        super().__init__(name, WORKDIR, {**ENVIRONMENT, **env})
        self._root = root
        self._pid = pid

    def command(self, argv: Sequence[str], *, cwd: str) -> list[Argument]:
        """The command, run in the room's namespaces."""
        user = [] if os.geteuid() == 0 else ["--user"]
        return [
            "nsenter",
            f"--target={self._pid}",
            *user,
            "--mount",
            "--pid",
            "--root",
            "--",
            *moved(cwd),
            *argv,
        ]

    def abort(self) -> None:
        """End what runs in it: its namespaces' first process takes the others along (pid_namespaces(7))."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    def save(self) -> Path:
        """Write the system, without what is mounted in it, to a tar file that goes when the room does.

        Its name is the room's own: a tar that outlived a killed process must not write into another's file.
        """
        path = self._root.with_name("saved.tar")
        argv = ["tar", "--create", "--numeric-owner", "--sort=name", f"--directory={self._root}"]
        _as_root([*argv, f"--file={path}", "--exclude=./proc/*", "--exclude=./dev/*", "."])
        return path


@contextmanager
def _kept(root: Path) -> Iterator[int]:
    """Hold a room's namespaces open, and give the id of the process that does."""
    hold, release = os.pipe()
    told, tell = os.pipe()
    with ThreadPoolExecutor(1) as pool, os.fdopen(release, "wb", buffering=0) as call:
        done = pool.submit(_keeper, root, hold, tell)
        with os.fdopen(told, encoding="ascii") as words:
            pid = words.readline().strip()
            # Until its root has changed, who follows it is led into this machine's own.
            with suppress(BrokenPipeError):
                call.write(b"within?\n")
            within = words.readline()
        if not within:
            raise EnvironmentMissing(
                f"a chroot cannot be opened as {'root' if os.geteuid() == 0 else 'this user'}",
                details=done.result().complaint,
                hint="it needs CAP_SYS_ADMIN, or as a user uidmap and a range in /etc/subuid",
            )
        yield int(pid)


def _keeper(root: Path, hold: int, tell: int) -> Completed:
    argv: list[Argument] = [
        *("env", "-i", f"PATH={os.environ['PATH']}"),
        "unshare",
        *_mapped(),
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "sh",
        "-euc",
        KEEPER,
        "sh",
        root,
    ]
    with os.fdopen(hold, "rb") as stdin, os.fdopen(tell, "wb") as stdout:
        return run(argv, stdin=stdin, stdout=stdout, check=False)


def _mapped() -> list[str]:
    """Options that make an ordinary user root of a range of user ids of its own (subuid(5))."""
    return [] if os.geteuid() == 0 else ["--user", "--map-root-user", "--map-auto"]


def _as_root(argv: Sequence[Argument]) -> None:
    run([*(["unshare", *_mapped()] if _mapped() else []), *argv], error=EnvironmentMissing)


def _remove(folder: Path) -> None:
    if os.geteuid() == 0:
        shutil.rmtree(folder)
    else:
        _as_root(["rm", "-rf", "--one-file-system", folder])
