# SPDX-License-Identifier: Apache-2.0
"""`patch drop`: a patch goes from a release that has it upstream, which its evidence must prove."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.patches.facts import with_facts
from bigtop_builder.patches.listed import with_patches
from bigtop_builder.patches.queue import FACTS, Entry, load_entry
from bigtop_builder.recipe import load_recipe
from bigtop_builder.schema import nearest
from bigtop_builder.upkeep.change import Change, changing
from bigtop_builder.upkeep.evidence import Finding, load_evidence
from bigtop_builder.upkeep.recipes import listing
from bigtop_builder.workspace import Project

Prove = Callable[[str, str], Finding | None]
"""Patch id and name of a recipe -> what is so now, found anew; None if this machine cannot know."""


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """What a drop did.

    Attributes:
        id: The patch.
        release: Recipe that does not list it any more.
        commit: Upstream commit that has it.
        by: How that was found.
        since: First tag of the repository with that commit; empty if none has it yet.
        detail: What the evidence says besides, as that the commit has other lines than the patch.
        elsewhere: Recipes that still list it.
        removed: Whether its folder went: no recipe lists it any more.
    """

    id: str
    release: str
    commit: str
    by: str
    since: str
    detail: str
    elsewhere: tuple[str, ...]
    removed: bool


def drop(patch_id: str, release: str, *, prove: Prove, dry_run: bool = False, project: Project) -> Dropped:
    """Take a patch out of a recipe, and out of the queue when no other recipe lists it.

    Args:
        patch_id: `target/name`.
        release: Recipe's name or path.
        prove: Finds out anew what the evidence says.
        dry_run: Write nothing.
        project: Has the queue.

    Raises:
        InputError: No such recipe, or it does not list the patch.
        CheckFailed: There is no proof that this release has it: no evidence, or stale, or of another state.
    """
    with changing(project, dry_run=dry_run) as change:
        recipe, path = load_recipe(release, project.recipes)
        if patch_id not in recipe.patches:
            hint = nearest(patch_id, recipe.patches)
            raise InputError(f"recipe {release} lists no patch {patch_id!r}", hint=hint)
        entry = load_entry(project.patches, patch_id)
        recorded = load_evidence(entry.folder).releases.get(path.stem)
        finding = _proved(patch_id, path.stem, recorded, prove)
        left = [one for one in recipe.patches if one != patch_id]
        change.edit(path, partial(with_patches, wanted=left))
        others = listing(project, patch_id, but=path)
        elsewhere = tuple(others)
        if elsewhere:
            kept = {*elsewhere, *(other.release for other in others.values())}
            _take_out(entry, {path.stem, recipe.release} - kept, change)
        else:
            change.remove(entry.folder)
    return Dropped(
        id=patch_id,
        release=path.stem,
        commit=finding.commit,
        by=finding.by,
        since=finding.since,
        detail=finding.detail,
        elsewhere=elsewhere,
        removed=not elsewhere,
    )


def _take_out(entry: Entry, gone: set[str], change: Change) -> None:
    """Let the facts of a patch not name these releases any more."""
    left = [release for release in entry.facts.releases if release not in gone]
    change.edit(entry.folder / FACTS, partial(with_facts, changes={"releases": left}))


def _proved(patch_id: str, release: str, finding: Finding | None, prove: Prove) -> Finding:
    """Evidence counts when it names a commit, and when that is found today in the history that the recipe builds."""
    look = f"bigtop-builder patch status {patch_id} --release {release}"
    if finding is None:
        raise CheckFailed(f"patch {patch_id} has no evidence on {release}", hint=f"{look} finds it")
    if finding.state != "already-upstream":
        raise CheckFailed(
            f"patch {patch_id} is {finding.state} on {release}, not already upstream",
            details=finding.detail,
            hint="a patch that is not wanted any more is taken out of the recipe's `patches` by hand, for review",
        )
    if not finding.commit:
        raise CheckFailed(
            f"that {release} has patch {patch_id} is not proved: no upstream commit is known",
            details=finding.detail,
            hint=f"fetch the whole history of its upstream, and run {look} again",
        )
    now = prove(patch_id, release)
    if now is None or _said(now) != _said(finding):
        is_now = " ".join(filter(None, (now.state, now.commit[:12]))) if now else ""
        said = f"now it is {is_now}" if now else "this machine cannot tell what it is now"
        raise CheckFailed(
            f"the evidence of patch {patch_id} on {release} does not hold: {said}",
            details=now.detail if now else "",
            hint=f"{look} writes it anew",
        )
    return now


def _said(finding: Finding) -> tuple[str, ...]:
    """What evidence says of a diff, on whatever tree: where one patch was dropped, the next ones lie on another."""
    return finding.patch, finding.state, finding.commit, finding.by
