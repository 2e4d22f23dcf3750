# SPDX-License-Identifier: Apache-2.0
"""The fleet's definition, `repo/fleet.toml`: roles of hosts, and how an upgrade goes through them."""

import logging
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from bigtop_builder.errors import InputError
from bigtop_builder.fleet.host_pattern import expand
from bigtop_builder.fleet.services import Day, Rehearsal, Service
from bigtop_builder.recipe import Recipe
from bigtop_builder.repository.layout import Suite
from bigtop_builder.schema import Name, Value, nearest

log = logging.getLogger(__name__)

Choice = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.\-]*( *\| *[a-z0-9][a-z0-9+.\-]*)*$")]
"""A package, or several names of it, of which the first one counts that a release has: `spark | spark-core`."""
Text = Annotated[str, StringConstraints(min_length=1)]


class Role(Value):
    """What the hosts of a role install, and how they are upgraded."""

    packages: tuple[Choice, ...] = Field(
        min_length=1,
        description="Packages of the repository that its hosts install; `spark | spark-core` is the first that a "
        "release has",
    )
    distribution: tuple[Name, ...] = Field(
        (), description="Packages of the target distribution that its hosts install too, as a Java runtime"
    )
    order: int = Field(
        0, ge=0, description="Roles with lower numbers are upgraded first; of equal ones by name"
    )
    batch: int = Field(1, ge=1, description="Hosts that are upgraded at once")
    pause: int = Field(0, ge=0, description="Seconds between two batches")
    health: tuple[Text, ...] = Field(
        (),
        description="Shell lines that must succeed on each host of a batch before the next one is upgraded",
    )
    groups: tuple[Text, ...] = Field(
        (), description="Groups of the inventory whose hosts have it; the one of its own name if empty"
    )

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for names in (self.packages, self.distribution, self.groups):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{twice[0]!r} is listed twice")
        return self

    @property
    def roots(self) -> tuple[str, ...]:
        """All that is asked of apt for a host of it."""
        return (*self.packages, *self.distribution)


class Demand(Value):
    """What `repo promote` demands before the hosts of a suite get a snapshot."""

    rehearsal: bool = Field(
        False,
        description="A green `fleet rehearse` from the snapshot that the suite has, signed by the repository's keys",
    )
    rehearsals: Text = Field(
        "../build/fleet",
        description="Folder, relative to this file, that has <16 digits of the snapshot>/rehearsal.json",
    )
    canary: tuple[Text, ...] = Field(
        (),
        description="Hosts, by name or pattern, that have the snapshot already and of which `verify-host` found each "
        "as its manifest says, in full",
    )
    reports: Text = Field(
        "../build/fleet/canary",
        description="Folder, relative to this file, that has their reports, <host>.json",
    )
    days: int = Field(7, ge=1, description="Older reports do not count")

    @model_validator(mode="after")
    def _patterns_are_some(self) -> Self:
        for pattern in self.canary:
            expand(pattern)
        return self


class Fleet(Value):
    """Roles, hosts, and how an upgrade goes through them."""

    format: Literal[1] = Field(description="Version of this format")
    inventory: str = Field(
        "",
        description="Ansible inventory (INI, YAML or JSON), relative to this file; `--inventory` comes before it",
    )
    together: tuple[tuple[Name, ...], ...] = Field(
        (), description="Sets of roles that one host may have; without them it has one"
    )
    roles: dict[Name, Role] = Field(
        default_factory=dict, description="Roles by name; those of the recipes if there are none"
    )
    hosts: dict[Name, tuple[Text, ...]] = Field(
        default_factory=dict, description="Role -> its hosts, by name or pattern: `worker[01-80].example.org`"
    )
    services: dict[Name, Service] = Field(
        default_factory=dict,
        description="Package -> its service, over what is built in for Bigtop's packages",
    )
    day: Day = Field(default_factory=Day, description="What holds on all hosts on the day of an upgrade")
    rehearsal: dict[Name, Rehearsal] = Field(
        default_factory=dict, description="Role -> what a rehearsal does on its host"
    )

    promote: dict[Suite, Demand] = Field(
        default_factory=dict,
        description="Suite -> what is demanded before its hosts get a snapshot; `--force` goes on without",
    )

    @model_validator(mode="after")
    def _roles_are_there(self) -> Self:
        named = [("together", role) for together in self.together for role in together]
        named += [(key, role) for key in ("hosts", "rehearsal") for role in getattr(self, key)]
        for key, role in named:
            if self.roles and role not in self.roles:
                raise ValueError(
                    f"`{key}` names role {role!r}, which there is not; {nearest(role, self.roles)}"
                )
        return self


def load_fleet(path: Path) -> Fleet:
    """Read the fleet's definition; one without roles and hosts where there is none.

    Raises:
        InputError: It is malformed, or does not fit; file, line, key and value are named.
    """
    return Fleet.from_toml(path) if path.exists() else Fleet(format=1)


def roles_in(
    fleet: Fleet,
    packages: Collection[str],
    *,
    path: Path,
    snapshot: str,
    recipes: Iterable[Recipe] = (),
) -> dict[str, Role]:
    """Roles with the packages that a snapshot has, by name.

    Args:
        fleet: The definition.
        packages: Names of all packages of the snapshot.
        path: The definition's file, for errors.
        snapshot: What the snapshot is called there.
        recipes: Whose roles count if the definition has none, the newest last. What the snapshot has not is of
            the target distribution then: `verify` has installed all of them.

    Raises:
        InputError: A role names a package that is not there; it is named with the nearest.
    """
    if not fleet.roles:
        return _of_recipes(recipes, packages)
    chosen = {}
    for name, role in fleet.roles.items():
        found = tuple(_choose(one, packages, f"{path}: role {name!r}", snapshot) for one in role.packages)
        chosen[name] = role.model_copy(update={"packages": found})
    return chosen


def _choose(choice: str, packages: Collection[str], where: str, snapshot: str) -> str:
    names = re.split(r" *\| *", choice)
    if found := next((name for name in names if name in packages), ""):
        return found
    raise InputError(
        f"{where} names package {choice!r}, and snapshot {snapshot} has none of that name",
        details=nearest(names[0], sorted(packages)) if packages else "it has no package at all",
        hint="mend the name; a package of the distribution goes under `distribution`, and one that other releases "
        "name otherwise is written as 'name | other-name'; --fleet names another definition",
    )


def _of_recipes(recipes: Iterable[Recipe], packages: Collection[str]) -> dict[str, Role]:
    found: dict[str, Role] = {}
    for recipe in recipes:
        for name, wanted in recipe.roles.items():
            ours = tuple(one for one in dict.fromkeys(wanted) if one in packages)
            others = tuple(one for one in dict.fromkeys(wanted) if one not in packages)
            if ours:
                found[name] = Role(packages=ours, distribution=others)
            else:
                log.info("role %s of recipe %s has no package in the snapshot: left out", name, recipe.id)
    return found


def in_order(roles: Mapping[str, Role]) -> list[str]:
    """Names of roles in the order in which they are upgraded."""
    return sorted(roles, key=lambda name: (roles[name].order, name))
