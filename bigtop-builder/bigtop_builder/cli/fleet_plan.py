# SPDX-License-Identifier: Apache-2.0
"""`fleet plan`: the folder of an upgrade day."""

import sys
from pathlib import Path

import click

from bigtop_builder.cli.context import answer, builder_option, json_option, setting_up
from bigtop_builder.cli.fleet_options import fleet_of, fleet_option, inventory_option, recipes_of
from bigtop_builder.cli.fleet_sources import output_option, rollback_option
from bigtop_builder.cli.place import Command, Where, archive_of, repo_option, signing
from bigtop_builder.fleet.arranging import Arrangement
from bigtop_builder.fleet.definition import in_order, roles_in
from bigtop_builder.fleet.hosts import hosts_of, inventory_of
from bigtop_builder.fleet.offer import offers_of
from bigtop_builder.fleet.output import lay_out
from bigtop_builder.fleet.wanted import releases_of, target_of, wanted_of
from bigtop_builder.place import target_rooms
from bigtop_builder.recipe import load_recipe
from bigtop_builder.repository.authentic import public_keys
from bigtop_builder.schema import counted
from bigtop_builder.workspace import Workspace


@click.command(cls=Command, epilog="Example: bigtop-builder fleet plan testing --output build/day")
@click.argument("wanted", metavar="SNAPSHOT|SUITE")
@rollback_option
@click.option(
    "--accept-removal",
    "accept",
    multiple=True,
    metavar="NAME",
    help="Package that may go, as for `fleet lists`; repeatable.",
)
@click.option(
    "--recipe",
    "recipe_name",
    default="",
    help="Recipe of the distribution that hosts have [default: of the snapshot's releases].",
)
@builder_option
@fleet_option
@inventory_option
@click.option(
    "--url", help="Address under which hosts reach the repository [default: `url` in repo/repository.toml]."
)
@output_option
@repo_option
@json_option
@click.pass_context
def plan(
    context: click.Context,
    wanted: str,
    accept: tuple[str, ...],
    rollback_to: str,
    recipe_name: str,
    builder: str,
    definition: Path | None,
    inventory: str,
    url: str | None,
    output: Path,
    folder: Where | None,
    *,
    as_json: bool,
) -> None:
    """Write the folder of an upgrade day to SNAPSHOT, or to the one that SUITE points to, and back.

    The runbook with a script for each step, sources, lists, both manifests and verify-host: all that hosts and people
    need on the day. docs/upgrade-day.md goes through it.
    """
    project, settings = setting_up(context, told=folder is None)
    fleet, file = fleet_of(context, definition)
    url = url or archive_of(context).definition.url
    with signing(context, folder) as (repository, keyring):
        state = repository.state
        now, back = offers_of(state, wanted, rollback_to, public_keys(state, keyring))
        recipes = list(recipes_of(project, releases_of(state, now)))
        recipe = load_recipe(recipe_name, project.recipes)[0] if recipe_name else target_of(recipes)
        architecture = recipe.target.architecture
        roles = roles_in(fleet, now.of(architecture), path=file, snapshot=now.suite, recipes=recipes)
        groups = inventory_of(fleet, file, inventory, sys.stdin.buffer)
        hosts = hosts_of(fleet, in_order(roles), path=file, inventory=groups)
        arranged = Arrangement(
            state=state,
            keyring=keyring,
            fleet=fleet,
            roles=roles,
            hosts=hosts,
            wanted=wanted_of(fleet, file, (), now, back, architecture=architecture, recipes=recipes),
            new=now,
            old=back,
            target=recipe.target,
            kept=Workspace(settings.cache_dir).facts,
        )
        with target_rooms(recipe, settings, host=builder == "host") as rooms:
            runbook, files = arranged.day(arranged.lists(rooms, accept), url)
        lay_out(files, output, record="runbook.json")
    steps = [*runbook.steps()]
    value = {
        "snapshot": now.snapshot,
        "rollback_to": back.snapshot if back else "",
        "output": str(output),
        "hosts": {role: list(named) for role, named in hosts.items()},
        "phases": {phase.id: [step.id for step in phase.steps] for phase in runbook.phases},
    }
    there = len({host for named in hosts.values() for host in named})
    text = f"{counted(there, 'host')}, {counted(len(runbook.phases), 'phase')}, {counted(len(steps), 'step')}"
    answer(value, as_json=as_json, text=f"{text}\n{output / 'runbook.md'}")
