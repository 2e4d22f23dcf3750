# SPDX-License-Identifier: Apache-2.0
"""Builds on this very machine, by a program that stands in for Gradle: what they keep, and what a run leaves."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bigtop_builder import building
from bigtop_builder.building import Packages, build_release
from bigtop_builder.errors import BuildError, EnvironmentMissing
from bigtop_builder.executor.failed import last_failure
from bigtop_builder.hashes import sha256_of
from bigtop_builder.host import HostRooms
from bigtop_builder.lock_notes import noted_locks
from bigtop_builder.manifest import ImageRecord
from bigtop_builder.place import Place
from bigtop_builder.plan import Step
from bigtop_builder.settings import Settings
from bigtop_builder.survey import Survey, survey
from bigtop_builder.workspace import Project

GRADLE = """#!/bin/sh
for task; do :; done
name=${task%-deb}
echo "building $name"
"""
MAKES = 'mkdir -p output/$name && echo a package >output/$name/${name}_1_all.deb\necho "built $name"\n'

Gradle = Callable[[str], None]


@pytest.fixture
def gradle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gradle:
    """Sets what is run for Gradle: a shell script, in which `$name` is the component."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")

    def runs(script: str) -> None:
        (folder / "gradle").write_text(f"{GRADLE}{script}")
        (folder / "gradle").chmod(0o755)

    runs(MAKES)
    return runs


@pytest.fixture
def road(project: Project, settings: Settings) -> Survey:
    """The miniature's release 1.0.0, with a current lock."""
    found = survey("1.0.0", project=project, settings=settings)
    return found.with_lock(found.bumped())


class HostPlace(Place):
    """Builds on this machine, whatever system it runs."""

    builders = (HostRooms(), ImageRecord(name="this machine"))  # type: ignore[assignment]


def build(road: Survey, *names: str) -> Packages:
    with HostPlace(road) as place:
        return build_release(road, road.plan(names), place)


def logs(road: Survey) -> list[str]:
    return sorted(path.name for path in road.output.logs.iterdir())


def step(road: Survey, name: str) -> Step:
    return next(one for one in road.plan().steps if one.name == name)


def test_a_build_is_kept_with_its_whole_log_whatever_becomes_of_the_copy_that_people_follow(
    road: Survey, gradle: Gradle
) -> None:
    gradle(f"rm {road.output.logs}/$name.log\n{MAKES}")
    (result,) = build(road, "bigtop-utils").results
    kept = road.cache.folder(result.step, result.stamp) / result.log.file
    assert kept.read_text() == "building bigtop-utils\nbuilt bigtop-utils\n"
    assert (road.output.logs / "bigtop-utils.log").read_bytes() == kept.read_bytes()


def test_the_log_of_a_build_that_failed_lies_where_its_error_says(road: Survey, gradle: Gradle) -> None:
    gradle("exit 3\n")
    with pytest.raises(BuildError, match="ended with exit status 3") as failed:
        build(road, "bigtop-utils")
    log = road.output.logs / "bigtop-utils.log"
    assert f"whole log: {log}" in failed.value.details
    assert log.read_text() == "building bigtop-utils\n"


def test_a_build_notes_its_lock_so_that_its_results_stay(road: Survey, gradle: Gradle) -> None:
    gradle(MAKES)
    road.lock_path.write_text(road.lock.to_toml())
    build(road, "bigtop-utils")
    assert noted_locks(road.workspace.lock_notes) == [road.lock_path]


def test_a_run_leaves_the_log_of_what_failed_and_is_not_in_its_plan(road: Survey, gradle: Gradle) -> None:
    gradle(f"[ $name != salute ] || exit 3\n{MAKES}")
    with pytest.raises(BuildError):
        build(road, "salute")
    build(road, "bigtop-utils")
    assert logs(road) == ["bigtop-utils.log", "salute.failed.json", "salute.log"]
    gradle(MAKES)
    build(road, "salute")
    assert logs(road) == ["bigtop-utils.log", "salute.log"]


def test_what_fails_before_anything_is_built_leaves_what_another_run_left(
    road: Survey, gradle: Gradle, monkeypatch: pytest.MonkeyPatch
) -> None:
    gradle("exit 3\n")
    with pytest.raises(BuildError):
        build(road, "bigtop-utils")
    before = {name: (road.output.logs / name).read_bytes() for name in logs(road)}
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/no-engine")
    with pytest.raises(EnvironmentMissing), Place(road) as place:
        build_release(road, road.plan(("bigtop-utils",)), place)
    assert {name: (road.output.logs / name).read_bytes() for name in logs(road)} == before


def test_a_build_that_could_not_begin_is_noted_as_failed(
    road: Survey, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def refused(_rooms: HostRooms, **_wishes: object) -> Iterator[None]:
        raise EnvironmentMissing("no container starts")
        yield

    monkeypatch.setattr(HostRooms, "open", refused)
    with pytest.raises(EnvironmentMissing):
        build(road, "bigtop-utils")
    failed = last_failure(road.output.logs, step(road, "bigtop-utils"))
    assert failed
    assert failed.cause == "no container starts"


def test_a_build_hashes_what_goes_into_it_and_not_what_is_laid_out_and_goes_nowhere(
    road: Survey, gradle: Gradle, monkeypatch: pytest.MonkeyPatch
) -> None:
    gradle(MAKES)
    build(road, "bigtop-jsvc", "salute")
    salute = step(road, "salute")
    shutil.rmtree(road.cache.folder(salute.id, salute.stamp))
    hashed = []

    def noted(path: Path) -> str:
        hashed.append(path.name)
        return sha256_of(path)

    monkeypatch.setattr("bigtop_builder.local_results._hash_if_there", noted)
    build(road, "bigtop-jsvc", "salute")
    assert "bigtop-utils_1_all.deb" in hashed
    assert "bigtop-jsvc_1_all.deb" not in hashed


def test_gradles_distribution_is_looked_at_once_for_all_builds(
    road: Survey, gradle: Gradle, monkeypatch: pytest.MonkeyPatch
) -> None:
    gradle(MAKES)
    fetched = []
    monkeypatch.setattr(building, "fetch_gradle", lambda _: fetched.append("the zip") or (None, ""))
    build(road)
    assert fetched == ["the zip"]
