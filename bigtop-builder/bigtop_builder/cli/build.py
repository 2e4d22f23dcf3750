# SPDX-License-Identifier: Apache-2.0
"""`build`: the packages of a release; and the options of all commands that build."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from bigtop_builder.building import Manner, Packages, build_release
from bigtop_builder.cli.context import answer, builder_option, component_option, json_option
from bigtop_builder.cli.road import RELEASE, require_output, surveyed
from bigtop_builder.errors import BuilderError
from bigtop_builder.place import Place
from bigtop_builder.plan import Plan

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def building_options(command: Decorated) -> Decorated:
    """What all commands that build take."""
    for option in (
        click.option(
            "--offline",
            is_flag=True,
            help="Build without a network, from what this machine's cache has; no shared cache is asked, not even a "
            "folder. Install checks still ask apt's mirror.",
        ),
        click.option(
            "-k", "--keep-going", is_flag=True, help="Let a failure stop only what depends on the component."
        ),
        click.option(
            "-j",
            "--jobs",
            type=click.IntRange(1),
            help="At most so many builds at once [default: as many as fit].",
        ),
    ):
        command = option(command)
    return command


@click.command(epilog="Example: bigtop-builder build 3.5.0 -c bigtop-jsvc")
@click.argument(RELEASE, metavar="RELEASE")
@component_option
@builder_option
@building_options
@json_option
@click.pass_context
def build(
    context: click.Context,
    release_name: str,
    components: tuple[str, ...],
    builder: str,
    jobs: int | None,
    *,
    keep_going: bool,
    offline: bool,
    as_json: bool,
) -> None:
    """Build the packages of RELEASE, several at once; what was built before, here or elsewhere, is reused.

    Interrupted or failed, the same command goes on with what is not built yet.
    """
    require_output(context, release_name)
    road = surveyed(context, release_name, builder, components, offline=offline)
    manner = Manner(jobs=jobs, keep_going=keep_going)
    planned = road.plan(components)
    try:
        with Place(road) as place:
            made = build_release(road, planned, place, manner)
    except BuilderError as error:
        if as_json:
            answer(_failed_value(planned, error), as_json=True, text="")
        raise
    answer(_packages_value(made), as_json=as_json, text=_packages_text(made))


def _packages_value(made: Packages) -> dict[str, Any]:
    return {
        "folder": str(made.folder),
        "components": [result.model_dump(mode="json") for result in made.results],
    }


def _failed_value(planned: Plan, error: BuilderError) -> dict[str, Any]:
    """What became of each step, and why the run failed: as `plan` says where the run did not come so far."""
    rows = [
        {"component": step.name, "state": error.states.get(step.name, step.action), "reason": step.reason}
        for step in planned.steps
    ]
    failure = {"brief": error.brief, "details": error.details, "hint": error.hint, "exit": error.exit_code}
    return {"components": rows, "failure": failure}


def _packages_text(made: Packages) -> str:
    return "\n".join(str(made.folder / file.file) for result in made.results for file in result.debs)
