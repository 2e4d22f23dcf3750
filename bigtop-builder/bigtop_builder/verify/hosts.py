# SPDX-License-Identifier: Apache-2.0
"""The clean hosts that the set is tried on: as few rooms as its roles allow."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Self

from bigtop_builder.artifact import Deb
from bigtop_builder.recipe import Recipe, Service
from bigtop_builder.room import Room, RoomMaker
from bigtop_builder.verify.closure import Closure, Judgement, judge_closure
from bigtop_builder.verify.install import Guests, try_packages
from bigtop_builder.verify.older import Kind, newest, replaced
from bigtop_builder.verify.packages import Judged
from bigtop_builder.verify.shelf import furnish
from bigtop_builder.verify.simulate import simulate
from bigtop_builder.verify.verdict import Finding

NAMED = 8
"""Roles of one room that findings name one by one."""


KEYRING = "-archive-keyring"
"""End of the name of a repository's own package: each publish brings it in, and it belongs to no release."""


@dataclass(frozen=True, kw_only=True)
class Earlier(Generic[Kind]):
    """What the checks take of the packages published before.

    Attributes:
        replaced: What the set upgrades: the newest lower version of each of its packages.
        stand_ins: The newest of each package that the set does not hold; dependencies may need it.
    """

    replaced: Sequence[Kind]
    stand_ins: Sequence[Kind]

    @classmethod
    def of(cls, debs: Sequence[Deb], previous: Sequence[Kind]) -> Self:
        """Choose from the packages published before, for a set."""
        names = {deb.name for deb in debs}
        others = (deb for deb in previous if deb.name not in names and not deb.name.endswith(KEYRING))
        return cls(replaced=replaced(debs, previous), stand_ins=list(newest(others).values()))


def try_on_hosts(
    judged: Sequence[Judged],
    recipe: Recipe,
    rooms: RoomMaker,
    previous: Sequence[Deb],
    unselected: Mapping[str, str],
) -> tuple[list[Finding], Mapping[str, str]]:
    """Closure and installation: in one room if a host can have all roles at once, else in one a role."""
    debs = [item.deb for item in judged]
    earlier = Earlier.of(debs, previous)
    services = services_of(recipe, {item.built.component for item in judged})
    with rooms.open(purpose="verify") as room:
        furnish(room, debs, earlier.stand_ins)
        judgement = judge_closure(
            room, debs, roles=recipe.roles, unselected=unselected, published=earlier.stand_ins
        )
        parties = _parties(room, judgement.closures)
        guests = [_guests(party, judged, services, earlier.replaced) for party in parties]
        findings = [*judgement.findings, *_without_host(judgement, services)]
        if guests:
            findings += try_packages(room, guests[0])
    for more in guests[1:]:
        with rooms.open(purpose="verify") as room:
            furnish(room, debs, earlier.stand_ins)
            findings += try_packages(room, more)
    return findings, judgement.not_published


def _parties(room: Room, closures: Sequence[Closure]) -> list[list[Closure]]:
    """All closures together if apt can install them on one host, else each alone."""
    if len(closures) <= 1:
        return [list(closures)] if closures else []
    everything = sorted({root for closure in closures for root in closure.roots})
    (outcome,) = simulate(room, [everything])
    return [list(closures)] if outcome.works else [[closure] for closure in closures]


def _guests(
    party: Sequence[Closure],
    judged: Sequence[Judged],
    services: Iterable[Service],
    earlier: Sequence[Deb],
) -> Guests:
    own = {name for closure in party for name in closure.own}
    return Guests(
        name=", ".join(closure.name for closure in party) if len(party) <= NAMED else "*",
        closures=party,
        debs=[(item.deb, item.contents) for item in judged if item.deb.name in own],
        services=[service for service in services if service.package in own],
        previous=earlier,
    )


def _without_host(judgement: Judgement, services: Iterable[Service]) -> list[Finding]:
    """Services that are started nowhere because nothing installs their package."""
    installed = {name for closure in judgement.closures for name in closure.own}
    return [
        Finding(
            check="service",
            subject=service.package,
            outcome="skipped",
            detail=judgement.not_published.get(service.package, "the set does not hold its package"),
        )
        for service in services
        if service.package not in installed
    ]


def services_of(recipe: Recipe, components: Iterable[str]) -> list[Service]:
    """Daemons of these components, in the recipe's order."""
    chosen = set(components)
    return [service for part in recipe.components if part.name in chosen for service in part.services]
