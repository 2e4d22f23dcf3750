# SPDX-License-Identifier: Apache-2.0
"""What each patch of the earlier recipe is on the release of a draft, before that is in the project.

The draft and a copy of the queue lie in a folder of their own meanwhile, so nothing of the project is touched.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from bigtop_builder.errors import BuilderError, InputError, SourceError, TreeError
from bigtop_builder.patches.apply import APPLIES
from bigtop_builder.patches.facts import TREE
from bigtop_builder.patches.listed import to_target, with_patches
from bigtop_builder.patches.naming import target_of
from bigtop_builder.patches.queue import load_entry
from bigtop_builder.recipe import Recipe
from bigtop_builder.settings import Settings
from bigtop_builder.upkeep.bases import reason
from bigtop_builder.upkeep.rebase import Move, Report, rebase
from bigtop_builder.upkeep.status import UNKNOWN, Matrix, make_matrix
from bigtop_builder.workspace import Project

State = Literal[
    "clean",
    "offset",
    "merges",
    "rebased",
    "already-upstream",
    "conflict",
    "unknown",
    "no diff",
    "no component",
]
LISTED: Final = frozenset({*APPLIES, "rebased", "unknown"})
"""States of patches that a draft lists: those that apply, and those that could not be tried."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One patch of the earlier recipe on the release.

    Attributes:
        id: Its id.
        state: `merges`: `patch rebase` makes a diff for this release of it; `rebased`: it has; `no diff`: none of its
            diffs is for this release, and none could be made; `no component`: the draft does not build its
            target; the others are those of `patch status`.
        detail: Where it conflicts, which hunks moved, why it is not known.
        commit: Upstream commit that has it.
    """

    id: str
    state: State
    detail: str = ""
    commit: str = ""

    @property
    def target(self) -> str:
        """What it is to."""
        return target_of(self.id)

    @property
    def listed(self) -> bool:
        """Whether the draft lists it."""
        return self.state in LISTED


@contextmanager
def aside(name: str, text: str, patches: Path) -> Iterator[tuple[Project, Path]]:
    """A project of a draft alone, with a copy of a queue; it is gone afterwards.

    Args:
        name: Of the recipe.
        text: The draft, with absolute paths.
        patches: The queue.
    """
    with tempfile.TemporaryDirectory(prefix="bigtop-builder-draft-") as folder:
        project = Project(Path(folder))
        project.recipes.mkdir()
        if patches.is_dir():
            shutil.copytree(patches, project.patches, ignore=shutil.ignore_patterns(".*"))
        path = project.recipes / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        yield project, path


def standings(
    earlier: Recipe, earlier_path: Path, project: Project, path: Path, settings: Settings
) -> tuple[Standing, ...]:
    """Find what each patch of the earlier recipe is on a draft's release, in the earlier recipe's order.

    Args:
        earlier: The earlier recipe.
        earlier_path: Its file.
        project: A project `aside`, whose draft is changed on the way.
        path: The draft.
        settings: Site settings.

    Raises:
        InputError: A patch cannot be read.
    """
    recipe = Recipe.from_toml(path)
    built = {component.name for component in recipe.components}
    tree = _tried(to_target(earlier.patches, TREE), (), project, path, settings)
    below = [one.id for one in tree.values() if one.listed]
    others = [one for one in earlier.patches if target_of(one) in built]
    found = tree | _tried(others, below, project, path, settings)
    if earlier.release != recipe.release and any(
        one.state in ("conflict", "no diff") for one in found.values()
    ):
        report = rebase(str(earlier_path), str(path), dry_run=True, project=project, settings=settings)
        found |= _moved(found, report)
    return tuple(found.get(one, _foreign(one)) for one in earlier.patches)


def _tried(
    ids: Sequence[str], below: Sequence[str], project: Project, path: Path, settings: Settings
) -> dict[str, Standing]:
    """What `patch status` finds of patches on a draft that lists them, after others that apply."""
    release = Recipe.from_toml(path).release
    ready = [one for one in ids if load_entry(project.patches, one).diff_for(release)]
    text = with_patches(path.read_text(encoding="utf-8"), [*below, *ready])
    path.write_text(text, encoding="utf-8")
    matrix = _matrix(project, settings, ids, path)
    return {one: _standing(one, matrix, ready, path.stem) for one in ids}


def carried_on(
    found: Sequence[Standing], earlier_path: Path, path: Path, project: Project, settings: Settings
) -> tuple[Standing, ...]:
    """Carry the patches to a draft that lies in its project and lists none: diffs are written where they must differ.

    Args:
        found: What they are.
        earlier_path: The earlier recipe.
        path: The draft; it lists afterwards what applies.
        project: Has the queue.
        settings: Site settings.

    Raises:
        InputError: The draft lies outside the project.
    """
    wanted = [one.id for one in found if one.state not in ("no component", "already-upstream")]
    if not wanted:
        return tuple(found)
    report = rebase(str(earlier_path), str(path), only=wanted, project=project, settings=settings)
    moves = {move.id: move for move in report.moves}
    return tuple(_settled(moves[one.id], one) if one.id in moves else one for one in found)


def _settled(move: Move, old: Standing) -> Standing:
    """What became of a patch that was carried over."""
    if move.fits and old.state not in ("no diff", "merges"):
        return replace(old, state="offset" if move.outcome == "offset" else "clean")
    done = _merged(move, old)
    made = replace(done, state="rebased", detail="it has a diff of its own for this release")
    return made if done.state == "merges" else done


def _matrix(
    project: Project, settings: Settings, ids: Sequence[str], path: Path
) -> Matrix | BuilderError | None:
    """What `patch status` finds; why it finds nothing."""
    if not ids:
        return None
    try:
        return make_matrix(project, settings, patches=ids, releases=(str(path),), fresh=True)
    except (InputError, SourceError, TreeError) as error:
        return error


def _standing(
    patch_id: str, matrix: Matrix | BuilderError | None, ready: Sequence[str], name: str
) -> Standing:
    if patch_id not in ready:
        return Standing(id=patch_id, state="no diff", detail="none of its diffs is for this release")
    if not isinstance(matrix, Matrix):
        return Standing(id=patch_id, state="unknown", detail=reason(matrix) if matrix else "")
    cell = matrix.cells[patch_id, name]
    if cell.found is None or cell.state == UNKNOWN:
        return Standing(id=patch_id, state="unknown", detail=cell.why)
    return Standing(id=patch_id, state=cell.found.state, detail=cell.found.detail, commit=cell.found.commit)


def _moved(found: Mapping[str, Standing], report: Report) -> dict[str, Standing]:
    """What a three-way merge would make of those that do not apply."""
    moves = ((one, found[one.id]) for one in report.moves if one.id in found)
    return {one.id: _merged(one, old) for one, old in moves if old.state in ("conflict", "no diff")}


def _merged(move: Move, old: Standing) -> Standing:
    if move.fits or move.outcome == "merged":
        return replace(old, state="merges", detail="patch rebase makes a diff for this release of it")
    if move.outcome == "already-upstream":
        return replace(
            old, state="already-upstream", detail="a merge leaves nothing of it, and no commit proves that"
        )
    places = (
        f"{one.path}{f', hunk {one.hunk}' if one.hunk else ''}"
        f"{f', last touched by {one.commit[:12]} {one.subject}' if one.commit else ''}"
        for one in move.conflicts
    )
    return replace(
        old, state="conflict", detail="; ".join([*places, *filter(None, [move.note])]) or old.detail
    )


def _foreign(patch_id: str) -> Standing:
    said = f"the draft does not build {target_of(patch_id)}"
    return Standing(id=patch_id, state="no component", detail=said)
