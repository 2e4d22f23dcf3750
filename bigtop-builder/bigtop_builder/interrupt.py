# SPDX-License-Identifier: Apache-2.0
"""Interruptions: what was opened is closed again, whether Ctrl-C or SIGTERM comes, and however often."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


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
    raise SystemExit(128 + number)
