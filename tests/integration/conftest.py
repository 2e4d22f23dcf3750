# SPDX-License-Identifier: Apache-2.0
"""Fixtures that tests of the repository share: a key, an empty repository, the program about it, S3."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from keepers_desk import Desk

from apt_host import write_deb
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.store.bucket import Bucket
from bigtop_builder.run import Completed, run
from forked import program
from s3_server import BUCKET, URL, Way, free_port, variables, way

Tool = Callable[..., Completed]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    store = KeyStore(tmp_path_factory.mktemp("keys"))
    store.new("Ann Bee", "ann@bee.example")
    return store


@pytest.fixture(scope="module")
def keyring(store: KeyStore) -> Iterator[Keyring]:
    with store.open() as keyring:
        yield keyring


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A key store, and its key's fingerprint."""
    folder = tmp_path_factory.mktemp("keys")
    argv = [sys.executable, "-m", "bigtop_builder", "key", "new", "Ann Bee", "ann@bee.example"]
    return folder, run(argv, env={"BIGTOP_BUILDER_KEYS_DIR": str(folder)}).text


@pytest.fixture
def deb(tmp_path: Path) -> Callable[..., Path]:
    """Makes packages, each once."""
    (tmp_path / "debs").mkdir()

    def make(name: str, version: str = "1", architecture: str = "all") -> Path:
        path = tmp_path / f"debs/{name}_{version}_{architecture}.deb"
        return (
            path if path.exists() else write_deb(tmp_path / "debs", name, version, architecture=architecture)
        )

    return make


@pytest.fixture
def repository(tmp_path: Path, store: KeyStore, keyring: Keyring) -> Repository:
    return Repository.init(
        tmp_path / "apt", origin="Ours", keyring=keyring, fingerprints=store.fingerprints(), sync=False
    )


@pytest.fixture
def tool(tmp_path: Path, store: KeyStore, repository: Repository) -> Tool:
    """The program, about the repository."""
    env = {"HOME": str(tmp_path), "BIGTOP_BUILDER_KEYS_DIR": str(store.folder)}
    where = ["--repo", repository.store.name]
    return lambda *words: program("repo", *words, *where, env=env, cwd=tmp_path)


@pytest.fixture(scope="module")
def moto() -> Iterator[int]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    port = server.get_host_and_port()[1]
    # What moto keeps outlives its server: another module may have left a repository.
    httpx.post(f"http://127.0.0.1:{port}/moto-api/reset").raise_for_status()
    yield port
    server.stop()


@pytest.fixture
def between(moto: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    with way(moto) as server:
        for name, value in variables(server.port).items():
            monkeypatch.setenv(name, value)
        client = Bucket(URL).client
        client.create_bucket(Bucket=BUCKET)
        yield server
        server.fault = lambda _method, _path: ""
        for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
            client.delete_object(Bucket=BUCKET, Key=found["Key"])
        client.delete_bucket(Bucket=BUCKET)


@pytest.fixture(scope="session")
def first_desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk.make(tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="session")
def first_founded(first_desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    founded = first_desk.copied(tmp_path_factory.mktemp("founded"))
    founded.found()
    return founded


@pytest.fixture
def desk(first_desk: Desk, tmp_path: Path) -> Desk:
    """A project with one key, whose repository is not made yet."""
    return first_desk.copied(tmp_path)


@pytest.fixture
def founded(first_founded: Desk, tmp_path: Path) -> Desk:
    """A project with one key, and its repository with a package in suite stable."""
    return first_founded.copied(tmp_path)
