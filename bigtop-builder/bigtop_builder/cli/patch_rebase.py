# SPDX-License-Identifier: Apache-2.0
"""`patch rebase` and `drop`: patches go to another release, or from one that has them."""

from collections import Counter
from dataclasses import asdict
from typing import Any

import click

from bigtop_builder.cli.context import answer, json_option, setting_up
from bigtop_builder.cli.patch_options import dry_run_option, since_option, written
from bigtop_builder.errors import CheckFailed
from bigtop_builder.schema import counted, some
from bigtop_builder.upkeep.drop import drop
from bigtop_builder.upkeep.evidence import Finding
from bigtop_builder.upkeep.rebase import Report, rebase
from bigtop_builder.upkeep.status import make_matrix


@click.command("rebase", epilog="Example: bigtop-builder patch rebase 3.1.1 hadoop --onto 3.2.1")
@click.argument("release")
@click.argument("only", nargs=-1, metavar="[TARGET|TARGET/NAME]...")
@click.option("--onto", required=True, metavar="RELEASE", help="Recipe that the patches are carried to.")
@since_option
@dry_run_option
@json_option
@click.pass_context
def rebase_(
    context: click.Context,
    release: str,
    only: tuple[str, ...],
    onto: str,
    *,
    since: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Carry RELEASE's patches to another release, three-way, past those that cannot be.

    The other recipe lists what applies, with a diff of its own where it must differ. Each conflict is reported with
    patch file, hunk, base, ours and theirs, and the upstream commit that last touched those lines.
    """
    project, settings = setting_up(context)
    report = rebase(
        release, onto, only=only, since=since, dry_run=dry_run, project=project, settings=settings
    )
    answer(_value(report), as_json=as_json, text="\n".join(_lines(report, dry_run=dry_run)))
    bad = [*(one.id for one in report.conflicting), *(f"all to {one.target}" for one in report.failures)]
    if bad:
        targets = sorted({one.patch.target for one in report.conflicting})
        commands = [f"bigtop-builder patch edit {onto} {target} --from {release}" for target in targets]
        untried = not report.moves and type(report.failures[0].error)
        raise (untried or CheckFailed)(
            f"{len(bad)} could not be carried to {onto}: {some(bad)}",
            hint="; ".join([*commands, *(one.error.hint for one in report.failures if one.error.hint)]),
        )


@click.command("drop", epilog="Example: bigtop-builder patch drop bigtop/date 3.7.0")
@click.argument("patch_id", metavar="TARGET/NAME")
@click.argument("release")
@dry_run_option
@json_option
@click.pass_context
def drop_(context: click.Context, patch_id: str, release: str, *, dry_run: bool, as_json: bool) -> None:
    """Take a patch out of RELEASE, which has it upstream: it does not apply, and a commit there proves it."""
    project, settings = setting_up(context)

    def prove(patch_id: str, release: str) -> Finding | None:
        found = make_matrix(project, settings, patches=(patch_id,), releases=(release,), fresh=True)
        return found.cells[patch_id, release].found

    done = drop(patch_id, release, prove=prove, dry_run=dry_run, project=project)
    went = f"{done.id} {'would go' if dry_run else 'went'} from {done.release}"
    left = (
        f"still listed by {', '.join(done.elsewhere)}"
        if done.elsewhere
        else "no recipe lists it: its folder too"
    )
    since = f", first in {done.since}" if done.since else ""
    proof = f"  upstream commit {done.commit} ({done.by}) is in {done.release}{since}"
    detail = f"  {done.detail}" if done.detail else ""
    answer(asdict(done), as_json=as_json, text="\n".join(filter(None, [went, proof, detail, f"  {left}"])))


def _lines(report: Report, *, dry_run: bool) -> list[str]:
    lines = []
    for one in report.moves:
        lines.append(f"{one.outcome:16} {one.id}{f'  ({one.note})' if one.note else ''}")
        for conflict in one.conflicts:
            lines += [f"  {line}" for line in conflict.told()]
    for failure in report.failures:
        lines += [f"failed           all patches to {failure.target}: {failure.error.brief}"]
        lines += [f"  {line}" for line in failure.error.details.splitlines()]
    lines += _totals(report)
    if report.listed:
        lines.append(f"the recipe lists now: {some(report.listed)}")
    return [*lines, *written(report.written, dry_run=dry_run)]


def _totals(report: Report) -> list[str]:
    """How many patches have which outcome, and in how many places they conflict."""
    counts = Counter(one.outcome for one in report.moves)
    places = {"conflict": f" ({counted(sum(len(one.conflicts) for one in report.moves), 'place')})"}
    said = [f"{count} {outcome}{places.get(outcome, '')}" for outcome, count in counts.items()]
    return [f"{counted(len(report.moves), 'patch')}: {', '.join(said)}"] if said else []


def _value(report: Report) -> dict[str, Any]:
    return {
        "patches": [
            {
                "id": one.id,
                "outcome": one.outcome,
                "file": str(one.patch.path),
                "note": one.note,
                "conflicts": [conflict.value for conflict in one.conflicts],
            }
            for one in report.moves
        ],
        "failed": [
            {
                "target": one.target,
                "reason": one.error.brief,
                "details": one.error.details,
                "hint": one.error.hint,
            }
            for one in report.failures
        ],
        "listed": report.listed,
        "written": report.written,
    }
