# SPDX-License-Identifier: Apache-2.0
"""Contents of an archive: gathered with suspicion, written deterministically.

What is added is spooled to a temporary file beside the result, checked as a whole, and written in order of
names. Memory holds one small record an entry, never an entry's bytes.

What is written depends on names, contents, link targets and executable bits alone:

- entries sorted by the bytes of their names, every parent folder listed, below one top folder;
- owner 0:0 without names, mode 0755 (folders, executables) or 0644, mtime `MTIME`;
- `tar`: GNU tar format; the bytes are the same on every machine (a test holds their hash);
- `zip`: stored, not compressed, so the bytes are the same on every machine;
- `tar.gz`: the same tar through `gzip -n -6`. Python's zlib may be zlib or zlib-ng, whose output differs;
  GNU gzip brings its own deflate, whose output has not changed in decades. So the bytes are the same wherever
  `gzip` is GNU gzip, as on Debian and Ubuntu; nothing that is pinned rests on that.
"""

import os
import stat
import tarfile
import tempfile
import zipfile
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Final, Literal, NoReturn, Self

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
