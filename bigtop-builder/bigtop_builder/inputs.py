# SPDX-License-Identifier: Apache-2.0
"""What the result of a component's build depends on: names and hashes, of which a step's id is made.

Nothing that can change a result may be missing here; what cannot should be, as it would be built for nothing.
"""

from collections.abc import Mapping
from typing import Any

from bigtop_builder.packaging import BOM, PACKAGING, folders_of
from bigtop_builder.recipe import Component, Recipe
from bigtop_builder.schema import canonical, digest
from bigtop_builder.settings import Settings
from bigtop_builder.tree import Tree

BUILD_CONTRACT = "2"
"""Rises when the tool itself builds the same inputs into other bytes."""
UNREAD = frozenset(
    {
        # Words for people, and for services that look at the repository.
        *(".asf.yaml", ".dockerignore", ".github", ".gitignore", ".travis.yml", "Jenkinsfile.site"),
        *("BUILDING.txt", "CHANGES.txt", "MAINTAINERS.txt", "NOTICE", "README.md", "docs", "src"),
        # Projects of their own. Gradle configures the tests, and reads the names of the modules in their pom.xml,
        # but no task that makes a package looks at what comes of that.
        *("bigtop-bigpetstore", "bigtop-data-generators", "bigtop-tests", "test"),
        # Run by tasks that set up clusters and machines: `toolchain`, `docker-provisioner` and the like.
        *("bigtop-ci", "bigtop-deploy", "bigtop_toolchain", "docker", "provisioner"),
        # Maven's parent of the tests and the test framework, read by `install*`, `dosite` and `release.gradle`.
        "pom.xml",
        # The one is in the id by its entries, of the other a build reads its component's folders and what is shared.
        *(BOM, "bigtop-packages", PACKAGING, f"{PACKAGING}/common", f"{PACKAGING}/deb"),
        *(f"{PACKAGING}/charm", f"{PACKAGING}/rpm"),
    }
)
"""Entries of Bigtop's tree that no build of a Debian package reads, and those that an id has in another way.

Found in build.gradle, packages.gradle and the packaging of releases 1.2.1 to 3.6.0. All else is in each id, also
what no release has yet: Gradle reads `gradle.properties`, `buildSrc` and `*.gradle.kts` at the top, Maven and yarn
look for `.mvn` and `.yarnrc` in all folders above a source.
"""

Parts = Mapping[str, Mapping[str, str]]


def inputs_of(
    component: Component,
    *,
    tree: Tree,
    recipe: Recipe,
    settings: Settings,
    image: str,
    patches: Mapping[str, str],
    source: str,
    needs: Mapping[str, str],
) -> tuple[dict[str, str], Parts]:
    """Name -> hash of everything that can change the result, and of inputs that have parts: part -> hash or value.

    Args:
        component: The component.
        tree: The Bigtop tree.
        recipe: The recipe.
        settings: Site settings.
        image: Hash of what the builder image is made of.
        patches: Local patch -> sha256.
        source: Sha512 of the source; empty if the component needs none.
        needs: Component that is built before -> id of its step.
    """
    bom = tree.bom.components[component.name]
    entry, versions, shared = _plain(bom), _versions(tree), _shared(tree)
    properties = _properties(component, recipe, settings)
    inputs = {
        "build contract": BUILD_CONTRACT,
        "packaging": digest(canonical(dict(tree.ids(*folders_of(component.name))))),
        "shared scripts": digest(canonical(dict(tree.ids(*shared)))),
        "bom entry": digest(canonical(entry)),
        "bom versions": digest(canonical(versions)),
        "commit time": str(tree.epoch),
        **{f"patch {patch}": sha for patch, sha in patches.items() if patch.startswith(f"{component.name}/")},
        **({"source": source} if source else {}),
        "image": image,
        "properties": digest(canonical(properties)),
        **{f"dependency {name}": step for name, step in needs.items()},
    }
    parts = {
        "packaging": {
            path.removeprefix(f"{PACKAGING}/"): blob
            for path, blob in tree.below(*folders_of(component.name)).items()
        },
        "shared scripts": tree.below(*shared),
        "bom entry": {name: canonical(value) for name, value in entry.items()},
        "bom versions": versions,
        "properties": _one_by_one(properties),
    }
    return inputs, parts


def _versions(tree: Tree) -> dict[str, str]:
    """All of them: Bigtop puts the versions of all components into the environment of each build."""
    return {
        "bigtop": tree.bom.version,
        **{name: entry.base_version for name, entry in tree.bom.components.items()},
    }


def _properties(component: Component, recipe: Recipe, settings: Settings) -> dict[str, Any]:
    wrapper = f"wrapper {recipe.gradle.version} {recipe.gradle.sha256}"
    return {
        "gradle": {**recipe.gradle.properties, **component.gradle_properties},
        "maven": recipe.maven.model_dump(mode="json"),
        "component": component.maven_properties,
        "environment": {
            "BIGTOP_JDK": recipe.image.jdk.version,
            **recipe.image.environment,
            **component.environment,
        },
        "tool": "system" if settings.gradle == "system" else wrapper,
    }


def _one_by_one(properties: Mapping[str, Any]) -> dict[str, str]:
    """Each of them by the name that people know it by. None is left out: its change would be told without a name."""
    maven = dict(properties["maven"])
    named = maven.pop("properties") | properties["component"]
    return {
        "gradle": properties["tool"],
        **{f"-P{name}": value for name, value in properties["gradle"].items()},
        **{f"maven {name}": value for name, value in named.items()},
        **{f"maven {k}": value if isinstance(value, str) else " ".join(value) for k, value in maven.items()},
        **properties["environment"],
    }


def _shared(tree: Tree) -> tuple[str, ...]:
    """What every build reads, or may read: files and folders."""
    entries = (*tree.entries(), *tree.entries(PACKAGING.partition("/")[0]), *tree.entries(PACKAGING))
    return tuple(entry for entry in entries if entry not in UNREAD)


def _plain(entry: object) -> dict[str, object]:
    fields = getattr(entry, "__dataclass_fields__", {})
    values = {name: getattr(entry, name) for name in fields}
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}
