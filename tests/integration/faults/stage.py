# SPDX-License-Identifier: Apache-2.0
"""A repository with a past, made once; copies of it for commands to be killed in; hosts that read the copies."""

import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import hook

from apt_host import AptHost, write_deb
from bigtop_builder.artifact import read_deb
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository.layout import SuiteSettings
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.removal import remove
from bigtop_builder.repository.serve import serve
from bigtop_builder.run import run
from health import problems

TOOL = Path(sys.executable).with_name("bigtop-builder")
PACKAGE = "zoo"
SECONDS = 120
METHODS = ("file", "http")
BY_HASH = ("yes", "no")
EMPTY = "empty"
FULL = "full"
OLD = "old"
AGE = timedelta(days=3)


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command that changes the repository, and what it does to hosts that follow suite `stable`.

    Attributes:
        name: For people.
        words: Its arguments; `{deb}` is the package in its next version.
        before: Version of the package that hosts get before it; empty if there is no suite yet.
        after: Version that they get after it.
        base: The repository that it begins with.
        many: How many files are many to it: see hook.Fault.
        gone: Folder whose files it removes; killed just before its last call, it may leave the folder itself.
    """

    name: str
    words: tuple[str, ...]
    before: str
    after: str
    base: str = FULL
    many: int | None = None
    gone: str = ""


ADD = Command(name="add", words=("add", "stable", "{deb}"), before="2", after="4")
COMMANDS = (
    Command(name="first", words=("add", "stable", "{deb}"), before="", after="4", base=EMPTY),
    ADD,
    replace(ADD, name="add many", many=2),
    Command(name="promote", words=("promote", "testing", "stable"), before="2", after="3"),
    Command(name="rollback", words=("rollback", "stable"), before="2", after="1"),
    Command(name="remove", words=("remove", "stable", f"{PACKAGE}=2"), before="2", after="1"),
    Command(name="refresh", words=("refresh", "stable"), before="2", after="2"),
    Command(
        name="gc", words=("gc", "--keep", "1"), before="3", after="3", base=OLD, gone="pool/main/a/aardvark"
    ),
)
"""`stable` of the full repository had 1 and has 2, `testing` has 3. In the old one it had 1 and 2 and has 3, all for
days, and a package that only its first snapshot has."""


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
        return stage

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

    def words(self, command: Command, root: Path) -> list[str]:
        """A command's arguments."""
        deb = self.deb(PACKAGE, command.after)
        return ["repo", *(word.format(deb=deb) for word in command.words), "--repo", str(root)]


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
        self._hosts: dict[str, AptHost] = {}
        urls = {"file": f"file://{self.root}", "http": f"{url}/repository"}
        with KeyStore(stage.keys).open() as keyring:
            key = keyring.export_public(KeyStore(stage.keys).fingerprints(), armor=False)
        for method, source in urls.items():
            self._hosts[method] = AptHost.following(folder / method, url=source, suite="stable", key=key)
            shutil.copytree(self._hosts[method].lists, self._lists(method, EMPTY))
        for base in (OLD, FULL):
            self.lay_out(base)
            for method, host in self._hosts.items():
                host.remember(self._lists(method, EMPTY))
                host.update()
                shutil.copytree(host.lists, self._lists(method, base))

    def lay_out(self, base: str) -> None:
        """Begin anew with a copy of a repository."""
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.stage.folder / base, self.root, symlinks=True)

    def run(self, command: Command, **fault: Any) -> Ended:
        """Run a command, with a fault if its parts are given."""
        words = self.stage.words(command, self.root)
        what = hook.Fault(root=self.root, many=command.many, **fault)
        return run_tool(self.stage, words, self.folder / "said", what)

    def installs(self, command: Command, method: str, by_hash: str) -> str:
        """Version that a host gets by a real update and install, having seen what the command begins with."""
        host = self._hosts[method]
        host.remember(self._lists(method, command.base))
        host.update(f"-oAcquire::By-Hash={by_hash}")
        return host.install(PACKAGE)

    def _lists(self, method: str, base: str) -> Path:
        return self.folder / f"{method}-{base}"

    def version(self) -> str:
        """Version of the package that `stable` points to, as the state says; empty if there is no such suite."""
        state = Repository.open(self.root).state
        pointer = state.pointer("stable")
        if pointer is None:
            return ""
        packages = state.packages(state.snapshot(pointer.snapshot).components["main"]["amd64"])
        return max(one.version for one in packages if one.name == PACKAGE)

    def problems(self) -> tuple[str, ...]:
        """What `repo check` finds."""
        return problems(Repository.open(self.root).state)


@contextmanager
def desk(stage: Stage, folder: Path) -> Iterator[Desk]:
    """A new place to work at."""
    folder.mkdir()
    with serve(folder) as url:
        yield Desk(stage, folder, url)


def start_tool(stage: Stage, words: list[str], output: Path, fault: hook.Fault) -> BaseProcess:
    """Start bigtop-builder in a process that is forked from one which has all modules loaded."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(hook.MODULES))
    variables = {"BIGTOP_BUILDER_KEYS_DIR": str(stage.keys)}
    output.unlink(missing_ok=True)
    process = context.Process(target=hook.publish, args=(words, fault, variables, output))
    process.start()
    return process


def run_tool(stage: Stage, words: list[str], output: Path, fault: hook.Fault) -> Ended:
    """Run bigtop-builder to its end."""
    process = start_tool(stage, words, output, fault)
    process.join(SECONDS)
    assert process.exitcode is not None, f"{words} did not end within {SECONDS} s"
    return Ended(status=process.exitcode, said=output.read_text(errors="replace"))


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
    """Run a command on a fresh copy, undisturbed, and return the journal of its calls."""
    desk.lay_out(command.base)
    journal = desk.folder / f"{command.name}.journal"
    journal.unlink(missing_ok=True)
    ended = desk.run(command, journal=journal)
    assert ended.status == 0, ended.said
    return journal


def cores() -> int:
    """Desks that work at once."""
    return max(2, len(os.sched_getaffinity(0)) // 2)
