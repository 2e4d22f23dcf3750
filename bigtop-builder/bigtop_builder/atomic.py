# SPDX-License-Identifier: Apache-2.0
"""Text files that are whole or not there, whoever else writes them and whenever the power goes."""

import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a file beside its place, wait until the disk has it, and rename it there (rename(2)).

    Its folders are made if they are missing; a file that was there keeps its mode.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.new")
    try:
        with beside.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            shutil.copymode(path, beside)
        beside.replace(path)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)  # which of the two files it was is nobody's business
        raise
