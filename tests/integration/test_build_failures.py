# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in a build is told with its cause, and leaves nothing that is taken for whole."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from builds import Bench, maven_repository

from bigtop_builder.run import run
from bigtop_builder.settings import load_settings
from bigtop_builder.workspace import Project
from local_patches import diff_of, list_patches, write_patch

pytestmark = [pytest.mark.docker, pytest.mark.network]


@pytest.fixture
def bench(tmp_path: Path, project: Project) -> Bench:
    """Results of this test alone, with the images and downloads of the machine's own cache."""
    return Bench.at(tmp_path / "cache", project)


def test_a_component_patch_with_fuzz_is_refused_before_a_container_starts(bench: Bench) -> None:
    diff = bench.project.patches / "salute/miniature-blank-name/default.patch"
    text = diff.read_text()
    context = next(
        line for line in text.partition("@@ ")[2].splitlines()[1:] if line.startswith(" ") and line.strip()
    )
    diff.write_text(text.replace(f"\n{context}\n", f"\n{context} // not there\n", 1))
    assert bench("plan", "1.0.0", "--bump").returncode == 0
    failed = bench("build", "1.0.0", "-c", "salute")
    assert failed.returncode == 4
    assert (
        "patch salute/miniature-blank-name does not apply to the source of salute 1.0.0" in failed.complaint
    )
    others = json.loads(bench("build", "1.0.0", "-k", "-c", "bigtop-utils", "-c", "salute", "--json").text)
    assert {row["component"]: row["state"] for row in others["components"]} == {
        "bigtop-utils": "built",
        "salute": "failed",
    }
    assert others["failure"]["exit"] == 4
    assert bench.built("salute") == []


def test_upstreams_own_patch_that_does_not_apply_fails_the_build_with_its_likely_cause(bench: Bench) -> None:
    upstreams = "bigtop-packages/src/common/salute/patch1-odd.diff"
    java = "src/main/java/bigtop/miniature/salute/Salutation.java"
    odd = diff_of(java, "not there\n", "nor this\n")
    write_patch(bench.project, "bigtop/as-upstream", diff_of(upstreams, "", odd))
    list_patches(bench.project, "bigtop/as-upstream")
    assert bench("plan", "1.0.0", "-c", "salute", "--bump").returncode == 0
    failed = bench("build", "1.0.0", "-c", "salute")
    assert failed.returncode == 7
    assert "salute: gradle" in failed.complaint
    assert "a component patch does not apply" in failed.complaint
    assert "whole log:" in failed.complaint
    assert bench.built("salute") == []
    assert not list((bench.cache / "results").glob(".making.*"))
    told = "not built yet; failed 0 min ago: a component patch does not apply"
    assert told in bench("plan", "1.0.0", "-c", "salute").text
    list_patches(bench.project)
    assert bench("plan", "1.0.0", "-c", "salute", "--bump").returncode == 0
    assert "failed" not in bench("plan", "1.0.0", "-c", "salute").text
    assert bench("build", "1.0.0", "-c", "bigtop-utils").returncode == 0
    assert (bench.project.output / "1.0.0/logs/salute.failed.json").is_file()


def test_what_a_failed_build_downloaded_is_not_fetched_again(tmp_path: Path, project: Project) -> None:
    cold = Bench.at(tmp_path / "cache", project, downloads=False)
    diff = project.patches / "salute/miniature-blank-name/default.patch"
    good = diff.read_text()
    with maven_repository({}, load_settings().mirrors.maven) as mirror:
        bench = cold.given(BIGTOP_BUILDER_MIRRORS__MAVEN=mirror.url)
        diff.write_text(good.replace("name.trim();", "name.trim()-;"))
        failed = bench.bumped()("build", "1.0.0", "-c", "salute")
        assert failed.returncode == 7
        assert "illegal start of expression" in failed.complaint
        fetched = mirror.files()
        assert fetched

        diff.write_text(good)
        built = bench.bumped()("build", "1.0.0", "-c", "salute")
        assert built.returncode == 0, built.complaint
        assert mirror.files() & fetched == set()
    assert not list(bench.cache.glob("downloads/*/home/.m2/repository/bigtop"))


@pytest.fixture
def tiny_disk(bench: Bench) -> Iterator[Path]:
    """The cache on a file system of 4 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    mounted = bench.cache / "results"
    mounted.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", mounted])
    try:
        yield mounted
    finally:
        run(["umount", mounted])


def test_a_full_disk_is_told_and_the_same_command_goes_on_from_there(bench: Bench, tiny_disk: Path) -> None:
    assert bench("plan", "1.0.0", "-c", "bigtop-utils", "--bump").returncode == 0
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(b"\0" * (4 * 1024 * 1024 - 16384))
    failed = bench("build", "1.0.0", "-c", "bigtop-utils")
    assert failed.returncode == 3, failed.complaint
    assert "is full" in failed.complaint
    assert not list(tiny_disk.glob("*/*/result.json"))
    ballast.unlink()
    assert bench("build", "1.0.0", "-c", "bigtop-utils").returncode == 0


def test_without_an_engine_it_says_so_and_what_to_do(bench: Bench) -> None:
    assert bench("plan", "1.0.0", "-c", "bigtop-utils", "--bump").returncode == 0
    nowhere = bench.given(DOCKER_HOST=f"unix://{bench.cache}/no.sock")
    said = json.loads(nowhere("build", "1.0.0", "-c", "bigtop-utils", "--json").text)
    assert [(row["component"], row["state"]) for row in said["components"]] == [("bigtop-utils", "run")]
    assert said["failure"]["exit"] == 3
    failed = nowhere("build", "1.0.0", "-c", "bigtop-utils")
    assert failed.returncode == 3
    assert "Docker" in failed.complaint
    assert "--builder host" in failed.complaint
