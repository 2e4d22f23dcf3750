# SPDX-License-Identifier: Apache-2.0
"""What the commands about the fleet share: its definition, and the inventory of its hosts."""

from pathlib import Path

import click

from bigtop_builder.cli.context import setting_up
from bigtop_builder.fleet.definition import Fleet, load_fleet
from bigtop_builder.workspace import bundled_project

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
    project = setting_up(context)[0]
    file = definition or project.fleet
    named = definition or context.find_root().obj["project"] or Path.cwd().is_relative_to(project.root)
    if not named and project == bundled_project():
        return Fleet(format=1), file
    return load_fleet(file), file
