# SPDX-License-Identifier: Apache-2.0
"""The commands of the queue as they are typed: what they refuse, and what they say."""

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bigtop_builder.cli import cli
from bigtop_builder.errors import BuilderError
from bigtop_builder.patches.queue import known
from bigtop_builder.recipe import load_recipe
from bigtop_builder.run import run
from bigtop_builder.workspace import Project
from small_queue import ADA, commit_all, git, numbered, small_project

Say = Callable[..., str]


@pytest.fixture
def small(tmp_path: Path) -> Project:
    """Two releases and no patch."""
    return small_project(tmp_path / "small")


@pytest.fixture
def clone(small: Project, tmp_path: Path) -> Path:
    """A clone of release 1.0.0."""
    clone = tmp_path / "clone"
    run(["git", "clone", "--quiet", "--branch=rel/1.0.0", small.root / "bigtop", clone], env=ADA)
    return clone


@pytest.fixture
def say(small: Project, tmp_path: Path) -> Iterator[Say]:
    """Type a `patch` command; what it prints, or raises."""
    story = logging.getLogger("bigtop_builder")
    before = story.handlers[:], story.level, story.propagate
    settings = tmp_path / "settings.toml"
    settings.write_text(f'cache_dir = "{tmp_path / "cache"}"\n')

    def invoke(*words: str | Path) -> str:
        named = ["--settings", str(settings), "--project", str(small.root)]
        done = CliRunner().invoke(cli, [*named, "patch", *map(str, words)], env=ADA)
        if done.exception:
            raise done.exception
        return done.stdout

    yield invoke
    story.handlers[:], story.level, story.propagate = before


def refused(say: Say, *words: str | Path) -> BuilderError:
    with pytest.raises(BuilderError) as refusal:
        say(*words)
    return refusal.value


def as_mail(clone: Path, **files: str) -> Path:
    """A commit of these files, as a mail."""
    for name, text in files.items():
        (clone / name.replace("_", ".")).write_text(text)
    commit_all(clone, "Change it\n\nFor a test.")
    return Path(git(clone, "format-patch", "-1", "-o", clone.parent / "mails").text)


def test_what_is_imported_must_apply_to_a_release_that_lists_it(
    small: Project, clone: Path, say: Say
) -> None:
    mail = as_mail(clone, build_gradle=numbered((20, "my twenty")))
    words = ("import", mail, "--target", "bigtop", "--release", "2.0.0")
    said = refused(say, *words)
    assert said.brief == "patch bigtop/change-it does not apply on 2.0.0: build.gradle, hunk 1"
    assert "--no-check" in said.hint
    assert known(small.patches) == []
    say(*words, "--no-check")
    assert load_recipe("2.0.0", small.recipes)[0].patches == ("bigtop/change-it",)


def test_another_queue_is_tried_with_the_diff_for_that_release(
    small: Project, clone: Path, say: Say, tmp_path: Path
) -> None:
    say("import", as_mail(clone, build_gradle=numbered((20, "my twenty"))), "--target", "bigtop")
    shutil.copytree(small.patches, tmp_path / "other/patches")
    shutil.rmtree(small.patches / "bigtop")
    folder = tmp_path / "other/patches/bigtop/change-it"
    text = (folder / "default.patch").read_text()
    (folder / "2.0.0.patch").write_text(text)
    (folder / "default.patch").write_text(text.replace("line 20", "line twenty"))
    assert "does not apply on 1.0.0" in refused(say, "import", tmp_path / "other", "--release", "1.0.0").brief
    (folder / "default.patch").write_text(text)
    say("import", tmp_path / "other", "--release", "1.0.0")


@pytest.mark.parametrize("verb", ["new", "import"])
def test_a_new_empty_file_comes_into_no_recipe(small: Project, clone: Path, say: Say, verb: str) -> None:
    mail = as_mail(clone, empty="")
    words = (
        ("bigtop/it", "--from", clone, "--commit", "HEAD") if verb == "new" else (mail, "--target", "bigtop")
    )
    said = refused(say, verb, *words, "--release", "1.0.0")
    assert "`patch` makes no empty file" in said.details
    assert known(small.patches) == []


def test_a_first_commit_makes_all_its_files(small: Project, say: Say, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    git(tmp_path / "root", "init", "--quiet")
    (tmp_path / "root/NEWS").write_text("new\n")
    commit_all(tmp_path / "root", "Begin")
    say("new", "bigtop/news", "--from", tmp_path / "root", "--commit", "HEAD", "--release", "1.0.0")
    assert b"+new\n" in (small.patches / "bigtop/news/default.patch").read_bytes()


def test_a_commit_that_a_clone_lacks_is_told(clone: Path, say: Say, tmp_path: Path) -> None:
    as_mail(clone, build_gradle=numbered((6, "six")))
    git(clone, "config", "uploadpack.allowFilter", "true")
    run(
        [
            "git",
            "clone",
            "--quiet",
            "--no-checkout",
            "--filter=blob:none",
            f"file://{clone}",
            tmp_path / "part",
        ],
        env=ADA,
    )
    git(tmp_path / "part", "remote", "remove", "origin")
    said = refused(say, "new", "bigtop/six", "--from", tmp_path / "part", "--commit", "HEAD")
    assert "git cannot read it" in said.brief
    assert "partial clone" in said.hint


@pytest.mark.parametrize("verb", ["new", "import"])
def test_a_target_that_no_recipe_builds_is_refused(clone: Path, say: Say, verb: str) -> None:
    mail = as_mail(clone, build_gradle=numbered((6, "six")))
    words = (
        ("bigtop-utls/it", "--from", clone, "--commit", "HEAD")
        if verb == "new"
        else (mail, "--target", "bigtop-utls")
    )
    said = refused(say, verb, *words)
    assert "builds 'bigtop-utls', so nothing can be a patch to it" in said.brief
    assert said.hint == "the nearest is bigtop-utils"


def test_the_projects_own_changes_are_no_patch(
    small: Project, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(small.root, "init", "--quiet")
    monkeypatch.chdir(small.root)
    said = refused(say, "new", "bigtop/a")
    assert "the project's own repository" in said.brief
    assert "--from" in said.hint


def test_lint_and_status_take_a_target(clone: Path, say: Say) -> None:
    say("import", as_mail(clone, build_gradle=numbered((6, "six"))), "--target", "bigtop")
    assert "bigtop/change-it" in say("status", "bigtop")
    assert refused(say, "lint", "bigtop").brief.startswith("lint found ")
    assert "no patch 'bigtpo'" in refused(say, "lint", "bigtpo").brief
    assert "no patch 'bigtpo'" in refused(say, "status", "bigtpo").brief
