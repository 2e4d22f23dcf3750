# SPDX-License-Identifier: Apache-2.0
"""Upstream's own patches to components: in which order a recipe has them, and which do not apply to its sources.

A recipe may build another version than the release does; what does not apply any more goes into `omit_patches`.
"""

from pathlib import Path

from bigtop_builder.carry import mirror_of
from bigtop_builder.errors import InputError
from bigtop_builder.git_index import Index
from bigtop_builder.patches.apply import apply, told
from bigtop_builder.patches.component import Series, SeriesPatch, upstream_series
from bigtop_builder.patches.facts import TREE
from bigtop_builder.patches.queue import Patch
from bigtop_builder.recipe import Recipe
from bigtop_builder.schema import Value
from bigtop_builder.settings import Settings
from bigtop_builder.sources import select
from bigtop_builder.tree import Tree, make_tree
from bigtop_builder.upkeep.recipes import series_of
from bigtop_builder.upkeep.source_tree import source_tree
from bigtop_builder.workspace import Project, Workspace


class Unfit(Value):
    """One of upstream's own patches, and why it does not apply."""

    patch: str
    detail: str


class Misorder(Value):
    """What is wrong with the order of a component's patches."""

    component: str
    detail: str


def bundled_series(made: Tree, recipe: Recipe, name: str) -> Series:
    """The series of a component in a recipe's tree, as its build there orders it.

    Raises:
        TreeError: The tree sorts patches in a way that is not known.
    """
    properties = {**recipe.gradle.properties, **recipe.component(name).gradle_properties}
    return upstream_series(made.git, made.id, made.bom.components[name], properties)


def misorders(
    recipe: Recipe, path: Path, patches: tuple[Patch, ...], *, settings: Settings
) -> tuple[Misorder, ...]:
    """What is wrong with the order of the patches of each component that a recipe builds; no source is needed.

    Args:
        recipe: The recipe.
        path: Its file.
        patches: Its patches, in its order.
        settings: Site settings.

    Raises:
        TreeError: The Bigtop tree cannot be made, or a clone lacks objects.
    """
    workspace = Workspace(settings.cache_dir)
    mirror = mirror_of(recipe, workspace=workspace, settings=settings, base=path.parent)
    made = make_tree(recipe, patches, mirror=mirror, objects=workspace.objects)
    found = []
    for component in recipe.components:
        series = bundled_series(made, recipe, component.name)
        found += [Misorder(component=component.name, detail=one) for one in series.findings]
    return tuple(found)


def unfit_patches(
    recipe: Recipe, path: Path, name: str, *, project: Project, settings: Settings
) -> tuple[Unfit, ...] | None:
    """Upstream's own patches to a component that do not apply, each tried on those before it that do.

    Args:
        recipe: The recipe.
        path: Its file.
        name: The component.
        project: Has the queue: local patches to Bigtop may add some to the series, or take some away.
        settings: Site settings.

    Returns:
        None if the component's source is not on this machine.

    Raises:
        TreeError: The Bigtop tree cannot be made, or a clone lacks objects.
        SourceError: The source in the cache is damaged.
    """
    workspace, component = Workspace(settings.cache_dir), recipe.component(name)
    chosen = select(component, settings)
    source = chosen and source_tree(chosen, workspace=workspace, settings=settings, recipe_dir=path.parent)
    if not source:
        return None
    mirror = mirror_of(recipe, workspace=workspace, settings=settings, base=path.parent)
    made = make_tree(recipe, series_of(project, recipe, TREE), mirror=mirror, objects=workspace.objects)
    series = bundled_series(made, recipe, name)
    with Index.temporary(source.mirror, workspace.objects) as index:
        index.load(source.id)
        tried = [(patch.name, _fault(index, patch)) for patch in series.upstream]
    return tuple(Unfit(patch=patch, detail=fault) for patch, fault in tried if fault)


def _fault(index: Index, patch: SeriesPatch) -> str:
    try:
        done = apply(index, patch.diff, source=patch.name)
    except InputError as error:
        return error.brief
    return told(done) if done.refusals else ""
