# SPDX-License-Identifier: Apache-2.0
"""The hosts of a rehearsal: a container each, on a network of their own, with the day's folder on it."""

import logging
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from bigtop_builder.container import Container, ContainerRooms, Member
from bigtop_builder.errors import BuilderError, VerifyError
from bigtop_builder.fleet.emitted import Files
from bigtop_builder.fleet.rehearsal.host_state import CONFIGURATION, PACKAGES, HostState, pairs
from bigtop_builder.private_network import PrivateNetwork
from bigtop_builder.tarstream import pack

log = logging.getLogger(__name__)

Result = TypeVar("Result")

SMALL = "/rehearsal"
"""A file system in memory on each host: what it holds can be full without this machine's disk being so."""
SMALL_MB = 128
LINE_SECONDS = 1800
"""A step that takes longer has hung."""
GONE = -1
"""In place of an exit status, where the host was gone before there was one."""
QUIETLY = f"""
log=$(mktemp)
timeout {LINE_SECONDS} "$@" >"$log" 2>&1 </dev/null
status=$?
cat "$log"
rm -f "$log"
exit $status
"""
"""Output goes through a file: a daemon that was started may keep it open."""
ENVIRONMENT = {"HOME": "/root", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a command on a host came to.

    Attributes:
        status: Its exit status, or `GONE`.
        text: What it printed, both outputs in order.
        seconds: How long it took.
    """

    status: int
    text: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class StageHost:
    """A host of a rehearsal.

    Attributes:
        name: Its host name.
        role: Its role.
        room: The container.
    """

    name: str
    role: str
    room: Container

    def run(self, *argv: str) -> Ran:
        """Run a command as root, to its end; a host that is gone meanwhile raises nothing."""
        began = time.monotonic()
        try:
            done = self.room.run(
                ["sh", "-c", QUIETLY, "sh", *argv], env=ENVIRONMENT, cwd="/root", check=False
            )
            status, text = done.returncode, f"{done.text}{done.complaint}"
        except BuilderError as error:
            status, text = GONE, error.brief
        return Ran(status=status, text=text, seconds=time.monotonic() - began)

    def must(self, line: str) -> str:
        """What a shell line printed.

        Raises:
            VerifyError: It failed.
        """
        ran = self.run("sh", "-ec", line)
        if ran.status:
            raise VerifyError(
                f"host {self.name} of the rehearsal could not be made ready: exit status {ran.status}",
                details=f"$ {line.strip()}\n{last_lines(ran.text)}",
                hint="--keep leaves the containers there to look at",
            )
        return ran.text

    def state(self, data: Sequence[str]) -> HostState:
        """What it has now.

        Args:
            data: Shell lines about the data on it.
        """
        return HostState(
            packages=pairs(self.must(PACKAGES)),
            configuration=pairs(self.must(CONFIGURATION)),
            data=self.data(data),
        )

    def data(self, lines: Sequence[str]) -> dict[str, str]:
        """Line about the data -> what it prints; what failed says so."""
        said = {}
        for line in lines:
            ran = self.run("sh", "-ec", line)
            said[line] = ran.text if ran.status == 0 else f"exit status {ran.status}: {ran.text}"
        return said


@dataclass(frozen=True, kw_only=True)
class Stage:
    """All hosts of a rehearsal.

    Attributes:
        hosts: By name, in the order of the roles.
        gateway: Where they reach this machine.
    """

    hosts: Mapping[str, StageHost]
    gateway: str

    def together(self, names: Sequence[str], do: Callable[[StageHost], Result]) -> dict[str, Result]:
        """Do something on several hosts at once; host -> what came of it."""
        with ThreadPoolExecutor(max(1, len(names))) as threads:
            try:
                return dict(zip(names, threads.map(lambda name: do(self.hosts[name]), names), strict=True))
            except (KeyboardInterrupt, SystemExit):
                for name in names:
                    self.hosts[name].room.abort()  # else whoever waits for it would wait for its end
                raise

    def put(self, files: Files, folder: str) -> None:
        """Put files below a folder of each host, in place of what is there."""
        content = {name: file.content for name, file in sorted(files.items())}
        programs = " ".join(shlex.quote(name) for name, file in files.items() if file.program)

        def put(host: StageHost) -> None:
            host.must(f"rm -rf {folder} && mkdir -p {folder}")
            host.room.put(pack(content), folder)
            host.must(f"cd {folder} && chmod 755 {programs}")

        self.together([*self.hosts], put)


@contextmanager
def staged(rooms: ContainerRooms, roles: Sequence[str], *, kept: bool) -> Iterator[Stage]:
    """Hosts, one a role and named after it; removed with their network when this is left.

    Args:
        rooms: Opens clean systems of the target distribution.
        roles: Their roles.
        kept: They are left there.
    """
    with ExitStack() as stack:
        network = stack.enter_context(PrivateNetwork(rooms.engine, purpose="rehearsal", kept=kept))
        hosts = {}
        for role in roles:
            name = host_name(role)
            member = Member(network=network.name, host=name, small={SMALL: SMALL_MB}, kept=kept)
            room = stack.enter_context(rooms.open(purpose=f"rehearsal-{name}", member=member))
            log.info("host %s: container %s", name, room.name)
            hosts[name] = StageHost(name=name, role=role, room=room)
        yield Stage(hosts=hosts, gateway=next(iter(hosts.values())).room.gateway)
        if kept:
            names = " ".join(host.room.name for host in hosts.values())
            log.info("left there: docker rm -f -v %s && docker network rm %s", names, network.name)


def host_name(role: str) -> str:
    """What the host of a role is called (hostname(7))."""
    return role.replace("+", "-").replace(".", "-")


def last_lines(text: str, count: int = 20) -> str:
    """The last lines of what a command printed."""
    return "\n".join(text.rstrip().splitlines()[-count:])
