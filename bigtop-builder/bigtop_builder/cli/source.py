# SPDX-License-Identifier: Apache-2.0
"""`source fetch|verify`: the sources of components, and their pins."""

from collections.abc import Iterator
from pathlib import Path

import click

from bigtop_builder.acquire import kept
from bigtop_builder.cli.context import answer, json_option, setting_up, table
from bigtop_builder.errors import CheckFailed
from bigtop_builder.executor.material import fetch_gradle, fetch_source
from bigtop_builder.hashes import hash_of
from bigtop_builder.log import transfers
from bigtop_builder.pinning import pin_first, write_pin
from bigtop_builder.recipe import Component, Recipe, load_recipe
from bigtop_builder.settings import Settings
from bigtop_builder.sources import select
from bigtop_builder.survey import survey
from bigtop_builder.workspace import Workspace

COLUMNS = ("component", "state", "source", "sha512", "checked with")
Row = tuple[str, str, str, str, str]

only_option = click.option(
    "-c", "--component", "components", multiple=True, help="Only the source of this component; repeatable."
)


@click.group()
def source() -> None:
    """Component sources: fetch them, verify them, pin them."""


@source.command(epilog="Example: bigtop-builder source fetch 3.5.0 -c zookeeper --pin")
@click.argument("release")
@only_option
@click.option(
    "--pin", "pinning", is_flag=True, help="Verify unpinned sources and write their pins into the recipe."
)
@click.option(
    "--trust-first-use",
    is_flag=True,
    help="With --pin: pin it even if nothing vouches for it; the recipe says so.",
)
@json_option
@click.pass_context
def fetch(
    context: click.Context,
    release: str,
    components: tuple[str, ...],
    *,
    pinning: bool,
    trust_first_use: bool,
    as_json: bool,
) -> None:
    """Bring the sources of RELEASE into the cache, checked against their pins.

    For all of RELEASE that is the Gradle distribution too, where Bigtop's wrapper is to run one.
    """
    project, settings = setting_up(context)
    rows: list[Row] = []
    if pinning:
        recipe, path = load_recipe(release, project.recipes)
        for component in _chosen(recipe, components):
            rows += _pinned(component, path, settings, trust=trust_first_use)
    road = survey(release, project=project, settings=settings, selected=components)
    for step in road.plan(components).steps:
        wanted = not components or step.name in components
        if step.source and wanted and not any(row[0] == step.name for row in rows):
            fetch_source(road, step, step.source)
            rows.append((step.name, "fetched", step.source.where, step.source.sha512, step.source.checked))
    if not components:
        fetch_gradle(road)
    _tell(rows, as_json=as_json)


@source.command(epilog="Example: bigtop-builder source verify 3.5.0")
@click.argument("release")
@only_option
@json_option
@click.pass_context
def verify(context: click.Context, release: str, components: tuple[str, ...], *, as_json: bool) -> None:
    """Say which sources of RELEASE are pinned and fetched, and hash those in the cache again."""
    project, settings = setting_up(context)
    recipe, _ = load_recipe(release, project.recipes)
    rows = [row for component in _chosen(recipe, components) for row in _states(component, settings)]
    _tell(rows, as_json=as_json)
    if wrong := [row[0] for row in rows if row[1] == "wrong"]:
        raise CheckFailed(
            f"the cached source of {', '.join(wrong)} is not what its pin says",
            hint=f"bigtop-builder source fetch {release} fetches it anew",
        )


def _chosen(recipe: Recipe, names: tuple[str, ...]) -> tuple[Component, ...]:
    return tuple(recipe.component(name) for name in names) if names else recipe.components


def _pinned(component: Component, path: Path, settings: Settings, *, trust: bool) -> Iterator[Row]:
    """Pin the first candidate that can be had and verified, unless one is pinned already."""
    chosen = select(component, settings)
    if chosen is None or chosen.sha512:
        return
    with transfers() as progress:
        index, found = pin_first(
            component,
            workspace=Workspace(settings.cache_dir),
            settings=settings,
            recipe_dir=path.parent,
            trust_first_use=trust,
            progress=progress,
        )
    write_pin(path, component.name, index, found)
    yield component.name, "pinned", component.sources[index].where, found.sha512, found.checked


def _states(component: Component, settings: Settings) -> Iterator[Row]:
    chosen = select(component, settings)
    if chosen is None:
        return
    state = "unpinned"
    if chosen.sha512:
        download = kept(chosen, Workspace(settings.cache_dir))
        state = "not fetched"
        if download.is_file():
            state = "whole" if hash_of(download, "sha512") == chosen.sha512 else "wrong"
    yield component.name, state, chosen.where, chosen.sha512, chosen.checked


def _tell(rows: list[Row], *, as_json: bool) -> None:
    value = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    short = [(*row[:3], f"{row[3][:16]}…" if row[3] else "-", row[4] or "-") for row in rows]
    answer(value, as_json=as_json, text=table(COLUMNS, short))
