# SPDX-License-Identifier: Apache-2.0
"""Whether a recipe's own patches to a component apply to its source, as its build will apply them.

The build tells that too, from inside its container and after all that comes before it. What upstream's own patches
do is left to it: something is said only of local ones, on top of those of upstream, where these apply here. What was
found is kept under the hash of source and series, so that asking again runs no git.
"""

import logging
from contextlib import suppress
from typing import Final

from bigtop_builder.atomic import write_whole
from bigtop_builder.disused import mark_used
from bigtop_builder.errors import InputError, TreeError
from bigtop_builder.git_index import Index
from bigtop_builder.patches.apply import apply
from bigtop_builder.patches.component import Series, SeriesPatch, local_name
from bigtop_builder.plan import Step
from bigtop_builder.schema import Value, digest
from bigtop_builder.survey import Survey
from bigtop_builder.upkeep.bundled import bundled_series
from bigtop_builder.upkeep.source_tree import source_tree

log = logging.getLogger(__name__)

VERSION: Final = "1"
"""Part of the name of what is kept: another one has all of it made anew."""
SHAPING: Final = ("packaging", "shared scripts", "bom entry", "properties", "source")
"""Those inputs of a step that decide its source and its series; local patches are in its packaging."""


class Misfit(Value):
    """The first of a recipe's own patches to a component that does not apply.

    Attributes:
        patch: Its file name in `debian/patches`; empty if all of them apply, or one of upstream's does not.
        place: Which hunk of which file refuses it.
        text: Several lines: what it looks for and what is there instead.
    """

    patch: str = ""
    place: str = ""
    text: str = ""


def require_fit(survey: Survey, step: Step) -> None:
    """Raise if a patch of the recipe to a component would be refused by its build, as far as that is known here.

    It is not where the source is not on this machine, or a clone lacks some of it, and where upstream's own series
    does not apply.

    Raises:
        TreeError: The first one that does not apply to the component's source with its exact context.
        SourceError: The source in the cache holds what it should not.
    """
    own = [patch for patch in survey.patches if patch.target == step.name]
    found = _misfit(survey, step) if own and step.source and step.id else Misfit()
    names = {local_name(position, patch.name): patch for position, patch in enumerate(own)}
    if patch := names.get(found.patch):
        raise TreeError(
            f"patch {patch.id} does not apply to the source of {step.name} {step.version}: {found.place}",
            details=found.text,
            hint=f"if the source has it, bigtop-builder patch drop {patch.id} {survey.path.stem}; else mend "
            f"{patch.path}, or take it out of the recipe's `patches`",
        )


def _misfit(survey: Survey, step: Step) -> Misfit:
    kept = survey.workspace.bases / f"{digest(VERSION, *map(step.inputs.__getitem__, SHAPING))}.fit.json"
    with suppress(FileNotFoundError, InputError):
        known = Misfit.from_json(kept.read_bytes(), source=str(kept))
        mark_used(kept)
        return known
    try:
        found = _found(survey, step)
    except TreeError as error:
        log.debug("%s: whether its patches apply is left to its build", step.name, exc_info=error)
        return Misfit()
    if found is None:
        return Misfit()
    write_whole(kept, found.to_json())
    return found


def _found(survey: Survey, step: Step) -> Misfit | None:
    """What the series does on the source; None if that is not on this machine."""
    there = step.source and source_tree(
        step.source, workspace=survey.workspace, settings=survey.settings, recipe_dir=survey.path.parent
    )
    if not there:
        return None
    survey.tree.git.complete(survey.tree.id)
    series = bundled_series(survey.tree, survey.recipe, step.name)
    with Index.temporary(there.mirror, survey.workspace.objects) as index:
        index.load(there.id)
        return _first(index, series)


def _first(index: Index, series: Series) -> Misfit:
    """The first local patch that the index refuses; none if one of upstream's comes before."""
    for patch in series.patches:
        if refused := _refused(index, patch):
            return refused if patch.local else Misfit()
    return Misfit()


def _refused(index: Index, patch: SeriesPatch) -> Misfit | None:
    try:
        refusal = apply(index, patch.diff, source=patch.name).refusal
    except InputError as error:
        return Misfit(patch=patch.name, place=error.brief, text=error.details)
    if not refusal:
        return None
    hunk = f", hunk {refusal.hunk}" if refusal.hunk else ""
    return Misfit(patch=patch.name, place=f"{refusal.file}{hunk}", text=refusal.text)
