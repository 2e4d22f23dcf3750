# SPDX-License-Identifier: Apache-2.0
"""`fleet report`: many hosts' reports in one."""

from collections.abc import Iterator
from pathlib import Path

import click

from bigtop_builder.cli.context import answer, json_option
from bigtop_builder.cli.place import Command
from bigtop_builder.fleet.report import FleetReport, HostGroup, files_of
from bigtop_builder.fleet.report import report as report_of
from bigtop_builder.schema import counted, some


@click.command(cls=Command, epilog="Example: bigtop-builder fleet report hosts/")
@click.argument(
    "places", nargs=-1, required=True, metavar="FILE|DIR...", type=click.Path(exists=True, path_type=Path)
)
@json_option
@click.pass_context
def report(context: click.Context, places: tuple[Path, ...], *, as_json: bool) -> None:
    """Group hosts by what they have, and say how each group differs from the largest one with its roles.

    FILE is what `verify-host --json` printed on a host, DIR has many, named *.json. Of a host with several reports
    the newest counts. Exit code 1: a host fails, was held against another manifest, or has a report that cannot be
    read.
    """
    found = report_of(files_of(places))
    value = {
        "passed": found.passed,
        "hosts": found.hosts,
        "manifests": found.manifests,
        "groups": [
            {**vars(one), "findings": [finding.model_dump() for finding in one.findings]}
            for one in found.groups
        ],
        "unread": found.unread,
    }
    answer(value, as_json=as_json, text="\n".join(_lines(found)))
    if not found.passed:
        context.exit(1)


def _lines(found: FleetReport) -> Iterator[str]:
    yield f"{counted(found.hosts, 'host')} in {counted(len(found.groups), 'group')}"
    if len(found.manifests) > 1:
        yield f"they were held against {len(found.manifests)} manifests"
    for group in found.groups:
        yield ""
        yield from _group(group)
    for file, why in found.unread.items():
        yield f"\n{file} has no report: {why}"


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
