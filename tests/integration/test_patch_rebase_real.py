# SPDX-License-Identifier: Apache-2.0
"""A queue of Hadoop's own commits carried from 3.1.4 to 3.2.1: the tree has 12,000 files and a real history.

The commits are named by id; nothing of them is kept. HADOOP_GIT and BIGTOP_GIT name the clones.
"""

import os
import time
from pathlib import Path

import pytest

from bigtop_builder.patches.facts import Given
from bigtop_builder.run import run
from bigtop_builder.settings import Settings
from bigtop_builder.upkeep.edit import edit
from bigtop_builder.upkeep.export import export
from bigtop_builder.upkeep.foreign import read_commits
from bigtop_builder.upkeep.intake import bring
from bigtop_builder.upkeep.rebase import rebase
from bigtop_builder.workspace import Project

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not ("BIGTOP_GIT" in os.environ and "HADOOP_GIT" in os.environ),
        reason="BIGTOP_GIT and HADOOP_GIT name no clones",
    ),
]
BIGTOP_3_0_1 = "9638ffdab494bd5529baa7e6622c2ffcd67088a2"
HADOOP = {
    "3.0.0": ("3.1.4", "1e877761e8dadd71effef30e592368f7fe66a61b"),
    "3.0.1": ("3.2.1", "b3cbbb467e22ea829b3808f4b7b01d07e0bf3842"),
}
OUTCOMES = {
    "41df5bf835e1a0d78e7362958edac40089610e84": "offset",
    "8358d7c175950392f30850ef27e9dfbe908dedd3": "merged",
    "dbb28090262c5adb92fb346b34d290ad1934f72e": "conflict",
    "4e29738f4cbb20d12ef3116b6587b6fec78a3350": "clean",
    "8f53545f9d14a95527760c3bf4ef504e606f61e2": "conflict",
    "8988f33ac34c81880a1f7cbbee018c14625a2186": "clean",
    "2e4892061a2ff1ae99ef5aacffd7b229dc3dac1b": "merged",
    "400c5accd9f5cdfadccf78e88c5b3e148fc07bb1": "already-upstream",
    "86c15b8287462cfb21597a22882185bedabf72b1": "clean",
}
"""Commit of branch-3.1 after 3.1.4 -> what becomes of it on 3.2.1."""
RECIPE = """format = 1
release = "{release}"

[bigtop]
repository = "{bigtop}"
commit = "{commit}"

[target]
distribution = "debian"
suite = "trixie"
tag = "deb13"

[image.jdk]
package = "openjdk-8-jdk"
version = "8"

[[components]]
name = "zookeeper"

[[components]]
name = "hadoop"
version = "{version}"
omit_patches = [{omitted}]

[[components.sources]]
kind = "git"
repository = "{hadoop}"
commit = "{source}"
"""


@pytest.fixture
def queue(tmp_path: Path) -> Project:
    """A project with two releases that build Hadoop 3.1.4 and 3.2.1, without upstream's own patches."""
    bigtop, hadoop = os.environ["BIGTOP_GIT"], os.environ["HADOOP_GIT"]
    folder = "bigtop-packages/src/common/hadoop/"
    listed = run(["git", "-C", bigtop, "ls-tree", "--name-only", BIGTOP_3_0_1, folder]).text.splitlines()
    names = [path.rpartition("/")[2] for path in listed]
    omitted = ", ".join(f'"{name}"' for name in names if name.startswith("patch"))
    (tmp_path / "patches").mkdir()
    (tmp_path / "recipes").mkdir()
    for release, (version, source) in HADOOP.items():
        text = RECIPE.format(
            release=release,
            bigtop=bigtop,
            commit=BIGTOP_3_0_1,
            version=version,
            omitted=omitted,
            hadoop=hadoop,
            source=source,
        )
        (tmp_path / "recipes" / f"{release}.toml").write_text(text)
    return Project(tmp_path)


def test_hadoop_patches_are_carried_over_and_conflicts_name_the_commit_behind_them(
    queue: Project, settings: Settings
) -> None:
    hadoop = Path(os.environ["HADOOP_GIT"])
    read = [one for commit in OUTCOMES for one in read_commits(hadoop, commit, "hadoop", commit[:12])]
    brought = bring(read, given=Given(), releases=("3.0.0",), project=queue)
    assert len(brought.patches) == len(OUTCOMES)
    began = time.monotonic()
    report = rebase("3.0.0", "3.0.1", project=queue, settings=settings)
    assert time.monotonic() - began < 60
    assert report.failures == ()
    assert {one.id: one.outcome for one in report.moves} == {
        f"hadoop/{commit[:12]}": outcome for commit, outcome in OUTCOMES.items()
    }
    for clash in (clash for one in report.conflicting for clash in one.conflicts):
        assert clash.line > 0
        assert len(clash.commit) == 40
        tip = HADOOP["3.0.0" if clash.lacks else "3.0.1"][1]
        run(["git", "-C", hadoop, "merge-base", "--is-ancestor", clash.commit, tip])
    done = edit("3.0.1", "hadoop", project=queue, settings=settings)
    assert len(done.patches) == len([one for one in report.moves if one.tree])
    assert export("3.0.1", "hadoop", project=queue, settings=settings).written == ()
