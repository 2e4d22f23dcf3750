# SPDX-License-Identifier: Apache-2.0
"""Hosts that update without a pause, over HTTP, while packages are published all the time."""

import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from commands import PACKAGE
from slow import slowed
from stage import BY_HASH, Stage, served
from sweep import EXHAUSTIVE

from apt_host import AptHost, write_deb
from bigtop_builder.artifact import read_deb
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository.publish import Repository

PUBLISHES = 200 if EXHAUSTIVE else 20
PAUSE = 0.15
"""Seconds between publishes, as the peers were measured."""
LATENCIES = (0.0, 0.02)
"""Seconds by which each request comes later."""


@dataclass(kw_only=True)
class Client:
    """A host that updates in a loop.

    Attributes:
        host: Apt.
        name: For people.
        by_hash: `yes` or `no`.
        quiet: Held while nothing is to be published.
        anew: It forgets all before each update, so that it fetches every file: what it follows never changes.
        updates: How many it did.
        failures: What apt said each time that it failed.
        stuck: What apt said where the same update failed once more.
    """

    host: AptHost
    name: str
    by_hash: str
    quiet: threading.Lock
    anew: bool
    updates: int = 0
    failures: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    def loop(self, done: threading.Event) -> None:
        """Update until done."""
        while not done.is_set():
            self.updates += 1
            if self.anew:
                shutil.rmtree(self.host.lists)
                (self.host.lists / "partial").mkdir(parents=True)
            if said := self._failure():
                self.failures.append(said)
                with self.quiet:  # the same update must not cross the next switch
                    again = self._failure()
                self.stuck += [again] if again else []

    def _failure(self) -> str:
        tried = self.host.apt("update", f"-oAcquire::By-Hash={self.by_hash}", "-eany", check=False)
        return tried.text + tried.complaint if tried.returncode else ""

    def __str__(self) -> str:
        return f"{self.name}, by-hash {self.by_hash}: {len(self.failures)} of {self.updates} updates failed"


@dataclass(kw_only=True)
class Publisher:
    """Publishes as fast as it can: its clock goes a second a publish, so that no Date runs ahead of the hosts'.

    Attributes:
        root: The repository.
        folder: Where its packages are.
        keyring: Its keys.
    """

    root: Path
    folder: Path
    keyring: Keyring
    number: int = 0
    start: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(seconds=PUBLISHES + 60))

    def publish(self) -> None:
        """Publish the next version."""
        self.number += 1
        repository = Repository(
            Repository.open(self.root).store, clock=lambda: self.start + timedelta(seconds=self.number)
        )
        deb = write_deb(self.folder, PACKAGE, str(self.number))
        assert repository.add("stable", [read_deb(deb)], keyring=self.keyring).changed


@pytest.fixture(scope="module")
def clients(
    stage: Stage, tmp_path_factory: pytest.TempPathFactory, figures: list[str]
) -> Iterator[list[Client]]:
    """Hosts that have updated in a loop during all publishes: of each suite, latency and way."""
    folder = tmp_path_factory.mktemp("busy")
    quiet, done = threading.Lock(), threading.Event()
    with KeyStore(stage.keys).open() as keyring, ExitStack() as stack:
        fingerprints = KeyStore(stage.keys).fingerprints()
        root = folder / "repository"
        Repository.init(root, origin="Busy", keyring=keyring, fingerprints=fingerprints)
        publisher = Publisher(root=root, folder=folder, keyring=keyring)
        publisher.publish()
        url = stack.enter_context(served(stage, root, folder / "said"))
        key = keyring.export_public(fingerprints, armor=False)
        found = []
        for suite in ("stable", *snapshot_suites(root)[:1]):
            for latency in LATENCIES:
                way = stack.enter_context(slowed(url, latency)) if latency else url
                for by_hash in BY_HASH:
                    place = folder / f"{suite}-{latency}-{by_hash}"
                    host = AptHost.following(place, url=way, suite=suite, key=key)
                    kind = suite.partition("-")[0]
                    name = f"{kind}, {latency * 1000:.0f} ms"
                    anew = kind == "snapshot"
                    found.append(Client(host=host, name=name, by_hash=by_hash, quiet=quiet, anew=anew))
        threads = [threading.Thread(target=client.loop, args=(done,)) for client in found]
        for thread in threads:
            thread.start()
        try:
            for _ in range(PUBLISHES):
                with quiet:
                    publisher.publish()
                time.sleep(PAUSE)
        finally:
            done.set()
            for thread in threads:
                thread.join()
        figures += [f"{PUBLISHES} publishes, {client}" for client in found]
        yield found


def snapshot_suites(root: Path) -> Sequence[str]:
    """Suites that are one snapshot each."""
    return sorted(path.name for path in root.glob("dists/snapshot-*"))


def test_by_hash_no_update_ever_fails_while_packages_are_published(clients: list[Client]) -> None:
    by_hash = [client for client in clients if client.by_hash == "yes"]
    assert [client.failures for client in by_hash] == [[] for _ in by_hash]
    assert sum(client.updates for client in by_hash) >= PUBLISHES


def test_without_by_hash_an_update_that_crosses_a_switch_passes_when_it_is_repeated(
    clients: list[Client],
) -> None:
    assert [client.stuck for client in clients] == [[] for _ in clients]


def test_a_snapshot_suite_never_fails_either_way(clients: list[Client]) -> None:
    of_snapshots = [client for client in clients if client.anew]
    assert {client.by_hash for client in of_snapshots} == set(BY_HASH)
    assert [client.failures for client in of_snapshots] == [[] for _ in of_snapshots]
    assert sum(client.updates for client in of_snapshots) >= PUBLISHES
