# SPDX-License-Identifier: Apache-2.0
"""A repository on disk: temporary files renamed into place, everything fsynced before what points to it."""

import errno
import fcntl
import hashlib
import itertools
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from bigtop_builder.cores import MANY, cores, on_all_cores
from bigtop_builder.errors import PublishError
from bigtop_builder.repository.layout import COPY
from bigtop_builder.repository.store import Alias, Content, Held, Listed, Present, Staged
from bigtop_builder.repository.store.deeds import NOTHING, Deeds
from bigtop_builder.repository.store.files import (
    Copying,
    Write,
    bring,
    make_folders,
    rename,
    stage,
    sync_all,
    sync_folder,
    write,
)
from bigtop_builder.repository.store.holder import holder

log = logging.getLogger(__name__)

TEMPORARY = "state/tmp"
SUITES = "dists"
LOCK = "state/lock"
LOCK_SECONDS = 600
LOCK_PAUSE = 0.05
UNSETTLED = (
    "what was switched last may not be on the disk yet: make room or mend it, and run the command again"
)
LOCK_TOLD = 1.0
"""Seconds of waiting after which it is said for whom."""


class FilesystemStore:
    """A folder that a web server serves.

    Args:
        root: The folder.
        sync: Wait until what is written is on the disk. Off only for repositories that nobody would miss.
    """

    def __init__(self, root: Path, *, sync: bool = True) -> None:
        self.root = root
        self._sync = sync
        self._serial = itertools.count()
        self._deeds = Deeds()

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.root)

    @property
    def readers(self) -> int:
        """Two: what a small file takes is Python's time, and with eight threads it was twice as much."""
        return 2

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None if there is none. What is read of a suite is durable, whoever wrote it."""
        if path.startswith(f"{SUITES}/"):
            self._settle()
        try:
            return (self.root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def size(self, path: str) -> int | None:
        """Bytes of a file; None if there is none."""
        try:
            return os.stat(f"{self.root}/{path}").st_size  # noqa: PTH116  # asked ten thousand times: see Write
        except (FileNotFoundError, NotADirectoryError):
            return None

    def sha256(self, path: str) -> str:
        """Hash of a file's bytes."""
        with (self.root / path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def origin(self, path: str) -> str:
        """The file that links lead to."""
        return os.path.realpath(f"{self.root}/{path}")

    def held(self, paths: Iterable[str]) -> dict[str, Held]:
        """Sizes of those files that are there."""
        sizes = {path: self.size(path) for path in paths}
        return {path: Held(size=size) for path, size in sizes.items() if size is not None}

    def names(self, folder: str) -> tuple[str, ...]:
        """Names in a folder, sorted; none if there is no such folder."""
        try:
            return tuple(sorted(entry.name for entry in (self.root / folder).iterdir()))
        except (FileNotFoundError, NotADirectoryError):
            return ()

    def walk(self, folder: str) -> Iterator[Listed]:
        """All files and links below a folder."""
        with self._complaints():
            folders = [f"{self.root}/{folder}".rstrip("/")]
            while folders:
                try:
                    with os.scandir(folders.pop()) as entries:
                        for entry in entries:
                            if entry.is_dir(follow_symlinks=False):
                                folders.append(entry.path)
                            else:
                                yield _listed(entry, len(str(self.root)) + 1)
                except (FileNotFoundError, NotADirectoryError):
                    continue

    def local(self, files: Mapping[str, Held], folder: Path) -> list[Path]:  # noqa: ARG002  # they are here
        """The files themselves: whoever reads them holds them to their hashes.

        Raises:
            PublishError: One is missing or has another size.
        """
        for path, known in files.items():
            size = self.size(path)
            if size != known.size:
                wrong = "is missing" if size is None else f"has {size} bytes, not {known.size}"
                raise PublishError(f"{self.root}/{path} {wrong}", hint=COPY)
        return [self.root / path for path in files]

    def stage(self, files: Mapping[str, Path]) -> Mapping[str, Staged]:
        """Copy files into the folder that the next publisher clears if this one is killed.

        Raises:
            PublishError: They cannot be written.
        """
        with self._complaints():
            try:
                os.makedirs(self.root / TEMPORARY, exist_ok=True)  # noqa: PTH103  # as in _put
                copies = [
                    Copying(path=path, to=self._temporary(), place=f"{self.root}/{place}", sync=self._sync)
                    for place, path in files.items()
                ]
                # who waits for the disk hashes nothing: others do, meanwhile
                found = on_all_cores(stage, copies, jobs=2 * cores() if self._sync else None)
            except BaseException:
                self._empty()
                raise
        return dict(zip(files, found, strict=True))

    def put(self, files: Mapping[str, Content], *, modified: datetime | None = None) -> None:
        """Write files: temporaries first, fsynced; then renamed; then their folders fsynced.

        Raises:
            PublishError: They cannot be written, or an upload is not what its hash says.
        """
        with self._complaints():
            try:
                self._put(files, modified)
            except BaseException:
                self._empty()
                raise

    def _put(self, files: Mapping[str, Content], modified: datetime | None) -> None:
        root = str(self.root)
        places = {f"{root}/{path}": content for path, content in files.items()}
        fresh = {place: one for place, one in places.items() if not isinstance(one, Present)}
        stamp = modified.timestamp() if modified else None
        os.makedirs(f"{root}/{TEMPORARY}", exist_ok=True)  # noqa: PTH103  # paths are text here: see Write
        writes = [
            Write(
                root=root,
                place=place,
                temporary=str(content.path) if isinstance(content, Staged) else self._temporary(),
                content=content,
                modified=stamp,
                sync=self._sync and len(places) < MANY,
            )
            for place, content in fresh.items()
        ]
        folders = {os.path.dirname(place) for place in places}  # noqa: PTH120
        if len(places) >= MANY:
            self._put_many(writes, folders)
            return
        on_all_cores(write, writes)
        folders |= make_folders(folders)
        on_all_cores(rename, writes)
        if self._sync:
            on_all_cores(sync_folder, list(folders))

    def _temporary(self) -> str:
        return f"{self.root}/{TEMPORARY}/{os.getpid()}.{next(self._serial)}"

    def _put_many(self, writes: "Sequence[Write]", folders: set[str]) -> None:
        """The same for thousands: whoever renames makes the folder, and the file system is synced as a whole."""
        make_folders({os.path.dirname(folder) for folder in folders})  # noqa: PTH120
        steps = (write, rename) if self._sync else (bring,)
        for step in steps:
            on_all_cores(step, writes)
            if self._sync:
                sync_all(str(self.root))

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder on the repository's own disk, which the next publisher clears if this one is killed."""
        with self._complaints():
            parent = self.root / TEMPORARY
            parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=parent, ignore_cleanup_errors=True) as name:
                yield Path(name)

    def clear(self, folder: str) -> None:
        """Remove a folder with all below it, if it is there: links in it may be others than those that come."""
        with self._complaints(), suppress(FileNotFoundError):
            shutil.rmtree(self.root / folder)

    def remove(self, paths: Collection[str]) -> None:
        """Unlink files and links, then the folders that this leaves empty, and fsync what had them."""
        with self._complaints("run the command again when the rights are mended"):
            folders: set[str] = set()
            for path in paths:
                place = f"{self.root}/{path}"
                with suppress(FileNotFoundError, NotADirectoryError):
                    os.unlink(place)  # noqa: PTH108  # paths are text here: see Write
                    self._deeds.removed()
                    folders.add(os.path.dirname(place))  # noqa: PTH120
            left = self._without_empty(folders)
            if self._sync and len(left) >= MANY:
                sync_all(str(self.root))
            elif self._sync:
                on_all_cores(sync_folder, sorted(left))

    def _without_empty(self, folders: set[str]) -> set[str]:
        """Remove those of the folders that are empty, and their parents then; answer what is left of them."""
        left: set[str] = set()
        for folder in sorted(folders, reverse=True):
            place = folder
            while os.path.dirname(place) != str(self.root):  # noqa: PTH120
                try:
                    os.rmdir(place)  # noqa: PTH106
                except FileNotFoundError:
                    pass
                except OSError as error:
                    if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                        raise
                    break
                place = os.path.dirname(place)  # noqa: PTH120
            left.add(place)
        return {folder for folder in left if os.path.isdir(folder)}  # noqa: PTH112

    def switch(
        self,
        suite: str,
        release: str,
        *,
        files: Mapping[str, str],  # noqa: ARG002  # the release folder links to them
        before: bytes | None,  # noqa: ARG002  # the lock is the kernel's, and cannot be lost
    ) -> None:
        """Rename a new symlink over the old one: clients see the old folder or the new one, never neither."""
        with self._complaints("hosts see the state before or the one after, whole: run the command again"):
            self._put({f"{SUITES}/{suite}": Alias(release)}, None)
            self._deeds.switched(suite)

    def take_down(self, suite: str) -> None:
        """Unlink the suite."""
        self.remove([f"{SUITES}/{suite}"])

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the repository's lock file; the kernel lets go of it when its holder dies.

        Raises:
            PublishError: Another publisher holds it for ten minutes, or it cannot be written.
        """
        with self._complaints():
            (self.root / "state").mkdir(parents=True, exist_ok=True)
            held = os.open(self.root / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._acquire(held)
            with self._cleared(), self._deeds.told():
                yield
        finally:
            os.close(held)

    @contextmanager
    def _cleared(self) -> Iterator[None]:
        """Temporary files are gone before and after: who only waits for the lock must not touch its holder's."""
        try:
            with self._complaints():
                self._take_over()
            yield
            with suppress(OSError):
                (self.root / TEMPORARY).rmdir()
        finally:
            self._empty()

    def _acquire(self, held: int) -> None:
        started = time.monotonic()
        told = False
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            waited = time.monotonic() - started
            if waited > LOCK_SECONDS:
                raise PublishError(
                    f"{self.root} is being published to by {holder(held)} for {LOCK_SECONDS} s",
                    hint=f"run the command again when it is done; fuser {self.root / LOCK} shows who holds it",
                )
            if waited > LOCK_TOLD and not told:
                told = True
                log.warning(
                    "waiting up to %d s for %s, who holds %s", LOCK_SECONDS, holder(held), self.root / LOCK
                )
            time.sleep(LOCK_PAUSE)

    def _take_over(self) -> None:
        """Make durable what a publisher left that did not come to its end: its folders may not be yet.

        Such a one leaves its folder for temporary files behind.
        """
        if (self.root / TEMPORARY).is_dir():
            self._empty()
            if self._sync:
                sync_all(str(self.root))

    def _settle(self) -> None:
        """Make the suites durable where a publisher may have been killed just after it switched one."""
        if self._sync and (self.root / TEMPORARY).is_dir():
            for folder in (self.root / SUITES, self.root):
                with self._complaints(UNSETTLED), suppress(FileNotFoundError):
                    sync_folder(str(folder))

    def _empty(self) -> None:
        with suppress(OSError):
            for left in (self.root / TEMPORARY).iterdir():
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink()

    @contextmanager
    def _complaints(
        self, hint: str = f"{NOTHING}: make room or mend the rights, and run the command again"
    ) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            temporary = str(error.filename or "").startswith(f"{self.root}/{TEMPORARY}")
            place = self.root if temporary or not error.filename else error.filename
            raise PublishError(f"{place}: {error.strerror}", hint=hint) from error


def _listed(entry: "os.DirEntry[str]", cut: int) -> Listed:
    found = entry.stat(follow_symlinks=False)
    return Listed(
        path=entry.path[cut:], size=found.st_size, modified=datetime.fromtimestamp(found.st_mtime, UTC)
    )
