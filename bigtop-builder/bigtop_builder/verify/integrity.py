# SPDX-License-Identifier: Apache-2.0
"""Is a .deb whole: its ar frame, its compressed members to their ends, its tar archives, its md5sums.

One pass, streamed. A cut at any byte is found, and any flipped bit that changes what dpkg would unpack: gz,
xz and zst carry checksums, and the ar frame has no slack but time, owner and mode in its member headers, which
dpkg ignores. Nor have a gzip header's time, system and flags any effect, or the unused bits after the last
deflate block. What is stored uncompressed has the md5sums only.

A bomb, a small file of huge content, costs time and no room: nothing is written, memory holds names and
pieces, and reading ends at the limits here and in `expand`.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bigtop_builder.artifact import MEMBER_LIMIT, Member, control_files, frame
from bigtop_builder.expand import BrokenStreamError, Window, allowance, expand
from bigtop_builder.tarball import Entry, Tarball

SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
ENTRIES_LIMIT = 500_000
"""Entries of data.tar: the largest package in Debian has some 100,000."""
NAMES_LIMIT = 64 << 20
"""Bytes of all names in data.tar: they are held in memory, to find those that are there twice."""
SHOWN = 20
"""Problems that are told; a file that has more is read no further."""


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

    def problem(self, text: str) -> None:
        """Note a problem, with what a terminal would not print escaped.

        Raises:
            BrokenStreamError: There are so many that the rest is not worth reading.
        """
        if len(self.problems) == SHOWN:
            raise BrokenStreamError("there are more problems, which were not looked at")
        self.problems.append("".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text))


def check_integrity(path: Path) -> list[str]:
    """Problems of a .deb, one a line, none if it is whole. It never raises for what the file holds."""
    return inspect(path).problems


def inspect(path: Path) -> Contents:
    """Read a .deb from end to end, in bounded memory, and note what it holds and what is wrong with it."""
    contents = Contents()
    try:
        with path.open("rb") as file:
            control, data = frame(file)
            for member, take in ((control, _control), (data, _data)):
                _member(file, member, take, contents)
    except BrokenStreamError as error:
        contents.problems.append(str(error))
    except OSError as error:
        contents.problems.append(f"cannot be read: {error.strerror}")
    return contents


def _member(
    file: BinaryIO, member: Member, take: Callable[[Tarball, Contents], None], contents: Contents
) -> None:
    file.seek(member.at)
    limit = MEMBER_LIMIT if take is _control else allowance(member.size)
    try:
        take(Tarball(expand(Window(file, member.size), member.suffix, limit=limit)), contents)
    except BrokenStreamError as error:
        raise BrokenStreamError(f"{member.name}: {error}") from error


def _control(tar: Tarball, contents: Contents) -> None:
    names = set()
    for name, _ in control_files(tar):
        names.add(name)
        if name == "md5sums":
            _take_md5sums(tar.content(), contents)
        elif name == "conffiles":
            lines = tar.read().decode(errors="surrogateescape").split("\n")
            contents.conffiles = tuple(line.strip().lstrip("/") for line in lines if line.startswith("/"))
        elif name in SCRIPTS:
            contents.scripts[name] = tar.read().decode(errors="replace")
    if "control" not in names:
        contents.problem("control.tar holds no control file")


def _take_md5sums(pieces: Iterator[bytes], contents: Contents) -> None:
    contents.md5sums = {}
    for line in filter(None, b"".join(pieces).split(b"\n")):
        digest, _, name = line.decode(errors="surrogateescape").partition("  ")
        try:
            contents.md5sums[name.removeprefix("./")] = bytes.fromhex(digest)
        except ValueError:
            contents.problem(f"md5sums has the line {line[:80]!r}")


def _data(tar: Tarball, contents: Contents) -> None:
    tree = _Tree(contents)
    names = 0
    for entries, entry in enumerate(tar, 1):
        names += len(entry.name) + len(entry.link)
        if entries > ENTRIES_LIMIT or names > NAMES_LIMIT:
            raise BrokenStreamError(
                f"it has more than {ENTRIES_LIMIT} entries or {NAMES_LIMIT >> 20} MiB of names"
            )
        tree.take(entry, tar.content())
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

    def take(self, entry: Entry, content: Iterator[bytes]) -> None:
        path = self._place(entry)
        if path is None or entry.kind == "folder":
            return
        if path in self._contents.files:
            self._contents.problem(f"{path} is there twice")
        self._contents.files.add(path)
        if entry.kind == "symlink":
            self._symlink(path, entry.link)
        elif entry.kind == "hardlink":
            self._hardlink(path, entry.link)
        elif entry.kind == "file":
            self._file(path, content)
        elif entry.kind == "device":
            self._contents.problem(f"{path} is a device (Debian policy 10.6)")

    def _place(self, entry: Entry) -> str | None:
        """The path of a member, or None if it is the root or lies where no package may write."""
        parts = entry.name.removeprefix("./").split("/")
        if entry.name.startswith("/") or ".." in parts:
            self._contents.problem(f"{entry.name} leads out of the package")
            return None
        path = "/".join(part for part in parts if part not in {"", "."})
        if self._links and any(parent in self._links for parent in _parents(path)):
            self._contents.problem(f"{path} lies behind a symlink of the same package")
        return path or None

    def _symlink(self, path: str, target: str) -> None:
        self._links.add(path)
        depth = path.count("/")
        for part in () if target.startswith("/") else target.split("/"):
            depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
            if depth < 0:
                self._contents.problem(f"symlink {path} -> {target} leads out of the package")
                return

    def _hardlink(self, path: str, target: str) -> None:
        first = target.removeprefix("./")
        if first not in self._regular:
            self._contents.problem(f"hard link {path} -> {target} has no file before it in the package")
            return
        self._regular.add(path)
        self._sum(path, self._sums.get(first))

    def _file(self, path: str, content: Iterator[bytes]) -> None:
        self._regular.add(path)
        digest = hashlib.md5(usedforsecurity=False)
        for piece in content:
            digest.update(piece)
        self._sum(path, digest.digest())

    def _sum(self, path: str, digest: bytes | None) -> None:
        self._missing.discard(path)
        if path not in self._sums:
            if path not in self._conffiles:
                self._contents.unsummed.append(path)
        elif digest is not None and self._sums[path] != digest:
            self._contents.problem(f"{path} is not what md5sums says")

    def finish(self) -> None:
        for path in sorted(self._missing):
            self._contents.problem(f"{path} is in md5sums, but no regular file of data.tar")
        for path in self._contents.conffiles:
            if path not in self._contents.files:
                self._contents.problem(f"conffile {path} is not in data.tar")


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]
