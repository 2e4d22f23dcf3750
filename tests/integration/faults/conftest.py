# SPDX-License-Identifier: Apache-2.0
"""What the tests of faults share: the stage and the desks."""

from collections.abc import Iterator
from contextlib import ExitStack
from queue import SimpleQueue

import pytest
from stage import Desk, Stage, desk
from sweep import Sweep, cores


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
