# SPDX-License-Identifier: Apache-2.0
"""Rooms of each kind with a clean system of the miniature's target, made once in the user's own cache."""

from pathlib import Path

from bigtop_builder.chroot import ChrootRooms
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
