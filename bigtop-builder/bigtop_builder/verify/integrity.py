# SPDX-License-Identifier: Apache-2.0
"""Is a .deb whole: its ar frame, its compressed members to their ends, its tar archives, its md5sums.

One pass, streamed. A cut at any byte is found, and any flipped bit that changes what dpkg would unpack: gz,
xz and zst carry checksums, and the ar frame has no slack but time, owner and mode in its member headers, which
dpkg ignores. Nor have a gzip header's time, system and flags any effect, or the unused bits after the last
deflate block. What is stored uncompressed has the md5sums only.
"""

import hashlib
import os
import re
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from bigtop_builder.artifact import HEADER, members
from bigtop_builder.errors import CheckFailed
from bigtop_builder.verify.expand import CHUNK, BrokenStreamError, Tally, Window, expand

NAME = re.compile(rb"[!-~]+ *")
COLUMN = re.compile(rb"[0-9]+ *")
NUMBERS = ((16, 28), (28, 34), (34, 40), (40, 48), (48, 58))
"""Columns of time, owner, group, mode and size in a member header."""
BLOCK = 512
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
TEXT_LIMIT = 1 << 20
SHOWN = 20
"""Problems that are told one by one."""


@dataclass(kw_only=True)
class Contents:
    """What one pass over a .deb found; paths are relative to the root, as in `usr/bin/x`.

    Attributes:
        problems: What is wrong; empty if the file is whole.
        files: Regular files, links and other things that are no folders.
        conffiles: Files whose changes the admin keeps.
        md5sums: Digests that the package carries; None if it carries none.
        unsummed: Regular files, no conffiles, that md5sums leaves out.
        scripts: Maintainer scripts: name -> text.
    """

    problems: list[str] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    conffiles: tuple[str, ...] = ()
    md5sums: dict[str, bytes] | None = None
    unsummed: list[str] = field(default_factory=list)
    scripts: dict[str, str] = field(default_factory=dict)


def check_integrity(path: Path) -> list[str]:
    """Problems of a .deb, one a line, none if it is whole. It never raises for what the file holds."""
    return inspect(path).problems


def inspect(path: Path) -> Contents:
    """Read a .deb from end to end, in bounded memory, and note what it holds and what is wrong with it."""
    contents = Contents()
    try:
        with path.open("rb") as file:
            _read(file, path, contents)
    except CheckFailed as error:
        contents.problems.append(error.brief)
    except OSError as error:
        contents.problems.append(f"cannot be read: {error.strerror}")
    if len(contents.problems) > SHOWN:
        more = len(contents.problems) - SHOWN
        contents.problems[SHOWN:] = [f"and {more} more problems"]
    return contents


def _read(file: IO[bytes], path: Path, contents: Contents) -> None:
    parts = (("debian-binary", _version), ("control.tar", _control), ("data.tar", _data))
    names: list[str] = []
    for name, size in members(file, path):
        names.append(name)
        _check_header(file, name)
        wanted, read = parts[min(len(names), len(parts)) - 1]
        suffix = name.removeprefix(wanted)
        if len(names) > len(parts) or not name.startswith(wanted) or (suffix and not suffix.startswith(".")):
            said = ", ".join(names)
            raise CheckFailed(f"members are {said}: not debian-binary, control.tar, data.tar alone (deb(5))")
        window = Window(file, size)
        try:
            read(window, suffix, contents)
        except (BrokenStreamError, tarfile.TarError, ValueError) as error:
            contents.problems.append(f"{name}: {error}")
            return
        if size % 2 and file.read(1) != b"\n":
            contents.problems.append(f"{name}: the padding after it is missing or wrong")
    if len(names) < len(parts):
        contents.problems.append(f"members are {', '.join(names)}: {parts[len(names)][0]} is missing")


def _check_header(file: IO[bytes], name: str) -> None:
    """Hold the member header that was just read to its columns (deb(5)); dpkg takes some slack in them."""
    file.seek(-HEADER, os.SEEK_CUR)
    header = file.read(HEADER)
    if any(not COLUMN.fullmatch(header[start:end]) for start, end in NUMBERS) or not NAME.fullmatch(
        header[:16]
    ):
        raise CheckFailed(f"member header of {name!r} is damaged: {header!r}")


def _version(window: Window, suffix: str, contents: Contents) -> None:
    if suffix or (said := window.read(BLOCK)) != b"2.0\n":
        contents.problems.append(f"debian-binary says {suffix or said!r}, not '2.0'")


def _control(window: Window, suffix: str, contents: Contents) -> None:
    takers: Mapping[str, Callable[[IO[bytes], Contents], None]] = {
        "md5sums": _take_md5sums,
        "conffiles": _take_conffiles,
    }
    seen = set()

    def take(member: tarfile.TarInfo, data: IO[bytes] | None) -> None:
        name = member.name.removeprefix("./")
        if name in seen:
            contents.problems.append(f"control.tar holds {name} twice")
        seen.add(name)
        if data is None:
            if name != ".":
                contents.problems.append(f"control.tar: {name} is no regular file")
        elif name in takers:
            takers[name](data, contents)
        elif name in SCRIPTS:
            contents.scripts[name] = data.read(TEXT_LIMIT).decode(errors="replace")

    _walk(window, suffix, take)
    if "control" not in seen:
        contents.problems.append("control.tar holds no control file")


def _take_md5sums(data: IO[bytes], contents: Contents) -> None:
    contents.md5sums = {}
    for line in data:
        digest, _, name = line.decode(errors="surrogateescape").rstrip("\n").partition("  ")
        try:
            contents.md5sums[name.removeprefix("./")] = bytes.fromhex(digest)
        except ValueError:
            contents.problems.append(f"md5sums has the line {line[:80]!r}")


def _take_conffiles(data: IO[bytes], contents: Contents) -> None:
    lines = data.read(TEXT_LIMIT).decode(errors="surrogateescape").splitlines()
    contents.conffiles = tuple(line.strip().lstrip("/") for line in lines if line.startswith("/"))


def _data(window: Window, suffix: str, contents: Contents) -> None:
    tree = _Tree(contents)
    _walk(window, suffix, tree.take)
    tree.finish()


class _Tree:
    """The members of data.tar as they come by."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._sums = contents.md5sums or {}
        self._missing = set(self._sums)
        self._conffiles = set(contents.conffiles)
        self._regular: set[str] = set()
        self._links: set[str] = set()

    def _problem(self, text: str) -> None:
        self._contents.problems.append(text)

    def take(self, member: tarfile.TarInfo, data: IO[bytes] | None) -> None:
        path = self._place(member)
        if path is None or member.isdir():
            return
        if path in self._contents.files:
            self._problem(f"{path} is there twice")
        self._contents.files.add(path)
        if member.issym():
            self._symlink(path, member.linkname)
        elif member.islnk():
            self._hardlink(path, member.linkname)
        elif data is not None:
            self._file(path, data)
        elif not member.isfifo():
            self._problem(f"{path} is a device (Debian policy 10.6)")

    def _place(self, member: tarfile.TarInfo) -> str | None:
        """The path of a member, or None if it is the root or lies where no package may write."""
        parts = member.name.removeprefix("./").split("/")
        if member.name.startswith("/") or ".." in parts:
            self._problem(f"{member.name} leads out of the package")
            return None
        path = "/".join(part for part in parts if part not in {"", "."})
        if self._links and any(parent in self._links for parent in _parents(path)):
            self._problem(f"{path} lies behind a symlink of the same package")
        return path or None

    def _symlink(self, path: str, target: str) -> None:
        self._links.add(path)
        depth = path.count("/")
        for part in () if target.startswith("/") else target.split("/"):
            depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
            if depth < 0:
                self._problem(f"symlink {path} -> {target} leads out of the package")
                return

    def _hardlink(self, path: str, target: str) -> None:
        first = target.removeprefix("./")
        if first not in self._regular:
            self._problem(f"hard link {path} -> {target} has no file before it in the package")
            return
        self._regular.add(path)
        self._sum(path, self._sums.get(first))

    def _file(self, path: str, data: IO[bytes]) -> None:
        self._regular.add(path)
        digest = hashlib.md5(usedforsecurity=False)
        while chunk := data.read(CHUNK):
            digest.update(chunk)
        self._sum(path, digest.digest())

    def _sum(self, path: str, digest: bytes | None) -> None:
        self._missing.discard(path)
        if path not in self._sums:
            if path not in self._conffiles:
                self._contents.unsummed.append(path)
        elif digest is not None and self._sums[path] != digest:
            self._problem(f"{path} is not what md5sums says")

    def finish(self) -> None:
        for path in sorted(self._missing):
            self._problem(f"{path} is in md5sums, but no regular file of data.tar")
        for path in self._contents.conffiles:
            if path not in self._contents.files:
                self._problem(f"conffile {path} is not in data.tar")


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def _walk(window: Window, suffix: str, take: Callable[[tarfile.TarInfo, IO[bytes] | None], None]) -> None:
    """Hand each member of a compressed tar archive to `take`, and see that the archive ends as it should."""
    tally = Tally(expand(window, suffix))
    with tarfile.open(fileobj=cast("IO[bytes]", tally), mode="r|", bufsize=CHUNK) as tar:
        while (member := tar.next()) is not None:
            take(member, tar.extractfile(member) if member.isreg() else None)
            tar.members = []  # type: ignore[attr-defined]  # tarfile keeps every member, a kilobyte each
        end = tar.offset
    tally.drain()
    # tarfile takes any damaged header but the first for the end of the archive.
    if tally.total % BLOCK or tally.total - tally.zeros > end or tally.total < end + 2 * BLOCK:
        raise BrokenStreamError(f"tar archive is damaged or cut off at byte {end} of {tally.total}")
