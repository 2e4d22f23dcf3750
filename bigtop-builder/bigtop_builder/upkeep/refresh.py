# SPDX-License-Identifier: Apache-2.0
"""`patch refresh`: diffs written anew: each hunk where its header says, all of it in the queue's own form."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bigtop_builder.patches.dep3 import trailers_of
from bigtop_builder.patches.diff import parse_diff
from bigtop_builder.patches.listed import is_chosen, require_listed, targets_of, to_target
from bigtop_builder.patches.mail import read_mail, write_mail
from bigtop_builder.patches.queue import load_entry, own_file
from bigtop_builder.patches.style import subject_of
from bigtop_builder.projects import UpstreamProject, load_projects
from bigtop_builder.recipe import load_recipe
from bigtop_builder.settings import Settings
from bigtop_builder.upkeep.change import Change, changing
from bigtop_builder.upkeep.commit import diff_of
from bigtop_builder.upkeep.ground import Ground, grounds
from bigtop_builder.upkeep.recipes import series_of, users_of
from bigtop_builder.upkeep.trial import Stage, refused, walk
from bigtop_builder.workspace import Project


@dataclass(frozen=True, kw_only=True)
class Refreshed:
    """One patch that was written anew.

    Attributes:
        id: The patch.
        moved: Path, number and lines of each hunk that had moved, in words; empty if only its form changed.
        file: The file that was written.
        others: Releases that use the same file.
    """

    id: str
    moved: tuple[str, ...]
    file: str
    others: tuple[str, ...]


def refresh(
    release: str,
    *,
    only: Sequence[str] = (),
    apart: bool = False,
    dry_run: bool = False,
    project: Project,
    settings: Settings,
) -> tuple[Refreshed, ...]:
    """Write a release's patches anew where hunks have moved, or the form is not the queue's own; no others.

    Args:
        release: Recipe's name or path.
        only: Patch ids or targets; all if empty.
        apart: Write them for this release alone, where others use the same file.
        dry_run: Write nothing.
        project: Has the queue.
        settings: Site settings.

    Raises:
        InputError: No such recipe or patch.
        TreeError: A patch does not apply.
    """
    with changing(project, dry_run=dry_run) as change:
        recipe, _ = load_recipe(release, project.recipes)
        require_listed(only, recipe.patches, recipe.release)
        done: list[Refreshed] = []
        upstreams = load_projects(project.patches).projects
        for target in targets_of(recipe.patches):
            if not any(is_chosen(one, only) for one in to_target(recipe.patches, target)):
                continue
            with grounds(target, release, project=project, settings=settings) as (ground,):
                for stage in walk(ground, series_of(project, recipe, target)):
                    if stage.applied.tree is None:
                        raise refused(stage, ground.release, hint=_way_out(stage, ground))
                    if not is_chosen(stage.patch.id, only):
                        continue
                    if (text := _anew(ground, stage, upstreams.get(target))) != stage.patch.diff:
                        done.append(_refreshed(ground, stage, text, change, project, apart=apart))
    return tuple(done)


def _way_out(stage: Stage, ground: Ground) -> str:
    merge = f"bigtop-builder patch edit {ground.release} {ground.target} --from {ground.release}"
    return f"mend {stage.patch.path}, or let {merge} merge it from what its diff names"


def _anew(ground: Ground, stage: Stage, upstream: UpstreamProject | None) -> bytes:
    """The patch with the subject that upstream asks for, the trailers that its facts give, and a right diff.

    That is a new one where the old one says the wrong lines, or object ids that are cut short.
    """
    mail, facts = read_mail(stage.patch.diff, source=str(stage.patch.path)), stage.patch.facts
    files = parse_diff(stage.patch.diff, source=str(stage.patch.path))
    if stage.applied.moved or any(file.hunks and not file.names_base for file in files):
        mail = replace(mail, diff=diff_of(ground.index, stage.before, stage.after))
    subject = subject_of(facts, mail.subject or facts.title, upstream)
    return write_mail(replace(mail, subject=subject, trailers=trailers_of(facts, mail)))


def _refreshed(
    ground: Ground, stage: Stage, text: bytes, change: Change, project: Project, *, apart: bool
) -> Refreshed:
    entry = load_entry(project.patches, stage.patch.id)
    users = [one for one in users_of(project, entry, stage.patch.path) if one != ground.release]
    file = own_file(entry, ground.release) if apart and users else stage.patch.path
    change.write(file, text)
    return Refreshed(
        id=stage.patch.id,
        moved=tuple(f"{one.file}, hunk {one.hunk}: {one.lines:+d} lines" for one in stage.applied.moved),
        file=change.name(file),
        others=tuple(users) if file == stage.patch.path else (),
    )
