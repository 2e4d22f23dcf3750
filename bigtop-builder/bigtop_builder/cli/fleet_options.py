# SPDX-License-Identifier: Apache-2.0
"""What the commands about the fleet share: its definition."""

from pathlib import Path

import click

fleet_option = click.option(
    "--fleet",
    "definition",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Definition of the fleet [default: repo/fleet.toml in the project, if it is there].",
)
