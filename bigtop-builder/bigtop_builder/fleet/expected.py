# SPDX-License-Identifier: Apache-2.0
"""What the reports of a fleet's hosts are held to: which hosts there are, their roles, the manifest, the time."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bigtop_builder.errors import InputError
from bigtop_builder.fleet.host_pattern import expand
from bigtop_builder.fleet.host_report import HostReport
from bigtop_builder.schema import nearest

Roles = frozenset[str]
"""Roles of one host."""
AHEAD = timedelta(minutes=10)
"""What a host's clock may be ahead of this one."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What reports are held to.

    Attributes:
        hosts: Host -> its roles, None if these are not known. If there are none, those count that have reports.
        only: Leave other hosts' reports out; else they are told of.
        manifest: Sha256 of the manifest; any, but the same for all, if empty.
        snapshot: Snapshot of the manifest; any if empty.
        since: Moment before which a report is too old.
        full: Reports of `--quick`, and of `--guard on`, do not do.
    """

    hosts: Mapping[str, Roles | None] = field(default_factory=dict)
    only: bool = False
    manifest: str = ""
    snapshot: str = ""
    since: datetime | None = None
    full: bool = False

    def doubts(self, host: str, one: HostReport, now: datetime) -> Iterator[str]:
        """What keeps a report from counting as one that is expected."""
        if self.hosts and host not in self.hosts:
            yield "no host of the fleet"
        roles = self.hosts.get(host)
        if roles is not None and roles != set(one.roles):
            yield f"verified as {_listed(one.roles)}, and it is {_listed(roles)}"
        if self.manifest and one.manifest != self.manifest:
            yield f"held against the manifest {one.manifest[:16]}, and not {self.manifest[:16]}"
        if self.snapshot and one.snapshot != self.snapshot:
            yield f"held against snapshot {one.snapshot[:16]}, and not {self.snapshot[:16]}"
        if self.since and one.time < self.since:
            yield f"the report is from before {self.since.isoformat()}"
        if one.time > now + AHEAD:
            yield f"the report is from the time to come: set the host's clock, or the one here ({now:%F %T} UTC)"
        if self.full and one.quick:
            yield "the content of files was left out: verify-host without --quick"
        if self.full and one.guard == "on":
            yield "the guard was meant to be on: guard-off, then verify-host without --guard on"


def roles_of(assigned: Mapping[str, Iterable[str]]) -> dict[str, Roles]:
    """Host -> its roles, from role -> its hosts as `hosts.hosts_of` has them."""
    found: dict[str, set[str]] = {}
    for role, hosts in assigned.items():
        for host in hosts:
            found.setdefault(host, set()).add(role)
    return {host: frozenset(roles) for host, roles in found.items()}


def narrowed(
    hosts: Mapping[str, Roles], patterns: Iterable[str], *, where: str = "--host"
) -> dict[str, Roles | None]:
    """Hosts that patterns stand for, with their roles.

    Args:
        hosts: All hosts of the fleet; none if they are not known.
        patterns: As in `worker[01-05].example.org`.
        where: Who names them, for errors.

    Raises:
        InputError: A pattern is none, or stands for what is no host of the fleet.
    """
    asked: dict[str, Roles | None] = {}
    for pattern in patterns:
        try:
            named = expand(pattern)
        except ValueError as error:
            raise InputError(f"{where}: {error}", hint="mend the pattern") from error
        if other := next((host for host in named if hosts and host not in hosts), ""):
            raise InputError(f"{where}: {other!r} is no host of the fleet", hint=nearest(other, hosts))
        asked |= {host: hosts.get(host) for host in named}
    return asked


def label(host: str) -> str:
    """A host's name without its domain, in small letters."""
    return host.partition(".")[0].casefold()


def agree(one: str, other: str) -> bool:
    """Whether two names are of one host: the same, or one without its domain."""
    short, long = sorted((one.casefold(), other.casefold()), key=len)
    return short == long or ("." not in short and short == label(long))


def _listed(roles: Iterable[str]) -> str:
    return " and ".join(sorted(roles)) or "a host without role"
