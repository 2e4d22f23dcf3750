# SPDX-License-Identifier: Apache-2.0
"""A publisher in a process of its own, which ends itself by SIGKILL after so many steps.

A step is a call that changes a folder or waits for the disk; of a repository on S3 it is a request.
"""

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bigtop_builder.artifact import read_deb
from bigtop_builder.keys import KeyStore
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.store import Store, open_store
from bigtop_builder.run import Completed, run

NEVER = -1


def publisher(
    keys: KeyStore, where: str | Path, deb: Path, *, steps: int = NEVER, lease: float = 60
) -> list[str]:
    """The argv that adds a package to suite `stable`.

    Args:
        keys: Holds the repository's keys.
        where: The repository: a folder, or its URL.
        deb: The package.
        steps: How many it does before it is killed.
        lease: Seconds for which a killed one keeps others out; a folder is free at once.
    """
    return [sys.executable, __file__, str(keys.folder), str(where), str(deb), str(steps), str(lease)]


def at_once(publishers: Iterable[list[str]]) -> Completed:
    """Run several at the same time; what is printed says how often one failed."""
    starts = [f"{shlex.join(argv)} || echo failed &" for argv in publishers]
    return run(["sh", "-c", " ".join([*starts, "wait"])])


class Countdown:
    """Kills this process when so many calls were made."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def over(self, owner: Any, *names: str) -> None:
        """Count the calls of some functions."""
        for name in names:
            setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*words: Any, **options: Any) -> Any:
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self.left -= 1
            return call(*words, **options)

        return counting


def counted_store(where: str, countdown: Countdown, lease: float) -> Store:
    """The store at a place, whose steps are counted from now on."""
    if "://" not in where:
        countdown.over(os, "replace", "fsync", "symlink", "mkdir")
        return open_store(where)
    from bigtop_builder.repository.store.bucket import Bucket
    from bigtop_builder.repository.store.courier import Courier
    from bigtop_builder.repository.store.s3 import S3Store

    countdown.over(Bucket, "call")
    countdown.over(Courier, "send")
    return S3Store(Bucket(where), lease_seconds=lease)


def main(keys: str, where: str, deb: str, steps: str, lease: str) -> None:
    """Publish, or die on the way."""
    store = counted_store(where, Countdown(int(steps)), float(lease))
    with KeyStore(Path(keys)).open() as keyring:
        Repository(store).add("stable", [read_deb(Path(deb))], keyring=keyring)


if __name__ == "__main__":
    main(*sys.argv[1:])
