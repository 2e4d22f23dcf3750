# SPDX-License-Identifier: Apache-2.0
"""Tags of Bigtop that are releases, and the bill of materials that each has.

Bigtop's tags are `rel/<release>`, and `release-<release>`, which candidates have too (`release-3.6.0-RC0`).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from bigtop_builder.bom import Bom, parse_bom
from bigtop_builder.errors import InputError, TreeError
from bigtop_builder.mirror import Mirror
from bigtop_builder.packaging import BOM
from bigtop_builder.patches.queue import release_order
from bigtop_builder.recipe import Recipe
from bigtop_builder.schema import nearest

RELEASE_TAG: Final = re.compile(r"(?:rel/|release-)*(?P<release>\d+(?:\.\d+)*(?:-RC\d+|-[a-z0-9.]+)?)")
"""What follows the prefix is what a recipe takes for a release."""
KINDS: Final = ("rel/", "release-", "")
"""Prefixes, the one that counts most first."""


@dataclass(frozen=True, kw_only=True)
class Tag:
    """A tag of a release.

    Attributes:
        name: As git has it, without `refs/tags/`.
        release: The release, as a recipe names it.
        commit: Commit id.
    """

    name: str
    release: str
    commit: str


def release_tags(mirror: Mirror) -> tuple[Tag, ...]:
    """Tags of releases, oldest release first, and of one release `rel/` last."""
    found = (
        Tag(name=name, release=match["release"], commit=commit)
        for name, commit in mirror.tags().items()
        if (match := RELEASE_TAG.fullmatch(name))
    )
    return tuple(sorted(found, key=lambda tag: (release_order(tag.release), -_kind(tag.name), tag.name)))


def find_tag(mirror: Mirror, word: str) -> Tag:
    """The tag that a user named: as it is, or by its release alone.

    Raises:
        InputError: There is no such tag, or it names no release.
    """
    there = mirror.tags()
    plain = word.removeprefix("refs/tags/")
    name = next((f"{kind}{plain}" for kind in ("", *KINDS) if f"{kind}{plain}" in there), "")
    if not name:
        raise InputError(
            f"Bigtop has no tag {word!r} ({mirror.url or mirror.path})",
            hint=nearest(plain, list(there)[-20:]),
        )
    match = RELEASE_TAG.fullmatch(name)
    if not match:
        raise InputError(
            f"tag {name!r} names no release", hint="rel/<release> and release-<release> do: see ci tags"
        )
    return Tag(name=name, release=match["release"], commit=there[name])


def bom_at(mirror: Mirror, commit: str, *, where: str, jdk: str) -> Bom:
    """The bill of materials of a commit.

    Args:
        mirror: Has the commit.
        commit: Commit id.
        where: How people name it.
        jdk: BIGTOP_JDK, which the file may ask for.

    Raises:
        TreeError: It has none, or one that cannot be read.
    """
    found = mirror.git("cat-file", "blob", f"{commit}:{BOM}", check=False)
    if found.returncode:
        raise TreeError(
            f"{where} has no {BOM}",
            details=found.complaint,
            hint="name a release that has it: bigtop-builder ci tags --all lists releases",
        )
    text = found.stdout.decode(errors="replace")
    return parse_bom(text, source=f"{BOM} of {where}", environment={"BIGTOP_JDK": jdk})


def last_with(component: str, tags: Iterable[Tag], *, mirror: Mirror, jdk: str) -> tuple[Tag, Bom] | None:
    """The newest of some tags whose release builds .debs of a component, and its bill of materials.

    Args:
        component: Name in `bigtop.bom`.
        tags: Oldest first.
        mirror: Has them.
        jdk: BIGTOP_JDK.
    """
    for tag in reversed([*tags]):
        try:
            bom = bom_at(mirror, tag.commit, where=tag.name, jdk=jdk)
        except TreeError:  # releases from before that file had its form of today
            continue
        if component in bom.components and bom.components[component].has_deb:
            return tag, bom
    return None


def unknown_tags(tags: Iterable[Tag], recipes: Iterable[Recipe], *, every: bool = False) -> tuple[Tag, ...]:
    """Tags of releases that no recipe is for, one a release, oldest first.

    Args:
        tags: Oldest first, as `release_tags` returns them.
        recipes: All recipes of a project.
        every: Also releases from before the oldest recipe, and candidates that something newer came of.
    """
    known = list(recipes)
    commits = {recipe.bigtop.commit for recipe in known}
    releases = {recipe.release for recipe in known}
    newest: Mapping[str, Tag] = {tag.release: tag for tag in tags}
    oldest = min(map(release_order, releases), default=((), False, ""))
    last = {release.partition("-")[0]: release for release in newest}
    return tuple(
        tag
        for release, tag in newest.items()
        if release not in releases and tag.commit not in commits
        if every or (release_order(release) > oldest and last[release.partition("-")[0]] == release)
    )


def _kind(name: str) -> int:
    return next(number for number, kind in enumerate(KINDS) if name.startswith(kind))
