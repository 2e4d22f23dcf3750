# SPDX-License-Identifier: Apache-2.0
"""Containers: limits, addresses, and that none is left behind."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from types import FrameType
from typing import NoReturn

import pytest
from rooms import containers

from bigtop_builder.container import ContainerRooms, Engine
from bigtop_builder.errors import BuilderError, BuildError
from bigtop_builder.run import run

pytestmark = [pytest.mark.docker, pytest.mark.network]

LEFT_BEHIND = """
import os, signal, sys
from bigtop_builder.container import Engine
with Engine.connect().rooms(sys.argv[1]).open(purpose="killed") as room:
    print(room.name, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine.connect() as engine:
        yield engine


@pytest.fixture(scope="module")
def rooms(engine: Engine) -> ContainerRooms:
    return containers(engine)


def _exists(engine: Engine, name: str) -> bool:
    return bool(engine.client.containers.list(all=True, filters={"name": f"^{name}$"}))


def test_a_container_comes_and_goes_within_two_seconds(rooms: ContainerRooms) -> None:
    began = time.monotonic()
    with rooms.open(purpose="quick", memory_mb=256, cpus=1) as room:
        room.run(["true"])
    assert time.monotonic() - began < 2


def test_a_container_says_whose_it_is(engine: Engine, rooms: ContainerRooms) -> None:
    with rooms.open(purpose="told / apart") as room:
        labels = engine.client.containers.get(room.name).labels
        assert room.name.startswith("bigtop-builder-told-apart-")
    assert labels["bigtop-builder"] == "1"
    assert labels["bigtop-builder.purpose"] == "told / apart"
    assert labels["bigtop-builder.pid"] == str(os.getpid())


def test_the_memory_limit_is_named_when_it_is_exceeded(rooms: ContainerRooms) -> None:
    lines: list[bytes] = []
    with rooms.open(purpose="small", memory_mb=64) as room:
        with pytest.raises(BuildError, match="memory limit of 64 MiB was exceeded") as raised:
            room.run(["tail", "/dev/zero"], error=BuildError)
        assert room.run(["tail", "/dev/zero"], check=False, on_line=lines.append).returncode == 137
        with pytest.raises(BuildError, match=r"status 1 in [^:]*$"):
            room.run(["false"], error=BuildError)
    assert "memory_mb" in raised.value.hint
    assert b"the memory limit of 64 MiB" in lines[-1]


def test_more_cpus_than_there_are_is_all_of_them(engine: Engine, rooms: ContainerRooms) -> None:
    with rooms.open(purpose="greedy", cpus=10_000) as room:
        config = engine.client.containers.get(room.name).attrs["HostConfig"]
    assert config["NanoCpus"] == engine.cpus * 10**9


def test_a_disk_that_fills_up_during_a_command_is_named(rooms: ContainerRooms) -> None:
    with rooms.open(purpose="full") as room, pytest.raises(BuilderError, match="the disk is full"):
        room.run(["sh", "-c", "head -c 100M /dev/zero >/dev/shm/large"])


def test_an_image_that_is_not_there_is_not_pulled_but_named(engine: Engine) -> None:
    rooms = engine.rooms("bigtop-builder/no-such-image:1")
    with pytest.raises(BuilderError, match="there is no such image") as raised, rooms.open(purpose="none"):
        pass
    assert "image build" in raised.value.hint


def test_a_container_reaches_this_machine_and_this_machine_the_container(rooms: ContainerRooms) -> None:
    fetch = "use IO::Socket::INET; my $s = IO::Socket::INET->new(PeerAddr => $ARGV[0]) or die; print $s 'GET'"
    serve = "use IO::Socket::INET; IO::Socket::INET->new(LocalPort => 7, Listen => 1)->accept->print('hello')"
    with HTTPServer(("", 0), SimpleHTTPRequestHandler) as server, rooms.open(purpose="network") as room:
        room.run(["perl", "-e", fetch, f"{room.gateway}:{server.server_port}"])
        served = threading.Thread(target=room.run, args=(["perl", "-e", serve],))
        served.start()
        assert _said(room.address, 7) == b"hello"
        served.join()


def _said(host: str, port: int) -> bytes:
    for _ in range(100):
        try:
            with closing(socket.create_connection((host, port), timeout=5)) as peer:
                return peer.recv(100)
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise AssertionError(f"nobody listens on {host}:{port}")


@pytest.fixture
def heeded() -> Iterator[None]:
    """Ctrl-C raises also where the tests were started in the background, with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_signal_during_a_command_removes_the_container(
    engine: Engine, rooms: ContainerRooms, number: int, raised: type[BaseException]
) -> None:
    with pytest.raises(raised), rooms.open(purpose="signal") as room:  # noqa: PT012  # leaving raises
        name = room.name
        room.run(["sh", "-c", "echo go; sleep 100"], on_line=lambda _: os.kill(os.getpid(), number))
    assert not _exists(engine, name)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_impatience_during_the_removal_does_not_keep_the_container(
    engine: Engine, rooms: ContainerRooms
) -> None:
    count = 0

    def impatient(_number: int, _frame: FrameType | None) -> NoReturn:
        nonlocal count
        count += 1
        if count == 4:
            signal.setitimer(signal.ITIMER_REAL, 0)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, impatient)
    try:
        with pytest.raises(KeyboardInterrupt), rooms.open(purpose="x") as room:  # noqa: PT012  # leaving raises
            name = room.name
            signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert count >= 1
    assert not _exists(engine, name)


def test_what_a_killed_process_left_is_swept_and_nothing_else(engine: Engine, rooms: ContainerRooms) -> None:
    done = run([sys.executable, "-c", LEFT_BEHIND, rooms.image], check=False)
    assert done.returncode == -signal.SIGKILL
    stranger = engine.client.containers.create(rooms.image, ["true"], labels={"bigtop-builder": "1"})
    try:
        with rooms.open(purpose="alive") as mine:
            assert _exists(engine, done.text)
            assert done.text in engine.sweep()
            assert not _exists(engine, done.text)
            assert _exists(engine, mine.name)
            assert _exists(engine, str(stranger.name))
    finally:
        stranger.remove(force=True)


def test_help_needs_no_docker_sdk() -> None:
    loaded = run(
        [sys.executable, "-c", "import sys, bigtop_builder.container; print('docker' in sys.modules)"]
    )
    assert loaded.text == "False"


def test_a_large_file_goes_in_and_out_in_little_memory(rooms: ContainerRooms, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(300 << 20)
    script = f"""
from pathlib import Path
from bigtop_builder.container import Engine
from bigtop_builder.tarstream import pack
with Engine.connect() as engine, engine.rooms({rooms.image!r}).open(purpose="large") as room:
    room.put(pack({{"in": Path({str(large)!r})}}), room.workdir)
    room.get(room.workdir + "/in", Path({str(tmp_path)!r}))
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])  # ru_maxrss has the parent's in it
"""
    used = int(run([sys.executable, "-c", script]).text)
    assert (tmp_path / "in").stat().st_size == 300 << 20
    assert used < 100 << 10
