# SPDX-License-Identifier: Apache-2.0
"""The same work on many files at once, by all cores that this process may use."""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from bigtop_builder.errors import EnvironmentMissing

Item = TypeVar("Item")
Result = TypeVar("Result")

MANY = 256
"""From so many items on, processes: small files are bound by Python, and threads that take turns at its lock
need twice the time of one (measured with 10,000 packages). A few large ones are bound by hashes and
decompressors, which let go of the lock."""
CHUNK = 100
PR_SET_PDEATHSIG = 1


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def machine_memory_mb() -> int:
    """Memory of this machine, MiB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20


def on_all_cores(
    work: Callable[[Item], Result], items: Sequence[Item], *, jobs: int | None = None
) -> list[Result]:
    """What a function gives for each item, in their order.

    Args:
        work: A function of a module; it may run in a process of its own.
        items: What it is called with.
        jobs: At most so many at once; as many as there are cores if None.

    Raises:
        EnvironmentMissing: A process was killed.
    """
    jobs = jobs or cores()
    if jobs == 1 or len(items) == 1:
        return [work(item) for item in items]
    if len(items) < MANY or threading.active_count() > 1:  # a fork takes along what other threads have locked
        with ThreadPoolExecutor(jobs) as threads:
            return list(threads.map(work, items))
    return _on_processes(work, items, jobs)


def _on_processes(work: Callable[[Item], Result], items: Sequence[Item], jobs: int) -> list[Result]:
    from concurrent.futures import ProcessPoolExecutor  # 20 ms that only large sets should pay
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    chunk = min(CHUNK, len(items) // (4 * jobs) + 1)
    mother = (os.getpid(),)
    try:
        with ProcessPoolExecutor(
            jobs, get_context("fork"), initializer=_attend, initargs=mother
        ) as processes:
            return list(processes.map(work, items, chunksize=chunk))
    except BrokenProcessPool as error:
        raise EnvironmentMissing(
            f"one of the processes at work on {len(items)} files was killed",
            hint="is there enough memory? see dmesg",
        ) from error


def _attend(parent: int) -> None:
    """Leave Ctrl-C to the parent, and die with it: a lock that was inherited from it would stay held."""
    from ctypes import CDLL

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
