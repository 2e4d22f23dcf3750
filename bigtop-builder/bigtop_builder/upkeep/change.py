# SPDX-License-Identifier: Apache-2.0
"""A change to the queue and its recipes: all of its files are put in place, or none.

Before the first file is touched, what all of them held is kept in `patches/.undo/`. A command that fails puts it
back; after one that was killed, the next one does. Commands that change the queue wait for each other.
"""

import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bigtop_builder.errors import InputError
from bigtop_builder.folder_lock import locked
from bigtop_builder.hidden_folder import sweep
from bigtop_builder.interrupt import Interruption, finish
from bigtop_builder.workspace import Project, require_writable

log = logging.getLogger(__name__)

UNDO = ".undo"
JOURNAL = "journal.json"
UNCHANGED = "nothing was changed; run the same command again"
"""Said of a command that was interrupted before its change was whole."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """New contents of files, not written yet.

    Attributes:
        root: The project's folder, without links in its path; everything lies in it.
        contents: File -> what it is to hold, None for none.
    """

    root: Path
    contents: dict[Path, bytes | None] = field(default_factory=dict, repr=False)

    def write(self, path: Path, content: bytes | str) -> None:
        """Let a file have this content; one that has it already is not touched.

        Raises:
            InputError: It lies outside the project, and would have other content.
        """
        data = content.encode() if isinstance(content, str) else content
        path = _plain(path)
        if not path.is_relative_to(self.root) and data != (path.read_bytes() if path.is_file() else None):
            raise InputError(
                f"{path} would be changed, and lies outside the project {self.root}",
                hint="name a recipe of this project, or the other one with --project",
            )
        self.contents[path] = data

    def edit(self, path: Path, edited: Callable[[str], str]) -> None:
        """Let a text file hold what this makes of its text, on top of what was changed in it before."""
        before = self.contents.get(_plain(path))
        self.write(path, edited(path.read_text(encoding="utf-8") if before is None else before.decode()))

    def remove(self, folder: Path) -> None:
        """Let a folder and all in it go."""
        files = (_plain(file) for file in folder.rglob("*") if not file.is_dir())
        self.contents.update(dict.fromkeys(files, None))

    def read(self, path: Path) -> bytes | None:
        """What a file is to hold; None if there is to be none."""
        if _plain(path) in self.contents:
            return self.contents[_plain(path)]
        return path.read_bytes() if path.is_file() else None

    def name(self, path: Path) -> str:
        """A file as people name it."""
        return str(_plain(path).relative_to(self.root))

    @property
    def names(self) -> tuple[str, ...]:
        """The files that change, by name."""
        return tuple(map(self.name, self.real()))

    @property
    def gone(self) -> tuple[str, ...]:
        """Those of them that go."""
        return tuple(self.name(path) for path, content in self.real().items() if content is None)

    def real(self) -> dict[Path, bytes | None]:
        """What differs from what is there, by path."""
        return {
            path: content
            for path, content in sorted(self.contents.items())
            if content != (path.read_bytes() if path.is_file() else None)
        }


@contextmanager
def changing(project: Project, *, dry_run: bool = False) -> Iterator[Change]:
    """Collect a change; it is put in place when the block ends without an error.

    Args:
        project: Whose patches and recipes are changed.
        dry_run: Put nothing in place.

    Raises:
        EnvironmentMissing: This user cannot write there.
    """
    if not dry_run:
        hint = "mend its rights, or name a copy of the project with --project"
        for folder in (project.patches, project.recipes):
            require_writable(folder, why="patches and recipes", hint=hint)
        project.patches.mkdir(exist_ok=True)
    with locked(project.patches) if project.patches.is_dir() else nullcontext():
        _put_back(project.patches, told=True)
        _sweep_work_trees(project)
        change = Change(root=project.root.resolve())
        try:
            yield change
            contents = {} if dry_run else change.real()
            if contents:
                _put_in_place(project, contents)
        except (KeyboardInterrupt, Interruption) as end:
            end.add_note(UNCHANGED)
            raise
        if contents:
            finish(lambda: _forget(project.patches))


def mend(project: Project) -> None:
    """Put back and sweep what a killed command left half done, for commands that only read the queue.

    One that is at work is waited for.
    """
    _sweep_work_trees(project)
    if any(project.patches.glob(f"{UNDO}*")):
        with locked(project.patches):
            _put_back(project.patches, told=True)


def _sweep_work_trees(project: Project) -> None:
    """Remove the work trees that a killed `patch edit` had not finished, where they are made by default."""
    for folder in (project.output / "patches").glob("*/"):
        sweep(folder)


def _put_in_place(project: Project, contents: dict[Path, bytes | None]) -> None:
    _keep(project, contents)
    try:
        for path, content in contents.items():
            _write(path, content, project.root)
    except BaseException:
        finish(lambda: _put_back(project.patches))
        raise


def _keep(project: Project, contents: dict[Path, bytes | None]) -> None:
    """Keep what the files hold. Until the folder has its name, nothing is changed; from then on all comes back."""
    root = project.root.resolve()
    torn = project.patches / f"{UNDO}.{uuid.uuid4().hex}.new"
    torn.mkdir()
    try:
        kept: dict[str, tuple[str, str]] = {}
        for number, (path, content) in enumerate(contents.items()):
            kept[str(path.relative_to(root))] = (str(number) if path.is_file() else "", _mark(content))
            if path.is_file():
                shutil.copy2(path, torn / str(number))
        (torn / JOURNAL).write_text(
            json.dumps({"root": os.path.relpath(root, torn.resolve()), "files": kept})
        )
        _sync(*torn.iterdir(), torn)
        torn.rename(project.patches / UNDO)
        _sync(project.patches)
    except BaseException:
        shutil.rmtree(torn, ignore_errors=True)
        raise


def _put_back(patches: Path, *, told: bool = False) -> None:
    """Let each file hold what it held. It can be done again and again until it was done.

    A file that somebody has changed since stays as it is, and is named.
    """
    undo = patches / UNDO
    if not undo.is_dir():
        _sweep(patches)
        return
    journal = json.loads((undo / JOURNAL).read_text())
    root = (undo / journal["root"]).resolve()
    if told:
        log.warning("a command was killed while it changed the queue: what it left half done is put back")
    for name, (number, new) in journal["files"].items():
        path = root / name
        for torn in path.parent.glob(f".{path.name}.*.new"):
            torn.unlink()
        old = (undo / number).read_bytes() if number else None
        there = path.read_bytes() if path.is_file() else None
        if there != old and _mark(there) != new:
            log.warning("%s was changed since, and is left as it is: see whether it fits the others", path)
            continue
        _write(path, old, root)
        if number:
            shutil.copystat(undo / number, path)
    _forget(patches)


def _plain(path: Path) -> Path:
    """A file by its one path; a link of that name stays one."""
    return path.parent.resolve() / path.name


def _mark(content: bytes | None) -> str:
    """What a content is known by again; empty for no file."""
    return "" if content is None else hashlib.sha256(content).hexdigest()


def _forget(patches: Path) -> None:
    """What was kept is not needed any more: the rename makes the change final."""
    old = patches / f"{UNDO}.{uuid.uuid4().hex}.old"
    with suppress(FileNotFoundError):
        (patches / UNDO).rename(old)
        _sync(patches)
    _sweep(patches)


def _sweep(patches: Path) -> None:
    """Remove what a killed command had not begun to use, or had no more use for."""
    for torn in patches.glob(f"{UNDO}.*"):
        shutil.rmtree(torn, ignore_errors=True)


def _write(path: Path, content: bytes | None, root: Path) -> None:
    if content is None:
        path.unlink(missing_ok=True)
        with suppress(OSError):
            for folder in path.parents:
                if folder.parent == root:
                    break
                folder.rmdir()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.new")
    try:
        beside.write_bytes(content)
        with suppress(FileNotFoundError):
            shutil.copymode(path, beside)
        _sync(beside)
        beside.replace(path)
        _sync(path.parent)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _sync(*paths: Path) -> None:
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
