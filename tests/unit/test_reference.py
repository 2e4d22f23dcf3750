# SPDX-License-Identifier: Apache-2.0
"""Reference pages and schemas are what the models say."""

import json
import tomllib
from pathlib import Path

import pytest

from bigtop_builder.recipe import Recipe
from bigtop_builder.reference import FORMATS, pages
from bigtop_builder.settings import Settings
from bigtop_builder.workspace import Project

PAGES = pages()
REMEDY = "is not what the models say: run `make docs` and commit what it changes"


@pytest.mark.parametrize("path", sorted(PAGES))
def test_the_committed_page_is_current(origin: Project, path: str) -> None:
    file = origin.root / "docs" / path
    assert file.is_file(), f"docs/{path} is missing: run `make docs`"
    assert file.read_text() == PAGES[path], f"docs/{path} {REMEDY}"


def test_no_schema_is_left_of_a_format_that_is_gone(origin: Project) -> None:
    there = {file.stem for file in (origin.root / "docs/schemas").iterdir()}
    assert there == set(FORMATS), f"docs/schemas {REMEDY}"


def test_every_setting_is_described() -> None:
    rows = [line for line in PAGES["settings.md"].splitlines() if line.startswith("| `")]
    described = {row.split("`")[1] for row in rows if row.rstrip(" |").count("|") >= 4}
    assert set(Settings.model_fields) - {"mirrors", "image", "sources"} <= described


def test_every_setting_without_an_empty_default_shows_it() -> None:
    defaults = {
        cells[1].strip(" `"): cells[3].strip()
        for cells in (line.split("|") for line in PAGES["settings.md"].splitlines() if line.startswith("| `"))
    }
    assert defaults["cache_dir"] == "`$XDG_CACHE_HOME/bigtop-builder`, else `~/.cache/bigtop-builder`"
    assert (
        defaults["keys_dir"]
        == "`$XDG_DATA_HOME/bigtop-builder/keys`, else `~/.local/share/bigtop-builder/keys`"
    )


def test_what_the_readme_installs_as_root_is_one_file(origin: Project) -> None:
    lines = [
        line for line in (origin.root / "README.md").read_text().splitlines() if "dpkg --install" in line
    ]
    assert lines
    assert not [line for line in lines if "*" in line]


def test_pages_name_no_folder_of_the_machine_they_were_made_on() -> None:
    home = str(Path.home())
    assert [path for path, text in PAGES.items() if home in text.replace("/root/upgrade-day", "")] == []


def test_each_schema_knows_every_key_of_its_format() -> None:
    for name, (_, model, _) in FORMATS.items():
        keys = {field.alias or key for key, field in model.model_fields.items()}
        assert set(json.loads(PAGES[f"schemas/{name}.json"])["properties"]) == keys


def test_the_recipes_schema_requires_what_the_model_requires(origin: Project) -> None:
    schema = json.loads(PAGES["schemas/recipe.json"])
    required = {key for key, field in Recipe.model_fields.items() if field.is_required()}
    assert set(schema["required"]) == required
    assert schema["additionalProperties"] is False
    recipe = tomllib.loads((origin.recipes / "3.5.0.toml").read_text())
    assert required <= recipe.keys() <= schema["properties"].keys()
