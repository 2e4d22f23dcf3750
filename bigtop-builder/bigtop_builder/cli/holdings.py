# SPDX-License-Identifier: Apache-2.0
"""What `sbom` and `provenance` share: in which packages they look."""

import click

from bigtop_builder.cli.context import setting_up
from bigtop_builder.cli.place import Where, place_of
from bigtop_builder.errors import InputError
from bigtop_builder.holdings import Holdings
from bigtop_builder.repository.publish import Repository
from bigtop_builder.workspace import Workspace

suite_option = click.option("--suite", default="", help="Suite to look in [default: the only one].")
snapshot_option = click.option("--snapshot", default="", help="Snapshot to look in, as `repo` takes it.")


def holdings(context: click.Context, folder: Where | None) -> Holdings:
    """The repository's packages."""
    repository = Repository.open(place_of(context, folder))
    workspace = workspace_of(context)
    return Holdings(repository.state, cache=workspace.sboms, copies=workspace.published)


def one_of(suite: str, snapshot: str) -> str:
    """The suite or the snapshot that was named.

    Raises:
        InputError: Both were.
    """
    if suite and snapshot:
        raise InputError("--suite and --snapshot name two places", hint="give one of them")
    return suite or snapshot


def workspace_of(context: click.Context) -> Workspace:
    """The cache."""
    return Workspace(setting_up(context)[1].cache_dir)
