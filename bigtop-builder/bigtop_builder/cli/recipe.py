# SPDX-License-Identifier: Apache-2.0
"""`recipe new`: a draft of a recipe for a release that upstream has tagged."""

from pathlib import Path

import click

from bigtop_builder.cli.context import answer, json_option, setting_up
from bigtop_builder.errors import CheckFailed
from bigtop_builder.recipe_draft.desk import Asked
from bigtop_builder.recipe_draft.make import make_draft
from bigtop_builder.recipe_draft.report import markdown, value
from bigtop_builder.schema import counted


@click.group()
def recipe() -> None:
    """Recipes: a draft for a release that upstream has tagged."""


@recipe.command(epilog="Example: bigtop-builder recipe new rel/3.4.0 --from 3.3.0 > report.md")
@click.argument("tag")
@click.option("--name", default="", help="Name of the recipe [default: the release].")
@click.option(
    "--from",
    "earlier",
    default="",
    metavar="RECIPE",
    help="Recipe to make it of [default: that of the nearest earlier release].",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write [default: recipes/<name>.toml in the project].",
)
@click.option(
    "-c",
    "--component",
    "components",
    multiple=True,
    help="Build this component too, with what it needs; repeatable.",
)
@click.option(
    "--rebase",
    is_flag=True,
    help="Write diffs into the queue for patches that merge, as `patch rebase` does.",
)
@click.option("--force", is_flag=True, help="Write over a recipe that is there already.")
@json_option
@click.pass_context
def new(
    context: click.Context,
    tag: str,
    name: str,
    earlier: str,
    output: Path | None,
    components: tuple[str, ...],
    *,
    rebase: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Draft a recipe for TAG (a tag of Bigtop, or its release) from an earlier recipe, and print a report.

    Components, versions and sources come from the tag's bill of materials; target, image, roles, smokes and all else
    from the earlier recipe. Sources are fetched and pinned where they can be had. Each patch is tried on the tag; the
    queue is not changed without --rebase. The report is Markdown. Exit status 1: the draft is written, and something
    in it is open; the report names each point and the way out.
    """
    project, settings = setting_up(context)
    asked = Asked(
        tag=tag,
        name=name,
        earlier=earlier,
        output=output,
        components=components,
        rebase=rebase,
        force=force,
    )
    made = make_draft(asked, project=project, settings=settings)
    answer(value(made), as_json=as_json, text=markdown(made).rstrip("\n"))
    if made.open:
        raise CheckFailed(
            f"{made.desk.path} is written, with {counted(len(made.open), 'open point')}",
            hint="the report says what to do about each",
        )
