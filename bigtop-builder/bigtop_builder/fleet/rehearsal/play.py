# SPDX-License-Identifier: Apache-2.0
"""A rehearsal from its first container to its last: set up, the whole day, and once more for each fault."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.container import ContainerRooms
from bigtop_builder.fleet.emitted import Files
from bigtop_builder.fleet.rehearsal.day import Day, Lines
from bigtop_builder.fleet.rehearsal.faults import FAULTS
from bigtop_builder.fleet.rehearsal.record import BROKEN, Trial
from bigtop_builder.fleet.rehearsal.stage import staged
from bigtop_builder.fleet.runbook import Runbook

if TYPE_CHECKING:
    from bigtop_builder.fleet.rehearsal.served import Served

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What is played.

    Attributes:
        roles: One host each.
        day: Address of the repository -> the runbook, and the day's folder.
        lines: Role -> what its host does beside the day.
        new: Package -> version, in the snapshot that hosts go to.
        old: The same in the one that they come from.
        repository: Folder that is served to the hosts; None if `url` is reachable.
        url: Address of a repository that somebody else serves.
        faults: Names of those that are tried.
        finalize: At the end, what cannot be undone is tried too.
        kept: Containers and network are left there.
    """

    roles: Sequence[str]
    day: Callable[[str], tuple[Runbook, Files]]
    lines: Mapping[str, Lines]
    new: Mapping[str, str]
    old: Mapping[str, str]
    repository: Path | None
    url: str = ""
    faults: Sequence[str] = tuple(FAULTS)
    finalize: bool = False
    kept: bool = False


@dataclass(kw_only=True)
class Played:
    """What came of it.

    Attributes:
        runbook: What was played.
        trials: The whole day first.
        not_tried: Fault -> why not.
        finalized: The last trial went beyond the point of no return.
    """

    runbook: Runbook
    trials: list[Trial] = field(default_factory=list)
    not_tried: dict[str, str] = field(default_factory=dict)
    finalized: bool = False


def play(scenario: Scenario, rooms: ContainerRooms) -> Played:
    """Rehearse a day.

    Args:
        scenario: What is played.
        rooms: Opens clean systems of the target distribution.

    Raises:
        VerifyError: A host cannot be brought to the old snapshot.
        CheckFailed: The old snapshot itself is not as it says, or its services do not start.
    """
    with (
        staged(rooms, scenario.roles, kept=scenario.kept) as stage,
        _served(scenario, stage.gateway) as served,
    ):
        runbook, files = scenario.day(served.url if served else scenario.url)
        day = Day(
            stage=stage,
            runbook=runbook,
            files=files,
            lines=scenario.lines,
            ours={*scenario.new, *scenario.old},
        )
        day.set_up()
        played = Played(runbook=runbook, trials=[day.whole()])
        fetched = [f"{name}_{version.replace(':', '%3a')}_" for name, version in scenario.new.items()]
        for name in scenario.faults:
            fault = FAULTS[name]
            why = BROKEN if played.trials[-1].findings else fault.impossible(served)
            if why:
                played.not_tried[name] = why
            else:
                played.trials.append(day.faulty(fault(day.victim(), served, fetched)))
        if scenario.finalize and not played.trials[-1].findings:
            played.trials.append(day.finalized())
            played.finalized = True
        return played


@contextmanager
def _served(scenario: Scenario, gateway: str) -> Iterator["Served | None"]:
    if scenario.repository is None:
        yield None
        return
    from bigtop_builder.fleet.rehearsal.served import (
        Served,
    )  # 60 ms that no other command about faults should pay

    with Served(scenario.repository, gateway) as served:
        yield served
