# SPDX-License-Identifier: Apache-2.0
"""A lock on a folder says that the process that made it lives: the kernel lets go of it when that one dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[int]:
    """Hold a folder's lock (flock(2)), by the descriptor that is given.

    Raises:
        FileNotFoundError: There is no such folder.
        BlockingIOError: Another process has it, and `wait` is not set.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)
