# SPDX-License-Identifier: Apache-2.0
"""`ci tags`: releases that upstream has tagged, and no recipe is for."""

from dataclasses import asdict

import click

from bigtop_builder.cli.context import answer, json_option, setting_up, table
from bigtop_builder.mirror import Mirror
from bigtop_builder.recipe_draft.tags import release_tags, unknown_tags
from bigtop_builder.upkeep.recipes import recipes_of
from bigtop_builder.workspace import Workspace


@click.command(epilog="Example: bigtop-builder ci tags --json")
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Also releases from before the oldest recipe's, and candidates that something newer came of.",
)
@json_option
@click.pass_context
def tags(context: click.Context, *, every: bool, as_json: bool) -> None:
    """List the releases that Bigtop has tagged and no recipe is for: `recipe new TAG` drafts one.

    Bigtop's server is asked for its tags, unless the settings say `offline`.
    """
    project, settings = setting_up(context)
    recipes = recipes_of(project)
    workspace = Workspace(settings.cache_dir)
    places = {recipe.bigtop.repository: path.parent for recipe, path in recipes}
    rows = []
    for repository, base in places.items():
        mirror = Mirror.tagged(repository, workspace=workspace, settings=settings, base=base)
        known = [recipe for recipe, _ in recipes if recipe.bigtop.repository == repository]
        found = unknown_tags(release_tags(mirror), known, every=every)
        rows += [{"repository": repository, **asdict(tag)} for tag in found]
    lines = [(row["release"], row["name"], row["commit"], row["repository"]) for row in rows]
    text = table(("release", "tag", "commit", "repository"), lines) if lines else "every release has a recipe"
    answer(rows, as_json=as_json, text=text)
