# SPDX-License-Identifier: Apache-2.0
"""The bigtop.bom of every release, from the clone that BIGTOP_GIT names.

Where BIGTOP_BOM names a folder, each `<release>.json` in it is what that release's own `gradlew bom-json`
printed, and all of it is compared.
"""

import json
import os
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from bigtop_builder.bom import Bom, Component, overlay, parse_bom
from bigtop_builder.run import run

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif("BIGTOP_GIT" not in os.environ, reason="BIGTOP_GIT names no clone of apache/bigtop"),
]

COMMITS = {
    "1.5.0": "79f0b3aba753d4633b7f63e517d89d8526faa516",
    "3.0.1": "9638ffdab494bd5529baa7e6622c2ffcd67088a2",
    "3.1.1": "f12481b4098c07ed8efaf3319ddf0eaba4ce4b41",
    "3.2.1": "5b6414ff0a6e7e98534b2f26fe1bc2bf60e6bca1",
    "3.3.0": "d44a5845eeffe6bab7037a3ca816cf3c9df44029",
    "3.4.0": "fedfe0834d74c85e4ed7fd75b41ec10bcce82aec",
    "3.5.0": "cadb1e432ee5c88c9afc8bb9b99fba558e148f18",
    "3.6.0-RC0": "19670ce6a3cc68833b7dd47697cd6272b66bb372",
}
FACTS: dict[str, tuple[str, int, dict[str, str]]] = {
    "1.5.0": ("1.5.0", 32, {"hadoop": "2.10.1", "hive": "2.3.6", "spark-core": "2.4.5", "oozie": "4.3.0"}),
    "3.0.1": ("3.0.1", 25, {"hadoop": "3.2.2", "hive": "3.1.2", "spark-core": "3.0.1", "oozie": "5.2.1"}),
    "3.1.1": ("3.1.1", 25, {"hadoop": "3.2.4", "hive": "3.1.2", "spark-core": "3.1.2", "oozie": "5.2.1"}),
    "3.2.1": ("3.2.1-SNAPSHOT", 21, {"hadoop": "3.3.5", "hive": "3.1.3", "spark": "3.2.3", "oozie": "5.2.1"}),
    "3.3.0": ("3.3.0", 18, {"hadoop": "3.3.6", "hive": "3.1.3", "spark": "3.3.4", "zookeeper": "3.7.2"}),
    "3.4.0": ("3.4.0", 18, {"hadoop": "3.3.6", "hive": "4.0.1", "spark": "3.5.3", "zookeeper": "3.8.4"}),
    "3.5.0": ("3.5.0", 19, {"hadoop": "3.3.6", "hive": "4.0.1", "spark": "3.5.6", "zookeeper": "3.8.4"}),
    "3.6.0-RC0": ("3.6.0", 19, {"hadoop": "3.4.3", "hive": "4.0.1", "spark": "3.5.8", "zookeeper": "3.8.4"}),
}
"""Each release's own version, number of components, and version by source package."""

ORACLE = Path(os.environ.get("BIGTOP_BOM", "/nonexistent"))


def text_of(release: str) -> str:
    return run(["git", "-C", os.environ["BIGTOP_GIT"], "show", f"{COMMITS[release]}:bigtop.bom"]).text


@pytest.fixture(name="bom", params=COMMITS)
def fixture_bom(request: pytest.FixtureRequest) -> tuple[str, Bom]:
    return request.param, parse_bom(text_of(request.param), source=request.param)


def test_a_release_has_the_versions_it_is_known_for(bom: tuple[str, Bom]) -> None:
    release, read = bom
    version, count, versions = FACTS[release]
    packaged = {component.pkg: component.base_version for component in read.components.values()}
    assert (read.version, len(read.components)) == (version, count)
    assert {package: packaged[package] for package in versions} == versions


def test_a_release_builds_in_an_order_that_its_dependency_map_allows(bom: tuple[str, Bom]) -> None:
    _, read = bom
    order = read.build_order(read.components)
    assert sorted(order) == sorted(read.components)
    assert all(
        order.index(first) < order.index(then)
        for first, dependents in read.dependents.items()
        for then in dependents
        if first in order and then in order
    )
    assert read.dependencies_of("hive") == ("hadoop", "hbase")


def test_an_overlay_changes_one_component_of_a_release_and_nothing_else(bom: tuple[str, Bom]) -> None:
    release, read = bom
    for name in ("hadoop", "livy"):
        added = overlay(name, version="9.9", tarball_source="a.tgz", tarball_destination="b.tar.gz")
        changed = parse_bom(text_of(release) + added)
        component = changed.components[name]
        assert (component.base_version, component.pkg_version, component.git) == ("9.9", "9.9", {})
        assert (component.tarball_source, component.tarball_destination) == ("a.tgz", "b.tar.gz")
        assert {**changed.components, name: None} == {**read.components, name: None}


def test_reading_a_release_takes_milliseconds() -> None:
    text = text_of("1.5.0")
    start = perf_counter()
    parse_bom(text)
    assert perf_counter() - start < 0.5


def test_a_release_reads_as_its_own_bom_json_task_printed_it(bom: tuple[str, Bom]) -> None:
    release, read = bom
    printed = ORACLE / f"{release}.json"
    if not printed.exists():
        pytest.skip("BIGTOP_BOM has no such file")
    told = json.loads(printed.read_text())
    assert read.version == told["version"]
    assert {name: as_told(component) for name, component in read.components.items()} == {
        entry["name"]["project"]: without_relnotes(entry) for entry in told["components"]
    }


def as_told(component: Component) -> dict[str, dict[str, Any]]:
    return {
        "name": {
            "project": component.name,
            "pkg": component.pkg,
            "packaging": component.packaging,
            "maven_parallel_build": component.maven_parallel_build or None,
        },
        "tarball": {"source": component.tarball_source, "destination": component.tarball_destination},
        "url": {"site": component.site, "archive": component.archive},
        "version": {
            "base": component.base_version,
            "pkg": component.pkg_version,
            "release": int(component.release),
        },
        "git": {key: component.git.get(key) for key in ("repo", "ref", "dir")},
    }


def without_relnotes(entry: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The entry with None for `{}`, and without the release notes, which Component does not hold."""
    plain = {part: {key: value or None for key, value in told.items()} for part, told in entry.items()}
    del plain["name"]["relNotes"]
    # Older releases print no such keys.
    plain["name"] = {"packaging": None, "maven_parallel_build": None} | plain["name"]
    return plain
