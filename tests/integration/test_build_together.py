# SPDX-License-Identifier: Apache-2.0
"""Builds at once, interrupted, killed, taken up again, without a network, and out of what another machine built."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from builds import Bench, containers_of, maven_repository, wait_for

from bigtop_builder.container import LABEL
from bigtop_builder.image import ImageSpec, builder_image
from bigtop_builder.recipe import load_recipe
from bigtop_builder.settings import load_settings
from bigtop_builder.workspace import Project

pytestmark = [pytest.mark.docker, pytest.mark.network]
NOWHERE = "unix:///nonexistent/no-engine"


@pytest.fixture
def bench(tmp_path: Path, project: Project) -> Bench:
    return Bench.at(tmp_path / "cache", project).bumped()


def test_two_components_build_at_once_and_what_ends_a_run_loses_only_these(bench: Bench) -> None:
    with bench.running("build", "1.0.0") as run:
        run.until_builds("bigtop-jsvc", "salute")
        interrupted = run.signal(signal.SIGINT)
        assert interrupted.returncode == 130
        assert "what was finished is kept" in interrupted.complaint
        assert containers_of(run.pid) == []
    assert not list((bench.project.output / "1.0.0/logs").glob("*.failed.json"))
    (first,) = bench.built("bigtop-utils")
    built = (first / "result.json").stat().st_mtime_ns
    assert not list((bench.cache / "results").glob(".making.*"))

    with bench.running("build", "1.0.0") as run:
        run.until_builds("bigtop-jsvc", "salute")
        assert run.signal(signal.SIGKILL).returncode == -signal.SIGKILL
        assert len(containers_of(run.pid)) == 2
        left = run.pid
    assert bench.built("salute") == bench.built("bigtop-jsvc") == []

    done = bench("build", "1.0.0")
    assert done.returncode == 0, done.complaint
    assert containers_of(left) == []
    assert "reused: bigtop-utils" in done.complaint
    assert (first / "result.json").stat().st_mtime_ns == built
    for name, debs in {"bigtop-jsvc": 1, "salute": 1, "herald": 2}.items():
        (folder,) = bench.built(name)
        assert len(list(folder.glob("*.deb"))) == debs


def test_what_an_interrupted_build_downloaded_is_not_fetched_again(tmp_path: Path, project: Project) -> None:
    cold = Bench.at(tmp_path / "cache", project, downloads=False)
    salute = ("build", "1.0.0", "-c", "salute")
    with maven_repository({}, load_settings().mirrors.maven) as mirror:
        bench = cold.given(BIGTOP_BUILDER_MIRRORS__MAVEN=mirror.url).bumped()
        with bench.running(*salute) as run:
            wait_for(lambda: len(mirror.asked) > 100 or run.done.done())
            assert run.signal(signal.SIGINT).returncode == 130
            assert containers_of(run.pid) == []
        fetched = mirror.files()
        built = bench(*salute)
        assert built.returncode == 0, built.complaint
        assert len(mirror.files() & fetched) < len(fetched) / 4, "all but what was on its way"


@contextmanager
def relabelled(image: str, spec: ImageSpec) -> Iterator[None]:
    """An image as that of a changed recipe, so that the test need not make one."""
    import docker

    text = f"FROM {image}\nLABEL {LABEL}.id={spec.id}\n"
    client = docker.from_env()
    try:
        client.images.build(fileobj=BytesIO(text.encode()), tag=spec.name)
        yield
    finally:
        client.images.remove(spec.name)
        client.close()


def test_a_change_of_the_image_does_not_fetch_all_again(tmp_path: Path, project: Project) -> None:
    cold = Bench.at(tmp_path / "cache", project, downloads=False)
    salute = ("build", "1.0.0", "-c", "salute")
    with maven_repository({}, load_settings().mirrors.maven) as mirror:
        bench = cold.given(BIGTOP_BUILDER_MIRRORS__MAVEN=mirror.url).bumped()
        assert bench(*salute).returncode == 0
        assert mirror.files()
        before = json.loads(bench("plan", "1.0.0", "--json").text)["image"]

        recipe = project.recipes / "1.0.0.toml"
        recipe.write_text(recipe.read_text().replace('["libcap-dev"]', '["libcap-dev", "libcap2-bin"]'))
        changed, _ = load_recipe("1.0.0", project.recipes)
        spec = builder_image(changed, load_settings().model_copy(update={"gradle": "system"}))
        assert spec.name != before
        bench.bumped()
        with relabelled(before, spec):
            built = bench(*salute, "--offline")
            assert built.returncode == 0, built.complaint
        assert mirror.files() == set()
    (one, other) = bench.built("salute")
    assert one.parent != other.parent


def test_a_second_build_needs_no_network_and_a_first_one_says_what_is_missing(
    bench: Bench, tmp_path: Path
) -> None:
    salute = ("build", "1.0.0", "-c", "salute")
    first = bench(*salute)
    assert first.returncode == 0, first.complaint
    shutil.rmtree(bench.cache / "results")
    second = bench(*salute, "--offline")
    assert second.returncode == 0, second.complaint

    bare = Bench.at(tmp_path / "bare", bench.project, downloads=False)
    no_source = bare("build", "1.0.0", "--offline")
    assert no_source.returncode == 5
    assert "commons-daemon-1.3.4-native-src.tar.gz is not in the cache" in no_source.complaint
    assert "once without --offline" in no_source.complaint

    no_plugins = bare(*salute, "--offline", "--keep-going")
    assert no_plugins.returncode == 7
    assert "org.apache.maven.plugins:maven-" in no_plugins.complaint
    assert "likely cause: a download is not in the cache" in no_plugins.complaint
    assert "built: bigtop-utils" in no_plugins.complaint
    assert "way out: run the same command once without --offline" in no_plugins.complaint


def test_what_was_built_while_the_shared_cache_was_away_is_shared_by_the_next_build(
    bench: Bench, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    utils = ("1.0.0", "-c", "bigtop-utils")
    ours = bench.given(BIGTOP_BUILDER_SHARED_CACHE=str(shared))
    alone = ours("build", *utils)
    assert alone.returncode == 0, alone.complaint
    assert f"going on without {shared}" in alone.complaint

    shared.mkdir()
    assert ours("plan", *utils).returncode == 0
    assert not list(shared.iterdir()), "a plan writes nothing"
    assert ours("build", *utils).returncode == 0
    other = Bench.at(tmp_path / "other", bench.project).given(
        BIGTOP_BUILDER_SHARED_CACHE=str(shared), DOCKER_HOST=NOWHERE
    )
    taken = other("build", *utils)
    assert taken.returncode == 0, taken.complaint
    assert taken.text == alone.text


def test_what_one_machine_built_another_one_takes_unless_it_was_altered(bench: Bench, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    utils = ("build", "1.0.0", "-c", "bigtop-utils")
    built = bench.given(BIGTOP_BUILDER_SHARED_CACHE=str(shared))(*utils)
    assert built.returncode == 0, built.complaint

    other = Bench.at(tmp_path / "other", bench.project).given(
        BIGTOP_BUILDER_SHARED_CACHE=str(shared), DOCKER_HOST=NOWHERE
    )
    planned = other("plan", "1.0.0", "-c", "bigtop-utils")
    assert f"built before: {shared} has it" in planned.text
    taken = other(*utils)
    assert taken.returncode == 0, taken.complaint
    assert taken.text == built.text
    assert planned.text != other("plan", "1.0.0", "-c", "bigtop-utils").text

    (deb,) = [path for path in shared.glob("objects/*/*") if path.read_bytes().startswith(b"!<arch>")]
    with deb.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    shutil.rmtree(other.cache / "results")
    refused = other(*utils)
    assert refused.returncode == 3, "it is built again, and here is no engine"
    assert "is not what its name says" in refused.complaint
