# SPDX-License-Identifier: Apache-2.0
"""A build that failed leaves its cause beside its log, for the next plan."""

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from test_schedule import step

from bigtop_builder.errors import BuildError, EnvironmentMissing
from bigtop_builder.executor.failed import Failed, last_failure, log_of, note_failure

STEP = step("flow")
KNOWN = BuildError(
    "flow: gradle ended with exit status 1", details="likely cause: the disk is full\nits last lines:"
)
ODD = BuildError("flow: Gradle ended well but left no .deb in output/flow")


@pytest.mark.parametrize(
    ("error", "cause"),
    [(KNOWN, "the disk is full"), (ODD, "flow: Gradle ended well but left no .deb in output/flow")],
)
def test_the_cause_is_kept_in_one_line(tmp_path: Path, error: BuildError, cause: str) -> None:
    log_of(tmp_path, "flow").write_text("a log\n")
    note_failure(tmp_path, STEP, error)
    failed = last_failure(tmp_path, STEP)
    assert failed
    assert (failed.cause, failed.ago) == (cause, "0 min ago")


def test_another_step_of_the_component_has_not_failed(tmp_path: Path) -> None:
    log_of(tmp_path, "flow").write_text("a log\n")
    note_failure(tmp_path, STEP, KNOWN)
    assert last_failure(tmp_path, replace(STEP, id="b" * 64)) is None


def cause(logs: Path) -> str:
    failed = last_failure(logs, STEP)
    assert failed
    return failed.cause


def test_what_failed_before_there_was_a_log_is_kept_too_and_what_is_no_error_of_ours(tmp_path: Path) -> None:
    note_failure(tmp_path / "logs", STEP, EnvironmentMissing("no container starts"))
    assert cause(tmp_path / "logs") == "no container starts"
    note_failure(tmp_path / "logs", STEP, OSError(28, "No space left on device"))
    assert cause(tmp_path / "logs") == "[Errno 28] No space left on device"


def test_a_failure_that_cannot_be_noted_is_told_by_its_error_alone(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("no folder\n")
    note_failure(tmp_path / "logs", STEP, KNOWN)
    assert (tmp_path / "logs").is_file()


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        (12.4, "12 min ago"),
        (119, "119 min ago"),
        (-3, "0 min ago"),
        (300, r"on \d{4}-\d\d-\d\d \d\d:\d\d UTC"),
    ],
)
def test_how_long_ago_is_told_in_words(minutes: float, said: str) -> None:
    failed = Failed(step="a" * 64, ended=time.time() - 60 * minutes, cause="c")
    assert re.fullmatch(said, failed.ago)
