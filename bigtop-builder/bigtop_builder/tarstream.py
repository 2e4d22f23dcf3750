# SPDX-License-Identifier: Apache-2.0
"""Tar streams into and out of rooms: made and read piece by piece, whatever the size."""

import errno
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from bigtop_builder.errors import BuilderError, EnvironmentMissing

CHUNK = 1 << 20


def pack(files: Mapping[str, Path | bytes]) -> Iterator[bytes]:
    """A tar stream of files and folders, all owned by root, folders in the order of names.

    Args:
        files: Name in the archive (relative; missing parents are made when it is unpacked) -> content, or the
            file or folder that is read when its turn comes.
    """
    for name, content in files.items():
        yield from _blob(name, content) if isinstance(content, bytes) else _tree(name, content)
    yield tarfile.NUL * (2 * tarfile.BLOCKSIZE)


def unpack(tar: Iterable[bytes] | IO[bytes], into: Path) -> None:
    """Unpack a tar stream into an existing folder as this user's own files.

    Set-user-id bits are dropped. tarfile's `data` filter would do the same but is not in Debian 12's 3.11.2.

    Raises:
        BuilderError: A member is a device or leads out of the folder, or the stream ends early.
        EnvironmentMissing: The disk is full.
    """
    root = into.resolve()
    try:
        with tarfile.open(fileobj=_Stream(chunks(tar)), mode="r|") as archive:  # type: ignore[call-overload]
            while (member := archive.next()) is not None:
                archive.members = []  # else every header stays in memory
                _place(archive, member, root)
    except (tarfile.TarError, EOFError) as error:
        raise BuilderError(f"the tar stream for {into} is broken: {error}") from error
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise EnvironmentMissing(f"the disk that {into} is on is full", hint="free space there") from error


def chunks(tar: Iterable[bytes] | IO[bytes]) -> Iterator[bytes]:
    """The pieces of a stream that is an open file or an iterable of pieces."""
    if not hasattr(tar, "read"):
        yield from tar
        return
    while piece := tar.read(CHUNK):
        yield piece


class _Stream:
    """What tarfile needs of a file to read a stream; it copes with pieces of any size."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def read(self, _size: int = -1) -> bytes:
        return next(self._pieces, b"")


def _header(name: str, mode: int, mtime: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.mode, header.mtime = mode & 0o7777, mtime
    header.uname = header.gname = "root"
    return header


def _blob(name: str, content: bytes) -> Iterator[bytes]:
    header = _header(name, 0o644, 0)
    header.size = len(content)
    yield header.tobuf(tarfile.PAX_FORMAT)
    yield content
    yield tarfile.NUL * (-len(content) % tarfile.BLOCKSIZE)


def _tree(name: str, path: Path) -> Iterator[bytes]:
    status = path.lstat()
    header = _header(name, status.st_mode, int(status.st_mtime))
    if path.is_symlink():
        header.type, header.linkname = tarfile.SYMTYPE, str(path.readlink())
    elif path.is_dir():
        header.type = tarfile.DIRTYPE
    elif path.is_file():
        yield from _file(header, path)
        return
    else:
        raise BuilderError(f"{path} is no file, folder or link, so it cannot go into a room")
    yield header.tobuf(tarfile.PAX_FORMAT)
    if header.isdir():
        for child in sorted(path.iterdir()):
            yield from _tree(f"{name}/{child.name}", child)


def _file(header: tarfile.TarInfo, path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        header.size = os.fstat(file.fileno()).st_size
        yield header.tobuf(tarfile.PAX_FORMAT)
        left = header.size
        while left:
            piece = file.read(min(CHUNK, left))
            if not piece:
                raise BuilderError(f"{path} became shorter while it was read")
            left -= len(piece)
            yield piece
    yield tarfile.NUL * (-header.size % tarfile.BLOCKSIZE)


def _place(archive: tarfile.TarFile, member: tarfile.TarInfo, root: Path) -> None:
    path = _inside(root, member.name, member)
    path.parent.mkdir(parents=True, exist_ok=True)
    if member.isdir():
        path.mkdir(exist_ok=True)
    elif member.issym():
        _inside(root, str(PurePosixPath(member.name).parent / member.linkname), member)
        path.unlink(missing_ok=True)
        path.symlink_to(member.linkname)
    elif member.islnk():
        path.unlink(missing_ok=True)
        path.hardlink_to(_inside(root, member.linkname, member))
    elif member.isreg():
        _write(archive, member, path)
    else:
        raise BuilderError(f"{member.name} in the tar stream is no file, folder or link")


def _inside(root: Path, name: str, member: tarfile.TarInfo) -> Path:
    """The place of a name, its parents resolved, refused when it is not below `root`."""
    joined = root / name
    place = joined.parent.resolve() / joined.name
    outside = place.resolve() if joined.name in {"..", "."} else place
    if not outside.is_relative_to(root) or PurePosixPath(name).is_absolute():
        target = f" -> {member.linkname}" if member.linkname else ""
        raise BuilderError(f"{member.name}{target} in the tar stream leads out of its folder")
    return outside


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    path.unlink(missing_ok=True)
    content = archive.extractfile(member)
    if content is None:
        raise BuilderError(f"{member.name} in the tar stream has no content")
    with content, path.open("xb") as file:
        shutil.copyfileobj(content, file, CHUNK)
    path.chmod(member.mode & 0o777)
    os.utime(path, (member.mtime, member.mtime))
