# SPDX-License-Identifier: Apache-2.0
"""`patch status`: what each patch is on each release."""

import logging
from collections.abc import Sequence
from typing import Any

import click

from bigtop_builder.cli.context import answer, json_option, setting_up, table
from bigtop_builder.cli.patch_options import chosen
from bigtop_builder.errors import CheckFailed
from bigtop_builder.schema import counted
from bigtop_builder.upkeep.change import mend
from bigtop_builder.upkeep.status import NOTHING, Cell, Matrix, make_matrix, record

log = logging.getLogger(__name__)

SHORT = {"already-upstream": "upstream"}
LEGEND = {
    "*": "the recipe lists the patch",
    NOTHING: "no diff is for that release, or its recipe builds no such component",
}
"""Marks of the matrix that are no words."""


@click.command(epilog="Example: bigtop-builder patch status --release 3.5.0")
@click.argument("words", nargs=-1, metavar="[TARGET|TARGET/NAME]...")
@click.option("--release", "releases", multiple=True, help="Only this release; repeatable.")
@click.option(
    "--again", is_flag=True, help="Find out all of it anew; without it, what holds is taken as recorded."
)
@click.option(
    "--verify",
    is_flag=True,
    help="Find out all of it anew, write nothing, and fail where the recorded evidence is stale or wrong, or a "
    "recipe lists a patch that does not apply.",
)
@json_option
@click.pass_context
def status(
    context: click.Context,
    words: tuple[str, ...],
    releases: tuple[str, ...],
    *,
    again: bool,
    verify: bool,
    as_json: bool,
) -> None:
    """Show what patches, all by default, are on each release.

    clean, offset (lines have moved), conflict, upstream (that release has it), unknown (its source is not on this
    machine), - (not for that release). A * marks the patches that the recipe lists. What is found is recorded in
    evidence.json beside each patch. Evidence holds until the diff or what it lies on changes; patches that are
    named are always tried anew.
    """
    project, settings = setting_up(context)
    mend(project)
    patches = chosen(words, project)
    fresh = verify or again or bool(patches)
    matrix = make_matrix(project, settings, patches=patches, releases=releases, fresh=fresh)
    if not verify and (written := record(matrix)):
        log.info("evidence written for %s", counted(written, "patch"))
    answer(_plain(matrix), as_json=as_json, text=_text(matrix))
    if verify:
        _require_sound(matrix)


def _require_sound(matrix: Matrix) -> None:
    """Raise CheckFailed where evidence does not hold, or a recipe cannot be built for a patch that it lists."""
    faults = []
    if matrix.doubts:
        said = f"the recorded evidence does not hold in {counted(len(matrix.doubts), 'place')}"
        way = "bigtop-builder patch status --again records what is so; review and commit each evidence.json"
        faults.append((said, way))
    if matrix.blocked:
        said = f"recipes list {counted(len(matrix.blocked), 'patch')} that cannot be applied"
        faults.append(
            (said, "bigtop-builder patch drop what upstream has, patch rebase or edit what conflicts")
        )
    if faults:
        brief, hint = ("; ".join(words) for words in zip(*faults, strict=True))
        raise CheckFailed(brief, details="\n".join([*matrix.doubts, *matrix.blocked]), hint=hint)


def _text(matrix: Matrix) -> str:
    rows = [[patch_id, *map(_word, matrix.of(patch_id))] for patch_id in matrix.entries]
    told = [line for patch_id in matrix.entries for cell in matrix.of(patch_id) if (line := _told(cell))]
    whys = dict.fromkeys(cell.why for cell in matrix.cells.values() if cell.why)
    unfit = (
        f"{component} on {release}: upstream's {one.patch} does not apply ({one.detail}): see omit_patches"
        for release, component, one in matrix.unfit
    )
    order = (f"{one.component} on {release}: {one.detail}" for release, one in matrix.order)
    notes = [*told, *unfit, *order, *(f"unknown: {why}" for why in whys)]
    if not rows:
        return "\n".join(["no patches", *notes])
    legend = [f"{mark} {what}" for mark, what in LEGEND.items() if any(mark in _marks(row) for row in rows)]
    parts = (table(["patch", *matrix.releases], rows), "\n".join(legend), "\n".join(notes))
    return "\n\n".join(filter(None, parts))


def _marks(row: Sequence[str]) -> set[str]:
    """The marks in a row's cells: what stands behind a word or alone."""
    return {cell[-1] for cell in row[1:]}


def _word(cell: Cell) -> str:
    return f"{SHORT.get(cell.state, cell.state)}{'*' if cell.listed else ''}"


def _told(cell: Cell) -> str:
    """What is to be done about a patch that a recipe lists; empty if nothing is."""
    if not (cell.listed and cell.found):
        return ""
    if cell.state == "conflict":
        return f"{cell.patch} on {cell.release}: conflict: {cell.found.detail}"
    if cell.state == "already-upstream":
        since = f", released in {cell.found.since}" if cell.found.since else ""
        return (
            f"{cell.patch} on {cell.release}: upstream has it ({cell.found.commit[:12]}{since}): "
            f"bigtop-builder patch drop {cell.patch} {cell.release}"
        )
    return ""


def _plain(matrix: Matrix) -> dict[str, Any]:
    return {
        "releases": list(matrix.releases),
        "patches": [
            {
                "id": patch_id,
                "title": entry.facts.title,
                "releases": {cell.release: _cell(cell) for cell in matrix.of(patch_id)},
            }
            for patch_id, entry in matrix.entries.items()
        ],
        "unfit": [
            {"release": release, "component": component, **one.model_dump()}
            for release, component, one in matrix.unfit
        ],
        "order": [{"release": release, **one.model_dump()} for release, one in matrix.order],
        "doubts": list(matrix.doubts),
    }


def _cell(cell: Cell) -> dict[str, Any]:
    found = cell.found.model_dump(mode="json", exclude={"state"}) if cell.found else {}
    return {"state": cell.state, "listed": cell.listed, **found, "why": cell.why}
