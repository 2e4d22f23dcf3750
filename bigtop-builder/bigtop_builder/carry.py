# SPDX-License-Identifier: Apache-2.0
"""Carried packaging: components that a Bigtop release lacks, grafted in from another commit of Bigtop.

A component's packaging is `bigtop-packages/src/{common,deb}/<component>` and its block of `bigtop.bom`, with the
edges of the bom's dependencies that lead to it. What it needs and the release lacks too is carried with it. The
block is taken as it is written, so its names mean what the release's own bom says: its mirrors, its version.
"""

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.bom import Bom, block_of, graft, parse_bom
from bigtop_builder.errors import TreeError
from bigtop_builder.git_index import Index
from bigtop_builder.mirror import Mirror
from bigtop_builder.packaging import BOM, folders_of
from bigtop_builder.recipe import Carry, Recipe
from bigtop_builder.settings import Settings
from bigtop_builder.workspace import Workspace

log = logging.getLogger(__name__)


def mirror_of(recipe: Recipe, *, workspace: Workspace, settings: Settings, base: Path) -> Mirror:
    """A mirror that has the recipe's commit of Bigtop and all that it carries from.

    Args:
        recipe: The recipe.
        workspace: Holds the mirrors.
        settings: For `mirrors.git` and the proxy.
        base: Folder that a relative path in the recipe starts from.

    Raises:
        TreeError: The repository cannot be had, or lacks one of the commits.
    """

    def ensure(commit: str, ref: str) -> Mirror:
        return Mirror.ensure(
            recipe.bigtop.repository, commit, ref=ref, workspace=workspace, settings=settings, base=base
        )

    mirror = ensure(recipe.bigtop.commit, recipe.bigtop.ref)
    for carry in recipe.carry:
        try:
            ensure(carry.commit, carry.ref)
        except TreeError as error:
            raise TreeError(
                f"carry {carry.component!r}: {error.brief}", details=error.details, hint=error.hint
            ) from error
    return mirror


def base_tree(index: Index, recipe: Recipe) -> str:
    """Id of the tree that patches are laid on: the recipe's commit of Bigtop, with what the recipe carries.

    Args:
        index: Over a repository that `mirror_of` returned; what it holds is lost.
        recipe: The recipe.

    Raises:
        TreeError: The other commit has no such component, the release has it already in another form or lacks
            what its block names, or a component that it needs is not in the recipe.
    """
    commit = recipe.bigtop.commit
    if not recipe.carry:
        return index("rev-parse", f"{commit}^{{tree}}").text
    release = _read(index, commit, f"{recipe.bigtop.repository} at {recipe.bigtop.commit}", recipe)
    donors = _donors(index, recipe, release.bom)
    new = {name: donor for name, donor in donors.items() if name not in release.bom.components}
    index.load(commit, [BOM])
    for name, donor in donors.items():
        _lay_packaging(index, recipe, name, donor, release.bom)
    if new:
        index.add(BOM, _grafted(release, new, recipe).encode())
    return index.write_tree()


def carried(index: Index, recipe: Recipe) -> dict[str, str]:
    """Folders of `base_tree` that are not the release's own -> the commit that each comes from.

    Raises:
        TreeError: As `base_tree`.
    """
    if not recipe.carry:
        return {}
    commit = recipe.bigtop.commit
    bom = _read(index, commit, recipe.bigtop.repository, recipe).bom
    donors = _donors(index, recipe, bom)
    ours = index.entries(commit, [path for name in donors for path in folders_of(name)])
    return {
        path: donor.commit for name, donor in donors.items() for path in folders_of(name) if path not in ours
    }


@dataclass(frozen=True, kw_only=True)
class _Stack:
    """The bill of materials of a commit.

    Attributes:
        commit: Commit id.
        where: How people name it.
        text: Its bigtop.bom.
        bom: The same, read.
    """

    commit: str
    where: str
    text: str
    bom: Bom


def _read(index: Index, commit: str, where: str, recipe: Recipe) -> _Stack:
    found = index.entries(commit, [BOM])
    if BOM not in found:
        raise TreeError(f"commit {commit} has no {BOM}: is {recipe.bigtop.repository} a Bigtop tree?")
    text = index("cat-file", "blob", found[BOM].oid).stdout.decode(errors="replace")
    environment = {"BIGTOP_JDK": recipe.image.jdk.version}
    bom = parse_bom(text, source=f"{BOM} of {where}", environment=environment)
    return _Stack(commit=commit, where=where, text=text, bom=bom)


def _donors(index: Index, recipe: Recipe, release: Bom) -> dict[str, _Stack]:
    """Each component that is carried, and where from: those of the recipe, then what they need besides."""
    donors = {carry.component: _donor(index, recipe, carry) for carry in recipe.carry}
    asked = {carry.component: carry.component for carry in recipe.carry}
    built = {component.name for component in recipe.components}
    waiting = list(donors)
    while waiting:
        name = waiting.pop(0)
        for need in donors[name].bom.dependencies_of(name):
            if need in release.components or need in donors:
                continue
            if need not in built:
                raise TreeError(
                    f"carry {asked[name]!r}: it needs {need}, which Bigtop {release.version} lacks and the recipe "
                    "does not build",
                    hint=f"add {need} to the recipe's `components`; its packaging comes from "
                    f"{donors[name].where} too, or from a `carry` of its own",
                )
            donors[need], asked[need] = donors[name], asked[name]
            waiting.append(need)
    return donors


def _donor(index: Index, recipe: Recipe, carry: Carry) -> _Stack:
    stack = _read(index, carry.commit, carry.where, recipe)
    if carry.component not in stack.bom.components:
        raise TreeError(
            f"carry {carry.component!r}: {carry.where} has no such component",
            hint=f"see `from`; it has {', '.join(stack.bom.components)}",
        )
    return stack


def _lay_packaging(index: Index, recipe: Recipe, name: str, donor: _Stack, release: Bom) -> None:
    paths = folders_of(name)
    ours, theirs = index.entries(recipe.bigtop.commit, paths), index.entries(donor.commit, paths)
    if paths[1] not in theirs:
        raise TreeError(f"carry {name!r}: {donor.where} has no packaging for Debian, {paths[1]}")
    differ = [path for path in paths if path in ours and ours[path] != theirs.get(path)]
    if name in release.components:
        mine, other = release.components[name], donor.bom.components[name]
        if differ or mine != other or ours.keys() != theirs.keys():
            versions = f"{mine.base_version} here, {other.base_version} in {donor.where}"
            raise TreeError(
                f"carry {name!r}: Bigtop {release.version} has this component already, in another form",
                details="\n".join([f"version {versions}", *(f"other content: {path}" for path in differ)]),
                hint="take it out of the recipe's `carry`; a patch to `bigtop` changes packaging, `version` of the "
                "component its version",
            )
        log.info("carry %s: Bigtop %s has it as %s does", name, release.version, donor.where)
    elif differ:
        raise TreeError(
            f"carry {name!r}: the release has {' and '.join(differ)} with other content than {donor.where}",
            hint="carry from a commit whose packaging is the same",
        )
    for path in theirs.keys() - ours.keys():
        index("read-tree", f"--prefix={path}/", theirs[path].oid)


def _grafted(release: _Stack, new: dict[str, _Stack], recipe: Recipe) -> str:
    """The release's bigtop.bom with what is carried."""
    dependents = {name: list(others) for name, others in release.bom.dependents.items()}
    for name, donor in new.items():
        for need in donor.bom.dependencies_of(name):
            dependents.setdefault(need, []).append(name)
    blocks = [block_of(donor.text, name, source=donor.where) for name, donor in new.items()]
    text = graft(release.text, blocks, {name: dict.fromkeys(others) for name, others in dependents.items()})
    names = ", ".join(new)
    try:
        parse_bom(text, source=f"{BOM} with {names}", environment={"BIGTOP_JDK": recipe.image.jdk.version})
    except TreeError as error:
        raise TreeError(
            f"carry {names}: {BOM} of Bigtop {release.bom.version} lacks what the carried block needs",
            details=f"{error.brief}\n{_line_of(text, error.brief)}",
            hint="carry from a commit whose block of it names only what this release has",
        ) from error
    return text


def _line_of(text: str, complaint: str) -> str:
    """The line that the reader of a bom complains of, which is in no file that people can open."""
    place = re.search(r":(\d+):\d+: ", complaint)
    return text.splitlines()[int(place[1]) - 1].strip() if place else ""
