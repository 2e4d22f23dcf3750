# SPDX-License-Identifier: Apache-2.0
"""Writing patches: from a work tree into the queue and back, with nothing rewritten that did not change."""

import os
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from bigtop_builder.errors import BuilderError, InputError, TreeError
from bigtop_builder.patches.facts import Given, with_facts
from bigtop_builder.patches.lint import lint
from bigtop_builder.patches.listed import with_patches
from bigtop_builder.patches.mail import Mail, read_mail
from bigtop_builder.patches.queue import load_entry
from bigtop_builder.projects import load_projects
from bigtop_builder.recipe import load_recipe
from bigtop_builder.run import run
from bigtop_builder.settings import Settings
from bigtop_builder.upkeep.change import changing
from bigtop_builder.upkeep.edit import Edited, edit
from bigtop_builder.upkeep.export import Export, export
from bigtop_builder.upkeep.foreign import read_changes, read_commits
from bigtop_builder.upkeep.intake import bring
from bigtop_builder.upkeep.refresh import refresh
from bigtop_builder.workspace import Project
from small_queue import OLD, clone_of, commit_all, git, numbered, small_project


@pytest.fixture(scope="module")
def mould(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`small`: two releases and no patch; `clone`: a clone of the first; `three`: the same with three patches."""
    root = tmp_path_factory.mktemp("mould")
    clone = clone_of(small_project(root / "small"), root / "clone")
    shutil.copytree(root / "small", root / "three")
    shutil.copytree(clone, root / "made")
    three, settings = Project(root / "three"), Settings(cache_dir=root / "cache")
    for name, files in (
        ("one", {"build.gradle": numbered((6, "six"))}),
        ("two", {"settings.gradle": numbered((12, "twelve"), last=20)}),
        ("three", {"build.gradle": numbered((6, "six"), (30, "thirty"))}),
    ):
        add(three, settings, root / "made", name, files)
    return root


@pytest.fixture
def small(mould: Path, tmp_path: Path) -> Project:
    """Two releases and no patch."""
    return Project(Path(shutil.copytree(mould / "small", tmp_path / "small")))


@pytest.fixture
def clone(mould: Path, tmp_path: Path) -> Path:
    """A maintainer's clone of release 1.0.0."""
    return Path(shutil.copytree(mould / "clone", tmp_path / "clone"))


@pytest.fixture
def three(mould: Path, tmp_path: Path) -> Project:
    """A queue of three patches for 1.0.0, the first and third of which touch the same file."""
    return Project(Path(shutil.copytree(mould / "three", tmp_path / "three")))


def add(
    small: Project, settings: Settings, clone: Path, name: str, files: dict[str, str], *releases: str
) -> str:
    """Make a patch of changes to release 1.0.0, and let the clone have it."""
    for path, text in files.items():
        (clone / path).write_text(text)
    said = f"BIGTOP-1. Change {name}\n\nBecause of a test.\n\nReviewed-by: Bob <bob@example.org>"
    commit = commit_all(clone, said)
    read = read_changes(clone, "bigtop", name, mail=Mail(), commit=commit)
    bring(
        [read], given=Given(why="a test"), releases=releases or ("1.0.0",), project=small, settings=settings
    )
    return f"bigtop/{name}"


def listed(project: Project, release: str = "1.0.0") -> tuple[str, ...]:
    return load_recipe(release, project.recipes)[0].patches


def relist(project: Project, *ids: str, release: str = "1.0.0") -> None:
    """Let a recipe list these patches and no others, as a colleague would."""
    path = project.recipes / f"{release}.toml"
    path.write_text(with_patches(path.read_text(), ids))


def snapshot(project: Project) -> dict[str, tuple[bytes, int]]:
    """Content and modification time of all files of the queue and the recipes."""
    return {
        str(path.relative_to(project.root)): (path.read_bytes(), path.stat().st_mtime_ns)
        for folder in (project.patches, project.recipes)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def opened(project: Project, settings: Settings, release: str = "1.0.0", since: str = "") -> Edited:
    return edit(release, "bigtop", since=since, project=project, settings=settings)


def exported(project: Project, release: str = "1.0.0", **options: bool) -> Export:
    settings = Settings(cache_dir=project.root.parent / "cache")
    return export(release, "bigtop", project=project, settings=settings, **options)


def outcome(done: Export) -> dict[str, str]:
    return {one.id.partition("/")[2]: one.what for one in done.patches}


def amended(project: Project, settings: Settings, subject: str = "") -> None:
    """Let the newest commit of a work tree be another one."""
    place = opened(project, settings).folder
    (place / "build.gradle").write_text(numbered((6, "six"), (30, "thirty, amended")))
    message = ("-m", f"{subject}\n\nPatch: bigtop/three") if subject else ("--no-edit",)
    git(place, "commit", "--quiet", "--all", "--amend", *message)


def fresh(place: Path) -> None:
    """Let a work tree have a commit that is no patch yet."""
    (place / "README").write_text("read me twice\n")
    commit_all(place, "Fresh")


def refusal(project: Project, **options: bool) -> BuilderError:
    """What an export that must fail says; it leaves everything as it was."""
    before = snapshot(project)
    with pytest.raises(BuilderError) as refused:
        exported(project, **options)
    assert snapshot(project) == before
    return refused.value


def test_a_new_patch_is_a_commit_with_author_date_and_facts(
    small: Project, settings: Settings, clone: Path
) -> None:
    patch_id = add(small, settings, clone, "one", {"build.gradle": numbered((6, "six"))})
    entry = load_entry(small.patches, patch_id)
    mail = read_mail(entry.diffs[0].data, source="default.patch")
    assert (mail.author, mail.email) == ("Ada Lovelace", "ada@example.org")
    assert mail.date.isoformat() == "2026-02-03T04:05:06+01:00"
    assert mail.subject == "BIGTOP-1. Change one"
    assert ("Reviewed-by", "Bob <bob@example.org>") in mail.trailers
    assert (entry.facts.title, entry.facts.ticket, entry.facts.why) == ("Change one", "BIGTOP-1", "a test")
    assert entry.facts.releases == ("1.0.0",)
    assert entry.facts.upstream.state == "to-forward"
    assert listed(small) == (patch_id,)
    assert "# What a host installs.\n[roles]" in (small.recipes / "1.0.0.toml").read_text()


def test_changes_in_no_commit_are_taken_and_the_work_tree_stays_as_it_is(
    small: Project, settings: Settings, clone: Path
) -> None:
    (clone / "build.gradle").write_text(numbered((6, "six")))
    (clone / "fresh").write_text("a new file\n")
    before = git(clone, "status", "--porcelain").text
    mail = Mail(author="Ada", email="ada@example.org", subject="Say six")
    read = read_changes(clone, "bigtop", "six", mail=mail)
    bring([read], given=Given(), releases=("1.0.0",), project=small, settings=settings)
    diff = (small.patches / "bigtop/six/default.patch").read_text()
    assert "+six" in diff
    assert "+a new file" in diff
    assert git(clone, "status", "--porcelain").text == before == " M build.gradle\n?? fresh"


def test_a_new_patch_that_does_not_apply_to_its_release_is_refused(
    small: Project, settings: Settings, clone: Path
) -> None:
    before = snapshot(small)
    with pytest.raises(TreeError) as refused:
        add(small, settings, clone, "late", {"build.gradle": numbered((20, "my twenty"))}, "1.0.0", "2.0.0")
    assert refused.value.brief == "patch bigtop/late does not apply on 2.0.0: build.gradle, hunk 1"
    assert "patch edit 2.0.0 bigtop" in refused.value.hint
    assert snapshot(small) == before


def test_a_name_that_is_taken_is_refused(three: Project, settings: Settings, clone: Path) -> None:
    before = snapshot(three)
    with pytest.raises(InputError) as refused:
        add(three, settings, clone, "one", {"README": "other\n"})
    assert "would be patch 'bigtop/one', and" in refused.value.brief
    assert snapshot(three) == before


def test_no_changes_are_no_patch(small: Project, clone: Path) -> None:
    with pytest.raises(InputError, match="there are none"):
        read_changes(clone, "bigtop", "x", mail=Mail())
    with pytest.raises(InputError, match="is no git work tree"):
        read_changes(small.patches, "bigtop", "x", mail=Mail())


def test_a_series_is_commits_on_its_base(three: Project, settings: Settings) -> None:
    done = opened(three, settings)
    assert done.folder == three.root / "build/patches/1.0.0/bigtop"
    log = git(done.folder, "log", "--reverse", "--format=%an|%aI|%s").text.splitlines()
    assert log[0].endswith("bigtop as 1.0.0 has it")
    assert log[1:] == [
        f"Ada Lovelace|2026-02-03T04:05:06+01:00|BIGTOP-1. Change {name}" for name in ("one", "two", "three")
    ]
    assert (done.folder / "build.gradle").read_text() == numbered((6, "six"), (30, "thirty"))
    assert git(done.folder, "log", "-1", "--format=%(trailers:key=Patch,valueonly)").text == "bigtop/three"
    assert not (done.folder / ".git/objects/info/alternates").exists()


def test_an_export_of_nothing_new_writes_nothing(three: Project, settings: Settings) -> None:
    opened(three, settings)
    before = snapshot(three)
    for _ in range(2):
        done = exported(three)
        assert set(outcome(done).values()) == {"unchanged"}
        assert done.written == ()
    assert snapshot(three) == before


def test_an_amended_commit_is_written_and_no_other(three: Project, settings: Settings) -> None:
    place = opened(three, settings).folder
    (place / "build.gradle").write_text(numbered((6, "six"), (30, "thirty, amended")))
    git(place, "commit", "--quiet", "--all", "--amend", "--no-edit")
    before = snapshot(three)
    done = exported(three)
    assert outcome(done) == {"one": "unchanged", "two": "unchanged", "three": "changed"}
    assert done.written == ("patches/bigtop/three/default.patch",)
    text = (three.patches / "bigtop/three/default.patch").read_text()
    assert "+thirty, amended" in text
    assert "Patch: " not in text
    again = snapshot(three)
    assert {name for name in again if again[name] != before[name]} == set(done.written)
    assert exported(three).written == ()


def test_commits_after_an_amended_one_are_not_rewritten_though_their_ids_and_lines_moved(
    three: Project, settings: Settings
) -> None:
    place = opened(three, settings).folder
    git(place, "checkout", "--quiet", "HEAD~2")
    (place / "build.gradle").write_text("a head\n" + numbered((6, "six")))
    git(place, "commit", "--quiet", "--all", "--amend", "--no-edit")
    git(place, "rebase", "--quiet", "--onto", "HEAD", "series~2", "series")
    assert exported(three).written == ("patches/bigtop/one/default.patch",)


def test_a_change_moved_to_a_block_that_reads_alike_is_a_change(
    small: Project, settings: Settings, clone: Path
) -> None:
    block = "<dependency>\n  <scope>test</scope>\n</dependency>\n\n\n"
    other = block.replace("test", "compile")
    add(small, settings, clone, "pom", {"pom.xml": block * 3})
    (clone / "pom.xml").write_text(block + other + block)
    said = commit_all(clone, "Change the second")
    read = read_changes(clone, "bigtop", "second", mail=Mail(), commit=said)
    bring([read], given=Given(why="a test"), releases=("1.0.0",), project=small, settings=settings)
    place = opened(small, settings).folder
    (place / "pom.xml").write_text(block * 2 + other)
    git(place, "commit", "--quiet", "--all", "--amend", "--no-edit")
    assert exported(small).written == ("patches/bigtop/second/default.patch",)
    again = opened(small, settings).folder
    assert (again / "pom.xml").read_text() == block * 2 + other


def test_an_amended_commit_keeps_an_author_whose_name_git_shortens(
    three: Project, settings: Settings
) -> None:
    file = three.patches / "bigtop/three/default.patch"
    file.write_bytes(file.read_bytes().replace(b"Ada Lovelace", b'"Martin King Jr."'))
    place = opened(three, settings).folder
    (place / "build.gradle").write_text(numbered((6, "six"), (30, "thirty, amended")))
    git(place, "commit", "--quiet", "--all", "--amend", "--no-edit")
    exported(three)
    assert b'From: "Martin King Jr." <ada@example.org>\n' in file.read_bytes()


def test_a_reworded_commit_renames_the_facts(three: Project, settings: Settings) -> None:
    place = opened(three, settings).folder
    git(place, "commit", "--quiet", "--amend", "-m", "BIGTOP-1. Say it better\n\nPatch: bigtop/three")
    assert exported(three).written == (
        "patches/bigtop/three/default.patch",
        "patches/bigtop/three/patch.toml",
    )
    entry = load_entry(three.patches, "bigtop/three")
    assert entry.facts.title == "Say it better"
    assert entry.facts.why == "a test"
    assert b"Subject: [PATCH] BIGTOP-1. Say it better\n" in entry.diffs[0].data


def test_reordered_commits_reorder_the_recipe_alone(three: Project, settings: Settings) -> None:
    place = opened(three, settings).folder
    git(place, "checkout", "--quiet", "base")
    git(place, "cherry-pick", "--allow-empty", "series~1", "series~2", "series")
    git(place, "branch", "--force", "series", "HEAD")
    done = exported(three)
    assert done.reordered
    assert listed(three) == ("bigtop/two", "bigtop/one", "bigtop/three")
    assert done.written == ("recipes/1.0.0.toml",)


def test_a_new_commit_is_a_new_patch_whose_facts_are_to_be_filled_in(
    three: Project, settings: Settings
) -> None:
    place = opened(three, settings).folder
    (place / "README").write_text("read me twice\n")
    commit_all(place, "BIGTOP-5. Say it twice")
    done = exported(three)
    assert outcome(done)["BIGTOP-5-say-it-twice"] == "new"
    assert listed(three)[-1] == "bigtop/BIGTOP-5-say-it-twice"
    facts = tomllib.loads((three.patches / "bigtop/BIGTOP-5-say-it-twice/patch.toml").read_text())
    assert (facts["title"], facts["ticket"], facts["why"], facts["drop-when"]) == (
        "Say it twice",
        "BIGTOP-5",
        "",
        "",
    )
    assert exported(three).written == ()


def test_a_commit_names_its_patch_by_a_trailer(three: Project, settings: Settings) -> None:
    place = opened(three, settings).folder
    (place / "README").write_text("read me twice\n")
    commit_all(place, "Say it twice\n\nPatch: bigtop/twice")
    assert outcome(exported(three))["twice"] == "new"


def test_a_dropped_commit_is_told_and_goes_only_when_asked(three: Project, settings: Settings) -> None:
    place = opened(three, settings).folder
    git(place, "rebase", "--quiet", "--onto", "HEAD~2", "HEAD~1")
    done = exported(three)
    assert outcome(done) == {"one": "unchanged", "three": "unchanged", "two": "left"}
    assert listed(three) == ("bigtop/one", "bigtop/two", "bigtop/three")
    assert outcome(exported(three, drop=True)) == {**outcome(done), "two": "dropped"}
    assert listed(three) == ("bigtop/one", "bigtop/three")
    assert not (three.patches / "bigtop/two").exists()


def test_two_commits_of_one_patch_are_refused(three: Project, settings: Settings) -> None:
    place = opened(three, settings).folder
    (place / "README").write_text("read me twice\n")
    commit_all(place, "More of it\n\nPatch: bigtop/three")
    assert "are both patch 'bigtop/three'" in refusal(three).brief


def test_a_work_tree_with_changes_in_no_commit_is_refused(three: Project, settings: Settings) -> None:
    place = opened(three, settings).folder
    (place / "README").write_text("read me twice\n")
    (place / "stray").write_text("new\n")
    said = refusal(three)
    assert "is not clean: 2 changes" in said.brief
    assert said.details.splitlines() == [" M README", "?? stray"]
    assert (place / "stray").exists()


def test_conflict_markers_are_refused(three: Project, settings: Settings) -> None:
    place = opened(three, settings).folder
    (place / "README").write_text("<<<<<<< ours\nread\n=======\nme\n>>>>>>> theirs\n")
    commit_all(place, "Settle later")
    said = refusal(three)
    assert said.brief.startswith("1 of 4 commits of ")
    assert said.details.endswith("bigtop/settle-later: it has markers")


def test_an_empty_commit_is_refused(three: Project, settings: Settings) -> None:
    place = opened(three, settings).folder
    git(place, "commit", "--quiet", "--allow-empty", "-m", "Nothing")
    assert "changes nothing" in refusal(three).brief


def test_a_merge_is_refused(three: Project, settings: Settings) -> None:
    place = opened(three, settings).folder
    git(place, "checkout", "--quiet", "-b", "side", "base")
    (place / "README").write_text("read me twice\n")
    commit_all(place, "Aside")
    git(place, "checkout", "--quiet", "series")
    git(place, "merge", "--quiet", "--no-edit", "side")
    assert "is a merge" in refusal(three).brief


def test_a_work_tree_of_another_release_or_of_nobody_is_refused(
    three: Project, settings: Settings, clone: Path
) -> None:
    place = opened(three, settings).folder
    with pytest.raises(InputError, match=r"holds the patches to bigtop of 1\.0\.0, not") as refused:
        export("2.0.0", "bigtop", place, project=three, settings=settings)
    assert f"patch export 1.0.0 bigtop --dir {place}" in refused.value.hint
    with pytest.raises(InputError, match="was not made by patch edit"):
        export("1.0.0", "bigtop", clone, project=three, settings=settings)
    with pytest.raises(InputError, match="is no git work tree"):
        export("1.0.0", "bigtop", three.root / "absent", project=three, settings=settings)


def test_a_diff_that_was_changed_on_both_sides_is_refused(three: Project, settings: Settings) -> None:
    place = opened(three, settings).folder
    (place / "build.gradle").write_text(numbered((6, "six"), (30, "thirty, mine")))
    git(place, "commit", "--quiet", "--all", "--amend", "--no-edit")
    file = three.patches / "bigtop/three/default.patch"
    file.write_text(file.read_text().replace("+thirty", "+thirty, theirs"))
    said = refusal(three)
    assert str(file) in said.brief
    assert "git cherry-pick" in said.hint


def test_a_changed_diff_can_be_for_one_release_alone(three: Project, settings: Settings) -> None:
    relist(three, "bigtop/three", release="2.0.0")
    place = opened(three, settings).folder
    (place / "build.gradle").write_text(numbered((6, "six"), (30, "thirty, here")))
    git(place, "commit", "--quiet", "--all", "--amend", "--no-edit")
    assert exported(three, apart=True).written == ("patches/bigtop/three/1.0.0.patch",)
    assert exported(three, apart=True).written == ()
    entry = load_entry(three.patches, "bigtop/three")
    assert b"thirty, here" in entry.at("1.0.0").diff
    assert b"thirty, here" not in entry.at("2.0.0").diff


def test_a_diff_that_no_other_release_uses_is_not_split(three: Project, settings: Settings) -> None:
    amended(three, settings)
    assert exported(three, apart=True).written == ("patches/bigtop/three/default.patch",)


def test_all_diffs_of_a_reworded_patch_say_the_same(three: Project, settings: Settings) -> None:
    relist(three, "bigtop/three", release="2.0.0")
    amended(three, settings, "BIGTOP-1. Say it better")
    exported(three, apart=True)
    entry = load_entry(three.patches, "bigtop/three")
    assert [diff.path.name for diff in entry.diffs] == ["1.0.0.patch", "default.patch"]
    assert b"thirty, amended" not in entry.diffs[1].data
    assert not [one for one in lint(entry, projects=load_projects(three.patches)) if one.rule == "title"]


def test_a_patch_that_left_the_recipe_meanwhile_is_not_put_back(three: Project, settings: Settings) -> None:
    place = opened(three, settings).folder
    fresh(place)
    relist(three, "bigtop/one", "bigtop/two")
    said = refusal(three)
    assert "does not list bigtop/three any more" in said.brief
    assert f"git -C {place} rebase -i" in said.hint
    shutil.rmtree(three.patches / "bigtop/three")
    assert refusal(three).brief == said.brief
    git(place, "rebase", "--quiet", "--onto", "HEAD~2", "HEAD~1")
    assert outcome(exported(three)) == {"one": "unchanged", "two": "unchanged", "fresh": "new"}
    assert listed(three) == ("bigtop/one", "bigtop/two", "bigtop/fresh")


def test_a_patch_whose_folder_is_gone_is_named(three: Project, settings: Settings) -> None:
    opened(three, settings)
    shutil.rmtree(three.patches / "bigtop/three")
    assert refusal(three).brief.endswith("has no such patch any more")


def test_an_order_that_was_changed_meanwhile_is_not_taken_back(three: Project, settings: Settings) -> None:
    fresh(opened(three, settings).folder)
    relist(three, "bigtop/two", "bigtop/one", "bigtop/three")
    said = refusal(three)
    assert "in another order" in said.brief
    assert "--dir OTHER" in said.hint


def test_what_others_listed_meanwhile_stays(three: Project, settings: Settings, clone: Path) -> None:
    fresh(opened(three, settings).folder)
    add(three, settings, clone, "theirs", {"gone.gradle": numbered((6, "six"), last=12)})
    assert outcome(exported(three))["fresh"] == "new"
    assert set(listed(three)) == {f"bigtop/{one}" for one in ("one", "two", "three", "theirs", "fresh")}


def test_a_series_that_would_not_apply_is_not_exported(three: Project, settings: Settings) -> None:
    place = opened(three, settings).folder
    (place / "build.gradle").write_text(numbered((6, "six, again"), (30, "thirty")))
    commit_all(place, "Say it again")
    file = three.patches / "bigtop/one/default.patch"
    file.write_text(file.read_text().replace("+six", "+sechs"))
    said = refusal(three)
    assert said.brief == "patch bigtop/say-it-again does not apply on 1.0.0: build.gradle, hunk 1"
    assert "git cherry-pick" in said.hint


def test_an_empty_file_is_not_exported(three: Project, settings: Settings) -> None:
    place = opened(three, settings).folder
    (place / "empty").touch()
    commit_all(place, "Make nothing")
    assert "`patch` makes no empty file" in refusal(three).details


@pytest.mark.parametrize(
    "words", [("checkout", "--quiet", "HEAD~1"), ("switch", "--quiet", "-c", "side", "HEAD~1")]
)
def test_commits_of_the_series_that_are_not_checked_out_are_not_left_out(
    three: Project, settings: Settings, words: tuple[str, ...]
) -> None:
    place = opened(three, settings).folder
    git(place, *words)
    said = refusal(three)
    assert "1 commit of its branch series would be left out" in said.brief
    assert f"git -C {place} switch series" in said.hint
    git(place, "branch", "--force", "series", "HEAD")
    assert outcome(exported(three))["three"] == "left"


@pytest.mark.parametrize("kind", ["fixup", "squash", "amend"])
def test_commits_that_are_to_be_folded_are_refused(three: Project, settings: Settings, kind: str) -> None:
    place = opened(three, settings).folder
    (place / "README").write_text("read me twice\n")
    commit_all(place, f"{kind}! BIGTOP-1. Change three\n\nPatch: bigtop/three")
    said = refusal(three)
    assert "is to be folded into another one" in said.brief
    assert "rebase -i --autosquash" in said.hint


def test_a_subject_that_makes_no_name_asks_for_one(three: Project, settings: Settings) -> None:
    place = opened(three, settings).folder
    (place / "README").write_text("read me twice\n")
    commit_all(place, "\u65e5\u672c")
    said = refusal(three)
    assert "no name can be made of its subject" in said.brief
    assert "Patch: bigtop/NAME" in said.hint


def test_files_that_go_are_told_apart(three: Project, settings: Settings) -> None:
    place = opened(three, settings).folder
    git(place, "rebase", "--quiet", "--onto", "HEAD~2", "HEAD~1")
    done = exported(three, drop=True)
    assert done.written == ("recipes/1.0.0.toml",)
    assert done.removed == ("patches/bigtop/two/default.patch", "patches/bigtop/two/patch.toml")


def test_a_folder_in_use_is_not_overwritten_and_an_exported_one_is_made_anew(
    three: Project, settings: Settings
) -> None:
    place = opened(three, settings).folder
    assert opened(three, settings).folder == place
    (place / "notes").write_text("mine\n")
    with pytest.raises(InputError, match="is there already and not empty"):
        opened(three, settings)
    assert (place / "notes").read_text() == "mine\n"


def test_a_series_that_conflicts_makes_no_work_tree(three: Project, settings: Settings) -> None:
    recipe = three.recipes / "2.0.0.toml"
    recipe.write_text(
        recipe.read_text().replace("# What", 'patches = ["bigtop/two", "bigtop/clash"]\n\n# What', 1)
    )
    folder = three.patches / "bigtop/clash"
    folder.mkdir()
    (folder / "patch.toml").write_text(
        'kind = "tree"\ntitle = "t"\nwhy = "w"\n[upstream]\nstate = "to-forward"\n'
    )
    diff = (three.patches / "bigtop/three/default.patch").read_text().replace("line 33", "line thirty-three")
    (folder / "default.patch").write_text(diff)
    with pytest.raises(TreeError) as refused:
        opened(three, settings, "2.0.0")
    assert refused.value.brief == "patch bigtop/clash does not apply on 2.0.0: build.gradle, hunk 1"
    assert "patch edit 2.0.0 bigtop --from 2.0.0" in refused.value.hint
    assert not (three.root / "build/patches/2.0.0").exists() or not list(
        (three.root / "build/patches/2.0.0").iterdir()
    )


def test_refresh_moves_hunks_to_where_they_are_and_touches_no_other(
    three: Project, settings: Settings
) -> None:
    recipe = three.recipes / "2.0.0.toml"
    recipe.write_text(
        recipe.read_text().replace("# What", 'patches = ["bigtop/one", "bigtop/two"]\n\n# What', 1)
    )
    (done,) = refresh("2.0.0", project=three, settings=settings, apart=True)
    assert (done.id, done.file) == ("bigtop/one", "patches/bigtop/one/2.0.0.patch")
    assert done.moved == ("build.gradle, hunk 1: +2 lines",)
    assert refresh("2.0.0", project=three, settings=settings, apart=True) == ()
    assert load_entry(three.patches, "bigtop/one").facts.ticket == "BIGTOP-1"
    assert OLD["README"]


def test_refresh_writes_a_ticket_that_comes_later_into_the_subject_and_lint_names_that(
    three: Project, settings: Settings
) -> None:
    file = three.patches / "bigtop/one/patch.toml"
    pull = {"state": "pr-open", "url": "https://x/1"}
    file.write_text(with_facts(file.read_text(), {"ticket": "BIGTOP-7", "upstream": pull}))

    def said() -> set[str]:
        entry = load_entry(three.patches, "bigtop/one")
        orders = {"1.0.0": (entry.id,)}
        found = lint(entry, (), orders, projects=load_projects(three.patches))
        return {one.hint for one in found if one.rule == "style"}

    assert said() == {
        "write it as 'BIGTOP-7. Change one', or bigtop-builder patch refresh 1.0.0 bigtop/one writes it anew"
    }
    (done,) = refresh("1.0.0", only=["bigtop/one"], project=three, settings=settings)
    assert (done.id, done.moved) == ("bigtop/one", ())
    text = (three.patches / "bigtop/one/default.patch").read_text()
    assert "Subject: [PATCH] BIGTOP-7. Change one\n" in text
    assert "browse/BIGTOP-7\n" in text
    assert said() == set()


def test_bytes_renames_and_modes_come_through_whatever_the_trees_attributes_say(
    small: Project, settings: Settings, clone: Path
) -> None:
    (clone / "latin.properties").write_bytes("grün\r\nzwei\r\ndrei\r\nvier\r\n".encode("latin-1"))
    (clone / "run.sh").write_text("#!/bin/sh\nexit 0\n")
    (clone / ".gitattributes").write_text("*.properties text eol=lf\n* text=auto\n")
    git(clone, "add", "--all", "--force")
    blob = git(clone, "hash-object", "-w", "--no-filters", "latin.properties").text
    git(clone, "update-index", "--cacheinfo", f"100644,{blob},latin.properties")
    git(clone, "commit", "--quiet", "-m", "Add files")
    second = "grün\r\nzwo\r\ndrei\r\nvier\r\n".encode("latin-1")
    (clone / "latin.properties").write_bytes(second)
    blob = git(clone, "hash-object", "-w", "--no-filters", "latin.properties").text
    git(clone, "update-index", "--cacheinfo", f"100644,{blob},latin.properties")
    git(clone, "update-index", "--chmod=+x", "run.sh")
    git(clone, "mv", "settings.gradle", "moved.gradle")
    git(clone, "commit", "--quiet", "-m", "Change them all\n\nÜmlaute, auch im Text.")
    read = read_commits(clone, "HEAD~2..HEAD", "bigtop")
    bring(read, given=Given(), releases=("1.0.0",), project=small, settings=settings)
    before = snapshot(small)
    diff = load_entry(small.patches, "bigtop/change-them-all").diffs[0].data
    assert b"+zwo\r\n" in diff
    assert "grün\r\n".encode("latin-1") in diff
    assert b"rename to moved.gradle" in diff
    assert b"new mode 100755" in diff
    place = opened(small, settings).folder
    assert (place / "latin.properties").read_bytes() == second
    assert git(place, "status", "--porcelain").text == ""
    assert exported(small).written == ()
    assert snapshot(small) == before
    (place / "README").write_text("read me twice\n")
    git(place, "add", "README")
    git(place, "commit", "--quiet", "--amend", "--no-edit")
    assert exported(small).written == ("patches/bigtop/change-them-all/default.patch",)
    again = load_entry(small.patches, "bigtop/change-them-all").diffs[0].data
    assert b"+zwo\r\n" in again
    assert "Ümlaute, auch im Text.".encode() in again


def test_a_plain_diff_without_author_or_title_can_be_edited(small: Project, settings: Settings) -> None:
    folder = small.patches / "bigtop/plain"
    folder.mkdir(parents=True)
    (folder / "patch.toml").write_text(
        'kind = "tree"\ntitle = "Say more"\nwhy = "w"\n\n[upstream]\nstate = "to-forward"\n'
    )
    plain = "--- a/README\n+++ b/README\n@@ -1 +1,2 @@\n read me\n+more\n"
    (folder / "default.patch").write_text(plain)
    recipe = small.recipes / "1.0.0.toml"
    recipe.write_text(recipe.read_text().replace("# What", 'patches = ["bigtop/plain"]\n\n# What', 1))
    place = opened(small, settings).folder
    assert git(place, "log", "-1", "--format=%s|%an").text == "Say more|unknown"
    assert exported(small).written == ()
    (place / "README").write_text("read me\nmuch more\n")
    git(place, "commit", "--quiet", "--all", "--amend", "--no-edit")
    assert exported(small).written == ("patches/bigtop/plain/default.patch",)
    mail = read_mail((folder / "default.patch").read_bytes(), source="it")
    assert (mail.author, mail.subject) == ("", "Say more")


def test_commands_that_change_the_queue_wait_for_each_other(three: Project, settings: Settings) -> None:
    opened(three, settings)
    with changing(three) as change:
        text = (three.recipes / "1.0.0.toml").read_text()
        started = run(
            ["timeout", "1", sys.executable, "-c", WAITING, three.root],
            check=False,
            env={"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        change.write(three.recipes / "1.0.0.toml", text)
    assert started.returncode == 124


WAITING = """
import sys
from pathlib import Path
from bigtop_builder.upkeep.change import changing
from bigtop_builder.workspace import Project
with changing(Project(Path(sys.argv[1]))):
    sys.exit(0)
"""
