# SPDX-License-Identifier: Apache-2.0
"""A folder of emitted files: there whole or not at all, and what an earlier run left in it is gone."""

import shutil
from pathlib import Path

from bigtop_builder.errors import EnvironmentMissing, InputError
from bigtop_builder.fleet.emitted import Files
from bigtop_builder.hidden_folder import unfinished


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
        if folder.exists() and (
            not folder.is_dir() or (any(folder.iterdir()) and not (folder / record).is_file())
        ):
            raise InputError(
                f"{folder} is there, and has no {record}: it holds something else",
                hint="name a new folder with --output",
            )
        with unfinished(folder.absolute()) as made:
            for name, file in files.items():
                path = made / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(file.content)
                path.chmod(0o755 if file.program else 0o644)
            if folder.exists():
                shutil.rmtree(folder)
            made.rename(folder)
    except OSError as error:
        raise EnvironmentMissing(
            f"{error.filename or folder} cannot be written: {error.strerror}",
            hint="mend its rights, or name another --output",
        ) from error
