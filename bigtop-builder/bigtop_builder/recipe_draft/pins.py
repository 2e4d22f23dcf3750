# SPDX-License-Identifier: Apache-2.0
"""Pins of a draft: those that a recipe of the project has already, and what can be fetched and verified now."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bigtop_builder.acquire import kept
from bigtop_builder.errors import SourceError
from bigtop_builder.pinning import Pin, pin, pin_first
from bigtop_builder.recipe import Component, Recipe, Source
from bigtop_builder.settings import Settings
from bigtop_builder.sources import select
from bigtop_builder.workspace import Workspace

log = logging.getLogger(__name__)

AT_ONCE: Final = 4
"""Downloads at a time: hosts that are gone take seconds each to say so."""
Known = Mapping[Source, tuple[Source, str]]
"""A candidate without its pin -> with it, and the recipe that has it."""


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """What became of a component's source.

    Attributes:
        component: The component, each candidate with the pin it has.
        chosen: The candidate that is built from; None if nothing is downloaded.
        by: Recipe whose pin that is; empty if it was fetched now, or is unpinned.
        failure: Why nothing could be pinned.
    """

    component: Component
    chosen: Source | None = None
    by: str = ""
    failure: SourceError | None = field(default=None, repr=False)


def known_pins(recipes: Iterable[tuple[Recipe, Path]], folder: Path) -> Known:
    """All pins of recipes, those of the first ones first.

    Args:
        recipes: With their files.
        folder: Where relative paths start: of a recipe in another folder, files and folders are left out.
    """
    found: dict[Source, tuple[Source, str]] = {}
    for recipe, path in recipes:
        for source in (one for component in recipe.components for one in component.sources if one.sha512):
            if source.kind != "file" or path.parent == folder:
                found.setdefault(_bare(source), (source, path.stem))
    return found


def pin_all(
    components: Sequence[Component], known: Known, *, settings: Settings, recipe_dir: Path
) -> tuple[Pinned, ...]:
    """Pin one candidate of each component, as `source fetch --pin` does; what cannot be had stays unpinned.

    Args:
        components: Their candidates may be pinned already.
        known: Pins of other recipes, which nothing is fetched for.
        settings: Site settings.
        recipe_dir: Where relative paths start.
    """
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return tuple(threads.map(lambda one: _pinned(one, known, settings, recipe_dir), components))


def fetch_pinned(pins: Sequence[Pinned], *, settings: Settings, recipe_dir: Path) -> None:
    """Bring sources that are pinned into the cache, so that patches can be tried on them; what cannot be had is told.

    Args:
        pins: What became of the sources.
        settings: Site settings.
        recipe_dir: Where relative paths start.
    """
    workspace = Workspace(settings.cache_dir)
    for one in pins:
        if one.chosen and one.chosen.sha512 and not kept(one.chosen, workspace).is_file():
            try:
                pin(one.chosen, workspace=workspace, settings=settings, recipe_dir=recipe_dir)
            except SourceError as error:
                log.warning("%s: %s", one.component.name, error.brief)


def _pinned(component: Component, known: Known, settings: Settings, recipe_dir: Path) -> Pinned:
    by: dict[Source, str] = {}
    sources = []
    for source in component.sources:
        there, recipe = (None, "") if source.sha512 else known.get(_bare(source), (None, ""))
        sources.append(_as_in(source, there) if there else source)
        by[sources[-1]] = recipe
    component = component.model_copy(update={"sources": tuple(sources)})
    chosen = select(component, settings)
    if chosen is None and sources:
        kinds = ", ".join(settings.sources.kinds)
        failure = SourceError(f"{component.name}: no source is of a kind that this site uses ({kinds})")
        return Pinned(component=component, chosen=sources[0], failure=failure)
    if chosen is None or chosen.sha512:
        return Pinned(component=component, chosen=chosen, by=by.get(chosen, "") if chosen else "")
    try:
        index, got = pin_first(
            component, workspace=Workspace(settings.cache_dir), settings=settings, recipe_dir=recipe_dir
        )
    except SourceError as error:
        return Pinned(component=component, chosen=chosen, failure=error)
    sources[index] = _with(sources[index], got)
    return Pinned(component=component.model_copy(update={"sources": tuple(sources)}), chosen=sources[index])


def _with(source: Source, got: Pin) -> Source:
    return source.model_copy(update={"sha512": got.sha512, "checked": got.checked})


def _as_in(source: Source, there: Source) -> Source:
    """A candidate with another recipe's pin; who must have signed it stays."""
    signed = {} if source.signed_by else {"signed_by": there.signed_by, "keys": there.keys}
    return source.model_copy(update={"sha512": there.sha512, "checked": there.checked, **signed})


def _bare(source: Source) -> Source:
    """A candidate by its place alone."""
    return source.model_copy(update={"sha512": "", "checked": "", "signed_by": (), "keys": "", "ref": ""})
