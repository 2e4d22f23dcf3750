# SPDX-License-Identifier: Apache-2.0
"""What commands that change a suite let through: what a user accepts, and what repo/fleet.toml demands first."""

from pathlib import Path

import click

from bigtop_builder.cli.context import is_own, setting_up
from bigtop_builder.cli.place import Where, archive_of
from bigtop_builder.errors import InputError
from bigtop_builder.repository.gate import Demand, Gate, nothing


def gate_of(
    context: click.Context,
    folder: Where | None,
    suite: str,
    *,
    accept: bool = False,
    allow_downgrade: bool = False,
    force: bool = False,
    why: str = "",
    public: bytes = b"",
) -> Gate:
    """The gate of a suite.

    Args:
        context: The command's.
        folder: What --repo names: the project demands nothing of another repository than its own.
        suite: The suite that is to change.
        accept: Packages may vanish.
        allow_downgrade: Versions may go down.
        force: What is demanded may be wanting.
        why: The reason for the history.
        public: The repository's keys, binary, for whoever promotes: rehearsals are held to them.

    Raises:
        click.UsageError: Something is forced without a reason.
        InputError: The fleet's definition is malformed, or a host has roles that do not go together.
    """
    if force and not why:
        raise click.UsageError("--force needs --why REASON: the signed history names it")
    project = setting_up(context, told=folder is None)[0]
    demand: Demand = nothing
    if is_own(context) and project.fleet.exists() and _is_its_own(context, folder):
        from bigtop_builder.fleet.demand import demand_of  # inventories, patterns and reports: 100 ms

        demand = demand_of(project.fleet, suite, public)
    return Gate(accept=accept, allow_downgrade=allow_downgrade, demand=demand, force=force)


def _is_its_own(context: click.Context, folder: Where | None) -> bool:
    """Whether a repository is the one that the project defines."""
    if folder is None:
        return True
    try:
        its = archive_of(context).folder
    except InputError:  # it defines none
        return False
    return str(its) == str(folder) or (
        isinstance(its, Path) and isinstance(folder, Path) and its.resolve() == folder.resolve()
    )
