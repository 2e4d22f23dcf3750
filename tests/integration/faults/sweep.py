# SPDX-License-Identifier: Apache-2.0
"""Trying faults at every point, or at a seeded sample of the points.

BIGTOP_FAULTS=all takes every point (`make faults`); otherwise a sample of at most 60 points is drawn, from the
seed that is printed at the end or that BIGTOP_FAULT_SEED gives (`fault_figures` draws it, once for all workers).
"""

import os
import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from commands import COMMANDS, Command
from stage import Desk

if TYPE_CHECKING:
    from queue import SimpleQueue

EXHAUSTIVE = os.environ.get("BIGTOP_FAULTS") == "all"
SEED = int(os.environ["BIGTOP_FAULT_SEED"])
MOST = 60
"""Points of a sample, over all files: each kind of fault has its share, whatever worker tries it."""
KILLS, ERRORS, LOSSES, DOUBLE, TAKEN_UP = 20, 12, 12, 12, 4
assert KILLS + ERRORS + LOSSES + DOUBLE + TAKEN_UP == MOST
Point = TypeVar("Point")


def cores() -> int:
    """Desks that work at once: with a few points for each command, more would not be worth being set up."""
    here = len(os.sched_getaffinity(0))
    return max(2, here if EXHAUSTIVE else here // 2)


def share(points: int, command: Command) -> int:
    """How many of so many points a command gets."""
    place = COMMANDS.index(command)
    return points * (place + 1) // len(COMMANDS) - points * place // len(COMMANDS)


@dataclass(kw_only=True)
class Sweep:
    """Tries points at all desks at once.

    Attributes:
        desks: Those that are free.
        figures: What was tried, for the summary.
    """

    desks: "SimpleQueue[Desk]"
    figures: list[str] = field(default_factory=list)
    exhaustive: bool = EXHAUSTIVE

    def chosen(self, points: Sequence[Point], most: int, *, salt: str) -> list[Point]:
        """All points, or at most so many of them, drawn by the seed."""
        if self.exhaustive or len(points) <= most:
            return list(points)
        drawn = random.Random(f"{SEED} {salt}").sample(range(len(points)), most)  # noqa: S311  # no secret
        return [points[number] for number in sorted(drawn)]

    def failures(self, title: str, points: Iterable[Point], attempt: Callable[[Desk, Point], None]) -> str:
        """Try each point; what went wrong at any, with the seed. Empty if all that is asserted held at every one."""
        with ThreadPoolExecutor(cores()) as pool:
            results = list(pool.map(lambda point: self._failure(point, attempt), points))
        failures = [one for one in results if one]
        self.figures.append(f"{title}: {len(results)} points, {len(failures)} failures")
        head = f"{len(failures)} of {len(results)}, seed {SEED}"
        return "\n".join([head, *failures]) if failures else ""

    def at_a_desk(self, act: Callable[[Desk], Point]) -> Point:
        """Do something at a free desk."""
        place = self.desks.get()
        try:
            return act(place)
        finally:
            self.desks.put(place)

    def _failure(self, point: Point, attempt: Callable[[Desk, Point], None]) -> str:
        try:
            self.at_a_desk(lambda place: attempt(place, point))
        except Exception as error:  # noqa: BLE001  # whatever it is, the point and the seed belong to it
            return f"{point}: {type(error).__name__}: {error}"
        return ""
