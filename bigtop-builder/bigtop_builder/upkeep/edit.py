# SPDX-License-Identifier: Apache-2.0
"""`patch edit`: the patches of one target and release as commits of a git work tree of their own."""

import hashlib
import logging
import shutil
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bigtop_builder.errors import InputError, TreeError
from bigtop_builder.hidden_folder import unfinished
from bigtop_builder.patches.apply import touched
from bigtop_builder.patches.facts import TREE
from bigtop_builder.patches.listed import to_target
from bigtop_builder.patches.mail import read_mail
from bigtop_builder.patches.queue import Entry, Patch, own_file
from bigtop_builder.run import run
from bigtop_builder.schema import some
from bigtop_builder.settings import Settings
from bigtop_builder.upkeep.change import mend
from bigtop_builder.upkeep.commit import OWNER, write_commit
from bigtop_builder.upkeep.ground import Ground, grounds
from bigtop_builder.upkeep.rebase import Move, move, queue_for
from bigtop_builder.upkeep.recipes import series_of
from bigtop_builder.upkeep.trial import Stage, refused, walk
from bigtop_builder.upkeep.worktree import (
    CONFLICTS,
    SERIES,
    Marker,
    Placed,
    WorkTree,
    default_place,
)
from bigtop_builder.workspace import Project

log = logging.getLogger(__name__)

AS_IT_IS = "* !text !eol !ident !filter !working-tree-encoding !diff !merge\n"
"""For info/attributes: what the tree's own .gitattributes say must not change a byte (gitattributes(5))."""


@dataclass(frozen=True, kw_only=True)
class Edited:
    """A work tree that was made.

    Attributes:
        folder: Where.
        base: Its first commit.
        patches: Its further commits and the patches that they are.
        conflicts: Patch -> files with conflict markers, of a series from another release.
    """

    folder: Path
    base: str
    patches: tuple[Placed, ...]
    conflicts: dict[str, tuple[str, ...]]


def edit(
    release: str,
    target: str,
    folder: Path | None = None,
    *,
    since: str = "",
    project: Project,
    settings: Settings,
) -> Edited:
    """Make a work tree of a release's series for one target.

    Args:
        release: Recipe's name or path.
        target: `bigtop` or a component.
        folder: Where; must not be there, or be empty. Default `build/patches/<release>/<target>`.
        since: Release whose patches are carried over: what conflicts is committed with markers. The same one for
            a series that does not apply any more.
        project: Has the queue.
        settings: Site settings.

    Raises:
        InputError: The folder is in use.
        TreeError: A patch does not apply, and `since` is not given.
    """
    mend(project)
    names = (release, since) if since else (release,)
    with grounds(target, *names, project=project, settings=settings) as (ground, *other):
        place = (folder or default_place(project, ground.release, target)).absolute()
        _require_free(place)
        if other:
            series = series_of(project, other[0].recipe, target)
            entries = {entry.id: entry for entry in queue_for(project, other[0], ground)}
            moves = move(other[0], ground, series, list(entries.values()), keep=True)
            again = other[0].release == ground.release
            rows = [
                _moved(one, entries[one.id], ground, again=again)
                for one in moves
                if one.outcome != "already-upstream"
            ]
        else:
            stages = tuple(walk(ground, series_of(project, ground.recipe, target)))
            rows = [_stayed(stage, ground) for stage in stages]
        base, placed = _commit(ground, rows)
        _lay_out(ground, place, _marker(ground, base, placed))
    conflicts = {row.placed.id: row.conflicts for row in rows if row.conflicts}
    return Edited(folder=place, base=base, patches=placed, conflicts=conflicts)


@dataclass(frozen=True, kw_only=True)
class _Row:
    placed: Placed
    patch: Patch
    tree: str
    conflicts: tuple[str, ...] = ()


def _stayed(stage: Stage, ground: Ground) -> _Row:
    if stage.applied.tree is None:
        raise refused(
            stage,
            ground.release,
            hint=f"bigtop-builder patch edit {ground.release} {ground.target} --from {ground.release} merges it from "
            "what its diff names, and leaves conflicts to you; another release after --from is one that it fits; "
            f"what bigtop-builder patch lint {stage.patch.id} names is to be mended in its file first",
        )
    patch = stage.patch
    placed = Placed(id=patch.id, commit="", file=patch.path.name, sha256=patch.sha256)
    return _Row(placed=placed, patch=patch, tree=stage.after)


def _moved(one: Move, entry: Entry, ground: Ground, *, again: bool) -> _Row:
    """A carried patch; one that changed, or has to, gets a diff of its own for this release.

    Args:
        one: How it went.
        entry: The patch.
        ground: What it was tried on.
        again: It is this very release's, and does not apply any more: its diff is mended where it is.
    """
    if one.fits and one.tree is not None:
        placed = Placed(id=one.id, commit="", file=one.patch.path.name, sha256=one.patch.sha256)
        return _Row(placed=placed, patch=one.patch, tree=one.tree)
    if one.merge is None:
        raise TreeError(
            f"patch {one.id} cannot be carried to {ground.release}: {one.note}",
            details="\n".join(conflict.text for conflict in one.conflicts),
            hint=f"mend {one.patch.path}, or take it out of the old recipe's `patches`",
        )
    file = one.patch.path if again else own_file(entry, ground.release)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
    placed = Placed(id=one.id, commit="", file=file.name, sha256=sha256, carried=True)
    return _Row(placed=placed, patch=one.patch, tree=one.merge.tree, conflicts=one.merge.conflicts)


def _commit(ground: Ground, rows: Sequence[_Row]) -> tuple[str, tuple[Placed, ...]]:
    """Commits of the base and of each row on top of it."""
    index = ground.index
    available = _available(ground, {path for row in rows for path in touched(row.patch.diff)})
    tip = base = index.commit(available(ground.tree), message=f"{ground.target} as {ground.release} has it\n")
    placed = []
    for row in rows:
        mail = read_mail(row.patch.diff, source=str(row.patch.path))
        marks = ((CONFLICTS, ", ".join(row.conflicts)),) if row.conflicts else ()
        trailers = (*mail.trailers, *marks, (OWNER, row.placed.id))
        said = replace(mail, subject=mail.subject or row.patch.facts.title, trailers=trailers)
        tip = write_commit(index, said, available(row.tree), tip)
        placed.append(row.placed.model_copy(update={"commit": tip}))
    return base, tuple(placed)


def _available(ground: Ground, changed: Collection[str]) -> Callable[[str], str]:
    """Makes of a tree one whose files are all here.

    Where a clone lacks some, that is the tree without what the recipe excludes and no patch of the series changes:
    no build reads it.

    Raises:
        TreeError: Other files are missing too.
    """
    try:
        ground.index.complete(ground.tree)
    except TreeError:
        excluded = ground.recipe.bigtop.exclude if ground.target == TREE else ()
        unread = [one for one in excluded if not any(f"{path}/".startswith(f"{one}/") for path in changed)]

        def bare(tree: str) -> str:
            ground.index.load(tree)
            ground.index.remove(*unread)
            return ground.index.write_tree()

        ground.index.complete(bare(ground.tree))
        log.warning(
            "files are missing, so the work tree is without what the recipe excludes: %s", some(unread)
        )
        return bare
    return str


def _marker(ground: Ground, base: str, placed: tuple[Placed, ...]) -> Marker:
    tip = placed[-1].commit if placed else base
    listed = tuple(to_target(ground.recipe.patches, ground.target))
    return Marker(
        release=ground.release, target=ground.target, base=base, tip=tip, patches=placed, listed=listed
    )


def _lay_out(ground: Ground, place: Path, marker: Marker) -> None:
    """The work tree, with objects of its own: the cache may go at any time. It is renamed when it is whole."""
    with unfinished(place) as torn:
        run(["git", "init", "--quiet", "--template=", f"--initial-branch={SERIES}", torn])
        tree = WorkTree(folder=torn)
        info = torn / ".git" / "info"
        info.mkdir(exist_ok=True)
        (info / "attributes").write_text(AS_IT_IS)
        with tempfile.TemporaryFile() as pack:
            ground.index(
                "pack-objects", "--revs", "--stdout", "-q", stdin=f"{marker.tip}\n".encode(), stdout=pack
            )
            pack.seek(0)
            run(["git", "-C", torn, "index-pack", "--stdin"], stdin=pack)
        tree.git("update-ref", f"refs/heads/{SERIES}", marker.tip)
        tree.git("update-ref", "refs/tags/base", marker.base)
        tree.git("reset", "--quiet", "--hard", marker.tip)
        tree.marker_path.write_text(marker.to_json())
        if place.is_dir():
            _clear(place)
        torn.rename(place)


def _clear(place: Path) -> None:
    """Make way: an empty folder is renamed over, an unchanged work tree of ours is removed."""
    if any(place.iterdir()):
        shutil.rmtree(place)


def _require_free(place: Path) -> None:
    if not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return
    if place.is_dir() and (place / ".git").is_dir() and _untouched(WorkTree(folder=place)):
        return
    raise InputError(
        f"{place} is there already and not empty",
        hint="export and remove it, or name another folder with --dir",
    )


def _untouched(tree: WorkTree) -> bool:
    """Whether a work tree of ours holds nothing that is not in the queue or was not exported."""
    if not tree.marker_path.is_file():
        return False
    marker = tree.marker()
    clean = not tree.git("status", "--porcelain=v1", "--ignored").text
    refs = set(tree.git("for-each-ref", "--format=%(objectname)").text.split())
    return clean and tree.resolve("HEAD") == marker.tip and refs <= {marker.tip, marker.base}
