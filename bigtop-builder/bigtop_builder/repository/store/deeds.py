# SPDX-License-Identifier: Apache-2.0
"""What a command did until an error: a way out that says that nothing was done must be true."""

from collections.abc import Iterator
from contextlib import contextmanager

from bigtop_builder.errors import PublishError

NOTHING = "nothing was switched"
"""What a store's ways out say wherever they are; `told` makes it true."""


class Deeds:
    """What a store did since it was locked, as far as it cannot be written over by the same command."""

    def __init__(self) -> None:
        self._switched: dict[str, None] = {}
        self._removed = 0

    def switched(self, suite: str) -> None:
        """A suite points elsewhere."""
        self._switched[suite] = None

    def removed(self, count: int = 1) -> None:
        """Files are gone."""
        self._removed += count

    @contextmanager
    def told(self) -> Iterator[None]:
        """Begin to count, and have an error say what was done before it."""
        self._switched, self._removed = {}, 0
        try:
            yield
        except PublishError as error:
            error.hint = error.hint.replace(NOTHING, self._so_far())
            raise

    def _so_far(self) -> str:
        done = [f"suites switched: {', '.join(self._switched)}"] if self._switched else []
        done += [f"files removed: {self._removed}"] if self._removed else []
        return f"not all was done ({'; '.join(done)})" if done else f"{NOTHING} or removed"
