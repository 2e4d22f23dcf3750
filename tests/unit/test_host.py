# SPDX-License-Identifier: Apache-2.0
"""Builds on this very machine: what they depend on, and folders that a killed process left."""

import platform
import signal
import sys
import time
from pathlib import Path

import pytest

from bigtop_builder.errors import EnvironmentMissing
from bigtop_builder.host import HostRooms, require_target, toolchain
from bigtop_builder.recipe import Target
from bigtop_builder.run import run

LEFT_BEHIND = """
import os, signal, sys
from pathlib import Path
from bigtop_builder.host import HostRooms
with HostRooms(Path(sys.argv[1])).open(purpose="killed") as room:
    room.run(["sh", "-c", "sleep 1000 & echo $! >pid"])
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_toolchain_is_the_same_as_long_as_nothing_is_installed() -> None:
    assert toolchain() == toolchain()
    assert len(toolchain()) == 64


def test_packages_for_another_suite_are_not_built_on_this_machine() -> None:
    with pytest.raises(EnvironmentMissing, match="packages are for debian no-such-suite amd64") as raised:
        require_target(Target(distribution="debian", suite="no-such-suite", tag="x"))
    assert "Docker" in raised.value.hint


def test_packages_for_this_very_system_are() -> None:
    system = platform.freedesktop_os_release()
    if system["ID"] not in {"debian", "ubuntu"}:
        pytest.skip("this machine is neither Debian nor Ubuntu")

    def built(architecture: str) -> bool:
        target = {"distribution": system["ID"], "suite": system["VERSION_CODENAME"], "tag": "x"}
        try:
            require_target(Target.model_validate({**target, "architecture": architecture}))
        except EnvironmentMissing:
            return False
        return True

    ours = run(["dpkg", "--print-architecture"]).text
    assert [one for one in ("amd64", "arm64") if built(one)] == [ours]


def ended(pid: int) -> bool:
    """Whether a process is gone, or dead and not waited for; a busy machine takes a while to end one."""
    for _ in range(100):
        try:
            if not Path(f"/proc/{pid}/cmdline").read_bytes():
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.1)
    return False


def test_what_a_killed_process_left_is_ended_and_removed_and_a_living_room_is_not(tmp_path: Path) -> None:
    done = run([sys.executable, "-c", LEFT_BEHIND, tmp_path], check=False)
    assert done.returncode == -signal.SIGKILL, done.complaint
    (left,) = tmp_path.iterdir()
    pid = (left / "build/pid").read_text().strip()
    with HostRooms(tmp_path).open(purpose="first") as first, HostRooms(tmp_path).open(purpose="second"):
        assert not left.exists()
        assert first.run(["pwd"]).text == first.workdir
        assert ended(int(pid))
    assert list(tmp_path.iterdir()) == []
