# SPDX-License-Identifier: Apache-2.0
"""One seed for all workers of a run, and what they tried of the faults, told at its end.

With `pytest -n` tests run in workers, and only the process that started them prints: it draws the seed before it
starts them, and the lines come back as properties of the tests.
"""

import os
import secrets

import pytest

SEED = "BIGTOP_FAULT_SEED"
FIGURE = "fault"
FIGURES = pytest.StashKey[list[str]]()

# Workers inherit it. It is not left to pytest_configure, which comes after the conftest of the faults, who reads it.
os.environ.setdefault(SEED, str(secrets.randbelow(10**6)))


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> list[str]:
    """Lines for the summary."""
    return request.config.stash.setdefault(FIGURES, [])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    said = item.config.stash.get(FIGURES, [])
    item.user_properties += [(FIGURE, line) for line in said]
    said.clear()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [one for told in terminalreporter.stats.values() for one in told]
    ended = [one for one in reports if isinstance(one, pytest.TestReport) and one.when == "teardown"]
    lines = [str(value) for one in ended for name, value in one.user_properties if name == FIGURE]
    if lines:
        terminalreporter.section("faults")
        every = " BIGTOP_FAULTS=all" if os.environ.get("BIGTOP_FAULTS") == "all" else ""
        terminalreporter.line(f"{SEED}={os.environ[SEED]}{every}")
        for line in lines:
            terminalreporter.line(line)
