# SPDX-License-Identifier: Apache-2.0
"""The survey: everything that planning a release looks at, gathered from recipe, patches, mirror and cache."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from bigtop_builder.base import unknown_suite
from bigtop_builder.cache import Depot, ResultCache
from bigtop_builder.carry import mirror_of
from bigtop_builder.container import WORKDIR
from bigtop_builder.downloads import Downloads
from bigtop_builder.hashes import sha256_of
from bigtop_builder.lock import Lock, load_lock
from bigtop_builder.manifest import PatchRecord, TreeRecord
from bigtop_builder.patches.queue import Patch, load_patches
from bigtop_builder.plan import HOST, Grounds, Plan, make_plan
from bigtop_builder.recipe import Recipe, load_recipe
from bigtop_builder.settings import Settings
from bigtop_builder.sites import builder_of, fitting_site
from bigtop_builder.tree import Tree, make_tree
from bigtop_builder.upkeep.change import mend
from bigtop_builder.workspace import Output, Project, Workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Survey:
    """One recipe with all that belongs to it.

    Attributes:
        name: The recipe as the user named it.
        path: Its file.
        recipe: What is in it.
        recipe_sha256: Hash of the file.
        project: The project it was looked up in.
        workspace: The cache.
        settings: Site settings.
        patches: Its patches, in order.
        tree: Its Bigtop tree.
        lock: Its lock.
        lock_sha256: Hash of the lock's file; empty if there is none yet.
        image: Name of the builder image; `HOST` if builds run on this very machine.
        image_id: Hash of what the image is made of.
        cache: Build results.
    """

    name: str
    path: Path
    recipe: Recipe
    recipe_sha256: str
    project: Project
    workspace: Workspace
    settings: Settings
    patches: tuple[Patch, ...]
    tree: Tree
    lock: Lock
    lock_sha256: str
    image: str
    image_id: str
    cache: ResultCache = field(repr=False, compare=False)

    @property
    def host(self) -> bool:
        """Builds run on this very machine, without Docker."""
        return self.image == HOST

    @property
    def output(self) -> Output:
        """What this release leaves for its user."""
        return self.project.results_of(self.path)

    @property
    def lock_path(self) -> Path:
        """The lock's file."""
        return self.project.lock(self.path)

    @property
    def downloads(self) -> Downloads:
        """What builds downloaded at this site, in whatever image."""
        return Downloads(self.workspace.downloads, self.settings, workdir=HOST if self.host else WORKDIR)

    @property
    def tree_record(self) -> TreeRecord:
        """What a manifest and the provenance say of the tree."""
        return TreeRecord(
            repository=self.recipe.bigtop.repository,
            commit=self.tree.commit,
            tree=self.tree.id,
            patches=tuple(PatchRecord(id=p.id, sha256=p.sha256) for p in self.patches),
        )

    def plan(self, selected: tuple[str, ...] = (), *, fitting: bool = True) -> Plan:
        """The plan for the given components, all if none.

        Args:
            selected: Their names.
            fitting: Of a stale lock it is asked which site it fits, for the hint: that takes ten more plans.
        """
        grounds = self._grounds()
        planned = make_plan(grounds, selected)
        if not fitting:
            return planned
        fits = fitting_site(planned, grounds, selected)
        return make_plan(replace(grounds, fits=fits), selected) if fits else planned

    def bumped(self, selected: tuple[str, ...] = ()) -> Lock:
        """The lock with each step id of the plan that is not its component's newest appended."""
        ids = {step.name: step.id for step in self.plan(selected, fitting=False).steps if step.id}
        return self.lock.bumped(ids)

    def with_lock(self, lock: Lock) -> Self:
        """This survey with another lock. It goes to `lock_path` as its one text: that is what is hashed."""
        return replace(self, lock=lock, lock_sha256=hashlib.sha256(lock.to_toml().encode()).hexdigest())

    def _grounds(self) -> Grounds:
        return Grounds(
            name=self.name,
            recipe=self.recipe,
            settings=self.settings,
            tree=self.tree,
            image=self.image,
            image_id=self.image_id,
            patches={patch.id: patch.sha256 for patch in self.patches},
            lock=self.lock,
            results=self.cache,
        )


def survey(
    name: str,
    *,
    project: Project,
    settings: Settings,
    host: bool = False,
    selected: Sequence[str] = (),
    depot: Depot | None = None,
) -> Survey:
    """Gather all that a release is planned from.

    Args:
        name: Recipe name or path.
        project: Where recipes and patches are.
        settings: Site settings.
        host: Builds run on this very machine, without Docker.
        selected: Components that will be asked for: seen to be there before anything is fetched.
        depot: Where machines share build results.

    Raises:
        InputError: No such recipe or component, or the recipe, a patch or the lock is malformed.
        TreeError: The commit cannot be had, or a patch does not apply.
    """
    mend(project)
    recipe, path = load_recipe(name, project.recipes)
    for component in selected:
        recipe.component(component)
    if doubt := unknown_suite(recipe):
        log.warning("%s: target.suite: %s", path, doubt)
    recipe_sha256 = sha256_of(path)
    lock_path = project.lock(path)
    lock = load_lock(lock_path, release=recipe.release, target=recipe.target.tag)
    lock_sha256 = sha256_of(lock_path) if lock_path.is_file() else ""
    workspace = Workspace(settings.cache_dir)
    patches = load_patches(project.patches, recipe)
    mirror = mirror_of(recipe, workspace=workspace, settings=settings, base=path.parent)
    tree = make_tree(recipe, patches, mirror=mirror, objects=workspace.objects)
    image, image_id = builder_of(recipe, settings, host=host)
    return Survey(
        name=name,
        path=path,
        recipe=recipe,
        recipe_sha256=recipe_sha256,
        project=project,
        workspace=workspace,
        settings=settings,
        patches=patches,
        tree=tree,
        lock=lock,
        lock_sha256=lock_sha256,
        image=image,
        image_id=image_id,
        cache=ResultCache(workspace.results, depot),
    )
