# SPDX-License-Identifier: Apache-2.0
"""`sbom show|find|diff`: what packages hold."""

import json
import logging
from dataclasses import asdict
from pathlib import Path

import click

from bigtop_builder.artifact import read_deb
from bigtop_builder.cli.context import answer, json_option, table
from bigtop_builder.cli.holdings import holdings, one_of, snapshot_option, suite_option, workspace_of
from bigtop_builder.cli.place import Command, Where, repo_option
from bigtop_builder.errors import VerifyError
from bigtop_builder.holdings import is_file, sbom_of_file
from bigtop_builder.sbom.inventory import Part, changes, parts_of
from bigtop_builder.sbom.wanted import Wanted
from bigtop_builder.schema import counted

log = logging.getLogger(__name__)

LISTED = ("artifact", "version", "known by", "path")
FOUND = ("package", "version", "artifact", "its version", "known by", "path")
CHANGED = ("package", "", "artifact", "before", "after")
PLACE = "SUITE|SNAPSHOT|DEB"


@click.command(cls=Command, epilog="Example: bigtop-builder sbom show hadoop-hdfs --suite stable")
@click.argument("package", metavar="DEB|NAME")
@suite_option
@snapshot_option
@repo_option
@json_option
@click.pass_context
def show(
    context: click.Context, package: str, suite: str, snapshot: str, folder: Where | None, *, as_json: bool
) -> None:
    """List the jars in a .deb file, or in the package NAME (or NAME=VERSION) of a suite.

    --json prints the SBOM: CycloneDX 1.6.
    """
    if is_file(package):
        text = sbom_of_file(Path(package), workspace_of(context).sboms)
    else:
        text = holdings(context, folder).sbom(package, one_of(suite, snapshot))
    if as_json:
        answer(json.loads(text), as_json=True, text="")
        return
    rows = [(one.artifact, one.version, known(one), one.path) for one in parts_of(text)]
    click.echo(table(LISTED, rows))


@click.command(cls=Command, epilog="Example: bigtop-builder sbom find 'log4j:log4j@1.2*' --suite stable")
@click.argument("artifact", metavar="[GROUP:]ARTIFACT[@VERSION]")
@suite_option
@snapshot_option
@repo_option
@json_option
@click.pass_context
def find(
    context: click.Context, artifact: str, suite: str, snapshot: str, folder: Where | None, *, as_json: bool
) -> None:
    """Find an artifact in all packages of a suite or snapshot; * and ? stand for what does not matter.

    A jar of which group or version is not known is found by its name: `known by` says so. Exit status 1: it is
    nowhere; 8: it was not found, but there are archives that could not be looked into.
    """
    wanted = Wanted.parse(artifact)
    parts = holdings(context, folder).parts(one_of(suite, snapshot))
    found = [one for one in parts if one in wanted]
    closed = [one for one in parts if one.unreadable]
    for one in closed:
        log.warning("%s of %s was not looked into: %s", one.path, one.package, one.unreadable)
    rows = [
        (one.package, one.package_version, one.artifact, one.version, known(one), one.path) for one in found
    ]
    if as_json:
        answer([asdict(one) for one in found], as_json=True, text="")
    elif found:
        click.echo(table(FOUND, rows))
    if not found and closed:
        raise VerifyError(
            f"{artifact} was not found, but {counted(len(closed), 'archive')} could not be looked into",
            hint="see for yourself what is in those that the lines above name",
        )
    if not found:
        context.exit(1)


@click.command(cls=Command, epilog="Example: bigtop-builder sbom diff stable testing")
@click.argument("old", metavar=PLACE)
@click.argument("new", metavar=PLACE)
@repo_option
@json_option
@click.pass_context
def diff(context: click.Context, old: str, new: str, folder: Where | None, *, as_json: bool) -> None:
    """Say which jars came, went or changed their version, package by package, from OLD to NEW.

    Of a suite or snapshot the highest version of each package counts: what hosts install. Beside a .deb file only its
    package does.
    """
    files = [is_file(one) for one in (old, new)]
    before, after = (_parts(context, folder, one) for one in (old, new))
    if files[0] != files[1]:
        name = read_deb(Path(old if files[0] else new)).name
        before, after = ([one for one in side if one.package == name] for side in (before, after))
    found = changes(before, after)
    if as_json:
        answer([asdict(one) for one in found], as_json=True, text="")
    elif found:
        rows = [
            (one.package, one.verb, one.artifact, ", ".join(one.before), ", ".join(one.after))
            for one in found
        ]
        click.echo(table(CHANGED, rows))


def known(part: Part) -> str:
    """How a jar is known, for people: what was merged and what could not be read too."""
    merged = " (merged)" if part.merged else ""
    return f"{part.how}{merged}{f'; UNREADABLE: {part.unreadable}' if part.unreadable else ''}"


def _parts(context: click.Context, folder: Where | None, place: str) -> list[Part]:
    if is_file(place):
        return parts_of(sbom_of_file(Path(place), workspace_of(context).sboms))
    return holdings(context, folder).parts(place, newest=True)
