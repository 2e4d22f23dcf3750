# SPDX-License-Identifier: Apache-2.0
"""Recipes: the committed ones are whole, and the versions they make rise."""

from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydpkg import Dpkg

from bigtop_builder.errors import InputError
from bigtop_builder.miniature import commit_releases
from bigtop_builder.recipe import Recipe, Source, load_recipe
from bigtop_builder.workspace import Project

RELEASES = ("3.0.1", "3.2.1", "3.3.0", "3.5.0", "3.6.0-RC0")


@pytest.mark.parametrize("release", RELEASES)
def test_each_release_has_a_recipe_that_builds_what_the_four_systems_need(
    origin: Project, release: str
) -> None:
    recipe, _ = load_recipe(release, origin.recipes)
    names = {component.name for component in recipe.components}
    assert {"bigtop-utils", "bigtop-groovy", "bigtop-jsvc", "zookeeper", "hadoop", "hive", "spark"} <= names
    assert recipe.roles


def test_the_miniatures_recipes_pin_the_commits_that_quickstart_makes(
    origin: Project, tmp_path: Path
) -> None:
    made = commit_releases(origin.recipes / "miniature", tmp_path / "bigtop.git")
    recipes = origin.recipes / "miniature" / "recipes"
    pinned = tuple(load_recipe(name, recipes)[0].bigtop.commit for name in ("1.0.0", "1.1.0"))
    assert made == pinned, "the miniature changed: write these commits into its recipes"


def test_revisions_rise_with_the_release_and_with_each_build(origin: Project) -> None:
    stamps = [
        load_recipe(release, origin.recipes)[0].stamp(bom_release="1", serial=serial)
        for release in ("3.2.1", "3.3.0", "3.5.0", "3.6.0-RC0")
        for serial in (1, 2, 10)
    ]
    for older, newer in pairwise(stamps):
        assert Dpkg.compare_versions(f"1.4.0-{older}", f"1.4.0-{newer}") < 0


def test_a_release_candidate_sorts_before_its_release(origin: Project) -> None:
    recipe, _ = load_recipe("3.6.0-RC0", origin.recipes)
    final = recipe.model_copy(update={"release": "3.6.0"})
    candidate = recipe.stamp(bom_release="1", serial=9)
    assert candidate == "1+bt3.6.0~rc0.9~deb11"
    assert Dpkg.compare_versions(candidate, final.stamp(bom_release="1", serial=1)) < 0


def test_a_component_listed_twice_is_refused(project: Project) -> None:
    path = project.recipes / "1.0.0.toml"
    path.write_text(path.read_text().replace('name = "salute"', 'name = "herald"'))
    with pytest.raises(InputError) as refusal:
        Recipe.from_toml(path)
    assert "component 'herald' is listed twice" in refusal.value.details


def test_an_unknown_component_is_refused_with_those_that_exist(project: Project) -> None:
    recipe, _ = load_recipe("1.0.0", project.recipes)
    with pytest.raises(InputError) as refusal:
        recipe.component("hadop")
    assert "'hadop'" in refusal.value.brief
    assert "salute" in refusal.value.hint


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "maven"}, "needs `coordinates`"),
        ({"kind": "maven", "coordinates": "a:b:1"}, "group:artifact:version:classifier:extension"),
        ({"kind": "git", "repository": "https://example.org/x.git"}, "needs `commit`"),
        ({"kind": "file"}, "needs `file`"),
        ({"kind": "maven", "url": "https://x"}, "needs `coordinates`, not `url`"),
    ],
)
def test_a_source_without_its_location_is_refused(fields: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Source.model_validate(fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"kind": "maven", "coordinates": "a:b:1:src:zip", "url": "https://x"},
            "`coordinates` and `url` are 2 locations: kind 'maven' takes `coordinates` alone",
        ),
        ({"kind": "url", "url": "https://x", "commit": "0" * 40}, "kind 'url' takes no `commit`"),
    ],
)
def test_a_source_with_two_locations_is_refused_with_both(fields: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Source.model_validate(fields)
