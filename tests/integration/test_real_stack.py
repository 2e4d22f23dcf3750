# SPDX-License-Identifier: Apache-2.0
"""Hadoop, Hive, Spark and Oozie from their own sources: built, verified, published, and at work on one host.

It runs where variables name clones of the repositories. A cold cache takes hours; BIGTOP_BUILDER_CACHE_DIR names one
to keep. docs/real-builds.md has the figures.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from bigtop_builder.recipe import Recipe
from bigtop_builder.run import run
from bigtop_builder.workspace import Project

CLONES = {
    f"https://github.com/apache/{name}.git": f"{name.upper()}_GIT"
    for name in ("bigtop", "hadoop", "spark", "zookeeper", "oozie")
}
MISSING = [variable for variable in CLONES.values() if variable not in os.environ]
RELEASE = "3.0.1-git"
SUITE = "stable"
ORIGIN = Project(Path(__file__).parents[2])
BUILT = {
    "bigtop-utils": "3.0.1",
    "zookeeper": "3.4.14",
    "bigtop-groovy": "2.4.21",
    "bigtop-jsvc": "1.0.15",
    "hadoop": "3.2.1",
    "hive": "3.1.2",
    "spark": "3.0.1",
    "oozie": "5.2.1",
}

pytestmark = [
    pytest.mark.real,
    pytest.mark.docker,
    pytest.mark.network,
    pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} name no clone"),
]


def tool(project: Project, *words: str) -> str:
    """What a command of the tool prints."""
    env = {
        "BIGTOP_BUILDER_CACHE_DIR": os.environ.get("BIGTOP_BUILDER_CACHE_DIR") or str(project.root / "cache"),
        "BIGTOP_BUILDER_GRADLE": os.environ.get("BIGTOP_BUILDER_GRADLE", "system"),
        "BIGTOP_BUILDER_KEYS_DIR": str(project.root / "keys"),
        "BIGTOP_BUILDER_MIRRORS__GIT": json.dumps({url: os.environ[name] for url, name in CLONES.items()}),
    }
    program = [sys.executable, "-m", "bigtop_builder", f"--project={project.root}"]
    return run([*program, *words], env=env).text


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of the test's own, with the release built."""
    made = Project(tmp_path_factory.mktemp("stack") / "project")
    made.recipes.mkdir(parents=True)
    shutil.copy(ORIGIN.recipes / f"{RELEASE}.toml", made.recipes)
    shutil.copytree(ORIGIN.patches, made.patches)
    key = json.loads(tool(made, "key", "new", "Stack", "stack@example.org", "--json"))
    definition = tomlkit.parse(ORIGIN.definition.read_text(encoding="utf-8"))
    definition |= {"keys": [key["fingerprint"]], "storage": "repository"}
    made.definition.parent.mkdir()
    made.definition.write_text(tomlkit.dumps(definition), encoding="utf-8")
    tool(made, "plan", RELEASE, "--bump")
    tool(made, "build", RELEASE)
    return made


@pytest.fixture(scope="module")
def verified(project: Project) -> dict[str, Any]:
    """What `verify --smoke` says."""
    said: dict[str, Any] = json.loads(tool(project, "verify", RELEASE, "--smoke", "--json"))
    return said


def test_each_system_was_built_from_the_source_that_the_recipe_pins(project: Project) -> None:
    planned = json.loads(tool(project, "plan", RELEASE, "--json"))
    assert {step["component"]: step["upstream_version"] for step in planned["steps"]} == BUILT
    assert {step["action"] for step in planned["steps"]} == {"reuse"}


def test_the_packages_verify_and_every_role_can_be_installed(verified: dict[str, Any]) -> None:
    roles = Recipe.from_toml(ORIGIN.recipes / f"{RELEASE}.toml").roles
    closures = {one["subject"]: one["outcome"] for one in verified["findings"] if one["check"] == "closure"}
    assert closures == dict.fromkeys(roles, "passed")
    assert verified["passed"]


@pytest.mark.parametrize("name", ["hdfs", "yarn", "spark", "hive", "oozie"])
def test_on_one_host_it_does_what_it_is_for(verified: dict[str, Any], name: str) -> None:
    smokes = {one["subject"]: one for one in verified["smoke"]}
    assert smokes[name]["outcome"] == "passed", smokes[name]["detail"]


def test_the_release_is_published_signed_and_whole(project: Project, verified: dict[str, Any]) -> None:
    tool(project, "release", RELEASE, "--suite", SUITE)
    tool(project, "repo", "check")
    index = (project.root / "repository/dists" / SUITE / "main/binary-amd64/Packages").read_text(
        encoding="utf-8"
    )
    published = {
        line.removeprefix("Package: ") for line in index.splitlines() if line.startswith("Package: ")
    }
    going_in = {package["name"] for package in verified["packages"] if not package["not_published"]}
    assert going_in <= published
    assert {"hadoop-hdfs-namenode", "hive", "spark-core", "oozie"} <= published
