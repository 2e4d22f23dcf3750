# SPDX-License-Identifier: Apache-2.0
"""The miniature built twice is the same bit for bit; what a build notes of itself reaches SBOMs and statements."""

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.attestations import Attestations, attestations_of
from bigtop_builder.building import build_release
from bigtop_builder.hashes import sha256_of
from bigtop_builder.miniature import lay_out
from bigtop_builder.place import Place
from bigtop_builder.run import Completed, run
from bigtop_builder.sbom.inventory import Part, parts_of
from bigtop_builder.settings import Settings, load_settings
from bigtop_builder.survey import Survey, survey
from bigtop_builder.workspace import Project

pytestmark = [pytest.mark.docker, pytest.mark.network]
PATCH = '"bigtop/miniature-changelog-date",'
UPSTREAM = "https://github.com/apache/bigtop.git"
NATIVE = ("bigtop-utils", "bigtop-jsvc")


@dataclass(frozen=True, kw_only=True)
class Built:
    """The miniature, built with a cache of its own."""

    project: Project
    settings: Settings
    road: Survey
    debs: dict[str, Path]
    attestations: Attestations

    def ask(self, *words: str) -> Completed:
        """Run the program on it."""
        env = {"BIGTOP_BUILDER_CACHE_DIR": str(self.settings.cache_dir), "BIGTOP_BUILDER_GRADLE": "system"}
        argv = [sys.executable, "-m", "bigtop_builder", f"--project={self.project.root}", *words]
        return run(argv, env=env, check=False)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Two packages of C and shell; salute and herald, of which one holds the other's jar."""
    folder, site = tmp_path_factory.mktemp("rebuild"), load_settings()
    settings = Settings(cache_dir=folder / "cache", gradle="system")
    settings.cache_dir.mkdir()
    (site.cache_dir / "images").mkdir(parents=True, exist_ok=True)
    (settings.cache_dir / "images").symlink_to(site.cache_dir / "images")
    project = lay_out(Project(Path(__file__).parents[2]), folder / "project")
    road = survey("1.0.0", project=project, settings=settings)
    road.lock_path.write_text(road.bumped().to_toml())
    road = survey("1.0.0", project=project, settings=settings)
    with Place(road) as place:
        made = build_release(road, road.plan(), place)
    debs = {file.file.partition("_")[0]: made.folder / file.file for one in made.results for file in one.debs}
    return Built(
        project=project,
        settings=settings,
        road=road,
        debs=debs,
        attestations=attestations_of(road, made.results),
    )


def parts(built: Built, package: str) -> dict[str, Part]:
    sbom = built.attestations.sboms[sha256_of(built.debs[package])]
    return {one.path.rpartition("/")[2]: one for one in parts_of(sbom)}


def test_a_jar_of_a_dependency_is_known_by_what_its_build_installed(built: Built) -> None:
    salute = parts(built, "herald")["salute.jar"]
    assert (salute.artifact, salute.version) == ("bigtop.miniature:salute", "1.0.0")
    assert salute.how.startswith("build repository")


def test_the_statement_of_a_build_names_all_that_it_took(built: Built) -> None:
    said: dict[str, Any] = json.loads(built.attestations.statements["herald"])
    assert {one["name"]: one["digest"]["sha256"] for one in said["subject"]} == {
        built.debs[name].name: sha256_of(built.debs[name]) for name in ("herald", "herald-server")
    }
    taken = {one["name"]: one for one in said["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert taken["tree"]["digest"] == {"gitTree": built.road.tree.id}
    assert taken["source, as it was built"]["digest"]
    assert {"build of salute", "Maven hand-over of salute", "build of bigtop-utils"} <= taken.keys()
    (image,) = (one for name, one in taken.items() if name.startswith("image "))
    assert len(image["digest"]["sha256"]) == 64
    metadata = said["predicate"]["runDetails"]["metadata"]
    assert metadata["startedOn"] < metadata["finishedOn"]


def test_every_file_of_a_package_has_the_time_of_the_commit_at_most(built: Built) -> None:
    for deb in built.debs.values():
        listed = run(["dpkg-deb", "--fsys-tarfile", deb]).stdout
        times = run(["tar", "--full-time", "--utc", "-tvf", "-"], stdin=listed).text
        latest = max(line.split()[3] + " " + line.split()[4] for line in times.splitlines())
        epoch = run(["date", "--utc", "-d", f"@{built.road.tree.epoch}", "+%Y-%m-%d %H:%M:%S"]).text
        assert latest <= epoch, deb.name
        assert deb.read_bytes()[24:36].strip() == str(built.road.tree.epoch).encode()


def test_utils_and_jsvc_built_twice_are_the_same_bit_for_bit(built: Built) -> None:
    before = {name: sha256_of(built.debs[name]) for name in NATIVE}
    done = built.ask("verify", "1.0.0", "--rebuild", "-c", "bigtop-utils", "-c", "bigtop-jsvc", "--json")
    assert done.returncode == 0, done.text + done.complaint
    found = json.loads(done.text)
    assert [(one["component"], one["equal"], one["differences"]) for one in found] == [
        (name, True, []) for name in NATIVE
    ]
    assert {name: sha256_of(built.debs[name]) for name in NATIVE} == before
    assert all(deb.is_file() for deb in built.debs.values()), "what was built before of the others stays, too"
    assert not [*(built.settings.cache_dir / "results").glob(".making*")]
    assert not [*built.road.output.rebuilt.glob("*.deb")]


def test_what_differs_is_told_and_kept_and_diffoscope_is_asked(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = (built.project.recipes / "1.0.0.toml").read_text()
    dated = recipe.replace(PATCH, "")
    assert dated != recipe
    (built.project.recipes / "dated.toml").write_text(dated)
    program = tmp_path / "bin/diffoscope"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\n[ "$1" = --text ] && echo "$3 $4" > "$2"\nexit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    assert built.ask("plan", "dated", "-c", "bigtop-utils", "--bump").returncode == 0
    done = built.ask("verify", "dated", "--rebuild", "-c", "bigtop-utils", "--json")
    assert done.returncode == 1, done.text + done.complaint
    assert "1 of 1 package differ when built a second time" in done.complaint
    (found,) = json.loads(done.text)
    assert "data: usr/share/doc/bigtop-utils/changelog.Debian.gz: content" in found["differences"]
    kept = built.project.output / "dated/rebuilt" / found["file"]
    first = kept.parent / "first" / found["file"]
    assert sha256_of(kept) != sha256_of(first)
    assert Path(found["report"]).read_text() == f"{first} {kept}\n"


def test_a_second_build_that_fails_leaves_what_was_compared_and_what_can_go_on(
    built: Built, tmp_path: Path
) -> None:
    """Without its downloads, salute cannot be built where there is no network; utils has none."""
    downloads = built.settings.cache_dir / "downloads"
    away = downloads.rename(tmp_path / "downloads")
    try:
        words = ("--offline", "--keep-going", "--jobs", "1", "-c", "salute", "-c", "bigtop-utils", "--json")
        done = built.ask("verify", "1.0.0", "--rebuild", *words)
    finally:
        shutil.rmtree(downloads, ignore_errors=True)
        away.rename(downloads)
    assert done.returncode == 7, done.complaint
    assert "likely cause: a download is not in the cache" in done.complaint
    (found,) = json.loads(done.text)
    assert (found["component"], found["equal"]) == ("bigtop-utils", True)
    assert json.loads((built.road.output.rebuilt / "report.json").read_text()) == [found]
    assert not [*(built.settings.cache_dir / "results").glob(".making*")]


@pytest.mark.real
@pytest.mark.skipif("BIGTOP_GIT" not in os.environ, reason="BIGTOP_GIT names no clone of apache/bigtop")
@pytest.mark.parametrize("release", ["3.3.0", "3.5.0"])
def test_bigtops_own_utils_and_jsvc_are_the_same_bit_for_bit(tmp_path: Path, release: str) -> None:
    origin = Project(Path(__file__).parents[2])
    (tmp_path / "recipes").mkdir()
    shutil.copy(origin.recipes / f"{release}.toml", tmp_path / "recipes")
    shutil.copytree(origin.patches, tmp_path / "patches")
    env = {
        "BIGTOP_BUILDER_GRADLE": os.environ.get("BIGTOP_BUILDER_GRADLE", "system"),
        "BIGTOP_BUILDER_MIRRORS__GIT": json.dumps({UPSTREAM: os.environ["BIGTOP_GIT"]}),
    }
    tool = [sys.executable, "-m", "bigtop_builder", f"--project={tmp_path}"]
    chosen = [word for name in NATIVE for word in ("-c", name)]
    run([*tool, "plan", release, *chosen, "--bump"], env=env)
    done = run([*tool, "verify", release, "--rebuild", *chosen, "--json"], env=env, check=False)
    assert done.returncode == 0, done.text + done.complaint
    assert sorted(one["component"] for one in json.loads(done.text)) == sorted(NATIVE)
