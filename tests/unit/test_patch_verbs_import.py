# SPDX-License-Identifier: Apache-2.0
"""Imports: each form that people keep patches in, whole or not at all, each fault with its file and line."""

import re
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from bigtop_builder.errors import InputError
from bigtop_builder.patches.facts import Given
from bigtop_builder.patches.listed import in_order, inserted, with_patches
from bigtop_builder.patches.mail import read_mail
from bigtop_builder.patches.naming import name_of, name_of_file
from bigtop_builder.patches.queue import known, load_entry
from bigtop_builder.recipe import load_recipe
from bigtop_builder.run import run
from bigtop_builder.upkeep.change import UNDO, changing, mend
from bigtop_builder.upkeep.foreign import Incoming, read_commits, read_source
from bigtop_builder.upkeep.intake import Import, bring
from bigtop_builder.workspace import Project
from small_queue import ADA, commit_all, git, numbered, small_project


@pytest.fixture
def clone(clone: Path) -> Path:
    """A clone of release 1.0.0 with two commits of its own."""
    (clone / "build.gradle").write_text(numbered((6, "six")))
    commit_all(clone, "BIGTOP-11. Say six\n\nFor a test.")
    (clone / "settings.gradle").write_text(numbered((6, "six"), last=20))
    commit_all(clone, "BIGTOP-12. Say six there, too")
    return clone


@pytest.fixture
def folder(clone: Path, tmp_path: Path) -> Path:
    """Those commits as git writes them for mail."""
    folder = tmp_path / "folder"
    git(clone, "format-patch", "--quiet", "-o", folder, "rel/1.0.0")
    return folder


NAMES = ["bigtop/BIGTOP-11-say-six", "bigtop/BIGTOP-12-say-six-there-too"]


def brought(small: Project, source: Path, target: str = "bigtop", **options: bool) -> Import:
    read = read_source(source, target)
    return bring(read, given=Given(), releases=("1.0.0",), project=small, **options)


def refused(small: Project, source: Path) -> InputError:
    """What is said of an import that must fail; nothing comes of it."""
    with pytest.raises(InputError) as refusal:
        brought(small, source)
    assert known(small.patches) == []
    assert load_recipe("1.0.0", small.recipes)[0].patches == ()
    return refusal.value


def diff_text(path: str, number: int, last: int = 20) -> str:
    """A plain diff that changes one line."""
    context = "".join(f" line {n}\n" for n in range(number - 3, number))
    after = "".join(f" line {n}\n" for n in range(number + 1, number + 4))
    head = f"--- a/{path}\n+++ b/{path}\n@@ -{number - 3},7 +{number - 3},7 @@\n"
    return f"{head}{context}-line {number}\n+changed\n{after}" if number + 3 <= last else ""


def test_a_folder_comes_in_its_order_with_authors_and_dates(small: Project, folder: Path) -> None:
    done = brought(small, folder)
    assert [one.id for one in done.patches] == NAMES
    assert load_recipe("1.0.0", small.recipes)[0].patches == tuple(NAMES)
    mail = read_mail(load_entry(small.patches, NAMES[0]).diffs[0].data, source="it")
    assert (mail.author, mail.date.isoformat()) == ("Ada Lovelace", "2026-02-03T04:05:06+01:00")
    assert (mail.subject, mail.body) == ("BIGTOP-11. Say six", "For a test.")
    assert load_entry(small.patches, NAMES[1]).facts.ticket == "BIGTOP-12"


def test_commits_make_the_same_patches_as_their_mails(small: Project, clone: Path, folder: Path) -> None:
    read = read_commits(clone, "rel/1.0.0..HEAD", "bigtop")
    bring(read, given=Given(), project=small)
    by_commit = {one: load_entry(small.patches, one).diffs[0].data for one in known(small.patches)}
    again = brought(small, folder)
    assert {one.what for one in again.patches} == {"unchanged"}
    assert sorted(by_commit) == NAMES
    assert by_commit == {one: load_entry(small.patches, one).diffs[0].data for one in NAMES}


def test_one_commit_of_a_bare_repository_can_be_named(small: Project, clone: Path, tmp_path: Path) -> None:
    run(["git", "clone", "--quiet", "--bare", clone, tmp_path / "bare.git"], env=ADA)
    (one,) = read_commits(tmp_path / "bare.git", "HEAD~1", "bigtop", "six")
    done = bring([one], given=Given(state="merged"), project=small)
    assert done.patches[0].id == "bigtop/six"
    upstream = load_entry(small.patches, "bigtop/six").facts.upstream
    assert (upstream.state, upstream.commit) == ("merged", git(clone, "rev-parse", "HEAD~1").text)


def test_a_second_import_writes_nothing(small: Project, folder: Path) -> None:
    brought(small, folder)
    assert brought(small, folder).written == ()


def test_an_import_that_fails_brings_nothing_and_names_each_fault(small: Project, folder: Path) -> None:
    (folder / "0003-torn.patch").write_text("--- a/x\n+++ b/x\n@@ -1,5 +1,5 @@\n one\n-two\n+three\n")
    (folder / "0004-out.patch").write_text("--- a/../x\n+++ b/../x\n@@ -1 +1 @@\n-two\n+three\n")
    said = refused(small, folder)
    assert said.brief == "2 of 4 patches cannot be imported, so none was"
    torn, out = said.details.splitlines()
    assert torn.startswith(f"{folder}/0003-torn.patch:")
    assert out.startswith(f"{folder}/0004-out.patch:")
    assert "--keep-going" in said.hint


def test_the_others_come_when_asked_to_keep_going(small: Project, folder: Path) -> None:
    (folder / "0003-torn.patch").write_text("--- a/x\n+++ b/x\n@@ -1,5 +1,5 @@\n one\n-two\n+three\n")
    done = brought(small, folder, keep_going=True)
    assert [one.id for one in done.patches] == NAMES
    assert [fault.source for fault in done.faults] == [f"{folder}/0003-torn.patch"]


def test_two_files_of_one_name_are_told_apart_by_a_human(small: Project, tmp_path: Path) -> None:
    folder = tmp_path / "twins"
    folder.mkdir()
    for name in ("patch1-same.diff", "patch2-same.diff"):
        (folder / name).write_text(diff_text("settings.gradle", 6))
    details = str(refused(small, folder))
    assert (
        f"{folder}/patch2-same.diff and {folder}/patch1-same.diff would both be patch 'bigtop/same'"
        in details
    )


def test_a_quilt_series_keeps_its_order_and_its_comments_are_read_over(
    small: Project, tmp_path: Path
) -> None:
    (tmp_path / "quilt").mkdir()
    for name, line in (("zebra.patch", 6), ("ape.diff", 12)):
        (tmp_path / "quilt" / name).write_text(f"Say it.\n\n{diff_text('settings.gradle', line)}")
    (tmp_path / "quilt/series").write_text("# two of them\n\nzebra.patch -p1 # first\nape.diff\n")
    done = brought(small, tmp_path / "quilt/series")
    assert [one.id for one in done.patches] == ["bigtop/zebra", "bigtop/ape"]
    assert brought(small, tmp_path / "quilt").written == ()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("zebra.patch -p0", "-p0 is not taken"),
        ("zebra.patch -pab", "-pab is not taken"),
        ("zebra.patch -p 2", "-p2 is not taken"),
        ("zebra.patch -R", "option -R is not taken"),
        ("absent.patch", "there is no such file"),
        ("../outside.patch", "it lies outside the series' folder"),
        ("zebra.patch\nzebra.patch", "it is listed twice"),
    ],
)
def test_a_line_of_a_series_that_cannot_be_taken_is_named(
    small: Project, tmp_path: Path, line: str, said: str
) -> None:
    (tmp_path / "quilt").mkdir()
    for name in ("quilt/zebra.patch", "outside.patch"):
        (tmp_path / name).write_text(diff_text("settings.gradle", 6))
    (tmp_path / "quilt/series").write_text(f"# head\n{line}\n")
    details = str(refused(small, tmp_path / "quilt"))
    number = 3 if "\n" in line else 2
    assert f"{tmp_path}/quilt/series:{number}: " in details
    assert said in details


def test_another_queue_comes_with_its_facts_and_ranges(small: Project, folder: Path, tmp_path: Path) -> None:
    brought(small, folder)
    facts = small.patches / NAMES[0] / "patch.toml"
    facts.write_text(facts.read_text().replace('why = ""', 'why = "theirs"'))
    (facts.parent / "2.0.0.patch").write_bytes((facts.parent / "default.patch").read_bytes())
    other = small_project(tmp_path / "other")
    done = bring(read_source(small.root, ""), given=Given(), releases=("2.0.0",), project=other)
    assert [one.id for one in done.patches] == NAMES
    assert not any(one.lacking for one in done.patches), "their facts came along"
    entry = load_entry(other.patches, NAMES[0])
    assert entry.facts.why == "theirs"
    assert len(entry.diffs) == 2
    assert bring(read_source(small.patches, "bigtop"), given=Given(), project=other).written == ()


def test_a_taken_id_names_both(small: Project, folder: Path) -> None:
    brought(small, folder)
    file = folder / "0001-BIGTOP-11.-Say-six.patch"
    file.write_text(file.read_text().replace("+six", "+sechs"))
    with pytest.raises(InputError) as refusal:
        brought(small, file)
    assert f"{file} would be patch '{NAMES[0]}', and {small.patches / NAMES[0]} is there already" in (
        refusal.value.brief
    )


def test_the_same_words_at_another_place_are_another_patch(small: Project, folder: Path) -> None:
    brought(small, folder)
    file = folder / "0001-BIGTOP-11.-Say-six.patch"
    file.write_text(re.sub("^@@ .* @@", "@@ -13,7 +13,7 @@", file.read_text(), flags=re.MULTILINE))
    with pytest.raises(InputError, match="is there already"):
        brought(small, file)


def test_a_mailbox_is_taken_apart_and_each_author_is_kept(
    small: Project, clone: Path, tmp_path: Path
) -> None:
    bob = {**ADA, "GIT_AUTHOR_NAME": "Bob", "GIT_AUTHOR_EMAIL": "bob@example.org"}
    (clone / "README").write_text("read him\n")
    commit_all(clone, "BIGTOP-13. Say him", bob)
    mailbox, log = tmp_path / "all.patch", tmp_path / "log.patch"
    mailbox.write_bytes(git(clone, "format-patch", "--stdout", "rel/1.0.0").stdout)
    log.write_bytes(git(clone, "log", "--reverse", "-p", "rel/1.0.0..").stdout)
    for file in (mailbox, log):
        read = [one for one in read_source(file, "bigtop") if isinstance(one, Incoming)]
        assert [one.id for one in read] == [*NAMES, "bigtop/BIGTOP-13-say-him"]
        assert [one.mail.author for one in read] == ["Ada Lovelace", "Ada Lovelace", "Bob"]
        assert [one.mail.diff.count(b"diff --git") for one in read] == [1, 1, 1]
        line = file.read_text()[: file.read_text().index("Bob")].count("\n")
        assert read[2].source == f"{file}:{line}"
        with pytest.raises(InputError, match=rf"{file.name}:\d+: a second patch begins here"):
            read_mail(file.read_bytes(), source=file.name)
    assert len(brought(small, mailbox).patches) == 3


def test_a_folder_of_numbers_is_taken_by_number(small: Project, tmp_path: Path) -> None:
    folder = tmp_path / "numbers"
    folder.mkdir()
    for number, (name, path) in {10: ("b", "build.gradle"), 2: ("a", "settings.gradle")}.items():
        (folder / f"patch{number}-{name}.diff").write_text(diff_text(path, 6))
    assert [one.id for one in brought(small, folder).patches] == ["bigtop/a", "bigtop/b"]


def test_another_queue_comes_in_the_order_of_its_recipes(
    small: Project, folder: Path, tmp_path: Path
) -> None:
    brought(small, folder)
    recipe = small.recipes / "1.0.0.toml"
    recipe.write_text(with_patches(recipe.read_text(), NAMES[::-1]))
    other = small_project(tmp_path / "other")
    done = bring(read_source(small.root, ""), given=Given(), releases=("1.0.0",), project=other)
    assert [one.id for one in done.patches] == NAMES[::-1]
    assert load_recipe("1.0.0", other.recipes)[0].patches == tuple(NAMES[::-1])


@pytest.mark.parametrize(
    ("fields", "state", "url", "commit"),
    [
        (
            "Forwarded: https://github.com/apache/bigtop/pull/7",
            "pr-open",
            "https://github.com/apache/bigtop/pull/7",
            "",
        ),
        ("Forwarded: https://lists.example.org/7", "ticket", "https://lists.example.org/7", ""),
        ("Forwarded: not-needed", "local-only", "", ""),
        (f"Applied-Upstream: 3.7.0, commit:{'a' * 40}", "merged", "", "a" * 40),
        (f"Origin: backport, commit:{'b' * 40}", "merged", "", "b" * 40),
    ],
)
def test_what_dep_3_says_of_upstream_is_kept(
    small: Project, tmp_path: Path, fields: str, state: str, url: str, commit: str
) -> None:
    file = tmp_path / "one.patch"
    bugs = "Bug: https://bugs.example.org/1\nBug: https://bugs.example.org/2"
    file.write_text(
        f"Description: One\nFrom: Ada <ada@example.org>\n{bugs}\n{fields}\n---\n{diff_text('build.gradle', 6)}"
    )
    brought(small, file)
    entry = load_entry(small.patches, "bigtop/one")
    assert (entry.facts.upstream.state, entry.facts.upstream.url, entry.facts.upstream.commit) == (
        state,
        url,
        commit,
    )
    told = read_mail(entry.diffs[0].data, source="default.patch").trailers
    assert [value for name, value in told if name == "Bug"] == [f"https://bugs.example.org/{n}" for n in "12"]
    if url:
        assert ("Forwarded", url) in told


def test_a_commit_that_a_clone_lacks_is_named_and_the_others_come(
    small: Project, clone: Path, tmp_path: Path
) -> None:
    shallow = tmp_path / "partial.git"
    git(clone, "config", "uploadpack.allowFilter", "true")
    run(["git", "clone", "--quiet", "--bare", "--filter=blob:none", f"file://{clone}", shallow], env=ADA)
    git(shallow, "remote", "remove", "origin")
    second = git(clone, "rev-parse", "HEAD:settings.gradle").text
    for path in ("build.gradle", "settings.gradle"):
        for revision in ("rel/1.0.0", "HEAD"):
            blob = git(clone, "cat-file", "blob", f"{revision}:{path}").stdout
            if git(clone, "rev-parse", f"{revision}:{path}").text != second:
                run(["git", "-C", shallow, "hash-object", "-w", "--stdin"], stdin=blob, env=ADA)
    read = read_commits(shallow, "rel/1.0.0..HEAD", "bigtop")
    done = bring(read, given=Given(), releases=("1.0.0",), keep_going=True, project=small)
    assert [one.id for one in done.patches] == NAMES[:1]
    head = git(clone, "rev-parse", "HEAD").text
    assert f"{shallow} {head[:12]}: git cannot read it" in done.faults[0].reason
    assert "shallow or partial" in done.faults[0].hint


def test_a_commit_of_no_known_time_zone_comes_in(clone: Path) -> None:
    (clone / "README").write_text("later\n")
    commit_all(clone, "Say later", {**ADA, "GIT_AUTHOR_DATE": "@1700000000 +5147"})
    read = read_commits(clone, "HEAD", "bigtop")
    assert [one.mail.date.timestamp() for one in read if isinstance(one, Incoming)] == [1700000000]


def test_a_recipe_of_another_project_is_not_changed(small: Project, folder: Path, tmp_path: Path) -> None:
    other = small_project(tmp_path / "other").recipes / "1.0.0.toml"
    with pytest.raises(InputError, match=r"lies outside the project .*/small"):
        bring(read_source(folder, "bigtop"), given=Given(), releases=(str(other),), project=small)
    assert known(small.patches) == []
    roundabout = f"{small.recipes}/../recipes/1.0.0.toml"
    bring(read_source(folder, "bigtop"), given=Given(), releases=(roundabout,), project=small)
    assert load_recipe("1.0.0", small.recipes)[0].patches == tuple(NAMES)


def test_what_is_no_patch_is_refused(small: Project, clone: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "prose.patch").write_text("No diff at all.\n")
    assert "holds no .patch" in refused(small, tmp_path / "empty").brief
    assert "does not exist" in refused(small, tmp_path / "absent").brief
    assert refused(small, tmp_path / "prose.patch").brief.startswith(f"{tmp_path}/prose.patch:")
    with pytest.raises(InputError, match="does not say what its patches are to"):
        list(read_source(tmp_path / "prose.patch", ""))
    with pytest.raises(InputError, match=r"'nowhere\.\.HEAD' cannot be read"):
        list(read_commits(clone, "nowhere..HEAD", "bigtop"))
    with pytest.raises(InputError, match="is no git repository"):
        list(read_commits(tmp_path / "empty", "HEAD", "bigtop"))


def test_a_target_that_a_recipe_does_not_build_is_refused(small: Project, folder: Path) -> None:
    with pytest.raises(InputError, match=r"1\.0\.0\.toml builds no 'oozie'"):
        brought(small, folder, "oozie")
    assert known(small.patches) == []


def test_merges_are_named(small: Project, clone: Path) -> None:
    git(clone, "checkout", "--quiet", "-b", "side", "HEAD~1")
    (clone / "README").write_text("more\n")
    commit_all(clone, "Aside")
    git(clone, "merge", "--quiet", "--no-edit", "HEAD@{1}", "rel/1.0.0")
    git(clone, "merge", "--quiet", "--no-edit", "--no-ff", git(clone, "rev-parse", "HEAD@{2}").text)
    head = git(clone, "rev-parse", "HEAD").text
    with pytest.raises(InputError) as refusal:
        bring(read_commits(clone, "HEAD", "bigtop"), given=Given(), project=small)
    assert refusal.value.brief == f"{clone} {head[:12]}: it is a merge"
    assert refusal.value.hint == "name its commits one by one"


def test_names_are_made_of_tickets_and_words() -> None:
    assert (
        name_of("HADOOP-18583. Fix loading of OpenSSL 3.x (#5256)")
        == "HADOOP-18583-fix-loading-of-openssl-3.x-5256"
    )
    assert name_of("[SPARK-1][CORE] Ünicode") == "SPARK-1-core-unicode"
    assert name_of("Gr\u00f6\u00dfe, caf\u00e9") == "grosse-cafe"
    assert name_of("!!!") == ""
    assert name_of_file("0001-fix-it.patch") == "fix-it"
    assert name_of_file("patch12-fix-it.diff") == "fix-it"
    assert name_of_file("HIVE-1.2.patch.txt") == "HIVE-1.2.patch"


KILLED = """
import os, signal, sys
from pathlib import Path
from bigtop_builder.upkeep import change
from bigtop_builder.workspace import Project
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job starts with it ignored
project = Project(Path(sys.argv[1]))
at, done = int(sys.argv[2]), 0
def hook(event, args):
    global done
    if event in ("os.rename", "os.remove", "os.mkdir", "shutil.copyfile"):
        done += 1
        if done == at:
            os.kill(os.getpid(), getattr(signal, sys.argv[3]))
sys.addaudithook(hook)
with change.changing(project) as one:
    one.write(project.patches / "bigtop/a/default.patch", "new\\n")
    one.write(project.patches / "bigtop/b/default.patch", "other\\n")
    one.remove(project.patches / "bigtop/gone")
    one.write(project.recipes / "1.0.0.toml", "changed\\n")
"""


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_a_change_that_is_killed_anywhere_is_whole_or_never_was(tmp_path: Path, name: str) -> None:
    seen = set()
    for at in range(1, 40):
        project = Project(tmp_path / f"{name}-{at}")
        for file, text in {
            "patches/bigtop/a/default.patch": "old\n",
            "patches/bigtop/gone/default.patch": "gone\n",
            "recipes/1.0.0.toml": "recipe\n",
        }.items():
            (project.root / file).parent.mkdir(parents=True, exist_ok=True)
            (project.root / file).write_text(text)
        ended = run([sys.executable, "-c", KILLED, project.root, str(at), name], check=False)
        if name == "SIGKILL":
            mend(project)
        state = {
            str(path.relative_to(project.root)): path.read_text()
            for path in project.root.rglob("*.*")
            if path.is_file()
        }
        assert not (project.patches / UNDO).exists()
        if state == {
            "patches/bigtop/a/default.patch": "new\n",
            "patches/bigtop/b/default.patch": "other\n",
            "recipes/1.0.0.toml": "changed\n",
        }:
            seen.add("after")
        else:
            assert state == {
                "patches/bigtop/a/default.patch": "old\n",
                "patches/bigtop/gone/default.patch": "gone\n",
                "recipes/1.0.0.toml": "recipe\n",
            }, at
            seen.add("before")
        if ended.returncode == 0:
            break
        if name == "SIGKILL":
            assert ended.returncode == -signal.SIGKILL
    assert seen == {"before", "after"}


def test_a_file_that_was_changed_after_the_kill_is_left_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    project = Project(tmp_path)
    for file in ("patches/bigtop/a/default.patch", "recipes/1.0.0.toml"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text("old\n")
    at = 0
    while (project.recipes / "1.0.0.toml").read_text() == "old\n":
        at += 1
        mend(project)
        run([sys.executable, "-c", KILLED, tmp_path, str(at), "SIGKILL"], check=False)
    assert (project.patches / UNDO).is_dir(), "killed before it was final"
    (project.recipes / "1.0.0.toml").write_text("changed\nby hand\n")
    mend(project)
    assert (project.recipes / "1.0.0.toml").read_text() == "changed\nby hand\n"
    assert (project.patches / "bigtop/a/default.patch").read_text() == "old\n"
    assert f"{project.recipes}/1.0.0.toml was changed since, and is left as it is" in caplog.text


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("release = '1'\n\n# roles\n[roles]\n", "release = '1'\npatches = ['a/b']\n\n# roles\n[roles]\n"),
        ('# r\n[bigtop]\nrelease = "2"\n', "patches = ['a/b']\n# r\n[bigtop]\nrelease = \"2\"\n"),
    ],
)
def test_a_recipe_without_a_list_gets_one_at_its_top(text: str, after: str) -> None:
    assert with_patches(text, ["a/b"]).replace('["a/b"]', "['a/b']") == after


def test_a_block_that_fails_changes_nothing(small: Project) -> None:
    before = (small.recipes / "1.0.0.toml").read_bytes()
    with suppress(ZeroDivisionError), changing(small) as change:
        change.write(small.recipes / "1.0.0.toml", "x")
        raise ZeroDivisionError
    assert (small.recipes / "1.0.0.toml").read_bytes() == before


def test_the_list_in_a_recipe_keeps_its_comments_and_layout() -> None:
    text = 'release = "1"\npatches = [\n    "a/b",  # why\n    "c/d",\n    # about e\n    "e/f",\n]\n[x]\n'
    assert with_patches(text, ["a/b", "c/d", "e/f"]) == text
    assert with_patches(text, ["a/b", "c/d", "e/f", "g/h"]) == text.replace(
        '    "e/f",\n', '    "e/f",\n    "g/h",\n'
    )
    assert with_patches(text, ["a/b", "e/f"]) == text.replace('    "c/d",\n', "")
    assert with_patches('release = "1"  # one\n\n# What\n[roles]\n', ["a/b"]) == (
        'release = "1"  # one\npatches = ["a/b"]\n\n# What\n[roles]\n'
    )


def test_patches_of_other_targets_keep_their_places() -> None:
    listed = ["a/1", "b/1", "a/2", "c/1"]
    assert in_order(listed, "a", ["a/2", "a/1", "a/3"]) == ["a/2", "b/1", "a/1", "a/3", "c/1"]
    assert in_order(listed, "d", ["d/1"]) == [*listed, "d/1"]
    assert in_order(listed, "a", ["a/2"]) == ["a/2", "b/1", "c/1"]
    assert inserted(["x", "z"], ["y", "w"], among=["w", "x", "y", "z"]) == ["w", "x", "y", "z"]


def test_a_commit_that_dpkg_source_cannot_take_is_refused(small: Project, clone: Path) -> None:
    (clone / "logo.png").write_bytes(b"\0\1\2")
    commit_all(clone, "Add a logo")
    with pytest.raises(InputError, match=r"logo\.png: its content is binary"):
        bring(read_commits(clone, "HEAD", "bigtop"), given=Given(), project=small)
