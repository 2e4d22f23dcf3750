# SPDX-License-Identifier: Apache-2.0
"""The hook that faults are injected with sees all that strace sees."""

import json
import os
import re
import sys
from collections import Counter
from pathlib import Path

import hook
import pytest
from commands import COMMANDS, Command
from stage import Desk
from sweep import Sweep

from bigtop_builder.run import run

CALLS = (
    "rename,renameat,renameat2,link,linkat,symlink,symlinkat,mkdir,mkdirat,unlink,unlinkat,rmdir,truncate,ftruncate,"
    "open,openat,creat,write,pwrite64,writev,pwritev,sendfile,copy_file_range,utimensat,chmod,fchmod,fchmodat,"
    "fsync,fdatasync,sync,syncfs,sync_file_range"
)
NAMES = {"pwrite64": "pwrite", "utimensat": "utime", "creat": "create"}


def called(line: str) -> str:
    """What the hook calls a call that strace shows; nothing if it only opens a file that is there."""
    found = re.search(r"\b([a-z_0-9]+)\(", line)
    assert found, line
    name = re.sub(r"(?<=rename|..link)at2?$", "", NAMES.get(found[1], found[1]))
    if name in {"open", "openat"}:
        return "create" if "O_EXCL" in line or "O_TRUNC" in line else ""
    if name.startswith("unlink"):
        return "rmdir" if "AT_REMOVEDIR" in line else "unlink"
    return name


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one.name)
def test_every_call_that_changes_the_repository_is_seen(
    sweep: Sweep, tmp_path: Path, command: Command
) -> None:
    def attempt(place: Desk) -> None:
        place.lay_out(command.base)
        journal, log = tmp_path / "journal", tmp_path / "strace"
        small, many = command.small, command.many
        places = f"root=Path({str(place.root)!r}), journal=Path({str(journal)!r})"
        fault = f"hook.Fault({places}, many={many}, small={small})"
        words = place.stage.words(command, place.root)
        variables = {"BIGTOP_BUILDER_KEYS_DIR": str(place.stage.keys)}
        script = (
            f"import sys; sys.path.insert(0, {str(Path(hook.__file__).parent)!r})\n"
            f"import hook; from pathlib import Path\n"
            f"hook.publish({words!r}, {fault}, {variables!r}, Path({str(tmp_path / 'said')!r}))"
        )
        tracing = ["strace", "-ff", "-qq", "-y", "-z", "-e", f"trace={CALLS}", "-o", str(log)]
        run([*tracing, sys.executable, "-c", script], env={"PYTHONDONTWRITEBYTECODE": "1", **os.environ})
        lines = [line for one in tmp_path.glob("strace.*") for line in one.read_text().splitlines()]
        seen = Counter(filter(None, (called(line) for line in lines if str(place.root) in line)))
        events = [json.loads(line)["call"] for line in journal.read_text().splitlines()]
        told = Counter("create" if call == "truncate" else call for call in events if call != "failed")
        assert told == seen
        assert sum(seen.values()) > 10, "the trace has seen the command at work"

    sweep.at_a_desk(attempt)
