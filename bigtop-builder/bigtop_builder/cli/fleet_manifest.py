# SPDX-License-Identifier: Apache-2.0
"""`fleet manifest`: what the hosts of a snapshot have, signed."""

import hashlib
from collections.abc import Collection
from pathlib import Path

import click

from bigtop_builder.cli.context import answer, json_option, setting_up
from bigtop_builder.cli.fleet_options import fleet_of, fleet_option, recipes_of
from bigtop_builder.cli.fleet_sources import rollback_option
from bigtop_builder.cli.place import Command, Where, archive_of, repo_option, signing
from bigtop_builder.fleet.definition import roles_in
from bigtop_builder.fleet.issuing import manifest_of, write_signed
from bigtop_builder.schema import counted
from bigtop_builder.workspace import Workspace, require_writable


@click.command(cls=Command, epilog="Example: bigtop-builder fleet manifest stable")
@click.argument("wanted", metavar="SNAPSHOT|SUITE")
@repo_option
@fleet_option
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the manifest and its signature [default: build/fleet/<its first 16 digits>].",
)
@rollback_option
@click.option(
    "--url", help="Address under which hosts reach the repository [default: `url` in repo/repository.toml]."
)
@json_option
@click.pass_context
def manifest(
    context: click.Context,
    wanted: str,
    folder: Where | None,
    definition: Path | None,
    output: Path | None,
    rollback_to: str,
    url: str | None,
    *,
    as_json: bool,
) -> None:
    """Write the signed manifest of SNAPSHOT, or of the one that SUITE points to: what its hosts have.

    Every package with its hashes, those of its files on a host included, where it comes from, the roles of
    repo/fleet.toml, and where hosts go back to. Packages are read once; a second manifest takes a moment.
    """
    project, settings = setting_up(context, told=folder is None)
    if url is None:
        url = "" if folder else archive_of(context).definition.url

    fleet, file = fleet_of(context, definition)

    def roles(packages: Collection[str], releases: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        recipes = recipes_of(project, releases)
        found = roles_in(fleet, packages, path=file, snapshot=wanted, recipes=recipes)
        return {name: role.packages for name, role in found.items()}

    require_writable(
        output or project.output / "fleet",
        why="the manifest and its signature",
        hint="name another folder with --output",
    )
    with signing(context, folder) as (repository, keyring):
        made = manifest_of(
            repository.state,
            wanted,
            keyring=keyring,
            kept=Workspace(settings.cache_dir).facts,
            roles=roles,
            url=url,
            back=rollback_to,
        )
        place = output or project.output / "fleet" / made.snapshot[:16]
        written, signature = write_signed(made, keyring, place)
    value = {
        "manifest": str(written),
        "signature": str(signature),
        "sha256": hashlib.sha256(written.read_bytes()).hexdigest(),
        "snapshot": made.snapshot,
        "suite": made.suite,
        "rollback_to": made.rollback_to,
        "withdrawn": made.withdrawn,
        "releases": made.releases,
        "roles": sorted(made.roles),
        "packages": len(made.packages),
    }
    back_to = f"hosts go back to {made.rollback_to[:16]}" if made.rollback_to else "hosts have no way back"
    text = f"{written}\n{counted(len(made.packages), 'package')} of snapshot {made.snapshot[:16]}; {back_to}"
    answer(value, as_json=as_json, text=text)
