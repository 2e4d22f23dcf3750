# SPDX-License-Identifier: Apache-2.0
"""Base systems: what a killed run leaves behind is never taken for one."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bigtop_builder.base import BaseSpec, base_tarball
from bigtop_builder.run import run
from bigtop_builder.settings import Settings
from bigtop_builder.workspace import Workspace

# Stands in for mmdebstrap, which takes a minute. The first one outlives its killed caller, and writes when the
# second has written too.
MMDEBSTRAP = """#!/bin/sh
trap '' PIPE
for part; do [ "${part%.tar}" = "$part" ] || break; done
if mkdir first 2>/dev/null; then
    echo begun
    until [ -e second ]; do sleep 0.02; done
    echo torn >"$part"
    : >done
else
    echo whole >"$part"
    : >second
    until [ -e done ]; do sleep 0.02; done
fi
"""
KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_base import make
make(Path.cwd(), on_line=lambda _: os.kill(os.getpid(), signal.SIGKILL))
"""


def make(folder: Path, on_line: Callable[[bytes], None] | None = None) -> Path:
    base = BaseSpec(distribution="debian", suite="bookworm", architecture="amd64", security=True)
    settings = Settings(ca_certificates=None, check_valid_until=True)
    return base_tarball(base, workspace=Workspace(folder), settings=settings, on_line=on_line)


@pytest.mark.skipif(
    not Path("/usr/share/keyrings/debian-archive-keyring.gpg").is_file(), reason="needs Debian's keyring"
)
def test_an_mmdebstrap_that_outlives_its_killed_caller_does_not_spoil_the_next_ones_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin/mmdebstrap"
    program.parent.mkdir()
    program.write_text(MMDEBSTRAP)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    killed = run([sys.executable, "-c", KILLED, Path(__file__).parent], check=False, stdout=None)
    assert killed.returncode == -signal.SIGKILL, killed.complaint
    made = make(tmp_path)
    assert made.read_text() == "whole\n"
    assert list(made.parent.iterdir()) == [made]
