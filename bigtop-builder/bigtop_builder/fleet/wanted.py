# SPDX-License-Identifier: Apache-2.0
"""What roles ask of apt, in a snapshot and in the one to go back to; and of which distribution."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from bigtop_builder.errors import InputError
from bigtop_builder.fleet.definition import Fleet, in_order, roles_in
from bigtop_builder.fleet.offer import Offer
from bigtop_builder.recipe import Recipe
from bigtop_builder.repository.attested import release_manifest
from bigtop_builder.repository.state import State
from bigtop_builder.schema import nearest

JOINT = "+"
"""Between the names of roles, in their order, that one host has together: `coordinator+master`."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a role asks of apt.

    Attributes:
        role: Its name; of roles that one host may have together all of them.
        upgrade: Packages of the snapshot.
        rollback: Packages of the snapshot that hosts go back to.
        distribution: Packages of the distribution.
    """

    role: str
    upgrade: tuple[str, ...]
    rollback: tuple[str, ...] = ()
    distribution: tuple[str, ...] = ()


def wanted_of(
    fleet: Fleet,
    path: Path,
    chosen: Sequence[str],
    now: Offer,
    back: Offer | None,
    *,
    architecture: str,
    recipes: Sequence[Recipe] = (),
) -> list[Wanted]:
    """What roles ask of apt, of the snapshot and of the one to go back to; and sets of roles that one host may have.

    Args:
        fleet: The definition.
        path: Its file, for errors.
        chosen: Names of roles; all if empty.
        now: The snapshot.
        back: The one to go back to; None if there is none.
        architecture: Of the hosts.
        recipes: Whose roles count if the definition has none.

    Raises:
        InputError: There is no such role, or it names a package that is not there.
    """
    every = roles_in(fleet, now.of(architecture), path=path, snapshot=now.suite, recipes=recipes)
    for name in chosen:
        if name not in every:
            raise InputError(
                f"there is no role {name!r}", hint=f"{nearest(name, every)}; {path} has the roles"
            )
    if not every:
        raise InputError(
            f"{path} has no roles, and neither have the recipes", hint="docs/fleet.md tells how to write them"
        )
    before: Mapping[str, object] = back.of(architecture) if back else {}

    def wanted(name: str) -> Wanted:
        named = fleet.roles[name].packages if fleet.roles else every[name].packages
        there = (next((part for part in re.split(r" *\| *", one) if part in before), "") for one in named)
        role = every[name]
        return Wanted(
            role=name,
            upgrade=role.packages,
            rollback=tuple(filter(None, there)),
            distribution=role.distribution,
        )

    alone = {name: wanted(name) for name in chosen or every}
    order = in_order(every)
    return [
        *alone.values(),
        *(_joint(alone, names) for names in _sets(fleet, [one for one in order if one in alone])),
    ]


def _sets(fleet: Fleet, names: Sequence[str]) -> list[tuple[str, ...]]:
    """Sets of two roles or more that one host may have, each once, in the order of the roles."""
    found = (
        chosen
        for together in fleet.together
        for size in range(2, len(together) + 1)
        for chosen in combinations([name for name in names if name in together], size)
    )
    return [*dict.fromkeys(found)]


def _joint(alone: Mapping[str, Wanted], names: tuple[str, ...]) -> Wanted:
    """What a host with several roles asks for: all at once, for what one role brings the other's way removes."""

    def every(part: Callable[[Wanted], tuple[str, ...]]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(package for name in names for package in part(alone[name])))

    return Wanted(
        role=JOINT.join(names),
        upgrade=every(lambda one: one.upgrade),
        rollback=every(lambda one: one.rollback),
        distribution=every(lambda one: one.distribution),
    )


def releases_of(state: State, offer: Offer) -> tuple[str, ...]:
    """Releases that a snapshot has, in their order, each with its target: `3.5.0-deb12`."""
    said = [release_manifest(state, one) for one in state.snapshot(offer.snapshot).manifests]
    return tuple(dict.fromkeys(f"{one['release']}-{one['target']}" for one in said))


def target_of(recipes: Sequence[Recipe]) -> Recipe:
    """A recipe of the one distribution that a snapshot is for.

    Args:
        recipes: Of the snapshot's releases.

    Raises:
        InputError: It is not plain which.
    """
    tags = {recipe.target.tag: recipe for recipe in recipes}
    if len(tags) != 1:
        raise InputError(
            f"the snapshot's releases are for {', '.join(tags)}"
            if tags
            else "nothing tells which distribution the snapshot is for: no recipe here is of its releases",
            hint="name a recipe of the distribution that hosts have with --recipe",
        )
    return next(iter(tags.values()))
