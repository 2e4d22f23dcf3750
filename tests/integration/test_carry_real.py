# SPDX-License-Identifier: Apache-2.0
"""Oozie, which left Bigtop in 3.3.0, carried into later releases, and the series of components as Bigtop writes it.

From the clone that BIGTOP_GIT names. What Bigtop's own Gradle makes of it needs Gradle and the network too; whether
patches apply is tried on the clones that OOZIE_GIT and HADOOP_GIT name.
"""

import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.carry import mirror_of
from bigtop_builder.errors import TreeError
from bigtop_builder.git_index import Index
from bigtop_builder.patches.component import Series, upstream_series
from bigtop_builder.recipe import Carry, Component, Recipe, Source
from bigtop_builder.run import run
from bigtop_builder.settings import Mirrors, Settings, load_settings
from bigtop_builder.templates import render
from bigtop_builder.tree import Tree, make_tree
from bigtop_builder.upkeep.source_tree import source_tree
from bigtop_builder.workspace import Workspace

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif("BIGTOP_GIT" not in os.environ, reason="BIGTOP_GIT names no clone of apache/bigtop"),
]
needs_gradle = pytest.mark.skipif(shutil.which("gradle") is None, reason="gradle is not installed")

RECIPES = Path(__file__).parents[2] / "recipes"
OOZIE = "5b6414ff0a6e7e98534b2f26fe1bc2bf60e6bca1"
"""rel/3.2.1, the last release that has it."""
RELEASES = {
    "3.3.0": "9715092fe020e243179c0a1094e5caebe1ab64ab",
    "3.5.0": "438a3f5d923c5ccb31c575cd6dc1dba31b6138f5",
    "3.6.0-RC0": "d20ff7d81f58206665946c7bb10c0246068faecc",
}
"""Tree ids of these releases' recipes without their patches: the same on every machine. They change with a
recipe's components and its `exclude`."""
COUNTS = {
    "3.2.1": {"hadoop": 5, "hive": 15, "spark": 0, "oozie": 3},
    "3.3.0": {"hadoop": 8, "hive": 21, "spark": 0, "oozie": 3},
    "3.5.0": {"hadoop": 12, "hive": 1, "spark": 1, "oozie": 3},
    "3.6.0-RC0": {"hadoop": 5, "hive": 3, "spark": 1, "oozie": 3},
}
"""Upstream's own patches (facts)."""


def recipe_of(release: str, *, commit: str = OOZIE, carry: str = "oozie") -> Recipe:
    """A recipe that carries a component in this way, besides what it carries anyway."""
    recipe = Recipe.from_toml(RECIPES / f"{release}.toml")
    names = {component.name for component in recipe.components}
    others = tuple(one for one in recipe.carry if one.component != carry)
    added = () if carry in names else (Component(name=carry),)
    return recipe.model_copy(
        update={
            "carry": (*others, Carry(component=carry, commit=commit, ref="rel/3.2.1")),
            "components": (*recipe.components, *added),
            "patches": (),
        }
    )


def tree_of(recipe: Recipe, cache: Path) -> Tree:
    clone = Mirrors(git={recipe.bigtop.repository: os.environ["BIGTOP_GIT"]})
    site = Settings(cache_dir=cache, gradle="system", mirrors=clone)
    workspace = Workspace(cache)
    mirror = mirror_of(recipe, workspace=workspace, settings=site, base=RECIPES)
    return make_tree(recipe, (), mirror=mirror, objects=workspace.objects)


def series(tree: Tree, component: str, **properties: str) -> Series:
    return upstream_series(tree.git, tree.id, tree.bom.components[component], properties)


@pytest.mark.parametrize("release", RELEASES)
def test_oozie_is_carried_into_a_release_without_it(release: str, tmp_path: Path) -> None:
    recipe = Recipe.from_toml(RECIPES / f"{release}.toml")
    assert recipe.carry == recipe_of(release).carry
    tree = tree_of(recipe.model_copy(update={"patches": ()}), tmp_path)
    assert tree.id == RELEASES[release]
    oozie = tree.bom.components["oozie"]
    assert (oozie.base_version, oozie.tarball_destination) == ("5.2.1", "oozie-5.2.1.tar.gz")
    assert oozie.site == "https://apache.osuosl.org//oozie/5.2.1/"
    assert tree.bom.dependencies_of("oozie") == ("hadoop", "hive", "spark")
    assert tree.bom.build_order(["oozie", "hive", "spark", "hadoop"])[-1] == "oozie"
    assert tree.packages_of("oozie") == ("oozie-client", "oozie")


def test_a_release_that_has_oozie_is_not_changed(tmp_path: Path) -> None:
    carrying = recipe_of("3.2.1")
    assert tree_of(carrying, tmp_path).id == tree_of(carrying.model_copy(update={"carry": ()}), tmp_path).id


def test_what_a_release_has_in_another_form_is_not_carried(tmp_path: Path) -> None:
    with pytest.raises(
        TreeError, match=r"carry 'hadoop': Bigtop 3\.5\.0 has this component already"
    ) as caught:
        tree_of(recipe_of("3.5.0", carry="hadoop"), tmp_path)
    assert "version 3.3.6 here, 3.3.5 in rel/3.2.1" in caught.value.details


def test_another_component_of_that_release_is_carried_as_well(tmp_path: Path) -> None:
    tree = tree_of(recipe_of("3.5.0", carry="ycsb"), tmp_path)
    assert tree.bom.dependencies_of("ycsb") == ("hadoop", "hbase")


@pytest.mark.parametrize("release", COUNTS)
def test_each_release_has_the_upstream_patches_it_is_known_for(release: str, tmp_path: Path) -> None:
    tree = tree_of(recipe_of(release), tmp_path)
    assert {name: len(series(tree, name).upstream) for name in COUNTS[release]} == COUNTS[release]
    assert series(tree, "hive").order == ("text" if release in {"3.2.1", "3.3.0"} else "number")


def test_two_hadoop_patches_of_one_number_are_told(tmp_path: Path) -> None:
    (finding,) = series(tree_of(recipe_of("3.5.0"), tmp_path), "hadoop").findings
    assert finding.startswith("patch9-HDFS-17226.diff and patch9-HDFS-17287.diff have the same number")


def applied(tree: Tree, component: str, *, clone: str, ref: str, cache: Path) -> dict[str, bool]:
    """Whether each patch of a component's series applies with exact context to a tag of its source."""
    repository = os.environ[clone]
    commit = run(["git", "-C", repository, "rev-parse", f"{ref}^{{commit}}"]).text
    source = source_tree(
        Source(kind="git", repository=repository, commit=commit),
        workspace=Workspace(cache),
        settings=Settings(cache_dir=cache),
        recipe_dir=RECIPES,
    )
    assert source is not None
    with Index.temporary(source.mirror, Workspace(cache).objects) as index:
        index.load(source.id)
        words = ("apply", "--cached", "--whitespace=nowarn", "-")
        return {
            patch.name: index(*words, stdin=patch.diff, check=False).returncode == 0
            for patch in series(tree, component).patches
        }


@pytest.mark.skipif("OOZIE_GIT" not in os.environ, reason="OOZIE_GIT names no clone of apache/oozie")
def test_oozies_patches_apply_in_a_release_that_carries_it(tmp_path: Path) -> None:
    tree = tree_of(recipe_of("3.5.0"), tmp_path)
    done = applied(tree, "oozie", clone="OOZIE_GIT", ref="release-5.2.1", cache=tmp_path)
    assert list(done.values()) == [True] * 3


@pytest.mark.skipif("HADOOP_GIT" not in os.environ, reason="HADOOP_GIT names no clone of Hadoop")
def test_what_another_version_of_hadoop_leaves_out_is_what_does_not_apply_to_it(tmp_path: Path) -> None:
    recipe = Recipe.from_toml(RECIPES / "3.0.1.toml").model_copy(update={"patches": ()})
    reverts = ("patch0-revert-HADOOP-16598.diff", "patch4-revert-HADOOP-17119-and-HADOOP-16676.diff")
    for omitted in ((), (*reverts, "patch9-revert-HADOOP-17196.diff")):
        changed = {"version": "3.2.1", "omit_patches": omitted}
        components = (c.model_copy(update=changed) if c.name == "hadoop" else c for c in recipe.components)
        tree = tree_of(recipe.model_copy(update={"components": tuple(components)}), tmp_path)
        done = applied(tree, "hadoop", clone="HADOOP_GIT", ref="rel/release-3.2.1", cache=tmp_path)
        assert len(done) == 11 - len(omitted)
        assert [name for name, whole in done.items() if not whole] == (
            [] if omitted else [*reverts, "patch9-revert-HADOOP-17196.diff"]
        )


class Gradle:
    """Bigtop's own Gradle in a work tree of a release with Oozie."""

    def __init__(self, release: str, folder: Path, home: Path) -> None:
        self.tree = tree_of(recipe_of(release), folder / "cache")
        self.folder, self._home = folder / "bigtop", home
        with self.tree.archive() as stream, tarfile.open(fileobj=stream) as tar:
            tar.extractall(self.folder)  # noqa: S202  # git wrote it
        (folder / "init.gradle").write_text(render("init.gradle.j2", mirrors=load_settings().mirrors))
        self._words = ("gradle", "--quiet", "--no-daemon", "-I", str(folder / "init.gradle"))

    def __call__(self, *words: str, check: bool = True) -> str:
        done = run(
            [*self._words, *words],
            cwd=self.folder,
            env={"GRADLE_USER_HOME": str(self._home), "BIGTOP_JDK": "11"},
            check=check,
        )
        return done.text


@pytest.fixture(name="gradle", scope="module", params=RELEASES)
def fixture_gradle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Gradle:
    home = tmp_path_factory.getbasetemp() / "gradle-home"
    return Gradle(request.param, tmp_path_factory.mktemp("carry"), home)


@needs_gradle
@pytest.mark.network
def test_bigtops_gradle_reads_what_our_parser_reads(gradle: Gradle) -> None:
    told: dict[str, Any] = json.loads(gradle("bom-json"))
    read = gradle.tree.bom.components
    assert {entry["name"]["project"] for entry in told["components"]} == set(read)
    for entry in told["components"]:
        component = read[entry["name"]["project"]]
        assert entry["version"]["base"] == component.base_version
        assert (entry["tarball"]["source"] or None) == component.tarball_source
        assert (entry["url"]["site"] or None) == component.site


@needs_gradle
@pytest.mark.network
def test_bigtops_gradle_builds_oozie_after_what_it_needs(gradle: Gradle) -> None:
    told = gradle("-Dbuildwithdeps=true", "--dry-run", "oozie-deb")
    tasks = [line.split()[0] for line in told.splitlines() if "-deb " in line]
    assert tasks[-1] == ":oozie-deb"
    assert {":hadoop-deb", ":hive-deb", ":spark-deb"} < set(tasks)


@needs_gradle
@pytest.mark.network
def test_the_series_is_the_one_that_bigtops_build_writes(gradle: Gradle, tmp_path: Path) -> None:
    component = {"3.3.0": "hive", "3.5.0": "hadoop", "3.6.0": "oozie"}[gradle.tree.bom.version]
    entry = gradle.tree.bom.components[component]
    top = tmp_path / f"{component}-{entry.base_version}"
    top.mkdir()
    (top / "empty").touch()
    downloads = gradle.folder / "dl"
    downloads.mkdir(exist_ok=True)
    run(["tar", "-czf", downloads / str(entry.tarball_destination), "-C", tmp_path, top.name])
    # The patches fit no empty source, so dpkg-buildpackage ends the task; the series is written by then.
    gradle("-PbuildThreads=4", f"{component}-sdeb", check=False)
    (file,) = (gradle.folder / "build" / component / "deb").glob("*/debian/patches/series")
    expected = series(gradle.tree, component, buildThreads="4")
    tied = {name for finding in expected.findings for name in finding.split() if name.endswith(".diff")}
    written = [name for name in file.read_text().split() if name not in tied]
    assert written == [patch.name for patch in expected.patches if patch.name not in tied]
    for patch in expected.patches:
        assert (file.parent / patch.name).read_bytes() == patch.diff
