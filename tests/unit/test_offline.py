# SPDX-License-Identifier: Apache-2.0
"""Offline, nothing is fetched: what is not in the cache is named, with the way out."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from bigtop_builder import gradle
from bigtop_builder.base import base_tarball
from bigtop_builder.chroot import ChrootRooms
from bigtop_builder.download import download, read
from bigtop_builder.engine_images import ensure_image
from bigtop_builder.errors import ONCE_ONLINE, BuilderError
from bigtop_builder.image import target_image
from bigtop_builder.mirror import Mirror
from bigtop_builder.recipe import Recipe, load_recipe
from bigtop_builder.settings import Settings
from bigtop_builder.workspace import Project, Workspace

URL = "https://a.example/b"


def no_image(name: str) -> NoReturn:
    from docker.errors import ImageNotFound

    raise ImageNotFound(name)


ENGINE: Any = SimpleNamespace(client=SimpleNamespace(images=SimpleNamespace(get=no_image)))
FETCHES: dict[str, Callable[[Recipe, Settings, Workspace], object]] = {
    "image": lambda recipe, settings, workspace: ensure_image(
        ENGINE, target_image(recipe, settings), workspace=workspace, settings=settings
    ),
    "base": lambda recipe, settings, workspace: base_tarball(
        target_image(recipe, settings).base.without_registry, workspace=workspace, settings=settings
    ),
    "chroot": lambda recipe, settings, workspace: (
        ChrootRooms(target_image(recipe, settings), workspace=workspace, settings=settings).tarball
    ),
    "source": lambda _, settings, workspace: download(URL, workspace.root / "part", settings=settings),
    "signature": lambda _, settings, __: read(URL, settings=settings),
    "commit": lambda _, settings, workspace: Mirror.ensure(
        URL, "1" * 40, workspace=workspace, settings=settings
    ),
}


@pytest.fixture
def offline(settings: Settings) -> Settings:
    return settings.model_copy(update={"offline": True})


@pytest.mark.parametrize("what", FETCHES)
def test_what_is_not_in_the_cache_is_named_with_the_way_out(
    project: Project, offline: Settings, what: str
) -> None:
    recipe, _ = load_recipe("1.0.0", project.recipes)
    with pytest.raises(BuilderError) as raised:
        FETCHES[what](recipe, offline, Workspace(offline.cache_dir))
    assert raised.value.hint == ONCE_ONLINE


def test_maven_gradle_npm_and_yarn_are_told_not_to_ask(project: Project, offline: Settings) -> None:
    recipe, _ = load_recipe("1.0.0", project.recipes)
    salute = recipe.component("salute")
    assert "--offline" in gradle.command(recipe, salute, offline, workdir="/build")
    files = gradle.files(recipe, salute, offline)
    assert "<offline>true</offline>" in files["home/.m2/settings.xml"]
    assert files["home/.npmrc"] == "offline=true\n"
    assert "offline true" in files[".yarnrc"]
    online = gradle.files(recipe, salute, offline.model_copy(update={"offline": False}))
    assert not any("offline" in text for text in online.values())


def test_a_clone_that_is_there_is_used(project: Project, offline: Settings, tmp_path: Path) -> None:
    recipe, path = load_recipe("1.0.0", project.recipes)
    clone = project.root / recipe.bigtop.repository.removeprefix("../")
    workspace = Workspace(tmp_path / "cache")
    mirror = Mirror.ensure(
        recipe.bigtop.repository,
        recipe.bigtop.commit,
        workspace=workspace,
        settings=offline,
        base=path.parent,
    )
    assert mirror.path == clone
