# SPDX-License-Identifier: Apache-2.0
"""Rooms of each kind with a clean system of the miniature's target, made once in the user's own cache."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bigtop_builder.base import BaseSpec, base_tarball
from bigtop_builder.chroot import Chroot, ChrootRooms
from bigtop_builder.container import ContainerRooms, Engine
from bigtop_builder.engine_images import ensure_image
from bigtop_builder.image import ImageSpec, target_image
from bigtop_builder.recipe import Recipe
from bigtop_builder.settings import Settings, load_settings
from bigtop_builder.workspace import Workspace

MINIATURE = Path(__file__).parents[2] / "recipes/miniature/recipes/1.0.0.toml"


def site() -> tuple[Workspace, Settings]:
    """The site that the tests run at."""
    settings = load_settings()
    return Workspace(settings.cache_dir), settings


def spec() -> ImageSpec:
    """What the target system is made of."""
    return target_image(Recipe.from_toml(MINIATURE), site()[1])


def containers(engine: Engine) -> ContainerRooms:
    """Rooms in containers."""
    workspace, settings = site()
    return engine.rooms(ensure_image(engine, spec(), workspace=workspace, settings=settings).name)


def chroots() -> ChrootRooms:
    """Rooms in chroots."""
    workspace, settings = site()
    return ChrootRooms(spec(), workspace=workspace, settings=settings)


@contextmanager
def debian(suite: str) -> Iterator[Chroot]:
    """A room that is a Debian release's base system, with its apt."""
    workspace, settings = site()
    base = BaseSpec(distribution="debian", suite=suite, architecture="amd64", security=False)
    tarball = base_tarball(base, workspace=workspace, settings=settings)
    with chroots()._unpacked(tarball, "apt", {}) as room:
        yield room
