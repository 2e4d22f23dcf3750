# SPDX-License-Identifier: Apache-2.0
"""Who works here: the process that made a leftover, told apart from later ones with its number, and the user."""

import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from getpass import getuser
from pathlib import Path
from typing import Self

PREFIX = "bigtop-builder"


@dataclass(frozen=True, kw_only=True)
class Owner:
    """The process that opened a container, as the container's labels say.

    Attributes:
        host: Host name and process id namespace.
        boot: The kernel's boot id.
        pid: Process id.
        started: Its start, in clock ticks since boot: a later process may have the same id.
    """

    host: str
    boot: str
    pid: str
    started: str

    @classmethod
    def me(cls) -> Self:
        """This process."""
        namespace = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116  # not a file of any folder
        pid = str(os.getpid())
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return cls(host=f"{os.uname().nodename}/{namespace}", boot=boot, pid=pid, started=_started(pid))

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> Self | None:
        """The owner that labels name, if they do."""
        found = {field.name: labels.get(f"{PREFIX}.{field.name}", "") for field in fields(cls)}
        return cls(**found) if all(found.values()) else None

    @property
    def labels(self) -> dict[str, str]:
        """As a container carries it."""
        return {f"{PREFIX}.{name}": value for name, value in asdict(self).items()}

    def is_dead(self) -> bool:
        """Whether it is known to be gone: of processes on other hosts nothing is known."""
        mine = Owner.me()
        if self.host != mine.host:
            return False
        return self.boot != mine.boot or self.started != _started(self.pid)


def whoever() -> str:
    """Whom a record names if nobody is named: user and host. A container may have a user without a name."""
    try:
        user = getuser()
    except (KeyError, OSError):  # the latter since Python 3.13
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def _started(pid: str) -> str:
    """Field 22 of /proc/PID/stat (proc(5)); empty if there is no such process."""
    try:
        stat = Path("/proc", pid, "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return stat.rpartition(")")[2].split()[19]
