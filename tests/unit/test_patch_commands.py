# SPDX-License-Identifier: Apache-2.0
"""The commands of the queue as they are typed: what they refuse, and what they say."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from bigtop_builder.cli import cli
from bigtop_builder.errors import BuilderError
from bigtop_builder.patches.queue import known, load_entry
from bigtop_builder.recipe import load_recipe
from bigtop_builder.run import run
from bigtop_builder.workspace import Project, find_project
from small_queue import ADA, commit_all, git, numbered

Say = Callable[..., str]


@pytest.fixture
def say(small: Project, tmp_path: Path) -> Say:
    """Type a `patch` command; what it prints, or raises."""
    settings = tmp_path / "settings.toml"
    settings.write_text(f'cache_dir = "{tmp_path / "cache"}"\n')

    def invoke(*words: str | Path) -> str:
        named = ["--settings", str(settings), "--project", str(small.root)]
        done = CliRunner().invoke(cli, [*named, "patch", *map(str, words)], env=ADA)
        if done.exception:
            raise done.exception
        return done.stdout

    return invoke


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


def test_all_that_does_not_apply_is_named_at_once(clone: Path, say: Say, tmp_path: Path) -> None:
    as_mail(clone, build_gradle=numbered((20, "my twenty"))).rename(tmp_path / "mails/1-one.patch")
    as_mail(clone, gone_gradle=numbered((6, "six"), last=12)).rename(tmp_path / "mails/2-two.patch")
    as_mail(clone, README="read me twice\n").rename(tmp_path / "mails/3-three.patch")
    said = refused(say, "import", tmp_path / "mails", "--target", "bigtop", "--release", "2.0.0")
    assert said.brief == "2 of 3 patches do not apply on 2.0.0"
    assert [line.split()[1] for line in said.details.splitlines()] == ["bigtop/one", "bigtop/two"]


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


def test_a_project_whose_queue_is_empty_is_found_after_a_clone(
    small: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BIGTOP_BUILDER_PROJECT", raising=False)
    git(small.root, "init", "--quiet")
    (small.root / ".gitignore").write_text("/bigtop/\n")
    commit_all(small.root, "Begin")
    run(["git", "clone", "--quiet", small.root, tmp_path / "cloned"], env=ADA)
    assert not (tmp_path / "cloned/patches").exists()
    assert find_project(tmp_path / "cloned/recipes").root == tmp_path / "cloned"


def test_a_file_that_is_missing_in_an_excluded_path_stops_no_edit(
    small: Project, clone: Path, say: Say, tmp_path: Path
) -> None:
    (clone / "docs").mkdir()
    (clone / "docs/large").write_text("large\n")
    commit = commit_all(clone, "Add docs")
    recipe = small.recipes / "1.0.0.toml"
    old = load_recipe("1.0.0", small.recipes)[0].bigtop.commit
    recipe.write_text(recipe.read_text().replace(old, commit).replace("../bigtop", str(tmp_path / "whole")))
    run(["git", "clone", "--quiet", "--bare", clone, tmp_path / "whole"], env=ADA)
    git(tmp_path / "whole", "remote", "remove", "origin")
    git(tmp_path / "whole", "repack", "--quiet", "-ad")
    blob = git(clone, "rev-parse", "HEAD:docs/large").text
    lacking(tmp_path / "whole", blob)
    folder = Path(say("edit", "1.0.0", "bigtop").splitlines()[0])
    assert (folder / "build.gradle").is_file()
    assert not (folder / "docs").exists()
    (folder / "README").write_text("read me twice\n")
    commit_all(folder, "Say it twice")
    assert "new       bigtop/say-it-twice" in say("export", "1.0.0", "bigtop")


def lacking(repository: Path, blob: str) -> None:
    """Let a repository lack an object."""
    pack = next((repository / "objects/pack").glob("*.pack"))
    data = pack.read_bytes()
    for file in list(pack.parent.iterdir()):
        file.unlink()
    run(["git", "-C", repository, "unpack-objects", "-q"], stdin=data, env=ADA)
    (repository / "objects" / blob[:2] / blob[2:]).unlink()


def test_a_rebase_without_bigtop_fails_as_other_commands_do_without_it(
    small: Project, clone: Path, say: Say
) -> None:
    say(
        "import",
        as_mail(clone, build_gradle=numbered((6, "six"))),
        "--target",
        "bigtop",
        "--release",
        "1.0.0",
    )
    shutil.move(small.root / "bigtop", small.root / "moved")
    assert refused(say, "rebase", "1.0.0", "--onto", "2.0.0").exit_code == 4


def test_a_rebase_ends_with_its_totals_and_names_few_of_many_files(
    small: Project, clone: Path, say: Say, tmp_path: Path
) -> None:
    for number in range(1, 13):
        as_mail(clone, **{f"new{number}": "a line\n"}).rename(
            tmp_path / f"mails/{number:02}-it-{number}.patch"
        )
    as_mail(clone, build_gradle=numbered((20, "my twenty"))).rename(tmp_path / "mails/13-clash.patch")
    said = say("import", tmp_path / "mails", "--target", "bigtop", "--release", "1.0.0")
    assert "bigtop-builder patch lint bigtop says which facts are missing\n" in said
    options = ["--project", str(small.root), "patch", "rebase", "1.0.0", "--onto", "2.0.0"]
    done = CliRunner().invoke(cli, options, env={**ADA, "BIGTOP_BUILDER_CACHE_DIR": str(tmp_path / "cache")})
    assert isinstance(done.exception, BuilderError)
    assert done.exception.brief == "1 could not be carried to 2.0.0: bigtop/clash"
    lines = done.stdout.splitlines()
    assert "13 patches: 12 clean, 1 conflict (1 place)" in lines
    assert "wrote 13 files:" in lines
    assert lines[-1] == "  and 3 more, which --json names"
    assert any(line.startswith("the recipe lists now: ") and line.endswith(" and 9 more") for line in lines)


def test_a_new_patch_can_say_all_that_upstream_asks_for_and_then_lacks_nothing(
    small: Project, clone: Path, say: Say
) -> None:
    (clone / "README").write_text("read it\n")
    words = ("--title", "Say it", "--why", "It is unclear", "--drop-when", "a release says it")
    said = say(
        "new", "bigtop/said", "--from", clone, *words, "--tested", "By reading", "--ai", "No", "-m", "So."
    )
    assert "missing" not in said
    facts = load_entry(small.patches, "bigtop/said").facts
    assert (facts.tested, facts.ai_disclosure) == ("By reading", "No")
    assert say("lint", "bigtop/said") == "nothing is wrong with 1 patch\n"
    (clone / "README").write_text("read this\n")
    assert "patch lint bigtop/bare says which facts are missing" in say("new", "bigtop/bare", "--from", clone)
    silent = say("new", "bigtop/silent", "--from", clone, *words)
    assert "patch lint bigtop/silent says which facts are missing" in silent, "it has no --message"


def test_the_subject_of_a_new_patch_has_its_projects_form(small: Project, clone: Path, say: Say) -> None:
    (small.patches / "upstream.toml").write_text('[projects.bigtop]\ntitle = "{ticket}: {title}"\n')
    (clone / "README").write_text("read it\n")
    say("new", "bigtop/said", "--from", clone, "--ticket", "BIGTOP-5", "--title", "Say it")
    assert (
        b"Subject: [PATCH] BIGTOP-5: Say it\n" in (small.patches / "bigtop/said/default.patch").read_bytes()
    )
