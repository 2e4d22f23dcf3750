# SPDX-License-Identifier: Apache-2.0
"""Small files of the cache that can be made again: those that nobody used of late go."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def mark_used(file: Path) -> None:
    """Note that a file was of use, as far as this user may."""
    with suppress(OSError):
        os.utime(file)


def forget(files: Iterable[Path], *, since: float, dry: bool) -> int:
    """Remove files that were not used since a time (seconds since 1970), or only count them; how many they are."""
    old = [file for file in files if file.stat().st_mtime < since]
    for file in old if not dry else ():
        file.unlink(missing_ok=True)
    return len(old)
