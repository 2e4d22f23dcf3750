# SPDX-License-Identifier: Apache-2.0
"""`plan`: what a release takes, and why."""

from typing import Any

import click

from bigtop_builder.atomic import write_whole
from bigtop_builder.cli.context import (
    answer,
    builder_option,
    component_option,
    json_option,
    setting_up,
    table,
)
from bigtop_builder.cli.road import RELEASE, surveyed
from bigtop_builder.executor.failed import Failed, last_failure, log_of
from bigtop_builder.fit import require_fit
from bigtop_builder.plan import Plan, Step
from bigtop_builder.recipe import load_recipe
from bigtop_builder.survey import Survey
from bigtop_builder.workspace import require_writable


@click.command(epilog="Example: bigtop-builder plan 3.5.0 -c zookeeper")
@click.argument(RELEASE, metavar="RELEASE")
@component_option
@builder_option
@click.option(
    "--bump", is_flag=True, help="Write the lock: give each build that has changed its next serial."
)
@click.option(
    "--offline",
    is_flag=True,
    help="Plan what `build --offline` would do, without a network: Bigtop is taken from this machine's cache, and "
    "no shared cache is asked, not even a folder.",
)
@json_option
@click.pass_context
def plan(
    context: click.Context,
    release_name: str,
    components: tuple[str, ...],
    builder: str,
    *,
    bump: bool,
    offline: bool,
    as_json: bool,
) -> None:
    """Show what RELEASE (a recipe's name or path) takes, step by step, and why.

    The whole plan is printed even if a step of it is refused, which could not be built: the command then ends with
    exit status 2, and says what is in the way. A patch that does not apply ends it with 4 at once,
    one to a component if its source is in the cache.
    """
    project, _ = setting_up(context)
    if bump:
        lock = project.lock(load_recipe(release_name, project.recipes)[1])
        require_writable(
            lock.parent, why="locks", hint="mend its rights, or name a copy of the project with --project"
        )
    road = surveyed(context, release_name, builder, components, offline=offline)
    planned = road.plan(components, fitting=not bump)
    for step in planned.steps:
        if step.action != "reuse":
            require_fit(road, step)
    if bump:
        road = road.with_lock(road.bumped(components))
        write_whole(road.lock_path, road.lock.to_toml())
        planned = road.plan(components)
    answer(_plan_value(road, planned), as_json=as_json, text=_plan_text(road, planned))
    planned.require_ready(told=not as_json)


def _plan_value(road: Survey, planned: Plan) -> dict[str, Any]:
    carried = {carry.component: carry.commit for carry in road.recipe.carry}
    return {
        "release": road.recipe.release,
        "target": road.recipe.target.tag,
        "commit": road.tree.commit,
        "tree": road.tree.id,
        "image": planned.image,
        "unselected": planned.unselected,
        "steps": [
            {
                "component": step.name,
                "id": step.id,
                "action": step.action,
                "reason": step.reason,
                "failed": _failed_value(road, step),
                "hint": step.hint,
                "version": f"{step.version}-{step.stamp}" if step.stamp else "",
                "upstream_version": step.version,
                "serial": step.serial,
                "source": step.source.where if step.source else "",
                "pinned": bool(step.source.sha512) if step.source else None,
                "after": step.after,
                "omitted_patches": step.component.omit_patches,
                "carried_from": carried.get(step.name, ""),
            }
            for step in planned.steps
        ],
    }


def _failed_value(road: Survey, step: Step) -> dict[str, Any] | None:
    if not (failed := _failure(road, step)):
        return None
    return {"ended": failed.ended, "cause": failed.cause, "log": _log(road, step)}


def _reason(road: Survey, step: Step) -> str:
    if not (failed := _failure(road, step)):
        return step.reason
    where = f", log {_log(road, step)}" if _log(road, step) else ""
    return f"{step.reason}; failed {failed.ago}: {failed.cause}{where}"


def _log(road: Survey, step: Step) -> str:
    """The log of a failed build; empty if it did not come so far as to have one."""
    log = log_of(road.output.logs, step.name)
    return str(log) if log.is_file() else ""


def _failure(road: Survey, step: Step) -> Failed | None:
    return last_failure(road.output.logs, step) if step.action == "run" else None


def _plan_text(road: Survey, planned: Plan) -> str:
    rows = [
        (
            step.action,
            step.name,
            f"{step.version}-{step.stamp}" if step.stamp else step.version,
            step.id[:12] or "-",
            step.source.where if step.source else "-",
            _reason(road, step),
        )
        for step in planned.steps
    ]
    return "\n".join(
        [
            f"{road.recipe.release} for {road.recipe.target.tag}, tree {road.tree.id}, image {planned.image}",
            *(f"carried {carry.component}: packaging of {carry.where}" for carry in road.recipe.carry),
            *(f"patch {patch.id}: {patch.facts.title}" for patch in road.patches),
            *(
                f"left out of {step.name} {step.version}: upstream's {name}"
                for step in planned.steps
                for name in step.component.omit_patches
            ),
            "",
            table(("action", "component", "version", "step", "source", "reason"), rows),
            *(["", "To go on:", *(f"  {way}" for way in planned.ways_out)] if planned.ways_out else []),
        ]
    )
