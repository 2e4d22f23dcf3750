# SPDX-License-Identifier: Apache-2.0
"""What the patches of a target lie on in a release: Bigtop's tree, or a source with upstream's patches."""

import logging
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from bigtop_builder.carry import base_tree, carried, mirror_of
from bigtop_builder.errors import InputError, SourceError, TreeError
from bigtop_builder.git_index import Index, objects_of
from bigtop_builder.mirror import Mirror
from bigtop_builder.patches.apply import Applied, apply_series, check
from bigtop_builder.patches.component import upstream_series
from bigtop_builder.patches.facts import TREE
from bigtop_builder.patches.listed import to_target
from bigtop_builder.patches.queue import Entry, Patch, load_entry
from bigtop_builder.recipe import Recipe, load_recipe
from bigtop_builder.settings import Settings
from bigtop_builder.sources import select
from bigtop_builder.tree import make_tree
from bigtop_builder.upkeep.source_tree import SourceTree, source_tree
from bigtop_builder.workspace import Project, Workspace

log = logging.getLogger(__name__)

SHOWN = 10
"""Patches that an error names."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The base of one target's patches in one release.

    Attributes:
        recipe: The release's recipe.
        path: Its file.
        target: `bigtop` or a component.
        tree: Git tree id of the base.
        index: Reads it, and every tree made of it.
        history: Commit whose history tells who last touched a line; empty if there is none, as for a tarball.
        carried: Folder that comes from another commit -> that commit.
    """

    recipe: Recipe
    path: Path
    target: str
    tree: str
    index: Index = field(repr=False)
    history: str = ""
    carried: Mapping[str, str] = field(default_factory=dict)

    def histories(self, paths: Iterable[str]) -> list[str]:
        """Commits that these files come from, where their histories are here."""
        if not self.history:
            return []
        folders = ({str(PurePosixPath(path)), *map(str, PurePosixPath(path).parents)} for path in paths)
        found = {
            next((self.carried[one] for one in some & self.carried.keys()), self.history) for some in folders
        }
        return sorted(found) or [self.history]

    @property
    def release(self) -> str:
        """Name of the release."""
        return self.recipe.release


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One patch of a series, tried on what is before it.

    Attributes:
        patch: The patch.
        before: Tree before it.
        after: Tree after it; that before it if it does not apply.
        applied: How it went.
    """

    patch: Patch
    before: str
    after: str
    applied: Applied


def series_of(project: Project, recipe: Recipe, target: str) -> tuple[Patch, ...]:
    """A recipe's patches to one target, in its order.

    Raises:
        InputError: The recipe does not build the target, or a patch cannot be read.
    """
    if target != TREE:
        recipe.component(target)
    ids = to_target(recipe.patches, target)
    return tuple(load_entry(project.patches, patch_id).at(recipe.release) for patch_id in ids)


def walk(ground: Ground, patches: Sequence[Patch]) -> Iterator[Stage]:
    """Try each patch of a series on what those before it made; one that does not apply is passed over."""
    diffs, sources = [patch.diff for patch in patches], [str(patch.path) for patch in patches]
    tree = ground.tree
    tried = apply_series(ground.index, tree, diffs, sources=sources)
    for patch, applied in zip(patches, tried, strict=True):
        after = applied.tree or tree
        yield Stage(patch=patch, before=tree, after=after, applied=applied)
        tree = after


def refused(stage: Stage, release: str, *, hint: str) -> TreeError:
    """The error of a patch that does not apply."""
    found = stage.applied.refusal
    place = f": {found.file}{f', hunk {found.hunk}' if found.hunk else ''}" if found else ""
    return TreeError(
        f"patch {stage.patch.id} does not apply on {release}{place}",
        details=found.text if found else "",
        hint=hint,
    )


def require_series(
    target: str,
    path: Path,
    patches: Sequence[Patch],
    *,
    judged: Container[str],
    hint: str,
    project: Project,
    settings: Settings,
) -> None:
    """Raise unless patches apply where they stand in a series. Where the source is not here, that is told.

    Args:
        target: `bigtop` or a component.
        path: The recipe.
        patches: The series, as it is to be.
        judged: Ids of those that must apply; the others are passed over if they do not.
        hint: The way out.
        project: Has the queue.
        settings: Site settings.

    Raises:
        TreeError: One of `judged` does not apply.
    """
    try:
        with grounds(target, str(path), project=project, settings=settings) as (ground,):
            stages = [one for one in walk(ground, patches) if one.patch.id in judged]
            bad = [refused(one, ground.release, hint=hint) for one in stages if one.applied.tree is None]
    except SourceError as error:
        log.warning("not tried on %s: %s; %s", path.stem, error.brief, error.hint)
        return
    if len(bad) > 1:
        more = [f"and {len(bad) - SHOWN} more"] if len(bad) > SHOWN else []
        raise TreeError(
            f"{len(bad)} of {len(stages)} patches do not apply on {ground.release}",
            details="\n".join([*(one.brief for one in bad[:SHOWN]), *more]),
            hint=hint,
        )
    if bad:
        raise bad[0]


def users_of(project: Project, entry: Entry, file: Path) -> tuple[str, ...]:
    """Releases whose recipes list a patch and get it from this file."""
    recipes = (load_recipe(str(path), project.recipes)[0] for path in sorted(project.recipes.glob("*.toml")))
    return tuple(
        recipe.release
        for recipe in recipes
        if entry.id in recipe.patches and (diff := entry.diff_for(recipe.release)) and diff.path == file
    )


@dataclass(frozen=True, kw_only=True)
class _Base:
    recipe: Recipe
    path: Path
    mirror: Mirror
    tree: str
    history: str
    carried: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def grounds(
    target: str, *releases: str, project: Project, settings: Settings
) -> Iterator[tuple[Ground, ...]]:
    """The bases of a target in some releases. Each of them can read the trees of the others.

    Raises:
        InputError: No such recipe, or it does not build the target.
        TreeError: The commit cannot be had, or a patch before those of the target does not apply.
        SourceError: The component's source is not on this machine.
    """
    bases = [_base(target, name, project=project, settings=settings) for name in releases]
    stores = {base.mirror.path: objects_of(base.mirror) for base in bases}
    with ExitStack() as stack:
        found = []
        for base in bases:
            others = [store for path, store in stores.items() if path != base.mirror.path]
            index = Index.temporary(base.mirror, Workspace(settings.cache_dir).objects, others=others)
            found.append(
                Ground(
                    recipe=base.recipe,
                    path=base.path,
                    target=target,
                    tree=base.tree,
                    index=stack.enter_context(index),
                    history=base.history,
                    carried=base.carried,
                )
            )
        yield tuple(found)


def _base(target: str, name: str, *, project: Project, settings: Settings) -> _Base:
    recipe, path = load_recipe(name, project.recipes)
    workspace = Workspace(settings.cache_dir)
    mirror = mirror_of(recipe, workspace=workspace, settings=settings, base=path.parent)
    if target != TREE:
        return _component(recipe, path, target, mirror, project=project, settings=settings)
    with Index.temporary(mirror, workspace.objects) as index:
        tree, others = base_tree(index, recipe), carried(index, recipe)
    commit = recipe.bigtop.commit
    return _Base(recipe=recipe, path=path, mirror=mirror, tree=tree, history=commit, carried=others)


def _component(
    recipe: Recipe, path: Path, target: str, bigtop: Mirror, *, project: Project, settings: Settings
) -> _Base:
    """The source of a component with upstream's own patches, as the release's Bigtop tree orders them."""
    component, workspace = recipe.component(target), Workspace(settings.cache_dir)
    chosen = select(component, settings)
    source = (
        source_tree(chosen, workspace=workspace, settings=settings, recipe_dir=path.parent)
        if chosen
        else None
    )
    if chosen is None or source is None:
        where = chosen.where if chosen else "the recipe names none"
        raise SourceError(
            f"{recipe.release}'s source of {target} is not on this machine: {where}",
            hint=f"bigtop-builder source fetch {path.stem} -c {target}",
        )
    made = make_tree(recipe, series_of(project, recipe, TREE), mirror=bigtop, objects=workspace.objects)
    properties = {**recipe.gradle.properties, **component.gradle_properties}
    upstream = upstream_series(made.git, made.id, made.bom.components[target], properties).upstream
    with Index.temporary(source.mirror, workspace.objects) as index:
        tree = source.id
        for patch in upstream:
            unfit = (
                f"upstream's own {patch.name} does not apply to the source of {target} in {recipe.release}"
            )
            hint = f"leave it out: omit_patches of {target} in {path}"
            try:
                done = check(index, tree, patch.diff, source=patch.path or patch.name)
            except InputError as error:
                raise TreeError(unfit, details=error.brief, hint=hint) from error
            if done.tree is None:
                raise TreeError(unfit, details=done.refusal.text if done.refusal else "", hint=hint)
            tree = done.tree
    return _Base(
        recipe=recipe, path=path, mirror=source.mirror, tree=tree, history=_history(source, chosen.commit)
    )


def _history(source: SourceTree, commit: str) -> str:
    """The commit that a source is, where its repository is here; a tarball has none."""
    if not commit:
        return ""
    found = source.mirror.git("rev-parse", "--quiet", "--verify", f"{commit}^{{tree}}", check=False)
    return commit if found.text == source.id else ""
