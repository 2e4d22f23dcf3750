# SPDX-License-Identifier: Apache-2.0
"""The patches of a component as Bigtop's own build would apply them: which files, from where, in which order.

`<component>-sdeb` in packages.gradle copies four folders into `debian/`, a later one over an earlier one, and
lists in `debian/patches/series` what is at the top of it and whose whole name matches `patch.*diff`. Up to 3.4.0
the names are sorted as text, so patch10 comes before patch2; from 3.5.0 on (BIGTOP-4357) they are sorted by the
number before the first dash, and equal numbers stay in the order in which the file system lists them. Which rule
counts is read from the packages.gradle at hand: a local patch may have changed it.
"""

import os
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, Literal

from bigtop_builder.bom import Component
from bigtop_builder.errors import TreeError
from bigtop_builder.git_index import Index
from bigtop_builder.git_tree import parse_objects
from bigtop_builder.packaging import BOM, PACKAGES_SCRIPT, PACKAGING, folders_of

FIRST_LOCAL: Final = 900
"""Number of a component's first local patch; they sort last under both rules (facts: upstream's highest is 21)."""
MOST_LOCAL: Final = 100
PARALLEL: Final = "patch0-maven-parallel-build.diff"
"""Written by Bigtop's build where the bom sets `maven_parallel_build` and the property `buildThreads` is given."""

SHARED: Final = (f"{PACKAGING}/scripts", f"{PACKAGING}/extensions")
"""What every component's `debian/` gets, after the component's own folder for Debian and before the common one."""
PATCH_NAME: Final = re.compile(r"patch.*diff")
NUMBER: Final = re.compile(r"patch([0-9]+)-")
THREADS: Final = re.compile(r"[0-9]+C?")
LISTING: Final = re.compile(r"/patch\.\*diff/(?P<order>.*?)series", re.DOTALL)
AS_TEXT: Final = re.compile(r"[\s})]*\.sort\(\)")
GENERATED: Final = re.compile(r'generatePatch\([^"]*?"""(?P<text>.*?)"""', re.DOTALL)

Order = Literal["text", "number"]


@dataclass(frozen=True, kw_only=True)
class SeriesPatch:
    """One patch of a component's series.

    Attributes:
        name: Its file name in `debian/patches`.
        path: Where it is in the Bigtop tree; empty if the build generates it.
        diff: Its bytes.
    """

    name: str
    path: str
    diff: bytes = field(repr=False)

    @property
    def number(self) -> int:
        """What counts from 3.5.0 on: the number before the first dash, 0 for none (`patch9a-x.diff`)."""
        found = NUMBER.search(self.name)
        return int(found[1]) if found else 0

    @property
    def local(self) -> bool:
        """Whether it is one of the recipe's own."""
        return bool(self.path) and FIRST_LOCAL <= self.number < FIRST_LOCAL + MOST_LOCAL


@dataclass(frozen=True, kw_only=True)
class Series:
    """A component's series.

    Attributes:
        order: The rule of this tree.
        patches: All patches, as they are applied.
        findings: What is wrong with the order, one line each: equal numbers, local patches that are not last.
    """

    order: Order
    patches: tuple[SeriesPatch, ...]
    findings: tuple[str, ...]

    @property
    def upstream(self) -> tuple[SeriesPatch, ...]:
        """Upstream's own, generated ones included."""
        return tuple(patch for patch in self.patches if not patch.local)

    @property
    def local(self) -> tuple[SeriesPatch, ...]:
        """The recipe's own."""
        return tuple(patch for patch in self.patches if patch.local)


def local_name(position: int, name: str) -> str:
    """File name of a component's local patch, by its position from 0 among those of that component."""
    return f"patch{FIRST_LOCAL + position}-{name}.diff"


def upstream_series(
    index: Index, tree: str, component: Component, properties: Mapping[str, str] | None = None
) -> Series:
    """The series of a component in a Bigtop tree, with local patches if they are laid in.

    Args:
        index: Has the tree's objects.
        tree: Tree or commit.
        component: Its entry in the tree's bigtop.bom.
        properties: Gradle's `-P` properties of its build.

    Raises:
        TreeError: The tree's packages.gradle sorts patches in a way that is not known here, or `buildThreads` is
            no number of threads.
    """
    found = index.entries(tree, [PACKAGES_SCRIPT]).get(PACKAGES_SCRIPT)
    script = _contents(index, [found.oid])[0].decode(errors="replace") if found else ""
    order, ties_by_name = _order(script, tree)
    patches = _files(index, tree, component.name)
    threads = (properties or {}).get("buildThreads", "")
    if threads and component.maven_parallel_build and (generated := _parallel(script, threads)):
        patches = [patch for patch in patches if patch.name != PARALLEL]
        patches.append(SeriesPatch(name=PARALLEL, path="", diff=generated))
    patches.sort(key=lambda patch: (patch.number if order == "number" else 0, patch.name))
    findings = [*(_equal(patches) if order == "number" and not ties_by_name else []), *_not_last(patches)]
    return Series(order=order, patches=tuple(patches), findings=tuple(findings))


def shapes_series(path: str, component: str) -> bool:
    """Whether a change of this file of Bigtop may change a component's series, or what it is applied to."""
    folder, _, name = path.rpartition("/")
    among = folder in {*SHARED, *folders_of(component)}
    return path in {BOM, PACKAGES_SCRIPT} or (among and bool(PATCH_NAME.fullmatch(name)))


def _order(script: str, tree: str) -> tuple[Order, bool]:
    """The rule that a packages.gradle follows, and whether equal numbers are sorted by name."""
    if listing := LISTING.search(script):
        if AS_TEXT.match(listing["order"]):
            return "text", True
        if "<=>" in listing["order"] and "toInteger()" in script:
            return "number", "?:" in listing["order"]
    raise TreeError(
        f"{PACKAGES_SCRIPT} of tree {tree} sorts component patches in a way that is not known",
        hint="known are `.sort()` of the names (Bigtop up to 3.4.0) and by number (from 3.5.0 on)",
    )


def _files(index: Index, tree: str, component: str) -> list[SeriesPatch]:
    """The patch files of the folders that are copied into `debian/`, in the order of copying; the last one stays."""
    common, debian = folders_of(component)
    folders = [f"{folder}/" for folder in (debian, *SHARED, common)]
    listed = index("ls-tree", "-z", "--full-tree", tree, "--", *folders).stdout
    chosen: dict[str, tuple[int, str, str]] = {}
    for row in filter(None, os.fsdecode(listed).split("\0")):
        facts, _, path = row.partition("\t")
        _, kind, oid = facts.split()
        folder, _, name = path.rpartition("/")
        if kind == "blob" and PATCH_NAME.fullmatch(name):
            place = (folders.index(f"{folder}/"), path, oid)
            chosen[name] = max(place, chosen.get(name, place))
    contents = _contents(index, [oid for _, _, oid in chosen.values()])
    return [
        SeriesPatch(name=name, path=path, diff=diff)
        for (name, (_, path, _)), diff in zip(chosen.items(), contents, strict=True)
    ]


def _contents(index: Index, oids: list[str]) -> list[bytes]:
    """Contents of blobs, with one git process."""
    printed = index("cat-file", "--batch", stdin="".join(f"{oid}\n" for oid in oids).encode()).stdout
    contents = []
    for oid, found in zip(oids, parse_objects(printed), strict=True):
        if found is None:
            raise TreeError(f"git has no object {oid}", hint="the clone may be partial: give a full one")
        contents.append(found.content)
    return contents


def _parallel(script: str, threads: str) -> bytes:
    """The patch that Bigtop's build writes for Maven's threads; empty where a release does not know it.

    Its text is taken from packages.gradle: a string over several lines whose common indent goes (Groovy's
    `stripIndent`).
    """
    found = GENERATED.search(script)
    if not found:
        return b""
    if not THREADS.fullmatch(threads):
        raise TreeError(
            f"Gradle property buildThreads={threads!r} is no number of Maven threads",
            hint="as in `4` or `2C`: see gradle.properties and gradle_properties in the recipe",
        )
    text = textwrap.dedent(found["text"]).replace("${threadCount}", threads)
    return text.replace("\\\\", "\\").encode()


def _equal(patches: list[SeriesPatch]) -> list[str]:
    """Numbers that more than one patch has."""
    groups = (list(group) for _, group in groupby(patches, key=lambda patch: patch.number))
    return [
        f"{' and '.join(patch.name for patch in group)} have the same number: which is applied first depends on the "
        "order in which the build's file system lists them"
        for group in groups
        if len(group) > 1
    ]


def _not_last(patches: list[SeriesPatch]) -> list[str]:
    """Upstream's patches that are applied after a local one."""
    first = next((at for at, patch in enumerate(patches) if patch.local), len(patches))
    return [
        f"{patch.name} of upstream is applied after the local {patches[first].name}"
        for patch in patches[first:]
        if not patch.local
    ]
