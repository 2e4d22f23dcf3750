# SPDX-License-Identifier: Apache-2.0
"""`fleet lists`: what each role installs, there and back."""

from collections.abc import Sequence
from pathlib import Path

import click

from bigtop_builder.cli.context import answer, builder_option, json_option, setting_up
from bigtop_builder.cli.fleet_options import fleet_of, fleet_option, recipes_of
from bigtop_builder.cli.fleet_sources import output_option, rollback_option
from bigtop_builder.cli.place import Command, Where, repo_option, trusted
from bigtop_builder.errors import InputError
from bigtop_builder.fleet.definition import Fleet, roles_in
from bigtop_builder.fleet.lists import ROLLBACK, UPGRADE, RoleLists, Wanted, files_of, lists_of
from bigtop_builder.fleet.offer import Offer, offers_of
from bigtop_builder.fleet.output import lay_out
from bigtop_builder.fleet.resolver import Resolver
from bigtop_builder.place import target_rooms
from bigtop_builder.recipe import Recipe, load_recipe
from bigtop_builder.repository.attested import release_manifest
from bigtop_builder.repository.state import State
from bigtop_builder.schema import counted, nearest


@click.command(cls=Command, epilog="Example: bigtop-builder fleet lists stable --output build/fleet/lists")
@click.argument("wanted", metavar="SNAPSHOT|SUITE")
@click.option("--role", "chosen", multiple=True, help="Only this role; repeatable [default: all].")
@rollback_option
@click.option(
    "--accept-removals",
    "accept",
    is_flag=True,
    help="Let the way back remove what the snapshot there does not have.",
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
    rollback_to: str,
    recipe_name: str,
    builder: str,
    definition: Path | None,
    output: Path,
    folder: Where | None,
    *,
    accept: bool,
    as_json: bool,
) -> None:
    """Write for each role all packages with their versions, and the commands, for the upgrade and for the way back.

    apt itself says which they are, on a clean system of the target distribution, and tries both ways.
    """
    project, settings = setting_up(context, told=folder is None)
    state, public = trusted(context, folder)
    now, back = offers_of(state, wanted, rollback_to, public)
    recipes = list(recipes_of(project, _releases(state, now)))
    recipe = load_recipe(recipe_name, project.recipes)[0] if recipe_name else _target(recipes)
    architecture = recipe.target.architecture
    roles = _roles(fleet_of(context, definition), chosen, (now, back), architecture, recipes)
    offers = {UPGRADE: now, **({ROLLBACK: back} if back else {})}
    with (
        target_rooms(recipe, settings, host=builder == "host") as targets,
        targets.open(purpose="fleet-lists") as room,
    ):
        resolver = Resolver(room, state, offers, architecture)
        found = lists_of(resolver, roles, accept=accept, back=back.suite if back else "")
    files = files_of(found, now, back, recipe.target.tag)
    lay_out(files, output, record="lists.json")
    value = {
        "snapshot": now.snapshot,
        "rollback_to": back.snapshot if back else "",
        "output": str(output),
        "roles": {one.role: _told(one) for one in found},
    }
    lines = [f"{one.role}: {_in_words(one)}" for one in found]
    answer(value, as_json=as_json, text="\n".join([*lines, str(output)]))


def _roles(
    definition: tuple[Fleet, Path],
    chosen: Sequence[str],
    offers: tuple[Offer, Offer | None],
    architecture: str,
    recipes: Sequence[Recipe],
) -> list[Wanted]:
    """What roles ask of apt, of the snapshot and of the one to go back to.

    Raises:
        InputError: There is no such role, or it names a package that is not there.
    """
    (fleet, file), (now, back) = definition, offers
    there = now.of(architecture)
    every = roles_in(fleet, there, path=file, snapshot=now.suite, recipes=recipes)
    for name in chosen:
        if name not in every:
            raise InputError(
                f"there is no role {name!r}", hint=f"{nearest(name, every)}; {file} has the roles"
            )
    if not every:
        raise InputError(
            f"{file} has no roles, and neither have the recipes", hint="docs/fleet.md tells how to write them"
        )
    before = back.of(architecture) if back else {}
    wanted = []
    for name in chosen or every:
        named = fleet.roles[name].packages if fleet.roles else every[name].packages
        choices = {one: next((part for part in names(one) if part in before), "") for one in named}
        wanted.append(
            Wanted(
                role=name,
                upgrade=every[name].packages,
                rollback=tuple(filter(None, choices.values())),
                distribution=every[name].distribution,
                lost=tuple(one for one, part in choices.items() if back and not part),
            )
        )
    return wanted


def names(choice: str) -> list[str]:
    """The names of a package in `fleet.toml`: `spark | spark-core`."""
    return [name.strip() for name in choice.split("|")]


def _releases(state: State, offer: Offer) -> tuple[str, ...]:
    """Releases that the snapshot has, in their order."""
    said = [release_manifest(state, one) for one in state.snapshot(offer.snapshot).manifests]
    return tuple(dict.fromkeys(f"{one['release']}-{one['target']}" for one in said))


def _target(recipes: Sequence[Recipe]) -> Recipe:
    """A recipe of the one distribution that the snapshot is for.

    Raises:
        InputError: It is not plain which.
    """
    tags = {recipe.target.tag: recipe for recipe in recipes}
    if len(tags) != 1:
        raise InputError(
            f"the snapshot's releases are for {', '.join(tags)}"
            if tags
            else "nothing tells which distribution the snapshot is for: no recipe here is of its releases",
            hint="name a recipe of the distribution that hosts have with --recipe",
        )
    return next(iter(tags.values()))


def _told(one: RoleLists) -> dict[str, object]:
    ways = {UPGRADE: one.upgrade, ROLLBACK: one.rollback}
    return {
        name: {"packages": dict(way.packages), "removes": list(way.removes)}
        for name, way in ways.items()
        if way
    }


def _in_words(one: RoleLists) -> str:
    back = one.rollback
    return counted(len(one.upgrade.packages), "package") + (
        f", {len(back.packages)} on the way back" if back else ""
    )
