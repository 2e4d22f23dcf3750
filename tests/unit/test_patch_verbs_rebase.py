# SPDX-License-Identifier: Apache-2.0
"""Carrying patches to another release: what merges is written, what does not is reported, and nothing stops it."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.git_index import Index
from bigtop_builder.mirror import Mirror
from bigtop_builder.patches.facts import Given, with_facts
from bigtop_builder.patches.listed import with_patches
from bigtop_builder.patches.mail import Mail, read_mail
from bigtop_builder.patches.queue import load_entry
from bigtop_builder.recipe import load_recipe
from bigtop_builder.run import run
from bigtop_builder.settings import Settings
from bigtop_builder.upkeep.drop import drop
from bigtop_builder.upkeep.edit import edit
from bigtop_builder.upkeep.evidence import Evidence, Finding, write_evidence
from bigtop_builder.upkeep.export import export
from bigtop_builder.upkeep.foreign import Read, read_changes, read_commits, read_source
from bigtop_builder.upkeep.intake import bring
from bigtop_builder.upkeep.rebase import Move, Report, rebase
from bigtop_builder.upkeep.threeway import carry
from bigtop_builder.workspace import Project
from small_queue import ENV, clone_of, commit_all, git, numbered, small_project

FILES = {
    "as-it-is": {"README": "read me\nand more\n"},
    "moves": {"build.gradle": numbered((10, "ten"))},
    "merges": {"build.gradle": numbered((10, "ten"), (30, "thirty"))},
    "clashes": {"build.gradle": numbered((10, "ten"), (20, "my twenty"), (30, "thirty"))},
    "is-there": {"settings.gradle": numbered((5, "five"), last=20)},
    "file-is-gone": {"gone.gradle": numbered((6, "six"), last=12)},
    "after-all": {"README": "read me\nand more\nand more\n"},
}
"""Each patch is made on those before it."""


@pytest.fixture(scope="module")
def mould(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A queue for release 1.0.0 with all that can happen on 2.0.0."""
    root = tmp_path_factory.mktemp("mould")
    project, settings = small_project(root / "queue"), Settings(cache_dir=root / "cache")
    clone = clone_of(project, root / "clone")
    for name, files in FILES.items():
        for path, text in files.items():
            (clone / path).write_text(text)
        read = read_changes(clone, "bigtop", name, mail=Mail(), commit=commit_all(clone, f"Do {name}"))
        bring([read], given=Given(), releases=("1.0.0",), project=project, settings=settings)
    return root


@pytest.fixture
def queue(mould: Path, tmp_path: Path) -> Project:
    """A copy of that queue."""
    run(["cp", "-a", mould / "queue", tmp_path / "queue"])
    return Project(tmp_path / "queue")


def carried(queue: Project, settings: Settings, *only: str, **options: bool) -> Report:
    return rebase("1.0.0", "2.0.0", only=only, project=queue, settings=settings, **options)


def move(report: Report, name: str) -> Move:
    return next(one for one in report.moves if one.id == f"bigtop/{name}")


def brought(queue: Project, read: Iterable[Read], release: str = "1.0.0") -> None:
    """Let a release list further patches."""
    bring(read, given=Given(), releases=(release,), project=queue)


def nothing_listed(queue: Project) -> None:
    """Let release 1.0.0 list no patch."""
    path = queue.recipes / "1.0.0.toml"
    path.write_text(with_patches(path.read_text(), []))


def aside(queue: Project, text: str, message: str) -> str:
    """Commit a build.gradle on a branch of 1.0.0 that no release comes from; return the commit."""
    upstream = queue.root / "bigtop"
    if not git(upstream, "branch", "--list", "aside").text:
        git(upstream, "checkout", "--quiet", "-b", "aside", "rel/1.0.0")
    (upstream / "build.gradle").write_text(text)
    return commit_all(upstream, message)


def built_from(queue: Project, release: str, commit: str) -> None:
    """Let a recipe name this commit."""
    path = queue.recipes / f"{release}.toml"
    path.write_text(re.sub('commit = "[0-9a-f]+"', f'commit = "{commit}"', path.read_text()))


def listed(queue: Project, release: str = "2.0.0") -> list[str]:
    return [one.partition("/")[2] for one in load_recipe(release, queue.recipes)[0].patches]


def test_each_patch_has_its_outcome_and_none_stops_the_others(queue: Project, settings: Settings) -> None:
    report = carried(queue, settings)
    assert {one.id.partition("/")[2]: one.outcome for one in report.moves} == {
        "as-it-is": "clean",
        "moves": "offset",
        "merges": "merged",
        "clashes": "conflict",
        "is-there": "already-upstream",
        "file-is-gone": "conflict",
        "after-all": "clean",
    }


def test_what_applies_is_listed_in_the_old_order_and_a_merged_diff_is_for_that_release(
    queue: Project, settings: Settings
) -> None:
    report = carried(queue, settings)
    assert listed(queue) == ["as-it-is", "moves", "merges", "after-all"]
    assert "patches/bigtop/merges/2.0.0.patch" in report.written
    assert [one for one in report.written if one.endswith(".patch")] == ["patches/bigtop/merges/2.0.0.patch"]
    entry = load_entry(queue.patches, "bigtop/merges")
    old, new = (read_mail(entry.at(release).diff, source=release) for release in ("1.0.0", "2.0.0"))
    assert (new.author, new.date, new.subject) == (old.author, old.date, old.subject)
    assert b"thirty-three" in new.diff
    assert entry.facts.releases == ("1.0.0", "2.0.0")


def test_a_second_rebase_writes_nothing(queue: Project, settings: Settings) -> None:
    carried(queue, settings)
    again = carried(queue, settings)
    assert again.written == ()
    assert move(again, "merges").outcome == "clean"


def test_a_diff_that_was_settled_for_the_new_release_is_merged_from_itself(
    queue: Project, settings: Settings
) -> None:
    carried(queue, settings)
    place = edit("2.0.0", "bigtop", project=queue, settings=settings).folder
    position = listed(queue)[::-1].index("merges")
    git(place, "checkout", "--quiet", f"HEAD~{position}")
    (place / "FRESH").write_text("of this release\n")
    git(place, "add", "FRESH")
    git(place, "commit", "--quiet", "--all", "--amend", "--no-edit")
    git(place, "rebase", "--quiet", "--onto", "HEAD", f"series~{position}", "series")
    export("2.0.0", "bigtop", project=queue, settings=settings)
    upstream = queue.root / "bigtop"
    text = (upstream / "build.gradle").read_text()
    (upstream / "build.gradle").write_text(text.replace("thirty-three", "33").replace("thirty-four", "34"))
    candidate = commit_all(upstream, "BIGTOP-10. Say 33", ENV)
    built_from(queue, "2.0.0", candidate)
    report = carried(queue, settings, "bigtop/merges")
    settled = (queue.patches / "bigtop/merges/2.0.0.patch").read_text()
    assert "+of this release" in settled, "what was settled by hand for this release alone"
    assert move(report, "merges").outcome in {"merged", "conflict"}


def test_a_conflict_names_hunk_three_sides_and_the_upstream_commit(
    queue: Project, settings: Settings
) -> None:
    (clash,) = move(carried(queue, settings), "clashes").conflicts
    file = queue.patches / "bigtop/clashes/default.patch"
    assert clash.file == str(file)
    assert file.read_text().splitlines()[clash.line - 1].startswith("@@ -17,7 +17,7 @@")
    assert (clash.path, clash.hunk) == ("build.gradle", 1)
    assert (clash.base, clash.ours, clash.theirs) == (("line 20",), ("twenty, upstream",), ("my twenty",))
    assert clash.subject == "BIGTOP-9. Say twenty"
    assert clash.commit == git(queue.root / "bigtop", "rev-parse", "rel/2.0.0").text


def test_a_file_that_is_gone_names_the_commit_that_removed_it(queue: Project, settings: Settings) -> None:
    (clash,) = move(carried(queue, settings), "file-is-gone").conflicts
    assert (clash.path, clash.hunk) == ("gone.gradle", 0)
    assert "deleted" in clash.text
    assert clash.subject == "BIGTOP-7. Remove what nobody builds"


def test_lines_that_are_gone_name_the_commit_that_took_them(queue: Project, settings: Settings) -> None:
    upstream = queue.root / "bigtop"
    text = (upstream / "build.gradle").read_text()
    (upstream / "build.gradle").write_text(text.replace("twenty, upstream\n", ""))
    commit = commit_all(upstream, "BIGTOP-10. Twenty was too much")
    built_from(queue, "2.0.0", commit)
    (clash,) = move(carried(queue, settings), "clashes").conflicts
    assert clash.ours == ()
    assert clash.subject == "BIGTOP-9. Say twenty"


def test_a_rehearsal_writes_nothing(queue: Project, settings: Settings) -> None:
    report = carried(queue, settings, dry_run=True)
    assert "recipes/2.0.0.toml" in report.written
    assert listed(queue) == []
    assert not (queue.patches / "bigtop/merges/2.0.0.patch").exists()


def test_some_patches_can_be_carried_alone(queue: Project, settings: Settings) -> None:
    report = carried(queue, settings, "bigtop/as-it-is", "bigtop/merges")
    assert [one.id for one in report.moves] == ["bigtop/as-it-is", "bigtop/merges"]
    with pytest.raises(InputError, match=r"recipe 1\.0\.0 lists no patch 'bigtop/absent'"):
        carried(queue, settings, "bigtop/absent")


def test_a_merged_diff_can_be_for_all_later_releases(queue: Project, settings: Settings) -> None:
    carried(queue, settings, since=True)
    assert (queue.patches / "bigtop/merges/since-2.0.0.patch").is_file()


def test_a_range_that_others_use_is_not_overwritten(queue: Project, settings: Settings) -> None:
    folder = queue.patches / "bigtop/merges"
    (folder / "since-1.5.0.patch").write_bytes((folder / "default.patch").read_bytes())
    report = carried(queue, settings)
    assert move(report, "merges").outcome == "conflict"
    assert "since-1.5.0.patch is for 2.0.0 and others" in move(report, "merges").note
    assert listed(queue) == ["as-it-is", "moves", "after-all"]


def test_a_patch_can_be_put_on_any_commit_that_has_what_it_was_made_on(
    queue: Project, settings: Settings
) -> None:
    names = ("as-it-is", "moves", "is-there", "file-is-gone", "clashes")
    patches = {name: load_entry(queue.patches, f"bigtop/{name}").at("1.0.0") for name in names}
    mirror, tip = Mirror(path=queue.root / "bigtop/.git", url=""), "refs/tags/rel/2.0.0"
    with Index.temporary(mirror, settings.cache_dir / "objects") as index:
        done = {name: carry(index, patch, tip, name="master") for name, patch in patches.items()}
    assert [one.outcome for one in done.values()] == [
        "clean",
        "offset",
        "already-upstream",
        "conflict",
        "conflict",
    ]
    merge = done["file-is-gone"].merge
    assert merge is not None
    assert merge.conflicts == ("gone.gradle",)
    assert [one.file for one in done["clashes"].refusals] == ["build.gradle"], "made on another patch"


def test_a_release_is_not_carried_to_itself(queue: Project, settings: Settings) -> None:
    with pytest.raises(InputError, match="are the same release"):
        rebase("1.0.0", "1.0.0", project=queue, settings=settings)


def settle(folder: Path, revision: str, message: str, **files: str) -> None:
    """Give a commit other content, and lay those after it on top of it again."""
    git(folder, "checkout", "--quiet", revision)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    git(folder, "commit", "--quiet", "--all", "--amend", "-m", message)
    git(folder, "rebase", "--quiet", "--onto", "HEAD", revision, "series")


def clashes_settled(queue: Project, settings: Settings) -> None:
    """Carry the patches over in a work tree, and settle the one that clashes; it is the last one there."""
    folder = edit("2.0.0", "bigtop", since="1.0.0", project=queue, settings=settings).folder
    log = git(folder, "log", "--reverse", "--format=%H %s").text.splitlines()
    here = next(line.split()[0] for line in log if line.endswith("Do clashes"))
    text = git(folder, "show", f"{here}~1:build.gradle").text + "\n"
    settle(folder, here, "Do clashes\n\nPatch: bigtop/clashes", build_gradle=text + "more\n")
    git(folder, "reset", "--quiet", "--hard", "HEAD~2")


def test_conflicts_are_settled_in_a_work_tree_of_the_new_release(queue: Project, settings: Settings) -> None:
    carried(queue, settings)
    done = edit("2.0.0", "bigtop", since="1.0.0", project=queue, settings=settings)
    assert done.conflicts == {"bigtop/clashes": ("build.gradle",), "bigtop/file-is-gone": ("gone.gradle",)}
    log = git(done.folder, "log", "--reverse", "--format=%H %s").text.splitlines()[1:]
    assert [line.partition(" ")[2] for line in log] == [f"Do {name}" for name in FILES if name != "is-there"]
    with pytest.raises(InputError, match=r"2 of 6 commits of .* have conflicts") as refused:
        export("2.0.0", "bigtop", project=queue, settings=settings)
    assert [line.partition(" ")[2] for line in refused.value.details.splitlines()] == [
        "bigtop/clashes: build.gradle",
        "bigtop/file-is-gone: gone.gradle",
    ]
    base = git(done.folder, "show", f"{log[2].split()[0]}:build.gradle").text + "\n"
    torn = git(done.folder, "show", f"{log[3].split()[0]}:build.gradle").text.splitlines()
    marks = [line for line in torn if line[:7] in {"<" * 7, "|" * 7, ">" * 7}]
    assert marks == ["<<<<<<< 2.0.0", "||||||| 1.0.0", ">>>>>>> bigtop/clashes"]
    settled = base.replace("twenty, upstream", "twenty of both")
    settle(done.folder, log[3].split()[0], "Do clashes\n\nPatch: bigtop/clashes", build_gradle=settled)
    with pytest.raises(InputError, match=r"1 of 6 commits of .* have conflicts"):
        export("2.0.0", "bigtop", project=queue, settings=settings)
    git(done.folder, "rebase", "--quiet", "--onto", "HEAD~2", "HEAD~1")
    assert (
        "patches/bigtop/clashes/2.0.0.patch"
        in export("2.0.0", "bigtop", project=queue, settings=settings).written
    )
    assert b"+twenty of both" in load_entry(queue.patches, "bigtop/clashes").at("2.0.0").diff
    assert b"+my twenty" in load_entry(queue.patches, "bigtop/clashes").at("1.0.0").diff
    assert listed(queue) == ["as-it-is", "moves", "merges", "clashes", "after-all"]
    assert {one.outcome for one in carried(queue, settings, "bigtop/clashes").moves} == {"clean", "offset"}


def test_a_settled_diff_can_be_for_all_later_releases(queue: Project, settings: Settings) -> None:
    clashes_settled(queue, settings)
    found = export("2.0.0", "bigtop", since=True, project=queue, settings=settings)
    assert "patches/bigtop/clashes/since-2.0.0.patch" in found.written
    assert not list(queue.patches.glob("*/*/2.0.0.patch"))
    assert b"+more" in load_entry(queue.patches, "bigtop/clashes").at("9.0.0").diff
    assert export("2.0.0", "bigtop", since=True, project=queue, settings=settings).written == ()


def test_a_range_for_all_later_releases_does_not_stand_beside_another(
    queue: Project, settings: Settings
) -> None:
    clashes_settled(queue, settings)
    folder = queue.patches / "bigtop/clashes"
    (folder / "since-3.0.0.patch").write_bytes((folder / "default.patch").read_bytes())
    with pytest.raises(InputError, match=r"since-2\.0\.0\.patch cannot stand beside .*since-3\.0\.0\.patch"):
        export("2.0.0", "bigtop", since=True, project=queue, settings=settings)
    assert not (folder / "since-2.0.0.patch").exists()


@pytest.fixture
def landed(queue: Project) -> Project:
    """A queue whose recipe for 2.0.0 lists a patch that is in 2.0.0."""
    path = queue.recipes / "2.0.0.toml"
    path.write_text(path.read_text().replace("# What", 'patches = ["bigtop/is-there"]\n\n# What', 1))
    return queue


def record(queue: Project, **facts: str) -> Finding:
    finding = Finding.model_validate(
        {"patch": "a" * 64, "base": "b" * 40, "state": "already-upstream", **facts}
    )
    write_evidence(queue.patches / "bigtop/is-there", Evidence(releases={"2.0.0": finding}))
    return finding


def test_a_patch_with_proof_goes_and_stays_where_another_recipe_lists_it(landed: Project) -> None:
    facts = landed.patches / "bigtop/is-there/patch.toml"
    text = with_facts(facts.read_text(), {"releases": ["1.0.0", "2.0.0"]})
    facts.write_text(f"# kept\n{text}")
    finding = record(landed, commit="c" * 40, by="patch-id", since="rel/2.0.0")
    done = drop("bigtop/is-there", "2.0.0", prove=lambda *_: finding, project=landed)
    assert (done.commit, done.since, done.elsewhere, done.removed) == (
        "c" * 40,
        "rel/2.0.0",
        ("1.0.0",),
        False,
    )
    assert listed(landed) == []
    assert load_entry(landed.patches, "bigtop/is-there").facts.releases == ("1.0.0",)
    assert facts.read_text().startswith("# kept\n")


def test_evidence_from_before_another_patch_was_dropped_holds_if_the_same_commit_proves_it(
    landed: Project,
) -> None:
    finding = record(landed, commit="c" * 40, by="patch-id")
    now = finding.model_copy(update={"base": "d" * 40, "made_of": "e" * 64, "since": "rel/2.0.0"})
    done = drop("bigtop/is-there", "2.0.0", prove=lambda *_: now, project=landed)
    assert (done.commit, done.since) == ("c" * 40, "rel/2.0.0")


def test_the_last_recipe_takes_the_folder_with_it(landed: Project) -> None:
    finding = record(landed, commit="c" * 40, by="patch-id")
    path = landed.recipes / "1.0.0.toml"
    path.write_text(path.read_text().replace('"bigtop/is-there"', '"bigtop/other"'))
    assert drop("bigtop/is-there", "2.0.0", prove=lambda *_: finding, project=landed).removed
    assert not (landed.patches / "bigtop/is-there").exists()
    assert (landed.patches / "bigtop/merges").is_dir()


def test_a_project_behind_a_link_is_the_same_one(landed: Project, tmp_path: Path) -> None:
    finding = record(landed, commit="c" * 40, by="patch-id")
    path = landed.recipes / "1.0.0.toml"
    path.write_text(path.read_text().replace('"bigtop/is-there"', '"bigtop/other"'))
    (tmp_path / "link").symlink_to(landed.root)
    done = drop("bigtop/is-there", "2.0.0", prove=lambda *_: finding, project=Project(tmp_path / "link"))
    assert done.elsewhere == ()
    assert not (landed.patches / "bigtop/is-there").exists()


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"state": "clean"}, "is clean on 2.0.0, not already upstream"),
        ({}, "no upstream commit is known"),
    ],
)
def test_without_proof_nothing_goes(landed: Project, facts: dict[str, str], said: str) -> None:
    finding = record(landed, **facts)
    with pytest.raises(CheckFailed) as refused:
        drop("bigtop/is-there", "2.0.0", prove=lambda *_: finding, project=landed)
    assert said in refused.value.brief
    assert listed(landed) == ["is-there"]


def test_evidence_that_is_not_there_or_does_not_hold_is_no_proof(landed: Project) -> None:
    with pytest.raises(CheckFailed, match=r"has no evidence on 2\.0\.0"):
        drop("bigtop/is-there", "2.0.0", prove=lambda *_: None, project=landed)
    finding = record(landed, commit="c" * 40, by="patch-id", since="rel/2.0.0")
    now = finding.model_copy(update={"state": "clean", "commit": ""})
    with pytest.raises(CheckFailed) as refused:
        drop("bigtop/is-there", "2.0.0", prove=lambda *_: now, project=landed)
    assert refused.value.brief.endswith("does not hold: now it is clean")
    with pytest.raises(InputError, match=r"recipe 2\.0\.0 lists no patch 'bigtop/moves'"):
        drop("bigtop/moves", "2.0.0", prove=lambda *_: now, project=landed)


def test_a_patch_that_fits_neither_release_is_merged_from_what_its_diff_names(
    queue: Project, settings: Settings
) -> None:
    text = numbered((20, "twenty, upstream"), (26, "never released"), (33, "thirty-three"))
    aside(queue, text, "Never released")
    commit = aside(queue, text.replace("line 29", "twenty-nine"), "Say twenty-nine")
    brought(queue, read_commits(queue.root / "bigtop", commit, "bigtop", "aside"))
    one = move(carried(queue, settings, "bigtop/aside"), "aside")
    assert one.outcome == "merged"
    assert b"+twenty-nine" in one.diff
    assert b"never" not in one.diff


def test_a_plain_diff_that_fits_neither_release_is_told_with_what_is_there(
    queue: Project, settings: Settings, tmp_path: Path
) -> None:
    plain = "--- a/README\n+++ b/README\n@@ -1 +1 @@\n-read nothing\n+read all\n"
    (tmp_path / "plain.patch").write_text(plain)
    read = read_source(tmp_path / "plain.patch", "bigtop")
    brought(queue, read)
    one = move(carried(queue, settings, "bigtop/plain"), "plain")
    assert one.outcome == "conflict"
    assert "what it was made on is not known" in one.note
    (clash,) = one.conflicts
    assert (clash.path, clash.hunk) == ("README", 1)
    assert "| read nothing" in clash.text


def test_a_series_that_does_not_apply_any_more_is_mended_where_it_is(
    queue: Project, settings: Settings
) -> None:
    upstream = queue.root / "bigtop"
    commit = aside(queue, numbered((20, "my twenty")), "Say my twenty")
    brought(queue, read_commits(upstream, commit, "bigtop", "mine"), "2.0.0")
    done = edit("2.0.0", "bigtop", since="2.0.0", project=queue, settings=settings)
    assert done.conflicts == {"bigtop/mine": ("build.gradle",)}
    text = git(upstream, "show", "rel/2.0.0:build.gradle").text + "\n"
    mended = text.replace("twenty, upstream", "twenty of both")
    settle(done.folder, "series", "Say my twenty\n\nPatch: bigtop/mine", build_gradle=mended)
    assert export("2.0.0", "bigtop", project=queue, settings=settings).written == (
        "patches/bigtop/mine/default.patch",
    )
    assert export("2.0.0", "bigtop", project=queue, settings=settings).written == ()


def test_lines_that_the_new_release_never_had_name_the_commit_that_wrote_them(
    queue: Project, settings: Settings
) -> None:
    text = numbered((31, "line 31\nwritten for one release"))
    built_from(queue, "1.0.0", aside(queue, text, "BIGTOP-40. For this release alone"))
    nothing_listed(queue)
    commit = aside(queue, numbered((31, "line 31\nwritten twice")), "Say it twice")
    brought(queue, read_commits(queue.root / "bigtop", commit, "bigtop", "x"))
    (clash,) = move(carried(queue, settings), "x").conflicts
    assert (clash.subject, clash.lacks) == ("BIGTOP-40. For this release alone", True)
    assert "never had" in clash.told()[-1]


def test_lines_of_an_earlier_patch_that_is_not_in_the_release_name_that_patch(
    queue: Project, settings: Settings, tmp_path: Path
) -> None:
    clone = clone_of(queue, tmp_path / "clone")
    (clone / "build.gradle").write_text(numbered((20, "my twenty"), (27, "line 27\nmy own line")))
    first = commit_all(clone, "The first")
    (clone / "build.gradle").write_text(numbered((20, "my twenty"), (27, "line 27\nmy other line")))
    commit_all(clone, "The second")
    nothing_listed(queue)
    brought(queue, read_commits(clone, first, "bigtop", "first"))
    brought(queue, read_commits(clone, "HEAD", "bigtop", "second"))
    assert move(carried(queue, settings), "first").outcome == "conflict"
    (clash,) = move(carried(queue, settings), "second").conflicts
    assert (clash.base, clash.ours, clash.theirs) == (("my own line",), (), ("my other line",))
    assert (clash.commit, clash.subject) == ("", "patch bigtop/first of this queue")


@pytest.mark.parametrize("since", [False, True])
def test_a_diff_for_the_old_release_alone_that_applies_becomes_one_for_the_new_release(
    queue: Project, settings: Settings, since: bool
) -> None:
    folder = queue.patches / "bigtop/as-it-is"
    (folder / "default.patch").rename(folder / "1.0.0.patch")
    report = carried(queue, settings, "bigtop/as-it-is", since=since)
    assert move(report, "as-it-is").outcome == "clean"
    name = "since-2.0.0.patch" if since else "2.0.0.patch"
    assert (folder / name).read_bytes() == (folder / "1.0.0.patch").read_bytes()
    assert f"patches/bigtop/as-it-is/{name}" in report.written
    recipe, _ = load_recipe("2.0.0", queue.recipes)
    assert load_entry(queue.patches, recipe.patches[0]).at("2.0.0").path == folder / name


def test_a_diff_for_later_releases_is_in_the_way_of_one_that_applies_too(
    queue: Project, settings: Settings
) -> None:
    folder = queue.patches / "bigtop/as-it-is"
    (folder / "default.patch").rename(folder / "1.0.0.patch")
    (folder / "since-3.0.0.patch").write_bytes((folder / "1.0.0.patch").read_bytes())
    report = carried(queue, settings, "bigtop/as-it-is", since=True)
    assert "since-3.0.0.patch is for 2.0.0 and others" in move(report, "as-it-is").note
    assert load_recipe("2.0.0", queue.recipes)[0].patches == ()
