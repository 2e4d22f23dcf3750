# SPDX-License-Identifier: Apache-2.0
"""Fixtures that tests of the repository share: a key, an empty repository, and the program about it."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository.publish import Repository
from bigtop_builder.run import Completed, run

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


@pytest.fixture
def repository(tmp_path: Path, store: KeyStore, keyring: Keyring) -> Repository:
    return Repository.init(
        tmp_path / "apt", origin="Ours", keyring=keyring, fingerprints=store.fingerprints(), sync=False
    )


@pytest.fixture
def tool(tmp_path: Path, store: KeyStore, repository: Repository) -> Tool:
    """The program, about the repository."""
    env = {"HOME": str(tmp_path), "BIGTOP_BUILDER_KEYS_DIR": str(store.folder)}
    argv = [sys.executable, "-m", "bigtop_builder", "repo"]
    where = ["--repo", repository.store.name]
    return lambda *words: run([*argv, *map(str, words), *where], env=env, cwd=tmp_path, check=False)
