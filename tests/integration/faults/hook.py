# SPDX-License-Identifier: Apache-2.0
"""The real command line in a process whose file calls can be recorded, made to fail, or be its last.

`test_hook.py` holds it to strace: no call that changes the repository goes past it.
"""

import builtins
import ctypes
import errno
import fcntl
import importlib
import io
import json
import mmap
import os
import signal
import struct
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

How = Literal["kill", "torn", "EIO", "ENOSPC"]
NAMING = {"rename", "link", "symlink", "mkdir", "unlink", "rmdir", "truncate", "chmod", "create"}
"""Calls whose errors name a file: not those on a descriptor."""
MODULES = (
    "bigtop_builder.__main__",
    "bigtop_builder.cli.repo",
    "bigtop_builder.cli.inspection",
    "bigtop_builder.cli.snapshots",
    "bigtop_builder.cli.suites",
    "bigtop_builder.repository.store.filesystem",
)
"""What commands need, to be loaded once for all."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What shall happen to calls that change something below `root`.

    Attributes:
        root: The repository.
        at: Which call, counted from 0; none if negative.
        how: `kill`: SIGKILL before it is done; `torn`: after half of it, if it is a write; else its error.
        lasting: The calls after it fail in the same way.
        small: Packages with more bytes are large, which are copied first and hashed then; None for the tool's own.
        many: So many files are many, which are written by processes and synced at once; None for the tool's own.
        journal: Where all calls that were done are told, a JSON object a line.
    """

    root: Path
    at: int = -1
    how: How = "kill"
    lasting: bool = False
    small: int | None = None
    many: int | None = None
    journal: Path | None = None


def publish(words: list[str], fault: Fault, variables: Mapping[str, str], output: Path) -> None:
    """Run a command of bigtop-builder in this process, which ends with it."""
    for name in MODULES:
        importlib.import_module(name)
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ.update(variables)
    sys.argv = ["bigtop-builder", *words]
    for module, name, value in (
        ("bigtop_builder.cores", "MANY", fault.many),
        ("bigtop_builder.repository.store.filesystem", "MANY", fault.many),
        ("bigtop_builder.cli.suites", "SMALL", fault.small),
    ):
        there = vars(sys.modules[module])
        if value is not None:
            there[name] = there[name] and value
    _Watch(fault).install()
    sys.modules["bigtop_builder.__main__"].main()


class _Watch:
    """Counts calls in the order in which they happen, whichever thread makes them."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.count = mmap.mmap(-1, 8)  # shared with processes that are forked
        self.turn = _Turn()
        self.publisher = os.getpid()
        self.write = os.write
        journal = fault.journal
        self.journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if journal else -1

    def install(self) -> None:
        for name in ("rename", "replace", "link", "symlink"):
            self._between(name)
        for name in ("mkdir", "unlink", "remove", "rmdir", "truncate", "utime", "chmod"):
            self._at(name)
        for name in ("fsync", "fdatasync", "ftruncate", "pwrite", "writev", "sendfile", "copy_file_range"):
            self._on(name)
        self._opening()
        self._writing()
        self._syncing()

    def meet(
        self, call: str, path: str, act: Callable[[], Any], half: Callable[[], Any] | None = None, **told: Any
    ) -> Any:
        """Let a call happen, or what is to happen in its place."""
        if not _below(path, self.fault.root):
            return act()
        with self.turn:
            (number,) = struct.unpack("q", self.count[:])
            self.count[:] = struct.pack("q", number + 1)
            if number == self.fault.at or (self.fault.lasting and 0 <= self.fault.at < number):
                self._strike(path if call in NAMING else None, half)
            try:
                result = act()
            except OSError as error:
                self._note({"call": "failed", "path": path, "why": f"{call}: {error}"})
                raise
            self._note({"call": call, "path": path, **told})
            return result

    def _note(self, event: Mapping[str, Any]) -> None:
        if self.journal >= 0:
            self.write(self.journal, json.dumps(event).encode() + b"\n")

    def _strike(self, path: str | None, half: Callable[[], Any] | None) -> None:
        how = self.fault.how
        if how == "torn" and half:
            half()
        if how in {"kill", "torn"}:
            os.kill(self.publisher, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        code = getattr(errno, how)
        raise OSError(code, os.strerror(code), path)

    def _between(self, name: str) -> None:
        """Calls with two paths, of which the second is made."""
        real = getattr(os, name)

        def call(source: Any, target: Any, *words: Any, **options: Any) -> Any:
            told = os.fspath(source) if name == "symlink" else _absolute(source)
            path = _absolute(target, options.get("dir_fd"))
            return self.meet(
                _PLAIN.get(name, name), path, lambda: real(source, target, *words, **options), source=told
            )

        setattr(os, name, call)

    def _at(self, name: str) -> None:
        """Calls with one path."""
        real = getattr(os, name)

        def call(path: Any, *words: Any, **options: Any) -> Any:
            place = _place(path) if isinstance(path, int) else path
            where = _absolute(place, options.get("dir_fd"))
            told = {"moment": words[0][1] if words and words[0] else None} if name == "utime" else {}
            return self.meet(_PLAIN.get(name, name), where, lambda: real(path, *words, **options), **told)

        setattr(os, name, call)
        if real in os.supports_dir_fd:  # shutil and tempfile look for the function itself
            os.supports_dir_fd.add(call)
        if real in os.supports_fd:
            os.supports_fd.add(call)

    def _on(self, name: str) -> None:
        """Calls on a descriptor."""
        real = getattr(os, name)

        def call(descriptor: int, *words: Any, **options: Any) -> Any:
            changed = words[0] if name == "copy_file_range" else descriptor
            path = _place(changed)
            return self.meet(name, path, lambda: real(descriptor, *words, **options))

        setattr(os, name, call)

    def _opening(self) -> None:
        """os.open, where it makes or empties a file; open(), whose files then write through os.write."""
        real, real_open = os.open, io.open

        def opened(path: Any, flags: int, *words: Any, **options: Any) -> int:
            where = _absolute(path, options.get("dir_fd"))
            makes = flags & os.O_CREAT and not os.path.lexists(where)
            if makes or flags & os.O_TRUNC:
                call = "create" if makes else "truncate"
                return int(self.meet(call, where, lambda: real(path, flags, *words, **options)))
            return real(path, flags, *words, **options)

        def opened_file(file: Any, mode: str = "r", buffering: int = -1, *words: Any, **options: Any) -> Any:
            place = _place(file) if isinstance(file, int) else _absolute(file)
            if not set(mode) & set("wxa+") or not _below(place, self.fault.root):
                return real_open(file, mode, buffering, *words, **options)
            raw = _Raw(file, mode.replace("b", ""), opener=opened)
            if buffering == 0:
                return raw
            binary = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            return binary if "b" in mode else io.TextIOWrapper(binary, *words, **options)

        os.open = opened
        io.open = builtins.open = opened_file

    def _writing(self) -> None:
        real = os.write

        def written(descriptor: int, data: Any) -> int:
            path = _place(descriptor)
            if not path.startswith("/"):  # a pipe
                return real(descriptor, data)
            content = bytes(data)

            def act() -> int:
                return real(descriptor, content)

            def half() -> int:
                return real(descriptor, content[: len(content) // 2])

            return int(self.meet("write", path, act, half=half, data=b64encode(content).decode()))

        os.write = written

    def _syncing(self) -> None:
        """syncfs(2), which Python has by way of ctypes only."""
        meet = self.meet

        class Library(ctypes.CDLL):
            def syncfs(self, descriptor: int) -> int:
                path = _place(descriptor)
                return int(meet("syncfs", path, lambda: self["syncfs"](descriptor)))

        ctypes.CDLL = Library  # type: ignore[misc]


class _Turn:
    """One call after the other, among threads and among processes that were forked."""

    def __init__(self) -> None:
        self.threads = threading.RLock()
        self.file = os.memfd_create("turn")
        self.depth = 0

    def __enter__(self) -> None:
        self.threads.acquire()
        self.depth += 1
        if self.depth == 1:
            fcntl.lockf(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self.depth -= 1
        if self.depth == 0:
            fcntl.lockf(self.file, fcntl.LOCK_UN)
        self.threads.release()


class _Raw(io.FileIO):
    """A file whose writes go through os.write, as it is looked up then."""

    def write(self, data: Any) -> int:
        return os.write(self.fileno(), data)


_PLAIN = {"replace": "rename", "remove": "unlink"}


def _place(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def _absolute(path: Any, folder: int | None = None) -> str:
    base = _place(folder) if folder is not None else Path.cwd()
    place = os.path.join(base, os.fspath(path))  # noqa: PTH118  # bytes or str, and no normalising
    return os.path.realpath(os.path.dirname(place)) + "/" + os.path.basename(place)  # noqa: PTH119, PTH120


def _below(path: str, root: Path) -> bool:
    return path.startswith(f"{root}/") or path == str(root)
