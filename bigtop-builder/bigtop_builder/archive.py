# SPDX-License-Identifier: Apache-2.0
"""Archives, read with suspicion: tar (plain, or with gzip, bzip2, xz), zip, and folders.

They are told apart by content, not by name. All goes into `contents.Contents`, which refuses what an archive
of sources should not hold, and writes the rest anew.
"""

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast

from bigtop_builder.contents import CHUNK, Contents, Form
from bigtop_builder.errors import SourceError

_OPENERS: Final[dict[bytes, Callable[[IO[bytes]], object]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_ENCRYPTED: Final = 0x1
_UTF8: Final = 0x800


def repack(archive: Path, destination: Path, *, top: str, form: Form, name: str = "") -> None:
    """Write the contents of an archive anew, deterministically.

    Args:
        archive: tar (plain, gzip, bzip2, xz) or zip; told apart by content, not by name.
        destination: File that is written in place.
        top: Its single top folder.
        form: What it is.
        name: What to call the archive in errors.

    Raises:
        SourceError: The archive is damaged, or holds what it should not: absolute names, `..`, links out of
            it, devices. The entry is named.
    """
    with Contents(name or archive.name, destination.parent) as contents:
        read_archive(contents, archive)
        contents.write(destination, top=top, form=form)


def read_archive(contents: Contents, archive: Path) -> None:
    """Add all that an archive holds.

    Raises:
        SourceError: It is damaged, no archive, or holds an entry that is refused.
    """
    with _named(contents.name), archive.open("rb") as raw:
        magic = raw.read(6)
        raw.seek(0)
        if magic.startswith(_ZIP):
            _read_zip(contents, raw)
            return
        opener = next((opener for start, opener in _OPENERS.items() if magic.startswith(start)), None)
        if opener is None:
            _read_tar(contents, raw)
        else:
            with cast("IO[bytes]", opener(raw)) as plain:
                _read_tar(contents, plain)


def read_folder(contents: Contents, folder: Path) -> None:
    """Add all that a folder holds.

    Raises:
        SourceError: There is something else in it than files, folders and links.
    """
    for path in sorted(folder.rglob("*")):
        name, found = path.relative_to(folder).as_posix(), path.lstat()
        if stat.S_ISLNK(found.st_mode):
            contents.link(name, str(path.readlink()))
        elif stat.S_ISDIR(found.st_mode):
            contents.folder(name)
        elif stat.S_ISREG(found.st_mode):
            with path.open("rb") as data:
                executable = bool(found.st_mode & stat.S_IXUSR)
                contents.file(name, data, size=found.st_size, executable=executable)
        else:
            raise SourceError(f"{path} is no file, folder or link", hint="take it out of the folder")


def _read_tar(contents: Contents, plain: IO[bytes]) -> None:
    with tarfile.open(fileobj=plain, mode="r|", encoding="utf-8", errors="surrogateescape") as tar:
        while (info := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined]  # else every header stays in memory
            _add_member(contents, tar, info)
    # What follows holds the checksum of the compressed stream: a cut or a flipped bit shows here.
    while plain.read(CHUNK):
        pass


def _add_member(contents: Contents, tar: tarfile.TarFile, info: tarfile.TarInfo) -> None:
    if info.isreg() and (data := tar.extractfile(info)) is not None:
        contents.file(info.name, data, size=info.size, executable=bool(info.mode & stat.S_IXUSR))
    elif info.isdir():
        contents.folder(info.name)
    elif info.issym():
        contents.link(info.name, info.linkname)
    elif info.islnk():
        contents.same(info.name, info.linkname)
    else:
        raise SourceError(
            f"{contents.name}: entry {info.name!r} is a device or pipe",
            hint="nothing of this archive was used; take another source",
        )


def _read_zip(contents: Contents, raw: IO[bytes]) -> None:
    with zipfile.ZipFile(raw) as archive:
        for info in archive.infolist():
            name = _zip_name(info)
            mode = info.external_attr >> 16 if info.create_system == 3 else 0  # noqa: PLR2004  # 3 is Unix
            if info.flag_bits & _ENCRYPTED or "\\" in name:
                problem = "has a backslash in its name" if "\\" in name else "is encrypted"
                raise SourceError(f"{contents.name}: entry {name!r} {problem}", hint="take another source")
            if info.is_dir():
                contents.folder(name)
            elif stat.S_ISLNK(mode):
                contents.link(name, os.fsdecode(archive.read(info)))
            elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
                with archive.open(info) as data:
                    contents.file(name, data, size=info.file_size, executable=bool(mode & stat.S_IXUSR))
                    data.read(1)  # the checksum is compared at the end of the entry
            else:
                raise SourceError(f"{contents.name}: entry {name!r} is a device or pipe")


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The name as written: without the flag, zipfile takes Unix's UTF-8 for code page 437."""
    if info.flag_bits & _UTF8:
        return info.filename
    return info.filename.encode("cp437").decode("utf-8", "surrogateescape")


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Turn what the readers raise for a damaged archive into one error that names it."""
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        raise _damaged(name, error) from error
    except (ValueError, NotImplementedError) as error:  # a nonsense number; an unknown zip method
        raise _damaged(name, error) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise _damaged(name, error) from error  # gzip and bz2 say so without a number


def _damaged(name: str, error: Exception) -> SourceError:
    return SourceError(
        f"{name} is damaged or no archive",
        details=f"{type(error).__name__}: {error}",
        hint="tar (plain, gzip, bzip2, xz) and zip are read",
    )
