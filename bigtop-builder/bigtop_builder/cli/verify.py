# SPDX-License-Identifier: Apache-2.0
"""`verify`: the verdict on the packages of a release, their smokes, or a second build of them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bigtop_builder.building import Manner, build_release
from bigtop_builder.cli.build import building_options
from bigtop_builder.cli.context import answer, builder_option, component_option, json_option
from bigtop_builder.cli.place import repo_option
from bigtop_builder.cli.road import RELEASE, archive_with, copies_of, require_output, surveyed
from bigtop_builder.errors import InputError
from bigtop_builder.place import Place
from bigtop_builder.plan import Plan
from bigtop_builder.release import require_passed, verify_release
from bigtop_builder.smoke import require_smoked, smoke_release
from bigtop_builder.survey import Survey
from bigtop_builder.verify.verdict import Verdict


@click.command(epilog="Example: bigtop-builder verify 3.5.0 -c zookeeper --json")
@click.argument(RELEASE, metavar="RELEASE")
@component_option
@builder_option
@click.option(
    "--suite",
    default="",
    help="Try the upgrade from what hosts of this suite have, as `release` does [default: from copies of the "
    "packages with a lower version].",
)
@click.option(
    "--smoke",
    is_flag=True,
    help="Then install them on one clean host, and run there what the recipe's `smoke` says.",
)
@repo_option
@click.option(
    "--rebuild",
    "twice",
    is_flag=True,
    help="Instead, build the components (with -c these alone) a second time, and say whether their packages are the "
    "same, bit for bit.",
)
@building_options
@json_option
@click.pass_context
def verify(
    context: click.Context,
    release_name: str,
    components: tuple[str, ...],
    builder: str,
    suite: str,
    folder: str | Path | None,
    jobs: int | None,
    *,
    smoke: bool,
    twice: bool,
    keep_going: bool,
    offline: bool,
    as_json: bool,
) -> None:
    """Check the packages of RELEASE and write the verdict.

    A verdict holds for the same packages and the same upgrade: with --suite, a `release` into that suite takes
    it as it is.
    """
    manner = Manner(jobs=jobs, keep_going=keep_going, checked=True, lays_out=not twice)
    if twice:
        others = {"suite": suite, "repo": folder, "smoke": smoke}
        if unfit := [f"--{name}" for name, value in others.items() if value]:
            raise click.UsageError(f"--rebuild builds and compares, and takes no {', '.join(unfit)}")
        from bigtop_builder.cli.rebuilding import verify_rebuilt  # no other `verify` needs it

        verify_rebuilt(
            context, release_name, components, builder, manner=manner, offline=offline, as_json=as_json
        )
        return
    if folder and not suite:
        raise click.UsageError("--repo says where --suite is looked up: give both")
    previous = archive_with(context, suite, folder).packages_of(suite, copies_of(context)) if suite else []
    require_output(context, release_name)
    road = surveyed(context, release_name, builder, components, offline=offline)
    plan = road.plan(components)
    if smoke:
        _require_smokes(road, plan, alone=not suite)
    with Place(road) as place:
        made = build_release(road, plan, place, manner)
        verdict = verify_release(road, made, place, previous)
        smoked = smoke_release(road, made, place, previous) if smoke and verdict.passed else None
    left_out = made.plan.unselected if not suite else ()
    if as_json or verdict.passed:
        answer(_value(verdict, smoked), as_json=as_json, text=_text(road, verdict, smoked, left_out))
    require_passed(verdict, road.output.verdict)
    if smoked:
        require_smoked(smoked, road.output.smoke)


def _value(verdict: Verdict, smoked: Verdict | None) -> dict[str, Any]:
    smoke = [finding.model_dump(mode="json") for finding in smoked.findings] if smoked else []
    return {**verdict.model_dump(mode="json"), **({"smoke": smoke} if smoked else {})}


def _text(road: Survey, verdict: Verdict, smoked: Verdict | None, left_out: Sequence[str]) -> str:
    """A verdict that passed, for people, and the smokes that did: of others the error says all."""
    lines = [verdict_text(verdict, road.output.verdict)]
    if left_out:
        lines.append(
            f"left out: {', '.join(left_out)}. Roles that need their packages are not judged here, so what goes in "
            "for such a role alone does not count; with --suite, what the suite has stands in for them, as in "
            "`release`"
        )
    if smoked and smoked.passed:
        lines += [f"{one.outcome} smoke {one.subject}: {one.detail}" for one in smoked.findings]
        lines.append(f"smokes: {_counts(smoked)}; {road.output.smoke}")
    return "\n".join(lines)


def _require_smokes(road: Survey, plan: Plan, *, alone: bool) -> None:
    """Refuse to go on where no smoke can run; with a suite, its packages stand in for components left out."""
    if not road.recipe.smoke:
        raise InputError(
            f"--smoke: {road.path} has no [[smoke]], so there is nothing to run",
            hint="leave --smoke out, or write one: recipes/3.0.1-git.toml and docs/formats.md show how",
        )
    lacking = {package: name for name in plan.unselected for package in road.tree.packages_of(name)}
    wanting = [{lacking[name] for name in one.packages if name in lacking} for one in road.recipe.smoke]
    if alone and all(wanting):
        raise InputError(
            f"--smoke: no smoke of {road.path} can run: each needs a component that -c leaves out",
            hint=f"choose {', '.join(sorted(set.union(*wanting)))} too, or leave -c or --smoke out",
        )


def verdict_text(verdict: Verdict, file: Path) -> str:
    """A verdict for people: what failed or was let pass, what stays out, and the count of the rest."""
    told = [finding for finding in verdict.findings if finding.outcome != "passed"]
    kept = [package for package in verdict.packages if package.not_published]
    going = f"{len(verdict.packages) - len(kept)} of {len(verdict.packages)} packages go in"
    return "\n".join(
        [
            *(f"{finding.outcome} {finding.check}: {finding.subject}: {finding.detail}" for finding in told),
            *(f"not published {package.name}: {package.not_published}" for package in kept),
            f"{_counts(verdict)}; {going}; {file}",
        ]
    )


def _counts(verdict: Verdict) -> str:
    counts = Counter(finding.outcome for finding in verdict.findings)
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
