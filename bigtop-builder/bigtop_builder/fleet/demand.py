# SPDX-License-Identifier: Apache-2.0
"""What a site demands of a snapshot before the hosts of a suite get it: a rehearsal, and a canary group."""

import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bigtop_builder.errors import BuilderError
from bigtop_builder.fleet.definition import Demand, in_order, load_fleet
from bigtop_builder.fleet.expected import Roles, narrowed, roles_of
from bigtop_builder.fleet.hosts import hosts_of, inventory_of
from bigtop_builder.fleet.rehearsal.record import FILE, require_green
from bigtop_builder.fleet.report import why_not_green
from bigtop_builder.repository import gate

ELSEWHERE = "what comes into the suite itself was never tried: publish to another suite, and promote"


def demand_of(path: Path, suite: str, public: bytes) -> gate.Demand:
    """What the fleet's definition demands for a suite.

    Args:
        path: The definition.
        suite: The suite.
        public: The repository's keys, binary: one of them must have signed a rehearsal.

    Raises:
        InputError: The definition or its inventory is malformed.
    """
    fleet = load_fleet(path)
    if not (demand := fleet.promote.get(suite)):
        return gate.nothing
    inventory = inventory_of(fleet, path, "", io.BytesIO())
    roles = roles_of(hosts_of(fleet, in_order(fleet.roles), path=path, inventory=inventory))
    hosts = narrowed(roles, demand.canary, where=f"{path}: promote.{suite}.canary")

    def wanting(before: str, after: str) -> Sequence[str]:
        if not after:
            return [ELSEWHERE] if demand.rehearsal or demand.canary else []
        return [
            *_rehearsal(demand, before, after, path.parent, public),
            *_canary(demand, after, path.parent, hosts),
        ]

    return wanting


def _rehearsal(demand: Demand, before: str, after: str, folder: Path, public: bytes) -> Iterator[str]:
    """What the rehearsal lacks. A suite that has nothing yet has no hosts that are upgraded."""
    if demand.rehearsal and before:
        try:
            require_green(folder / demand.rehearsals / after[:16] / FILE, public, new=after, old=before)
        except BuilderError as error:
            yield "\n  ".join(
                [f"rehearsal: {error.brief}", *error.details.splitlines(), f"way out: {error.hint}"]
            )


def _canary(demand: Demand, after: str, folder: Path, hosts: Mapping[str, Roles | None]) -> Iterator[str]:
    if hosts:
        since = datetime.now(UTC) - timedelta(days=demand.days)
        for reason in why_not_green([folder / demand.reports], hosts, since=since, snapshot=after):
            yield f"canary: {reason}"
