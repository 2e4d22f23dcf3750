# SPDX-License-Identifier: Apache-2.0
"""What the hosts of each role install, every package with its version, and the same for the way back.

Only the repository's packages have versions: those of the distribution come as apt takes them, so that a list does
not undo the distribution's security updates. Both ways are tried before they are written: the upgrade on a host that
has what the way back leads to, the way back on one that has the upgrade. So what they would remove is known by name,
and the commands refuse to remove anything else.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.fleet.emitted import File, Files
from bigtop_builder.fleet.offer import Offer
from bigtop_builder.fleet.resolver import Resolver
from bigtop_builder.schema import some
from bigtop_builder.templates import render
from bigtop_builder.verify.simulate import Simulated

log = logging.getLogger(__name__)

UPGRADE, ROLLBACK = "upgrade", "rollback"
DOWN = "--allow-downgrades"
AT_ONCE = 8
"""Roles that apt is asked about at a time."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a role asks of apt.

    Attributes:
        role: Its name.
        upgrade: Packages of the snapshot.
        rollback: Packages of the snapshot that hosts go back to.
        distribution: Packages of the distribution.
        lost: Packages of the role that the way back does not have.
    """

    role: str
    upgrade: tuple[str, ...]
    rollback: tuple[str, ...] = ()
    distribution: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way that the hosts of a role go.

    Attributes:
        packages: Package of the repository -> version, with all that they need of it.
        distribution: Packages of the distribution that the role names.
        brings: Package of the distribution -> version that a clean host gets with them today.
        removes: Packages that have to go on hosts that come from the other snapshot.
    """

    packages: Mapping[str, str]
    distribution: tuple[str, ...] = ()
    brings: Mapping[str, str] = field(default_factory=dict)
    removes: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """What apt-get is asked to install."""
        return [*(f"{name}={version}" for name, version in self.packages.items()), *self.distribution]


@dataclass(frozen=True, kw_only=True)
class RoleLists:
    """Both ways of a role."""

    role: str
    upgrade: Way
    rollback: Way | None


def lists_of(resolver: Resolver, roles: Sequence[Wanted], *, accept: bool, back: str) -> list[RoleLists]:
    """Ask apt about all roles.

    Args:
        resolver: Has the snapshot as side `upgrade`, and the other one, if there is one, as `rollback`.
        roles: The roles.
        accept: The way back may remove packages.
        back: What the other snapshot is called; empty if there is none.

    Raises:
        InputError: A role names a package that is neither in the snapshot nor in the distribution; or the way back
            has lost a package, and would remove it.
        CheckFailed: apt cannot install a role.
    """
    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = list(threads.map(lambda role: _lists(resolver, role, both=bool(back)), roles))
    for one in found:
        if one.upgrade.removes:
            log.warning("role %s: the upgrade removes %s", one.role, ", ".join(one.upgrade.removes))
    losing = [one for one in found if one.rollback and one.rollback.removes]
    if losing and not accept:
        _refuse_loss(losing, {role.role: role.lost for role in roles}, back)
    return found


def files_of(lists: Sequence[RoleLists], upgrade: Offer, rollback: Offer | None, target: str) -> Files:
    """Lists and commands of all roles, by path below the output folder."""
    offers = {UPGRADE: upgrade, ROLLBACK: rollback}
    files = {
        "lists.json": File((json.dumps(_summary(lists, upgrade, rollback, target), indent=2) + "\n").encode())
    }
    for one in lists:
        for name, way in _ways(one).items():
            offer = offers[name] or upgrade
            text = "".join(f"{word}\n" for word in way.words)
            script = render(
                "fleet/install.sh.j2", role=one.role, way=name, offer=offer, list=way, down=name == ROLLBACK
            )
            files[f"{one.role}/{name}.list"] = File(text.encode())
            files[f"{one.role}/{name}"] = File(script.encode(), program=True)
    return files


def _ways(lists: RoleLists) -> dict[str, Way]:
    return {UPGRADE: lists.upgrade, **({ROLLBACK: lists.rollback} if lists.rollback else {})}


def _summary(
    lists: Sequence[RoleLists], upgrade: Offer, rollback: Offer | None, target: str
) -> dict[str, Any]:
    def told(way: Way) -> dict[str, Any]:
        return {
            "packages": dict(way.packages),
            "distribution": list(way.distribution),
            "brings": dict(way.brings),
            "removes": list(way.removes),
        }

    return {
        "format": 1,
        "snapshot": upgrade.snapshot,
        "rollback_to": rollback.snapshot if rollback else "",
        "target": target,
        "roles": {one.role: {name: told(way) for name, way in _ways(one).items()} for one in lists},
    }


def _lists(resolver: Resolver, role: Wanted, *, both: bool) -> RoleLists:
    up = _closure(resolver, UPGRADE, role.role, role.upgrade, role.distribution)
    if not both:
        return RoleLists(role=role.role, upgrade=up, rollback=None)
    down = _closure(resolver, ROLLBACK, role.role, role.rollback, role.distribution)
    had = resolver.installed(ROLLBACK, {**down.packages, **down.brings}, f"{role.role}.{ROLLBACK}")
    has = resolver.installed(UPGRADE, {**up.packages, **up.brings}, f"{role.role}.{UPGRADE}")
    left = tuple(f"{name}-" for name in up.packages if name not in down.packages)
    tried_up = _works(resolver.ask(UPGRADE, up.words, status=had), UPGRADE, role.role)
    tried_down = _works(
        resolver.ask(ROLLBACK, [*down.words, *left], status=has, options=[DOWN]), ROLLBACK, role.role
    )
    return RoleLists(
        role=role.role,
        upgrade=_with(up, tried_up),
        rollback=_with(down, tried_down),
    )


def _closure(
    resolver: Resolver, side: str, role: str, packages: Sequence[str], distribution: tuple[str, ...]
) -> Way:
    ours = resolver.ours(side)
    found = _works(resolver.ask(side, [*packages, *distribution]), side, role, named=distribution)
    return Way(
        packages={name: ours[name] for name in sorted(found.installs) if name in ours},
        distribution=distribution,
        brings={name: version for name, version in sorted(found.installs.items()) if name not in ours},
    )


def _with(way: Way, tried: Simulated) -> Way:
    return Way(
        packages=way.packages,
        distribution=way.distribution,
        brings=way.brings,
        removes=tuple(sorted(tried.removes)),
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


def _refuse_loss(losing: Sequence[RoleLists], lost: Mapping[str, tuple[str, ...]], back: str) -> None:
    lines = [
        f"role {one.role}: it would remove {', '.join(one.rollback.removes)}"
        + (f"; the role names {', '.join(lost[one.role])}" if lost[one.role] else "")
        for one in losing
        if one.rollback
    ]
    names = dict.fromkeys(name for one in losing if one.rollback for name in one.rollback.removes)
    raise InputError(
        f"the way back to {back} lacks {some([*names])}: hosts that were upgraded would lose what they need",
        details="\n".join(lines),
        hint="--rollback-to another snapshot that has it; or --accept-removals: the way back then removes it",
    )
