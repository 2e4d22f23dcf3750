# SPDX-License-Identifier: Apache-2.0
"""Is a build reproducible: components are built a second time, and their packages held against the first."""

import json
import logging
import shutil
import threading
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bigtop_builder.atomic import write_whole
from bigtop_builder.building import LOGS, Manner, Packages, capacity_of, make_one, site_of
from bigtop_builder.cache import ResultCache
from bigtop_builder.executor.board import Board
from bigtop_builder.executor.local import execute
from bigtop_builder.executor.schedule import Schedule
from bigtop_builder.executor.stoppable import StoppableRooms
from bigtop_builder.place import Place
from bigtop_builder.plan import Step
from bigtop_builder.result import Result
from bigtop_builder.run import run
from bigtop_builder.schema import counted
from bigtop_builder.survey import Survey
from bigtop_builder.verify.sameness import differences

log = logging.getLogger(__name__)

REPORT = "report.json"
DIFFOSCOPE = ".diffoscope.txt"
FIRST = "first"


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """A package that was built twice.

    Attributes:
        file: Its name.
        component: Component it was built from.
        differences: What differs, a line a file; none if both are the same bit for bit.
        report: What diffoscope says of them; None if they are the same, or it is not installed.
    """

    file: str
    component: str
    differences: tuple[str, ...]
    report: Path | None = None

    @property
    def equal(self) -> bool:
        """Both builds are the same, bit for bit."""
        return not self.differences


class Comparison:
    """What came out so far. It is in a file as soon as it is known, so that no failure or kill takes it away.

    Args:
        folder: For the file, and for the packages that differ.
        order: Names of components: those of the plan.
    """

    def __init__(self, folder: Path, order: Sequence[str]) -> None:
        self.folder = folder
        self._found: dict[str, list[Rebuilt]] = {name: [] for name in order}
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Take away what lies in the folder from another comparison."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def add(self, component: str, found: list[Rebuilt]) -> None:
        """Take note of a component's packages. Any thread may."""
        unlike = sum(not one.equal for one in found)
        told = f"{unlike} of {counted(len(found), 'package')} differ" if unlike else "the same, bit for bit"
        log.info("%s: built twice: %s", component, told)
        with self._lock:
            self._found[component] = found
            write_whole(self.folder / REPORT, json.dumps(self.value(), indent=2, default=str) + "\n")

    @property
    def found(self) -> list[Rebuilt]:
        """The packages, in the order of components."""
        return [one for found in self._found.values() for one in found]

    def value(self) -> list[dict[str, Any]]:
        """The same for programs."""
        return [{**asdict(one), "equal": one.equal} for one in self.found]


def rebuild(
    survey: Survey,
    packages: Packages,
    place: Place,
    components: Collection[str],
    *,
    manner: Manner,
    comparison: Comparison,
) -> None:
    """Build components again, as if they never had been, and compare. The first builds stay what they are.

    None waits for another one: what they depend on is that of the first builds. Packages that differ are left in the
    comparison's folder, those of the first build in `first/`, with the logs of the second builds.

    Args:
        survey: The release.
        packages: What was built of it.
        place: Opens rooms.
        components: Which to build again; all if empty.
        manner: How many at once, and whether a failure stops the others.
        comparison: Takes what comes out, component by component.

    Raises:
        SourceError: A source cannot be had.
        BuildError: A second build failed.
        CheckFailed: A package is no whole .deb.
    """
    firsts = {result.component: result for result in packages.results}
    steps = {step.name: step for step in packages.plan.steps if not components or step.name in components}
    alone = [replace(step, after=(), reason="a second time") for step in steps.values()]
    rooms = StoppableRooms(place.builders[0])
    schedule = Schedule(alone, capacity_of(survey, manner), keep_going=manner.keep_going)
    board = Board(alone, (), schedule)
    comparison.begin()

    def again(step: Step) -> Result:
        first = firsts[step.name]
        with survey.cache.making() as scratch:
            cache = ResultCache(scratch / "results")  # the lock on `scratch` itself is taken
            site = site_of(survey, place, cache=cache, logs=comparison.folder / LOGS)
            site = replace(site, rooms=rooms, watch=board.watcher(step.name))
            second = make_one(survey, packages.plan, steps[step.name], site=site)
            folders = survey.cache.folder(first.step, first.stamp), cache.folder(second.step, second.stamp)
            comparison.add(step.name, _compared(*folders, first, second, comparison.folder))
        return second

    execute(alone, again, schedule=schedule, board=board, stop=rooms.stop)


def _compared(one: Path, other: Path, first: Result, second: Result, folder: Path) -> list[Rebuilt]:
    before, after = ({deb.file for deb in result.debs} for result in (first, second))
    found = [_held(one / name, other / name, first.component, folder) for name in sorted(before & after)]
    for name in sorted(before ^ after):
        which = "first" if name in before else "second"
        found.append(
            Rebuilt(file=name, component=first.component, differences=(f"only the {which} build made it",))
        )
    return found


def _held(one: Path, other: Path, component: str, folder: Path) -> Rebuilt:
    """A package held against the same of the second build; both are kept if they differ."""
    told = tuple(differences(one, other))
    report = None
    if told:
        (folder / FIRST).mkdir(exist_ok=True)
        before = Path(shutil.copy2(one, folder / FIRST))
        report = _diffoscope(before, Path(shutil.copy2(other, folder)))
    return Rebuilt(file=one.name, component=component, differences=told, report=report)


def _diffoscope(one: Path, other: Path) -> Path | None:
    """What diffoscope says, in a file beside the second package; it ends with 1 where they differ (diffoscope(1))."""
    if not shutil.which("diffoscope"):
        return None
    report = other.with_name(f"{other.name}{DIFFOSCOPE}")
    done = run(["diffoscope", "--text", report, one, other], check=False)
    if done.returncode != 1:
        log.warning("diffoscope ended with %d: %s", done.returncode, done.complaint)
    return report if report.is_file() else None
