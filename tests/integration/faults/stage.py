# SPDX-License-Identifier: Apache-2.0
"""A repository with a past, made once; copies of it for commands to be killed in; hosts that read the copies."""

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hook
from commands import EMPTY, FULL, OLD, PACKAGE, READS, RICH, SOURCED, SOURCES_TOO, Command

from apt_host import AptHost, write_deb
from bigtop_builder.artifact import read_deb, read_debs
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository.founding import choose_indices
from bigtop_builder.repository.layout import FORMS, SuiteSettings
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.removal import remove
from bigtop_builder.repository.serve import serve
from bigtop_builder.run import run
from bigtop_builder.source_package import sort_out
from debian_source import write_record, write_source
from forked import SECONDS, start, status
from health import problems

TOOL = Path(sys.executable).with_name("bigtop-builder")
METHODS = ("file", "http")
BY_HASH = ("yes", "no")
AGE = timedelta(days=3)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A command that ran to its end or was killed.

    Attributes:
        status: Exit status; negative for a signal.
        said: What it printed.
    """

    status: int
    said: str


@dataclass(frozen=True)
class Stage:
    """Keys and the repositories to copy. Made once for all tests.

    Attributes:
        folder: Where all of it is.
    """

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> "Stage":
        """Build it."""
        stage = cls(folder)
        # A key of yesterday: publishers whose clock is behind must be able to use it.
        words = ["faketime", "-f", "-1d", str(TOOL), "key", "new", "Ann Bee", "ann@bee.example"]
        run(words, env={"BIGTOP_BUILDER_KEYS_DIR": str(stage.keys)})
        (folder / "debs").mkdir()
        for version in ("1", "2", "3", "4"):
            write_deb(folder / "debs", PACKAGE, version)
            stage.write_build(version)
        for name in ("aardvark", "zebra"):
            write_deb(folder / "debs", name, "1")
        with KeyStore(stage.keys).open() as keyring:
            for base in (EMPTY, FULL):
                Repository.init(
                    folder / base,
                    origin="Test",
                    keyring=keyring,
                    fingerprints=KeyStore(stage.keys).fingerprints(),
                )
            repository = Repository.open(folder / FULL)
            others = [read_deb(stage.deb(name, "1")) for name in ("aardvark", "zebra")]
            for version in ("1", "2"):
                repository.add("stable", [read_deb(stage.deb(PACKAGE, version)), *others], keyring=keyring)
            repository.define("testing", SuiteSettings(codename="testing"))
            repository.add("testing", [read_deb(stage.deb(PACKAGE, "3")), *others], keyring=keyring)
            stage.grow_old(keyring)
            for base in (SOURCED, RICH):
                stage.grow_with_sources(base, keyring)
        return stage

    def grow_with_sources(self, base: str, keyring: Keyring) -> None:
        """Make a repository of builds with sources; the rich one has every index too."""
        shutil.copytree(self.folder / EMPTY, self.folder / base)
        repository = Repository.open(self.folder / base)
        if base == RICH:
            with repository.state.lock():
                choose_indices(repository.state, forms=(*FORMS, ".zst"), contents=True, translations=True)
        for version in ("1", "2"):
            paths, beside = sort_out([self.build(version)])
            repository.add("stable", read_debs(paths), keyring=keyring, beside=beside)

    def grow_old(self, keyring: Keyring) -> None:
        """Make the old repository."""
        root = self.folder / OLD
        shutil.copytree(self.folder / EMPTY, root)
        then = datetime.now(UTC) - AGE
        repository = Repository(Repository.open(root).store, clock=lambda: then)
        first = [read_deb(self.deb(PACKAGE, "1")), read_deb(self.deb("aardvark", "1"))]
        repository.add("stable", first, keyring=keyring)
        remove(repository, "stable", ["aardvark"], keyring=keyring)
        for version in ("2", "3"):
            repository.add("stable", [read_deb(self.deb(PACKAGE, version))], keyring=keyring)
        for path in root.rglob("*"):
            os.utime(path, (then.timestamp(), then.timestamp()), follow_symlinks=False)

    @property
    def keys(self) -> Path:
        """The key store."""
        return self.folder / "keys"

    def deb(self, name: str, version: str) -> Path:
        """A package."""
        return self.folder / "debs" / f"{name}_{version}_all.deb"

    def build(self, version: str) -> Path:
        """Folder of what a build of the package left."""
        return self.folder / "builds" / version

    def write_build(self, version: str) -> None:
        """Make what a build leaves: the package, its source, .changes and .buildinfo."""
        folder = self.build(version)
        folder.mkdir(parents=True)
        deb = Path(shutil.copy(self.deb(PACKAGE, version), folder))
        info = write_record(folder / f"{PACKAGE}_{version}_amd64.buildinfo", [deb])
        dsc = write_source(folder, PACKAGE, f"{version}-1")
        write_record(folder / f"{PACKAGE}_{version}_amd64.changes", [dsc, deb, info])

    def words(self, command: Command, root: Path) -> list[str]:
        """A command's arguments."""
        places = {"deb": self.deb(PACKAGE, command.after), "build": self.build(command.after)}
        return ["repo", *(word.format(**places) for word in command.words), "--repo", str(root)]


class Desk:
    """One worker's place: a copy of a repository, served over HTTP, and a host.

    Args:
        stage: What is copied.
        folder: A new folder for it.
        url: Of `folder`, over HTTP.
    """

    def __init__(self, stage: Stage, folder: Path, url: str) -> None:
        self.stage = stage
        self.folder = folder
        self.root = folder / "repository"
        self.journals: set[Path] = set()
        self._hosts: dict[str, AptHost] = {}
        urls = {"file": f"file://{self.root}", "http": f"{url}/repository"}
        with KeyStore(stage.keys).open() as keyring:
            key = keyring.export_public(KeyStore(stage.keys).fingerprints(), armor=False)
        for method, source in urls.items():
            self._hosts[method] = host = AptHost.following(
                folder / method, url=source, suite="stable", key=key
            )
            signed = f"signed-by={host.root}/usr/share/keyrings/test.gpg"
            (host.root / "etc/apt/with-source.list").write_text(f"deb-src [{signed}] {source} stable main\n")
            shutil.copytree(self._hosts[method].lists, self._lists(method, EMPTY))
        for base in (OLD, FULL, SOURCED, RICH):
            self.lay_out(base)
            for method, host in self._hosts.items():
                host.remember(self._lists(method, EMPTY))
                host.update(*READS.get(base, ()))
                shutil.copytree(host.lists, self._lists(method, base))

    def lay_out(self, base: str) -> None:
        """Begin anew with a copy of a repository."""
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.stage.folder / base, self.root, symlinks=True)

    def run(self, command: Command, **fault: Any) -> Ended:
        """Run a command, with a fault if its parts are given."""
        words = self.stage.words(command, self.root)
        what = hook.Fault(root=self.root, many=command.many, small=command.small, **fault)
        return run_tool(self.stage, words, self.folder / "said", what)

    def installs(self, command: Command, method: str, by_hash: str) -> str:
        """Version that a host gets by a real update and install, having seen what the command begins with.

        If the repository has sources, the host gets those of the same version. Empty if it is told that there is no
        such suite any more.
        """
        host = self._hosts[method]
        host.remember(self._lists(method, command.base))
        if not (self.root / "dists/stable").exists():
            refused = host.apt("update", "-eany", check=False)
            assert "no longer has a Release file" in refused.complaint, refused.complaint
            return ""
        host.update(f"-oAcquire::By-Hash={by_hash}", *command.reads)
        version = host.install(PACKAGE)
        if SOURCES_TOO in command.reads:
            assert self._source(host) == f"{PACKAGE}_{version}-1.dsc"
        return version

    def _source(self, host: AptHost) -> str:
        """Name of the .dsc that a host gets, with all its parts and each of them whole."""
        with TemporaryDirectory(dir=self.folder) as place:
            fetching = ["apt-get", "-q", "--only-source", "--download-only", SOURCES_TOO, "source", PACKAGE]
            run(fetching, env={"APT_CONFIG": str(host.root / "apt.conf")}, cwd=Path(place))
            (dsc,) = Path(place).glob("*.dsc")
            return dsc.name

    def _lists(self, method: str, base: str) -> Path:
        return self.folder / f"{method}-{base}"

    def version(self) -> str:
        """Version of the package that `stable` points to, as the state says; empty if there is no such suite."""
        state = Repository.open(self.root).state
        pointer = state.unverified_pointer("stable")
        if pointer is None:
            return ""
        packages = state.packages(state.snapshot(pointer.snapshot).components["main"]["amd64"])
        return max(one.version for one in packages if one.name == PACKAGE)

    def problems(self) -> tuple[str, ...]:
        """What `repo check` finds, and what the history names of builds that is not kept as it came."""
        state = Repository.open(self.root).state
        records = {
            f"state/builds/{sha256}{Path(name).suffix}": sha256
            for entry in state.history("stable")
            for name, sha256 in entry.records.items()
        }
        kept = {path: state.store.read(path) or b"" for path in records}
        lost = [path for path, data in kept.items() if hashlib.sha256(data).hexdigest() != records[path]]
        return (*problems(state), *lost)


@contextmanager
def desk(stage: Stage, folder: Path) -> Iterator[Desk]:
    """A new place to work at."""
    folder.mkdir()
    with serve(folder) as url:
        yield Desk(stage, folder, url)


def start_tool(stage: Stage, words: list[str], output: Path, fault: hook.Fault) -> BaseProcess:
    """Start bigtop-builder with a fault."""
    output.unlink(missing_ok=True)
    return start(hook.publish, words, fault, {"BIGTOP_BUILDER_KEYS_DIR": str(stage.keys)}, output)


def run_tool(stage: Stage, words: list[str], output: Path, fault: hook.Fault) -> Ended:
    """Run bigtop-builder to its end."""
    ended = status(start_tool(stage, words, output, fault))
    return Ended(status=ended, said=output.read_text(errors="replace"))


@contextmanager
def served(stage: Stage, root: Path, output: Path) -> Iterator[str]:
    """The URL at which `repo serve` serves a repository."""
    words = ["repo", "serve", "--repo", str(root), "--port", "0"]
    process = start_tool(stage, words, output, hook.Fault(root=output))
    try:
        deadline = time.monotonic() + SECONDS
        while not (output.exists() and "http" in output.read_text()):
            assert process.is_alive(), output.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield output.read_text().strip().splitlines()[-1]
    finally:
        process.terminate()
        process.join()


def journal_of(desk: Desk, command: Command) -> Path:
    """The journal of a command's calls on a fresh copy, undisturbed; each desk runs it once."""
    journal = desk.folder / f"{command.name}.journal"
    if journal not in desk.journals:
        desk.lay_out(command.base)
        ended = desk.run(command, journal=journal)
        assert ended.status == 0, ended.said
        desk.journals.add(journal)
    return journal
