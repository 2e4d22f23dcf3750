# SPDX-License-Identifier: Apache-2.0
"""Rooms end when they are told to from another thread, and none opens after that."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.errors import BuilderError, BuildError
from bigtop_builder.executor.stoppable import StoppableRooms
from bigtop_builder.host import HostRooms, LocalRoom


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


class Noting(HostRooms):
    """Its rooms say which of them was ended."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ended: list[str] = []

    @contextmanager
    def open(self, *, purpose: str, **wishes: Any) -> Iterator[LocalRoom]:
        with super().open(purpose=purpose, **wishes) as room:
            room.abort = lambda: self.ended.append(purpose)  # type: ignore[method-assign]
            yield room


def test_a_stop_ends_the_rooms_that_are_open_and_none_that_was_left(tmp_path: Path) -> None:
    noting = Noting(tmp_path)
    rooms = StoppableRooms(noting)
    with rooms.open(purpose="left") as room:
        assert room.run(["echo", "well"]).text == "well"
    with pytest.raises(KeyError, match="of the build"), rooms.open(purpose="failed"):
        raise KeyError("of the build")
    with rooms.open(purpose="open"):
        rooms.stop()
    assert noting.ended == ["open"]
