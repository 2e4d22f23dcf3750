# SPDX-License-Identifier: Apache-2.0
"""Publishing beside reprepro and aptly, in one run; the table of docs/benchmarks.md.

Run as `.venv/bin/python benchmarks/publish.py`, with Debian's packages reprepro, aptly and time installed; it takes
6 GB of disk. All write Packages.gz only and no Contents, unless a line says otherwise. Ours runs with
`--no-verify --no-sync`, since the peers do neither; what both cost stands beside it. Each figure is the wall
time of whole commands, start of the interpreter included: the median of the rounds, in which all take turns.
"""

import argparse
import hashlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import debs as made
from peers import SUITE, Commands, Peers

from bigtop_builder.keys import KeyStore
from bigtop_builder.repository.layout import Form
from bigtop_builder.repository.publish import Repository
from bigtop_builder.run import Argument, run

LARGE, LARGE_SIZE = 120, 21_800_000
SMALL = 10_000
CURVE = (1_000, SMALL, 100_000)
CHUNK = 1 << 18
CORES = len(os.sched_getaffinity(0))
QUICK = ("--no-verify", "--no-sync")
GZ: tuple[Form, ...] = (".gz",)
XZ: tuple[Form, ...] = (".gz", ".xz")


@dataclass(kw_only=True)
class Figures:
    """What was measured: name -> a value a round; seconds, and megabytes at the peak."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    peaks: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def commands(self, name: str, commands: Commands) -> None:
        """Run commands one after the other, and note how long they took together."""
        start = time.perf_counter()
        for command in commands:
            self.peaks[name] = max(self.peaks[name], _spawned(command))
        self.seconds[name].append(time.perf_counter() - start)

    def call(self, name: str, function: Callable[[], None]) -> None:
        """Note how long a function took."""
        start = time.perf_counter()
        function()
        self.seconds[name].append(time.perf_counter() - start)

    def __getitem__(self, name: str) -> float:
        return statistics.median(self.seconds[name])


def _spawned(command: Sequence[Argument]) -> float:
    """Run a command, and return its peak memory in MB, or that of the largest process that it ran.

    By way of time(1): a process that is started by a large one counts that one's memory as its own.
    """
    with tempfile.NamedTemporaryFile() as peak:
        run(["time", "--format=%M", f"--output={peak.name}", *command])
        return int(Path(peak.name).read_text()) / 1024


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where all happens.

    Attributes:
        root: An empty folder.
        rounds: How often each thing is measured.
    """

    root: Path
    rounds: int
    figures: Figures
    peers: Peers

    def ours(self, name: str, *words: Argument) -> Commands:
        """A command of ours on a repository."""
        tool: list[Argument] = [sys.executable, "-m", "bigtop_builder", "repo", *words]
        return [[*tool, "--repo", self.root / name]]

    def init(self, name: str, forms: tuple[Form, ...]) -> str:
        """Make a repository of ours anew."""
        shutil.rmtree(self.root / name, ignore_errors=True)
        store = KeyStore(Path(os.environ["BIGTOP_BUILDER_KEYS_DIR"]))
        with store.open() as keyring:
            Repository.init(
                self.root / name, origin="X", keyring=keyring, fingerprints=store.fingerprints(), forms=forms
            )
        return name

    def turns(self) -> Iterator[int]:
        """Rounds, each begun when the disk has nothing left to do."""
        for number in range(self.rounds):
            os.sync()
            yield number

    def first(self, size: str, debs: Path) -> None:
        """Publish a folder of packages for the first time, ours in four ways, and hash and copy it bare."""
        ways = {"": QUICK, ", verified": ("--no-sync",), ", durable": ("--no-verify",), ", both": ()}
        paths = sorted(debs.glob("*.deb"))
        for _ in self.turns():
            self.figures.call(f"{size}: sha256", lambda: _on_all_cores(_hash, paths))
            for durable in (True, False):
                with self.scratch() as folder:
                    bare = f"{size}: bare copy{', durable' * durable}"
                    self.figures.call(bare, lambda at=folder, sync=durable: _copy_all(paths, at, sync=sync))
            for way, options in ways.items():
                name = self.init("first", GZ)
                os.sync()
                self.figures.commands(f"{size}: ours{way}", self.ours(name, "add", SUITE, debs, *options))
                shutil.rmtree(self.root / name)
            self.peers.reprepro("first-r", forms=".gz")
            os.sync()
            self.figures.commands(f"{size}: reprepro", self.peers.reprepro_add("first-r", paths))
            self.peers.aptly("first-a")
            os.sync()
            self.figures.commands(f"{size}: aptly", self.peers.aptly_first("first-a", debs))
            for name in ("first-r", "first-a"):
                shutil.rmtree(self.peers.root / name)

    def one_more(self, debs: dict[int, Path], new: Sequence[Path]) -> None:
        """Publish one more package, and what costs as little: nothing new, promote, rollback."""
        for size, folder in debs.items():
            for command in self.ours(self.init(f"gz{size}", GZ), "add", SUITE, folder, *QUICK):
                _spawned(command)
        small = sorted(debs[SMALL].glob("*.deb"))
        _spawned(self.ours(self.init("xz", XZ), "add", SUITE, debs[SMALL], *QUICK)[0])
        for name, forms in (("r-gz", ".gz"), ("r-xz", ".gz .xz")):
            self.peers.reprepro(name, forms=forms)
            _spawned(self.peers.reprepro_add(name, small)[0])
        self.peers.aptly("a-gz")
        for command in self.peers.aptly_first("a-gz", debs[SMALL]):
            _spawned(command)
        for number in self.turns():
            self._one_more(debs, new[number])

    def _one_more(self, sizes: Iterable[int], deb: Path) -> None:
        figures, name = self.figures, f"gz{SMALL}"
        for size in sizes:
            figures.commands(f"one more, {size}", self.ours(f"gz{size}", "add", SUITE, deb, *QUICK))
        figures.commands("one more: reprepro", self.peers.reprepro_add("r-gz", [deb]))
        figures.commands("one more: aptly", self.peers.aptly_add("a-gz", deb))
        figures.commands("one more, xz", self.ours("xz", "add", SUITE, deb, *QUICK))
        figures.commands("one more, xz: reprepro", self.peers.reprepro_add("r-xz", [deb]))
        before = _files(self.root / name)
        figures.commands("nothing new", self.ours(name, "add", SUITE, deb, *QUICK))
        assert _files(self.root / name) == before
        figures.commands("nothing new: reprepro", self.peers.reprepro_add("r-gz", [deb]))
        figures.commands("nothing new: aptly", self.peers.aptly_add("a-gz", deb))
        indices = _files(self.root / name / "by-hash")
        promote = ("promote", SUITE, "other", "--new-suite", "--no-sync")
        figures.commands("promote", self.ours(name, *promote))
        figures.commands("rollback", self.ours(name, "rollback", SUITE, "--no-sync"))
        assert _files(self.root / name / "by-hash") == indices
        _spawned(self.ours(name, "add", SUITE, deb, *QUICK)[0])

    def scratch(self) -> "tempfile.TemporaryDirectory[str]":
        """A folder for a copy."""
        return tempfile.TemporaryDirectory(dir=self.root)


def _files(folder: Path) -> dict[str, tuple[int, int, int]]:
    """All files of a folder, and what would change if one was written."""
    found = ((path, path.lstat()) for path in folder.rglob("*"))
    return {str(path): (told.st_ino, told.st_size, told.st_mtime_ns) for path, told in found}


def _on_all_cores(work: Callable[[Path], object], paths: Sequence[Path]) -> None:
    with ThreadPoolExecutor(CORES) as threads:
        list(threads.map(work, paths))


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy_all(paths: Sequence[Path], folder: str, *, sync: bool) -> None:
    """Copy files, each fsynced if it is to be durable, and then their folder."""

    def copy(path: Path) -> None:
        buffer = memoryview(bytearray(CHUNK))
        with path.open("rb", 0) as source, Path(folder, path.name).open("xb", 0) as target:
            while count := source.readinto(buffer):
                target.write(buffer[:count])
            if sync:
                os.fsync(target.fileno())

    _on_all_cores(copy, paths)
    if sync:
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def rows(figures: Figures) -> Iterator[tuple[str, float, str, float, float, float]]:
    """Lines of the issue: what, ours, what it is held against, that, their ratio, and the budget."""

    def ratio(
        what: str, ours: str, against: Sequence[str], budget: float
    ) -> tuple[str, float, str, float, float, float]:
        other = min(against, key=lambda name: figures[name])
        return what, figures[ours], other, figures[other], figures[ours] / figures[other], budget

    def limit(what: str, value: float, budget: float) -> tuple[str, float, str, float, float, float]:
        return what, value, "-", 1.0, value, budget

    for size, peer, bare in (("large", 0.35, 1.3), ("small", 0.5, 1.3)):
        if f"{size}: ours" in figures.seconds:
            peers = [f"{size}: reprepro", f"{size}: aptly"]
            yield ratio(f"{size}, first", f"{size}: ours", peers, peer)
            if size == "large":
                yield ratio("large, first, beside hashing", "large: ours", ["large: sha256"], 3)
            durable = f"{size}: ours, durable"
            yield ratio(f"{size}, first, durable", durable, [f"{size}: bare copy, durable"], bare)
    if "nothing new" in figures.seconds:
        yield ratio("one more, gz", f"one more, {SMALL}", ["one more: reprepro"], 0.7)
        yield ratio("one more, gz and xz", "one more, xz", ["one more, xz: reprepro"], 0.1)
        yield ratio("one more at 100,000", f"one more, {CURVE[-1]}", [f"one more, {SMALL}"], 4)
        yield limit("one more, gz, MB", figures.peaks[f"one more, {SMALL}"], 100)
        yield limit("one more, gz and xz, MB", figures.peaks["one more, xz"], 100)
        yield limit("one more at 100,000, MB", figures.peaks[f"one more, {CURVE[-1]}"], 200)
        for name in ("nothing new", "promote", "rollback"):
            yield limit(f"{name}, s", figures[name], 0.3)


def report(figures: Figures) -> bool:
    """Print the table and all figures, and say whether every budget was kept."""
    kept = True
    print(f"load average {os.getloadavg()[1]:.1f} over 5 minutes, {CORES} cores\n")
    print("| what | ours | beside | that | ratio or value | budget | kept |\n|---|---|---|---|---|---|---|")
    for what, ours, other, that, value, budget in rows(figures):
        kept &= value <= budget
        beside = f"{other.partition(': ')[2] or other} | {that:.2f}" if other != "-" else "- | -"
        print(
            f"| {what} | {ours:.2f} | {beside} | {value:.2f} | {budget} | {'yes' if value <= budget else 'no'} |"
        )
    print("\n| measured | median | least | most | MB |\n|---|---|---|---|---|")
    for name, values in figures.seconds.items():
        peak = f"{figures.peaks[name]:.0f}" if name in figures.peaks else "-"
        print(f"| {name} | {figures[name]:.2f} | {min(values):.2f} | {max(values):.2f} | {peak} |")
    return kept


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--part", choices=["large", "small", "more"], action="append")
    chosen = parser.parse_args()
    parts = chosen.part or ["large", "small", "more"]
    with tempfile.TemporaryDirectory(prefix="publish-", dir="/var/tmp") as name:
        root = Path(name)
        peers = Peers.make(root / "peers")
        # As in any installation: with compiled modules, and keys of its own.
        os.environ |= {
            "GNUPGHOME": str(peers.gnupg),
            "BIGTOP_BUILDER_KEYS_DIR": str(root / "keys"),
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(root / "compiled"),
        }
        KeyStore(root / "keys").new("Benchmark", "benchmark@example.org")
        bench = Bench(root=root, rounds=chosen.rounds, figures=Figures(), peers=peers)
        if "large" in parts:
            made.large(root / "large", LARGE, LARGE_SIZE)
            bench.first("large", root / "large")
            shutil.rmtree(root / "large")
        if "small" in parts:
            made.small(root / "small", 0, SMALL)
            bench.first("small", root / "small")
        if "more" in parts:
            sets = {size: root / f"debs{size}" for size in CURVE}
            for size, folder in sets.items():
                made.small(folder, 0, size)
            bench.one_more(sets, made.small(root / "new", CURVE[-1], chosen.rounds))
        return 0 if report(bench.figures) else 1


if __name__ == "__main__":
    sys.exit(main())
