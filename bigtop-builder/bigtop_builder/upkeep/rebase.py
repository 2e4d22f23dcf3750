# SPDX-License-Identifier: Apache-2.0
"""`patch rebase`: the patches of one release carried to another, three-way, past every one that cannot be.

What a patch is merged from is the release that it was for.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from bigtop_builder.errors import BuilderError, InputError
from bigtop_builder.git_index import Merge
from bigtop_builder.patches.apply import APPLIES
from bigtop_builder.patches.facts import with_facts
from bigtop_builder.patches.listed import (
    in_order,
    inserted,
    is_chosen,
    require_listed,
    targets_of,
    to_target,
    with_patches,
)
from bigtop_builder.patches.mail import read_mail, write_mail
from bigtop_builder.patches.queue import FACTS, Entry, Patch, in_the_way, load_entry, own_path
from bigtop_builder.recipe import Recipe, load_recipe
from bigtop_builder.settings import Settings
from bigtop_builder.upkeep.change import Change, changing
from bigtop_builder.upkeep.conflict import Conflict, conflicts, refusals
from bigtop_builder.upkeep.ground import Ground, grounds
from bigtop_builder.upkeep.recipes import series_of
from bigtop_builder.upkeep.threeway import Origin, Outcome, carry
from bigtop_builder.upkeep.trial import Stage, walk
from bigtop_builder.workspace import Project


@dataclass(frozen=True, kw_only=True)
class Move:
    """One patch carried to another release.

    Attributes:
        patch: The patch, as the new release would get it.
        outcome: `clean` and `offset`: it applies as it is, and becomes a diff for the new release where none of its
            diffs is; `merged`: with another diff; `already-upstream`: the merge leaves nothing to do; `conflict`: a
            maintainer must mend it.
        before: Tree that it was tried on.
        tree: Tree with it; None if it is not in it.
        diff: The new diff of one that merged.
        merge: The three-way merge, if there was one.
        conflicts: What it could not settle.
        note: Why, in words.
    """

    patch: Patch
    outcome: Outcome
    before: str
    tree: str | None
    diff: bytes = field(default=b"", repr=False)
    merge: Merge | None = field(default=None, repr=False)
    conflicts: tuple[Conflict, ...] = ()
    note: str = ""

    @property
    def id(self) -> str:
        """The patch's id."""
        return self.patch.id

    @property
    def fits(self) -> bool:
        """Whether the patch applies as it is."""
        return self.outcome in APPLIES


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A target none of whose patches could be tried.

    Attributes:
        target: `bigtop` or a component.
        error: Why: its source is not here, or one of upstream's own patches does not apply.
    """

    target: str
    error: BuilderError


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of each patch.

    Attributes:
        moves: In the new release's order, target by target.
        failures: Targets that could not be tried.
        written: Files that were written, of those that would be with `dry_run`.
        listed: Patches that the new release's recipe did not list before.
    """

    moves: tuple[Move, ...]
    failures: tuple[Failure, ...]
    written: tuple[str, ...]
    listed: tuple[str, ...]

    @property
    def conflicting(self) -> tuple[Move, ...]:
        """Those that a maintainer must mend."""
        return tuple(move for move in self.moves if move.outcome == "conflict")


def rebase(
    release: str,
    onto: str,
    *,
    only: Sequence[str] = (),
    since: bool = False,
    dry_run: bool = False,
    project: Project,
    settings: Settings,
) -> Report:
    """Carry a release's patches to another one: new diffs are written, and the recipe lists what applies.

    Args:
        release: Recipe whose patches are carried.
        onto: Recipe that they are carried to.
        only: Patch ids or targets; all if empty.
        since: Let a new diff be for all later releases too.
        dry_run: Write nothing.
        project: Has the queue.
        settings: Site settings.

    Raises:
        InputError: No such recipe or patch.
    """
    with changing(project, dry_run=dry_run) as change:
        old, _ = load_recipe(release, project.recipes)
        new, path = load_recipe(onto, project.recipes)
        if old.release == new.release:
            raise InputError(
                f"{release} and {onto} are the same release", hint="name another one with --onto"
            )
        require_listed(only, old.patches, old.release)
        moves: list[Move] = []
        failures: list[Failure] = []
        ids = list(new.patches)
        for target in targets_of(old.patches):
            wanted = [one for one in to_target(old.patches, target) if is_chosen(one, only)]
            if not wanted:
                continue
            try:
                with grounds(target, onto, release, project=project, settings=settings) as (there, here):
                    series = series_of(project, here.recipe, target)
                    entries = queue_for(project, here, there, wanted)
                    tried = list(move(here, there, series, entries, since=since))
            except BuilderError as error:
                failures.append(Failure(target=target, error=error))
                continue
            moves += tried
            for one in tried:
                _settle(one, new, change, project, since=since)
            order = [one.id for one in moves if one.patch.target == target and one.tree is not None]
            ids = in_order(ids, target, inserted(to_target(ids, target), order))
        change.edit(path, partial(with_patches, wanted=ids))
        written = change.names
    return Report(
        moves=tuple(moves),
        failures=tuple(failures),
        written=written,
        listed=tuple(one for one in ids if one not in new.patches),
    )


def queue_for(project: Project, old: Ground, new: Ground, wanted: Iterable[str] | None = None) -> list[Entry]:
    """The patches of a target that a release would have with those of another: its own order counts first."""
    carried = to_target(old.recipe.patches if wanted is None else wanted, old.target)
    return [
        load_entry(project.patches, one)
        for one in inserted(to_target(new.recipe.patches, new.target), carried, among=old.recipe.patches)
    ]


def move(
    old: Ground,
    new: Ground,
    series: Sequence[Patch],
    entries: Sequence[Entry],
    *,
    since: bool = False,
    keep: bool = False,
) -> Iterator[Move]:
    """Try each patch on the new release; where it does not apply, merge it from its base in the old one.

    Args:
        old: Base of the old release.
        new: Base of the new one.
        series: All patches of the old release to the target.
        entries: What the new release is to have.
        since: A new diff is for all later releases too.
        keep: Try what comes after a conflict on what the merge left, markers and all.
    """
    stages = {stage.patch.id: stage for stage in walk(old, series)}
    tree = new.tree
    earlier: list[Patch] = []
    for entry in entries:
        done = _move(new, tree, entry, stages.get(entry.id), old=old, earlier=earlier, since=since)
        earlier.append(done.patch)
        left = done.merge.tree if keep and done.merge else None
        tree = done.tree or left or tree
        yield done


def _move(
    new: Ground,
    tree: str,
    entry: Entry,
    stage: Stage | None,
    *,
    old: Ground,
    earlier: Sequence[Patch],
    since: bool,
) -> Move:
    if own := entry.diff_for(new.release):
        patch = entry.at(new.release)
    elif stage:
        patch = stage.patch
    else:
        raise InputError(f"patch {entry.id!r} has no diff for {new.release}")
    if own and not own.is_default and stage and stage.patch.path != own.path:
        stage = None  # that diff was settled for the new release: a merge of the old one's would undo it
    done = carry(new.index, patch, tree, name=new.release, origin=_origin(stage, old))
    note, unsettled = "", tuple[Conflict, ...]()
    if done.outcome == "conflict" and done.merge:
        unsettled = conflicts(
            new.index,
            done.merge,
            patch,
            ours=tree,
            before=done.base,
            history=new.history,
            old_history=old.history,
            earlier=earlier,
        )
    elif done.outcome == "conflict":
        note = "not merged: what it was made on is not known, and it does not apply to the old release either"
        unsettled = refusals(patch, done.refusals)
    elif done.outcome == "already-upstream":
        note = f"all that it changes is in {new.release}: bigtop-builder patch status looks for the commit"
    elif (done.outcome == "merged" or not own) and (other := in_the_way(entry, new.release, since=since)):
        note = f"{other.path.name} is for {new.release} and others: rename it so that it ends before"
        done = replace(done, outcome="conflict", tree=None, diff=b"")
    return Move(
        patch=patch,
        outcome=done.outcome,
        before=tree,
        tree=done.tree,
        diff=done.diff,
        merge=done.merge,
        conflicts=unsettled,
        note=note,
    )


def _origin(stage: Stage | None, old: Ground) -> Origin | None:
    """Where a patch applied in the old release."""
    if stage is None or stage.applied.tree is None:
        return None
    return Origin(before=stage.before, after=stage.after, name=old.release)


def _settle(one: Move, new: Recipe, change: Change, project: Project, *, since: bool) -> None:
    """Let the queue have what came of a move."""
    if one.tree is None:
        return
    entry = load_entry(project.patches, one.id)
    if one.outcome == "merged":
        mail = replace(read_mail(one.patch.diff, source=str(one.patch.path)), diff=one.diff)
        change.write(own_path(entry, new.release, since=since), write_mail(mail))
    elif entry.diff_for(new.release) is None:
        change.write(own_path(entry, new.release, since=since), one.patch.diff)
    if entry.facts.releases and one.id not in new.patches and new.release not in entry.facts.releases:
        releases = [*entry.facts.releases, new.release]
        change.edit(entry.folder / FACTS, partial(with_facts, changes={"releases": releases}))
