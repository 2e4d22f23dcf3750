# SPDX-License-Identifier: Apache-2.0
"""Interruptions: what was opened is closed again, whether Ctrl-C or SIGTERM comes, and however often."""

import atexit
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption(SystemExit):
    """A signal came. Where nothing catches it, the process ends with 128 + its number (bash(1), EXIT STATUS)."""


class Pressed(Interruption, KeyboardInterrupt):
    """Ctrl-C was pressed."""


class Signals:
    """Turns the signals that end a process into exceptions, as long as it has no exit status yet.

    Then they end it with that status at once, for threads may keep it; in the interpreter's last milliseconds, in
    which no handler runs any more, they do nothing. So no signal kills it in its own way. One that is ignored or
    handled already, as under nohup, stays so.
    """

    def __init__(self) -> None:
        self._status: int | None = None
        self._taken = [
            number
            for number in ENDING
            if signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}
        ]
        for number in self._taken:
            signal.signal(number, self._came)
        atexit.register(self._ignore)
        os.register_at_fork(after_in_child=self._forget)

    def leave(self, status: int) -> None:
        """Take the exit status that stands."""
        self._status = status

    def _came(self, number: int, frame: FrameType | None) -> None:
        if self._status is not None:
            os._exit(self._status)
        _stop(number, frame)

    def _forget(self) -> None:
        """Let signals end a forked worker as they end any process: whoever started it counts on that."""
        for number in set(self._taken) - {signal.SIGINT}:
            signal.signal(number, signal.SIG_DFL)

    def _ignore(self) -> None:
        for number in self._taken:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def sigterm_unwinds() -> Iterator[None]:
    """Let SIGTERM end this process as Ctrl-C does, by an exception, unless someone handles it already.

    Python takes signals in its main thread: in others this does nothing.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def finish(action: Callable[[], None]) -> None:
    """Do something that can be repeated until it was done without interruption; raise the interruption then."""
    interrupt: BaseException | None = None
    while True:
        try:
            action()
            break
        except (KeyboardInterrupt, SystemExit) as again:
            interrupt = again
    if interrupt:
        raise interrupt


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    raise (Pressed if number == signal.SIGINT else Interruption)(128 + number)
