# SPDX-License-Identifier: Apache-2.0
"""The folder that a host lies in, and its files: any of them may be damaged, gone, or something else by now."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from dataclasses import dataclass, field

PIECE = 1 << 20
ABSENT = (FileNotFoundError, NotADirectoryError)
HOPS = 40
"""Links followed before a path counts as a loop, as the kernel does it (path_resolution(7))."""


@dataclass
class Root:
    """The folder that a host lies in; links on the way are followed inside it."""

    folder: str
    _known: dict[str, str] = field(default_factory=dict)

    def at(self, name: str) -> str:
        """Where an absolute path of the host lies. If it is a link itself, that is not followed."""
        if self.folder == "/":
            return name
        above, _, last = name.rpartition("/")
        return f"{self._real(above or '/', 0)}/{last}"

    def read(self, name: str) -> bytes:
        """Content of a file of the host, links followed.

        Raises:
            OSError: It cannot be read, or is no regular file.
        """
        with self.open(name) as file:
            return file.read()

    def text(self, name: str) -> str:
        """Text of a file of the host; bytes that are no UTF-8 stand there escaped.

        Raises:
            OSError: It cannot be read, or is no regular file.
        """
        return self.read(name).decode(errors="surrogateescape")

    def open(self, name: str) -> io.FileIO:
        """A file of the host, links followed.

        Raises:
            OSError: It cannot be read; IrregularError: it is no regular file.
        """
        return opened(self._real(name, 0))

    def lstat(self, name: str) -> os.stat_result:
        """What a name of the host stands for; if it is a link, that is not followed.

        Raises:
            OSError: It is not there, or cannot be seen.
        """
        return os.lstat(raw(self.at(name)))

    def mode(self, name: str) -> int:
        """Mode of a file of the host, links followed.

        Raises:
            OSError: It is not there.
        """
        return os.stat(raw(self._real(name, 0))).st_mode  # noqa: PTH116  # these are many: a Path of each costs more

    def has(self, name: str) -> bool:
        """Whether there is something of a name, be it a link to nothing."""
        return os.path.lexists(self.at(name))

    def names(self, folder: str) -> list[str]:
        """Names in a folder of the host, sorted; none if it is not there."""
        try:
            return sorted(os.listdir(self._real(folder, 0)))  # noqa: PTH208  # names are wanted
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _real(self, name: str, hops: int) -> str:
        if self.folder == "/" or name == "/":
            return name if self.folder == "/" else self.folder
        if hops > HOPS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
        if name not in self._known:
            above, _, last = name.rpartition("/")
            place = f"{self._real(above or '/', hops)}/{last}"
            if os.path.islink(place):  # noqa: PTH114  # as above
                target = os.readlink(place)  # noqa: PTH115  # as above
                place = self._real(os.path.normpath(os.path.join(above or "/", target)), hops + 1)  # noqa: PTH118
            self._known[name] = place
        return self._known[name]


class IrregularError(OSError):
    """What is no regular file: to read it could take for ever."""


def raw(path: str) -> bytes:
    """A path as the kernel has it, whatever the locale: dpkg's files are read as UTF-8, other bytes escaped."""
    return path.encode(errors="surrogateescape")


def shown(text: str) -> str:
    r"""Text that may hold bytes of a path that is no UTF-8, in characters: these as `\xff`."""
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def opened(place: str) -> io.FileIO:
    """A regular file. A FIFO does not keep us waiting.

    Raises:
        OSError: It cannot be read; IrregularError: it is none.
    """
    number = os.open(raw(place), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(number).st_mode):
        return io.FileIO(number)
    os.close(number)
    raise IrregularError(errno.EINVAL, "it is no regular file", place)


def md5_of(file: io.FileIO) -> str:
    """MD5 of a file, which is read once, in pieces, and closed."""
    digest = hashlib.md5(usedforsecurity=False)
    with file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()
