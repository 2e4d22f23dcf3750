# SPDX-License-Identifier: Apache-2.0
"""A draft of a recipe for a real release, held against the recipe that people wrote for it.

It runs where BIGTOP_GIT names a clone of apache/bigtop. Nothing is fetched: what is pinned has its pin from a recipe.
"""

import os
import shutil
from pathlib import Path

import pytest

from bigtop_builder.recipe import Component, Recipe
from bigtop_builder.recipe_draft.desk import Asked
from bigtop_builder.recipe_draft.make import Made, make_draft
from bigtop_builder.recipe_draft.report import markdown, value
from bigtop_builder.settings import Mirrors, Settings
from bigtop_builder.workspace import Project

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif("BIGTOP_GIT" not in os.environ, reason="BIGTOP_GIT names no clone of apache/bigtop"),
]

ORIGIN = Project(Path(__file__).parents[2])
BIGTOP = "https://github.com/apache/bigtop.git"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """This project before 3.3.0."""
    project = Project(tmp_path / "project")
    for folder in ("recipes", "patches"):
        shutil.copytree(getattr(ORIGIN, folder), getattr(project, folder))
    for path in project.recipes.glob("3.3.0*"):
        path.unlink()
    return project


def drafted(project: Project, tag: str, cache: Path) -> Made:
    mirrors = Mirrors(git={BIGTOP: os.environ["BIGTOP_GIT"]})
    settings = Settings(cache_dir=cache, mirrors=mirrors, offline=True)
    return make_draft(Asked(tag=tag), project=project, settings=settings)


def unpinned(component: Component) -> Component:
    bare = tuple(one.model_copy(update={"sha512": "", "checked": ""}) for one in component.sources)
    return component.model_copy(update={"sources": bare})


def test_a_draft_for_3_3_0_is_the_recipe_that_people_wrote_but_for_new_pins(
    project: Project, tmp_path: Path
) -> None:
    made = drafted(project, "3.3.0", tmp_path / "cache")
    ours, theirs = Recipe.from_toml(made.desk.path), Recipe.from_toml(ORIGIN.recipes / "3.3.0.toml")
    assert made.desk.base == "3.2.1"
    assert list(map(unpinned, ours.components)) == list(map(unpinned, theirs.components))
    rest = {"components": ()}
    assert ours.model_copy(update=rest) == theirs.model_copy(update=rest)
    jsvc, hive = ours.component("bigtop-jsvc"), ours.component("hive")
    assert (jsvc, hive) == (theirs.component("bigtop-jsvc"), theirs.component("hive"))
    assert all("can be pinned, so plan refuses it" in one.what for one in made.open)
    assert [one.component.name for one in made.pins if one.failure] == [
        "bigtop-groovy",
        "zookeeper",
        "hadoop",
        "hbase",
        "tez",
        "spark",
        "oozie",
    ]


def test_the_report_on_3_4_0_says_what_is_new_and_what_is_carried(project: Project, tmp_path: Path) -> None:
    made = drafted(project, "rel/3.4.0", tmp_path / "cache")
    said = value(made)
    rows = {row["component"]: row for row in said["components"]}
    assert (rows["hive"]["before"], rows["hive"]["now"], rows["hive"]["change"]) == ("3.1.3", "4.0.1", "up")
    assert rows["oozie"]["carried_from"] == "rel/3.2.1"
    assert rows["gpdb"]["change"] == "gone"
    assert [(one["id"], one["state"]) for one in said["patches"]] == [("bigtop/changelog-date", "clean")]
    assert {one["component"]: one["recipe"] for one in said["pins"] if one["recipe"]} == {
        "bigtop-jsvc": "3.5.0",
        "zookeeper": "3.5.0",
        "hive": "3.5.0",
    }
    assert "services of zookeeper, whose packaging has changed" in markdown(made)
