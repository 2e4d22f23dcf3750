# SPDX-License-Identifier: Apache-2.0
"""What the commands about the fleet share: its definition, and the inventory of its hosts."""

from collections.abc import Iterator
from pathlib import Path

import click

from bigtop_builder.cli.context import is_own, setting_up
from bigtop_builder.fleet.definition import Fleet, load_fleet
from bigtop_builder.recipe import Recipe
from bigtop_builder.workspace import Project

fleet_option = click.option(
    "--fleet",
    "definition",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Definition of the fleet [default: repo/fleet.toml in the project, if it is there].",
)
inventory_option = click.option(
    "--inventory",
    default="",
    metavar="FILE|-",
    help="Ansible inventory (.yml, .json, else INI), or - for what `ansible-inventory --list` prints "
    "[default: `inventory` in the fleet's definition].",
)


def fleet_of(context: click.Context, definition: Path | None) -> tuple[Fleet, Path]:
    """The fleet's definition, and its file: the one that is named, or the project's.

    What came with the tool is an example, and says nothing of hosts of somebody who has no project.

    Raises:
        InputError: It is malformed, or does not fit.
    """
    file = definition or setting_up(context)[0].fleet
    return (load_fleet(file) if definition or is_own(context) else Fleet(format=1)), file


def recipes_of(project: Project, releases: tuple[str, ...]) -> Iterator[Recipe]:
    """Recipes of releases, in their order; a release is named with its target, as in `3.5.0-deb12`."""
    known = {recipe.id: recipe for recipe in map(Recipe.from_toml, sorted(project.recipes.glob("*.toml")))}
    yield from (known[one] for one in releases if one in known)
