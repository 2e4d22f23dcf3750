# SPDX-License-Identifier: Apache-2.0
"""`verify --rebuild`: whether packages are the same when they are built a second time."""

import click

from bigtop_builder.building import Manner, build_release
from bigtop_builder.cli.context import answer
from bigtop_builder.cli.road import require_output, surveyed
from bigtop_builder.errors import CheckFailed
from bigtop_builder.place import Place
from bigtop_builder.rebuild import Comparison, Rebuilt, rebuild
from bigtop_builder.schema import counted


def verify_rebuilt(
    context: click.Context,
    name: str,
    components: tuple[str, ...],
    builder: str,
    *,
    manner: Manner,
    offline: bool,
    as_json: bool,
) -> None:
    """Build a release where it is not built yet, then again, and answer what differs: of all that was compared."""
    require_output(context, name)
    road = surveyed(context, name, builder, components, offline=offline)
    with Place(road) as place:
        made = build_release(road, road.plan(components), place, manner)
        comparison = Comparison(road.output.rebuilt, [step.name for step in made.plan.steps])
        try:
            rebuild(road, made, place, components, manner=manner, comparison=comparison)
        finally:
            found = comparison.found
            if found or as_json:
                answer(comparison.value(), as_json=as_json, text="\n".join(map(_text, found)))
    if unlike := [one for one in found if not one.equal]:
        raise CheckFailed(
            f"{len(unlike)} of {counted(len(found), 'package')} differ when built a second time",
            hint=f"the second builds are in {road.output.rebuilt}",
        )


def _text(one: Rebuilt) -> str:
    told = f"{'equal' if one.equal else 'differs'} {one.file}"
    return "\n".join([told, *(f"  {line}" for line in one.differences)])
