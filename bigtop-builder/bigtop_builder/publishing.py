# SPDX-License-Identifier: Apache-2.0
"""From a verified release to the repository: its packages, and the keyring package that hosts trust it by."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bigtop_builder.artifact import Deb, read_deb
from bigtop_builder.keys import KeyStore
from bigtop_builder.manifest import Manifest
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import keyring_package, layout
from bigtop_builder.repository.definition import Definition
from bigtop_builder.repository.keyring_package import KeyringPackage
from bigtop_builder.repository.publish import Published, Repository
from bigtop_builder.verify.verdict import Verdict
from bigtop_builder.workspace import Project


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A project's repository: its definition, where it lies, and the keys that sign it.

    Attributes:
        definition: `repo/repository.toml`.
        path: That file.
        folder: Where the repository lies.
        store: Keys of this site.
        passphrase: Of the keys; empty if they have none.
    """

    definition: Definition
    path: Path
    folder: Path
    store: KeyStore
    passphrase: str = ""

    def require_keys(self) -> None:
        """Raise before any work is done if nothing could be signed in the end.

        Raises:
            InputError: The definition names no key.
            SigningError: A key is not in the store, or cannot sign.
        """
        with self.keyring() as keyring:
            keyring.check(self.definition.keys)

    def packages_of(self, suite: str) -> list[Path]:
        """Files of all packages in a suite: what hosts have now. None if nothing was published yet."""
        repository = self.standing()
        state = repository.state if repository else None
        pointer = state.pointer(suite) if state else None
        if state is None or pointer is None:
            return []
        indices = state.snapshot(pointer.snapshot).components.get(self.definition.component, {})
        names = {stanza.filename for index in indices.values() for stanza in state.packages(index)}
        return sorted(self.folder / name for name in names)

    @contextmanager
    def keyring(self) -> Iterator[Keyring]:
        """A keyring with the keys that the definition names.

        Raises:
            InputError: The definition names none.
            SigningError: One is not in the store.
        """
        self.definition.require_keys(self.path)
        with self.store.open(self.definition.keys, passphrase=self.passphrase) as keyring:
            yield keyring

    def standing(self) -> Repository | None:
        """The repository as it is, for reading; None if it was not made yet."""
        there = (self.folder / layout.SETTINGS).is_file()
        return Repository.open(self.folder) if there else None

    def open(self, keyring: Keyring) -> Repository:
        """The repository, made if it is not there, with all its suites."""
        definition = self.definition
        repository = Repository.init(
            self.folder,
            origin=definition.origin,
            label=definition.label,
            keyring=keyring,
            fingerprints=definition.keys,
        )
        for suite in definition.suites:
            repository.define(suite, definition.settings_of(suite))
        return repository


def load_archive(project: Project, *, folder: Path | None, store: KeyStore, passphrase: str = "") -> Archive:
    """Read a project's repository definition.

    Args:
        project: The project.
        folder: Where the repository lies, in place of the definition's `storage`.
        store: Keys of this site.
        passphrase: Of the keys.

    Raises:
        InputError: The definition is missing or malformed.
    """
    definition = Definition.from_toml(project.definition)
    return Archive(
        definition=definition,
        path=project.definition,
        folder=folder or project.root / definition.storage,
        store=store,
        passphrase=passphrase,
    )


def publish(
    archive: Archive, suite: str, *, packages: Path, verdict: Verdict, manifest: Manifest, why: str
) -> Published:
    """Publish what a verdict lets in, with the keyring package, into a suite.

    Raises:
        InputError: The definition has no such suite.
        SigningError: No key, or one that cannot sign.
        PublishError: The repository refused a package; nothing was switched.
    """
    archive.definition.settings_of(suite)
    debs = [read_deb(packages / package.file) for package in verdict.packages if not package.not_published]
    with archive.keyring() as keyring, tempfile.TemporaryDirectory(prefix="bb-keyring-") as scratch:
        repository = archive.open(keyring)
        trust = keyring_deb(archive, keyring, repository, Path(scratch))
        return repository.add(
            suite,
            [*debs, trust],
            component=archive.definition.component,
            keyring=keyring,
            verdicts=[verdict],
            manifest=manifest.to_json().encode(),
            why=why,
        )


def keyring_deb(archive: Archive, keyring: Keyring, repository: Repository | None, folder: Path) -> Deb:
    """Build the archive-keyring package.

    Its version is the day of the newest key and a number, which grows when anything else in it changes: the
    repository is asked which bytes each number has.

    Raises:
        SigningError: A key is missing or expired.
    """
    definition = archive.definition
    newest = max(key.created for key in keyring.check(definition.keys))
    package = KeyringPackage(
        origin=definition.origin,
        keys=keyring.export_public(definition.keys, armor=False),
        url=definition.url,
        suites=definition.hosts,
        components=(definition.component,),
        version="0",
        date=newest,
        maintainer=definition.maintainer,
    )
    number = 0
    while True:
        number += 1
        version = f"{newest:%Y%m%d}.{number}"
        built = read_deb(keyring_package.build(replace(package, version=version), folder))
        there = layout.pool_file(definition.component, built.name, version, "all")
        if repository is None or repository.store.size(there) is None:
            return built
        if repository.store.sha256(there) == built.sha256:
            return built
