# SPDX-License-Identifier: Apache-2.0
"""A publisher to S3 in a process of its own, which ends itself by SIGKILL after so many requests.

Publishers to a folder are killed in `faults`.
"""

import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bigtop_builder.artifact import read_deb
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository.gc import collect
from bigtop_builder.repository.layout import Retention
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.store.bucket import Bucket
from bigtop_builder.repository.store.courier import Courier
from bigtop_builder.repository.store.s3 import S3Store

NEVER = -1


def publisher(
    keys: KeyStore, url: str, *words: str | Path, requests: int = NEVER, lease: float = 60
) -> list[str]:
    """The argv that changes suite `stable`.

    Args:
        keys: Holds the repository's keys.
        url: The repository.
        words: A package to add; or `promote`, from `testing`; or `rollback`; or `gc`, three days from now.
        requests: How many it makes before it is killed.
        lease: Seconds for which a killed one keeps others out.
    """
    return [sys.executable, __file__, str(keys.folder), url, str(requests), str(lease), *map(str, words)]


def act(repository: Repository, keyring: Keyring, word: str) -> None:
    """Do what is asked for."""
    later = datetime.now(UTC) + timedelta(days=3)
    match word:
        case "promote":
            repository.promote("testing", "stable", keyring=keyring)
        case "rollback":
            repository.rollback("stable", keyring=keyring)
        case "gc":
            collect(repository.state, keyring=keyring, clock=lambda: later, rules=Retention(keep=1))
        case _:
            repository.add("stable", [read_deb(Path(word))], keyring=keyring)


class Countdown:
    """Kills this process when so many calls were made."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def over(self, owner: type, name: str) -> None:
        """Count the calls of a method."""
        setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*words: Any, **options: Any) -> Any:
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self.left -= 1
            return call(*words, **options)

        return counting


def main(keys: str, url: str, requests: str, lease: str, word: str) -> None:
    """Publish, or die on the way."""
    countdown = Countdown(int(requests))
    countdown.over(Bucket, "call")
    countdown.over(Courier, "send")
    store = S3Store(Bucket(url), lease_seconds=float(lease))
    with KeyStore(Path(keys)).open() as keyring:
        act(Repository(store), keyring, word)


if __name__ == "__main__":
    main(*sys.argv[1:])
