# SPDX-License-Identifier: Apache-2.0
"""Rooms end when they are told to from another thread, and none opens after that."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bigtop_builder.errors import BuilderError, BuildError
from bigtop_builder.executor.stoppable import StoppableRooms
from bigtop_builder.host import HostRooms


def test_what_runs_in_rooms_ends_and_the_rooms_are_gone(tmp_path: Path) -> None:
    rooms = StoppableRooms(HostRooms(tmp_path))
    began = threading.Barrier(3)

    def build(number: int) -> None:
        with rooms.open(purpose=f"build{number}") as room:
            line = "echo began; sleep 1000 & wait"
            room.run(["sh", "-c", line], on_line=lambda _line: began.wait(10) and None)

    with ThreadPoolExecutor(2) as pool:
        builds = [pool.submit(build, number) for number in range(2)]
        began.wait(10)
        rooms.stop()
        for one in builds:
            with pytest.raises(BuilderError):
                one.result(timeout=10)
    assert list(tmp_path.iterdir()) == []


def test_no_room_opens_after_the_stop(tmp_path: Path) -> None:
    rooms = StoppableRooms(HostRooms(tmp_path))
    rooms.stop()
    with pytest.raises(BuildError, match="interrupted"), rooms.open(purpose="late"):
        pytest.fail("it opened")
    assert list(tmp_path.iterdir()) == []


def test_a_room_that_was_left_is_not_ended_twice(tmp_path: Path) -> None:
    rooms = StoppableRooms(HostRooms(tmp_path))
    with rooms.open(purpose="done") as room:
        assert room.run(["echo", "well"]).text == "well"
    rooms.stop()
    rooms.stop()
