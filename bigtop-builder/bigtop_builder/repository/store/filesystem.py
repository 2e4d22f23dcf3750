# SPDX-License-Identifier: Apache-2.0
"""A repository on disk: temporary files renamed into place, everything fsynced before what points to it."""

import hashlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from bigtop_builder.errors import PublishError
from bigtop_builder.repository.store import Alias, Content, Present, Upload

CHUNK = 1 << 20
TEMPORARY = "state/tmp"
LOCK = "state/lock"
LOCK_SECONDS = 600


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

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.root)

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None if there is none."""
        try:
            return (self.root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def size(self, path: str) -> int | None:
        """Bytes of a file; None if there is none."""
        try:
            return (self.root / path).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def sha256(self, path: str) -> str:
        """Hash of a file's bytes."""
        with (self.root / path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def names(self, folder: str) -> tuple[str, ...]:
        """Names in a folder, sorted; none if there is no such folder."""
        try:
            return tuple(sorted(entry.name for entry in (self.root / folder).iterdir()))
        except (FileNotFoundError, NotADirectoryError):
            return ()

    def put(self, files: Mapping[str, Content], *, modified: datetime | None = None) -> None:
        """Write files: temporaries first, fsynced; then renamed; then their folders fsynced.

        Raises:
            PublishError: They cannot be written, or an upload is not what its hash says.
        """
        with self._complaints():
            try:
                with ThreadPoolExecutor(os.cpu_count()) as pool:
                    self._put(files, modified, pool)
            except BaseException:
                self._clear()
                raise

    def _put(self, files: Mapping[str, Content], modified: datetime | None, pool: ThreadPoolExecutor) -> None:
        fresh = {path: content for path, content in files.items() if not isinstance(content, Present)}
        temporaries = list(pool.map(self._temporary, fresh, fresh.values(), itertools.repeat(modified)))
        places = [self.root / path for path in fresh]
        folders = {(self.root / path).parent for path in files}
        changed = folders | _make_folders(folders)
        for temporary, place in zip(temporaries, places, strict=True):
            temporary.replace(place)
        if self._sync:
            list(pool.map(_fsync_folder, changed))

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder on the repository's own disk, which the next publisher clears if this one is killed."""
        with self._complaints():
            parent = self.root / TEMPORARY
            parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=parent, ignore_cleanup_errors=True) as name:
                yield Path(name)

    def delete(self, folder: str) -> None:
        """Remove a folder with all below it, if it is there."""
        with self._complaints(), suppress(FileNotFoundError):
            shutil.rmtree(self.root / folder)

    def switch(self, suite: str, release: str) -> None:
        """Rename a new symlink over the old one: clients see the old folder or the new one, never neither."""
        self.put({f"dists/{suite}": Alias(release)})

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the repository's lock file; the kernel lets go of it when its holder dies.

        Raises:
            PublishError: Another publisher holds it for ten minutes, or it cannot be written.
        """
        from filelock import FileLock, Timeout  # 56 ms that only a publish should pay

        with self._complaints():
            (self.root / "state").mkdir(parents=True, exist_ok=True)
            held = FileLock(self.root / LOCK, timeout=LOCK_SECONDS)
            try:
                held.acquire()
            except Timeout as error:
                raise PublishError(
                    f"{self.root} is being published to by another process for {LOCK_SECONDS} s",
                    hint=f"see who holds {self.root / LOCK}, as in: fuser {self.root / LOCK}",
                ) from error
        try:
            self._clear()
            yield
        finally:
            self._clear()
            held.release()

    def _clear(self) -> None:
        shutil.rmtree(self.root / TEMPORARY, ignore_errors=True)

    def _temporary(self, path: str, content: bytes | Upload | Alias, modified: datetime | None) -> Path:
        folder = self.root / TEMPORARY
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f"{os.getpid()}.{next(self._serial)}"
        if isinstance(content, Alias):
            parent = (self.root / path).parent
            temporary.symlink_to(os.path.relpath(self.root / content.target, parent))
            return temporary
        with temporary.open("xb", buffering=0) as file:
            if isinstance(content, Upload):
                _copy(content, file.fileno())
            else:
                _write(file.fileno(), content)
            if modified:
                os.utime(file.fileno(), (modified.timestamp(),) * 2)
            if self._sync:
                os.fsync(file.fileno())
        return temporary

    @contextmanager
    def _complaints(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise PublishError(
                f"{error.filename or self.root}: {error.strerror}",
                hint="nothing was switched: make room or mend the rights, and run the command again",
            ) from error


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _copy(content: Upload, descriptor: int) -> None:
    whole = hashlib.sha256()
    with content.path.open("rb", buffering=0) as source:
        while chunk := source.read(CHUNK):
            whole.update(chunk)
            _write(descriptor, chunk)
    if whole.hexdigest() != content.sha256:
        raise PublishError(
            f"{content.path} changed while it was being published",
            hint="run the command again when nothing writes to it any more",
        )


def _make_folders(folders: set[Path]) -> set[Path]:
    """Make folders; answer those that got a new one in them, because their entries must be fsynced too."""
    changed: set[Path] = set()
    for folder in folders:
        missing = list(itertools.takewhile(lambda parent: not parent.is_dir(), (folder, *folder.parents)))
        for parent in reversed(missing):
            parent.mkdir()
            changed.add(parent.parent)
    return changed


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
