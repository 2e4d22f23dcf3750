# SPDX-License-Identifier: Apache-2.0
"""What the machine refused, in words that people read: a full disk, a right that lacks."""

import errno
import os
import pwd
import stat
from pathlib import Path

from bigtop_builder.errors import EnvironmentMissing


def refusal_of(error: OSError) -> EnvironmentMissing | None:
    """What the machine refused, in words; None if it names no file: that is a fault of ours."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return EnvironmentMissing(
            f"the disk is full: {error.filename or error}", hint="free space, then run the same command again"
        )
    try:
        Path.cwd()
    except FileNotFoundError:
        return EnvironmentMissing("the folder that this runs in is gone", hint="change to one that is there")
    if not isinstance(error.filename, str | bytes):
        return None
    path = Path(os.fsdecode(error.filename))
    return EnvironmentMissing(
        f"{path}: {error.strerror or error}",
        details=_standing(path),
        hint="mend the rights or the path, or name another place: cache_dir and keys_dir in the settings, "
        "--project, --repo or --dir",
    )


def _standing(path: Path) -> str:
    """Whose the file is, or the nearest folder above it that this user may look at, and who this user is."""
    for place in (path.absolute(), *path.absolute().parents):
        try:
            found = place.stat()
        except OSError:
            continue
        owner, mode = _user(found.st_uid), stat.filemode(found.st_mode)
        return f"{place} is {owner}'s ({mode}); this is run by {_user(os.geteuid())}"
    return ""


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
