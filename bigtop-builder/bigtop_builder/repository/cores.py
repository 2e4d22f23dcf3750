# SPDX-License-Identifier: Apache-2.0
"""Many jobs on all cores: threads for a few files, processes for thousands of small ones."""

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")

MANY = 256
"""From this many jobs on they go to processes: for small files the interpreter itself is most of the work,
and threads share one. To fork is cheap, and no thread of a large publish runs yet."""
CHUNKS = 8
"""Pieces that each process gets, so that a slow one keeps the others waiting for little."""
PR_SET_PDEATHSIG = 1


def spread(function: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
    """Results of a function for each job, in order; the first error is raised.

    Args:
        function: One of a module, for it may be called in another process.
        jobs: What it is called with.
    """
    cores = len(os.sched_getaffinity(0))
    if len(jobs) < MANY:
        with ThreadPoolExecutor(cores) as threads:
            return list(threads.map(function, jobs))
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    fork = get_context("fork")
    with ProcessPoolExecutor(cores, mp_context=fork, initializer=_attend, initargs=(os.getpid(),)) as workers:
        return list(workers.map(function, jobs, chunksize=-(-len(jobs) // (cores * CHUNKS))))


def _attend(parent: int) -> None:
    """Leave Ctrl-C to the parent and die with it, or the lock that was inherited from it would stay held."""
    from ctypes import CDLL

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
