# SPDX-License-Identifier: Apache-2.0
"""`patch export`: the commits of a work tree back into the queue; what did not really change is not touched."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from bigtop_builder.atomic import write_whole
from bigtop_builder.errors import InputError
from bigtop_builder.patches.diff import parse_diff
from bigtop_builder.patches.facts import PREFIX, Given, facts_text, new_facts, with_facts
from bigtop_builder.patches.listed import in_order, inserted, with_patches
from bigtop_builder.patches.mail import Mail, read_mail, trailers_of, write_mail
from bigtop_builder.patches.naming import name_of, own_file, own_path, require_id
from bigtop_builder.patches.queue import DEFAULT, FACTS, PatchFacts, load_entry
from bigtop_builder.recipe import Recipe, load_recipe
from bigtop_builder.upkeep.change import Change, changing
from bigtop_builder.upkeep.ground import series_of
from bigtop_builder.upkeep.worktree import CONFLICTS, DIFF, OWNER, Marker, Placed, WorkTree, some
from bigtop_builder.workspace import Project

MARKS = re.compile(rb"^\+(?:<{7}|>{7}) ", re.MULTILINE)


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
    """

    patches: tuple[Exported, ...]
    reordered: bool
    written: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Work:
    """What one export looks at."""

    project: Project
    tree: WorkTree
    marker: Marker
    recipe: Recipe
    change: Change
    apart: bool
    since: bool


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

    Raises:
        InputError: The work tree is another recipe's or not clean, two commits are one patch, or a diff was
            changed in the queue since.
    """
    with changing(project, dry_run=dry_run) as change:
        recipe, path = load_recipe(release, project.recipes)
        place = folder or project.output / "patches" / recipe.release / target
        tree = WorkTree.at(place)
        marker = _marker(tree, recipe, target)
        tree.require_clean()
        work = _Work(
            project=project,
            tree=tree,
            marker=marker,
            recipe=recipe,
            change=change,
            apart=apart,
            since=since,
        )
        owners = _owners(work, tree.commits(marker.base))
        _require_settled(tree, owners)
        done = [_written(work, patch_id, commit) for patch_id, commit in owners.items()]
        listed = [one for one in recipe.patches if one.partition("/")[0] == target]
        gone = [one for one in listed if one not in owners and _placed(marker, one)]
        kept = inserted(list(owners), [one for one in listed if one not in gone or not drop], among=listed)
        wanted = in_order([one for one in recipe.patches if one not in gone or not drop], target, kept)
        change.write(path, with_patches(path.read_text(encoding="utf-8"), wanted))
        done += [_left(work, one, path, drop=drop) for one in gone]
        told = Export(
            patches=tuple(done),
            reordered=[one for one in kept if one in listed] != [one for one in listed if one in kept],
            written=change.names,
        )
    if not dry_run:
        _mark(work, owners)
    return told


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


def _owners(work: _Work, commits: Sequence[str]) -> dict[str, str]:
    """Patch id -> its commit, in the order of the commits."""
    found: dict[str, str] = {}
    known = {one.commit: one.id for one in work.marker.patches}
    said = {commit: work.tree.trailer(commit, OWNER) or known.get(commit, "") for commit in commits}
    for commit, named in said.items():
        subject = work.tree.git("show", "-s", "--format=%s", commit).text
        patch_id = named or f"{work.marker.target}/{name_of(subject)}"
        require_id(patch_id, f"commit {commit[:12]} of {work.tree.folder}")
        if patch_id.partition("/")[0] != work.marker.target:
            raise InputError(
                f"commit {commit[:12]} says that it is patch {patch_id!r}, which is not to {work.marker.target}",
                hint="change its trailer `Patch:` with git commit --amend",
            )
        if patch_id in found:
            raise InputError(
                f"commits {found[patch_id][:12]} and {commit[:12]} of {work.tree.folder} are both patch {patch_id!r}",
                hint="squash them with git rebase -i, or give one another trailer `Patch: "
                f"{work.marker.target}/NAME`",
            )
        found[patch_id] = commit
    return found


def _require_settled(tree: WorkTree, owners: dict[str, str]) -> None:
    found = []
    for patch_id, commit in owners.items():
        named = tree.trailer(commit, CONFLICTS)
        if named or MARKS.search(tree.git(*DIFF, f"{commit}^", commit).stdout):
            found.append(
                f"{commit[:12]} {patch_id}: {some(named.split(', ')) if named else 'it has markers'}"
            )
    if found:
        raise InputError(
            f"{len(found)} of {len(owners)} commits of {tree.folder} have conflicts in them",
            details="\n".join(found),
            hint="settle each (git rebase -i, stop at it, mend, git commit --amend), and take the trailer "
            "`Conflicts:` out of its message",
        )


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
    if not (folder / FACTS).is_file():
        return _new(work, patch_id, commit, mail)
    entry, release = load_entry(work.project.patches, patch_id), work.recipe.release
    file = folder / (placed.file if placed else DEFAULT)
    if work.apart or (work.since and file == own_path(entry, release)):
        file = own_file(entry, release, since=work.since)
    there = file.read_bytes() if file.is_file() else b""
    facts = _facts(work, patch_id, there, mail)
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
            hint="bring your change to a second work tree with git cherry-pick: bigtop-builder patch edit "
            f"{work.marker.release} {work.marker.target} --dir OTHER",
        )
    work.change.write(file, text)
    return Exported(id=patch_id, what="changed", commit=commit, file=_short(work, file))


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


def _facts(work: _Work, patch_id: str, there: bytes, mail: Mail) -> PatchFacts:
    """The facts: their title follows a subject that was reworded, and the release is among theirs."""
    entry = load_entry(work.project.patches, patch_id)
    path, facts, release = entry.folder / FACTS, entry.facts, work.recipe.release
    before = read_mail(there, source=patch_id).subject if there else ""
    title = PREFIX.sub("", mail.subject)
    changes: dict[str, Any] = {}
    if title and before not in {"", mail.subject} and facts.title in {before, PREFIX.sub("", before)}:
        changes["title"] = title
    if facts.releases and release not in facts.releases:
        changes["releases"] = [*facts.releases, release]
    work.change.write(path, with_facts(path.read_text(encoding="utf-8"), changes))
    return facts.model_copy(update=changes)


def _new(work: _Work, patch_id: str, commit: str, mail: Mail) -> Exported:
    folder = work.project.patches / patch_id
    releases = (work.recipe.release,)
    facts = new_facts(work.marker.target, mail.subject, given=Given(), releases=releases)
    file = folder / DEFAULT
    work.change.write(folder / FACTS, facts_text(facts))
    work.change.write(file, write_mail(replace(mail, trailers=trailers_of(facts, mail))))
    return Exported(id=patch_id, what="new", commit=commit, file=_short(work, file))


def _left(work: _Work, patch_id: str, path: Path, *, drop: bool) -> Exported:
    if not drop:
        return Exported(id=patch_id, what="left")
    recipes = (file for file in work.project.recipes.glob("*.toml") if file != path)
    if not any(patch_id in load_recipe(str(file), work.project.recipes)[0].patches for file in recipes):
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
    marker = work.marker.model_copy(update={"patches": (*placed, *left), "tip": tip})
    if marker != work.marker:
        write_whole(work.tree.marker_path, marker.to_json())


def _short(work: _Work, file: Path) -> str:
    return work.change.name(file)
