# SPDX-License-Identifier: Apache-2.0
"""Which hosts have which role: by patterns in `fleet.toml`, and by groups of an inventory."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO

from bigtop_builder.errors import InputError
from bigtop_builder.fleet.definition import Fleet
from bigtop_builder.fleet.host_pattern import expand
from bigtop_builder.fleet.inventory import Inventory, load_inventory
from bigtop_builder.schema import counted, nearest

Assigned = dict[str, dict[str, str]]
"""Role -> host -> what says so."""


def inventory_of(fleet: Fleet, path: Path, named: str, stdin: IO[bytes]) -> Inventory | None:
    """The inventory that a command names, or else the definition; None if neither does.

    Args:
        fleet: The definition.
        path: Its file.
        named: What the command was given; empty if nothing.
        stdin: Standard input.

    Raises:
        InputError: It cannot be read or does not parse.
    """
    if named or fleet.inventory:
        return load_inventory(named or path.parent / fleet.inventory, stdin)
    return None


def hosts_of(
    fleet: Fleet, roles: Collection[str], *, path: Path, inventory: Inventory | None = None
) -> dict[str, tuple[str, ...]]:
    """Hosts of each role, in the order in which they are named; none for a role that has none.

    Args:
        fleet: The definition.
        roles: All roles: those of the definition, or of the recipes if that has none.
        path: The definition's file, for errors.
        inventory: Its groups have hosts of roles.

    Raises:
        InputError: A pattern is none, a group is not there, or a host has two roles that are not declared together.
    """
    for role in fleet.hosts:
        if role not in roles:
            raise InputError(
                f"{path}: `hosts` names role {role!r}, which there is not", hint=nearest(role, roles)
            )
    assigned: Assigned = {}
    for role in roles:
        assigned[role] = dict(_of_patterns(fleet, role, path))
        if inventory:
            assigned[role] |= dict(_of_groups(fleet, role, path, inventory))
    _require_declared(fleet, assigned, path)
    return {role: tuple(hosts) for role, hosts in assigned.items()}


def _of_patterns(fleet: Fleet, role: str, path: Path) -> Iterator[tuple[str, str]]:
    for pattern in fleet.hosts.get(role, ()):
        try:
            hosts = expand(pattern)
        except ValueError as error:
            raise InputError(f"{path}: hosts.{role}: {error}", hint="mend the pattern there") from error
        yield from ((host, f"{pattern} in {path}") for host in hosts)


def _of_groups(fleet: Fleet, role: str, path: Path, inventory: Inventory) -> Iterator[tuple[str, str]]:
    named = fleet.roles[role].groups if role in fleet.roles else ()
    for group in named:
        if group not in inventory.groups:
            raise InputError(
                f"{path}: role {role!r} names group {group!r}, which {inventory.source} does not have",
                hint=nearest(group, inventory.groups),
            )
    for group in named or ({role} & inventory.groups.keys()):
        yield from ((host, f"group {group} of {inventory.source}") for host in inventory.groups[group])


def _require_declared(fleet: Fleet, assigned: Assigned, path: Path) -> None:
    """See that each host has one role, or roles that one host may have."""
    of: dict[str, dict[str, str]] = {}
    for role, hosts in assigned.items():
        for host, why in hosts.items():
            of.setdefault(host, {})[role] = why
    allowed = [frozenset(together) for together in fleet.together]
    wrong = {
        host: roles
        for host, roles in of.items()
        if len(roles) > 1 and not any(roles.keys() <= together for together in allowed)
    }
    if wrong:
        _refuse(wrong, path)


def _refuse(wrong: Mapping[str, Mapping[str, str]], path: Path) -> None:
    host, roles = next(iter(wrong.items()))
    left = len(wrong) - 1
    others = f", and so {'are' if left > 1 else 'is'} {counted(left, 'other host')}" if left else ""
    listed = ", ".join(f'"{role}"' for role in roles)
    raise InputError(
        f"{host} is in roles {' and '.join(roles)}{others}",
        details="\n".join(f"{role}: {why}" for role, why in roles.items()),
        hint=f"take it out of one; or, if one host may be both: together = [[{listed}]] in {path}",
    )
