# SPDX-License-Identifier: Apache-2.0
"""A patch's whole road through the command line: from "I found a bug" to "it is dropped, the release has it"."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.recipe import load_recipe
from bigtop_builder.run import Completed, run
from bigtop_builder.workspace import Project
from small_queue import ADA, clone_of, commit_all, git, numbered, small_project

FIVE = {"settings.gradle": numbered((5, "five"), last=20)}
"""What release 2.0.0 has upstream as BIGTOP-8."""


class Queue:
    """A project, a maintainer's clone of release 1.0.0, and the tool."""

    def __init__(self, root: Path) -> None:
        self.project = small_project(root / "queue")
        self.clone = clone_of(self.project, root / "clone")
        self._env = {**ADA, "BIGTOP_BUILDER_CACHE_DIR": str(root / "cache"), "HOME": str(root)}

    def call(self, *words: str | Path) -> Completed:
        """Call `bigtop-builder patch …`, whatever comes of it."""
        tool = [sys.executable, "-m", "bigtop_builder", f"--project={self.project.root}", "patch"]
        return run([*tool, *words], env=self._env, check=False)

    def done(self, *words: str | Path) -> str:
        """Call it; it must succeed."""
        said = self.call(*words)
        assert said.returncode == 0, said.complaint
        return said.text

    def json(self, *words: str | Path) -> Any:
        """Its answer as a value, whatever its exit code."""
        return json.loads(self.call(*words, "--json").text)

    def listed(self, release: str) -> tuple[str, ...]:
        """Patches of a recipe."""
        return load_recipe(release, self.project.recipes)[0].patches

    def repin(self, release: str, revision: str) -> None:
        """Let a recipe be for another commit."""
        path = self.project.recipes / f"{release}.toml"
        now = load_recipe(release, self.project.recipes)[0].bigtop.commit
        commit = git(self.project.root / "bigtop", "rev-parse", revision).text
        path.write_text(path.read_text().replace(now, commit))


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    """An empty queue."""
    return Queue(tmp_path)


def test_a_patch_goes_all_the_way(queue: Queue) -> None:
    (queue.clone / "settings.gradle").write_text(FIVE["settings.gradle"])
    facts = (
        "--title",
        "Say five",
        "--ticket",
        "BIGTOP-8",
        "--why",
        "the build counts",
        "--drop-when",
        "2.0.0",
    )
    queue.done("new", "bigtop/five", "--from", queue.clone, "--release", "1.0.0", *facts, "-m", "It said 5.")
    assert queue.listed("1.0.0") == ("bigtop/five",)
    assert queue.call("lint", "bigtop/five").returncode == 0

    work = Path(queue.json("edit", "1.0.0", "bigtop")["folder"])
    (work / "build.gradle").write_text(numbered((6, "six"), (30, "thirty")))
    commit_all(work, "BIGTOP-20. Say six and thirty\n\nBoth are needed.")
    assert "new       bigtop/BIGTOP-20-say-six-and-thirty" in queue.done("export", "1.0.0", "bigtop")
    assert "nothing to write" in queue.done("export", "1.0.0", "bigtop")
    assert queue.listed("1.0.0") == ("bigtop/five", "bigtop/BIGTOP-20-say-six-and-thirty")

    queue.repin("2.0.0", "rel/2.0.0~2")
    assert [one["outcome"] for one in queue.json("rebase", "1.0.0", "--onto", "2.0.0")["patches"]] == [
        "clean"
    ] * 2
    assert queue.listed("2.0.0") == queue.listed("1.0.0")
    refused = queue.call("drop", "bigtop/five", "2.0.0")
    assert refused.returncode == 1
    assert "has no evidence on 2.0.0" in refused.complaint

    queue.done("status")
    assert queue.call("status", "--verify").returncode == 0
    queue.repin("2.0.0", "rel/2.0.0")
    stale = queue.call("status", "--verify")
    assert stale.returncode == 1
    assert "bigtop/five on 2.0.0" in stale.complaint
    queue.done("status")
    evidence = json.loads((queue.project.patches / "bigtop/five/evidence.json").read_text())["releases"]
    assert (evidence["1.0.0"]["state"], evidence["2.0.0"]["state"]) == ("clean", "already-upstream")

    assert "would go from 2.0.0" in queue.done("drop", "bigtop/five", "2.0.0", "--dry-run")
    said = queue.done("drop", "bigtop/five", "2.0.0")
    assert "is in 2.0.0, first in rel/2.0.0" in said
    assert "still listed by 1.0.0" in said
    assert queue.listed("2.0.0") == ("bigtop/BIGTOP-20-say-six-and-thirty",)


def test_conflicts_are_reported_and_the_others_carried(queue: Queue) -> None:
    for name, files in {
        "clash": {"build.gradle": numbered((20, "my twenty"))},
        "five": FIVE,
        "moves": {"build.gradle": numbered((10, "ten"), (20, "my twenty"))},
    }.items():
        for path, text in files.items():
            (queue.clone / path).write_text(text)
        commit = commit_all(queue.clone, f"Do {name}")
        queue.done("new", f"bigtop/{name}", "--from", queue.clone, "--commit", commit, "--release", "1.0.0")
    said = queue.call("rebase", "1.0.0", "--onto", "2.0.0")
    assert said.returncode == 1
    assert "1 could not be carried to 2.0.0: bigtop/clash" in said.complaint
    assert "bigtop-builder patch edit 2.0.0 bigtop --from 1.0.0" in said.complaint
    assert f"{queue.project.patches}/bigtop/clash/default.patch:" in said.text
    for line in ("| line 20", "| twenty, upstream", "| my twenty", "BIGTOP-9. Say twenty"):
        assert line in said.text
    assert queue.listed("2.0.0") == ("bigtop/moves",)
    assert "bigtop/moves" in queue.done("refresh", "2.0.0", "--apart")
    assert "all are as they should be" in queue.done("refresh", "2.0.0")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("new", "Bigtop/x"), 2, "'Bigtop/x' is no id of a patch"),
        (("new", "bigtop/x", "--author", "me"), 2, "--author 'me' is no author"),
        (("import",), 2, "nothing to import is named"),
        (("import", "x", "--git", ".", "HEAD"), 2, "both x and --git are given"),
        (("import", "--git", ".", "--target", "bigtop"), 2, "got '--target' for one of them"),
        (("edit", "9.9.9", "bigtop"), 2, "no recipe '9.9.9'"),
        (("edit", "1.0.0", "oozie"), 2, "recipe 1.0.0 has no component 'oozie'"),
        (("export", "1.0.0", "bigtop"), 2, "is no git work tree"),
        (("refresh", "1.0.0", "bigtop/x"), 2, "lists no patch 'bigtop/x'"),
        (("rebase", "1.0.0", "--onto", "1.0.0"), 2, "are the same release"),
        (("drop", "bigtop/x", "1.0.0"), 2, "lists no patch 'bigtop/x'"),
    ],
)
def test_bad_usage_says_what_and_the_way_out(
    queue: Queue, words: tuple[str, ...], status: int, said: str
) -> None:
    refused = queue.call(*words)
    assert refused.returncode == status
    assert said in refused.complaint
    assert "way out: " in refused.complaint


def test_a_queue_with_its_facts_is_not_said_to_lack_any(queue: Queue) -> None:
    (queue.clone / "settings.gradle").write_text(FIVE["settings.gradle"])
    assert "says which facts are missing" in queue.done("new", "bigtop/five", "--from", queue.clone)
    other = small_project(queue.project.root.parent / "other")
    tool = [sys.executable, "-m", "bigtop_builder", f"--project={other.root}", "patch"]
    said = run([*tool, "import", queue.project.root], env={**ADA, "HOME": str(other.root)}).text
    assert "new       bigtop/five" in said
    assert "wrote 2 files:" in said
    assert "missing" not in said


def test_a_components_patch_is_edited_on_its_source(project: Project, tmp_path: Path) -> None:
    env = {"BIGTOP_BUILDER_CACHE_DIR": str(tmp_path / "cache"), "BIGTOP_BUILDER_GRADLE": "system"}
    tool = [sys.executable, "-m", "bigtop_builder", f"--project={project.root}"]
    missing = run([*tool, "patch", "edit", "1.0.0", "salute"], env=env, check=False)
    assert missing.returncode == 5
    assert "way out: bigtop-builder source fetch 1.0.0 -c salute" in missing.complaint
    for release in ("1.0.0", "1.1.0"):
        run([*tool, "source", "fetch", release, "-c", "salute"], env=env)
    folder = tmp_path / "work"
    run([*tool, "patch", "edit", "1.0.0", "salute", "--dir", folder], env=env)
    source = folder / "src/main/java/bigtop/miniature/salute/Salutation.java"
    assert source.is_file()
    (folder / "NOTICE").write_text("Greetings.\n")
    commit_all(folder, "Say what this is\n\nPatch: salute/notice")
    exported = run([*tool, "patch", "export", "1.0.0", "salute", "--dir", folder], env=env)
    assert "new       salute/notice" in exported.text
    assert "unchanged salute/miniature-blank-name" in exported.text
    carried = run([*tool, "patch", "rebase", "1.0.0", "salute", "--onto", "1.1.0", "--json"], env=env)
    outcomes = {one["id"]: one["outcome"] for one in json.loads(carried.text)["patches"]}
    assert outcomes == {"salute/miniature-blank-name": "offset", "salute/notice": "clean"}
    assert "salute/notice" in load_recipe("1.1.0", project.recipes)[0].patches
