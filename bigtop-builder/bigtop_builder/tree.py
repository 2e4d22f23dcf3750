# SPDX-License-Identifier: Apache-2.0
"""The Bigtop tree: a pinned commit, less what no build reads, plus the local patches; a git tree, not a folder.

Left out are the recipe's `exclude` paths and the packaging of components that the recipe does not build; what
the recipe carries from other commits is in it, before any patch.
Everything happens in a git index beside the mirror, so no work tree is written and the result is named by its
content: recipe, patches and commit give the same tree id on every machine (design, invariant 7).
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO

from bigtop_builder.bom import Bom, overlay, parse_bom
from bigtop_builder.carry import base_tree
from bigtop_builder.errors import InputError, TreeError
from bigtop_builder.git_index import Index
from bigtop_builder.git_tree import TreeEntry
from bigtop_builder.mirror import Mirror
from bigtop_builder.packaging import BOM, PACKAGING, folders_of
from bigtop_builder.patches.apply import apply
from bigtop_builder.patches.component import MOST_LOCAL, local_name
from bigtop_builder.patches.facts import TREE
from bigtop_builder.patches.queue import Patch
from bigtop_builder.recipe import Component, Recipe


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A finished tree.

    Attributes:
        id: Git tree id (40 hex digits).
        commit: Bigtop commit it was made from.
        epoch: SOURCE_DATE_EPOCH: committer time of that commit, seconds since 1970.
        bom: Its bill of materials.
    """

    id: str
    commit: str
    epoch: int
    bom: Bom
    git: Index = field(repr=False, compare=False)

    def ids(self, *paths: str) -> Mapping[str, str]:
        """Git object ids of those of the given paths that exist."""
        return {path: self._listed[path] for path in paths if path in self._listed}

    def entries(self, folder: str = "") -> tuple[str, ...]:
        """Paths of what lies in a folder itself; at the top if none is given."""
        return tuple(path for path in self._listed if path.rpartition("/")[0] == folder)

    def below(self, *folders: str) -> Mapping[str, str]:
        """Git object ids of all files below folders, and of the paths given that are files."""
        starts = tuple(f"{folder}/" for folder in folders)
        inner = {path.rpartition("/")[0] for path in self._listed}
        return {
            path: found
            for path, found in self._listed.items()
            if path not in inner and (path in folders or path.startswith(starts))
        }

    @cached_property
    def _listed(self) -> Mapping[str, str]:
        """Path -> git object id of all that is in the tree, folders too: asked for once."""
        listed = self.git("ls-tree", "-r", "-t", "-z", "--full-tree", self.id).text
        return {line.partition("\t")[2]: line.split()[2] for line in listed.split("\0") if line}

    def read(self, path: str) -> bytes | None:
        """Content of a file; None if there is none."""
        return self.git("cat-file", "blob", f"{self.id}:{path}").stdout if path in self.ids(path) else None

    def packages_of(self, component: str) -> tuple[str, ...]:
        """Names of the binary packages that a component's `debian/control` declares."""
        control = (self.read(f"{PACKAGING}/deb/{component}/control") or b"").decode(errors="replace")
        lines = (line.partition(":") for line in control.splitlines())
        return tuple(value.strip() for key, _, value in lines if key == "Package")

    @contextmanager
    def archive(self) -> Iterator[IO[bytes]]:
        """The tree as an open tar file, each member dated with the commit, so that builds see no clock."""
        self.git.complete(self.id)
        commit = self.git.commit(self.id, message="tree", epoch=self.epoch)
        with tempfile.TemporaryFile(dir=self.git.objects) as tar:  # /tmp may be memory
            self.git("archive", "--format=tar", commit, stdout=tar)
            tar.seek(0)
            yield tar


def make_tree(recipe: Recipe, patches: tuple[Patch, ...], *, mirror: Mirror, objects: Path) -> Tree:
    """Make the tree of a recipe.

    Args:
        recipe: The recipe.
        patches: Its patches, in order.
        mirror: Has the recipe's commit, and those that it carries from.
        objects: Folder for new git objects (cache).

    Raises:
        TreeError: A patch does not apply with its exact context, a patch to leave out is not there, what is
            carried does not fit, or the bill of materials cannot be read.
    """
    with Index.temporary(mirror, objects) as index:
        index.load(base_tree(index, recipe))
        for patch in patches:
            if patch.target == TREE:
                _apply(index, patch, recipe.release)
        index.remove(*recipe.bigtop.exclude)
        for component in recipe.components:
            _omit_patches(index, component)
        _lay_component_patches(index, patches)
        bom = _overlay_bom(index, recipe)
        built = {component.name for component in recipe.components}
        others = [name for name in bom.components if name not in built]
        index.remove(*(folder for name in others for folder in folders_of(name)))
        tree = index.write_tree()
        epoch = int(index("show", "-s", "--format=%ct", recipe.bigtop.commit).text)
    return Tree(id=tree, commit=recipe.bigtop.commit, epoch=epoch, bom=bom, git=index)


def _apply(index: Index, patch: Patch, release: str) -> None:
    try:
        refusal = apply(index, patch.diff, source=str(patch.path)).refusal
    except InputError as error:
        brief = f"patch {patch.id} does not apply: {error.brief}"
        raise TreeError(brief, details=error.details, hint=error.hint) from error
    if refusal:
        hunk = f", hunk {refusal.hunk}" if refusal.hunk else ""
        raise TreeError(
            f"patch {patch.id} does not apply: {refusal.file}{hunk}",
            details=refusal.text,
            hint=f"if the release has it, bigtop-builder patch drop {patch.id} {release}; else mend "
            f"{patch.path}, or take it out of the recipe's `patches`",
        )


def _lay_component_patches(index: Index, patches: tuple[Patch, ...]) -> None:
    """Component patches become patch9NN-<id>.diff: last under both of Bigtop's orders (BIGTOP-4357)."""
    laid: dict[str, TreeEntry] = {}
    for target in dict.fromkeys(patch.target for patch in patches if patch.target != TREE):
        own = [patch for patch in patches if patch.target == target]
        if len(own) > MOST_LOCAL:
            raise TreeError(f"component {target} has more than {MOST_LOCAL} local patches")
        taken = set(index("ls-files", "-z", "--", *folders_of(target)).text.split("\0"))
        for position, patch in enumerate(own):
            paths = [f"{folder}/{local_name(position, patch.name)}" for folder in folders_of(target)]
            if there := taken.intersection(paths):
                raise TreeError(
                    f"patch {patch.id} goes into the tree as {paths[0]}, and Bigtop has {there.pop()}",
                    hint="give the patch another name",
                )
            laid[paths[0]] = TreeEntry("100644", index.blob(patch.diff))
    if laid:
        index.put(laid)


def _omit_patches(index: Index, component: Component) -> None:
    for name in component.omit_patches:
        if not index.remove(*(f"{folder}/{name}" for folder in folders_of(component.name))):
            raise TreeError(
                f"component {component.name} has no upstream patch {name!r} to leave out",
                hint="see `omit_patches` in the recipe",
            )


def _overlay_bom(index: Index, recipe: Recipe) -> Bom:
    text = index.read(BOM)
    if text is None:
        raise TreeError(
            f"commit {recipe.bigtop.commit} has no {BOM}: is {recipe.bigtop.repository} a Bigtop tree?"
        )
    bom = parse_bom(text, environment={"BIGTOP_JDK": recipe.image.jdk.version})
    for component in recipe.components:
        if component.name not in bom.components:
            raise TreeError(
                f"{BOM} has no component {component.name!r}", hint=f"it has {', '.join(bom.components)}"
            )
    replaced = [component for component in recipe.components if component.version]
    if not replaced:
        return bom
    text += "".join(_entry(component) for component in replaced)
    index.add(BOM, text.encode())
    return parse_bom(text, environment={"BIGTOP_JDK": recipe.image.jdk.version})


def _entry(component: Component) -> str:
    tarball = f"{component.name}-{component.version}.tar.gz"
    return overlay(
        component.name, version=component.version, tarball_source=tarball, tarball_destination=tarball
    )
