# SPDX-License-Identifier: Apache-2.0
"""The day played on the stage: the runbook's scripts, in their order and batches, and what must hold after them."""

import logging
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bigtop_builder.errors import CheckFailed
from bigtop_builder.fleet.emitted import Files
from bigtop_builder.fleet.rehearsal.faults import Fault
from bigtop_builder.fleet.rehearsal.host_state import HostState, data_differences, differences, notes
from bigtop_builder.fleet.rehearsal.record import RanStep, Trial, Way
from bigtop_builder.fleet.rehearsal.stage import GONE, Ran, Stage, StageHost, last_lines
from bigtop_builder.fleet.runbook import Phase, Runbook, Step

log = logging.getLogger(__name__)

READY, STOP, SWITCH = "ready", "stop", "switch"
"""Phases that are known by name: what the first has done days before stays, services start by the way back of the
second, faults strike in the third."""
FOLDERS: Mapping[Way, str] = {"on": "steps", "back": "back"}
"""Where scripts lie in the day's folder."""
DESK = ("env", "DAY_ON=true")
"""Files are on the hosts already; the program that would reach them does nothing."""
PYTHON = "apt-get -q update && apt-get -q -y --no-install-recommends install python3"
"""What verify-host needs, and clean systems have not."""
INSTALL = """
cd {day}
sources/guard-on
apt-get -q -y -o Dpkg::Options::=--force-confold install ./sources/*-archive-keyring_*.deb
sources/use-rollback
lists/{role}/rollback
"""


class Stopped(Exception):
    """A step failed on a host, so the day stops there."""

    def __init__(self, phase: Phase, step: Step, host: str, ran: Ran) -> None:
        super().__init__(f"{step.id} on {host}: exit status {ran.status}")
        self.phase = phase
        self.step = step
        self.host = host
        self.ran = ran

    @property
    def told(self) -> str:
        """What the step said."""
        return f"{self}\n{last_lines(self.ran.text)}"

    @property
    def helps(self) -> bool:
        """Whether whoever stands before it is told what to do."""
        return bool(self.step.stop) or "way out" in self.ran.text or self.ran.status == GONE


@dataclass(frozen=True, kw_only=True)
class Lines:
    """What a role's host does in a rehearsal beside the day.

    Attributes:
        before: Shell lines on the clean system.
        prepare: When the old packages are there, and no service runs.
        load: When services run: they put data in.
        data: What they print must be the same before, after, and back.
    """

    before: Sequence[str] = ()
    prepare: Sequence[str] = ()
    load: Sequence[str] = ()
    data: Sequence[str] = ()


@dataclass(kw_only=True)
class Day:
    """An upgrade day on a stage.

    Attributes:
        stage: The hosts.
        runbook: What is done, in which order.
        files: The day's folder.
        lines: Role -> what it does beside.
        ours: Names of the repository's packages in both snapshots.
    """

    stage: Stage
    runbook: Runbook
    files: Files
    lines: Mapping[str, Lines]
    ours: Collection[str]
    _before: dict[str, HostState] = field(default_factory=dict)
    _ran: list[RanStep] = field(default_factory=list)
    _away: set[str] = field(default_factory=set)

    def set_up(self) -> None:
        """Bring all hosts to the old snapshot, with services running and data in.

        Raises:
            VerifyError: A host cannot be brought there.
            CheckFailed: A service does not start, or the old snapshot is not green.
        """
        log.info("\nhosts with the old snapshot")
        every = [*self.stage.hosts]
        day = self.runbook.day
        with self._timed("install"):
            self.stage.together(every, lambda host: host.must("\n".join([*self._of(host).before, PYTHON])))
            self.stage.put(self.files, day)
            self.stage.together(every, lambda host: host.must(INSTALL.format(day=day, role=host.role)))
        for host in self.stage.hosts.values():
            for line in self._of(host).prepare:
                host.must(line)
        if stopped := self._go_back(STOP):
            raise CheckFailed("services of the old snapshot do not start", details=stopped.told)
        for host in self.stage.hosts.values():
            for line in self._of(host).load:
                host.must(line)
        with self._timed("what is there"):
            if wrong := self._not_green("old"):
                raise CheckFailed("hosts with the old snapshot are not as it says", details="\n".join(wrong))
            self._before = self.stage.together(every, lambda host: host.state(self._of(host).data))
        if failed := [
            f"{name}: `{line}`: {said}"
            for name, state in self._before.items()
            for line, said in state.data.items()
            if said.startswith("exit status ")
        ]:
            raise CheckFailed("data cannot be read before the day", details="\n".join(failed))

    def whole(self, *, title: str = "the whole day, and back") -> Trial:
        """All phases that can be undone, the way back from the last, and whether all is as before."""
        log.info("\n%s", title)
        began, findings, reached = time.monotonic(), list[str](), ""
        stopped = None
        try:
            for phase in self._undoable():
                reached = phase.id
                self._phase(phase)
            findings += self._not_new()
        except Stopped as stop:
            stopped = stop
            findings.append(f"the day stopped: {stop.told}")
        findings += self._back(reached)
        return self._trial(began, reached, findings, stopped)

    def faulty(self, fault: Fault) -> Trial:
        """The day until the fault stops it, the way back from there, and whether all is as before."""
        log.info("\n%s, on %s", fault.what, fault.victim.name)
        began, findings = time.monotonic(), list[str]()
        stopped = self._until_struck(fault)
        if stopped is None or not fault.struck():
            findings.append(
                f"the fault did not strike{f': {stopped.told}' if stopped else ', and the day went on'}"
            )
        elif not stopped.helps:
            findings.append(f"nothing says what to do then: {stopped.told}")
        phase = stopped.phase.id if stopped else SWITCH
        done = set() if fault.lifted_first else self._without_lifting(fault, phase, findings)
        log.info("  lifted: %s", fault.what)
        fault.lift()
        self._away = done
        findings += self._back(phase, fault)
        self._away = set()
        return self._trial(began, phase, findings, stopped, fault)

    def finalized(self) -> Trial:
        """All phases, the point of no return among them, and whether all is as the new snapshot says."""
        log.info("\nthe whole day, and what cannot be undone")
        began, findings, reached = time.monotonic(), list[str](), ""
        stopped = None
        try:
            for phase in self.runbook.phases:
                reached = phase.id
                self._phase(phase)
            findings += self._not_new()
        except Stopped as stop:
            stopped = stop
            findings.append(f"the day stopped: {stop.told}")
        return self._trial(began, reached, findings, stopped)

    def victim(self) -> StageHost:
        """The host in the middle of the switch: others are through already, where there are others."""
        (switch,) = [phase for phase in self.runbook.phases if phase.id == SWITCH]
        names = [*dict.fromkeys(name for step in switch.steps for name in step.hosts)]
        return self.stage.hosts[names[len(names) // 2]]

    def _undoable(self) -> list[Phase]:
        return [phase for phase in self.runbook.phases if not phase.final]

    def _until_struck(self, fault: Fault) -> Stopped | None:
        over = threading.Event()
        watching = threading.Thread(target=fault.watch, args=(over.is_set,))
        try:
            for phase in self._undoable():
                if phase.id == READY:
                    continue
                if phase.id == SWITCH:
                    fault.arm()
                    watching.start()
                self._phase(phase)
                if phase.id == SWITCH:
                    return None
        except Stopped as stop:
            return stop
        finally:
            over.set()
            if watching.ident:
                watching.join()
        return None

    def _without_lifting(self, fault: Fault, phase: str, findings: list[str]) -> set[str]:
        """The way back before what is wrong is ended, without a host that is gone; hosts that need it no more."""
        log.info("  the way back meanwhile")
        victim = fault.victim.name
        self._away = {victim} if fault.victim.run("true").status == GONE else set()
        there = {*self.stage.hosts} - self._away
        if not (stopped := self._go_back(phase)):
            return there
        if not self._away:  # of several hosts one may be needed by all
            findings.append(f"the way back stopped, as long as {fault.what}: {stopped.told}")
        return set()

    def _back(self, phase: str, fault: Fault | None = None) -> list[str]:
        """Go back, and say what is not as it was."""
        stopped = self._go_back(phase)
        if fault:
            fault.tidy()
        found = [f"the way back stopped: {stopped.told}"] if stopped else []
        with self._timed("compare"):
            now = self._now()
            for name, before in self._before.items():
                found += differences(name, before, now[name], self.ours)
            return found + self._not_green("old")

    def _go_back(self, phase: str) -> Stopped | None:
        """The way back from a phase; the step that stopped it, if one did."""
        (there,) = [one for one in self.runbook.phases if one.id == phase]
        try:
            for step in self.runbook.way_back(there):
                self._step(there, step, "back")
        except Stopped as stop:
            return stop
        return None

    def _phase(self, phase: Phase) -> None:
        log.info("  %s: %s", phase.id, phase.title)
        for step in phase.steps:
            self._step(phase, step, "on")

    def _step(self, phase: Phase, step: Step, way: Way) -> None:
        """Run a step on its hosts, a batch at a time. A desk's runs on the first, and sends nothing."""
        names = [name for name in step.hosts or [*self.stage.hosts][:1] if name not in self._away]
        script = [*([] if step.hosts else DESK), f"{self.runbook.day}/{FOLDERS[way]}/{step.id}"]
        for batch in _batches(names, step.batch):
            ran = self.stage.together(batch, lambda host: host.run(*script))
            for name, one in ran.items():
                self._note(phase.id, step.id, way, name, one)
            for name, one in ran.items():
                if one.status:
                    raise Stopped(phase, step, name, one)

    def _not_new(self) -> list[str]:
        """What is not as the new snapshot says, or of the data as before."""
        with self._timed("compare"):
            wrong = self._not_green("new")
            said = self.stage.together([*self.stage.hosts], lambda host: host.data(self._of(host).data))
            for name, before in self._before.items():
                wrong += [f"{name}, upgraded: {one}" for one in data_differences(before.data, said[name])]
            return wrong

    def _not_green(self, which: str) -> list[str]:
        """What verify-host finds against a manifest."""
        day = self.runbook.day

        def held(host: StageHost) -> Ran:
            return host.run(f"{day}/verify-host", f"{day}/{which}/fleet-manifest.json", "--role", host.role)

        said = self.stage.together([*self.stage.hosts], held)
        return [
            f"{name}: verify-host against the {which} snapshot ended with exit status {ran.status}\n"
            f"{last_lines(ran.text)}"
            for name, ran in said.items()
            if ran.status
        ]

    def _now(self) -> dict[str, HostState]:
        return self.stage.together([*self.stage.hosts], lambda host: host.state(self._of(host).data))

    def _of(self, host: StageHost) -> Lines:
        return self.lines.get(host.role, Lines())

    def _trial(
        self,
        began: float,
        reached: str,
        findings: Sequence[str],
        stopped: Stopped | None,
        fault: Fault | None = None,
    ) -> Trial:
        steps, self._ran = tuple(self._ran), []
        for one in findings:
            log.warning("  %s", one)
        return Trial(
            fault=fault.name if fault else "",
            host=fault.victim.name if fault else "",
            reached=reached,
            stopped=f"{stopped.told}\n{stopped.step.stop}".rstrip() if stopped else "",
            steps=steps,
            findings=tuple(findings),
            notes=() if findings else tuple(self._notes()),
            seconds=round(time.monotonic() - began, 1),
        )

    def _notes(self) -> Iterator[str]:
        now = self._now()
        for name, before in self._before.items():
            yield from notes(name, before, now[name], self.ours)

    def _note(self, phase: str, step: str, way: Way, host: str, ran: Ran) -> None:
        seconds = round(ran.seconds, 1)
        failed = f", exit status {ran.status}" if ran.status else ""
        log.info("    %s%s on %s: %.1f s%s", "back/" if way == "back" else "", step, host, seconds, failed)
        self._ran.append(RanStep(phase=phase, id=step, way=way, host=host, exit=ran.status, seconds=seconds))

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        """Note how long something of the rehearsal's own took, on all hosts."""
        began = time.monotonic()
        yield
        self._note("", what, "on", "all", Ran(status=0, text="", seconds=time.monotonic() - began))


def _batches(names: Sequence[str], size: int) -> Iterator[list[str]]:
    step = size or len(names) or 1
    for start in range(0, len(names), step):
        yield [*names[start : start + step]]
