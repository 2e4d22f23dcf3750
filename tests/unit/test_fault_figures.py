# SPDX-License-Identifier: Apache-2.0
"""The seed and the figures of the faults are told wherever the tests ran: alone, or in workers."""

import os
import re
import sys
from pathlib import Path

import pytest

from bigtop_builder.run import run

TESTS = Path(__file__).parents[1]
SMALL = """
import os

import pytest


@pytest.fixture(scope="module", autouse=True)
def before(figures):
    figures.append("told by a fixture of {name}")


def test_one(figures):
    figures.append("{name} drew " + os.environ["BIGTOP_FAULT_SEED"])


def test_other(figures):
    figures.append("{name} fails")
    raise AssertionError
"""


@pytest.mark.parametrize(("workers", "given"), [("0", "4711"), ("2", "")])
def test_one_seed_and_all_figures_are_in_the_summary(tmp_path: Path, workers: str, given: str) -> None:
    for name in ("first", "second"):
        (tmp_path / f"test_{name}.py").write_text(SMALL.replace("{name}", name), encoding="utf-8")
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "BIGTOP_FAULT"))
    }
    env |= {"PYTHONPATH": str(TESTS)} | ({"BIGTOP_FAULT_SEED": given} if given else {})
    argv = [sys.executable, "-m", "pytest", "-p", "fault_figures", "-p", "no:cacheprovider"]
    said = run(
        [*argv, "-n", workers, "--dist", "loadfile", tmp_path], env=env, inherit=False, check=False
    ).text
    summary = said.partition(" faults =")[2]
    seed = re.search(r"^BIGTOP_FAULT_SEED=(\d+)$", summary, re.MULTILINE)
    assert seed, said
    assert not given or seed[1] == given
    for name in ("first", "second"):
        told = [f"told by a fixture of {name}", f"{name} drew {seed[1]}", f"{name} fails"]
        assert [line for line in summary.splitlines() if line in told] == told
