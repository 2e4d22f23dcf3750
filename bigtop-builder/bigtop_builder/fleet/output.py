# SPDX-License-Identifier: Apache-2.0
"""A folder of emitted files: there whole or not at all, and what an earlier run left in it is gone.

A hidden file names all that a run wrote: what is there and is not named is somebody's own.
"""

import shutil
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from bigtop_builder.errors import EnvironmentMissing, InputError
from bigtop_builder.fleet.emitted import Files
from bigtop_builder.hidden_folder import unfinished
from bigtop_builder.schema import some

WRITTEN = ".written"


def lay_out(files: Files, folder: Path, *, record: str) -> None:
    """Write files into a folder that is new, empty, or of an earlier run.

    Args:
        files: The files.
        folder: Where they go.
        record: The file by which a folder of an earlier run is known.

    Raises:
        InputError: Something else is there: nothing of it is touched.
        EnvironmentMissing: It cannot be written.
    """
    try:
        _require_ours(folder, record, files)
        with unfinished(folder.absolute()) as made:
            for name, file in files.items():
                path = made / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(file.content)
                path.chmod(0o755 if file.program else 0o644)
            (made / WRITTEN).write_text("".join(f"{name}\n" for name in sorted(files)), encoding="utf-8")
            _put_in_place(made, folder)
    except OSError as error:
        raise EnvironmentMissing(
            f"{error.filename or folder} cannot be written: {error.strerror}",
            hint="mend its rights, or name another --output",
        ) from error


def _require_ours(folder: Path, record: str, names: Collection[str]) -> None:
    """See that a folder holds nothing but what this run writes, or an earlier one wrote."""
    if not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / record).is_file()):
        raise InputError(
            f"{folder} is there, and has no {record}: it holds something else",
            hint="name a new folder with --output",
        )
    there = {
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()
    }
    if others := sorted(there - set(names) - _written(folder)):
        raise InputError(
            f"{folder} has {some(others)}, which no earlier run wrote: the folder would be replaced whole",
            hint="move that elsewhere, or name a new folder with --output",
        )


def _written(folder: Path) -> set[str]:
    """Files that an earlier run wrote, by what it said; none if that is not there or damaged."""
    with suppress(OSError, UnicodeDecodeError):
        return {WRITTEN, *(folder / WRITTEN).read_text(encoding="utf-8").splitlines()}
    return set()


def _put_in_place(made: Path, folder: Path) -> None:
    """The old folder goes aside, the new one in, and then the old one is removed."""
    if not folder.exists():
        made.rename(folder)
        return
    with unfinished(folder.absolute()) as aside:
        old = folder.rename(aside / folder.name)
        try:
            made.rename(folder)
        except OSError:
            old.rename(folder)
            raise
        shutil.rmtree(aside)
