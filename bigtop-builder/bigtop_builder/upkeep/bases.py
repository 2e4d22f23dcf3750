# SPDX-License-Identifier: Apache-2.0
"""What the patches of a recipe lie on, and how its own ones apply one after another, kept in the cache.

Both follow from the recipe and its diffs alone, so they are kept under the hash of these, and asking again runs no
git at all.
"""

from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self, TypeVar

from bigtop_builder.atomic import write_whole
from bigtop_builder.errors import BuilderError, InputError, TreeError
from bigtop_builder.patches.apply import told
from bigtop_builder.patches.facts import TREE
from bigtop_builder.patches.queue import Patch
from bigtop_builder.recipe import Recipe
from bigtop_builder.schema import Commit, Value, canonical, digest
from bigtop_builder.settings import Settings
from bigtop_builder.upkeep.bundled import Misorder, Unfit, misorders, unfit_patches
from bigtop_builder.upkeep.evidence import State
from bigtop_builder.upkeep.ground import Ground, grounds
from bigtop_builder.upkeep.trial import Stage, walk
from bigtop_builder.workspace import Project, Workspace

VERSION = "1"
"""Part of the name of what is kept: another one has all of it made anew."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """One target of one recipe.

    Attributes:
        recipe: The recipe.
        path: Its file.
        target: `bigtop` or a component.
        before: Hashes of the diffs that the base itself is made with: those to Bigtop, for a component.
        series: The recipe's patches to that target, in its order.
        shaping: Those of `before` that may change the base of a component (`shapes_series`).
    """

    recipe: Recipe
    path: Path
    target: str
    before: tuple[str, ...] = field(repr=False)
    series: tuple[Patch, ...] = field(repr=False)
    shaping: tuple[str, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """Name of the recipe."""
        return self.path.stem

    def made_of(self, patch_id: str) -> str:
        """Hash of what the recipe says of the tree below a patch: commits, pins, the patches before it.

        It needs neither a clone nor a source, so evidence can be seen to be stale without them.
        """
        return self._made_of.get(patch_id) or self._made_of[""]

    @cached_property
    def _made_of(self) -> dict[str, str]:
        """By patch; those that are not listed, which lie on the release as it is, under an empty one."""
        said: list[object] = [
            self.recipe.bigtop.commit,
            [[one.component, one.commit] for one in self.recipe.carry],
        ]
        if self.target != TREE:
            one = self.recipe.component(self.target)
            pins = [source.sha512 or source.commit or source.where for source in one.sources]
            properties = {**self.recipe.gradle.properties, **one.gradle_properties}
            said += [one.version, pins, one.omit_patches, self.recipe.image.jdk.version, properties]
        made = {"": digest(canonical(said), *self.shaping)}
        below = made[""]
        for patch in self.series:
            made[patch.id] = below
            below = digest(below, patch.sha256)
        return made


class Tried(Value):
    """A patch of a series on what was before it."""

    before: Commit
    state: State
    detail: str


class Base(Value):
    """What the patches of a site lie on, and what became of the recipe's own.

    Attributes:
        tree: Git tree id.
        series: The recipe's own patches; empty if they cannot be tried.
        why: Why they cannot, and what helps; nothing of that is kept.
    """

    tree: Commit
    series: tuple[Tried, ...]
    why: str = ""


class Upstreams(Value):
    """What became of upstream's own patches to a component."""

    unfit: tuple[Unfit, ...]


class Orders(Value):
    """What is wrong with the order of patches to components."""

    wrong: tuple[Misorder, ...]


Kept = TypeVar("Kept", Base, Upstreams, Orders)


class Bases:
    """Finds bases. A context manager: the indices that it opened go at its end.

    Args:
        project: Has the queue.
        settings: Site settings.
        fresh: Take nothing from the cache.
    """

    def __init__(self, project: Project, settings: Settings, *, fresh: bool = False) -> None:
        self._project = project
        self._settings = settings
        self._fresh = fresh
        self._folder = Workspace(settings.cache_dir).bases
        self._open = ExitStack()
        self._grounds: dict[tuple[str, str], Ground] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def of(self, site: Site) -> Base:
        """The base of a site.

        Raises:
            TreeError: The commit cannot be had, or an earlier patch does not apply.
            SourceError: The component's source is not on this machine.
        """
        kept = self._folder / f"{self._key(site)}.json"
        if (known := self._known(kept, Base)) is not None:
            return known
        ground = self.ground(site)
        try:
            series = tuple(map(_tried, walk(ground, site.series)))
        except TreeError as error:  # the clone lacks a file of one of them: what they do not touch is judged
            return Base(tree=ground.tree, series=(), why=reason(error))
        base = Base(tree=ground.tree, series=series)
        write_whole(kept, base.to_json())
        return base

    def misorders(self, recipe: Recipe, path: Path, patches: tuple[Patch, ...]) -> tuple[Misorder, ...]:
        """What is wrong with the order of the patches of a recipe's components.

        Raises:
            TreeError: The Bigtop tree cannot be made, or a clone lacks an object.
        """
        key = digest(VERSION, path.read_bytes(), *(f"{one.id} {one.sha256}" for one in patches))
        kept = self._folder / f"{key}.orders.json"
        if (known := self._known(kept, Orders)) is not None:
            return known.wrong
        found = misorders(recipe, path, patches, settings=self._settings)
        write_whole(kept, Orders(wrong=found).to_json())
        return found

    def unfit(self, site: Site) -> tuple[Unfit, ...]:
        """Upstream's own patches to a component that do not apply; none if its source is not on this machine.

        Raises:
            TreeError: The Bigtop tree cannot be made, or a clone lacks an object.
            SourceError: The component's source is damaged.
        """
        kept = self._folder / f"{self._key(site)}.upstream.json"
        if (known := self._known(kept, Upstreams)) is not None:
            return known.unfit
        project, settings = self._project, self._settings
        found = unfit_patches(site.recipe, site.path, site.target, project=project, settings=settings)
        if found is not None:
            write_whole(kept, Upstreams(unfit=found).to_json())
        return found or ()

    def ground(self, site: Site) -> Ground:
        """The site's ground, opened once. One thread at a time may ask for a site's."""
        key = site.name, site.target
        if key not in self._grounds:
            opened = grounds(site.target, str(site.path), project=self._project, settings=self._settings)
            (self._grounds[key],) = self._open.enter_context(opened)
        return self._grounds[key]

    def _known(self, kept: Path, model: type[Kept]) -> Kept | None:
        if not self._fresh:
            with suppress(FileNotFoundError, InputError):
                return model.from_json(kept.read_bytes(), source=str(kept))
        return None

    def _key(self, site: Site) -> str:
        kinds = self._settings.sources.kinds
        diffs = (one.sha256 for one in site.series)
        return digest(VERSION, site.target, site.path.read_bytes(), *kinds, "", *site.before, "", *diffs)


def reason(error: BuilderError) -> str:
    """Why something cannot be known, and what helps, in one line."""
    return " - ".join(filter(None, [error.brief, error.hint]))


def _tried(stage: Stage) -> Tried:
    return Tried(before=stage.before, state=stage.applied.state, detail=told(stage.applied))
