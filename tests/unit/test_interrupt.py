# SPDX-License-Identifier: Apache-2.0
"""Signals end the program by an exit status, with a line and everything closed, at whatever moment they come."""

import signal
import sys
from pathlib import Path

import pytest

from bigtop_builder.run import run

BEGIN = """
import os, signal, sys, threading, time
from contextlib import contextmanager
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
import bigtop_builder.__main__ as door
import bigtop_builder.cli
import click

@contextmanager
def opened():
    try:
        yield
    finally:
        print("closed", flush=True)

def work(*words, **options):
    with opened():
        WORK
    print("answer", flush=True)

bigtop_builder.cli.cli.main = work
AFTER
door.main()
"""
LINE = "what was finished is kept; the same command goes on from there\n"


def ended(work: str, after: str = "") -> tuple[int, str, str]:
    script = BEGIN.replace("WORK", work).replace("AFTER", after)
    done = run([sys.executable, "-c", script], check=False)
    return done.returncode, done.text, done.complaint


@pytest.mark.parametrize(
    ("number", "status", "by"),
    [
        (signal.SIGINT, 130, "interrupted: "),
        (signal.SIGTERM, 143, "interrupted by SIGTERM: "),
        (signal.SIGHUP, 129, "interrupted by SIGHUP: "),
    ],
)
def test_a_signal_closes_what_is_open_and_is_told(number: signal.Signals, status: int, by: str) -> None:
    assert ended(f"os.kill(os.getpid(), {int(number)}); time.sleep(9)") == (
        status,
        "closed",
        (by + LINE).strip(),
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_after_the_answer_changes_no_exit_status(number: signal.Signals) -> None:
    after = f"threading.Thread(target=lambda: (time.sleep(0.5), os.kill(os.getpid(), {int(number)}))).start()"
    assert ended("pass", after) == (0, "closed\nanswer", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_last_moments_of_the_interpreter_does_nothing(number: signal.Signals) -> None:
    last = (
        "class Late:\n"
        f"    def __del__(self, kill=os.kill, me=os.getpid()): kill(me, {int(number)})\n"
        "sys.late = Late()"
    )
    assert ended("pass", last) == (0, "closed\nanswer", "")


def test_a_hang_up_that_is_ignored_stays_so() -> None:
    kept = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    assert ended("os.kill(os.getpid(), signal.SIGHUP)", kept) == (0, "closed\nanswer", "")


def test_a_forked_worker_is_ended_by_a_signal_as_any_process() -> None:
    work = (
        "child = os.fork()\n"
        "        if not child: os.kill(os.getpid(), signal.SIGTERM); time.sleep(9); os._exit(0)\n"
        "        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)"
    )
    assert ended(work) == (0, "-15\nclosed\nanswer", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_change_of_the_queue_that_is_cut_off_is_told_as_none(
    number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "recipes").mkdir()
    work = f"""
        from pathlib import Path
        from bigtop_builder.upkeep.change import changing
        from bigtop_builder.workspace import Project
        with changing(Project(Path({str(tmp_path)!r}))):
            os.kill(os.getpid(), {int(number)})
            time.sleep(9)
"""
    assert ended(work)[2].endswith(": nothing was changed; run the same command again")
