# SPDX-License-Identifier: Apache-2.0
"""`fleet report`: many hosts' reports in one."""

import hashlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from bigtop_builder.cli.context import answer, json_option
from bigtop_builder.cli.fleet_options import fleet_of, fleet_option, inventory_option
from bigtop_builder.cli.place import Command
from bigtop_builder.errors import InputError
from bigtop_builder.fleet.definition import in_order
from bigtop_builder.fleet.expected import Expected, Roles, narrowed, roles_of
from bigtop_builder.fleet.fleet_manifest import FleetManifest
from bigtop_builder.fleet.host_groups import HostGroup
from bigtop_builder.fleet.hosts import hosts_of, inventory_of
from bigtop_builder.fleet.report import FleetReport, files_of
from bigtop_builder.fleet.report import report as report_of
from bigtop_builder.schema import counted, some


@click.command(
    cls=Command,
    epilog="Example: bigtop-builder fleet report hosts/ --manifest fleet-manifest.json --since 2026-11-24T02:00",
)
@click.argument(
    "places", nargs=-1, required=True, metavar="FILE|DIR...", type=click.Path(exists=True, path_type=Path)
)
@fleet_option
@inventory_option
@click.option(
    "--host",
    "patterns",
    multiple=True,
    metavar="PATTERN",
    help="Only these hosts, as `worker[01-05].example.org`; repeatable [default: all of the fleet's definition].",
)
@click.option(
    "--manifest",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The manifest that every host must have been held against [default: any, the same for all].",
)
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]),
    metavar="TIME",
    help="Moment, UTC, before which a report is too old: 2026-11-24 or 2026-11-24T02:00.",
)
@click.option(
    "--full", is_flag=True, help="Reports of `verify-host --quick`, or with `--guard on`, do not do."
)
@json_option
@click.pass_context
def report(
    context: click.Context,
    places: tuple[Path, ...],
    definition: Path | None,
    inventory: str,
    patterns: tuple[str, ...],
    manifest: Path | None,
    since: datetime | None,
    *,
    full: bool,
    as_json: bool,
) -> None:
    """Group hosts by what they have, and say how each group differs from the largest one with its roles.

    FILE is what `verify-host --json` printed on a host, and is named as the host, HOST.json; DIR has many. Exit
    code 1: a host fails, has no report or an old one, was held against another manifest or as another role, or a
    file does not count. Hosts and roles are those of repo/fleet.toml or the inventory.
    """
    hosts = _hosts(context, definition, inventory)
    found = report_of(
        files_of(places),
        Expected(
            hosts=narrowed(hosts, patterns) if patterns else hosts,
            only=bool(patterns),
            manifest=_sha256(manifest) if manifest else "",
            since=since.replace(tzinfo=UTC) if since else None,
            full=full,
        ),
    )
    value = {
        "passed": found.passed,
        "reasons": found.reasons,
        "hosts": found.hosts,
        "manifests": found.manifests,
        "groups": [
            {**vars(one), "findings": [finding.model_dump() for finding in one.findings]}
            for one in found.groups
        ],
        "missing": found.missing,
        "doubts": found.doubts,
        "unread": found.unread,
    }
    answer(value, as_json=as_json, text="\n".join(_lines(found, known=bool(hosts or patterns))))
    if not found.passed:
        context.exit(1)


def _hosts(context: click.Context, definition: Path | None, inventory: str) -> dict[str, Roles]:
    """Hosts of the fleet and their roles; none if nothing says which there are."""
    fleet, file = fleet_of(context, definition)
    groups = inventory_of(fleet, file, inventory, sys.stdin.buffer)
    if inventory and not fleet.roles:
        raise InputError(
            f"{file} names no role: what hosts of {inventory} are is not known",
            hint="write [roles.NAME] there; docs/fleet.md has an example",
        )
    return roles_of(hosts_of(fleet, in_order(fleet.roles), path=file, inventory=groups))


def _sha256(path: Path) -> str:
    """Hash of a file that is a fleet manifest.

    Raises:
        InputError: It is none.
    """
    text = path.read_bytes()
    FleetManifest.from_json(text, source=str(path))
    return hashlib.sha256(text).hexdigest()


def _lines(found: FleetReport, *, known: bool) -> Iterator[str]:
    yield f"{counted(found.hosts, 'host')} in {counted(len(found.groups), 'group')}"
    if not known:
        yield "no definition or inventory says which hosts there are: none is missed"
    for group in found.groups:
        yield ""
        yield from _group(group)
    if found.reasons:
        yield "\nnot passed:"
        yield from (f"  {reason}" for reason in found.reasons)


def _group(group: HostGroup) -> Iterator[str]:
    roles = f" ({', '.join(group.roles)})" if group.roles else ""
    notes = len(group.findings) - group.errors
    state = f"fail: {counted(group.errors, 'error')}" if group.errors else "pass"
    told = f", {counted(notes, 'note')}" if notes else ""
    names = ", ".join(group.hosts) if group.errors or group.differs else some(group.hosts)
    yield f"{counted(len(group.hosts), 'host')}{roles}: {names}"
    yield f"  {state}{told}"
    if group.differs:
        yield "  unlike the largest group"
        yield from (f"    {line}" for line in group.differs)
    else:
        yield from (f"    {one.level} {one.check} {one.subject}: {one.detail}" for one in group.findings)
