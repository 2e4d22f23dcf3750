# SPDX-License-Identifier: Apache-2.0
"""Snapshots, withdrawal, refresh, gc and mirrors on a real S3 server, which has no links and copies instead."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from apt_host import AptHost, write_deb
from bigtop_builder.artifact import read_deb
from bigtop_builder.errors import CheckFailed, PublishError
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout
from bigtop_builder.repository.check import examine
from bigtop_builder.repository.export import export
from bigtop_builder.repository.gc import collect
from bigtop_builder.repository.layout import Retention
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.refresh import refresh
from bigtop_builder.repository.retirement import retire
from bigtop_builder.repository.store import open_store
from bigtop_builder.repository.store.s3 import S3Store
from bigtop_builder.repository.withdraw import withdraw
from s3_server import BUCKET, Server, variables, versitygw


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with versitygw(tmp_path_factory.mktemp("versitygw")) as server:
        yield server


@pytest.fixture
def keyring(tmp_path: Path) -> Iterator[Keyring]:
    store = KeyStore(tmp_path / "keys")
    store.new("Ann Bee", "ann@bee.example")
    with store.open() as keyring:
        yield keyring


@pytest.fixture
def repository(
    server: Server, keyring: Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Repository:
    """An empty one on the server."""
    for name, value in variables(server.port).items():
        monkeypatch.setenv(name, value)
    url = f"s3://{BUCKET}/{tmp_path.name}"
    return Repository.init(url, origin="Ours", keyring=keyring, fingerprints=[keyring.keys()[0].fingerprint])


def add(repository: Repository, keyring: Keyring, folder: Path, version: str) -> str:
    deb = read_deb(write_deb(folder, "zoo", version))
    return repository.add("stable", [deb], keyring=keyring).snapshot


def _killed(*_: object, **_words: object) -> None:
    raise KeyboardInterrupt


def test_what_is_done_to_snapshots_on_a_disk_is_done_on_s3(
    repository: Repository, keyring: Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = repository.state
    ids = [add(repository, keyring, tmp_path, version) for version in "1234"]
    assert withdraw(repository, ids[2], keyring=keyring, why="bad").changed
    with pytest.raises(PublishError, match="is withdrawn"):
        repository.rollback("stable", keyring=keyring)
    assert repository.rollback("stable", to=ids[1], keyring=keyring).changed
    assert len(refresh(repository, keyring=keyring, everything=True)) == 6
    assert examine(state, now=datetime.now(UTC)).problems == ()
    assert examine(state, now=datetime.now(UTC)).warnings == ()

    later = datetime.now(UTC) + timedelta(days=2)
    mirror = tmp_path / "mirror"
    assert export(state, open_store(mirror), suites=["stable"], now=later).files
    host = AptHost.following(
        tmp_path / "host",
        url=f"file://{mirror}",
        suite="stable",
        key=keyring.export_public(state.settings().keys, armor=False),
    )
    host.update()
    assert host.install("zoo") == "2"
    there = open_store(f"{repository.store.name}-mirror")
    with monkeypatch.context() as patch:
        patch.setattr(S3Store, "switch", _killed)
        with pytest.raises(KeyboardInterrupt):
            export(Repository.open(mirror).state, there, suites=["stable"], now=later)
    assert not there.names("dists")
    export(Repository.open(mirror).state, there, suites=["stable"], now=later)
    assert "stable" in there.names("dists")
    assert export(state, there, suites=["stable"], now=later).files == 0
    assert examine(Repository(there).state, now=later).problems == ()

    done = collect(state, keyring=keyring, clock=lambda: later, rules=Retention(keep=1))
    # The suite points to the second one, and can go back to the first.
    assert set(done.snapshots) == set(ids[2:])
    assert examine(state, now=later).problems == ()
    assert not [one for one in repository.store.walk("dists") if layout.snapshot_suite(ids[3]) in one.path]
    by_hash = [one.path for one in repository.store.walk("by-hash")]
    copies = [one.path for one in repository.store.walk("dists/stable") if "by-hash/SHA256" in one.path]
    assert {path.rpartition("/")[2] for path in copies} == {path.rpartition("/")[2] for path in by_hash}
    again = collect(state, keyring=keyring, clock=lambda: later, rules=Retention(keep=1))
    assert again.count == 0


def test_a_suite_that_was_lost_on_s3_is_brought_back_by_a_refresh(
    repository: Repository, keyring: Keyring, tmp_path: Path
) -> None:
    for version in "12":
        add(repository, keyring, tmp_path, version)
    for serial, lost in ((3, ""), (4, "InRelease")):
        there = [one.path for one in repository.store.walk("dists/stable")]
        repository.store.remove([path for path in there if path.endswith(lost)])
        (told,) = examine(repository.state, now=datetime.now(UTC)).problems
        assert "dists/stable/InRelease is missing" in told
        with pytest.raises(CheckFailed, match="InRelease is missing"):
            add(repository, keyring, tmp_path, "9")
        assert [one.serial for one in refresh(repository, ["stable"], keyring=keyring)] == [serial]
        assert examine(repository.state, now=datetime.now(UTC)).problems == ()


def test_a_suite_is_retired_on_s3_wherever_it_is_cut_off(
    repository: Repository, keyring: Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = repository.state
    for version in "12":
        add(repository, keyring, tmp_path, version)
    remove = S3Store.remove
    for cut_off in ("Release", "InRelease", ""):

        def killed(store: S3Store, paths: Collection[str], cut_off: str = cut_off) -> None:
            if not cut_off and not {"dists/stable/Release", "dists/stable/InRelease"} & set(paths):
                raise KeyboardInterrupt
            remove(store, paths)
            if cut_off and f"dists/stable/{cut_off}" in paths:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(S3Store, "remove", killed)
            with pytest.raises(KeyboardInterrupt):
                retire(repository, "stable", keyring=keyring)
        there = {one.path for one in repository.store.walk("dists/stable")}
        assert ("dists/stable/InRelease" in there) is (cut_off == "Release")
        assert "dists/stable/Release" not in there
        assert examine(state, now=datetime.now(UTC)).problems == ()
        (told,) = examine(state, now=datetime.now(UTC)).warnings
        assert "repo retire stable completes it" in told
    assert retire(repository, "stable", keyring=keyring).changed
    assert not list(repository.store.walk("dists/stable"))
    assert examine(state, now=datetime.now(UTC)).warnings == ()
    assert retire(repository, "stable", keyring=keyring).changed is False
    deb = read_deb(write_deb(tmp_path, "zoo", "3"))
    assert repository.add("stable", [deb], keyring=keyring, new_suite=True).serial == 4
    assert examine(state, now=datetime.now(UTC)).problems == ()
