# SPDX-License-Identifier: Apache-2.0
"""The runbook of an upgrade day, made of roles, their hosts, and the services of their packages.

While packages are switched all services are down, so that copies are whole, and hosts of one release never speak
with those of another. docs/upgrade-day.md tells of the phases.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bigtop_builder.errors import InputError
from bigtop_builder.fleet import day_steps as make
from bigtop_builder.fleet.definition import Fleet, Role, in_order
from bigtop_builder.fleet.lists import RoleLists
from bigtop_builder.fleet.placement import Kin, Placement
from bigtop_builder.fleet.runbook import Phase, Runbook, Step
from bigtop_builder.fleet.services import services_of

log = logging.getLogger(__name__)


def runbook_of(
    fleet: Fleet,
    roles: Mapping[str, Role],
    hosts: Mapping[str, Sequence[str]],
    *,
    origin: str,
    upgrade: str,
    rollback: str = "",
    closures: Iterable[RoleLists] = (),
) -> Runbook:
    """An upgrade day from one snapshot to another.

    Args:
        fleet: The definition: its services and what holds on all hosts.
        roles: Roles by name, with the packages that the snapshot has.
        hosts: Role -> its hosts, in the order in which batches are made; roles without hosts are left out.
        origin: The repository's.
        upgrade: Id of the snapshot that hosts go to.
        rollback: Id of the one that they come from; without it there is no way back from the switch on.
        closures: What `fleet lists` says that roles install; by their own packages alone if there are none.

    Raises:
        InputError: No role has a host.
    """
    named = {name: roles[name] for name in in_order(roles) if hosts.get(name)}
    if not named:
        raise InputError(
            "no role has a host, so there is nothing to plan",
            hint="name hosts in [hosts] of repo/fleet.toml, or an inventory",
        )
    placement = Placement(
        roles=named,
        hosts=hosts,
        services=services_of(fleet.services),
        closures={one.role: one for one in closures},
    )
    plan = _Plan(on=placement, rollback=bool(rollback))
    return Runbook(
        origin=origin,
        upgrade=upgrade,
        rollback_to=rollback,
        day=fleet.day.folder,
        kept=fleet.day.kept,
        patience=fleet.day.patience,
        login=fleet.day.login,
        phases=tuple(plan.phases()),
        back=tuple(plan.back().values()),
    )


@dataclass(frozen=True, kw_only=True)
class _Plan:
    on: Placement
    rollback: bool

    def phases(self) -> Iterator[Phase]:
        """All phases, in order, with their ways back."""
        running = self._back("start", "resume", "healthy")
        held = self._back("release", "start", "resume", "healthy")
        switched = self._back("stop", "guard", "switch", "release", "start", "resume", "healthy", "done")
        everything = self._back("stop", "guard", "switch", "release", "restore", "healthy", "done")
        yield _phase(
            "ready",
            "Ready, days before",
            "Files and packages come to the hosts, and nothing that runs is changed. Hosts follow the snapshot that "
            "they have, so that nobody upgrades one by accident.",
            self._ready(),
        )
        yield _phase(
            "quiet",
            "Quiet",
            "Before it users are told, jobs have ended, and what starts them is off. Services that use others are "
            "stopped; databases are dumped when nobody writes to them any more.",
            [*self._stops(base=False), *self._dumps(base=False)],
            running,
        )
        yield _phase(
            "save",
            "Save",
            "HDFS saves its namespace in safe mode; what all else stands on is stopped, and copied. Afterwards "
            "everything is down, and there is a copy of all that has no other way back.",
            [
                *(make.live(one) for one in self.on.before if one.service.live),
                *self._stops(base=True),
                *self._dumps(base=True),
                *(make.keep(one) for one in self.on.before if one.service.keep),
            ],
            running,
        )
        yield _phase(
            "stop",
            "Hold still",
            "Until the guard is off no package starts a service, and no reboot does.",
            [make.guard(kin) for kin in self.on.kin],
            held,
        )
        yield _phase(
            "switch",
            "Switch packages",
            "Hosts get the new packages, in batches. Nothing is started, so no data is touched.",
            [make.switch(kin) for kin in self.on.kin],
            switched,
        )
        yield _phase(
            "start",
            "Start",
            "Data is taken forward. From here on the way back leads to where hosts were in phase `save`: what is "
            "written since is lost on it.",
            [*self._all(make.release), *self._starts(), *self._health()],
            everything,
        )
        yield _phase(
            "check",
            "Check",
            "Data is readable, and every file of every package is as the manifest says. Then users may come back.",
            [*(make.healthy(one) for one in self.on.after if one.service.healthy), *self._all(make.verify)],
            everything,
        )
        yield _phase(
            "hold",
            "Hold, for days",
            "The way back stays open, and takes what was written since phase `save` with it. What is deleted in HDFS "
            "frees no room meanwhile: DataNodes keep its blocks. Run this once a day.",
            self._all(make.hold),
            everything,
        )
        yield _phase(
            "finalize",
            "Finalize",
            "When nobody wants to go back any more, what the way back needs is given up.",
            [
                *(make.finalize(one) for one in self.on.after if one.service.finalize),
                *self._all(make.over),
            ],
            final=True,
        )

    def back(self) -> dict[str, Step]:
        """Steps of all ways back, by id."""
        verbs = ("stop", "guard", "switch", "release", "start", "resume", "restore", "healthy", "done")
        kept = (one for one in self.on.before if one.service.keep and not one.service.put_back)
        steps = [step for verb in verbs for step in self._undo(verb)]
        return {step.id: step for step in (*steps, *map(make.copies, kept))}

    def _back(self, *verbs: str) -> tuple[str, ...]:
        return tuple(step.id for verb in verbs for step in self._undo(verb))

    def _undo(self, verb: str) -> Iterable[Step]:
        """Steps of one verb of ways back, in order."""
        before, kin, back = self.on.before, self.on.kin, self.rollback
        made: Mapping[str, Iterable[Step]] = {
            "stop": (make.stop(one, "back-") for one in reversed(self.on.placed)),
            "guard": (make.guard(one, "back-") for one in kin),
            "switch": (make.switch_back(one, back=back) for one in kin),
            "release": (make.release(one, "back-") for one in kin),
            "start": (make.start_again(one) for one in before),
            "resume": (make.resume(one) for one in before if one.service.resume),
            "restore": (step for one in before for step in make.restores(one, before)),
            "healthy": (make.healthy(one, "back-") for one in before if one.service.healthy),
            "done": (make.done(one, back=back) for one in kin),
        }
        return made[verb]

    def _ready(self) -> Iterator[Step]:
        missing = [one for one in self.on.before if one.unfilled]
        for one in missing:
            log.warning("%s: say how its database is dumped, in [services.%s]", one.package, one.package)
        yield make.filled(missing)
        yield make.files(host for kin in self.on.kin for host in kin.hosts)
        yield from (make.ready(kin, back=self.rollback) for kin in self.on.kin)
        yield from (make.ready_service(one) for one in self.on.before if one.service.ready)
        yield from (make.healthy(one, "ready-") for one in self.on.before if one.service.healthy)

    def _stops(self, *, base: bool) -> Iterator[Step]:
        return (make.stop(one) for one in reversed(self.on.before) if one.service.base == base)

    def _dumps(self, *, base: bool) -> Iterator[Step]:
        return (make.dump(one) for one in self.on.before if one.service.base == base and one.service.dump)

    def _starts(self) -> Iterator[Step]:
        return (step for one in self.on.after for step in make.starts(one))

    def _health(self) -> Iterator[Step]:
        roles = self.on.roles.items()
        return (make.health(name, role, self.on.hosts[name]) for name, role in roles if role.health)

    def _all(self, of: Callable[[Kin], Step]) -> list[Step]:
        return [of(kin) for kin in self.on.kin]


def _phase(
    name: str, title: str, why: str, steps: Iterable[Step], back: tuple[str, ...] = (), *, final: bool = False
) -> Phase:
    nothing = Step(id=f"{name}-nothing", title="There is nothing to do", run=(":",))
    return Phase(id=name, title=title, why=why, steps=tuple(steps) or (nothing,), back=back, final=final)
