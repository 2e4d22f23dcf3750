# SPDX-License-Identifier: Apache-2.0
"""Base systems: what a killed run leaves behind is never taken for one."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bigtop_builder.base import BaseSpec, _lacks_suite, base_tarball, unknown_suite
from bigtop_builder.recipe import load_recipe
from bigtop_builder.run import run
from bigtop_builder.settings import Settings
from bigtop_builder.workspace import Project, Workspace

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


MISSING = """\
Err:4 http://deb.example/debian bokworm Release
  404  Not Found [IP: 192.0.2.1 80]
E: The repository 'http://deb.example/debian bokworm Release' does not have a Release file.
E: The repository 'http://deb.example/debian-security bokworm-security Release' does not have a Release file.
"""


def test_a_suite_that_no_mirror_has_is_told_from_a_mirror_that_lacks_it() -> None:
    assert _lacks_suite(MISSING, "bokworm")
    assert not _lacks_suite(
        f"Get:1 http://deb.example/security bokworm-security InRelease\n{MISSING}", "bokworm"
    )
    assert not _lacks_suite(MISSING.replace("404  Not Found", "connection refused"), "bokworm")
    assert not _lacks_suite(MISSING, "bookworm")


def test_a_suite_that_the_distribution_never_had_is_doubted_with_the_nearest(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, _ = load_recipe("1.0.0", project.recipes)
    misspelt = recipe.model_copy(update={"target": recipe.target.model_copy(update={"suite": "bokworm"})})
    monkeypatch.setattr("bigtop_builder.base.DISTRO_INFO", tmp_path)
    assert unknown_suite(misspelt) == "", "without the list nothing is known"
    (tmp_path / "debian.csv").write_text(
        "version,codename,series\n11,Bullseye,bullseye\n12,Bookworm,bookworm\n"
    )
    assert unknown_suite(recipe) == ""
    assert unknown_suite(misspelt).endswith("has no suite 'bokworm': the nearest is bookworm")
