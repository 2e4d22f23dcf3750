# SPDX-License-Identifier: Apache-2.0
"""Build results, kept by step id and stamp: what has that id already is not built again.

A result is a folder `<step id>/<stamp>/` with `result.json` beside the files it names, which are hard links to
`objects/<aa>/<sha256>`: what several results have is stored once. It is made in a temporary folder and renamed,
so a torn one is never found. The stamp is part of the name because a component may come back to an older step
id under a newer serial. Beside this folder there may be a depot, which machines share
(docs/decisions/0012-build-cache.md).
"""

import hashlib
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from filelock import FileLock
from pydantic import Field

from bigtop_builder.atomic import write_whole
from bigtop_builder.cores import on_all_cores
from bigtop_builder.errors import BuilderError, CheckFailed, InputError
from bigtop_builder.folder_lock import locked
from bigtop_builder.manifest import ImageRecord, SourceRecord
from bigtop_builder.schema import Name, Sha256, Value

log = logging.getLogger(__name__)

RESULT = "result.json"
LOG = "build.log"
MAKING = ".making-"
OBJECTS = "objects"
NEWEST = "newest"
FOLDERS = "[0-9a-f]" * 64

TOLD = 3
"""Changed parts of an input that are named."""
HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

Answer = TypeVar("Answer")
Parts = Mapping[str, Mapping[str, str]]


class ResultFile(Value):
    """A file that a build left."""

    file: str
    size: int = Field(description="Bytes")
    sha256: Sha256


class Result(Value):
    """What one build of one component made."""

    format: Literal[1] = 1
    recipe: str = Field(description="Bigtop release and target tag, as in `3.5.0-deb11`")
    component: Name
    version: str = Field(description="Upstream version")
    stamp: str = Field(description="Debian revision")
    step: Sha256 = Field(description="Step id")
    inputs: dict[str, str] = Field(description="What the step id was made of: name of the input -> its hash")
    parts: dict[str, dict[str, str]] = Field(
        default_factory=dict,
        description="Of inputs that have parts: part -> its hash or value, to tell which changed",
    )
    source: SourceRecord | None
    image: ImageRecord
    seconds: float = Field(description="Wall time")
    files: tuple[ResultFile, ...] = Field(description="Packages, source package, .changes, .buildinfo, log")

    @property
    def debs(self) -> tuple[ResultFile, ...]:
        """The binary packages."""
        return tuple(file for file in self.files if file.file.endswith(".deb"))

    @property
    def log(self) -> ResultFile:
        """The build log."""
        return next(file for file in self.files if file.file == LOG)


class Depot(Protocol):
    """Where several machines keep results: files by path, relative and with `/`. All its errors are BuilderErrors."""

    @property
    def name(self) -> str:
        """What people call it: its folder or URL."""

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None if there is none."""

    def size(self, path: str) -> int | None:
        """Bytes of a file; None if there is none."""

    def bring(self, path: str, into: Path) -> bool:
        """Copy a file to a path of this machine; False if there is none."""

    def put(self, path: str, file: Path, sha256: str) -> None:
        """Write a file, whatever stands there; it is there whole or not at all."""

    def claim(self, path: str, data: bytes) -> bool:
        """Write a file if nothing stands there; False if something does."""

    def write(self, path: str, data: bytes) -> None:
        """Write a file, whatever stands there."""


class ResultCache:
    """Results in a folder of this machine, and perhaps in a depot that others fill too.

    Args:
        root: The folder.
        depot: What is not in the folder is looked for here; what is built here goes there too.
    """

    def __init__(self, root: Path, depot: Depot | None = None) -> None:
        self.root = root
        self.depot = depot
        self._refused: set[str] = set()

    def folder(self, step: str, stamp: str) -> Path:
        """Where the files of a result lie."""
        return self.root / step / stamp

    def get(self, step: str, stamp: str) -> Result | None:
        """The result of a step in the folder; None if there is none of this format with files of the right size."""
        folder = self.folder(step, stamp)
        try:
            result = Result.from_json((folder / RESULT).read_bytes(), source=str(folder / RESULT))
        except (FileNotFoundError, InputError):
            return None
        sizes = {entry.name: entry.stat().st_size for entry in os.scandir(folder)}
        return result if all(sizes.get(file.file) == file.size for file in result.files) else None

    def remote(self, step: str, stamp: str) -> str:
        """Name of the depot if it has a result of the step."""
        found = self._asked(lambda depot: depot.size(_record(step, stamp)))
        return self.depot.name if self.depot and found is not None else ""

    def newest(self, recipe: str, component: str) -> Result | None:
        """The newest result of a recipe's component, to say what has changed since."""
        link = self.root / NEWEST / recipe / component
        if not link.is_file():
            return None
        step, _, stamp = link.read_text().partition("/")
        return self.get(step, stamp)

    def obtain(self, step: str, stamp: str, *, hashed: bool) -> Result | None:
        """The result of a step, out of the folder or the depot, for use; None if it must be built.

        Args:
            step: Its id.
            stamp: The Debian revision.
            hashed: Hash each file first. A result that is not what it was when it was built is told and removed.
        """
        result = self.get(step, stamp)
        with suppress(OSError):
            os.utime(self.folder(step, stamp))  # `trim` keeps what was used of late
        if result and hashed and (broken := self._broken(result)):
            log.warning(
                "%s: %s is not what was built: the result is dropped",
                result.component,
                self.folder(step, stamp) / broken[0].file,
            )
            self._drop(result, broken)
            result = None
        return result or self._fetch(step, stamp)

    @contextmanager
    def making(self) -> Iterator[Path]:
        """A folder to make a result in; what is still there at the end is removed.

        A lock on it says that its owner lives: what one that was killed left behind goes first.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            with FileLock(self.root / ".lock"):
                self._sweep()
                folder = stack.enter_context(
                    tempfile.TemporaryDirectory(dir=self.root, prefix=MAKING, ignore_cleanup_errors=True)
                )
                stack.enter_context(locked(Path(folder)))
            yield Path(folder)

    def _sweep(self) -> None:
        for folder in self.root.glob(f"{MAKING}*/"):
            # FileNotFoundError: its owner is done with it. BlockingIOError: its owner lives.
            with suppress(FileNotFoundError, BlockingIOError), locked(folder, wait=False):
                log.info("removing %s: the process that made it is gone", folder)
                shutil.rmtree(folder, ignore_errors=True)

    def put(self, made: Path, result: Result) -> Result:
        """Take over a folder that holds the files of a result, and return the result that then stands.

        If another build of this step and stamp ended first, here or on a machine with the same depot, its result
        stands and this one is dropped: their inputs are the same, and what was handed out must not change. A
        broken one is replaced.
        """
        if stands := self._asked(lambda depot: self._share(depot, made, result)):
            return stands
        return self._take(made, result)

    def trim(self, keep: Collection[str], *, since: float, dry: bool) -> tuple[list[str], int]:
        """Remove results of this folder that nobody needs, and objects that are in no result then.

        Args:
            keep: Step ids whose results stay.
            since: Results that were built or used after this time (seconds since 1970) stay too.
            dry: Only say what would go.

        Returns:
            What goes, as `<component> <version>-<stamp>`, and how many bytes that frees.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with FileLock(self.root / ".lock"):
            gone = [
                folder
                for folder in sorted(self.root.glob(f"{FOLDERS}/*/"))
                if folder.parent.name not in keep and folder.stat().st_mtime < since
            ]
            freed = _only_in(gone)
            names = [_name_of(folder) for folder in gone]
            for folder in gone if not dry else ():
                shutil.rmtree(folder)
                with suppress(OSError):  # another stamp's result lies beside it
                    folder.parent.rmdir()
            for file in self.root.glob(f"{OBJECTS}/*/*") if not dry else ():
                if file.stat().st_nlink == 1:
                    file.unlink()
        return names, freed

    def _take(self, made: Path, result: Result) -> Result:
        target = self.folder(result.step, result.stamp)
        (made / RESULT).write_text(result.to_json())
        made.chmod(0o755)
        for file in result.files:
            self._store(made / file.file, file)
        with FileLock(self.root / ".lock"):
            if stands := self.get(result.step, result.stamp):
                return stands
            if target.exists():
                shutil.rmtree(target)
            target.parent.mkdir(exist_ok=True)
            made.rename(target)
            newest = self.root / NEWEST / result.recipe / result.component
            write_whole(newest, f"{result.step}/{result.stamp}")
        return result

    def _store(self, path: Path, file: ResultFile) -> None:
        """Make a file of a result and the object of its hash one file."""
        kept = self.root / _object(file)
        kept.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{MAKING}{path.name}")
        if self._holds(file):
            with suppress(FileNotFoundError):  # `trim` was quicker
                beside.hardlink_to(kept)
                beside.replace(path)
                return
        beside.hardlink_to(path)
        beside.replace(kept)

    def _holds(self, file: ResultFile) -> bool:
        """Whether the object of a file is here, and whole."""
        kept = self.root / _object(file)
        return kept.is_file() and kept.stat().st_size == file.size and sha256_of(kept) == file.sha256

    def _broken(self, result: Result) -> list[ResultFile]:
        folder = self.folder(result.step, result.stamp)
        hashes = on_all_cores(sha256_of, [folder / file.file for file in result.files])
        return [file for file, got in zip(result.files, hashes, strict=True) if got != file.sha256]

    def _drop(self, result: Result, broken: Collection[ResultFile]) -> None:
        with FileLock(self.root / ".lock"):
            shutil.rmtree(self.folder(result.step, result.stamp), ignore_errors=True)
            for file in broken:
                (self.root / _object(file)).unlink(missing_ok=True)

    def _asked(self, ask: Callable[[Depot], Answer]) -> Answer | None:
        """What a depot answers; None where there is none. One that fails is told once, and not asked again."""
        if self.depot is None:
            return None
        try:
            return ask(self.depot)
        except BuilderError as error:
            log.warning("%s; going on without %s", error.brief, self.depot.name)
            self.depot = None
            return None

    def _fetch(self, step: str, stamp: str) -> Result | None:
        """Bring a result from the depot, without what is here already; None if it has none that is whole."""

        def fetch(depot: Depot) -> Result | None:
            data = depot.read(_record(step, stamp))
            if data is None:
                return None
            try:
                return self._brought(depot, data, step, stamp)
            except (CheckFailed, InputError) as error:
                log.warning("%s: not taken: %s", depot.name, error.brief)
                self._refused.add(_record(step, stamp))
                return None

        return self._asked(fetch)

    def _brought(self, depot: Depot, data: bytes, step: str, stamp: str) -> Result:
        name = f"{depot.name}/{_record(step, stamp)}"
        result = Result.from_json(data, source=name)
        if (result.step, result.stamp) != (step, stamp):
            raise CheckFailed(f"{name} is the record of {result.step}/{result.stamp}")
        if bad := [file.file for file in result.files if not _plain(file.file)]:
            raise CheckFailed(f"{name} names a file {bad[0]!r}")
        log.info("%s %s-%s: from %s", result.component, result.version, stamp, depot.name)
        with self.making() as made:
            for file in result.files:
                self._bring(depot, file, made / file.file)
            return self._take(made, result)

    def _bring(self, depot: Depot, file: ResultFile, into: Path) -> None:
        if self._holds(file):
            with suppress(FileNotFoundError):  # `trim` was quicker
                into.hardlink_to(self.root / _object(file))
                return
        there = depot.bring(_object(file), into)
        if not there or sha256_of(into) != file.sha256:
            self._refused.add(_object(file))
            what = "is not what its name says" if there else "is missing"
            raise CheckFailed(f"{depot.name}/{_object(file)} ({file.file}) {what}")

    def _share(self, depot: Depot, made: Path, result: Result) -> Result | None:
        """Bring a result into the depot, its record last; the one that stands there, if another came first."""
        record = _record(result.step, result.stamp)
        for file in result.files:
            path = _object(file)
            if path in self._refused or depot.size(path) != file.size:
                depot.put(path, made / file.file, file.sha256)
        data = result.to_json().encode()
        if record not in self._refused and depot.claim(record, data):
            return None
        stands = None if record in self._refused else self._fetch(result.step, result.stamp)
        if stands is None:
            depot.write(record, data)
        return stands


def _record(step: str, stamp: str) -> str:
    return f"results/{step}/{stamp}/{RESULT}"


def _object(file: ResultFile) -> str:
    return f"{OBJECTS}/{file.sha256[:2]}/{file.sha256}"


def _plain(name: str) -> bool:
    """Whether a name leads nowhere else: a depot is written by others."""
    return name == Path(name).name and not name.startswith(".") and name != RESULT


def _only_in(folders: Collection[Path]) -> int:
    """Bytes of files that are in these folders, and in no others but the objects."""
    links: dict[int, int] = {}
    found = {}
    for folder in folders:
        for entry in os.scandir(folder):
            status = entry.stat()
            found[status.st_ino] = status
            links[status.st_ino] = links.get(status.st_ino, 0) + 1
    return sum(one.st_size for number, one in found.items() if one.st_nlink - links[number] <= 1)


def _name_of(folder: Path) -> str:
    try:
        result = Result.from_json((folder / RESULT).read_bytes(), source=str(folder / RESULT))
    except (FileNotFoundError, InputError):
        return f"{folder} (broken, or of another format)"
    return f"{result.component} {result.version}-{result.stamp}"


def describe(folder: Path) -> tuple[ResultFile, ...]:
    """Name, size and sha256 of each file in a folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != RESULT)
    return tuple(ResultFile(file=p.name, size=p.stat().st_size, sha256=sha256_of(p)) for p in files)


def sha256_of(path: Path) -> str:
    """Sha256 of a file, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def changes(
    inputs: Mapping[str, str],
    before: Mapping[str, str],
    parts: Parts | None = None,
    parts_before: Parts | None = None,
) -> list[str]:
    """Names of the inputs that differ, with what became of them, and which of their parts if that is known."""
    words = []
    for name in sorted(inputs.keys() | before.keys()):
        if name not in before:
            words.append(f"{name} is new")
        elif name not in inputs:
            words.append(f"{name} is gone")
        elif inputs[name] != before[name]:
            which = _which((parts or {}).get(name, {}), (parts_before or {}).get(name, {}))
            words.append(f"{name} changed{which}")
    return words


def _which(now: Mapping[str, str], before: Mapping[str, str]) -> str:
    """Which parts differ, in brackets; nothing if that is not known."""
    words = []
    for part in sorted(now.keys() | before.keys()) if now and before else ():
        old, new = before.get(part), now.get(part)
        if old is None:
            words.append(f"{part} is new")
        elif new is None:
            words.append(f"{part} is gone")
        elif old != new:
            words.append(part if HASH.fullmatch(new) else f"{part}: {old!r} became {new!r}")
    more = [f"{len(words) - TOLD} more"] if len(words) > TOLD else []
    return f" ({', '.join([*words[:TOLD], *more])})" if words else ""
