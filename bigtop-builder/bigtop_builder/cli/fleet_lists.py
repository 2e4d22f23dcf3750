# SPDX-License-Identifier: Apache-2.0
"""`fleet lists`: what each role installs, there and back."""

import logging
from pathlib import Path

import click

from bigtop_builder.cli.context import answer, builder_option, json_option, setting_up
from bigtop_builder.cli.fleet_options import fleet_of, fleet_option, recipes_of
from bigtop_builder.cli.fleet_sources import output_option, rollback_option
from bigtop_builder.cli.place import Command, Where, repo_option, trusted
from bigtop_builder.fleet.lists import ROLLBACK, UPGRADE, RoleLists, files_of, lists_of
from bigtop_builder.fleet.offer import offers_of
from bigtop_builder.fleet.output import lay_out
from bigtop_builder.fleet.resolver import Resolver
from bigtop_builder.fleet.wanted import releases_of, target_of, wanted_of
from bigtop_builder.place import target_rooms
from bigtop_builder.recipe import load_recipe
from bigtop_builder.schema import counted

log = logging.getLogger(__name__)


@click.command(cls=Command, epilog="Example: bigtop-builder fleet lists stable --output build/fleet/lists")
@click.argument("wanted", metavar="SNAPSHOT|SUITE")
@click.option("--role", "chosen", multiple=True, help="Only this role; repeatable [default: all].")
@rollback_option
@click.option(
    "--accept-removal",
    "accept",
    multiple=True,
    metavar="NAME",
    help="Package that may be removed: by the way back, though a role names it and the snapshot there lacks it, or "
    "by the upgrade, which leaves it otherwise; repeatable.",
)
@click.option(
    "--recipe",
    "recipe_name",
    default="",
    help="Recipe of the distribution that hosts have [default: of the snapshot's releases].",
)
@builder_option
@fleet_option
@output_option
@repo_option
@json_option
@click.pass_context
def lists(
    context: click.Context,
    wanted: str,
    chosen: tuple[str, ...],
    accept: tuple[str, ...],
    rollback_to: str,
    recipe_name: str,
    builder: str,
    definition: Path | None,
    output: Path,
    folder: Where | None,
    *,
    as_json: bool,
) -> None:
    """Write for each role all packages with their versions, and the commands, for the upgrade and for the way back.

    apt itself says which they are, on a clean system of the target distribution, and tries both ways.
    """
    project, settings = setting_up(context, told=folder is None)
    state, public = trusted(context, folder)
    now, back = offers_of(state, wanted, rollback_to, public)
    recipes = list(recipes_of(project, releases_of(state, now)))
    recipe = load_recipe(recipe_name, project.recipes)[0] if recipe_name else target_of(recipes)
    architecture = recipe.target.architecture
    roles = wanted_of(
        *fleet_of(context, definition), chosen, now, back, architecture=architecture, recipes=recipes
    )
    offers = {UPGRADE: now, **({ROLLBACK: back} if back else {})}
    with (
        target_rooms(recipe, settings, host=builder == "host") as targets,
        targets.open(purpose="fleet-lists") as room,
    ):
        resolver = Resolver(room, state, offers, architecture)
        found = lists_of(resolver, roles, accept=accept, back=back.suite if back else "")
    if others := [one for one in now.packages if one != architecture]:
        log.warning(
            "the lists are for hosts of %s; the snapshot has packages for %s too\n  way out: run it again with "
            "another --output and a --recipe for them",
            architecture,
            ", ".join(others),
        )
    files = files_of(found, now, back, recipe.target.tag, architecture=architecture)
    lay_out(files, output, record="lists.json")
    value = {
        "snapshot": now.snapshot,
        "rollback_to": back.snapshot if back else "",
        "architecture": architecture,
        "output": str(output),
        "roles": {one.role: _told(one) for one in found},
    }
    lines = [f"{one.role}: {_in_words(one)}" for one in found]
    answer(value, as_json=as_json, text="\n".join([*lines, str(output)]))


def _told(one: RoleLists) -> dict[str, object]:
    ways = {UPGRADE: one.upgrade, ROLLBACK: one.rollback}
    return {
        name: {
            "packages": dict(way.packages),
            "removes": list(way.removes),
            "leaves": list(one.leaves if name == UPGRADE else ()),
        }
        for name, way in ways.items()
        if way
    }


def _in_words(one: RoleLists) -> str:
    back = one.rollback
    return counted(len(one.upgrade.packages), "package") + (
        f", {len(back.packages)} on the way back" if back else ""
    )
