# SPDX-License-Identifier: Apache-2.0
"""The Bigtop tree: a pinned commit, less what no build reads, plus the local patches; a git tree, not a folder.

Left out are the recipe's `exclude` paths and the packaging of components that the recipe does not build.
Everything happens in a git index beside the mirror, so no work tree is written and the result is named by its
content: recipe, patches and commit give the same tree id on every machine (design, invariant 7).
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from bigtop_builder.bom import Bom, overlay, parse_bom
from bigtop_builder.errors import TreeError
from bigtop_builder.mirror import Mirror
from bigtop_builder.patches.explain import explain
from bigtop_builder.patches.queue import TREE, Patch
from bigtop_builder.recipe import Component, Recipe
from bigtop_builder.run import Completed

BOM = "bigtop.bom"
PACKAGING = "bigtop-packages/src"
FIRST_LOCAL_PATCH = 900


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
    git: "Index" = field(repr=False, compare=False)

    def ids(self, *paths: str) -> Mapping[str, str]:
        """Git object ids of those of the given paths that exist; of all entries at the top if none is given."""
        listed = self.git("ls-tree", "-z", "--full-tree", self.id, "--", *paths).text
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
        dated = f"@{self.epoch} +0000"
        self.git.complete(self.id)
        author = {
            f"GIT_{who}_{what}": "bigtop-builder"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        dates = {"GIT_AUTHOR_DATE": dated, "GIT_COMMITTER_DATE": dated}
        commit = self.git("commit-tree", self.id, "-m", "tree", env={**author, **dates}).text
        with tempfile.TemporaryFile() as tar:
            self.git("archive", "--format=tar", commit, stdout=tar)
            tar.seek(0)
            yield tar


class Index:
    """A git index of its own over a mirror's objects. New objects go to a store of ours, not to the mirror."""

    def __init__(self, mirror: Mirror, objects: Path, file: Path) -> None:
        self._mirror = mirror
        objects.mkdir(parents=True, exist_ok=True)
        theirs = mirror.git("rev-parse", "--path-format=absolute", "--git-path", "objects").text
        self._env = {
            "GIT_INDEX_FILE": str(file),
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": theirs,
            "GIT_WORK_TREE": str(file.parent),
        }

    def __call__(
        self,
        *words: str | os.PathLike[str],
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        stdout: IO[bytes] | None = None,
        check: bool = True,
    ) -> Completed:
        """Run git on this index.

        Raises:
            TreeError: git failed and `check` is set.
        """
        return self._mirror.git(
            *words, env={**self._env, **(env or {})}, stdin=stdin, stdout=stdout, check=check, error=TreeError
        )

    def complete(self, tree: str) -> None:
        """Fetch what a partial clone still lacks of a tree."""
        self._mirror.complete(tree, env=self._env)

    def add(self, path: str, content: bytes) -> None:
        """Put a file into the index."""
        blob = self("hash-object", "-w", "--stdin", stdin=content).text
        self("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")

    def remove(self, *paths: str) -> bool:
        """Take files and folders out; False if the index has none of them."""
        listed = self("ls-files", "-z", "--", *paths).stdout if paths else b""
        if listed:
            self("update-index", "-z", "--force-remove", "--stdin", stdin=listed)
        return bool(listed)

    def read(self, path: str) -> str | None:
        """Text of a file in the index."""
        if not self("ls-files", "-z", "--", path).stdout:
            return None
        return self("cat-file", "blob", f":{path}").stdout.decode(errors="replace")


def make_tree(recipe: Recipe, patches: tuple[Patch, ...], *, mirror: Mirror, objects: Path) -> Tree:
    """Make the tree of a recipe.

    Args:
        recipe: The recipe.
        patches: Its patches, in order.
        mirror: Has the recipe's commit.
        objects: Folder for new git objects (cache).

    Raises:
        TreeError: A patch does not apply with its exact context, a patch to leave out is not there, or the
            bill of materials cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="bigtop-builder-index-") as folder:
        index = Index(mirror, objects, Path(folder) / "index")
        index("read-tree", recipe.bigtop.commit)
        index.remove(*recipe.bigtop.exclude)
        for patch in patches:
            if patch.target == TREE:
                _apply(index, patch)
        _lay_component_patches(index, patches)
        for component in recipe.components:
            _omit_patches(index, component)
        bom = _overlay_bom(index, recipe)
        built = {component.name for component in recipe.components}
        others = [name for name in bom.components if name not in built]
        index.remove(*(f"{PACKAGING}/{part}/{name}" for part in ("common", "deb") for name in others))
        tree = index("write-tree", "--missing-ok").text
        epoch = int(index("show", "-s", "--format=%ct", recipe.bigtop.commit).text)
    return Tree(id=tree, commit=recipe.bigtop.commit, epoch=epoch, bom=bom, git=index)


def _apply(index: Index, patch: Patch) -> None:
    """Apply with exact context, as dpkg-source does with `patch -F 0`; lines may have moved (offsets pass)."""
    done = index("apply", "--cached", "--whitespace=nowarn", "-", stdin=patch.diff, check=False)
    if done.returncode != 0:
        refusal = explain(done.complaint, patch.diff.decode(errors="replace"), index.read)
        hunk = f", hunk {refusal.hunk}" if refusal.hunk else ""
        raise TreeError(
            f"patch {patch.id} does not apply: {refusal.file}{hunk}",
            details=refusal.text,
            hint=f"mend {patch.path}, or take it out of the recipe's `patches`",
        )


def _lay_component_patches(index: Index, patches: tuple[Patch, ...]) -> None:
    """Component patches become patch9NN-<id>.diff: last under both of Bigtop's orders (BIGTOP-4357)."""
    counts: dict[str, int] = {}
    for patch in patches:
        if patch.target == TREE:
            continue
        number = FIRST_LOCAL_PATCH + counts.get(patch.target, 0)
        counts[patch.target] = counts.get(patch.target, 0) + 1
        if number > FIRST_LOCAL_PATCH + 99:
            raise TreeError(f"component {patch.target} has more than 100 local patches")
        index.add(f"{PACKAGING}/common/{patch.target}/patch{number}-{patch.name}.diff", patch.diff)


def _omit_patches(index: Index, component: Component) -> None:
    for name in component.omit_patches:
        if not index.remove(*(f"{PACKAGING}/{part}/{component.name}/{name}" for part in ("common", "deb"))):
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
