# SPDX-License-Identifier: Apache-2.0
"""`fleet hosts`: which hosts have which role."""

import sys
from pathlib import Path

import click

from bigtop_builder.cli.context import answer, json_option
from bigtop_builder.cli.fleet_options import fleet_of, fleet_option, inventory_option
from bigtop_builder.cli.place import Command
from bigtop_builder.errors import InputError
from bigtop_builder.fleet.definition import in_order
from bigtop_builder.fleet.hosts import hosts_of, inventory_of
from bigtop_builder.schema import nearest


@click.command(cls=Command, epilog="Example: bigtop-builder fleet hosts --inventory hosts.ini --role worker")
@fleet_option
@inventory_option
@click.option("--role", "wanted", multiple=True, help="Only hosts of this role; repeatable.")
@json_option
@click.pass_context
def hosts(
    context: click.Context, definition: Path | None, inventory: str, wanted: tuple[str, ...], *, as_json: bool
) -> None:
    """List hosts by role, a line `role host` each, in the order in which roles are upgraded.

    Roles are those of repo/fleet.toml. A host that has two, and may not, is refused.
    """
    fleet, file = fleet_of(context, definition)
    if not fleet.roles:
        raise InputError(
            f"{file} names no role", hint="write [roles.NAME] there; docs/fleet.md has an example"
        )
    for role in wanted:
        if role not in fleet.roles:
            raise InputError(f"{file} has no role {role!r}", hint=nearest(role, fleet.roles))
    groups = inventory_of(fleet, file, inventory, sys.stdin.buffer)
    every = hosts_of(fleet, in_order(fleet.roles), path=file, inventory=groups)
    found = {role: every[role] for role in every if role in wanted or not wanted}
    text = "\n".join(f"{role} {host}" for role, named in found.items() for host in named)
    answer(found, as_json=as_json, text=text)
