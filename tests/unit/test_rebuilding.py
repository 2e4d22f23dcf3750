# SPDX-License-Identifier: Apache-2.0
"""Components built a second time: what came out is told of each, whatever becomes of the others."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bigtop_builder import rebuild as module
from bigtop_builder.atomic import write_whole
from bigtop_builder.building import Manner, Packages
from bigtop_builder.errors import BuilderError, BuildError, EnvironmentMissing
from bigtop_builder.executor.component import Site
from bigtop_builder.manifest import ImageRecord
from bigtop_builder.place import Place
from bigtop_builder.plan import Plan, Step
from bigtop_builder.rebuild import Comparison, rebuild
from bigtop_builder.result import LOG, Result
from bigtop_builder.settings import Settings
from bigtop_builder.survey import Survey, survey
from bigtop_builder.workspace import Project
from jar_forge import package
from results import result_of

NAMES = ("bigtop-utils", "bigtop-jsvc", "salute", "herald")
IMAGE = ImageRecord(name="an image")
BOTH = Manner()
ENGINE = SimpleNamespace(builders=(None, IMAGE))
FIRST = {f"usr/bin/{name}": b"#!/bin/sh\n" for name in NAMES}

Files = dict[str, bytes]
Make = Callable[[Step, Site], Result]


def make(road: Survey, step: Step, folder: Path, files: Files, *more: str) -> Result:
    """A result with a package of these files, and further ones."""
    (folder / LOG).write_text("a log\n")
    for name in (step.name, *more):
        package(folder.parent, files, name=name).rename(folder / f"{name}_1_all.deb")
    return result_of(road, step, folder)


@pytest.fixture
def road(project: Project, tmp_path: Path) -> Survey:
    """The miniature, built."""
    settings = Settings(cache_dir=tmp_path / "cache", gradle="system", build_memory_mb=16384, build_cpus=8)
    road = survey("1.0.0", project=project, settings=settings)
    road = road.with_lock(road.bumped())
    for step in road.plan().steps:
        with road.cache.making() as folder:
            road.cache.put(folder, make(road, step, folder, FIRST))
    return road


@pytest.fixture
def again(road: Survey, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Comparison]:
    """Build again: what a second build makes is given, no room is opened."""

    def call(second: Make, *names: str, manner: Manner = BOTH, place: Any = ENGINE) -> Comparison:
        def made(_survey: Survey, _plan: Plan, step: Step, *, site: Site) -> Result:
            return second(step, site)

        monkeypatch.setattr(module, "make_one", made)
        plan = road.plan()
        results = [result for step in plan.steps if (result := road.cache.get(step.id, step.stamp))]
        packages = Packages(plan=plan, results=results, folder=road.output.debs)
        comparison = Comparison(road.output.rebuilt, [step.name for step in plan.steps])
        try:
            rebuild(road, packages, place, names, manner=manner, comparison=comparison)
        finally:
            assert not list(road.cache.root.glob(".making*")), "gigabytes are left nowhere"
        return comparison

    return call


def kept(road: Survey, step: Step, site: Site, files: Files = FIRST, *more: str) -> Result:
    with site.cache.making() as folder:
        return site.cache.put(folder, make(road, step, folder, files, *more))


def report(road: Survey) -> dict[str, bool]:
    """What the file says."""
    said = json.loads((road.output.rebuilt / "report.json").read_text())
    return {one["component"]: one["equal"] for one in said}


def test_all_components_are_built_again_in_results_of_their_own(
    road: Survey, again: Callable[..., Comparison]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in road.cache.root.rglob("*.deb")}
    comparison = again(lambda step, site: kept(road, step, site))
    assert [(one.component, one.equal) for one in comparison.found] == [(name, True) for name in NAMES]
    assert report(road) == dict.fromkeys(NAMES, True)
    assert {path: path.stat().st_mtime_ns for path in road.cache.root.rglob("*.deb")} == before


@pytest.mark.parametrize(
    ("manner", "compared"),
    [
        (Manner(jobs=1), ["bigtop-utils", "bigtop-jsvc"]),
        (Manner(jobs=1, keep_going=True), ["bigtop-utils", "bigtop-jsvc", "herald"]),
    ],
)
def test_a_build_that_fails_takes_no_comparison_away_and_stops_nothing_that_is_to_go_on(
    road: Survey, again: Callable[..., Comparison], manner: Manner, compared: list[str]
) -> None:
    """Herald depends on salute, but not on its second build."""

    def second(step: Step, site: Site) -> Result:
        if step.name == "salute":
            raise BuildError("salute: no room is left")
        return kept(road, step, site)

    with pytest.raises(BuilderError, match="no room is left"):
        again(second, manner=manner)
    assert list(report(road)) == compared


def test_a_comparison_is_in_the_file_before_the_next_build_ends(
    road: Survey, again: Callable[..., Comparison]
) -> None:
    seen = []

    def second(step: Step, site: Site) -> Result:
        if step.name != NAMES[0]:
            seen.append(list(report(road)))
        return kept(road, step, site)

    again(second, manner=Manner(jobs=1))
    assert seen == [list(NAMES[:1]), list(NAMES[:2]), list(NAMES[:3])]


def test_several_are_built_at_once(road: Survey, again: Callable[..., Comparison]) -> None:
    together = threading.Barrier(2, timeout=60)

    def second(step: Step, site: Site) -> Result:
        together.wait()
        return kept(road, step, site)

    assert len(again(second, "salute", "herald").found) == 2


def test_a_package_that_one_build_alone_made_is_named(road: Survey, again: Callable[..., Comparison]) -> None:
    def second(step: Step, site: Site) -> Result:
        return kept(road, step, site, FIRST, "salute-doc")

    found = {one.file: one.differences for one in again(second, "salute").found}
    assert found == {"salute_1_all.deb": (), "salute-doc_1_all.deb": ("only the second build made it",)}


@pytest.fixture
def diffoscope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A diffoscope that writes the names of what it is given into its report, and ends as a file beside it says."""
    program = tmp_path / "bin/diffoscope"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nset -e\n[ "$1" = --text ]\necho "$3 $4" > "$2"\nexit $(cat "$0.status")\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return Path(f"{program}.status")


@pytest.mark.parametrize(("status", "warned"), [("1", False), ("2", True)])
def test_diffoscope_is_given_the_first_build_first_and_its_own_failure_is_told(
    road: Survey,
    again: Callable[..., Comparison],
    diffoscope: Path,
    caplog: pytest.LogCaptureFixture,
    *,
    status: str,
    warned: bool,
) -> None:
    diffoscope.write_text(status)
    other = FIRST | {"usr/bin/salute": b"#!/bin/ash\n"}
    (found,) = again(lambda step, site: kept(road, step, site, other), "salute").found
    assert found.differences == ("data: usr/bin/salute: content",)
    folder = road.output.rebuilt
    assert found.report is not None
    assert found.report.read_text() == f"{folder}/first/{found.file} {folder}/{found.file}\n"
    assert ("diffoscope ended with 2" in caplog.text) is warned


def test_what_an_earlier_comparison_left_goes_when_there_is_an_engine_for_another(
    road: Survey, again: Callable[..., Comparison], monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = road.output.rebuilt / "first/salute_1_all.deb"
    write_whole(earlier, "a package\n")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/no-engine")
    with Place(road) as place, pytest.raises(EnvironmentMissing):
        again(lambda step, site: kept(road, step, site), "salute", place=place)
    assert earlier.is_file()
    again(lambda step, site: kept(road, step, site), "salute")
    assert not earlier.exists()
