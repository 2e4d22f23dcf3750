# SPDX-License-Identifier: Apache-2.0
"""`source fetch`: what is asked for comes, and nothing that it does not need can stop it."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bigtop_builder import download
from bigtop_builder.cli.source import fetch
from bigtop_builder.errors import SourceError
from bigtop_builder.recipe import load_recipe
from bigtop_builder.workspace import Project


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Settings of a site whose Gradle comes through the wrapper, from a server that is not there."""
    file = tmp_path / "settings.toml"
    file.write_text(
        f'cache_dir = "{tmp_path}/cache"\ngradle = "wrapper"\n'
        '[mirrors]\ngradle_distributions = "http://127.0.0.1:9/gradle"\n'
    )
    return file


def ask(project: Project, site: Path, *words: str) -> Result:
    options = {"settings": site, "project": project.root, "verbose": False}
    return CliRunner().invoke(fetch, list(words), obj=options)


def fetched(project: Project, site: Path) -> set[str]:
    """Components of 1.0.0 whose source is in the cache."""
    recipe, _ = load_recipe("1.0.0", project.recipes)
    pins = {source.sha512: component.name for component in recipe.components for source in component.sources}
    cache = site.parent / "cache/sources"
    return {name for sha512, name in pins.items() if (cache / sha512 / "download").is_file()}


def test_one_components_source_is_all_that_is_fetched(project: Project, site: Path) -> None:
    result = ask(project, site, "1.0.0", "-c", "herald")
    assert result.exit_code == 0, result.exception
    assert fetched(project, site) == {"herald"}


def test_all_of_a_release_is_its_gradle_too_after_the_sources(
    project: Project, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "BACKOFF", 0.001)
    recipe = project.recipes / "1.0.0.toml"
    herald = load_recipe("1.0.0", project.recipes)[0].component("herald").sources[0]
    local = f'kind = "file"\nfile = "{herald.file}"\nsha512 = "{herald.sha512}"'
    recipe.write_text(re.sub(r'kind = "maven"\n.*\nsha512 = ".*"', local, recipe.read_text()))
    result = ask(project, site, "1.0.0")
    assert isinstance(result.exception, SourceError)
    assert "gradle" in str(result.exception)
    assert fetched(project, site) == {"herald", "salute"}
