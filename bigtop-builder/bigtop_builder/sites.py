# SPDX-License-Identifier: Apache-2.0
"""Sites: which builder one has, and at which other a stale lock would be current."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import combinations

from bigtop_builder.errors import BuilderError
from bigtop_builder.image import builder_image
from bigtop_builder.plan import HOST, Grounds, Plan, make_plan
from bigtop_builder.recipe import Recipe
from bigtop_builder.settings import Settings


def builder_of(recipe: Recipe, settings: Settings, *, host: bool) -> tuple[str, str]:
    """Name of the builder image, `HOST` if builds run on this very machine, and the hash of what it is made of."""
    if host:
        from bigtop_builder.host import toolchain

        return HOST, toolchain()
    spec = builder_image(recipe, settings)
    return spec.name, spec.id


def fitting_site(planned: Plan, grounds: Grounds, selected: Sequence[str]) -> str:
    """Settings with which all builds that the lock knows would be current, in words; empty if there are none.

    Only ids are in a lock, so settings that sites differ in are tried.

    Args:
        planned: The plan here.
        grounds: What it was made from.
        selected: What it was made for.
    """
    stale = {step.name for step in planned.steps if step.id and not step.serial}
    stale &= {name for name, ids in grounds.lock.components.items() if ids}
    tried = {(grounds.settings.gradle, grounds.image_id)}
    for words, settings, (image, image_id) in _others(grounds) if stale else ():
        if (settings.gradle, image_id) in tried:
            continue
        tried.add((settings.gradle, image_id))
        there = make_plan(replace(grounds, settings=settings, image=image, image_id=image_id), selected)
        if all(step.serial for step in there.steps if step.name in stale):
            return words
    return ""


def _others(grounds: Grounds) -> Iterator[tuple[str, Settings, tuple[str, str]]]:
    """Sites that differ from this one in what decides build ids, those that differ least first."""
    changes, here = _changes(grounds.settings), grounds.image == HOST
    for count in range(len(changes) + 1):
        for chosen in combinations(changes, count):
            words, settings = [word for word, _ in chosen], grounds.settings
            for _, change in chosen:
                settings = change(settings)
            for host in (here, not here):
                builder = [f"--builder {'host' if host else 'docker'}"] if host != here else []
                with suppress(BuilderError):
                    yield (
                        ", ".join(words + builder),
                        settings,
                        builder_of(grounds.recipe, settings, host=host),
                    )


def _changes(here: Settings) -> list[tuple[str, Callable[[Settings], Settings]]]:
    """Each setting that decides build ids and another value that a site may have, in words and as a change."""
    gradle = "wrapper" if here.gradle == "system" else "system"
    base = "auto" if here.image.base == "mmdebstrap" else "mmdebstrap"
    security = "" if here.mirrors.debian_security else type(here.mirrors)().debian_security

    def mirrors(site: Settings) -> Settings:
        return site.model_copy(
            update={"mirrors": site.mirrors.model_copy(update={"debian_security": security})}
        )

    found: list[tuple[str, Callable[[Settings], Settings]]] = [
        (f'gradle = "{gradle}"', lambda site: site.model_copy(update={"gradle": gradle})),
        (
            f'image.base = "{base}"',
            lambda site: site.model_copy(update={"image": site.image.model_copy(update={"base": base})}),
        ),
        (f'mirrors.debian_security = "{security}"', mirrors),
    ]
    if here.ca_certificates:
        found.append(("no ca_certificates", lambda site: site.model_copy(update={"ca_certificates": None})))
    return found
