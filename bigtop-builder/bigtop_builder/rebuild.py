# SPDX-License-Identifier: Apache-2.0
"""Is a build reproducible: components are built a second time, and their packages held against the first."""

import logging
import shutil
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.building import LOGS, Packages, make_one, site_of
from bigtop_builder.cache import ResultCache
from bigtop_builder.place import Place
from bigtop_builder.result import Result
from bigtop_builder.run import run
from bigtop_builder.survey import Survey
from bigtop_builder.verify.sameness import differences

log = logging.getLogger(__name__)

REPORT = ".diffoscope.txt"
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


def rebuild(
    survey: Survey, packages: Packages, place: Place, components: Collection[str]
) -> tuple[Rebuilt, ...]:
    """Build components again, as if they never had been, and compare. The first builds stay what they are.

    Packages that differ are left in the release's output folder, those of the first build in `first/`, with the logs
    of the second builds.

    Args:
        survey: The release.
        packages: What was built of it.
        place: Opens rooms.
        components: Which to build again; all if empty.

    Raises:
        BuildError: A second build failed.
    """
    folder = survey.output.rebuilt
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found: list[Rebuilt] = []
    with tempfile.TemporaryDirectory(dir=survey.workspace.root, prefix="rebuild-") as scratch:
        site = site_of(survey, place, cache=ResultCache(Path(scratch)), logs=folder / LOGS)
        for step, first in zip(packages.plan.steps, packages.results, strict=True):
            if not components or step.name in components:
                log.info("%s: building it a second time", step.name)
                second = make_one(survey, packages.plan, step, site=site)
                made = site.cache.folder(second.step, second.stamp)
                found += _compared(survey.cache.folder(first.step, first.stamp), made, first, second, folder)
    return tuple(found)


def _compared(one: Path, other: Path, first: Result, second: Result, folder: Path) -> list[Rebuilt]:
    before, after = ({deb.file for deb in result.debs} for result in (first, second))
    found = [_same(one / name, other / name, first.component, folder) for name in sorted(before & after)]
    for name in sorted(before ^ after):
        which = "first" if name in before else "second"
        found.append(
            Rebuilt(file=name, component=first.component, differences=(f"only the {which} build made it",))
        )
    return found


def _same(one: Path, other: Path, component: str, folder: Path) -> Rebuilt:
    told = tuple(differences(one, other))
    report = None
    if told:
        (folder / FIRST).mkdir(exist_ok=True)
        shutil.copy2(one, folder / FIRST)
        report = _diffoscope(one, Path(shutil.copy2(other, folder / other.name)))
    return Rebuilt(file=one.name, component=component, differences=told, report=report)


def _diffoscope(one: Path, other: Path) -> Path | None:
    """What diffoscope says, in a file beside the second package; it ends with 1 where they differ (diffoscope(1))."""
    if not shutil.which("diffoscope"):
        return None
    report = other.with_name(f"{other.name}{REPORT}")
    done = run(["diffoscope", "--text", report, one, other], check=False)
    if done.returncode != 1:
        log.warning("diffoscope ended with %d: %s", done.returncode, done.complaint)
    return report if report.is_file() else None
