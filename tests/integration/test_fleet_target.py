# SPDX-License-Identifier: Apache-2.0
"""Which distribution lists are for: that of the recipes whose releases a snapshot has."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bigtop_builder.artifact import read_deb
from bigtop_builder.cli.fleet_options import recipes_of
from bigtop_builder.errors import InputError
from bigtop_builder.fleet.offer import offer_of
from bigtop_builder.fleet.wanted import releases_of, target_of
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.recipe import Recipe
from bigtop_builder.repository.publish import Repository
from bigtop_builder.workspace import Project
from manifests import manifest


def test_the_distribution_is_that_of_the_releases_recipe(
    repository: Repository, store: KeyStore, keyring: Keyring, deb: Callable[..., Path], project: Project
) -> None:
    public = keyring.export_public(store.fingerprints(), armor=False)
    recipe = Recipe.from_toml(project.recipes / "1.0.0.toml")

    def publish(name: str, target: str) -> list[Recipe]:
        said = manifest(name, [], target=target).model_copy(update={"release": recipe.release})
        repository.add("stable", [read_deb(deb(name))], keyring=keyring, manifest=said.to_json().encode())
        offer = offer_of(repository.state, "stable", public)
        return list(recipes_of(project, releases_of(repository.state, offer)))

    assert target_of(publish("zoo", recipe.target.tag)).id == recipe.id
    assert target_of(publish("yak", "of-another-project")).id == recipe.id
    other = recipe.model_copy(update={"target": recipe.target.model_copy(update={"tag": "deb99"})})
    with pytest.raises(InputError, match=rf"releases are for {recipe.target.tag}, deb99") as caught:
        target_of([recipe, other])
    assert "--recipe" in caught.value.hint
