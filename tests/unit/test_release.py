# SPDX-License-Identifier: Apache-2.0
"""What a release tells of itself afterwards."""

import hashlib
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bigtop_builder import building
from bigtop_builder.atomic import write_whole
from bigtop_builder.attestations import NONE
from bigtop_builder.building import Manner, Packages, build_release
from bigtop_builder.cache import ResultCache
from bigtop_builder.depot import FolderDepot
from bigtop_builder.errors import BuilderError, BuildError, EnvironmentMissing
from bigtop_builder.place import Place
from bigtop_builder.release import manifest_of
from bigtop_builder.result import HANDOVER, LOG
from bigtop_builder.settings import Settings
from bigtop_builder.survey import Survey, survey
from bigtop_builder.verify.verdict import Verdict
from bigtop_builder.workspace import Project
from results import result_of


def hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_manifest_names_recipe_lock_and_patches_as_they_were_planned_from(
    project: Project, settings: Settings, tmp_path: Path
) -> None:
    road = survey("1.0.0", project=project, settings=settings)
    road = road.with_lock(road.bumped())
    write_whole(road.lock_path, road.lock.to_toml())
    files = [road.path, road.lock_path, *(patch.path for patch in road.patches)]
    planned_from = [hash_of(file) for file in files]
    for file in files:
        file.write_text(f"{file.read_text()}# edited during the build\n")
    verdict = Verdict(
        id="0" * 64,
        tool="test",
        created=datetime.now(UTC),
        release="1.0.0",
        target="deb12",
        passed=True,
        packages=(),
        findings=(),
    )
    manifest = manifest_of(road, Packages(plan=road.plan(), results=[], folder=tmp_path), verdict, NONE)
    recorded = [manifest.recipe, manifest.lock, *(patch.sha256 for patch in manifest.tree.patches)]
    assert recorded == planned_from
    assert [patch.id for patch in manifest.tree.patches] == list(road.recipe.patches)


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the cache needs none."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/no-engine")


@pytest.fixture
def built(project: Project, settings: Settings, tmp_path: Path) -> Survey:
    """The miniature, all of it in the cache and in a depot."""
    (tmp_path / "shared").mkdir()
    road = survey("1.0.0", project=project, settings=settings, depot=FolderDepot(tmp_path / "shared"))
    road = road.with_lock(road.bumped())
    for step in road.plan().steps:
        with road.cache.making() as folder:
            (folder / LOG).write_text("a log\n")
            (folder / f"{step.name}_1_all.deb").write_text(f"package of {step.name}\n")
            road.cache.put(folder, result_of(road, step, folder))
    return road


def test_what_was_built_is_laid_out_without_an_engine(
    built: Survey, caplog: pytest.LogCaptureFixture
) -> None:
    with Place(built) as place, caplog.at_level("INFO"):
        packages = build_release(built, built.plan(), place)
    assert sorted(path.name for path in packages.folder.iterdir()) == [
        "bigtop-jsvc_1_all.deb",
        "bigtop-utils_1_all.deb",
        "herald_1_all.deb",
        "salute_1_all.deb",
    ]
    assert "nothing to build: the cache has 4 components" in caplog.text


@pytest.mark.parametrize("where", ["cache", "output"])
def test_an_altered_package_is_found_before_it_is_verified_or_published(built: Survey, where: str) -> None:
    with Place(built) as place:
        laid_out = build_release(built, built.plan(), place).folder / "salute_1_all.deb"
        step = next(step for step in built.plan().steps if step.name == "salute")
        altered = {"cache": built.cache.folder(step.id, step.stamp) / laid_out.name, "output": laid_out}[
            where
        ]
        before = altered.stat()
        altered.write_text("Package of salute\n")
        os.utime(altered, ns=(before.st_atime_ns, before.st_mtime_ns))
        packages = build_release(built, built.plan(), place, Manner(checked=True))
    assert (packages.folder / laid_out.name).read_text() == "package of salute\n"
    assert built.cache.obtain(step.id, step.stamp, hashed=True)


@pytest.mark.parametrize("laid_out", [True, False])
def test_a_build_hands_out_no_package_that_was_altered_in_the_cache(built: Survey, *, laid_out: bool) -> None:
    step = next(step for step in built.plan().steps if step.name == "salute")
    with Place(built) as place:
        if laid_out:
            build_release(built, built.plan(), place)
        (built.cache.folder(step.id, step.stamp) / "salute_1_all.deb").write_text("Package of salute\n")
        packages = build_release(built, built.plan(), place)
    assert (packages.folder / "salute_1_all.deb").read_text() == "package of salute\n"


def said(road: Survey) -> list[Path]:
    """Verdicts, what smokes printed, and manifest of a run, as if it had written them."""
    road.output.smoke_logs.mkdir()
    files = [
        road.output.verdict,
        road.output.smoke,
        road.output.manifest,
        road.output.smoke_logs / "hdfs.log",
    ]
    for file in files:
        file.write_text("of this run\n")
    return files


def debs(road: Survey) -> list[str]:
    return sorted(path.name.partition("_")[0] for path in road.output.debs.iterdir())


def test_a_second_run_over_a_release_is_refused_while_the_first_is_at_work(built: Survey) -> None:
    refused = pytest.raises(EnvironmentMissing, match="another run is at work on this release")
    with Place(built), refused, Place(built):
        pass
    with Place(built) as place:
        assert build_release(built, built.plan(), place).folder == built.output.debs


def test_what_was_said_of_packages_stays_as_long_as_they_do(built: Survey) -> None:
    with Place(built) as place:
        build_release(built, built.plan(), place)
        files = said(built)
        build_release(built, built.plan(), place)
        assert all(file.exists() for file in files)
        build_release(built, built.plan(("salute",)), place)
        assert debs(built) == ["bigtop-utils", "salute"]
        assert sorted(path.stem for path in built.output.logs.iterdir()) == ["bigtop-utils", "salute"]
        assert not any(file.exists() for file in files)


def test_a_run_that_has_no_engine_to_build_with_leaves_what_stands_there(built: Survey) -> None:
    with Place(built) as place:
        build_release(built, built.plan(), place)
        files = said(built)
        step = next(step for step in built.plan().steps if step.name == "salute")
        shutil.rmtree(built.cache.folder(step.id, step.stamp))
        built.cache.depot = None
        with pytest.raises(BuilderError):
            build_release(built, built.plan(), place)
    assert debs(built) == ["bigtop-jsvc", "bigtop-utils", "herald", "salute"]
    assert all(file.exists() for file in files)


def test_a_run_that_lays_nothing_out_leaves_what_stands_there(built: Survey) -> None:
    with Place(built) as place:
        build_release(built, built.plan(), place)
        files = said(built)
        build_release(built, built.plan(("salute",)), place, Manner(lays_out=False))
    assert debs(built) == ["bigtop-jsvc", "bigtop-utils", "herald", "salute"]
    assert all(file.exists() for file in files)


def test_what_was_built_before_a_depot_was_named_goes_there_with_the_next_build(
    built: Survey, tmp_path: Path
) -> None:
    (tmp_path / "later").mkdir()
    depot = FolderDepot(tmp_path / "later")
    ours = replace(built, cache=ResultCache(built.cache.root, depot))
    with Place(ours) as place:
        build_release(ours, ours.plan(), place)
    theirs = ResultCache(tmp_path / "theirs", depot)
    assert all(theirs.obtain(step.id, step.stamp, hashed=True) for step in built.plan().steps)


def test_a_hand_over_that_vanished_during_a_run_is_an_error_and_is_not_left_out(built: Survey) -> None:
    plan = built.plan()
    steps = {step.name: step for step in plan.steps}
    assert [need.component for need in building._needs(built, plan, steps["herald"])] == [
        "bigtop-utils",
        "bigtop-jsvc",
        "salute",
    ]
    shutil.rmtree(built.cache.folder(steps["salute"].id, steps["salute"].stamp))
    with pytest.raises(BuildError, match="result of salute, which it depends on, is gone"):
        building._needs(built, plan, steps["herald"])


def test_a_build_is_given_the_hand_overs_of_all_that_it_depends_on_however_far(built: Survey) -> None:
    built.cache.depot = None
    plan = built.plan()
    steps = {step.name: step for step in plan.steps}
    assert "bigtop-utils" not in steps["herald"].after
    for name in ("salute", "bigtop-utils"):
        shutil.rmtree(built.cache.folder(steps[name].id, steps[name].stamp))
        with built.cache.making() as folder:
            (folder / LOG).write_text("a log\n")
            (folder / HANDOVER).write_text(f"artifacts of {name}\n")
            built.cache.put(folder, result_of(built, steps[name], folder))
    needs = building._needs(built, plan, steps["herald"])
    handovers = building._handovers(built, needs)
    assert [path.read_text() for path in handovers] == [
        "artifacts of bigtop-utils\n",
        "artifacts of salute\n",
    ]
    assert [need.handover.sha256 for need in needs if need.handover] == [hash_of(path) for path in handovers]
    assert len(building._needs(built, plan, steps["salute"])) == 1
