# SPDX-License-Identifier: Apache-2.0
"""Publishers to S3 that lose their lease, and requests of theirs that come late (docs/decisions/0010).

A request that is held up in the way to the server is one that was sent before the lease was lost.
"""

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from apt_host import write_deb
from bigtop_builder.artifact import read_deb
from bigtop_builder.errors import BuilderError, PublishError
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import founding
from bigtop_builder.repository.gc import collect
from bigtop_builder.repository.layout import Retention, Settings
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.refresh import refresh
from bigtop_builder.repository.removal import remove
from bigtop_builder.repository.store import lease as leases
from bigtop_builder.repository.store.bucket import Bucket
from bigtop_builder.repository.store.s3 import S3Store
from bigtop_builder.run import run
from health import problems
from s3_server import BUCKET, URL, Server, Way, variables, versitygw, way

LEASE_SECONDS = 2.0
POOL = "pool/main/z/zoo/zoo_1_all.deb"
Deb = Callable[..., Path]


def publisher() -> Repository:
    """A publisher of its own, whose lease soon ends when it does not renew it."""
    return Repository(
        S3Store(Bucket(URL, attempts=2, seconds=20.0), lease_seconds=LEASE_SECONDS, patience=20.0)
    )


def stop_renewing(repository: Repository) -> None:
    assert isinstance(repository.store, S3Store)
    assert repository.store._lease
    repository.store._lease._ended.set()


class Held:
    """Holds up the first request of a kind on its way."""

    def __init__(self, way: Way, method: str, part: str) -> None:
        self.come, self.go = threading.Event(), threading.Event()
        self._first = iter([True])
        self._kind = method, part
        way.fault = self._fault

    def _fault(self, method: str, path: str) -> str:
        if method == self._kind[0] and self._kind[1] in path and next(self._first, False):
            self.come.set()
            assert self.go.wait(30)
        return ""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with versitygw(tmp_path_factory.mktemp("versitygw")) as server:
        yield server


@contextmanager
def published_through(port: int) -> Iterator[Way]:
    """A way to a server that all publishers go."""
    with way(port) as between, pytest.MonkeyPatch.context() as patch:
        for name, value in variables(between.port).items():
            patch.setenv(name, value)
        yield between


@pytest.fixture
def between(server: Server) -> Iterator[Way]:
    with published_through(server.port) as between:
        yield between
    shutil.rmtree(place(server))


def begun(store: KeyStore, keyring: Keyring) -> Repository:
    made = publisher()
    settings = Settings(origin="Ours", label="Ours", keys=tuple(store.fingerprints()))
    founding.begin(made.state, settings, keyring)
    return made


@pytest.fixture
def repository(between: Way, store: KeyStore, keyring: Keyring) -> Repository:
    assert between
    return begun(store, keyring)


@pytest.fixture(scope="module")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Deb:
    """Makes packages, each once."""
    folder = tmp_path_factory.mktemp("debs")
    return cache(lambda name: write_deb(folder, name, "1"))


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, server: Server, store: KeyStore, keyring: Keyring, deb: Deb
) -> Path:
    """What the server keeps of a repository of which gc removes a package, to be copied."""
    with published_through(server.port):
        repository = begun(store, keyring)
        repository.add("stable", [read_deb(deb("zoo")), read_deb(deb("ape"))], keyring=keyring)
        remove(repository, "stable", ["zoo"], keyring=keyring)
        repository.add("stable", [read_deb(deb("bee"))], keyring=keyring)
    kept = tmp_path_factory.mktemp("made") / "kept"
    return Path(shutil.move(place(server), kept))


def place(server: Server) -> Path:
    """Where the server keeps the repository."""
    return server.folder / BUCKET / Bucket(URL).prefix


@pytest.fixture
def unneeded(made: Path, server: Server, repository: Repository) -> Repository:
    """A repository of which gc removes a package."""
    shutil.copytree(made, place(server), dirs_exist_ok=True)
    return repository


def let_go(repository: Repository, keyring: Keyring) -> None:
    later = datetime.now(UTC) + timedelta(days=3)
    collect(repository.state, keyring=keyring, clock=lambda: later, rules=Retention(keep=1))


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def names(repository: Repository) -> set[str]:
    pointer = repository.state.unverified_pointer("stable")
    assert pointer
    index = repository.state.snapshot(pointer.snapshot).components["main"]["amd64"]
    return {one.name for one in repository.state.packages(index)}


@pytest.mark.usefixtures("unneeded")
def test_a_removal_that_comes_late_takes_nothing_that_is_published_meanwhile(
    between: Way,
    keyring: Keyring,
    deb: Deb,
    threads: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late = timedelta(seconds=8)
    monkeypatch.setattr(leases, "LATE", late)
    collecting = publisher()
    held = Held(between, "DELETE", POOL)
    ending = threads.submit(let_go, collecting, keyring)
    assert held.come.wait(30)
    stop_renewing(collecting)
    other = publisher()
    assert other.add("stable", [read_deb(deb("dog"))], keyring=keyring).changed
    begun = time.monotonic()
    with pytest.raises(
        PublishError, match=rf"{POOL} was being removed by .*\n.*\nhint: .* after \d\d:\d\d UTC"
    ):
        other.add("stable", [read_deb(deb("zoo"))], keyring=keyring)
    held.go.set()
    with pytest.raises(PublishError, match="could not be renewed in time"):
        ending.result()
    assert other.store.size(POOL) is None
    assert names(other) == {"ape", "bee", "dog"}
    let_go(publisher(), keyring)
    time.sleep(max(0.0, begun + late.total_seconds() - time.monotonic()))
    other.add("stable", [read_deb(deb("zoo"))], keyring=keyring)
    let_go(other, keyring)
    assert names(other) == {"ape", "bee", "dog", "zoo"}
    assert problems(other.state) == ()
    assert other.store.names("state/condemned") == ()


STOPPED = """
import os, signal, sys
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from bigtop_builder.keys import KeyStore
from bigtop_builder.repository.gc import collect
from bigtop_builder.repository.layout import Retention
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store.bucket import Bucket
from bigtop_builder.repository.store.s3 import S3Store
real = Bucket.call
def call(self, operation, path, **words):
    if operation == "delete_object" and path.startswith("pool/"):
        Path(sys.argv[3]).write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGSTOP)
    return real(self, operation, path, **words)
Bucket.call = call
state = State(S3Store(Bucket(sys.argv[1], attempts=2, seconds=5.0), lease_seconds=2.0))
later = datetime.now(UTC) + timedelta(days=3)
with KeyStore(Path(sys.argv[2])).open() as keyring:
    collect(state, keyring=keyring, clock=lambda: later, rules=Retention(keep=1))
"""


def test_a_gc_that_was_stopped_removes_nothing_after_another_publisher_took_its_lease(
    unneeded: Repository,
    store: KeyStore,
    keyring: Keyring,
    deb: Deb,
    tmp_path: Path,
    threads: ThreadPoolExecutor,
) -> None:
    told = tmp_path / "stopped"
    argv = [sys.executable, "-c", STOPPED, URL, str(store.folder), str(told)]
    ending = threads.submit(run, argv, check=False)
    until = time.monotonic() + 30
    while not (told.exists() and told.read_text()) and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(LEASE_SECONDS + 0.5)
    other = publisher()
    assert other.add("stable", [read_deb(deb("dog"))], keyring=keyring).changed
    os.kill(int(told.read_text()), signal.SIGCONT)
    ended = ending.result()
    assert ended.returncode
    assert "could not be renewed in time" in ended.complaint
    assert other.store.size(POOL)
    assert problems(unneeded.state) == ()


@pytest.mark.parametrize("part", ["releases/stable/2/InRelease", POOL])
def test_a_write_that_comes_late_is_not_over_what_another_publisher_has_written(
    repository: Repository,
    between: Way,
    keyring: Keyring,
    deb: Deb,
    tmp_path: Path,
    threads: ThreadPoolExecutor,
    part: str,
) -> None:
    repository.add("stable", [read_deb(deb("ape"))], keyring=keyring)
    slow, other = publisher(), publisher()
    held = Held(between, "PUT", part)
    ending = threads.submit(slow.add, "stable", [read_deb(deb("zoo"))], keyring=keyring)
    assert held.come.wait(30)
    stop_renewing(slow)
    (tmp_path / "other").mkdir()
    named = "zoo" if part == POOL else "bee"
    theirs = write_deb(tmp_path / "other", named, "1", data=b"other bytes\n")
    done = other.add("stable", [read_deb(theirs)], keyring=keyring)
    held.go.set()
    with pytest.raises(PublishError, match="could not be renewed in time"):
        ending.result()
    entry = other.state.entry("stable", 2)
    assert entry
    assert (entry.after, [one.name for one in entry.added]) == (done.snapshot, [named])
    assert problems(other.state) == ()


def test_what_a_killed_publisher_left_is_written_over(
    repository: Repository, keyring: Keyring, deb: Deb
) -> None:
    left = ("releases/stable/1/InRelease", "releases/stable/1/Release.gpg", "state/history/stable/1.json.asc")
    for path in left:
        Bucket(URL).write(path, b"")
    Bucket(URL).write("pool/main/b/bee/bee_1_all.deb", deb("bee").read_bytes())
    with pytest.raises(BuilderError, match="releases/stable/1/InRelease is damaged"):
        repository.add("stable", [read_deb(deb("bee"))], keyring=keyring)
    Bucket(URL).remove(left[:1])
    repository.add("stable", [read_deb(deb("bee"))], keyring=keyring)
    assert problems(repository.state) == ()


@pytest.fixture
def without_conditions(moto: int) -> Iterator[None]:
    """A server that ignores conditions: moto's, which does not mind that they are taken out of signed requests."""
    with published_through(moto) as between:
        Bucket(URL).client.create_bucket(Bucket=BUCKET)
        between.fault = lambda method, _path: "bare" if method == "PUT" else ""
        yield


@pytest.mark.usefixtures("without_conditions")
def test_of_two_at_once_where_conditions_are_ignored_none_is_lost_that_was_said_to_be_done(
    store: KeyStore, keyring: Keyring, deb: Deb
) -> None:
    repository = begun(store, keyring)
    said: dict[str, str] = {}

    def publish(name: str, start: threading.Barrier) -> None:
        one = publisher()
        assert isinstance(one.store, S3Store)
        assert not one.store.abilities.conditional
        package = [read_deb(deb(name))]
        with store.open() as own:
            start.wait()
            try:
                one.add("stable", package, keyring=own, new_suite=True)
            except PublishError as error:
                said[name] = error.brief

    for turn in range(2):
        start = threading.Barrier(2)
        both = [f"a{turn}", f"b{turn}"]
        for name in both:
            deb(name)
        running = [threading.Thread(target=publish, args=(name, start)) for name in both]
        for one in running:
            one.start()
        for one in running:
            one.join()
        done = set(both) - said.keys()
        assert done
        assert done <= names(repository)
    assert all("is being published to by" in one for one in said.values())
    assert problems(repository.state) == ()


# A switch that fails


def test_a_switch_that_fails_puts_back_what_hosts_without_by_hash_read(
    repository: Repository, between: Way, keyring: Keyring, deb: Deb
) -> None:
    repository.add("stable", [read_deb(deb("zoo"))], keyring=keyring)
    failing = Repository(S3Store(Bucket(URL, attempts=1, seconds=5.0)))
    broken = False

    def fault(method: str, path: str) -> str:
        nonlocal broken
        signing = method == "PUT" and path.endswith("dists/stable/InRelease")
        broken = broken or (signing and lasting)
        return "500" if signing or broken else ""

    between.fault = fault
    for lasting in (False, True):
        with pytest.raises(PublishError, match=r"dists/stable/InRelease: the store answered 500"):
            failing.add("stable", [read_deb(deb("ape"))], keyring=keyring)
        if not lasting:
            assert problems(repository.state) == ()
    between.fault = lambda _method, _path: ""
    found = [one for one in problems(repository.state) if one.startswith("dists/stable/main/")]
    assert found
    assert all("bigtop-builder repo refresh stable copies it anew" in one for one in found)
    refresh(publisher(), ["stable"], keyring=keyring)
    assert problems(repository.state) == ()
    assert names(repository) == {"zoo"}


def test_who_may_read_and_not_write_is_told_and_can_still_look(
    repository: Repository, between: Way, keyring: Keyring, deb: Deb
) -> None:
    repository.add("stable", [read_deb(deb("zoo"))], keyring=keyring)
    between.fault = lambda method, _path: "403" if method in {"PUT", "POST", "DELETE"} else ""
    reader = publisher()
    with pytest.raises(
        PublishError, match=r"AccessDenied \(403\)\nhint: let the credentials .*PutObject"
    ) as caught:
        reader.add("stable", [read_deb(deb("ape"))], keyring=keyring)
    assert URL in caught.value.brief
    assert not reader.add("stable", [read_deb(deb("zoo"))], keyring=keyring).changed
    assert problems(reader.state) == ()
    assert names(reader) == {"zoo"}
