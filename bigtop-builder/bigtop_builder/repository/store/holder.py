# SPDX-License-Identifier: Apache-2.0
"""Who holds a lock of this machine: for those that wait for it."""

import os
from contextlib import suppress
from pathlib import Path


def holder(held: int) -> str:
    """Who has locked an open file, as /proc/locks tells it (proc(5)): not of other machines and containers."""
    inode = str(os.fstat(held).st_ino)
    with suppress(OSError):
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            _, kind, _, _, pid, place, *_ = line.split()
            if kind == "FLOCK" and place.rpartition(":")[2] == inode and int(pid) > 0:
                words = (
                    Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
                return f"process {pid} ({words.strip()})"
    return "another process"
