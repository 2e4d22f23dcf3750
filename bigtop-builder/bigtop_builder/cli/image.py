# SPDX-License-Identifier: Apache-2.0
"""`image build|list|pin`: the images that builds and install checks run in."""

import click

from bigtop_builder.cli.context import answer, json_option, setting_up, table
from bigtop_builder.container import Engine
from bigtop_builder.engine_images import ensure_image, list_images
from bigtop_builder.engine_images import pin as pin_digest
from bigtop_builder.image import builder_image, target_image
from bigtop_builder.log import log_lines
from bigtop_builder.recipe import load_recipe
from bigtop_builder.workspace import Workspace


@click.group()
def image() -> None:
    """Builder images: each is named by the hash of what it is made of, and made once."""


@image.command(epilog="Example: bigtop-builder image build 3.5.0")
@click.argument("release")
@json_option
@click.pass_context
def build(context: click.Context, release: str, *, as_json: bool) -> None:
    """Make the images of RELEASE: the builder, and a clean system of its target."""
    project, settings = setting_up(context)
    recipe, _ = load_recipe(release, project.recipes)
    workspace = Workspace(settings.cache_dir)
    with Engine.connect() as engine:
        specs = (builder_image(recipe, settings), target_image(recipe, settings))
        made = [
            ensure_image(engine, spec, workspace=workspace, settings=settings, on_line=log_lines)
            for spec in specs
        ]
    value = [{"name": one.name, "digest": one.digest} for one in made]
    answer(value, as_json=as_json, text="\n".join(f"{one.name} {one.digest}" for one in made))


@image.command("list", epilog="Example: bigtop-builder image list --json")
@json_option
@click.pass_context
def list_(context: click.Context, *, as_json: bool) -> None:
    """List the images that this tool made, and no others."""
    setting_up(context)
    with Engine.connect() as engine:
        found = list_images(engine)
    columns = ("name", "kind", "size", "created", "digest")
    rows = [(one.name, one.kind, f"{one.size >> 20} MiB", one.created[:19], one.digest) for one in found]
    value = [{name: getattr(one, name) for name in columns} for one in found]
    answer(value, as_json=as_json, text=table(columns, rows))


@image.command(epilog="Example: bigtop-builder image pin 3.5.0")
@click.argument("release")
@json_option
@click.pass_context
def pin(context: click.Context, release: str, *, as_json: bool) -> None:
    """Ask the registry for the digest of RELEASE's base image and write it into the recipe."""
    project, settings = setting_up(context)
    recipe, path = load_recipe(release, project.recipes)
    with Engine.connect() as engine:
        digest = pin_digest(engine, path, recipe, settings)
    answer({"image": recipe.image.registry, "digest": digest}, as_json=as_json, text=digest)
