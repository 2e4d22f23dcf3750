# SPDX-License-Identifier: Apache-2.0
"""What the hosts of each role install, every package with its version, and the same for the way back.

Only the repository's packages have versions: those of the distribution come as apt takes them, so that a list does
not undo the distribution's security updates. Both ways are tried before they are written: the upgrade on a host that
has what the way back leads to, the way back on one that has the upgrade. So what they would remove is known by name,
and the commands refuse to remove anything else.
"""

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.fleet.emitted import File, Files
from bigtop_builder.fleet.offer import Offer
from bigtop_builder.fleet.resolver import Resolver
from bigtop_builder.fleet.wanted import Wanted
from bigtop_builder.schema import some
from bigtop_builder.templates import render
from bigtop_builder.verify.simulate import Simulated

log = logging.getLogger(__name__)

UPGRADE, ROLLBACK = "upgrade", "rollback"
DOWN = "--allow-downgrades"
AT_ONCE = 8
"""Roles that apt is asked about at a time."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way that the hosts of a role go.

    Attributes:
        packages: Package of the repository -> version, with all that they need of it.
        distribution: Packages of the distribution that the role names.
        brings: Package of the distribution -> version that a clean host gets with them today.
        removes: Packages that have to go on hosts that come from the other snapshot.
        beside: What else the snapshot has, package -> version: hosts that have some of it get these versions.
        gone: Packages that the other snapshot alone has: where they are installed and do not go, they stay.
    """

    packages: Mapping[str, str]
    distribution: tuple[str, ...] = ()
    brings: Mapping[str, str] = field(default_factory=dict)
    removes: tuple[str, ...] = ()
    beside: Mapping[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()

    @property
    def pairs(self) -> list[str]:
        """Packages of the repository, each with its version."""
        return _pairs(self.packages)

    @property
    def pairs_beside(self) -> list[str]:
        """What else the snapshot has, each with its version."""
        return _pairs(self.beside)

    @property
    def words(self) -> list[str]:
        """What apt-get is asked to install."""
        return [*self.pairs, *self.distribution]


@dataclass(frozen=True, kw_only=True)
class RoleLists:
    """Both ways of a role."""

    role: str
    upgrade: Way
    rollback: Way | None

    @property
    def leaves(self) -> tuple[str, ...]:
        """What the role had of the other snapshot, and the upgrade leaves as it is."""
        had = self.rollback.packages if self.rollback else {}
        return tuple(name for name in self.upgrade.gone if name in had)


def lists_of(
    resolver: Resolver, roles: Sequence[Wanted], *, accept: Collection[str], back: str
) -> list[RoleLists]:
    """Ask apt about all roles.

    Args:
        resolver: Has the snapshot as side `upgrade`, and the other one, if there is one, as `rollback`.
        roles: The roles.
        accept: Packages that either way may remove: of those that the way back lacks and a role names, or that the
            upgrade would leave behind.
        back: What the other snapshot is called; empty if there is none.

    Raises:
        InputError: A role names a package that is neither in the snapshot nor in the distribution; or the way back
            has lost a package that the role names, and would remove it.
        CheckFailed: apt cannot install a role.
    """
    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = list(threads.map(lambda role: _lists(resolver, role, accept, both=bool(back)), roles))
    for one in found:
        _tell(one)
    _refuse_loss(found, roles, accept, back)
    return found


def files_of(
    lists: Sequence[RoleLists], upgrade: Offer, rollback: Offer | None, target: str, *, architecture: str = ""
) -> Files:
    """Lists and commands of all roles, by path below the output folder.

    Args:
        lists: What `lists_of` found.
        upgrade: The snapshot.
        rollback: The one that hosts go back to.
        target: Tag of the distribution.
        architecture: Of the hosts, which the commands hold them to; any if empty.
    """
    offers = {UPGRADE: upgrade, ROLLBACK: rollback}
    summary = _summary(lists, upgrade, rollback, target, architecture)
    files = {"lists.json": File((json.dumps(summary, indent=2) + "\n").encode())}
    for one in lists:
        for name, way in _ways(one).items():
            offer = offers[name] or upgrade
            text = "".join(f"{word}\n" for word in way.words)
            script = render(
                "fleet/install.sh.j2",
                role=one.role,
                way=name,
                offer=offer,
                list=way,
                down=name == ROLLBACK,
                architecture=architecture,
            )
            files[f"{one.role}/{name}.list"] = File(text.encode())
            files[f"{one.role}/{name}"] = File(script.encode(), program=True)
    return files


def _ways(lists: RoleLists) -> dict[str, Way]:
    return {UPGRADE: lists.upgrade, **({ROLLBACK: lists.rollback} if lists.rollback else {})}


def _summary(
    lists: Sequence[RoleLists], upgrade: Offer, rollback: Offer | None, target: str, architecture: str
) -> dict[str, Any]:
    def told(one: RoleLists, way: Way) -> dict[str, Any]:
        return {
            "packages": dict(way.packages),
            "distribution": list(way.distribution),
            "brings": dict(way.brings),
            "removes": list(way.removes),
            "leaves": list(one.leaves if way is one.upgrade else ()),
        }

    return {
        "format": 1,
        "snapshot": upgrade.snapshot,
        "rollback_to": rollback.snapshot if rollback else "",
        "target": target,
        "architecture": architecture,
        "roles": {one.role: {name: told(one, way) for name, way in _ways(one).items()} for one in lists},
    }


def _lists(resolver: Resolver, role: Wanted, accept: Collection[str], *, both: bool) -> RoleLists:
    up = _closure(resolver, UPGRADE, role.role, role.upgrade, role.distribution)
    if not both:
        return RoleLists(role=role.role, upgrade=up, rollback=None)
    down = _closure(resolver, ROLLBACK, role.role, role.rollback, role.distribution)
    return RoleLists(
        role=role.role,
        upgrade=_tried(resolver, role.role, UPGRADE, up, (ROLLBACK, down), accept),
        rollback=_tried(resolver, role.role, ROLLBACK, down, (UPGRADE, up), set(up.packages)),
    )


def _tried(
    resolver: Resolver, role: str, side: str, way: Way, other: tuple[str, Way], may_go: Collection[str]
) -> Way:
    """A way as it goes on a host that has what the other one leads to.

    Args:
        resolver: Asks apt.
        role: Name of the role.
        side: Where it leads.
        way: What a clean host installs.
        other: Where hosts come from.
        may_go: Packages that are taken away where this snapshot lacks them.
    """
    there, before = other
    status = resolver.installed(there, {**before.packages, **before.brings}, f"{role}.{there}")
    ours = resolver.ours(side)
    lacking = [name for name in resolver.ours(there) if name not in ours]
    kept = {name: way.beside[name] for name in before.packages if name in way.beside}
    going = [f"{name}-" for name in lacking if name in before.packages and name in may_go]
    options = [DOWN] if side == ROLLBACK else []
    wanted = [*way.words, *_pairs(kept), *going]
    tried = _works(resolver.ask(side, wanted, status=status, options=options), side, role)
    gone = tuple(name for name in lacking if name not in tried.removes)
    return replace(way, removes=tuple(sorted(tried.removes)), gone=gone)


def _closure(
    resolver: Resolver, side: str, role: str, packages: Sequence[str], distribution: tuple[str, ...]
) -> Way:
    ours = resolver.ours(side)
    found = _works(resolver.ask(side, [*packages, *distribution]), side, role, named=distribution)
    return Way(
        packages={name: ours[name] for name in sorted(found.installs) if name in ours},
        distribution=distribution,
        brings={name: version for name, version in sorted(found.installs.items()) if name not in ours},
        beside={name: version for name, version in sorted(ours.items()) if name not in found.installs},
    )


def _works(result: Simulated, side: str, role: str, named: Sequence[str] = ()) -> Simulated:
    if result.works:
        return result
    details = "\n".join(result.reasons)
    if unknown := sorted(result.missing & set(named)):
        raise InputError(
            f"role {role!r} names {some(unknown)}, which the target distribution has not",
            details=details,
            hint="mend the role in repo/fleet.toml; --recipe names a recipe of the distribution that hosts have",
        )
    raise CheckFailed(
        f"apt cannot take hosts of role {role!r} the way of the {side}",
        details=details,
        hint="mend the packages, or name another snapshot",
    )


def _pairs(packages: Mapping[str, str]) -> list[str]:
    return [f"{name}={version}" for name, version in packages.items()]


def _tell(one: RoleLists) -> None:
    if one.upgrade.removes:
        log.warning("role %s: the upgrade removes %s", one.role, ", ".join(one.upgrade.removes))
    if one.leaves:
        log.warning(
            "role %s: the upgrade leaves %s, which the snapshot does not have: verify-host will tell it\n"
            "  way out: --accept-removal NAME removes one with the upgrade",
            one.role,
            ", ".join(one.leaves),
        )
    if one.rollback and one.rollback.removes:
        log.info("role %s: the way back removes %s", one.role, ", ".join(one.rollback.removes))


def _refuse_loss(
    found: Sequence[RoleLists], roles: Sequence[Wanted], accept: Collection[str], back: str
) -> None:
    """See that no way back removes what a role names, or what did not come with the upgrade: only what it needed."""
    losing = {}
    for one, role in zip(found, roles, strict=True):
        removes = one.rollback.removes if one.rollback else ()
        came = one.upgrade.packages.keys() - set(role.upgrade)
        if lost := [name for name in removes if name not in came and name not in accept]:
            losing[one.role] = lost
    if losing:
        names = dict.fromkeys(name for lost in losing.values() for name in lost)
        raise InputError(
            f"the way back to {back} lacks {some([*names])}: hosts that were upgraded would lose what they need",
            details="\n".join(
                f"role {role}: it would remove {', '.join(lost)}" for role, lost in losing.items()
            ),
            hint="--rollback-to another snapshot that has it; or --accept-removal NAME, for each that the way back "
            "may remove",
        )
