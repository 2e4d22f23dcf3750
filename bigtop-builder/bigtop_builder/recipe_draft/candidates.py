# SPDX-License-Identifier: Apache-2.0
"""Where a draft's components can be had from: as in the earlier recipe, in the new version; else as the bom says."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from bigtop_builder.bom import Component as BomComponent
from bigtop_builder.errors import TreeError
from bigtop_builder.recipe import Source

DIST: Final = re.compile(r"https?://archive\.apache\.org/dist/+(?P<folder>.*)")
"""Apache's archive; what follows is the same on its server of current releases."""
Resolve = Callable[[str, str], str]
"""Finds the commit of a tag: repository, tag."""


class NotFollowed(Exception):
    """A candidate of the earlier recipe has no counterpart for the new version; the words say why."""


def bom_candidates(component: BomComponent, resolve: Resolve) -> tuple[Source, ...]:
    """What Bigtop's own build would download: a commit, an Apache release, or a file of any other site.

    Raises:
        TreeError: The tag of a commit cannot be looked up.
    """
    git, file = component.git, component.tarball_source
    if git.get("repo") and (git.get("commit_hash") or git.get("ref")):
        ref = git.get("ref", "")
        commit = git.get("commit_hash") or resolve(git["repo"], ref)
        return (Source(kind="git", repository=git["repo"], commit=commit, ref=ref),)
    folders = [one.rstrip("/") for one in (component.archive, component.site) if one]
    if not file or not folders:
        return ()
    if match := DIST.match(folders[0]):
        path = re.sub("/+", "/", f"{match['folder']}/{file}")
        return (Source(kind="apache", path=path), Source(kind="archive", path=path))
    return tuple(Source(kind="url", url=f"{folder}/{file}") for folder in dict.fromkeys(reversed(folders)))


def followed(
    sources: Iterable[Source], *, old: str, new: str, of_bom: tuple[Source, ...], resolve: Resolve, base: Path
) -> Iterator[Source | NotFollowed]:
    """The candidates of an earlier recipe for another version, unpinned, in their order.

    Args:
        sources: The earlier recipe's.
        old: Version that they are of.
        new: Version that is wanted.
        of_bom: The bom's own; those on Apache's servers are taken from there.
        resolve: Finds the commit of a tag.
        base: Folder of the earlier recipe.
    """
    for source in sources:
        try:
            if source.kind in ("apache", "archive"):
                yield from (_like(source, one) for one in of_bom if one.kind == source.kind)
            else:
                yield _followed(source, old, new, resolve, base)
        except NotFollowed as reason:
            yield reason


def _followed(source: Source, old: str, new: str, resolve: Resolve, base: Path) -> Source:
    if source.kind == "maven":
        group, artifact, version, classifier, extension = source.coordinates.split(":")
        if version != old:
            raise NotFollowed(f"{source.where}: its version is not {old}, so that for {new} is not known")
        coordinates = f"{group}:{artifact}:{new}:{classifier}:{extension}"
        return _like(source, Source(kind="maven", coordinates=coordinates))
    if source.kind == "git":
        ref = _renumbered(source.ref, old, new, source)
        try:
            commit = resolve(source.repository, ref)
        except TreeError as error:
            raise NotFollowed(f"{source.where}: {ref} cannot be looked up: {error.brief}") from error
        return _like(source, Source(kind="git", repository=source.repository, commit=commit, ref=ref))
    if source.kind == "url":
        return _like(source, Source(kind="url", url=_renumbered(source.url, old, new, source)))
    file = _renumbered(source.file, old, new, source)
    if not (base / file).exists():
        raise NotFollowed(f"{source.where}: there is no {file} beside the recipe")
    return _like(source, Source(kind="file", file=file))


def _renumbered(text: str, old: str, new: str, source: Source) -> str:
    """A text with one version in place of another, which is no part of a longer one.

    Raises:
        NotFollowed: It does not name the old one.
    """
    found, count = re.subn(rf"(?<!\d)(?<!\d\.){re.escape(old)}(?!\.?\d)", lambda _: new, text)
    if not count:
        raise NotFollowed(f"{source.where}: {text!r} does not name {old}, so that for {new} is not known")
    return found


def _like(old: Source, new: Source) -> Source:
    """A candidate that is to be verified as another one is."""
    return new.model_copy(update={"signed_by": old.signed_by, "keys": old.keys})
