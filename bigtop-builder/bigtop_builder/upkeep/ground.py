# SPDX-License-Identifier: Apache-2.0
"""What the patches of a target lie on in a release: Bigtop's tree, or a source with upstream's patches."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from bigtop_builder.carry import base_tree, carried, mirror_of
from bigtop_builder.errors import InputError, SourceError, TreeError
from bigtop_builder.git_index import Index, objects_of
from bigtop_builder.mirror import Mirror
from bigtop_builder.patches.apply import check
from bigtop_builder.patches.facts import TREE
from bigtop_builder.recipe import Recipe, load_recipe
from bigtop_builder.settings import Settings
from bigtop_builder.sources import select
from bigtop_builder.tree import make_tree
from bigtop_builder.upkeep.bundled import bundled_series
from bigtop_builder.upkeep.recipes import series_of
from bigtop_builder.upkeep.source_tree import SourceTree, source_tree
from bigtop_builder.workspace import Project, Workspace


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
        pinning = " --pin" if chosen and not chosen.sha512 else ""
        raise SourceError(
            f"{recipe.release}'s source of {target} is not on this machine: {where}",
            hint=f"bigtop-builder source fetch {path.stem} -c {target}{pinning}",
        )
    made = make_tree(recipe, series_of(project, recipe, TREE), mirror=bigtop, objects=workspace.objects)
    upstream = bundled_series(made, recipe, target).upstream
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
