# SPDX-License-Identifier: Apache-2.0
"""Which locks name results of a cache, whoever's project they are in: `cache gc` keeps what they name."""

from collections.abc import Iterable
from pathlib import Path

from bigtop_builder.atomic import write_whole
from bigtop_builder.disused import mark_used
from bigtop_builder.errors import InputError
from bigtop_builder.lock import Lock
from bigtop_builder.schema import digest


def note_lock(folder: Path, lock: Path) -> None:
    """Remember a lock's file, whose results are used."""
    path = str(lock.absolute())
    note = folder / f"{digest(path)}.txt"
    if note.is_file():
        mark_used(note)
    else:
        write_whole(note, f"{path}\n")


def noted_locks(folder: Path) -> list[Path]:
    """Files of locks that were noted and are still there."""
    return [lock for lock in _noted(folder).values() if lock.is_file()]


def notes_of_lost_locks(folder: Path) -> list[Path]:
    """Notes of locks that are not there any more, or are on a file system that is not there now."""
    return [note for note, lock in _noted(folder).items() if not lock.is_file()]


def steps_named(locks: Iterable[Path], *, notes: Path) -> set[str]:
    """Step ids in locks, those of older builds too.

    Args:
        locks: Their files.
        notes: Where they may be noted, for the error.

    Raises:
        InputError: One of them cannot be read: nobody knows what it needs.
    """
    named: set[str] = set()
    for path in locks:
        try:
            lock = Lock.from_toml(path)
        except InputError as error:
            raise InputError(
                error.brief,
                details=f"{error.details}\nIt says which results must stay, so none is removed.".lstrip(),
                hint=f"mend it; or, if it needs none, remove it and the file in {notes} that has its path",
            ) from error
        named.update(step for steps in lock.components.values() for step in steps)
    return named


def _noted(folder: Path) -> dict[Path, Path]:
    return {note: Path(note.read_text().removesuffix("\n")) for note in sorted(folder.glob("*.txt"))}
