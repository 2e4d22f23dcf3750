# SPDX-License-Identifier: Apache-2.0
"""Steps of an upgrade day: of a service on its hosts, or of hosts with the same roles.

Their lines use functions of the day's `day.sh`. Each may be run again: what is done is seen, and left as it is.
"""

from collections.abc import Iterable, Sequence

from bigtop_builder.fleet.definition import Role
from bigtop_builder.fleet.placement import Kin, Placed
from bigtop_builder.fleet.runbook import Step

DEAD = "It does not run: see its log."
LOST = "Its data is not back: see its log. What was kept is untouched."


def filled(missing: Iterable[Placed]) -> Step:
    """Nothing is left to be said in the definition."""
    lines = tuple(
        f"refuse {quoted(f'nobody said how the database of {one.package} is dumped: {one.service.database}')} "
        f"{quoted(f'write dump and restore of [services.{one.package}] in fleet.toml, and make the day anew')}"
        for one in missing
    )
    return Step(id="filled", title="All is said that the day needs", run=lines or (":",))


def files(hosts: Iterable[str]) -> Step:
    """The day's files come to hosts."""
    return Step(
        id="files",
        title="The day's files come to all hosts",
        run=(f"send_to {' '.join(hosts)}",),
        stop="A host cannot be reached: mend that, or take it out of fleet.toml and make the day anew.",
    )


def ready(kin: Kin, *, back: bool) -> Step:
    """Packages of both sides come to hosts, which are as they should be."""
    run = ['apt-get -y -o Dpkg::Options::=--force-confold install "$DAY"/sources/*.deb']
    if back:
        run += [f"fetch {way} {kin.lists}" for way in ("upgrade", "rollback")]
    run += [_known(kin), *([f"room_for {' '.join(kin.keep)}"] if kin.keep else [])]
    return Step(
        id=f"ready-{kin.id}",
        title=f"Packages come to hosts of {kin.title}, which are as their manifest says",
        hosts=kin.hosts,
        batch=kin.batch,
        run=tuple(run),
        check=(held_to(kin, "old", "--quick"),) if back else (),
        stop="This host is not what the day was planned for. Mend it, or leave it out; nothing was changed.",
    )


def ready_service(one: Placed) -> Step:
    """What must hold of a service."""
    return Step(
        id=f"ready-{one.id}",
        title=f"{one.package} can be upgraded",
        hosts=one.before,
        run=one.service.ready,
        stop="Mend this before the day is begun.",
    )


def healthy(one: Placed, prefix: str = "") -> Step:
    """The data of a service is readable."""
    return Step(
        id=f"{prefix}healthy-{one.id}",
        title=f"{one.package}: its data is readable",
        hosts=(one.before if prefix else one.after)[:1],
        run=(":",),
        check=_patiently(one.service.healthy),
        stop="Data cannot be read: look at the service's log before anything else is done.",
    )


def stop(one: Placed, prefix: str = "") -> Step:
    """A service is stopped."""
    return Step(
        id=f"{prefix}stop-{one.id}",
        title=f"{one.package} is stopped",
        hosts=one.hosts if prefix else one.before,
        run=(f"stop_service {one.unit}",),
        check=(f"stopped {one.unit}",),
        stop="It does not stop: see its log and its process; kill it only if you know what it writes.",
    )


def dump(one: Placed) -> Step:
    """A database is dumped."""
    return Step(
        id=f"dump-{one.id}",
        title=f"The database of {one.package} is dumped",
        hosts=one.before[:1],
        run=(
            "not_switched",
            f"still {one.unit}",
            _dump_folder(one),
            'rm -rf "$DUMP" && install -d -m 700 "${DUMP%/*}" "$DUMP"',
            *one.service.dump,
            f"dumped {one.unit}",
        ),
        stop="Without its dump there is no way back for this database.",
    )


def live(one: Placed) -> Step:
    """A service saves what it has, before it is stopped."""
    return Step(
        id=f"save-{one.id}",
        title=f"{one.package} saves what it has",
        hosts=one.before[:1],
        run=(
            "not_switched",
            _if("stopped", one, [f"saved {one.unit}"]),
            _if("running", one, one.service.live),
            f"saved_now {one.unit}",
        ),
        stop="It has not saved: do not stop it before it has.",
    )


def keep(one: Placed) -> Step:
    """What a service has on its hosts is copied."""
    return Step(
        id=f"keep-{one.id}",
        title=f"What {one.package} has is copied, and the copy compared by hash",
        hosts=one.before,
        run=tuple(f"keep {one.unit} {words}" for words in one.service.keep),
        stop="Without its copy there is no way back for this host.",
    )


def guard(kin: Kin, prefix: str = "") -> Step:
    """Nothing starts on hosts by itself."""
    return Step(
        id=f"{prefix}guard-{kin.id}",
        title=f"No package and no reboot starts a service on hosts of {kin.title}",
        hosts=kin.hosts,
        run=(*_still(kin), _known(kin), *(f"mask {unit}" for unit in kin.units), '"$DAY/sources/guard-on"'),
        stop="A service runs that must not, or the guard is not on: touch no package before that is mended.",
    )


def release(kin: Kin, prefix: str = "") -> Step:
    """The guard is off."""
    return Step(
        id=f"{prefix}release-{kin.id}",
        title=f"The guard is off on hosts of {kin.title}",
        hosts=kin.hosts,
        run=('"$DAY/sources/guard-off"',),
        stop="Packages that are installed later would not start their services.",
    )


def switch(kin: Kin) -> Step:
    """Hosts get the new packages."""
    return Step(
        id=f"switch-{kin.id}",
        title=f"Hosts of {kin.title} get the new packages",
        hosts=kin.hosts,
        batch=kin.batch,
        pause=kin.pause,
        run=(*_still(kin), "switch_begins", f"packages upgrade {kin.lists}"),
        check=(held_to(kin, "new", "--quick --guard on"),),
        stop="apt or dpkg has failed, or a host is not as the manifest says: no further batch before that is mended.",
    )


def switch_back(kin: Kin, *, back: bool) -> Step:
    """Hosts get their packages back."""
    none = (
        f"refuse {quoted('there is no snapshot that hosts could go back to')} "
        f"{quoted('see docs/upgrade-day.md, Without a way back')}"
    )
    return Step(
        id=f"back-switch-{kin.id}",
        title=f"Hosts of {kin.title} get the packages back that they had",
        hosts=kin.hosts,
        run=(*_still(kin), f"packages rollback {kin.lists}") if back else (none,),
        check=(held_to(kin, "old", "--quick --guard on"),) if back else (),
        stop="The way back needs this host at its old packages: dpkg --configure -a, and run it again.",
    )


def starts(one: Placed) -> list[Step]:
    """A service starts with the new packages: on the first host, where its data is taken forward; on the others."""
    service, others = one.service, one.after[1:]
    if not (service.upgrade or service.join):
        return [_start(one, "", one.after, one.start)]
    forward = Step(
        id=f"upgrade-{one.id}",
        title=f"{one.package} takes its data forward, and starts on the first host",
        hosts=one.after[:1],
        run=(*_unless_running(one, service.upgrade), *one.start),
        check=_patiently(one.check),
        stop="The data has not been taken forward: see its log. Try once more; else go back.",
    )
    if not others:
        return [forward]
    return [forward, _start(one, "", others, (*_unless_running(one, service.join), *one.start))]


def start_again(one: Placed) -> Step:
    """A service starts as it was."""
    forget = (f"not_saved {one.unit}",) if one.service.live else ()
    return _start(one, "back-", one.before, (*forget, *one.start))


def _start(one: Placed, prefix: str, hosts: Sequence[str], run: tuple[str, ...]) -> Step:
    return Step(
        id=f"{prefix}start-{one.id}",
        title=f"{one.package} is started",
        hosts=tuple(hosts),
        run=run,
        check=_patiently(one.check),
        stop=DEAD,
    )


def resume(one: Placed) -> Step:
    """A service that never stopped takes up its work."""
    return Step(
        id=f"back-resume-{one.id}",
        title=f"{one.package} takes up its work",
        hosts=one.before[:1],
        run=one.service.resume,
    )


def restores(one: Placed, others: Iterable[Placed]) -> list[Step]:
    """A service gets its data back and starts: on the first host, and on its other hosts.

    Args:
        one: The service.
        others: All that run before the upgrade: one of them may have to start anew in between.
    """
    service = one.service
    copies = (f"put_back {one.unit}",) if service.put_back else ()
    database = (_dump_folder(one), f"dump_is_whole {one.unit}") if service.dump and service.restore else ()
    again = [other for other in others if other.package in service.restart]
    down = _unless_running(one, (*copies, *database, *service.restore, *service.restore_each))
    first = Step(
        id=f"back-restore-{one.id}",
        title=f"{one.package} gets its data back, and starts",
        hosts=one.before[:1],
        run=(*down, *one.start),
        check=_patiently(one.check),
        stop=LOST,
    )
    if not (service.restore or service.rejoin):
        return [first.model_copy(update={"hosts": one.before})]
    steps = [first]
    if again:
        alone = {"title": f"{one.package} gets its data back", "run": down or (":",), "check": ()}
        began = {"id": f"back-begin-{one.id}", "title": f"{one.package} starts", "run": one.start}
        steps = [
            first.model_copy(update=alone),
            *(_restart(other, one) for other in again),
            first.model_copy(update=began),
        ]
    if not one.before[1:]:
        return steps
    return [
        *steps,
        Step(
            id=f"back-rejoin-{one.id}",
            title=f"{one.package} starts on its other hosts",
            hosts=one.before[1:],
            run=(*_unless_running(one, (*copies, *service.rejoin, *service.restore_each)), *one.start),
            check=_patiently(one.check),
            stop=LOST,
        ),
    ]


def copies(one: Placed) -> Step:
    """What was kept replaces what a service has, where its own way back fails."""
    return Step(
        id=f"back-copies-{one.id}",
        title=f"By hand, if {one.package} cannot go back by itself: what was kept takes the place of what it has",
        hosts=one.before,
        run=(f"stop_service {one.unit}", f"put_back {one.unit}"),
        stop=LOST,
    )


def _restart(one: Placed, whose: Placed) -> Step:
    return Step(
        id=f"back-restart-{one.id}",
        title=f"{one.package} starts anew, while {whose.package} is down",
        hosts=one.before,
        run=(f"stop_service {one.unit}", *one.start),
        check=_patiently(one.check),
        stop=f"{DEAD} Do not run it where {whose.package} runs.",
    )


def health(name: str, role: Role, hosts: Sequence[str]) -> Step:
    """Hosts of a role are well, by what the definition says."""
    return Step(
        id=f"health-{Kin(roles=(name,), hosts=(), batch=1, pause=0, units=(), keep=()).id}",
        title=f"Hosts of {name} are well",
        hosts=tuple(hosts),
        run=(":",),
        check=_patiently(role.health),
        stop="More than one host is not well: stop here, and see what they have in common.",
    )


def verify(kin: Kin) -> Step:
    """All files of hosts are as the manifest says."""
    return Step(
        id=f"verify-{kin.id}",
        title=f"Every file on hosts of {kin.title} is as the manifest says",
        hosts=kin.hosts,
        run=(held_to(kin, "new"),),
        stop="A file is not what was published: see which, and on how many hosts.",
    )


def hold(kin: Kin) -> Step:
    """Hosts are as they were left."""
    return Step(
        id=f"hold-{kin.id}",
        title=f"Hosts of {kin.title} are as they were left",
        hosts=kin.hosts,
        run=(held_to(kin, "new", "--quick"), 'df -h "$KEPT"'),
        stop="Decide: mend it, or go back while there is a way.",
    )


def finalize(one: Placed) -> Step:
    """A service gives up its way back."""
    return Step(
        id=f"finalize-{one.id}",
        title=f"{one.package} gives up what its way back needs",
        hosts=one.after[:1],
        run=one.service.finalize,
        stop="It is not finalized everywhere: run it again when all its hosts are up.",
    )


def over(kin: Kin) -> Step:
    """The day is over."""
    return Step(
        id=f"over-{kin.id}",
        title=f"The day is over for hosts of {kin.title}; copies stay until somebody removes them",
        hosts=kin.hosts,
        run=('rm -f "$KEPT"/switched "$KEPT"/saved-*', 'du -sh "$KEPT"'),
    )


def done(kin: Kin, *, back: bool) -> Step:
    """The way back is at its end."""
    return Step(
        id=f"back-done-{kin.id}",
        title=f"Hosts of {kin.title} are as they were",
        hosts=kin.hosts,
        run=(*((held_to(kin, "old"),) if back else ()), 'rm -f "$KEPT"/switched "$KEPT"/saved-*'),
        stop="The way back is not at its end: see what differs.",
    )


def held_to(kin: Kin, which: str, options: str = "") -> str:
    """The line that holds a host to a manifest, `new` or `old`."""
    words = [options, *(f"--role {role}" for role in kin.roles), f'"$DAY/{which}/fleet-manifest.json"']
    return f'"$DAY/verify-host" {" ".join(filter(None, words))}'


def quoted(text: str) -> str:
    """A word of the shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def _known(kin: Kin) -> str:
    return " ".join(["only_known", kin.lists, *kin.units])


def _still(kin: Kin) -> list[str]:
    return [f"still {unit}" for unit in kin.units]


def _patiently(lines: Iterable[str]) -> tuple[str, ...]:
    """Checks that need not succeed at once: daemons take their time."""
    return tuple(f"patiently {quoted(line)}" for line in lines)


def _if(what: str, one: Placed, lines: Sequence[str]) -> str:
    """Lines that are run in one state of a service alone; within, the first that fails ends the step."""
    return "\n".join([f"if {what} {one.unit}; then", *(f"    {line}" for line in lines), "fi"])


def _unless_running(one: Placed, lines: Sequence[str]) -> tuple[str, ...]:
    """Lines that a service must be down for: where it runs, an earlier run of the step has come that far."""
    return (_if("stopped", one, lines),) if lines else ()


def _dump_folder(one: Placed) -> str:
    return f"DUMP=$(dump_folder {one.unit}) && export DUMP"
