# SPDX-License-Identifier: Apache-2.0
"""Repositories with a past, published once for all tests of a module; each test changes a copy."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.artifact import Deb
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository.publish import Repository


@dataclass(frozen=True)
class Past:
    """What is copied.

    Attributes:
        root: The repository, of one suite.
        ids: The suite's snapshots, oldest first; it points to the last one.
    """

    root: Path
    ids: list[str]

    @classmethod
    def of(cls, root: Path, store: KeyStore, keyring: Keyring, suite: str, debs: Iterable[Deb]) -> "Past":
        """Publish packages, one after the other."""
        keys = store.fingerprints()
        repository = Repository.init(root, origin="Ours", keyring=keyring, fingerprints=keys, sync=False)
        return cls(root, [repository.add(suite, [deb], keyring=keyring).snapshot for deb in debs])

    def into(self, repository: Repository) -> list[str]:
        """Give an empty repository of the same keys this past; the snapshots."""
        shutil.copytree(self.root, repository.store.name, symlinks=True, dirs_exist_ok=True)
        return self.ids
