# SPDX-License-Identifier: Apache-2.0
"""Writing a store's files on disk: each beside its place first, renamed there then; and waiting for the disk."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.artifact import changed
from bigtop_builder.repository.store import Alias, Staged, Upload

CHUNK = 1 << 18
"""Bytes that are read, hashed and written at a time: they stay in a core's cache. 1 MiB takes twice as long."""


@dataclass(frozen=True, kw_only=True)
class Write:
    """A file that is to be written. Paths are text: for ten thousand small files, Path takes longer than the disk.

    Attributes:
        root: Folder of the store.
        place: Where it is to be.
        temporary: Where it is until then.
        modified: Modification time, seconds since 1970; now, if None.
        sync: Wait until it is on the disk.
    """

    root: str
    place: str
    temporary: str
    content: bytes | Upload | Staged | Alias
    modified: float | None
    sync: bool


@dataclass(frozen=True, kw_only=True)
class Copying:
    """A file that is to be copied onto the store's disk.

    Attributes:
        path: The file.
        to: Where the copy is to be.
        place: What it will be in the store, for errors.
        sync: Wait until it is on the disk.
    """

    path: Path
    to: str
    place: str
    sync: bool


@contextmanager
def _named(temporary: str, place: str) -> Iterator[None]:
    """Have errors name the place that a file is to have, not where it is until then."""
    try:
        yield
    except OSError as error:
        if error.filename in {None, temporary} or error.filename2 == temporary:
            error.filename = place  # calls on a descriptor know none
        raise


def write(one: Write) -> None:
    """Make the file beside its place."""
    with _named(one.temporary, one.place):
        _make(one)


def _make(one: Write) -> None:
    content = one.content
    if isinstance(content, Staged):
        if one.modified is not None:
            os.utime(content.path, (one.modified, one.modified))
        return
    if isinstance(content, Alias):
        parent = os.path.dirname(one.place)  # noqa: PTH120
        os.symlink(os.path.relpath(f"{one.root}/{content.target}", parent), one.temporary)  # noqa: PTH211
        return
    descriptor = os.open(one.temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        if isinstance(content, Upload):
            _require_same(content, _copy(content.path, descriptor))
        else:
            _fill(descriptor, content)
        if one.modified is not None:
            os.utime(descriptor, (one.modified, one.modified))
        if one.sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename(one: Write) -> None:
    """Put it into its place."""
    with _named(one.temporary, one.place):
        try:
            os.replace(one.temporary, one.place)  # noqa: PTH105
        except FileNotFoundError:
            with suppress(FileExistsError):  # another process made it
                os.mkdir(os.path.dirname(one.place))  # noqa: PTH102, PTH120
            os.replace(one.temporary, one.place)  # noqa: PTH105


def bring(one: Write) -> None:
    """Make it and put it into its place."""
    write(one)
    rename(one)


def _fill(descriptor: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def stage(one: Copying) -> Staged:
    """Copy a file and hash it on its way."""
    with _named(one.to, one.place):
        descriptor = os.open(one.to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            sha256 = _copy(one.path, descriptor)
            if one.sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return Staged(Path(one.to), sha256)


def _copy(path: Path, descriptor: int) -> str:
    whole = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK))
    source = os.open(path, os.O_RDONLY)
    try:
        while count := _read(source, buffer, path):
            whole.update(buffer[:count])
            _fill(descriptor, buffer[:count])
    finally:
        os.close(source)
    return whole.hexdigest()


def _read(source: int, buffer: memoryview, path: Path) -> int:
    try:
        return os.readv(source, [buffer])
    except OSError as error:
        error.filename = str(path)
        raise


def _require_same(content: Upload, sha256: str) -> None:
    if sha256 != content.sha256:
        raise changed(content.path)


def make_folders(folders: set[str]) -> set[str]:
    """Make folders; answer those that got a new one in them, because their entries must be fsynced too."""
    changed: set[str] = set()
    for folder in sorted(folders):
        missing: list[str] = []
        while folder not in changed and not os.path.isdir(folder):  # noqa: PTH112
            missing.append(folder)
            folder = os.path.dirname(folder)  # noqa: PLW2901, PTH120  # up to the first that is there
        for path in reversed(missing):
            os.mkdir(path)  # noqa: PTH102
            changed.add(os.path.dirname(path))  # noqa: PTH120
    return changed


def sync_folder(folder: str) -> None:
    """Wait until the disk has a folder's entries (fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_all(folder: str) -> None:
    """Bring the whole file system to the disk (syncfs(2)): for thousands of files faster than each for itself.

    Errors of writing back are reported since Linux 5.8.
    """
    from ctypes import CDLL, get_errno

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if CDLL(None, use_errno=True).syncfs(descriptor):
            raise OSError(get_errno(), os.strerror(get_errno()), folder)
    finally:
        os.close(descriptor)
