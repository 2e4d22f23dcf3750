# SPDX-License-Identifier: Apache-2.0
"""Depots: where machines share build results (`cache.Depot`), in a folder that all see or a bucket on S3."""

import errno
import io
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bigtop_builder.cache import Depot
from bigtop_builder.errors import EnvironmentMissing
from bigtop_builder.repository.store import Upload
from bigtop_builder.repository.store.bucket import CHUNK, Bucket
from bigtop_builder.repository.store.refusal import Unmet
from bigtop_builder.repository.store.upload import upload

ATTEMPTS = 2
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
SECONDS = 20.0
"""A depot saves time: one that does not answer is done without."""


class FolderDepot:
    """Results in a folder, as on a network file system.

    Args:
        root: It must be there: a file system that is not mounted is no empty depot.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def name(self) -> str:
        """Its folder."""
        return str(self.root)

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None if there is none."""
        with self._told():
            return (self.root / path).read_bytes() if self._there(path) else None

    def size(self, path: str) -> int | None:
        """Bytes of a file; None if there is none."""
        with self._told():
            return (self.root / path).stat().st_size if self._there(path) else None

    def bring(self, path: str, into: Path) -> bool:
        """Copy a file to a path of this machine; False if there is none."""
        with self._told(into):
            if there := self._there(path):
                shutil.copyfile(self.root / path, into)
            return there

    def put(self, path: str, file: Path, sha256: str) -> None:  # noqa: ARG002  # the depot's signature
        """Write a file, whatever stands there."""
        with self._told(), self._beside(path) as beside:
            shutil.copyfile(file, beside)
            beside.replace(self.root / path)

    def claim(self, path: str, data: bytes) -> bool:
        """Write a file if nothing stands there (link(2) replaces nothing); False if something does."""
        with self._told(), self._beside(path) as beside:
            beside.write_bytes(data)
            try:
                (self.root / path).hardlink_to(beside)
            except FileExistsError:
                return False
            return True

    def write(self, path: str, data: bytes) -> None:
        """Write a file, whatever stands there."""
        with self._told(), self._beside(path) as beside:
            beside.write_bytes(data)
            beside.replace(self.root / path)

    def _there(self, path: str) -> bool:
        self.root.stat()
        return (self.root / path).is_file()

    @contextmanager
    def _beside(self, path: str) -> Iterator[Path]:
        self.root.stat()
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = place.with_name(f".{place.name}.{uuid.uuid4().hex}.new")
        try:
            yield beside
        finally:
            beside.unlink(missing_ok=True)

    @contextmanager
    def _told(self, into: Path | None = None) -> Iterator[None]:
        """Say that the depot failed; where something is read into a file of this machine, that may have."""
        try:
            yield
        except OSError as error:
            if into and (error.errno in FULL or error.filename == str(into)):
                raise OSError(error.errno, error.strerror, str(into)) from error
            raise EnvironmentMissing(
                f"shared cache: {error.filename or self.root}: {error.strerror or error}",
                hint="mend it, or name another as shared_cache in the settings",
            ) from error


class BucketDepot:
    """Results below a prefix of a bucket.

    Args:
        url: `s3://bucket/prefix`; endpoint and credentials are boto3's configuration.
    """

    def __init__(self, url: str) -> None:
        self._bucket = Bucket(url, attempts=ATTEMPTS, seconds=SECONDS)

    @property
    def name(self) -> str:
        """Its URL."""
        return self._bucket.name

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None if there is none."""
        found = self._bucket.get(path)
        return found.data if found else None

    def size(self, path: str) -> int | None:
        """Bytes of a file; None if there is none."""
        found = self._bucket.head(path)
        return found.size if found else None

    def bring(self, path: str, into: Path) -> bool:
        """Copy a file to a path of this machine; False if there is none."""
        refused: list[OSError] = []

        def save(answer: Mapping[str, Any]) -> bool:
            with into.open("wb", buffering=0) as file:
                for chunk in answer["Body"].iter_chunks(CHUNK):
                    try:
                        _write_all(file, memoryview(chunk))
                    except OSError as error:
                        refused.append(error)  # the bucket would be blamed for this machine's disk
                        break
            return True

        there = self._bucket.take(path, save) or False
        if refused:
            raise OSError(refused[0].errno, refused[0].strerror, str(into)) from refused[0]
        return there

    def put(self, path: str, file: Path, sha256: str) -> None:
        """Write a file, whatever stands there; a large one in parts."""
        # What a store does not verify on its way in is found on its way back.
        upload(self._bucket, {path: Upload(file, sha256)}, verifies=True, quiet=True)

    def claim(self, path: str, data: bytes) -> bool:
        """Write a file if nothing stands there; False if something does."""
        try:
            self._bucket.write(path, data, match="")
        except Unmet:
            return False
        return True

    def write(self, path: str, data: bytes) -> None:
        """Write a file, whatever stands there."""
        self._bucket.write(path, data)


def _write_all(file: io.RawIOBase, left: memoryview) -> None:
    """Write what a raw file may take in pieces: at the end of a disk a part of it goes in, and then nothing."""
    while left:
        left = left[file.write(left) or 0 :]


def open_depot(where: str) -> Depot | None:
    """The depot that `shared_cache` in the settings names; None if it is empty.

    Raises:
        InputError: It is a URL that names no bucket.
    """
    if not where:
        return None
    return BucketDepot(where) if "://" in where else FolderDepot(Path(os.path.expanduser(where)).absolute())  # noqa: PTH111
