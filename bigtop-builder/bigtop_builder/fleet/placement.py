# SPDX-License-Identifier: Apache-2.0
"""Which services are on which hosts before and after an upgrade, and which hosts are alike by their roles."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from bigtop_builder.fleet.definition import Role
from bigtop_builder.fleet.lists import RoleLists
from bigtop_builder.fleet.services import Service
from bigtop_builder.fleet.wanted import JOINT


@dataclass(frozen=True, kw_only=True)
class Placed:
    """The service of a package, on its hosts.

    Attributes:
        package: The package.
        service: What is done with it.
        before: Hosts that have it before the upgrade, the first host first.
        after: Those that have it afterwards.
    """

    package: str
    service: Service
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def id(self) -> str:
        """What its steps are called."""
        return _id(self.package)

    @property
    def unit(self) -> str:
        """What `service` knows it by."""
        return self.service.unit

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts that have it before or after."""
        return tuple(dict.fromkeys((*self.before, *self.after)))

    @property
    def start(self) -> tuple[str, ...]:
        """Lines that start it."""
        return self.service.start or (f"start_service {self.unit}",)

    @property
    def check(self) -> tuple[str, ...]:
        """Lines that say that it runs."""
        return self.service.check or (f"running {self.unit}",)

    @property
    def unfilled(self) -> bool:
        """Nobody said how its database is dumped."""
        return bool(self.before and self.service.database and not self.service.dump)


@dataclass(frozen=True, kw_only=True)
class Kin:
    """Hosts with the same roles.

    Attributes:
        roles: The roles, in their order.
        hosts: The hosts.
        batch: Hosts at once; the fewest that one of the roles says.
        pause: Seconds between two batches; the most.
        units: Units of all services that they have before or after.
        keep: What is kept of them, as words of the shell.
    """

    roles: tuple[str, ...]
    hosts: tuple[str, ...]
    batch: int
    pause: int
    units: tuple[str, ...]
    keep: tuple[str, ...]

    @property
    def id(self) -> str:
        """What its steps are called."""
        return _id("-".join(self.roles))

    @property
    def title(self) -> str:
        """For people."""
        return " and ".join(self.roles)

    @property
    def lists(self) -> str:
        """Folder below `lists/` that has their packages: of all roles at once, as `fleet lists` writes it."""
        return JOINT.join(self.roles)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """All services and all hosts.

    Attributes:
        roles: Those that have hosts, in the order in which they are upgraded.
        hosts: Role -> its hosts.
        services: Package -> its service.
        closures: Role -> what `fleet lists` says that it installs; by its own packages alone without.
    """

    roles: Mapping[str, Role]
    hosts: Mapping[str, Sequence[str]]
    services: Mapping[str, Service]
    closures: Mapping[str, RoleLists]

    @cached_property
    def placed(self) -> list[Placed]:
        """Services that are on hosts, in the order in which they start."""
        return sorted(self._placed(), key=lambda one: (one.service.order, one.package))

    @cached_property
    def before(self) -> list[Placed]:
        """Those that run before the upgrade."""
        return [one for one in self.placed if one.before]

    @cached_property
    def after(self) -> list[Placed]:
        """Those that run afterwards."""
        return [one for one in self.placed if one.after]

    @cached_property
    def kin(self) -> list[Kin]:
        """Hosts by the roles that they have, in the order of their first role."""
        of_host: dict[str, list[str]] = {}
        for role in self.roles:
            for host in self.hosts[role]:
                of_host.setdefault(host, []).append(role)
        sets: dict[tuple[str, ...], list[str]] = {}
        for host, named in of_host.items():
            sets.setdefault(tuple(named), []).append(host)
        return [self._kin(named, tuple(found)) for named, found in sets.items()]

    def _placed(self) -> Iterator[Placed]:
        for package, service in self.services.items():
            before, after = (self._having(package, upgrade=side) for side in (False, True))
            if before or after:
                yield Placed(package=package, service=service, before=before, after=after)

    def _kin(self, named: tuple[str, ...], hosts: tuple[str, ...]) -> Kin:
        return Kin(
            roles=named,
            hosts=hosts,
            batch=min(self.roles[role].batch for role in named),
            pause=max(self.roles[role].pause for role in named),
            units=tuple(one.unit for one in self.placed if hosts[0] in one.hosts),
            keep=tuple(word for one in self.placed if hosts[0] in one.before for word in one.service.keep),
        )

    def _having(self, package: str, *, upgrade: bool) -> tuple[str, ...]:
        roles = [role for role in self.roles if package in self._packages(role, upgrade)]
        return tuple(dict.fromkeys(host for role in roles for host in self.hosts[role]))

    def _packages(self, role: str, upgrade: bool) -> set[str]:
        lists = self.closures.get(role)
        way = None if lists is None else lists.upgrade if upgrade else lists.rollback
        return set(way.packages) if way else set(self.roles[role].packages)


def _id(name: str) -> str:
    return re.sub(r"[^a-z0-9-]", "-", name)
