# SPDX-License-Identifier: Apache-2.0
"""Rooms that can be ended from another thread: signals reach the main one alone, and builds run in others."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bigtop_builder.errors import BuildError
from bigtop_builder.room import Room, RoomMaker


class StoppableRooms:
    """Opens rooms of another maker, and remembers those that are open.

    Args:
        rooms: The maker.
    """

    def __init__(self, rooms: RoomMaker) -> None:
        self._rooms = rooms
        self._open: list[Room] = []
        self._stopped = False
        self._lock = threading.Lock()

    @contextmanager
    def open(
        self,
        *,
        purpose: str,
        env: Mapping[str, str] | None = None,
        memory_mb: int | None = None,
        cpus: int | None = None,
        network: bool = True,
    ) -> Iterator[Room]:
        """A new room (`RoomMaker.open`).

        Raises:
            BuildError: They were stopped.
        """
        opened = self._rooms.open(purpose=purpose, env=env, memory_mb=memory_mb, cpus=cpus, network=network)
        with opened as room:
            self._enter(room)
            try:
                yield room
            finally:
                with self._lock:
                    self._open.remove(room)

    def stop(self) -> None:
        """End what runs in all rooms, so that whoever waits there leaves them; none is opened any more."""
        with self._lock:
            self._stopped = True
            rooms = list(self._open)
        for room in rooms:
            room.abort()

    @property
    def stopped(self) -> bool:
        """Whether they were: what ends in them then did not fail by itself."""
        with self._lock:
            return self._stopped

    def _enter(self, room: Room) -> None:
        with self._lock:
            if self._stopped:
                raise BuildError("the run was interrupted")
            self._open.append(room)
