# SPDX-License-Identifier: Apache-2.0
"""Plans of a whole real release: what a change touches. Nothing is built.

It runs where BIGTOP_GIT names a clone of apache/bigtop.
"""

import os
import re
import shutil
from pathlib import Path

import pytest

from bigtop_builder.settings import Settings
from bigtop_builder.survey import Survey, survey
from bigtop_builder.workspace import Project

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif("BIGTOP_GIT" not in os.environ, reason="BIGTOP_GIT names no clone of apache/bigtop"),
]

ORIGIN = Project(Path(__file__).parents[2])
RELEASE = "3.5.0"
BIGTOP = "https://github.com/apache/bigtop.git"
FACTS = (
    'kind = "component"\ntitle = "A test\'s"\nwhy = "A test needs it"\n\n[upstream]\nstate = "to-forward"\n'
)
DIFF = "--- a/README.md\n+++ b/README.md\n@@ -1,1 +1,1 @@\n-Apache Hive\n+Apache {}\n"
HIVE = "hive/a-word"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """This project with a pin on every source, and a patch to Hive."""
    project = Project(tmp_path / "project")
    shutil.copytree(ORIGIN.patches, project.patches)
    project.recipes.mkdir()
    blocks = re.split(r"(?=\n\[)", (ORIGIN.recipes / f"{RELEASE}.toml").read_text())
    pin = f'sha512 = "{"0" * 128}"\n'
    text = "".join(
        f"{block.rstrip()}\n{pin}" if "[[components.sources]]" in block and "sha512" not in block else block
        for block in blocks
    )
    text = re.sub(r"^patches = \[", f'patches = ["{HIVE}", ', text, count=1, flags=re.MULTILINE)
    (project.recipes / f"{RELEASE}.toml").write_text(text)
    (project.patches / HIVE).mkdir(parents=True)
    (project.patches / HIVE / "patch.toml").write_text(FACTS)
    (project.patches / HIVE / "default.patch").write_text(DIFF.format("hive"))
    return project


def planned(project: Project, cache: Path) -> Survey:
    mirrors = Settings().mirrors.model_copy(update={"git": {BIGTOP: os.environ["BIGTOP_GIT"]}})
    return survey(RELEASE, project=project, settings=Settings(cache_dir=cache, mirrors=mirrors))


def ids(road: Survey) -> dict[str, str]:
    return {step.name: step.id for step in road.plan().steps}


def test_a_changed_hive_patch_touches_hive_and_its_dependents_alone(project: Project, tmp_path: Path) -> None:
    road = planned(project, tmp_path / "cache")
    before = ids(road)
    assert {"zookeeper", "hadoop", "hbase", "hive", "spark", "tez", "oozie"} <= before.keys()
    (project.patches / HIVE / "default.patch").write_text(DIFF.format("HIVE"))
    after = planned(project, tmp_path / "cache")
    moved = {name for name, step in ids(after).items() if step != before[name]}
    dependents = {step.name for step in after.plan().steps if "hive" in step.after}
    assert moved == {"hive", *dependents}
    assert not moved & {"zookeeper", "hadoop", "hbase", "spark", "tez"}


def test_a_changed_hadoop_touches_all_that_is_built_on_it(project: Project, tmp_path: Path) -> None:
    before = ids(planned(project, tmp_path / "cache"))
    recipe = project.recipes / f"{RELEASE}.toml"
    recipe.write_text(
        recipe.read_text().replace('name = "hadoop"\n', 'name = "hadoop"\nmaven_properties = {a = "b"}\n')
    )
    after = ids(planned(project, tmp_path / "cache"))
    assert {name for name in before if before[name] != after[name]} >= {
        "hadoop",
        "hbase",
        "hive",
        "spark",
        "tez",
    }
    assert after["zookeeper"] == before["zookeeper"]
