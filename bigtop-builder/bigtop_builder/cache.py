# SPDX-License-Identifier: Apache-2.0
"""Build results, kept by step id and stamp: what has that id already is not built again.

Beside the folder of this machine (`local_results`) there may be a depot, which machines share
(docs/decisions/0012-build-cache.md).
"""

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Protocol, TypeVar

from bigtop_builder.errors import BuilderError, CheckFailed, InputError
from bigtop_builder.hashes import sha256_of
from bigtop_builder.local_results import LocalResults
from bigtop_builder.result import RESULT, Result, ResultFile
from bigtop_builder.schema import digest

log = logging.getLogger(__name__)

SHARED = ".shared-"
"""An empty file in a result's folder, and then a hash of a depot's name: that depot has it, or keeps another one."""

Answer = TypeVar("Answer")


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


class ResultCache(LocalResults):
    """Results in a folder of this machine, and perhaps in a depot that others fill too.

    Args:
        root: The folder.
        depot: What is not in the folder is looked for here; what is built here goes there too.
    """

    def __init__(self, root: Path, depot: Depot | None = None) -> None:
        super().__init__(root)
        self.depot = depot
        self._refused: set[str] = set()
        self._remote: dict[str, str] = {}
        self._lock = Lock()

    def remote(self, step: str, stamp: str) -> str:
        """Name of the depot if it has a result of the step; it is asked once."""
        record = _record(step, stamp)
        if record not in self._remote:
            said = self._asked(lambda depot: depot.name if depot.size(record) is not None else "")
            self._remote[record] = said or ""
        return self._remote[record]

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
        if result and hashed:
            result = self._whole(result)
        return result or self._asked(lambda depot: self._fetch(depot, step, stamp))

    def put(self, made: Path, result: Result) -> Result:
        """Take over a folder that holds the files of a result, and return the result that then stands.

        If another build of this step and stamp ended first, here or on a machine with the same depot, its result
        stands and this one is dropped: their inputs are the same, and what was handed out must not change. A
        broken one is replaced. Whatever goes wrong about the depot, what was built is kept here.
        """
        try:
            shared = self._asked(lambda depot: (depot, self._share(depot, made, result)))
        except OSError as error:  # of this machine: no room for the result that stands there, say
            told = f"{result.component} {result.version}-{result.stamp}"
            log.warning("%s: kept here, the shared cache may have another build of it: %s", told, error)
            shared = None
        depot, stands = shared or (None, None)
        return stands or self._keep(made, result, depot)

    def share_late(self, steps: Iterable[str]) -> None:
        """Bring into the depot what it lacks of the results of these steps.

        They are from before it was named, or from when it was away. What it does not take now waits, without a
        word: it may be one that this machine only reads.

        Args:
            steps: Ids.
        """
        if (depot := self.depot) is None:
            return
        folders = [folder for step in steps for folder in sorted(self.root.glob(f"{step}/*/"))]
        for folder in folders:
            result = None if _mark(folder, depot).exists() else self.get(folder.parent.name, folder.name)
            if result and not self._share_late(result):
                return

    def _share_late(self, result: Result) -> bool:
        """False if the depot is away, or takes nothing."""
        there = self._asked(lambda depot: (depot, self._standing(depot, result)))
        if there is None:
            return False
        depot, stands = there
        folder = self.folder(result.step, result.stamp)
        told = f"{result.component} {result.version}-{result.stamp}"
        try:
            if stands and stands.debs != result.debs:
                way = f"this machine keeps its own (remove {folder} to take that one)"
                log.warning("%s: %s has another build of it; %s", told, depot.name, way)
            elif not stands:
                if self._whole(result) != result or self._share(depot, folder, result):
                    return True
                log.info("%s: to %s, which had none of it", told, depot.name)
            _mark(folder, depot).touch()
        except (BuilderError, OSError) as error:
            log.debug("%s: %s", told, error)
            return False
        return True

    def _standing(self, depot: Depot, result: Result) -> Result | None:
        """What the depot has for the step and stamp of a result; None if that is nothing, or cannot be read."""
        record = _record(result.step, result.stamp)
        if (data := depot.read(record)) is None:
            return None
        try:
            return Result.from_json(data, source=f"{depot.name}/{record}")
        except InputError:
            return None

    def _keep(self, made: Path, result: Result, depot: Depot | None) -> Result:
        """Take over a result, which the depot, if one is given, has too."""
        taken = self._take(made, result)
        if depot and taken.files == result.files:
            _mark(self.folder(result.step, result.stamp), depot).touch()
        return taken

    def _whole(self, result: Result) -> Result | None:
        """A result whose files were hashed; one that is not what was built is told, and dropped.

        None if nothing stands there then: another process may have built it anew meanwhile.
        """
        found: Result | None = result
        while found and (broken := self._broken(found, found.files)):
            path = self.folder(found.step, found.stamp) / broken[0].file
            log.warning("%s: %s is not what was built: the result is dropped", found.component, path)
            found = None if self._drop(found, broken) else self.get(found.step, found.stamp)
        return found

    def _asked(self, ask: Callable[[Depot], Answer]) -> Answer | None:
        """What a depot answers; None where there is none. One that fails is told once, and not asked again."""
        if (depot := self.depot) is None:
            return None
        try:
            return ask(depot)
        except BuilderError as error:
            with self._lock:  # other threads ask it too
                told, self.depot = self.depot is None, None
            if not told:
                log.warning("%s; going on without %s", error.brief, depot.name)
            return None

    def _fetch(self, depot: Depot, step: str, stamp: str) -> Result | None:
        """Bring a result from a depot, without what is here already; None if it has none that is whole.

        Raises:
            BuilderError: It cannot be read now, so nobody knows whether it is whole.
        """
        if (data := depot.read(_record(step, stamp))) is None:
            return None
        try:
            return self._brought(depot, data, step, stamp)
        except (CheckFailed, InputError) as error:
            log.warning("%s: not taken: %s", depot.name, error.brief)
            return None

    def _brought(self, depot: Depot, data: bytes, step: str, stamp: str) -> Result:
        name = f"{depot.name}/{_record(step, stamp)}"
        result = Result.from_json(data, source=name)
        if (result.step, result.stamp) != (step, stamp):
            raise CheckFailed(f"{name} is the record of {result.step}/{result.stamp}")
        log.info("%s %s-%s: from %s", result.component, result.version, stamp, depot.name)
        with self.making() as made:
            for file in result.files:
                self._bring(depot, file, made / file.file)
            return self._keep(made, result, depot)

    def _bring(self, depot: Depot, file: ResultFile, into: Path) -> None:
        if self._holds(file):
            with suppress(FileNotFoundError):  # `trim` was quicker
                into.hardlink_to(self.root / file.object)
                return
        there = depot.bring(file.object, into)
        if not there or sha256_of(into) != file.sha256:
            self._refused.add(file.object)
            what = "is not what its name says" if there else "is missing"
            raise CheckFailed(f"{depot.name}/{file.object} ({file.file}) {what}")

    def _share(self, depot: Depot, made: Path, result: Result) -> Result | None:
        """Bring a result into the depot, its record last; the one that stands there, if another came first.

        Raises:
            BuilderError: The depot is away, or what stands there cannot be read now: that is left as it is.
        """
        record = _record(result.step, result.stamp)
        for file in result.files:
            path = file.object
            if path in self._refused or depot.size(path) != file.size:
                depot.put(path, made / file.file, file.sha256)
        data = result.to_json().encode()
        if depot.claim(record, data):
            return None
        if stands := self._fetch(depot, result.step, result.stamp):
            return stands
        depot.write(record, data)
        return None


def _record(step: str, stamp: str) -> str:
    return f"results/{step}/{stamp}/{RESULT}"


def _mark(folder: Path, depot: Depot) -> Path:
    """The file that says that a depot has the result of a folder, or keeps another one."""
    return folder / f"{SHARED}{digest(depot.name)[:16]}"
