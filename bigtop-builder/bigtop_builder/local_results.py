# SPDX-License-Identifier: Apache-2.0
"""Build results in a folder of this machine.

A result is a folder `<step id>/<stamp>/` with `result.json` beside the files it names, which are hard links to
`objects/<aa>/<sha256>`: what several results have is stored once. It is made in a temporary folder and renamed,
so a torn one is never found. The stamp is part of the name because a component may come back to an older step
id under a newer serial.
"""

import logging
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from bigtop_builder.cores import on_all_cores
from bigtop_builder.errors import InputError
from bigtop_builder.hashes import sha256_of
from bigtop_builder.hidden_folder import sweep, unfinished
from bigtop_builder.result import OBJECTS, RESULT, Result, ResultFile

log = logging.getLogger(__name__)

MAKING = "making"
FOLDERS = "[0-9a-f]" * 64


class LocalResults:
    """Results in a folder.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, step: str, stamp: str) -> Path:
        """Where the files of a result lie."""
        return self.root / step / stamp

    def get(self, step: str, stamp: str) -> Result | None:
        """The result of a step in the folder; None if there is none of this format with files of the right size."""
        folder = self.folder(step, stamp)
        try:
            result = Result.from_json((folder / RESULT).read_bytes(), source=str(folder / RESULT))
            sizes = {entry.name: entry.stat().st_size for entry in os.scandir(folder)}
        except (FileNotFoundError, InputError):  # another process may remove it just now
            return None
        return result if all(sizes.get(file.file) == file.size for file in result.files) else None

    def known(self, step: str) -> Result | None:
        """A result of a step, under whatever stamp: all have the same inputs."""
        found = (self.get(step, folder.name) for folder in sorted(self.root.glob(f"{step}/*/")))
        return next((result for result in found if result), None)

    @contextmanager
    def making(self) -> Iterator[Path]:
        """A folder to make a result in; what is still there at the end is removed.

        What a killed process left goes first.
        """
        with unfinished(self.root / MAKING) as made:
            try:
                yield made
            finally:
                shutil.rmtree(made, ignore_errors=True)

    def trim(self, keep: Collection[str], *, since: float, dry: bool) -> tuple[list[str], int]:
        """Remove results of this folder that nobody needs, objects that are in no result then, and torn results.

        Args:
            keep: Step ids whose results stay.
            since: Results that were built or used after this time (seconds since 1970) stay too.
            dry: Only say what would go.

        Returns:
            What goes, as `<component> <version>-<stamp>`, and how many bytes that frees.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        if not dry:
            sweep(self.root)
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
        for file in result.files:
            self._store(made / file.file, file)
        with FileLock(self.root / ".lock"):
            if stands := self.get(result.step, result.stamp):
                return stands
            if target.exists():
                shutil.rmtree(target)
            target.parent.mkdir(exist_ok=True)
            made.rename(target)
        return result

    def _store(self, path: Path, file: ResultFile) -> None:
        """Make a file of a result and the object of its hash one file."""
        kept = self.root / file.object
        kept.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{MAKING}-{path.name}")
        if kept.is_file() and kept.samefile(path):  # rename(2) would do nothing, and leave the name beside
            return
        if self._holds(file):
            with suppress(FileNotFoundError):  # `trim` was quicker
                beside.hardlink_to(kept)
                beside.replace(path)
                return
        beside.hardlink_to(path)
        beside.replace(kept)

    def _holds(self, file: ResultFile) -> bool:
        """Whether the object of a file is here, and whole."""
        kept = self.root / file.object
        return kept.is_file() and kept.stat().st_size == file.size and sha256_of(kept) == file.sha256

    def _broken(self, result: Result, files: Sequence[ResultFile]) -> list[ResultFile]:
        """Those of a result's files that are not what they were, or are gone."""
        folder = self.folder(result.step, result.stamp)
        hashes = on_all_cores(_hash_if_there, [folder / file.file for file in files])
        return [file for file, got in zip(files, hashes, strict=True) if got != file.sha256]

    def _drop(self, result: Result, broken: Sequence[ResultFile]) -> bool:
        """Remove a result with broken files; False if another process has replaced it meanwhile."""
        with FileLock(self.root / ".lock"):
            if self.get(result.step, result.stamp) != result or not self._broken(result, broken):
                return False
            shutil.rmtree(self.folder(result.step, result.stamp), ignore_errors=True)
            for file in broken:
                if not self._holds(file):
                    (self.root / file.object).unlink(missing_ok=True)
            return True


def _hash_if_there(path: Path) -> str:
    try:
        return sha256_of(path)
    except FileNotFoundError:
        return ""


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
