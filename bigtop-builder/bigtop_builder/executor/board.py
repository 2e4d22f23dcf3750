# SPDX-License-Identifier: Apache-2.0
"""What is told while a plan is carried out: a live table on a terminal, else lines of the log."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigtop_builder.executor.schedule import Schedule
from bigtop_builder.log import terminal
from bigtop_builder.plan import Step
from bigtop_builder.result import Result
from bigtop_builder.schema import counted

if TYPE_CHECKING:
    from rich.table import Table

log = logging.getLogger(__name__)

LINE = 150
"""Characters of a build's last line that are shown."""


@dataclass
class _Row:
    """A step that has begun."""

    began: float
    last: str = ""
    ended: tuple[str, str] | None = None


class Board:
    """The state of all steps of a run. Any thread may tell it something.

    Args:
        steps: What is to be built.
        reused: Names of what is there already.
        schedule: Knows what waits, and for whom.
    """

    def __init__(self, steps: Sequence[Step], reused: Sequence[str], schedule: Schedule) -> None:
        self._steps = steps
        self._reused = reused
        self._schedule = schedule
        self._rows: dict[str, _Row] = {}
        self._lock = threading.Lock()
        self._live = False

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the table as long as the context lasts, if stderr is a terminal."""
        if self._reused:
            log.info("reused: %s", ", ".join(self._reused))
        if not self._steps or (console := terminal()) is None:
            yield
            return
        from rich.live import Live

        self._live = True
        with Live(console=console, transient=True, refresh_per_second=4, get_renderable=self.table):
            yield

    def began(self, step: Step) -> None:
        """Tell that a build begins."""
        with self._lock:
            self._rows[step.name] = _Row(began=time.monotonic())
            number = len(self._rows)
        version = f"{step.version}-{step.stamp}"
        log.info("[%d/%d] %s %s: %s", number, len(self._steps), step.name, version, step.reason)

    def watcher(self, name: str) -> Callable[[str], None] | None:
        """Takes the lines of a build; None where nobody would see them."""
        if not self._live:
            return None

        def watch(line: str) -> None:
            self._rows[name].last = line[:LINE]

        return watch

    def ended(self, name: str, result: Result | None) -> None:
        """Tell that a build ended, with its result if it did not fail."""
        seconds = time.monotonic() - self._rows[name].began
        said = counted(len(result.debs), "package") if result else "failed"
        log.info("%s: %s in %.0f s", name, said, seconds)
        self._rows[name].ended = (
            ("done", f"{said} in {seconds:.0f} s") if result else (said, f"in {seconds:.0f} s")
        )

    def table(self) -> "Table":
        """The table as it is now."""
        from rich.table import Table
        from rich.text import Text

        shown = Table(box=None, pad_edge=False, header_style="bold", show_header=False)
        reused = [(", ".join(self._reused), "reused", "")] if self._reused else []
        for cells in (*reused, *map(self._cells, self._steps)):
            shown.add_row(*(Text(cell, overflow="ellipsis", no_wrap=True) for cell in cells))
        return shown

    def _cells(self, step: Step) -> tuple[str, str, str]:
        row = self._rows.get(step.name)
        if row and row.ended:
            return step.name, *row.ended
        if row:
            return step.name, f"{time.monotonic() - row.began:.0f} s", row.last
        if step.name in self._schedule.failed:
            return step.name, "failed", "before it began"
        if stopped := self._schedule.stopped_by(step.name):
            return step.name, "left out", f"because {stopped} failed"
        waits = ", ".join(self._schedule.waits_for(step.name)) or "memory or processors"
        return step.name, "waits", f"for {waits}"
