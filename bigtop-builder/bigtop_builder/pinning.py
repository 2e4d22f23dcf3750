# SPDX-License-Identifier: Apache-2.0
"""Pins: a source's sha512, verified by what its publisher offers, and written into the recipe for review."""

import logging
from dataclasses import dataclass
from pathlib import Path

import tomlkit

from bigtop_builder.acquire import Desk, acquire, location, settle
from bigtop_builder.atomic import write_whole
from bigtop_builder.download import Progress, quiet, wrong_checksum
from bigtop_builder.errors import InputError, SourceError
from bigtop_builder.proof import prove
from bigtop_builder.recipe import Component, Source
from bigtop_builder.schema import digest
from bigtop_builder.settings import Settings
from bigtop_builder.workspace import Workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pin:
    """What `source fetch --pin` writes.

    Attributes:
        sha512: Of the download, or of the tar that stands for a commit or folder.
        checked: What the bytes were verified with, in words.
    """

    sha512: str
    checked: str


def pin(
    source: Source,
    *,
    workspace: Workspace,
    settings: Settings,
    recipe_dir: Path,
    trust_first_use: bool = False,
    progress: Progress = quiet,
) -> Pin:
    """Fetch a source, verify it by what its publisher offers, and return the pin for a human to review.

    In this order: a signature by one of `signed_by`, if any are given; a checksum file beside it. A git
    commit is its own checksum, and a local file is reviewed with the recipe. The download stays in the cache.

    Args:
        source: The candidate. If it has a pin already, the bytes must match it.
        workspace: Holds the cache.
        settings: Mirrors and proxy.
        recipe_dir: Where relative paths in the recipe start.
        trust_first_use: Pin it even if there is nothing to verify it with.
        progress: Told how far a download is.

    Raises:
        SourceError: It cannot be had, does not verify, or there is nothing to verify it with.
    """
    desk = Desk(workspace=workspace, settings=settings, recipe_dir=recipe_dir, progress=progress)
    name = digest(source.where)
    part = workspace.sources / "pending" / name / "download.part"
    with desk.lock(name):
        got = acquire(source, part, desk)
        try:
            if source.sha512 not in ("", got):
                raise wrong_checksum(source.where, expected=source.sha512, got=got)
            place = location(source, settings)
            checked = prove(part, source, place=place, settings=settings, base=recipe_dir)
            checked = checked or _first_use(source, trust=trust_first_use)
        except SourceError:
            part.unlink()
            raise
        settle(part, desk.kept(source.model_copy(update={"sha512": got})))
    return Pin(sha512=got, checked=checked)


def pin_first(
    component: Component,
    *,
    workspace: Workspace,
    settings: Settings,
    recipe_dir: Path,
    trust_first_use: bool = False,
    progress: Progress = quiet,
) -> tuple[int, Pin]:
    """Pin the first candidate of a component, of the kinds that this site uses, that can be had and verified.

    Args as those of `pin`. Returns which of the component's sources it is, counted from 0, and its pin.

    Raises:
        SourceError: None of them can be pinned; each is named with why.
    """
    refusals: list[SourceError] = []
    for index, candidate in enumerate(component.sources):
        if candidate.kind not in settings.sources.kinds:
            continue
        try:
            return index, pin(
                candidate,
                workspace=workspace,
                settings=settings,
                recipe_dir=recipe_dir,
                trust_first_use=trust_first_use,
                progress=progress,
            )
        except SourceError as error:
            log.warning("%s: %s", component.name, error.brief)
            refusals.append(error)
    raise SourceError(
        f"{component.name}: none of its {len(refusals)} sources can be pinned",
        details="\n".join(str(error) for error in refusals),
        hint="review the recipe's sources; mirrors are in the settings",
    )


def write_pin(recipe: Path, component: str, index: int, pin: Pin) -> None:
    """Write a pin into a recipe, keeping its comments and layout.

    Args:
        recipe: The recipe's file.
        component: Name of the component.
        index: Which of its sources, counted from 0.
        pin: What is written.

    Raises:
        InputError: The recipe has no such component or source.
    """
    document = tomlkit.parse(recipe.read_text(encoding="utf-8"))
    try:
        found = next(item for item in document["components"] if item["name"] == component)
        source = found["sources"][index]
    except (KeyError, IndexError, StopIteration) as error:
        raise InputError(f"{recipe}: component {component!r} has no source number {index + 1}") from error
    source["sha512"], source["checked"] = pin.sha512, pin.checked
    write_whole(recipe, tomlkit.dumps(document))


def _first_use(source: Source, *, trust: bool) -> str:
    if trust:
        return "first use"
    raise SourceError(
        f"there is nothing to verify {source.where} with: no checksum file beside it, no signed_by",
        hint="give signed_by and keys in the recipe, or pin it as it is with --trust-first-use",
    )
