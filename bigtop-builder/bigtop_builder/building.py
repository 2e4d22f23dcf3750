# SPDX-License-Identifier: Apache-2.0
"""The building half of a release: what the cache has is taken, the rest is built, and packages are laid out."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bigtop_builder.cache import ResultCache
from bigtop_builder.cores import cores, machine_memory_mb
from bigtop_builder.errors import BuilderError, BuildError
from bigtop_builder.executor.board import Board
from bigtop_builder.executor.component import Site, build
from bigtop_builder.executor.failed import note_failure
from bigtop_builder.executor.local import execute, obtain
from bigtop_builder.executor.material import Material, fetch_gradle, material
from bigtop_builder.executor.schedule import Capacity, Schedule
from bigtop_builder.executor.stoppable import StoppableRooms
from bigtop_builder.lock_notes import note_lock
from bigtop_builder.log import transfers
from bigtop_builder.output import clear, lay_out, stands
from bigtop_builder.place import Place
from bigtop_builder.plan import Plan, Step
from bigtop_builder.result import HANDOVER, Result
from bigtop_builder.schema import counted
from bigtop_builder.survey import Survey
from bigtop_builder.verify.packages import Built

log = logging.getLogger(__name__)

LOST = "its result is gone or broken"
LOGS = "logs"
"""Of builds whose packages are laid out nowhere: beside what other builds made of the same."""


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How components are built.

    Attributes:
        jobs: At most so many at once; as many as memory and processors allow if None.
        keep_going: A failure stops only what depends on it.
        checked: Every file of a result is hashed before it is used, even if nothing has to be built.
        lays_out: Packages and logs go to the release's output folder, and those of other runs from there.
    """

    jobs: int | None = None
    keep_going: bool = False
    checked: bool = False
    lays_out: bool = True


@dataclass(frozen=True, kw_only=True)
class Packages:
    """What a plan made.

    Attributes:
        plan: The plan.
        results: One a step, in order.
        folder: All the .debs in one folder.
    """

    plan: Plan
    results: Sequence[Result]
    folder: Path

    @property
    def built(self) -> list[Built]:
        """The packages, each with its component."""
        return [
            Built(path=self.folder / file.file, component=result.component)
            for result in self.results
            for file in result.debs
        ]


def build_release(survey: Survey, plan: Plan, place: Place, manner: Manner = Manner()) -> Packages:
    """Build what the plan says, and lay all packages into the release's output folder.

    Raises:
        InputError: A step of the plan is refused.
        SourceError: A source cannot be had, or is not what its pin says. Sources come before builds.
        TreeError: A local patch to a component does not apply to its source: likewise.
        BuildError: A build failed.
    """
    plan.require_ready()
    note_lock(survey.workspace.lock_notes, survey.lock_path)
    survey.cache.share_late(step for steps in survey.lock.components.values() for step in steps)
    found = _found(survey, plan, checked=manner.checked)
    run = [
        step if step.action == "run" else replace(step, reason=LOST)
        for step in plan.steps
        if step.name not in found
    ]
    if run:
        made = _build(survey, plan, run, place, manner, found)
    else:
        log.info("nothing to build: the cache has %s", counted(len(plan.steps), "component"))
        made = {}
        if manner.lays_out:
            clear(survey, plan, found.values(), whole=True)
    results = [(found | made)[step.name] for step in plan.steps]
    if manner.lays_out:
        lay_out(survey, results, hashed=manner.checked)
    return Packages(plan=plan, results=results, folder=survey.output.debs)


def _found(survey: Survey, plan: Plan, *, checked: bool) -> dict[str, Result]:
    """What the cache has. It is hashed before it goes anywhere: into a build, or to where packages are laid out."""
    run = {step.name for step in plan.steps if step.action == "run"}
    found = _obtained(survey, plan, run, checked=checked)
    while lost := {step.name for step in plan.steps} - found.keys() - run:
        run |= lost  # what is gone or broken is built, out of others
        found = _obtained(survey, plan, run, checked=checked)
    return found


def _obtained(survey: Survey, plan: Plan, run: Collection[str], *, checked: bool) -> dict[str, Result]:
    """What the cache has if these are to be built."""
    given = {need.name for step in plan.steps if step.name in run for need in plan.needs(step)}

    def hashed(step: Step) -> bool:
        return checked or step.name in given or not stands(survey, step)

    return obtain(plan, survey.cache, hashed=hashed)


def _build(
    survey: Survey,
    plan: Plan,
    steps: Sequence[Step],
    place: Place,
    manner: Manner,
    found: Mapping[str, Result],
) -> dict[str, Result]:
    """Build steps, several at once: sources first, and the image once.

    What another run left is taken away when all is there that builds need: what fails before leaves all as it was.
    """
    materials, errors = _materials(survey, steps, keep_going=manner.keep_going)
    logs = survey.output.logs if manner.lays_out else survey.output.rebuilt / LOGS
    site = site_of(survey, place, cache=survey.cache, logs=logs)
    rooms = StoppableRooms(site.rooms)
    if manner.lays_out:
        clear(survey, plan, found.values(), whole=False)
    schedule = Schedule(steps, capacity_of(survey, manner), keep_going=manner.keep_going)
    board = Board(steps, tuple(found), schedule)

    def make(step: Step) -> Result:
        seen = replace(site, rooms=rooms, watch=board.watcher(step.name))
        try:
            return make_one(survey, plan, step, site=seen, given=materials[step.name])
        except Exception as error:
            if not rooms.stopped:
                note_failure(logs, step, error)
            raise

    return execute(steps, make, schedule=schedule, board=board, stop=rooms.stop, errors=errors)


def _materials(
    survey: Survey, steps: Sequence[Step], *, keep_going: bool
) -> tuple[dict[str, Material], dict[str, Exception]]:
    """What builds are given, and what could not be had: the first such error is raised unless the others go on."""
    materials: dict[str, Material] = {}
    errors: dict[str, Exception] = {}
    distribution = fetch_gradle(survey)
    with transfers() as progress:
        for step in steps:
            try:
                materials[step.name] = material(survey, step, progress, distribution=distribution)
            except BuilderError as error:
                if not keep_going:
                    raise
                errors[step.name] = error
    return materials, errors


def capacity_of(survey: Survey, manner: Manner) -> Capacity:
    """What builds that run at once may take together, at this site."""
    return Capacity(
        memory_mb=survey.settings.build_memory_mb or machine_memory_mb(),
        cpus=survey.settings.build_cpus or cores(),
        jobs=manner.jobs,
    )


def site_of(survey: Survey, place: Place, *, cache: ResultCache, logs: Path) -> Site:
    """Where a release is built, with results and logs going there."""
    rooms, image = place.builders
    return Site(survey=survey, rooms=rooms, image=image, cache=cache, logs=logs)


def make_one(survey: Survey, plan: Plan, step: Step, *, site: Site, given: Material | None = None) -> Result:
    """Build one component, with what it depends on from the release's cache.

    Raises:
        SourceError: Its source cannot be had, or is not what its pin says.
        BuildError: The build failed.
    """
    needs = _needs(survey, plan, step)
    whole = replace(given or material(survey, step), needs=needs, handovers=_handovers(survey, needs))
    return build(step, whole, site)


def left_beside(survey: Survey, packages: Packages) -> list[Path]:
    """What the builds left besides packages: .dsc with their parts beside them, .changes and .buildinfo.

    Not the .changes of the source alone: Bigtop's build leaves it without the .buildinfo that it names.
    """
    return [
        survey.cache.folder(result.step, result.stamp) / file.file
        for result in packages.results
        for file in result.files
        if file.file.endswith((".dsc", ".buildinfo", ".changes")) and "_source." not in file.file
    ]


def _needs(survey: Survey, plan: Plan, step: Step) -> tuple[Result, ...]:
    """Builds that a step depends on, however far, in the plan's order.

    Raises:
        BuildError: A result that was there when the run began is not any more.
    """
    found = []
    for one in plan.needs(step):
        result = survey.cache.get(one.id, one.stamp)
        if result is None:
            raise BuildError(
                f"{step.name}: the result of {one.name}, which it depends on, is gone from the cache",
                hint="run the same command again: what is missing is built",
            )
        found.append(result)
    return tuple(found)


def _handovers(survey: Survey, needs: Sequence[Result]) -> tuple[Path, ...]:
    return tuple(survey.cache.folder(one.step, one.stamp) / HANDOVER for one in needs if one.handover)
