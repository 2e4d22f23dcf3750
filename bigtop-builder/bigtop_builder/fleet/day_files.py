# SPDX-License-Identifier: Apache-2.0
"""The files of a runbook: what people read, what programs read, and the script of each step.

Scripts are POSIX shell. What they have in common is in `day.sh`, so that a step is as long as what it does.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from bigtop_builder.fleet.emitted import File, Files
from bigtop_builder.fleet.runbook import Phase, Runbook, Step
from bigtop_builder.templates import render

DIGITS = re.compile(r"(?P<start>.*?)(?P<number>\d+)(?P<end>\D*)")


def day_files(runbook: Runbook) -> Files:
    """All files of a runbook: `runbook.md`, `runbook.json`, `day.sh`, `run`, `steps/*`, `back/*`."""
    named = dict(_named(runbook))
    groups = {hosts: f"hosts_{number}" for number, hosts in enumerate(dict.fromkeys(_hosts(named.values())))}
    common = render(
        "fleet/day/day.sh.j2",
        origin=runbook.origin,
        upgrade=runbook.upgrade,
        rollback=runbook.rollback_to,
        kept=runbook.kept,
        patience=runbook.patience,
        login=runbook.login,
    )
    runner = render(
        "fleet/day/run.sh.j2",
        day=runbook.day,
        phases=runbook.phases,
        steps=list(named.items()),
        groups=groups,
    )
    return {
        "runbook.json": File(runbook.to_json().encode()),
        "runbook.md": File(_markdown(runbook).encode()),
        "day.sh": File(common.encode()),
        "run": File(runner.encode(), program=True),
        **{name: File(text.encode(), program=True) for name, text in _scripts(runbook)},
    }


def folded(hosts: Iterable[str]) -> str:
    """Names of hosts in short, as cumin and ClusterShell read them: `w[01-03,05].example.org,db1`."""

    def parts(host: str) -> tuple[str, int, str]:
        found = DIGITS.fullmatch(host)
        return (found["start"], len(found["number"]), found["end"]) if found else (host, 0, "")

    made = []
    for (start, width, end), group in groupby(sorted(dict.fromkeys(hosts), key=parts), key=parts):
        numbers = sorted(int(found["number"]) for host in group if (found := DIGITS.fullmatch(host)))
        if len(numbers) > 1:
            made.append(f"{start}[{','.join(_ranges(numbers, width))}]{end}")
        else:
            made.append(f"{start}{f'{numbers[0]:0{width}}' if numbers else ''}{end}")
    return ",".join(made)


def _ranges(numbers: list[int], width: int) -> Iterator[str]:
    for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        yield f"{run[0]:0{width}}" + (f"-{run[-1]:0{width}}" if len(run) > 1 else "")


def _named(runbook: Runbook) -> Iterator[tuple[str, Step]]:
    """Scripts and their steps."""
    yield from ((f"steps/{step.id}", step) for step in runbook.steps())
    yield from ((f"back/{step.id}", step) for step in runbook.back)


def _hosts(steps: Iterable[Step]) -> Iterator[tuple[str, ...]]:
    return (step.hosts for step in steps if step.hosts)


def _scripts(runbook: Runbook) -> Iterator[tuple[str, str]]:
    phases: Mapping[str, Phase] = {step.id: phase for phase in runbook.phases for step in phase.steps}
    for name, step in _named(runbook):
        phase = phases.get(step.id)
        yield (
            name,
            render(
                f"fleet/day/{'step' if step.hosts else 'desk'}.sh.j2",
                name=name,
                step=step,
                day=runbook.day,
                phase=f"Phase {phase.id}: {phase.title}" if phase else "Way back",
                where=folded(step.hosts) or "no host",
            ),
        )


def _markdown(runbook: Runbook) -> str:
    return render(
        "fleet/day/runbook.md.j2",
        runbook=runbook,
        folded=folded,
        quoted=shlex.quote,
        kept=f"{runbook.kept}/{runbook.upgrade[:16]}",
    )
