# SPDX-License-Identifier: Apache-2.0
"""`patch export`: the commits of a work tree back into the queue; what did not really change is not touched."""

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from bigtop_builder.atomic import write_whole
from bigtop_builder.errors import InputError
from bigtop_builder.patches.dep3 import trailers_of
from bigtop_builder.patches.diff import parse_diff
from bigtop_builder.patches.facts import Given, PatchFacts, facts_text, new_facts, with_facts
from bigtop_builder.patches.listed import in_order, inserted, to_target, with_patches
from bigtop_builder.patches.mail import Mail, read_mail, write_mail
from bigtop_builder.patches.queue import DEFAULT, FACTS, Entry, Patch, load_entry, own_file, own_path
from bigtop_builder.patches.title import without_ticket
from bigtop_builder.recipe import Recipe, load_recipe
from bigtop_builder.schema import some
from bigtop_builder.settings import Settings
from bigtop_builder.upkeep.change import Change, changing
from bigtop_builder.upkeep.owners import owners_of, require_branch, require_settled
from bigtop_builder.upkeep.recipes import listing, series_of, users_of
from bigtop_builder.upkeep.trial import require_series
from bigtop_builder.upkeep.worktree import Marker, Placed, WorkTree, default_place
from bigtop_builder.workspace import Project


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What became of one patch.

    Attributes:
        id: The patch.
        what: `changed`, `new`, `unchanged`; `left`: it has no commit any more, and stays; `dropped`: it went.
        commit: Its commit.
        file: Its diff's file, where that was written.
    """

    id: str
    what: Literal["changed", "new", "unchanged", "left", "dropped"]
    commit: str = ""
    file: str = ""


@dataclass(frozen=True, kw_only=True)
class Export:
    """What an export did.

    Attributes:
        patches: In their new order.
        reordered: Whether the recipe's order is another one now.
        written: Files that were written.
        removed: Files that went.
    """

    patches: tuple[Exported, ...]
    reordered: bool
    written: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Work:
    """What one export looks at."""

    project: Project
    tree: WorkTree
    marker: Marker
    recipe: Recipe
    path: Path
    change: Change
    apart: bool
    since: bool

    @property
    def listed(self) -> list[str]:
        """The recipe's patches to the target."""
        return to_target(self.recipe.patches, self.marker.target)


def export(
    release: str,
    target: str,
    folder: Path | None = None,
    *,
    drop: bool = False,
    apart: bool = False,
    since: bool = False,
    dry_run: bool = False,
    project: Project,
    settings: Settings,
) -> Export:
    """Write the commits of a work tree back.

    Args:
        release: Recipe that the work tree was made for.
        target: `bigtop` or a component.
        folder: The work tree. Default as `edit`'s.
        drop: Take patches whose commits are gone out of the recipe, and out of the queue if no recipe lists them.
        apart: Write changed diffs for this release alone, where others use the same file.
        since: Let what would be for this release alone be for all later ones too.
        dry_run: Write nothing.
        project: Has the queue.
        settings: Site settings.

    Raises:
        InputError: The work tree is another recipe's or not clean, two commits are one patch, or a diff or the
            recipe's list was changed since.
        TreeError: What the queue would have does not apply to the release.
    """
    with changing(project, dry_run=dry_run) as change:
        recipe, path = load_recipe(release, project.recipes)
        tree = WorkTree.at(folder or default_place(project, recipe.release, target))
        work = _Work(
            project=project,
            tree=tree,
            marker=_marker(tree, recipe, target),
            recipe=recipe,
            path=path,
            change=change,
            apart=apart,
            since=since,
        )
        owners = _owners(work)
        told = _exported(work, owners, drop=drop, settings=settings)
    if not dry_run:
        _mark(work, owners)
    return told


def _owners(work: _Work) -> dict[str, str]:
    """Patch id -> its commit, of a work tree that can be exported."""
    work.tree.require_clean()
    require_branch(work.tree)
    owners = owners_of(work.tree, work.marker)
    _require_same_list(work, owners)
    require_settled(work.tree, owners)
    return owners


def _exported(work: _Work, owners: dict[str, str], *, drop: bool, settings: Settings) -> Export:
    """Let queue and recipe have what the commits are."""
    change, listed = work.change, work.listed
    done = [_written(work, patch_id, commit) for patch_id, commit in owners.items()]
    gone = [one for one in listed if one not in owners and _placed(work.marker, one)]
    kept = inserted(list(owners), [one for one in listed if one not in gone or not drop], among=listed)
    stays = [one for one in work.recipe.patches if one not in gone or not drop]
    wanted = in_order(stays, work.marker.target, kept)
    change.edit(work.path, partial(with_patches, wanted=wanted))
    done += [_left(work, one, drop=drop) for one in gone]
    if change.names:
        _require_applied(work, kept, {one.id: one.file for one in done}, settings)
    return Export(
        patches=tuple(done),
        reordered=[one for one in kept if one in listed] != [one for one in listed if one in kept],
        written=tuple(name for name in change.names if name not in change.gone),
        removed=change.gone,
    )


def _marker(tree: WorkTree, recipe: Recipe, target: str) -> Marker:
    marker = tree.marker()
    if (marker.release, marker.target) != (recipe.release, target):
        raise InputError(
            f"{tree.folder} holds the patches to {marker.target} of {marker.release}, not those to {target} of "
            f"{recipe.release}",
            hint=f"bigtop-builder patch export {marker.release} {marker.target} --dir {tree.folder}",
        )
    return marker


def _placed(marker: Marker, patch_id: str) -> Placed | None:
    return next((one for one in marker.patches if one.id == patch_id), None)


def _second(work: _Work) -> str:
    """The way out where the queue went on without the work tree."""
    command = f"bigtop-builder patch edit {work.marker.release} {work.marker.target} --dir OTHER"
    return f"bring your change to a second work tree with git cherry-pick: {command}"


def _require_same_list(work: _Work, owners: dict[str, str]) -> None:
    """Raise if the recipe's list was changed since in a way that the commits would take back."""
    were, listed, folder = work.marker.listed, work.listed, work.tree.folder
    if were is None:
        return
    if out := [one for one in owners if one in were and one not in listed]:
        raise InputError(
            f"{work.path} was changed since this work tree was made: it does not list {some(out)} any more, and "
            f"{folder} has {'its commit' if len(out) == 1 else 'their commits'}",
            hint=f"take them out here too: git -C {folder} rebase -i {work.marker.base[:12]}, or list them again",
        )
    if lost := [one for one in listed if one in owners and not _is_there(work, one) and one in were]:
        raise InputError(
            f"{work.path} lists {some(lost)}, and {work.project.patches} has no such patch any more",
            hint="bring back what was removed there, or take it out of the recipe too",
        )
    now = [one for one in listed if one in were and one in owners]
    then = [one for one in were if one in now]
    if now not in (then, [one for one in owners if one in now]):
        raise InputError(
            f"{work.path} was changed since this work tree was made: it has {some(now)} in another order",
            details=f"now:  {' '.join(now)}\nthen: {' '.join(then)}",
            hint=_second(work),
        )


def _is_there(work: _Work, patch_id: str) -> bool:
    return (work.project.patches / patch_id / FACTS).is_file()


def _written(work: _Work, patch_id: str, commit: str) -> Exported:
    placed = _placed(work.marker, patch_id)
    mail = _credited(work, placed, commit)
    if not mail.diff:
        raise InputError(
            f"commit {commit[:12]} of {work.tree.folder} ({patch_id}) changes nothing",
            hint="drop it with git rebase -i, then run patch export again",
        )
    parse_diff(mail.diff, source=f"commit {commit[:12]} of {work.tree.folder}")
    if placed and not _changed(work, placed, commit):
        return Exported(id=patch_id, what="unchanged", commit=commit)
    folder = work.project.patches / patch_id
    if not _is_there(work, patch_id):
        return _new(work, patch_id, commit, mail)
    entry, release = load_entry(work.project.patches, patch_id), work.recipe.release
    file = folder / (placed.file if placed else DEFAULT)
    apart = work.apart and set(users_of(work.project, entry, file)) - {release}
    if apart or (work.since and file == own_path(entry, release)):
        file = own_file(entry, release, since=work.since)
    there = file.read_bytes() if file.is_file() else b""
    facts = _facts(work, entry, file, mail)
    text = write_mail(replace(mail, trailers=trailers_of(facts, mail)))
    if text == there:
        return Exported(id=patch_id, what="unchanged", commit=commit)
    if placed is None and there:
        raise InputError(
            f"commit {commit[:12]} of {work.tree.folder} would be patch {patch_id!r}, and {file} is there already",
            hint=f"give it another trailer `Patch: {work.marker.target}/NAME` with git commit --amend",
        )
    if placed and there and hashlib.sha256(there).hexdigest() != placed.sha256 and file.name == placed.file:
        raise InputError(
            f"{file} was changed in the queue since this work tree was made, and commit {commit[:12]} changes it too",
            hint=_second(work),
        )
    work.change.write(file, text)
    return Exported(id=patch_id, what="changed", commit=commit, file=work.change.name(file))


def _credited(work: _Work, placed: Placed | None, commit: str) -> Mail:
    """A commit as a mail, by the author that the queue names: git drops a full stop at the end of a name."""
    mail = work.tree.mail(commit)
    there = _in_queue(work, placed) if placed else None
    if not (placed and there):
        return mail
    before = work.tree.mail(placed.commit)
    same = (mail.author, mail.email) == (before.author, before.email)
    return replace(mail, author=there.author, email=there.email) if same else mail


def _in_queue(work: _Work, placed: Placed) -> Mail | None:
    """What the queue has of a patch; None if that is not what the work tree was made of."""
    file = work.project.patches / placed.id / placed.file
    data = file.read_bytes() if file.is_file() else b""
    there = hashlib.sha256(data).hexdigest() == placed.sha256
    return read_mail(data, source=str(file)) if there else None


def _changed(work: _Work, placed: Placed, commit: str) -> bool:
    """Whether a commit says or does another thing than the queue's patch would do in its place.

    Diffs cannot tell: of two blocks that read alike, one with other line numbers may change the other.
    """
    if placed.carried:
        return True
    if commit == placed.commit:
        return False
    before = work.tree.mail(placed.commit)
    if replace(before, diff=b"") != replace(work.tree.mail(commit), diff=b""):
        return True
    old = _in_queue(work, placed) or before
    return work.tree.applied(old.diff, f"{commit}^") != work.tree.git("rev-parse", f"{commit}^{{tree}}").text


def _facts(work: _Work, entry: Entry, file: Path, mail: Mail) -> PatchFacts:
    """The facts: their title follows a subject that was reworded, and the release is among theirs.

    A patch has one title, so its other diffs get the new subject too.
    """
    facts, release = entry.facts, work.recipe.release
    used = next((one for one in entry.diffs if one.path == file), entry.diff_for(release))
    before = read_mail(used.data, source=str(used.path)).subject if used else ""
    title = without_ticket(mail.subject)
    changes: dict[str, Any] = {}
    if title and before not in {"", mail.subject} and facts.title in {before, without_ticket(before)}:
        changes["title"] = title
        for diff in entry.diffs:
            other = read_mail(diff.data, source=str(diff.path))
            if diff.path != file and other.subject == before:
                work.change.write(diff.path, write_mail(replace(other, subject=mail.subject)))
    if facts.releases and release not in facts.releases:
        changes["releases"] = [*facts.releases, release]
    work.change.edit(entry.folder / FACTS, partial(with_facts, changes=changes))
    return facts.model_copy(update=changes)


def _new(work: _Work, patch_id: str, commit: str, mail: Mail) -> Exported:
    folder = work.project.patches / patch_id
    releases = (work.recipe.release,)
    facts = new_facts(work.marker.target, mail.subject, given=Given(), releases=releases)
    file = folder / DEFAULT
    work.change.write(folder / FACTS, facts_text(facts))
    work.change.write(file, write_mail(replace(mail, trailers=trailers_of(facts, mail))))
    return Exported(id=patch_id, what="new", commit=commit, file=work.change.name(file))


def _require_applied(work: _Work, ids: Sequence[str], files: Mapping[str, str], settings: Settings) -> None:
    """Raise unless what the queue will have applies, one after the other.

    What the recipe lists and `patch edit --from` left out of the work tree need not: upstream has it.
    """
    left_out = set(work.marker.listed or ()) - {one.id for one in work.marker.patches}
    series = [_will_be(work, one, files.get(one, "")) for one in ids]
    require_series(
        work.marker.target,
        work.path,
        series,
        judged=set(ids) - left_out,
        hint=f"it is as the queue has it now with your commits in it; {_second(work)}; a patch that is `left` goes "
        "with --drop",
        project=work.project,
        settings=settings,
    )


def _will_be(work: _Work, patch_id: str, file: str) -> Patch:
    """A patch as the queue will have it for this release; `file` is what was written of it, empty for nothing."""
    if not file:
        return load_entry(work.project.patches, patch_id).at(work.recipe.release)
    path, text = work.change.root / file, work.change.read(work.project.patches / patch_id / FACTS) or b""
    facts = PatchFacts.model_validate(tomllib.loads(text.decode()))
    return Patch(id=patch_id, path=path, diff=work.change.read(path) or b"", facts=facts)


def _left(work: _Work, patch_id: str, *, drop: bool) -> Exported:
    if not drop:
        return Exported(id=patch_id, what="left")
    if not listing(work.project, patch_id, but=work.path):
        work.change.remove(work.project.patches / patch_id)
    return Exported(id=patch_id, what="dropped")


def _mark(work: _Work, owners: dict[str, str]) -> None:
    """Let the work tree know what the queue has now. Were this cut off, the next export would find it out again."""
    recipe, _ = load_recipe(work.recipe.release, work.project.recipes)
    in_queue = {patch.id: patch for patch in series_of(work.project, recipe, work.marker.target)}
    placed = tuple(
        Placed(id=one, commit=commit, file=in_queue[one].path.name, sha256=in_queue[one].sha256)
        for one, commit in owners.items()
        if one in in_queue
    )
    left = tuple(one for one in work.marker.patches if one.id in in_queue and one.id not in owners)
    tip = list(owners.values())[-1] if owners else work.marker.base
    marker = work.marker.model_copy(
        update={"patches": (*placed, *left), "tip": tip, "listed": tuple(in_queue)}
    )
    if marker != work.marker:
        write_whole(work.tree.marker_path, marker.to_json())
