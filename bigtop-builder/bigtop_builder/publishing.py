# SPDX-License-Identifier: Apache-2.0
"""From a verified release to the repository: its packages, and the keyring package that hosts trust it by."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from debian.debian_support import NativeVersion

from bigtop_builder.artifact import Deb, read_deb
from bigtop_builder.errors import InputError, PublishError
from bigtop_builder.keys import KeyStore
from bigtop_builder.manifest import Manifest
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import keyring_package, layout, source_pool
from bigtop_builder.repository.definition import Definition
from bigtop_builder.repository.founding import choose_indices, let_snapshots_expire
from bigtop_builder.repository.gate import Gate
from bigtop_builder.repository.index.packages import Stanza
from bigtop_builder.repository.key_expiry import require_lasting
from bigtop_builder.repository.keyring_package import Given, KeyringPackage
from bigtop_builder.repository.publish import CLOSED, Repository
from bigtop_builder.repository.published import Published
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store import Held, open_store
from bigtop_builder.source_package import sort_out
from bigtop_builder.verify.older import Indexed
from bigtop_builder.verify.verdict import Verdict
from bigtop_builder.workspace import Project


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A project's repository: its definition, where it lies, and the keys that sign it.

    Attributes:
        definition: `repo/repository.toml`.
        path: That file.
        folder: Where the repository lies: a folder, or `s3://bucket/prefix`.
        store: Keys of this site.
        passphrase: Of the keys; empty if they have none.
    """

    definition: Definition
    path: Path
    folder: str | Path
    store: KeyStore
    passphrase: str = ""

    def require_keys(self) -> None:
        """Raise before any work is done if nothing could be signed in the end.

        Raises:
            InputError: The definition names no key.
            SigningError: A key is not in the store, or cannot sign.
        """
        with self.keyring() as keyring:
            require_lasting(keyring.check(self.definition.keys), now=datetime.now(UTC), valid_days=None)

    @property
    def on_disk(self) -> Path:
        """The folder of a repository on disk.

        Raises:
            InputError: It lies elsewhere.
        """
        if isinstance(self.folder, Path):
            return self.folder
        raise InputError(f"{self.folder} is no folder of this machine", hint="give one with --repo")

    def packages_of(self, suite: str, copies: Path) -> list[Indexed]:
        """All packages in a suite, by its index: what hosts have now. None if nothing was published yet.

        Args:
            suite: The suite.
            copies: Where packages of a repository that lies elsewhere are kept.
        """
        repository = self.standing()
        state = repository.state if repository else None
        pointer = state.unverified_pointer(suite) if state else None
        if state is None or pointer is None:
            return []
        indices = state.snapshot(pointer.snapshot).components.get(self.definition.component, {})
        found = {one.filename: one for index in indices.values() for one in state.packages(index)}
        return [
            Indexed(
                name=one.name,
                version=one.version,
                sha256=one.sha256,
                bring=partial(_bring, state, one, copies),
            )
            for _, one in sorted(found.items())
        ]

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
        there = open_store(self.folder).size(layout.SETTINGS) is not None
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
            forms=definition.forms,
        )
        self.tune(repository)
        return repository

    def tune(self, repository: Repository) -> None:
        """Make a repository's suites and rules what the definition says; its fixed settings stay."""
        there = repository.state.settings()
        for suite in self.definition.suites:
            if there.suites.get(suite) != self.definition.settings_of(suite):
                repository.define(suite, self.definition.settings_of(suite))
        indices = {name: getattr(self.definition, name) for name in ("forms", "contents", "translations")}
        if any(getattr(there, name) != value for name, value in indices.items()):
            with repository.state.lock():
                choose_indices(repository.state, **indices)
        if there.snapshot_days != self.definition.snapshot_days:
            with repository.state.lock():
                let_snapshots_expire(repository.state, self.definition.snapshot_days)


def _bring(state: State, one: Stanza, copies: Path) -> Path:
    return state.store.local({one.filename: Held(size=one.size, sha256=one.sha256)}, copies)[0]


def load_archive(
    project: Project, *, folder: str | Path | None, store: KeyStore, passphrase: str = ""
) -> Archive:
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
    place = definition.storage if "://" in definition.storage else project.root / definition.storage
    return Archive(
        definition=definition,
        path=project.definition,
        folder=folder or place,
        store=store,
        passphrase=passphrase,
    )


def publish(
    archive: Archive,
    suite: str,
    *,
    packages: Path,
    verdict: Verdict,
    manifest: Manifest,
    why: str,
    gate: Gate = CLOSED,
    left: Iterable[Path] = (),
) -> Published:
    """Publish what a verdict lets in, with the keyring package, into a suite.

    A package that one of the release's components had when it was last published there, and has no more, has
    vanished or was renamed: it stays in the suite, but gets no newer version.

    Args:
        archive: The repository.
        suite: The suite.
        packages: Folder of the .debs.
        verdict: What verification said of them.
        manifest: The release's.
        why: Reason for the history.
        gate: What hosts may lose.
        left: Source packages, .changes and .buildinfo that the builds left.

    Raises:
        InputError: The definition has no such suite.
        SigningError: No key, or one that cannot sign.
        PublishError: The repository refused a package; nothing was switched.
    """
    archive.definition.settings_of(suite)
    debs = [read_deb(packages / package.file) for package in verdict.packages if not package.not_published]
    beside = sort_out(left)[1]
    with archive.keyring() as keyring, tempfile.TemporaryDirectory(prefix="bb-keyring-") as scratch:
        repository = archive.open(keyring)
        trust = keyring_deb(archive, keyring, repository, Path(scratch))
        component = archive.definition.component
        names = {deb.source for deb in debs}
        sources = [one for one in beside.sources if one.name in names]
        fitting = source_pool.fitting(repository.state, sources, component=component)
        return repository.add(
            suite,
            [*debs, trust],
            component=component,
            beside=replace(beside, sources=fitting),
            keyring=keyring,
            verdicts=[verdict],
            manifest=manifest.to_json().encode(),
            gate=gate,
            expected=_expected(repository.state, suite, manifest),
            why=why,
        )


def _expected(state: State, suite: str, manifest: Manifest) -> set[str]:
    """Packages that the manifest's components had when they were last published to a suite."""
    pointer = state.unverified_pointer(suite)
    past = state.snapshot(pointer.snapshot).manifests if pointer else ()
    wanted = {component.name for component in manifest.components}
    names: set[str] = set()
    for path in map(layout.manifest_file, reversed(past)):
        text = state.store.read(path) if wanted else None
        old = Manifest.from_json(text, source=f"{state.store.name}/{path}") if text else None
        if old and old.target == manifest.target:
            again = [component for component in old.components if component.name in wanted]
            wanted -= {component.name for component in again}
            names |= {one.name for component in again for one in component.packages if not one.not_published}
    return names


def carried_keys(archive: Archive, repository: Repository) -> dict[str, list[frozenset[str]]]:
    """What keyring packages hosts of each published suite can have in the end, as their keys and parts that sign.

    These are the newest one in the suite, and each one above it that hosts came by otherwise: from another suite, or
    by hand, as far as this site knows (`Given`). apt takes none back. A suite that has no such package has none.
    """
    state = repository.state
    name = keyring_package.package_name(archive.definition.origin)
    handed = keyring_package.given(archive.store.folder, name)
    pooled = _pooled(archive, repository)
    carried: dict[str, list[frozenset[str]]] = {}
    with tempfile.TemporaryDirectory(prefix="bb-keyring-") as scratch:
        for suite, pointer in state.unverified_pointers(state.settings().suites).items():
            indices = (
                state.snapshot(pointer.snapshot).components.get(archive.definition.component, {}).values()
            )
            found = [one for index in indices for one in state.find(index, [name]) if one.name == name]
            if not found:
                carried[suite] = []
                continue
            newest = max(found, key=lambda one: NativeVersion(one.version))
            held = Held(size=newest.size, sha256=newest.sha256)
            above = {newest.filename: held} | {
                path: Held(size=repository.store.size(path) or 0, sha256=repository.store.sha256(path))
                for version, path in pooled.items()
                if NativeVersion(version) > NativeVersion(newest.version)
            }
            brought = state.store.local(above, Path(scratch))
            carried[suite] = [
                *(_keys_in(path, Path(scratch)) for path in brought),
                *(
                    one.keys
                    for one in handed
                    if NativeVersion(one.version) >= NativeVersion(newest.version)
                    and one.sha256 != newest.sha256
                ),
            ]
    return carried


def _keys_in(package: Path, scratch: Path) -> frozenset[str]:
    """Fingerprints of the keys in a keyring package, and of their parts whose signatures hosts take."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder, Keyring() as keyring:
        material = keyring_package.keys_of(package, Path(folder))
        fingerprints = keyring.import_key(material) if material else ()
        return frozenset({*fingerprints, *(part for one in fingerprints for part in keyring.key(one).taken)})


def _pooled(archive: Archive, repository: Repository) -> dict[str, str]:
    """Version -> path of each keyring package in the pool, lowest first."""
    name = keyring_package.package_name(archive.definition.origin)
    component = archive.definition.component
    names = repository.store.names(layout.pool_file(component, name, "0", "all").rpartition("/")[0])
    versions = keyring_package.versions_among(names, name)
    return {version: layout.pool_file(component, name, version, "all") for version in versions}


def hand_out(archive: Archive, keyring: Keyring, repository: Repository | None, folder: Path) -> Path:
    """Build the archive-keyring package for hosts that get it by hand, put it on record, and return its path.

    Args:
        archive: The repository's definition and keys.
        keyring: Holds its keys.
        repository: The repository; None if it was not made yet.
        folder: Where the package goes; made if it is not there. No file in it is overwritten.

    Raises:
        InputError: The definition is not what the repository is: it lacks a key.
        PublishError: Another file has the package's name.
        SigningError: A key is missing or expired.
        EnvironmentMissing: The record cannot be kept.
    """
    with tempfile.TemporaryDirectory(prefix="bb-keyring-") as scratch:
        deb = keyring_deb(archive, keyring, repository, Path(scratch))
        keys = _keys_in(deb.path, Path(scratch))
        keyring_package.record(
            archive.store.folder, deb.name, Given(version=deb.version, sha256=deb.sha256, keys=keys)
        )
        target = folder / deb.path.name
        folder.mkdir(parents=True, exist_ok=True)
        if target.exists():
            if target.read_bytes() != deb.path.read_bytes():
                raise PublishError(
                    f"{target} is there and is another file", hint="move it away, or name another folder"
                )
            return target
        beside = target.with_name(f".{target.name}.new")
        try:
            shutil.copyfile(deb.path, beside)
            return beside.rename(target)
        finally:
            beside.unlink(missing_ok=True)


def keyring_deb(archive: Archive, keyring: Keyring, repository: Repository | None, folder: Path) -> Deb:
    """Build the archive-keyring package.

    If it is what the newest one is, in the repository or given out by hand, it has that one's version. If not, its
    version is above all that are known and that any machine made before, and no other content can have it: see
    `repository.keyring_package`.

    Raises:
        InputError: The definition is not what the repository is: it lacks a key.
        SigningError: A key is missing or expired.
    """
    definition = archive.definition
    now = datetime.now(UTC)  # before the repository says its keys: a rotation after that is later
    if repository:
        _require_current(archive, repository)
    package = KeyringPackage(
        origin=definition.origin,
        keys=keyring.export_public(definition.keys, armor=False),
        url=definition.url,
        suites=definition.hosts,
        components=(definition.component,),
        version="0",
        date=max(key.created for key in keyring.check(definition.keys)),
        maintainer=definition.maintainer,
    )
    handed = keyring_package.given(archive.store.folder, package.name)
    pooled = _pooled(archive, repository) if repository else {}
    known = [*pooled, *(one.version for one in handed)]
    if known:
        newest = max(known, key=NativeVersion)
        built = read_deb(keyring_package.build(replace(package, version=newest), folder))
        hashes = {one.sha256 for one in handed if one.version == newest}
        if repository and newest in pooled:
            hashes.add(repository.store.sha256(pooled[newest]))
        if hashes == {built.sha256}:
            return built
        built.path.unlink()
    version = package.version_above(known, now=now)
    return read_deb(keyring_package.build(replace(package, version=version), folder))


def _require_current(archive: Archive, repository: Repository) -> None:
    """Raise if hosts that take a package with the definition's keys would not know all that sign."""
    keys = repository.state.settings().keys
    absent = [key for key in keys if key not in archive.definition.keys]
    if absent:
        raise InputError(
            f"{archive.path} does not name {', '.join(absent)}, which {repository.store.name} is signed with",
            hint=f"a keyring package without it would lock hosts out: take the newest {archive.path.name}, "
            "or complete the change of keys that repo check names",
        )
