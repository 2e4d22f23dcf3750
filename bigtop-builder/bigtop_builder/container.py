# SPDX-License-Identifier: Apache-2.0
"""Containers: the one door to the Docker engine.

All that is made here carries the label `bigtop-builder`; nothing without it is ever removed.
"""

import logging
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from bigtop_builder import docker_sdk
from bigtop_builder.docker_sdk import printed, told
from bigtop_builder.errors import BuilderError
from bigtop_builder.interrupt import finish, sigterm_unwinds
from bigtop_builder.owner import Owner
from bigtop_builder.room import CommandRunner, Transcript
from bigtop_builder.run import Completed
from bigtop_builder.tarstream import chunks, unpack

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container as DockerContainer

log = logging.getLogger(__name__)

LABEL = "bigtop-builder"
WORKDIR = "/build"
LIMITED = 'ulimit -n 65536 2>/dev/null || :; exec "$@"'
"""Where systemd lets dockerd have a billion descriptors, fakeroot and apt close them all, for minutes. A
limit set through the engine would fail where the daemon may have fewer."""
OOM_COUNTERS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
"""Where cgroup v2 and v1 count processes that the kernel killed (Linux, admin-guide/cgroup-v2, cgroup-v1)."""


class Engine:
    """The Docker engine. Use it as a context manager, or `close()` it.

    Attributes:
        client: The SDK's client, for `engine_images.py` and `registry.py`.
    """

    def __init__(self, client: "DockerClient") -> None:
        self.client = client

    @classmethod
    def connect(cls) -> Self:
        """Reach the engine that `DOCKER_HOST` names, else the one of this machine.

        Raises:
            EnvironmentMissing: There is none, it is not running, or this user may not use it.
        """
        return cls(docker_sdk.connect())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    @cached_property
    def architecture(self) -> str:
        """Debian's name of the engine's architecture."""
        name = str(self._info["Architecture"])
        return {"x86_64": "amd64", "aarch64": "arm64"}.get(name, name)

    @property
    def cpus(self) -> int:
        """CPUs the engine has: it refuses limits above."""
        return int(self._info["NCPU"])

    @cached_property
    def _info(self) -> dict[str, Any]:
        return dict(self.client.info())

    def rooms(self, image: str) -> "ContainerRooms":
        """Opens containers of an image."""
        return ContainerRooms(engine=self, image=image)

    def sweep(self) -> tuple[str, ...]:
        """Remove containers and networks of ours whose process on this machine is gone; names of the former.

        That happens when it was killed with a signal that nobody can catch.
        """
        swept = []
        found = self.client.containers.list(all=True, filters={"label": f"{LABEL}=1"}, ignore_removed=True)
        for container in found:
            owner = Owner.of(container.labels)
            if owner is not None and owner.is_dead():
                log.info("removing %s: process %s, which opened it, is gone", container.name, owner.pid)
                _remove(self.client, str(container.name))
                swept.append(str(container.name))
        for network in self.client.networks.list(filters={"label": f"{LABEL}=1"}):
            owner = Owner.of(network.attrs["Labels"])
            if owner is not None and owner.is_dead():
                remove_network(self.client, str(network.name))
        return tuple(swept)


@dataclass(frozen=True, kw_only=True)
class Member:
    """How a container stands on a network of its own kind, as one of several hosts.

    Attributes:
        network: Name of the network.
        host: Its host name; the others resolve it.
        small: Folder -> MiB: file systems in memory, which can be filled.
        kept: It stays when its context is left, and no later run removes it.
    """

    network: str
    host: str
    small: Mapping[str, int] = field(default_factory=dict)
    kept: bool = False


@dataclass(frozen=True, kw_only=True)
class ContainerRooms:
    """Opens containers of one image.

    Attributes:
        engine: Where.
        image: Name or id of the image; it is not pulled.
    """

    engine: Engine
    image: str

    def open(
        self,
        *,
        purpose: str,
        env: Mapping[str, str] | None = None,
        memory_mb: int | None = None,
        cpus: int | None = None,
        network: bool = True,
        member: Member | None = None,
    ) -> "Container":
        """A new container; it starts when its context is entered and is removed when that is left."""
        return Container(
            self,
            purpose=purpose,
            env=env or {},
            memory_mb=memory_mb,
            cpus=cpus,
            network=network,
            member=member,
        )


class Container(CommandRunner):
    """A room (`room.Room`) in a container, removed on success, failure, Ctrl-C and SIGTERM."""

    workdir = WORKDIR

    def __init__(
        self,
        rooms: ContainerRooms,
        *,
        purpose: str,
        env: Mapping[str, str],
        memory_mb: int | None,
        cpus: int | None,
        network: bool,
        member: Member | None = None,
    ) -> None:
        self._engine = rooms.engine
        self._client = rooms.engine.client
        self._image = rooms.image
        self._purpose = purpose
        self._env = {"HOME": f"{WORKDIR}/home", **env}
        self._memory_mb = memory_mb
        self._cpus = cpus
        self._networked = network
        self._member = member
        self._kills = 0
        self._stack = ExitStack()
        self._container: DockerContainer
        self.name = f"{LABEL}-{re.sub(r'[^A-Za-z0-9_.-]+', '-', purpose)}-{secrets.token_hex(4)}"

    def __enter__(self) -> Self:
        self._stack.enter_context(sigterm_unwinds())
        try:
            with told(f"container {self.name} cannot be started from image {self._image}"):
                self._start()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if self._member and self._member.kept:
                return
            try:
                with told(f"container {self.name} cannot be removed"):
                    finish(lambda: _remove(self._client, self.name))
            except BuilderError as left:
                if kind is None:
                    raise
                log.warning("%s", left)

    @cached_property
    def address(self) -> str:
        """Its address on the engine's bridge."""
        return str(self._network["IPAddress"])

    @cached_property
    def gateway(self) -> str:
        """The bridge's address, where the engine's machine is reached."""
        return str(self._network["Gateway"])

    def put(self, tar: Iterable[bytes] | IO[bytes], folder: str) -> None:
        """Unpack a tar stream into an existing folder; owners and modes are those of the stream."""
        failed: list[OSError] = []
        try:
            with told(f"files cannot be put into {folder} of container {self.name}"):
                self._client.api.put_archive(self.name, folder, _watched(chunks(tar), failed))
        except BuilderError:
            if failed:
                raise failed[0] from None
            raise

    def get(self, path: str, into: Path) -> None:
        """Copy a file or folder out, as this user's own."""
        with told(f"{path} cannot be copied out of container {self.name}"):
            stream, _ = self._client.api.get_archive(self.name, path)
            with closing(stream):
                unpack(stream, into)

    def abort(self) -> None:
        """End what runs in it: the container stops, and is removed when its context is left."""
        from docker.errors import APIError

        with suppress(APIError):  # it has ended already
            self._client.api.kill(self.name)

    def cut_off(self) -> None:
        """As when a host loses power and network: all in it is killed, its file systems on disk stay."""
        member = self._membership
        with told(f"container {self.name} cannot be stopped"):
            self.abort()
            self._container.wait()
            self._client.api.disconnect_container_from_network(self.name, member.network, force=True)

    def switch_on(self) -> None:
        """Start it again after `cut_off`, under its name."""
        member = self._membership
        with told(f"container {self.name} cannot be started again"):
            self._client.api.connect_container_to_network(self.name, member.network, aliases=[member.host])
            self._client.api.start(self.name)

    def _carry_out(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: str,
        transcript: Transcript,
        *,
        streamed: bool,
    ) -> Completed:
        with told(f"{argv[0]} cannot be run in container {self.name}"):
            return self._exec(argv, env, cwd, transcript, keep=not streamed)

    def _diagnosed(self, done: Completed, transcript: Transcript) -> tuple[str, str]:
        """A command that was killed for memory says so in its last line."""
        with told(f"{done.argv[0]} cannot be run in container {self.name}"):
            cause = self._killed_for_memory()
        if not cause:
            return "", ""
        transcript(f"bigtop-builder: Cannot allocate memory: {cause}\n".encode())
        return cause, "raise the component's `memory_mb` in the recipe"

    @property
    def _membership(self) -> Member:
        if self._member is None:
            raise ValueError(f"{self.name} is no member of a network of several hosts")
        return self._member

    def _start(self) -> None:
        memory = f"{self._memory_mb}m" if self._memory_mb else None
        self._container = self._client.containers.create(
            self._image,
            name=self.name,
            labels=labels(self._purpose, kept=bool(self._member and self._member.kept)),
            entrypoint=["sleep"],
            command=["infinity"],
            init=True,
            user="0:0",
            working_dir=WORKDIR,
            environment=self._env,
            mem_limit=memory,
            memswap_limit=memory,
            **self._joining(),
            nano_cpus=min(self._cpus, self._engine.cpus) * 10**9 if self._cpus else None,
        )
        self._container.start()
        self._exec(["mkdir", "-p", self._env["HOME"]], {}, "/", Transcript(), keep=True)

    def _joining(self) -> dict[str, Any]:
        """What the engine is told of its network and host name."""
        member = self._member
        if member is None:
            return {"network_mode": None if self._networked else "none"}
        endpoint = self._client.api.create_endpoint_config(aliases=[member.host])
        return {
            "network": member.network,
            "networking_config": {member.network: endpoint},
            "hostname": member.host,
            "tmpfs": {folder: f"size={size}m,exec" for folder, size in member.small.items()},
        }

    @cached_property
    def _network(self) -> Mapping[str, Any]:
        self._container.reload()
        networks = self._container.attrs["NetworkSettings"]["Networks"]
        return next(iter(networks.values()))

    def _exec(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: str,
        transcript: Transcript,
        *,
        keep: bool,
    ) -> Completed:
        api = self._client.api
        # Where lines are handed on, one pipe takes both outputs: of two the order would be lost.
        wrapped = ["sh", "-c", LIMITED if keep else f"{LIMITED} 2>&1", "sh", *argv]
        made = api.exec_create(self.name, wrapped, environment=dict(env), workdir=cwd, user="0:0")
        kept: tuple[list[bytes], list[bytes]] = ([], [])
        with closing(printed(self._client, made["Id"])) as pieces:
            for line in _lines(_pieces(pieces, kept if keep else None)):
                transcript(line)
        stdout, stderr = (b"".join(part) for part in kept)
        return Completed(argv=tuple(argv), returncode=self._status(made["Id"]), stdout=stdout, stderr=stderr)

    def _status(self, execution: str) -> int:
        """Exit status of a command whose output has ended; it may live on a little."""
        wait = 0.001
        while (state := self._client.api.exec_inspect(execution))["Running"]:
            time.sleep(wait)
            wait = min(2 * wait, 0.5)
        return -1 if state["ExitCode"] is None else int(state["ExitCode"])

    def _killed_for_memory(self) -> str:
        before, self._kills = self._kills, self._oom_kills()
        if self._kills <= before:
            return ""
        return f"the memory limit of {self._memory_mb or 'all'} MiB was exceeded"

    def _oom_kills(self) -> int:
        said = self._exec(["cat", *OOM_COUNTERS], {}, "/", Transcript(), keep=True).text
        return sum(int(count) for count in re.findall(r"^oom_kill (\d+)$", said, re.MULTILINE))


def _pieces(
    stream: Iterable[tuple[bytes, bytes]], kept: tuple[list[bytes], list[bytes]] | None
) -> Iterator[bytes]:
    for out, err in stream:
        if kept:
            kept[0].append(out)
            kept[1].append(err)
        yield out + err


def _watched(pieces: Iterable[bytes], failed: list[OSError]) -> Iterator[bytes]:
    """The pieces; an error in making them is noted, because the HTTP library would call it the connection's."""
    try:
        yield from pieces
    except OSError as error:
        failed.append(error)
        raise


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line + b"\n" for line in whole)
    if rest:
        yield rest


def labels(purpose: str, *, kept: bool = False) -> dict[str, str]:
    """What tells whose a container or network is; what is to be kept has no owner whose end would be its own."""
    return {LABEL: "1", f"{LABEL}.purpose": purpose, **({} if kept else Owner.me().labels)}


def remove_network(client: "DockerClient", name: str) -> None:
    """Remove a network, if it is there."""
    from docker.errors import NotFound

    with suppress(NotFound):
        client.api.remove_network(name)


def _remove(client: "DockerClient", name: str) -> None:
    """Remove a container, if it is there."""
    from docker.errors import APIError, NotFound

    while True:
        try:
            client.api.remove_container(name, force=True, v=True)
        except NotFound:
            return
        except APIError as error:
            if error.status_code != 409:  # noqa: PLR2004  # 409: an earlier removal is under way
                raise
            time.sleep(0.1)
