# SPDX-License-Identifier: Apache-2.0
"""Smokes: what the packages do together, on one clean host that has them all.

They run in the recipe's order in one room, so a later one finds the daemons and the data of those before it; the
first that fails ends them. policy-rc.d keeps daemons from starting at the install, so each smoke starts its own.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bigtop_builder.recipe import Smoke
from bigtop_builder.room import Room
from bigtop_builder.tarstream import pack
from bigtop_builder.verify.services import LOGS, STARTED
from bigtop_builder.verify.shelf import APT, last_lines, shell
from bigtop_builder.verify.verdict import Finding, Outcome

log = logging.getLogger(__name__)

CHECK = "smoke"
TIMED_OUT, KILLED = 124, 137
"""Exit statuses of timeout(1), the second where SIGTERM did not do; what it runs may end with either by itself."""
LINES_SHOWN = 30
"""Of a failed command, by its finding."""
LINE = """
timeout --kill-after=10 "$SECONDS_GIVEN" bash -c "$1" < /dev/null > /tmp/smoke.log 2>&1
status=$?
cat /tmp/smoke.log
exit $status
"""
"""Output goes to a file first: a daemon may keep it open."""


def try_smokes(
    room: Room, smokes: Sequence[Smoke], *, unselected: Mapping[str, str], logs: Path
) -> list[Finding]:
    """Run smokes in a furnished room.

    Args:
        room: Has the set on its shelf, and nothing of it installed.
        smokes: The recipe's.
        unselected: Package -> component, of components that this run leaves out.
        logs: Folder for all that each smoke printed, a file each: a finding has the end of it alone.
    """
    logs.mkdir(parents=True, exist_ok=True)
    findings: list[Finding] = []
    for smoke in smokes:
        broken = [one.subject for one in findings if one.outcome == "failed"]
        absent = sorted({unselected[name] for name in smoke.packages if name in unselected})
        if broken:
            found = _finding(smoke, "skipped", f"{broken[0]} failed before")
        elif absent:
            found = _finding(smoke, "skipped", f"it needs {', '.join(absent)}, which this run leaves out")
        else:
            found = _tried(room, smoke, logs / f"{smoke.name}.log")
        findings.append(found)
    return findings


def _tried(room: Room, smoke: Smoke, output: Path) -> Finding:
    log.info("smoke %s", smoke.name)
    output.write_text("", encoding="utf-8")
    if problem := _problem(room, smoke, output):
        return _finding(smoke, "failed", f"{problem}\nwhole output: {output}")
    return _finding(smoke, "passed", f"its output has {smoke.expect!r}")


def _finding(smoke: Smoke, outcome: Outcome, detail: str) -> Finding:
    return Finding(check=CHECK, subject=smoke.name, outcome=outcome, detail=detail)


def _problem(room: Room, smoke: Smoke, output: Path) -> str:
    """What went wrong; empty if nothing."""
    shell(room, f"touch {STARTED}")
    if smoke.packages:
        done = shell(room, f'{" ".join(APT)} install "$@"', *smoke.packages)
        _keep(output, f"apt-get install {' '.join(smoke.packages)}", f"{done.text}\n{done.complaint}")
        if done.returncode:
            return f"apt-get ended with exit status {done.returncode}:\n{last_lines(done)}"
    room.put(pack({path.removeprefix("/"): text.encode() for path, text in smoke.files.items()}), "/")
    for line in smoke.prepare:
        if problem := _run(room, smoke, line, output)[1]:
            return f"{problem}\n{shell(room, LOGS).text}".rstrip()
    told, problem = _run(room, smoke, smoke.run, output)
    if not problem and smoke.expect not in told:
        problem = f"the output of {smoke.run!r} lacks {smoke.expect!r}:\n{_end(told)}"
    return f"{problem}\n{shell(room, LOGS).text}".rstrip() if problem else ""


def _run(room: Room, smoke: Smoke, line: str, output: Path) -> tuple[str, str]:
    """What a line printed, and what went wrong."""
    began = time.monotonic()
    done = shell(room, LINE, line, env={"SECONDS_GIVEN": str(smoke.seconds)})
    _keep(output, line, done.text)
    if not done.returncode:
        return done.text, ""
    late = done.returncode in {TIMED_OUT, KILLED} and time.monotonic() - began >= smoke.seconds
    how = f"did not end in {smoke.seconds} s" if late else f"ended with exit status {done.returncode}"
    return done.text, f"{line!r} {how}:\n{_end(done.text)}"


def _keep(output: Path, line: str, text: str) -> None:
    """Write what a line printed, below the line."""
    with output.open("a", encoding="utf-8") as file:
        file.write(f"$ {line}\n{text.rstrip()}\n")


def _end(text: str) -> str:
    return "\n".join(text.splitlines()[-LINES_SHOWN:])
