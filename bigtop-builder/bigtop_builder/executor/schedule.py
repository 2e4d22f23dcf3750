# SPDX-License-Identifier: Apache-2.0
"""Which steps may start now: those whose needs are built, as far as memory and processors reach. It runs nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bigtop_builder.plan import Step


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What all builds that run at once may take together.

    Attributes:
        memory_mb: Sum of their components' `memory_mb`.
        cpus: Sum of their components' `cpus`.
        jobs: Their number; any if None.
    """

    memory_mb: int
    cpus: int
    jobs: int | None = None


class Schedule:
    """The state of a run.

    Args:
        steps: What is to be built, in the plan's order; what else they come after is there already.
        capacity: What builds may take.
        keep_going: A failure stops only what depends on it; else nothing starts after one.
    """

    def __init__(self, steps: Sequence[Step], capacity: Capacity, *, keep_going: bool = False) -> None:
        self._steps = {step.name: step for step in steps}
        self._capacity = capacity
        self._keep_going = keep_going
        self._running: dict[str, Step] = {}
        self._built: set[str] = set()
        self._failed: dict[str, None] = {}

    def start(self) -> list[Step]:
        """Those that start now, in the plan's order. What needs more than there is starts when nothing else runs."""
        began = []
        for name, step in self._steps.items():
            if self._begun(name) or self.waits_for(name) or self.stopped_by(name) or not self._fits(step):
                continue
            self._running[name] = step
            began.append(step)
        return began

    def end(self, name: str, *, failed: bool = False) -> None:
        """Take note that a step ended, or that it failed before it began."""
        self._running.pop(name, None)
        if failed:
            self._failed[name] = None
        else:
            self._built.add(name)

    def waits_for(self, name: str) -> tuple[str, ...]:
        """What must be built before a step may start, and is not yet."""
        return tuple(
            need for need in self._steps[name].after if need in self._steps and need not in self._built
        )

    def stopped_by(self, name: str) -> str:
        """The failed step because of which a step does not start; empty if there is none."""
        if self._failed and not self._keep_going:
            return next(iter(self._failed))
        for need in self.waits_for(name):
            if need in self._failed:
                return need
            if through := self.stopped_by(need):
                return through
        return ""

    @property
    def built(self) -> tuple[str, ...]:
        """What was built, in the plan's order."""
        return tuple(name for name in self._steps if name in self._built)

    @property
    def failed(self) -> tuple[str, ...]:
        """What failed, in the plan's order."""
        return tuple(name for name in self._steps if name in self._failed)

    @property
    def not_started(self) -> Mapping[str, str]:
        """What has not begun -> the failed step because of which; an empty name where it may begin yet."""
        return {name: self.stopped_by(name) for name in self._steps if not self._begun(name)}

    def _begun(self, name: str) -> bool:
        return name in self._running or name in self._built or name in self._failed

    def _fits(self, step: Step) -> bool:
        if not self._running:
            return True
        taken = [one.component for one in (*self._running.values(), step)]
        return (
            sum(one.memory_mb for one in taken) <= self._capacity.memory_mb
            and sum(one.cpus for one in taken) <= self._capacity.cpus
            and len(taken) <= (self._capacity.jobs or len(taken))
        )
