# SPDX-License-Identifier: Apache-2.0
"""What the tests of faults share: the stage, the desks, and figures for the summary."""

from collections.abc import Iterator
from contextlib import ExitStack
from queue import SimpleQueue

import pytest
from stage import Desk, Stage, desk
from sweep import EXHAUSTIVE, SEED, Sweep, cores

FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> list[str]:
    """Lines for the summary."""
    return request.config.stash.setdefault(FIGURES, [])


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage.make(tmp_path_factory.mktemp("stage"))


@pytest.fixture(scope="session")
def sweep(stage: Stage, tmp_path_factory: pytest.TempPathFactory, figures: list[str]) -> Iterator[Sweep]:
    folder = tmp_path_factory.mktemp("desks")
    desks: SimpleQueue[Desk] = SimpleQueue()
    with ExitStack() as stack:
        for number in range(cores()):
            desks.put(stack.enter_context(desk(stage, folder / str(number))))
        yield Sweep(desks=desks, figures=figures)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if said := config.stash.get(FIGURES, []):
        terminalreporter.section("faults")
        terminalreporter.line(f"BIGTOP_FAULT_SEED={SEED}" + (" BIGTOP_FAULTS=all" if EXHAUSTIVE else ""))
        for line in said:
            terminalreporter.line(line)
