# SPDX-License-Identifier: Apache-2.0
"""Stores: where a repository's files lie. A store knows names and bytes; what they mean is `state`'s."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Alias:
    """Content that is another name for a file or folder of the store.

    Attributes:
        target: Its path in the store.
    """

    target: str


@dataclass(frozen=True)
class Upload:
    """Content that is a file of the user's: copied, never linked, and hashed on its way.

    Attributes:
        path: The file.
        sha256: What its bytes must be.
    """

    path: Path
    sha256: str


@dataclass(frozen=True)
class Staged:
    """Content that `stage` has brought onto the store's own disk: it only gets its name.

    Attributes:
        path: The copy.
        sha256: Hash of its bytes.
    """

    path: Path
    sha256: str


@dataclass(frozen=True)
class Present:
    """Content that is there already, perhaps from a run that was killed: only made durable."""


Content = bytes | Upload | Staged | Alias | Present


@dataclass(frozen=True, kw_only=True)
class Held:
    """What is known of a file without reading it.

    Attributes:
        size: Bytes.
        sha256: Hash that was noted when it was written and verified; empty if there is no note.
    """

    size: int
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A file of a store, or an alias, as a listing has it.

    Attributes:
        path: Path in the store.
        size: Bytes.
        modified: When it was written, UTC.
    """

    path: str
    size: int
    modified: datetime


class Store(Protocol):
    """Holds files by path, relative to its root and with `/`."""

    @property
    def name(self) -> str:
        """What people call it: its folder or URL."""

    @property
    def readers(self) -> int:
        """How many small files are best read at once."""

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None if there is none."""

    def size(self, path: str) -> int | None:
        """Bytes of a file; None if there is none."""

    def sha256(self, path: str) -> str:
        """Hash of a file's bytes, read as a stream."""

    def origin(self, path: str) -> str:
        """The same for all paths that lead to the same bytes by aliases; the path itself where there are none."""

    def held(self, paths: Iterable[str]) -> dict[str, Held]:
        """What is known of those files that are there: many are asked for at a time."""

    def names(self, folder: str) -> tuple[str, ...]:
        """Names in a folder, sorted; none if there is no such folder."""

    def walk(self, folder: str) -> Iterator[Listed]:
        """All that lies below a folder, at any depth, in no order: files and aliases, not what aliases lead to."""

    def local(self, files: Mapping[str, Held], folder: Path) -> list[Path]:
        """Files as this machine's programs can read them, in order.

        Args:
            files: Path -> what is known of it from an index.
            folder: Where copies may be put and kept, if the files are not on this machine.

        Raises:
            PublishError: One is missing or has another size; or another hash, if its bytes had to be brought here.
        """

    def stage(self, files: Mapping[str, Path]) -> Mapping[str, Staged]:
        """Copy files onto the store's own disk and hash them on their way; none where it has no disk here.

        What is not put before the lock is let go of is gone then.

        Args:
            files: Path that each will have in the store -> the file.

        Raises:
            PublishError: They cannot be written.
        """

    def put(self, files: Mapping[str, Content], *, modified: datetime | None = None) -> None:
        """Write files. Each is there whole or not at all; all are durable on return, in no order among them.

        A store without links leaves aliases out: `switch` is told what stands behind them.

        Args:
            files: Path -> content.
            modified: Modification time that web servers give out; now, if None.

        Raises:
            PublishError: They cannot be written, or an upload is not what its hash says. The file is named.
        """

    def scratch(self) -> AbstractContextManager[Path]:
        """A folder of this machine for files to be put later; gone afterwards, at the latest by the next run."""

    def clear(self, folder: str) -> None:
        """Make room for a folder that is put next and nothing leads to, if a killed publisher left some of it."""

    def remove(self, paths: Collection[str]) -> None:
        """Remove files and aliases, and folders that are empty then; what is not there is none.

        On return it is durable that all are gone; until then any of them may be.
        """

    def switch(self, suite: str, release: str, *, files: Mapping[str, str], before: bytes | None) -> None:
        """Make a folder of the store what clients see as `dists/<suite>`: in one step, durable on return.

        Args:
            suite: The suite.
            release: The folder, with Release, Release.gpg and InRelease.
            files: Every index: path below the suite -> path in the store. A store with links has them already.
            before: The suite's InRelease that the new one was made after; None if there was none.

        Raises:
            PublishError: Another publisher switched the suite meanwhile, or the store cannot be written.
        """

    def take_down(self, suite: str) -> None:
        """Remove what clients see as `dists/<suite>`: from the first step on they find no suite; durable on return.

        Args:
            suite: The suite; nothing is done if it is not there.

        Raises:
            PublishError: The store cannot be written.
        """

    def lock(self) -> AbstractContextManager[None]:
        """Keep other publishers out, and clear away what a killed one left half-written.

        Raises:
            PublishError: Another publisher has it for too long, or the store cannot be written.
        """


def open_store(where: str | Path, *, sync: bool = True) -> Store:
    """The store at a place.

    Args:
        where: A folder, or `s3://bucket/prefix`; endpoint, region and credentials are boto3's configuration.
        sync: Wait until what is written is on the disk; without meaning on S3.

    Raises:
        InputError: It is no place.
    """
    if isinstance(where, str) and "://" in where:
        from bigtop_builder.repository.store.bucket import Bucket
        from bigtop_builder.repository.store.s3 import S3Store

        return S3Store(Bucket(where))
    from bigtop_builder.repository.store.filesystem import FilesystemStore

    return FilesystemStore(Path(where), sync=sync)
