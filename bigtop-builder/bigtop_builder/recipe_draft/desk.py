# SPDX-License-Identifier: Apache-2.0
"""What a draft is made from: the tag, the earlier recipe, the boms of both, and where the draft goes."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from bigtop_builder.bom import Bom
from bigtop_builder.carry import mirror_of
from bigtop_builder.errors import InputError
from bigtop_builder.mirror import Mirror
from bigtop_builder.patches.queue import release_order
from bigtop_builder.recipe import Recipe, load_recipe
from bigtop_builder.recipe_draft.choice import Donor, Grounds
from bigtop_builder.recipe_draft.relocation import relocated
from bigtop_builder.recipe_draft.tags import Tag, bom_at, find_tag, last_with, release_tags
from bigtop_builder.settings import Settings
from bigtop_builder.upkeep.recipes import recipes_of
from bigtop_builder.workspace import Project, Workspace, require_writable

Loaded = tuple[Recipe, Path]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a user wants a draft of.

    Attributes:
        tag: Tag of Bigtop, or the release alone.
        name: Name of the recipe; the release if empty.
        earlier: Recipe to start from; the nearest earlier release if empty.
        output: File to write; `recipes/<name>.toml` if None.
        components: Components to build besides.
        rebase: Write diffs of their own for patches that merge.
        force: Write over a file that is there.
    """

    tag: str
    name: str = ""
    earlier: str = ""
    output: Path | None = None
    components: tuple[str, ...] = ()
    rebase: bool = False
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What all steps of a draft share.

    Attributes:
        asked: What is wanted.
        project: Has recipes and queue.
        settings: Site settings.
        recipes: All recipes of the project but the one that is written over.
        earlier: The recipe that the draft is made of.
        earlier_path: Its file.
        mirror: Bigtop, with its tags and all that the earlier recipe carries from.
        tag: The release.
        path: The file to write.
    """

    asked: Asked
    project: Project
    settings: Settings
    recipes: tuple[Loaded, ...] = field(repr=False)
    earlier: Recipe = field(repr=False)
    earlier_path: Path
    mirror: Mirror
    tag: Tag
    path: Path

    @property
    def workspace(self) -> Workspace:
        """The cache."""
        return Workspace(self.settings.cache_dir)

    @property
    def base(self) -> str:
        """Name of the earlier recipe."""
        return self.earlier_path.stem

    @property
    def name(self) -> str:
        """What commands call the draft: its name, or its path where it is not among the project's recipes."""
        among = self.path.parent.resolve() == self.project.recipes.resolve()
        return self.path.stem if among else str(self.path)

    @property
    def jdk(self) -> str:
        """BIGTOP_JDK, which boms ask for."""
        return self.earlier.image.jdk.version

    @cached_property
    def bom(self) -> Bom:
        """The release's bill of materials."""
        return bom_at(self.mirror, self.tag.commit, where=self.tag.name, jdk=self.jdk)

    @cached_property
    def grounds(self) -> Grounds:
        """What components are chosen from."""
        tags = [
            one
            for one in release_tags(self.mirror)
            if release_order(one.release) < release_order(self.tag.release)
        ]

        def last(component: str) -> Donor | None:
            found = last_with(component, tags, mirror=self.mirror, jdk=self.jdk)
            return Donor(commit=found[0].commit, ref=found[0].name, bom=found[1]) if found else None

        bom_of = partial(bom_at, self.mirror, jdk=self.jdk)
        carried = {
            one.component: Donor(commit=one.commit, ref=one.ref, bom=bom_of(one.commit, where=one.where))
            for one in self.earlier.carry
        }
        before = bom_of(self.earlier.bigtop.commit, where=self.base)
        return Grounds(recipe=self.earlier, before=before, bom=self.bom, carried=carried, last_with=last)

    @property
    def text(self) -> str:
        """Text of the earlier recipe."""
        return self.earlier_path.read_text(encoding="utf-8")

    def absolute(self, text: str) -> str:
        """The text of a recipe of the earlier one's folder, its paths absolute."""
        return relocated(text, self._whole)

    def placed(self, text: str) -> str:
        """The text of a recipe of the earlier one's folder, its paths as they are from the draft's."""
        here, there = self.earlier_path.parent.resolve(), self.path.parent.resolve()
        return text if here == there else relocated(text, lambda path: self._from(there, path))

    def _whole(self, path: str) -> str:
        plain = path.removeprefix("file://")
        known = path in self.settings.mirrors.git or Path(plain).is_absolute()
        return path if known else os.path.normpath(self.earlier_path.parent.resolve() / plain)

    def _from(self, folder: Path, path: str) -> str:
        whole = self._whole(path)
        return path if whole == path else os.path.relpath(whole, folder)


def open_desk(asked: Asked, project: Project, settings: Settings) -> Desk:
    """Find tag and earlier recipe, and see that the draft can be written where it is to go.

    Raises:
        InputError: No such tag or recipe, or the file is there already.
        TreeError: Bigtop cannot be had.
        EnvironmentMissing: This user cannot write there.
    """
    named = load_recipe(asked.earlier, project.recipes) if asked.earlier else None
    loaded = recipes_of(project)
    first = named or max(loaded, key=_order, default=None)
    if first is None:
        raise InputError(
            f"there is no recipe in {project.recipes} to start from",
            hint="name one with --from: target, image, roles and components are taken from there",
        )
    workspace = Workspace(settings.cache_dir)
    url, base = first[0].bigtop.repository, first[1].parent
    tag = find_tag(Mirror.tagged(url, base=base, workspace=workspace, settings=settings), asked.tag)
    path = _target(asked, tag, project)
    others = tuple(one for one in loaded if one[1].absolute() != path.absolute())
    same = [one for one in others if one[0].bigtop.repository == url]
    earlier, earlier_path = named or _nearest(same, tag, path)
    return Desk(
        asked=asked,
        project=project,
        settings=settings,
        recipes=others,
        earlier=earlier,
        earlier_path=earlier_path,
        mirror=mirror_of(earlier, base=earlier_path.parent, workspace=workspace, settings=settings),
        tag=tag,
        path=path,
    )


def _target(asked: Asked, tag: Tag, project: Project) -> Path:
    """The file to write.

    Raises:
        InputError: It is there already, or its name is none for a recipe.
    """
    if asked.name and asked.output:
        raise InputError("--name and --output both name the draft", hint="give one of them")
    path = asked.output or project.recipes / f"{asked.name or tag.release}.toml"
    if path.suffix != ".toml" or "/" in asked.name:
        raise InputError(f"{path} is no name for a recipe", hint="recipes are files that end in .toml")
    if path.exists() and not (asked.force and path.is_file()):
        raise InputError(
            f"{path} is there already", hint="--name gives the draft another name; --force writes over it"
        )
    require_writable(path.parent, why="the draft", hint="name a file elsewhere with --output")
    return path


def _nearest(recipes: Iterable[Loaded], tag: Tag, path: Path) -> Loaded:
    """The recipe of the nearest release that is not later, else of the nearest later one; plain names first."""
    ordered = sorted(recipes, key=_order)
    order = release_order(tag.release)
    earlier = [one for one in ordered if release_order(one[0].release) <= order]
    if not ordered:
        raise InputError(
            f"{path} is the only recipe for this Bigtop: there is none to start from",
            hint="name one with --from, and the draft with --name",
        )
    release = earlier[-1][0].release if earlier else ordered[0][0].release
    return [one for one in ordered if one[0].release == release][-1]


def _order(one: Loaded) -> tuple[object, bool, str]:
    recipe, path = one
    return release_order(recipe.release), path.stem == recipe.release, path.stem
