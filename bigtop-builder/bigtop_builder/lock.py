# SPDX-License-Identifier: Apache-2.0
"""The lock: which build of a component is its N-th. One of the four fixed formats.

`recipes/<release>.lock` maps each component to the ids of its builds, in order. The position of an id is the
serial N in its packages' version, so other bytes always have a higher version (design, invariant 2). It is
written by `plan --bump` alone, committed, and only ever grows.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field

from bigtop_builder.errors import InputError
from bigtop_builder.schema import Name, Sha256, Value


class Lock(Value):
    """Step ids of each component, oldest first; the serial of an id is its position, counted from 1."""

    format: Literal[1] = 1
    release: str = Field(description="Bigtop release of the recipe")
    target: str = Field(description="Target tag of the recipe")
    components: dict[Name, tuple[Sha256, ...]] = Field(default_factory=dict)

    def serial(self, component: str, step: str) -> int | None:
        """Position of a step id, counted from 1; None if it is not the component's newest: the lock is stale."""
        ids = self.components.get(component, ())
        return len(ids) if ids and ids[-1] == step else None

    def before(self, component: str, step: str) -> tuple[str, ...]:
        """Ids of a component's builds, without the newest if that is this step: those that are before it."""
        ids = self.components.get(component, ())
        return ids[:-1] if self.serial(component, step) else ids

    def bumped(self, steps: dict[str, str]) -> Self:
        """This lock with each step id that is not its component's newest appended.

        An id may come back (a patch taken in and dropped again): it is then listed twice, and counts as a new
        build, because hosts already have the version in between.
        """
        grown = dict(self.components)
        for name, step in steps.items():
            ids = grown.get(name, ())
            if not ids or ids[-1] != step:
                grown[name] = (*ids, step)
        return self.model_copy(update={"components": grown})

    def to_toml(self) -> str:
        """The one text of this lock: one id a line, so that merges of two branches conflict visibly."""
        lines = [
            f"format = {self.format}",
            f'release = "{self.release}"',
            f'target = "{self.target}"',
            "",
            "[components]",
        ]
        for name in sorted(self.components):
            lines += [f'"{name}" = [', *(f'  "{step}",' for step in self.components[name]), "]"]
        return "\n".join(lines) + "\n"


def load_lock(path: Path, *, release: str, target: str) -> Lock:
    """Read a lock; an empty one if there is none yet.

    Raises:
        InputError: It does not fit the format or belongs to another release or target.
    """
    if not path.is_file():
        return Lock(release=release, target=target)
    lock = Lock.from_toml(path)
    if (lock.release, lock.target) != (release, target):
        raise InputError(
            f"{path} belongs to {lock.release} for {lock.target}, not to {release} for {target}",
            hint="give each recipe its own file name",
        )
    return lock
