# SPDX-License-Identifier: Apache-2.0
"""Archives: read with suspicion, written deterministically.

What is read (tar plain or with gzip, bzip2, xz; zip; a folder; a git commit's blobs through `Contents.file`)
is spooled to a temporary file beside the result, checked as a whole, and written in order of names. Memory
holds one small record an entry, never an entry's bytes.

What is written depends on names, contents, link targets and executable bits alone:

- entries sorted by the bytes of their names, every parent folder listed, below one top folder;
- owner 0:0 without names, mode 0755 (folders, executables) or 0644, mtime `MTIME`;
- `tar`: GNU tar format; the bytes are the same on every machine (a test holds their hash);
- `zip`: stored, not compressed, so the bytes are the same on every machine;
- `tar.gz`: the same tar through `gzip -n -6`. Python's zlib may be zlib or zlib-ng, whose output differs;
  GNU gzip brings its own deflate, whose output has not changed in decades. So the bytes are the same wherever
  `gzip` is GNU gzip, as on Debian and Ubuntu; nothing that is pinned rests on that.
"""

import bz2
import gzip
import hashlib
import lzma
import os
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Final, Literal, NoReturn, Self, cast

from bigtop_builder.errors import SourceError
from bigtop_builder.run import run

Form = Literal["tar", "tar.gz", "zip"]

VERSION: Final = "1"
"""Rises when other bytes are written for the same contents; part of the cache's keys."""
MTIME: Final = 946684800
"""2000-01-01T00:00:00Z: within what zip can say, and not what GNU tar calls implausibly old."""
CHUNK: Final = 1 << 20
MAX_HOPS: Final = 40
"""Links that the kernel follows in one path (path_resolution(7))."""

_OPENERS: Final[dict[bytes, Callable[[IO[bytes]], object]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_ENCRYPTED: Final = 0x1
_UTF8: Final = 0x800


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One entry of an archive.

    Attributes:
        kind: Regular file, folder or symbolic link.
        executable: Whether its owner may execute the file.
        target: What the link says.
        offset: Where the file's bytes begin in the spool.
        size: Bytes of the file.
    """

    kind: Literal["file", "folder", "link"]
    executable: bool = False
    target: str = ""
    offset: int = 0
    size: int = 0

    @property
    def mode(self) -> int:
        """Permission bits that are written."""
        if self.kind == "link":
            return 0o777
        return 0o755 if self.executable or self.kind == "folder" else 0o644


class Contents:
    """What goes into an archive, in no order, spooled to a temporary file.

    Args:
        name: What it is read from, for errors.
        folder: Where the spool lies; it may take as much room as all contents together.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._entries: dict[str, Entry] = {}
        self._spool = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.close()

    def file(self, name: str, data: IO[bytes], *, size: int, executable: bool) -> None:
        """Add a regular file: the next `size` bytes of `data`. A later one of the same name replaces it.

        Raises:
            SourceError: The name points out of the archive, or `data` ends early.
        """
        offset = self._spool.tell()
        left = size
        while left:
            chunk = data.read(min(CHUNK, left))
            if not chunk:
                self._refuse(name, f"is cut off: {left} of {size} bytes are missing")
            self._spool.write(chunk)
            left -= len(chunk)
        self._put(name, Entry(kind="file", executable=executable, offset=offset, size=size))

    def folder(self, name: str) -> None:
        """Add a folder; folders that files lie in need not be added."""
        self._put(name, Entry(kind="folder"))

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link. Where it leads is checked when all is there."""
        self._put(name, Entry(kind="link", target=target))

    def same(self, name: str, other: str) -> None:
        """Add a copy of a file that was added before: a hard link."""
        found = self._entries.get(_plain(other))
        if found is None or found.kind == "folder":
            self._refuse(name, f"is a hard link to {other!r}, which is no earlier file of the archive")
        self._put(name, found)

    def write(self, destination: Path, *, top: str, form: Form) -> None:
        """Write an archive with the single top folder `top`.

        If the contents have exactly one top folder it is renamed, else everything is put below `top`.
        `destination` is written in place: give a name that nobody takes for whole, and rename it.

        Raises:
            SourceError: A link leads out of the top folder, or an entry lies below a link or a file.
        """
        entries = self._checked()
        if form == "zip":
            self._write_zip(destination, top, entries)
        elif form == "tar":
            with destination.open("wb") as out:
                self._write_tar(out, top, entries)
        else:
            with tempfile.TemporaryFile(dir=destination.parent) as plain:
                self._write_tar(plain, top, entries)
                plain.seek(0)
                with destination.open("wb") as out:
                    run(["gzip", "-n", "-6"], stdin=plain, stdout=out, error=SourceError)

    def _put(self, name: str, entry: Entry) -> None:
        path = self._clean(name)
        if not path and entry.kind != "folder":
            self._refuse(name, "has no name")
        if path:
            self._entries[path] = entry

    def _clean(self, name: str) -> str:
        """The name without empty parts and dots."""
        if name.startswith("/"):
            self._refuse(name, "has an absolute path")
        if ".." in name.split("/"):
            self._refuse(name, "has `..` in its path")
        return _plain(name)

    def _checked(self) -> list[tuple[str, Entry]]:
        """All entries relative to the top folder, parents added, in order."""
        top, entries = _without_top(self._entries)
        links = {name: entry.target for name, entry in entries.items() if entry.kind == "link"}
        folders: dict[str, Entry] = {}
        for name in entries:
            for parent in map(str, list(PurePosixPath(name).parents)[:-1]):
                if entries.get(parent, Entry(kind="folder")).kind != "folder":
                    self._refuse(top + name, f"lies below {top + parent!r}, a {entries[parent].kind}")
                folders[parent] = Entry(kind="folder")
        for name, target in links.items():
            if not _stays_inside(name, links):
                self._refuse(top + name, f"is a link out of the archive: {target!r}")
        return sorted((folders | entries).items(), key=lambda item: os.fsencode(item[0]))

    def _write_tar(self, out: IO[bytes], top: str, entries: list[tuple[str, Entry]]) -> None:
        kinds = {"file": tarfile.REGTYPE, "folder": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}
        for name, entry in [("", Entry(kind="folder")), *entries]:
            info = tarfile.TarInfo(_below(top, name, entry))
            info.type, info.mode, info.mtime = kinds[entry.kind], entry.mode, MTIME
            info.size, info.linkname = entry.size, entry.target
            out.write(info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))
            self._copy(entry, out)
            out.write(bytes(-entry.size % tarfile.BLOCKSIZE))
        # Two empty blocks end a tar; GNU tar fills up to a record of 20 blocks.
        end = out.tell() + 2 * tarfile.BLOCKSIZE
        out.write(bytes(2 * tarfile.BLOCKSIZE + -end % tarfile.RECORDSIZE))

    def _write_zip(self, destination: Path, top: str, entries: list[tuple[str, Entry]]) -> None:
        kinds = {"file": stat.S_IFREG, "folder": stat.S_IFDIR, "link": stat.S_IFLNK}
        with zipfile.ZipFile(destination, "w") as out:
            for name, entry in [("", Entry(kind="folder")), *entries]:
                info = zipfile.ZipInfo(_below(top, name, entry), date_time=(2000, 1, 1, 0, 0, 0))
                info.create_system = 3  # Unix: the mode below counts
                info.external_attr = (kinds[entry.kind] | entry.mode) << 16
                info.file_size = entry.size
                with out.open(info, "w") as sink:
                    sink.write(os.fsencode(entry.target))
                    self._copy(entry, sink)

    def _copy(self, entry: Entry, out: IO[bytes]) -> None:
        self._spool.seek(entry.offset)
        left = entry.size
        while left:
            chunk = self._spool.read(min(CHUNK, left))
            out.write(chunk)
            left -= len(chunk)

    def _refuse(self, name: str, problem: str) -> NoReturn:
        raise SourceError(
            f"{self.name}: entry {name!r} {problem}",
            hint="nothing of this archive was used; take another source",
        )


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


def hash_of(path: Path, algorithm: str) -> str:
    """Hash of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


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


def _plain(name: str) -> str:
    """A name without empty parts and dots."""
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _without_top(entries: Mapping[str, Entry]) -> tuple[str, dict[str, Entry]]:
    """The single top folder with its slash, empty if there is none, and the entries relative to it."""
    tops = {name.split("/", 1)[0] for name in entries}
    top = next(iter(tops), "")
    if len(tops) != 1 or entries.get(top, Entry(kind="folder")).kind != "folder":
        return "", dict(entries)
    return f"{top}/", {name[len(top) + 1 :]: entry for name, entry in entries.items() if name != top}


def _below(top: str, name: str, entry: Entry) -> str:
    path = f"{top}/{name}".rstrip("/")
    return f"{path}/" if entry.kind == "folder" else path


def _stays_inside(name: str, links: Mapping[str, str]) -> bool:
    """Whether a link leads nowhere outside, also by way of other links.

    `..` is taken after the link before it is followed, as the kernel does: a/b/c/d -> ../../.. is fine, and
    x -> a/b/c/d/.. then leads out, which no comparison of texts would show.
    """
    here = name.split("/")[:-1]
    ahead = deque(links[name].split("/"))
    hops = 0
    if links[name].startswith("/"):
        return False
    while ahead:
        part = ahead.popleft()
        if part == ".." and not here:
            return False
        if part == "..":
            here.pop()
        elif part not in ("", "."):
            here.append(part)
            target = links.get("/".join(here))
            if target is not None:
                hops += 1
                if hops > MAX_HOPS:
                    return True  # a loop leads nowhere
                if target.startswith("/"):
                    return False
                here.pop()
                ahead.extendleft(reversed(target.split("/")))
    return True
