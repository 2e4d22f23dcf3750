# SPDX-License-Identifier: Apache-2.0
"""Files with keys in them: what is secret is for its owner alone."""

import os
from contextlib import ExitStack
from pathlib import Path

from bigtop_builder.errors import EnvironmentMissing, SigningError


def write_private(path: Path, data: bytes, *, hint: str) -> None:
    """Write a new file that only its owner can read, whole or not at all.

    Raises:
        SigningError: It is there already.
        EnvironmentMissing: It cannot be written.
    """
    try:
        with (
            os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
            ExitStack() as undo,
        ):
            undo.callback(path.unlink)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            undo.pop_all()
    except FileExistsError as error:
        raise SigningError(f"{path} cannot be written: {error.strerror}", hint=hint) from error
    except OSError as error:
        raise EnvironmentMissing(f"{path} cannot be written: {error.strerror}", hint=hint) from error


def read_file(path: Path) -> bytes:
    """What is in a file that a user named.

    Raises:
        SigningError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise SigningError(f"{path} cannot be read: {error.strerror}", hint="name another file") from error
