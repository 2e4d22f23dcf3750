# SPDX-License-Identifier: Apache-2.0
"""Where a release is built and tried: rooms for builds, and rooms with a clean target system."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Self

from bigtop_builder.container import ContainerRooms, Engine
from bigtop_builder.engine_images import BuiltImage, ensure_image
from bigtop_builder.errors import EnvironmentMissing
from bigtop_builder.folder_lock import locked
from bigtop_builder.image import ImageSpec, builder_image, target_image
from bigtop_builder.log import log_lines
from bigtop_builder.manifest import ImageRecord
from bigtop_builder.recipe import Recipe
from bigtop_builder.room import RoomMaker
from bigtop_builder.settings import Settings
from bigtop_builder.survey import Survey
from bigtop_builder.workspace import Workspace

log = logging.getLogger(__name__)


class Place:
    """Where builds and install checks happen: containers, or this host and a chroot.

    A context manager, which keeps other runs from the release's output folder: what lies there is of one run. The
    engine is connected to when it is first needed, so what needs none starts none.
    """

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._open = ExitStack()

    def __enter__(self) -> Self:
        folder = self._survey.output.root
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._open.enter_context(locked(folder, wait=False))
        except BlockingIOError as error:
            raise EnvironmentMissing(
                f"{folder}: another run is at work on this release",
                hint="wait until it has ended; a copy of the project has an output folder of its own",
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @cached_property
    def builders(self) -> tuple[RoomMaker, ImageRecord]:
        """Builder rooms, and the image they are made from."""
        if self._survey.host:
            from bigtop_builder.host import HostRooms, require_target

            require_target(self._survey.recipe.target)
            log.info("builds and lintian run on this very machine, without Docker")
            return HostRooms(), ImageRecord(name=self._survey.image)
        spec = builder_image(self._survey.recipe, self._survey.settings)
        built = self._ensure(spec)
        return self._engine.rooms(built.name), ImageRecord(name=built.name, digest=built.digest)

    @cached_property
    def targets(self) -> RoomMaker:
        """Rooms with a clean system of the target distribution."""
        spec = target_image(self._survey.recipe, self._survey.settings)
        if self._survey.host:
            log.info("install checks run in a chroot that mmdebstrap makes, without Docker")
            return _chroots(spec, self._survey.workspace, self._survey.settings)
        return self._engine.rooms(self._ensure(spec).name)

    @cached_property
    def _engine(self) -> Engine:
        engine = self._open.enter_context(Engine.connect())
        engine.sweep()
        return engine

    def _ensure(self, spec: ImageSpec) -> BuiltImage:
        return _built(self._engine, spec, self._survey.workspace, self._survey.settings)


@contextmanager
def target_rooms(recipe: Recipe, settings: Settings, *, host: bool) -> Iterator[RoomMaker]:
    """Rooms with a clean system of a recipe's target distribution, where nothing is built.

    Args:
        recipe: Says which distribution.
        settings: Site settings.
        host: Without Docker, in a chroot.
    """
    if host:
        yield _chroots(target_image(recipe, settings), Workspace(settings.cache_dir), settings)
        return
    with target_containers(recipe, settings) as rooms:
        yield rooms


@contextmanager
def target_containers(recipe: Recipe, settings: Settings) -> Iterator[ContainerRooms]:
    """The same, in containers: several can know each other."""
    spec, workspace = target_image(recipe, settings), Workspace(settings.cache_dir)
    with Engine.connect() as engine:
        engine.sweep()
        yield engine.rooms(_built(engine, spec, workspace, settings).name)


def _built(engine: Engine, spec: ImageSpec, workspace: Workspace, settings: Settings) -> BuiltImage:
    return ensure_image(engine, spec, workspace=workspace, settings=settings, on_line=log_lines)


def _chroots(spec: ImageSpec, workspace: Workspace, settings: Settings) -> RoomMaker:
    from bigtop_builder.chroot import ChrootRooms

    return ChrootRooms(spec, workspace=workspace, settings=settings)
