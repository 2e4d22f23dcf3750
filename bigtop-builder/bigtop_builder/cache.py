# SPDX-License-Identifier: Apache-2.0
"""Build results, kept by step id and stamp: what has that id already is not built again.

A result is a folder `<step id>/<stamp>/` with `result.json` beside the files it names. It is made in a
temporary folder and renamed, so a torn one is never found. The stamp is part of the name because a component
may come back to an older step id under a newer serial.
"""

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Literal

from filelock import FileLock
from pydantic import Field

from bigtop_builder.atomic import write_whole
from bigtop_builder.errors import InputError
from bigtop_builder.folder_lock import locked
from bigtop_builder.manifest import ImageRecord, SourceRecord
from bigtop_builder.schema import Name, Sha256, Value

log = logging.getLogger(__name__)

RESULT = "result.json"
LOG = "build.log"
MAKING = ".making-"


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


class ResultCache:
    """Results in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, step: str, stamp: str) -> Path:
        """Where the files of a result lie."""
        return self.root / step / stamp

    def get(self, step: str, stamp: str) -> Result | None:
        """The result of a step; None if there is none that is whole and of this format: it is built again."""
        folder = self.folder(step, stamp)
        try:
            result = Result.from_json((folder / RESULT).read_bytes(), source=str(folder / RESULT))
        except (FileNotFoundError, InputError):
            return None
        sizes = {entry.name: entry.stat().st_size for entry in os.scandir(folder)}
        return result if all(sizes.get(file.file) == file.size for file in result.files) else None

    def newest(self, recipe: str, component: str) -> Result | None:
        """The newest result of a recipe's component, to say what has changed since."""
        link = self.root / "newest" / recipe / component
        if not link.is_file():
            return None
        step, _, stamp = link.read_text().partition("/")
        return self.get(step, stamp)

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

        If another build of this step and stamp ended first, its result stands and this one is dropped: their
        inputs are the same, and what was handed out must not change. A broken one is replaced.
        """
        target = self.folder(result.step, result.stamp)
        (made / RESULT).write_text(result.to_json())
        made.chmod(0o755)
        with FileLock(self.root / ".lock"):
            if stands := self.get(result.step, result.stamp):
                return stands
            if target.exists():
                shutil.rmtree(target)
            target.parent.mkdir(exist_ok=True)
            made.rename(target)
            newest = self.root / "newest" / result.recipe / result.component
            write_whole(newest, f"{result.step}/{result.stamp}")
        return result


def describe(folder: Path) -> tuple[ResultFile, ...]:
    """Name, size and sha256 of each file in a folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != RESULT)
    return tuple(ResultFile(file=p.name, size=p.stat().st_size, sha256=sha256_of(p)) for p in files)


def sha256_of(path: Path) -> str:
    """Sha256 of a file, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def changes(inputs: Mapping[str, str], before: Mapping[str, str]) -> list[str]:
    """Names of the inputs that differ, with what became of them."""
    words = []
    for name in sorted(inputs.keys() | before.keys()):
        if name not in before:
            words.append(f"{name} is new")
        elif name not in inputs:
            words.append(f"{name} is gone")
        elif inputs[name] != before[name]:
            words.append(f"{name} changed")
    return words
