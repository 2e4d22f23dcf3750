# SPDX-License-Identifier: Apache-2.0
"""What the recipes of a project say of its queue: which patches each lists, and which file it takes them from."""

from pathlib import Path

from bigtop_builder.patches.facts import TREE
from bigtop_builder.patches.listed import to_target
from bigtop_builder.patches.queue import Entry, Patch, load_entry
from bigtop_builder.recipe import Recipe, load_recipe
from bigtop_builder.workspace import Project


def recipes_of(project: Project) -> list[tuple[Recipe, Path]]:
    """All recipes of a project with their files, by the files' names.

    Raises:
        InputError: One cannot be read.
    """
    return [load_recipe(str(path), project.recipes) for path in sorted(project.recipes.glob("*.toml"))]


def series_of(project: Project, recipe: Recipe, target: str) -> tuple[Patch, ...]:
    """A recipe's patches to one target, in its order.

    Raises:
        InputError: The recipe does not build the target, or a patch cannot be read.
    """
    if target != TREE:
        recipe.component(target)
    ids = to_target(recipe.patches, target)
    return tuple(load_entry(project.patches, patch_id).at(recipe.release) for patch_id in ids)


def listing(project: Project, patch_id: str, *, but: Path) -> dict[str, Recipe]:
    """Name -> recipe of those that list a patch, other than this one."""
    return {
        path.stem: recipe
        for recipe, path in recipes_of(project)
        if path != but and patch_id in recipe.patches
    }


def users_of(project: Project, entry: Entry, file: Path) -> tuple[str, ...]:
    """Releases whose recipes list a patch and get it from this file."""
    return tuple(
        recipe.release
        for recipe, _ in recipes_of(project)
        if entry.id in recipe.patches and (diff := entry.diff_for(recipe.release)) and diff.path == file
    )
