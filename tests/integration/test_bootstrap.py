# SPDX-License-Identifier: Apache-2.0
"""`./bootstrap` in a bare Debian 12 that holds nothing but a clone."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.container import Container, ContainerRooms, Engine
from bigtop_builder.engine_images import ensure_image
from bigtop_builder.image import BUILDER_PACKAGES, target_image
from bigtop_builder.recipe import Recipe
from bigtop_builder.run import Completed, run
from bigtop_builder.settings import load_settings
from bigtop_builder.workspace import Workspace

PROJECT = Path(__file__).parents[2]
BARE = Recipe.model_validate(
    {
        "format": 1,
        "release": "1.0.0",
        "bigtop": {"repository": "none", "commit": "0" * 40},
        "target": {"distribution": "debian", "suite": "bookworm", "tag": "deb12"},
        "image": {"jdk": {"package": "openjdk-17-jdk", "version": "17"}},
        "components": [{"name": "none"}],
    }
)
SITE = ("PIP_INDEX_URL", "http_proxy", "https_proxy", "no_proxy")
NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
QUICKSTART_WITHOUT_DOCKER = "./bootstrap quickstart --builder host"

in_a_container = [pytest.mark.docker, pytest.mark.network]


@pytest.fixture(scope="module")
def rooms() -> Iterator[ContainerRooms]:
    settings = load_settings()
    with Engine.connect() as engine:
        image = ensure_image(
            engine,
            target_image(BARE, settings),
            workspace=Workspace(settings.cache_dir),
            settings=settings,
        )
        yield engine.rooms(image.name)


@pytest.fixture(scope="module")
def clone() -> bytes:
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=PROJECT).stdout
    names = b"\0".join(name for name in listed.split(b"\0") if name and (PROJECT / name.decode()).is_file())
    tar = ["tar", "--create", "--owner=0", "--group=0", "--null", "--files-from=-"]
    return run(tar, cwd=PROJECT, stdin=names).stdout


@pytest.fixture
def bare(rooms: ContainerRooms, clone: bytes) -> Iterator[Container]:
    with rooms.open(purpose="bootstrap") as room:
        room.put([clone], room.workdir)
        yield room


@pytest.fixture(scope="module")
def installed(rooms: ContainerRooms, clone: bytes) -> Iterator[tuple[Container, Completed]]:
    with rooms.open(purpose="bootstrap-setup") as room:
        room.put([clone], room.workdir)
        yield room, bootstrap(room, "setup", "--no-engine")


def bootstrap(room: Container, *arguments: str, by: tuple[str, ...] = ()) -> Completed:
    site = {name: os.environ[name] for name in SITE if name in os.environ}
    return room.run([*by, "./bootstrap", *arguments], env=site, check=False)


class TestOnABareSystem:
    pytestmark = in_a_container

    def test_setup_says_what_it_installs_and_installs_it(
        self, installed: tuple[Container, Completed]
    ) -> None:
        room, first = installed
        assert first.returncode == 0, first.complaint
        assert re.search(r"installing Debian packages: .*\bpython3-venv\b", first.complaint)
        assert "installing the Python packages of requirements-dev.txt" in first.complaint
        assert "Usage: bigtop-builder" in room.run([".venv/bin/bigtop-builder", "--help"]).text
        room.run(["gpg", "--version"])
        room.run(["mmdebstrap", "--version"])

    def test_a_second_setup_installs_nothing_and_takes_moments(
        self, installed: tuple[Container, Completed]
    ) -> None:
        room, _ = installed
        start = time.monotonic()
        second = bootstrap(room, "setup", "--no-engine")
        assert time.monotonic() - start < 5
        assert (second.returncode, second.text, second.complaint) == (0, "", "")

    def test_another_user_runs_tests_without_root_once_all_is_installed(
        self, installed: tuple[Container, Completed]
    ) -> None:
        room, _ = installed
        done = bootstrap(room, "test", "--no-engine", "--version", by=NOBODY)
        assert done.returncode == 0, done.complaint
        assert done.text.startswith("pytest")

    def test_without_an_engine_that_can_run_it_says_why_in_one_line_and_how_to_do_without(
        self, installed: tuple[Container, Completed]
    ) -> None:
        room, _ = installed
        done = bootstrap(room, "quickstart")
        assert done.returncode == 3
        assert len(done.complaint.splitlines()) == 1
        assert "a Docker engine cannot run here: root lacks CAP_SYS_ADMIN" in done.complaint
        assert QUICKSTART_WITHOUT_DOCKER in done.complaint

    def test_an_engine_that_is_named_but_silent_is_not_replaced(
        self, installed: tuple[Container, Completed]
    ) -> None:
        room, _ = installed
        done = bootstrap(room, "quickstart", by=("env", "DOCKER_HOST=tcp://127.0.0.1:9"))
        assert done.returncode == 3
        assert "no Docker engine answers at DOCKER_HOST=tcp://127.0.0.1:9" in done.complaint

    def test_without_root_and_sudo_it_names_what_is_missing_in_one_line(self, bare: Container) -> None:
        done = bootstrap(bare, "setup", by=NOBODY)
        assert done.returncode == 3
        assert len(done.complaint.splitlines()) == 1
        assert "root or sudo" in done.complaint
        assert {"python3-venv", "git", "mmdebstrap"} <= set(done.complaint.split())


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("quikstart", "'quikstart'; did you mean quickstart?"),
        ("quick", "'quick'; did you mean quickstart?"),
        ("tset", "'tset'; did you mean test?"),
        ("set", "'set'; did you mean setup?"),
        ("install", "'install'"),
        ("--no-engine", "'--no-engine'"),
        ("*", "'*'"),
    ],
)
def test_an_unknown_command_is_named_with_the_nearest_before_the_usage(word: str, said: str) -> None:
    done = run([PROJECT / "bootstrap", word], check=False)
    assert (done.returncode, done.text) == (2, "")
    assert done.complaint.startswith(f"bootstrap: there is no command {said}\nusage: ./bootstrap COMMAND")


def test_no_command_at_all_shows_the_usage() -> None:
    done = run([PROJECT / "bootstrap"], check=False)
    assert done.returncode == 2
    assert done.complaint.startswith("usage: ./bootstrap COMMAND")


def test_help_is_an_answer() -> None:
    assert run([PROJECT / "bootstrap", "--help"]).text.startswith("usage: ./bootstrap COMMAND")


def test_building_the_miniature_on_the_host_finds_what_its_builder_image_has() -> None:
    text = (PROJECT / "bootstrap").read_text(encoding="utf-8")
    listed = {
        package
        for name in ("runtime", "host_build")
        for package in re.search(rf"^{name}=\((.*?)\)", text, re.MULTILINE | re.DOTALL)[1].split()  # type: ignore[index]
    }
    recipes = [Recipe.from_toml(path) for path in (PROJECT / "recipes/miniature/recipes").glob("*.toml")]
    assert recipes
    assert {*BUILDER_PACKAGES, *(name for recipe in recipes for name in recipe.image.packages)} <= listed


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_locked_requirement_has_a_hash_and_none_names_a_registry(name: str) -> None:
    text = (PROJECT / name).read_text(encoding="utf-8")
    entries = re.findall(r"^\S+==.*(?:\n    --hash=sha256:[0-9a-f]{64}.*)*", text, re.MULTILINE)
    assert len(entries) > 30
    assert [entry for entry in entries if "--hash" not in entry] == []
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text)
