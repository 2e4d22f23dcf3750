# SPDX-License-Identifier: Apache-2.0
"""`fleet rehearse`: the upgrade day, played through in containers before it comes."""

import time
from functools import partial
from pathlib import Path

import click

from bigtop_builder.cli.context import answer, json_option, setting_up, table
from bigtop_builder.cli.fleet_options import fleet_of, fleet_option, recipes_of
from bigtop_builder.cli.place import Command, Where, place_of, repo_option, signing
from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.fleet.arranging import Arrangement
from bigtop_builder.fleet.definition import roles_in
from bigtop_builder.fleet.offer import offers_of
from bigtop_builder.fleet.rehearsal.day import Lines
from bigtop_builder.fleet.rehearsal.faults import FAULTS
from bigtop_builder.fleet.rehearsal.play import Scenario, play
from bigtop_builder.fleet.rehearsal.record import RehearsalRecord, record_of, write_signed
from bigtop_builder.fleet.rehearsal.stage import host_name
from bigtop_builder.fleet.wanted import releases_of, target_of, wanted_of
from bigtop_builder.place import target_containers
from bigtop_builder.recipe import load_recipe
from bigtop_builder.repository.authentic import check_signers, public_keys
from bigtop_builder.workspace import Workspace, require_writable

UNASKED = "it was not asked for"


@click.command(cls=Command, epilog="Example: bigtop-builder fleet rehearse stable testing")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--role", "chosen", multiple=True, help="Only this role; repeatable [default: all].")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    type=click.Choice([*FAULTS]),
    help="Only this fault; repeatable [default: all].",
)
@click.option("--no-faults", is_flag=True, help="Play the day and the way back, and no fault.")
@click.option(
    "--finalize", is_flag=True, help="At the end go the day once more, and beyond the point of no return."
)
@click.option("--keep", is_flag=True, help="Leave containers and network there, to look at.")
@click.option(
    "--url",
    default="",
    help="Address of the repository where containers reach it already [default: it is served to them].",
)
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
@fleet_option
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the record and its signature [default: build/fleet/<first 16 digits of NEW>].",
)
@repo_option
@json_option
@click.pass_context
def rehearse(
    context: click.Context,
    old: str,
    new: str,
    chosen: tuple[str, ...],
    faults: tuple[str, ...],
    accept: tuple[str, ...],
    url: str,
    recipe_name: str,
    definition: Path | None,
    output: Path | None,
    folder: Where | None,
    *,
    no_faults: bool,
    finalize: bool,
    keep: bool,
    as_json: bool,
) -> None:
    """Play the upgrade day from OLD to NEW, snapshots or suites: a container each role, on their own network.

    Hosts get OLD, services and data; then the scripts of the runbook are run in its order, up to the point of no
    return, and the way back. All must be as before. Once more for each fault, in the middle of the switch.
    """
    began = time.monotonic()
    if faults and no_faults:
        raise InputError("--fault and --no-faults say the opposite", hint="leave one of them out")
    project, settings = setting_up(context, told=folder is None)
    fleet, file = fleet_of(context, definition)
    served = None if url else _folder(place_of(context, folder))
    with signing(context, folder) as (repository, keyring):
        state, public = repository.state, public_keys(repository.state, keyring)
        check_signers(keyring, state.settings().keys)
        now, back = offers_of(state, new, old, public)
        if back is None:
            raise InputError(f"{old} is no snapshot to come from", hint="name the one that hosts have now")
        place = (output or project.output / "fleet" / now.snapshot[:16]).absolute()
        require_writable(place, why="the record of the rehearsal", hint="name another folder with --output")
        recipes = list(recipes_of(project, releases_of(state, now)))
        recipe = load_recipe(recipe_name, project.recipes)[0] if recipe_name else target_of(recipes)
        there = now.of(recipe.target.architecture)
        every = roles_in(fleet, there, path=file, snapshot=now.suite, recipes=recipes)
        wanted = wanted_of(
            fleet, file, chosen, now, back, architecture=recipe.target.architecture, recipes=recipes
        )
        played_roles = [one.role for one in wanted if one.role in every]
        arranged = Arrangement(
            state=state,
            keyring=keyring,
            fleet=fleet,
            roles={name: every[name] for name in played_roles},
            hosts={name: [host_name(name)] for name in played_roles},
            wanted=wanted,
            new=now,
            old=back,
            target=recipe.target,
            kept=Workspace(settings.cache_dir).facts,
        )
        with target_containers(recipe, settings) as rooms:
            scenario = Scenario(
                roles=[*arranged.roles],
                day=partial(arranged.day, arranged.lists(rooms, accept)),
                lines={name: Lines(**said.model_dump()) for name, said in fleet.rehearsal.items()},
                new=arranged.versions(now),
                old=arranged.versions(back),
                repository=served,
                url=url.rstrip("/"),
                faults=() if no_faults else faults or tuple(FAULTS),
                finalize=finalize,
                kept=keep,
            )
            played = play(scenario, rooms)
        record = record_of(
            arranged.manifests["new"],
            arranged.manifests["old"],
            runbook=played.runbook,
            target=recipe.target.tag,
            left_out=[name for name in every if name not in arranged.roles],
            not_tried={
                **{name: UNASKED for name in FAULTS if name not in scenario.faults},
                **played.not_tried,
            },
            trials=played.trials,
            finalized=played.finalized,
            seconds=time.monotonic() - began,
        )
        written = write_signed(record, keyring, place)
    answer(record.model_dump(mode="json"), as_json=as_json, text=f"{_told(record)}\n{written}")
    if not record.passed:
        raise CheckFailed(
            "the rehearsal did not end as it should",
            details="\n".join(record.findings),
            hint=f"{written} has every step; --keep leaves the containers there to look at",
        )


def _folder(place: Where) -> Path:
    if isinstance(place, Path):
        return place
    raise InputError(
        f"{place} is no folder of this machine, so it cannot be served to containers",
        hint="name an address under which they reach it with --url",
    )


def _told(record: RehearsalRecord) -> str:
    phases: dict[str, float] = {}
    for step in record.trials[0].steps:
        name = f"back: {step.phase}" if step.way == "back" else step.phase
        if step.phase:
            phases[name] = phases.get(name, 0.0) + step.seconds
    times = [(name, f"{spent:.1f}") for name, spent in phases.items()]
    trials = [
        (one.name, one.host or "all", one.reached, f"{one.seconds:.1f}", "no" if one.findings else "yes")
        for one in record.trials
    ]
    notes = dict.fromkeys(note for one in record.trials for note in one.notes)
    return "\n".join(
        [
            table(("phase", "seconds, of all hosts"), times),
            "",
            table(("trial", "host", "until", "seconds", "as before"), trials),
            *([] if record.faults else ["no fault was tried"]),
            *(f"not tried: {name}: {why}" for name, why in record.not_tried.items() if why != UNASKED),
            *(f"role {name} was left out" for name in record.left_out),
            *(f"note: {one}" for one in notes),
            f"{record.seconds:.0f} s in all",
        ]
    )
