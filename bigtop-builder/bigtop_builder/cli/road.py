# SPDX-License-Identifier: Apache-2.0
"""What `plan`, `build`, `verify` and `release` begin with: the survey of a release, and where it goes."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bigtop_builder.cli.context import passphrase, setting_up
from bigtop_builder.depot import open_depot
from bigtop_builder.keys import KeyStore
from bigtop_builder.recipe import load_recipe
from bigtop_builder.survey import Survey, survey
from bigtop_builder.workspace import Workspace

if TYPE_CHECKING:
    from bigtop_builder.publishing import Archive

RELEASE = "release_name"


def archive_with(context: click.Context, suite: str, folder: str | Path | None) -> "Archive":
    """The project's repository, which has this suite."""
    from bigtop_builder.publishing import load_archive  # `plan` and `build` have no use for it

    project, settings = setting_up(context)
    archive = load_archive(project, folder=folder, store=KeyStore.of(settings), passphrase=passphrase())
    archive.definition.settings_of(suite)
    return archive


def copies_of(context: click.Context) -> Path:
    """Where packages of a repository on S3 are kept."""
    return Workspace(setting_up(context)[1].cache_dir).published


def require_output(context: click.Context, name: str) -> None:
    """Raise before a long work is begun if its results could not be laid out."""
    project, _ = setting_up(context)
    project.results_of(load_recipe(name, project.recipes)[1]).require_writable()


def surveyed(
    context: click.Context, name: str, builder: str, components: tuple[str, ...], *, offline: bool = False
) -> Survey:
    """All that a release is planned from, with the depot unless there is to be no network."""
    project, settings = setting_up(context)
    settings = settings.model_copy(update={"offline": settings.offline or offline})
    return survey(
        name,
        project=project,
        settings=settings,
        host=builder == "host",
        selected=components,
        depot=None if settings.offline else open_depot(settings.shared_cache),
    )
