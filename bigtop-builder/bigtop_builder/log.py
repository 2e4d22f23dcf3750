# SPDX-License-Identifier: Apache-2.0
"""The story, on stderr: what is being done, live on a terminal, plain lines in CI. Answers go to stdout."""

import logging
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

HEARTBEAT = 60.0
KEPT = 2000
"""Lines that the cause of a failure is looked for in: the last words of Gradle, Maven and others push it far up."""
STYLE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
"""Colours and the like, which Maven prints where it takes the room for a terminal (ECMA-48, control sequences)."""

log = logging.getLogger(__name__)


def plain(text: str) -> str:
    """Text that somebody else may have written, with nothing in it that a terminal would obey."""
    return "".join(char if char.isprintable() else " " for char in text)


def configure(*, verbose: bool) -> None:
    """Send the story of this package to stderr. `verbose` shows every command that is run."""
    level = logging.DEBUG if verbose else logging.INFO
    handler: logging.Handler
    if console := terminal():
        from rich.logging import RichHandler

        handler = RichHandler(
            console=console, show_time=False, show_path=False, markup=False, show_level=False
        )
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
    root = logging.getLogger("bigtop_builder")
    root.handlers[:] = [handler]
    root.setLevel(level)
    root.propagate = False


def terminal() -> "Console | None":
    """What draws on stderr, if that is a terminal: it takes 30 ms to load, which no pipeline should pay."""
    if not sys.stderr.isatty():
        return None
    from rich.console import Console

    console = Console(stderr=True)
    return console if console.is_terminal else None


class Tail:
    """The last lines of something long, kept for an error message; lines are shown, or the log tells that more came.

    Args:
        title: What it is.
        file: Takes all lines.
        watch: Is given each line; without it the log says that it still runs.
        copy: Takes all lines too, for people who follow them; one that fails is told and done without.
    """

    def __init__(
        self,
        title: str,
        file: IO[bytes],
        watch: Callable[[str], None] | None = None,
        *,
        copy: IO[bytes] | None = None,
    ) -> None:
        self.lines: deque[str] = deque(maxlen=KEPT)
        self._title = title
        self._file = file
        self._watch = watch
        self._copy = copy
        self._start = self._told = time.monotonic()
        self._count = 0

    def __call__(self, line: bytes) -> None:
        """Take one line."""
        self._file.write(line)
        self._write_copy(line)
        self._count += 1
        self.lines.append(STYLE.sub("", line.decode(errors="replace")).rstrip())
        now = time.monotonic()
        if self._watch:
            self._watch(self.lines[-1])
        elif now - self._told > HEARTBEAT:
            self._told = now
            log.info("%s: still running, %.0f s, %d lines", self._title, now - self._start, self._count)

    def _write_copy(self, line: bytes) -> None:
        try:
            if self._copy:
                self._copy.write(line)
        except OSError as error:
            log.warning("%s: its log cannot be followed any more: %s", self._title, error)
            self._copy = None


@contextmanager
def transfers() -> Iterator[Callable[[str, int, int | None], None]]:
    """A callback for downloads: (URL, bytes had, bytes in all or None). A bar each on a terminal, else nothing."""
    if (console := terminal()) is None:
        yield lambda _url, _done, _total: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def told(url: str, done: int, total: int | None) -> None:
            if url not in tasks:
                tasks[url] = progress.add_task(url.rpartition("/")[2], total=total)
            progress.update(tasks[url], completed=done, total=total)

        yield told


def log_lines(line: bytes) -> None:
    """Take a line of something that runs: shown with --verbose."""
    log.debug("%s", line.decode(errors="replace").rstrip())
