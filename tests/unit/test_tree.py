# SPDX-License-Identifier: Apache-2.0
"""The tree: the same id everywhere, patches with exact context or not at all, and nothing that no build reads."""

import tarfile
import tempfile
from pathlib import Path

import pytest

from bigtop_builder.errors import BuilderError, TreeError
from bigtop_builder.run import run
from bigtop_builder.settings import Settings
from bigtop_builder.survey import survey
from bigtop_builder.tree import Tree
from bigtop_builder.workspace import Project
from local_patches import diff_of, list_patches, write_patch

CHANGELOG = "changelog.gradle"
COMMON = "bigtop-packages/src/common"


def make(project: Project, settings: Settings) -> Tree:
    return survey("1.0.0", project=project, settings=settings).tree


def edit(project: Project, old: str, new: str) -> None:
    path = project.recipes / "1.0.0.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def upstream(project: Project, path: str) -> str:
    """A file as Bigtop has it."""
    return run(["git", f"--git-dir={project.root / 'bigtop.git'}", "show", f"rel/1.0.0:{path}"]).text + "\n"


def refuse(project: Project, settings: Settings, patch_id: str, diff: str) -> BuilderError:
    """Add a patch that must not apply, and return what is said of it."""
    write_patch(project, patch_id, diff)
    list_patches(project, patch_id)
    with pytest.raises(TreeError) as refusal:
        make(project, settings)
    assert refusal.value.exit_code == 4
    return refusal.value


def test_two_caches_make_the_same_tree(project: Project, settings: Settings, tmp_path: Path) -> None:
    elsewhere = settings.model_copy(update={"cache_dir": tmp_path / "elsewhere"})
    assert make(project, settings) == make(project, elsewhere)


def test_tree_patches_are_in_the_tree(project: Project, settings: Settings) -> None:
    tree = make(project, settings)
    assert b"SOURCE_DATE_EPOCH" in (tree.read(CHANGELOG) or b"")
    assert b"SOURCE_DATE_EPOCH" not in upstream(project, CHANGELOG).encode()


def test_excluded_paths_are_not_in_the_tree(project: Project, settings: Settings) -> None:
    assert make(project, settings).read("LICENSE") is not None
    edit(project, "[bigtop]\n", '[bigtop]\nexclude = ["LICENSE", "gradle"]\n')
    tree = make(project, settings)
    assert tree.ids("LICENSE", "gradle") == {}
    assert tree.read("gradlew") is not None


def test_packaging_of_components_that_are_not_built_is_left_out(project: Project, settings: Settings) -> None:
    text = (project.recipes / "1.0.0.toml").read_text()
    start = text.index('[[components]]\nname = "herald"')
    (project.recipes / "1.0.0.toml").write_text(text[:start].replace('worker = ["herald-server"]', ""))
    list_patches(project)
    tree = make(project, settings)
    assert tree.ids(f"{COMMON}/herald", "bigtop-packages/src/deb/herald") == {}
    assert len(tree.ids(f"{COMMON}/salute", "bigtop-packages/src/deb/salute")) == 2


def test_lines_that_moved_do_not_hinder_a_patch(project: Project, settings: Settings) -> None:
    text = upstream(project, CHANGELOG)
    moved = "// one\n// two\n// three\n" + text
    diff = diff_of(CHANGELOG, moved, moved.replace("def built = new Date()", "def built = new Date(0)"))
    write_patch(project, "bigtop/offset", diff)
    list_patches(project, "bigtop/offset")
    assert b"new Date(0)" in (make(project, settings).read(CHANGELOG) or b"")


def test_a_patch_whose_context_differs_names_patch_file_hunk_and_what_is_there(
    project: Project, settings: Settings
) -> None:
    text = upstream(project, CHANGELOG)
    other = text.replace("form.timeZone = TimeZone.getTimeZone('UTC')", "form.timeZone = local")
    diff = diff_of(CHANGELOG, other, other.replace("new Date()", "new Date(0)"))
    refusal = refuse(project, settings, "bigtop/fuzz", diff)
    assert refusal.brief == "patch bigtop/fuzz does not apply: changelog.gradle, hunk 1"
    wanted, there = refusal.details.split("there is instead:")
    assert "form.timeZone = local" in wanted
    assert "form.timeZone = TimeZone.getTimeZone('UTC')" in there
    assert str(project.patches / "bigtop/fuzz/default.patch") in refusal.hint


def test_the_hunk_that_fails_is_counted_in_its_file(project: Project, settings: Settings) -> None:
    text = upstream(project, "bigtop.bom")
    other = text.replace("relNotes = 'Herald, a server of greetings'", "relNotes = 'Herald'")
    changed = other.replace('version = "1.0.0"', 'version = "1.0.9"').replace(
        "base = '0.9.0'", "base = '0.9.9'"
    )
    refusal = refuse(project, settings, "bigtop/second-hunk", diff_of("bigtop.bom", other, changed))
    assert refusal.brief == "patch bigtop/second-hunk does not apply: bigtop.bom, hunk 2"
    assert "Herald, a server of greetings" in refusal.details


def test_a_patch_to_a_file_that_is_not_there_names_the_file(project: Project, settings: Settings) -> None:
    refusal = refuse(project, settings, "bigtop/absent", diff_of("absent.gradle", "one\n", "two\n"))
    assert refusal.brief == "patch bigtop/absent does not apply: absent.gradle"


def test_a_patch_that_is_in_the_tree_already_does_not_apply(project: Project, settings: Settings) -> None:
    text = upstream(project, CHANGELOG)
    before = text.replace("new Date()", "new Date(1)")
    refusal = refuse(project, settings, "bigtop/already", diff_of(CHANGELOG, before, text))
    assert "hunk 1" in refusal.brief
    assert "new Date(1)" in refusal.details


def test_a_file_that_is_no_patch_is_refused(project: Project, settings: Settings) -> None:
    refused = refuse(project, settings, "bigtop/prose", "No diff.\n")
    file = project.patches / "bigtop/prose/default.patch"
    assert refused.brief == f"patch bigtop/prose does not apply: {file}:1: there is no diff in it"
    assert "git format-patch" in refused.hint


def test_a_patch_that_fails_halfway_leaves_nothing_for_the_next_tree(
    project: Project, settings: Settings
) -> None:
    list_patches(project)
    before = make(project, settings)
    whole = diff_of("first.gradle", "", "applies\n")
    refuse(project, settings, "bigtop/torn", whole + diff_of("absent.gradle", "one\n", "two\n"))
    list_patches(project)
    assert make(project, settings) == before
    assert before.read("first.gradle") is None


def test_component_patches_come_last_and_in_the_recipes_order(project: Project, settings: Settings) -> None:
    write_patch(project, "salute/zebra", "the first\n")
    write_patch(project, "herald/other", "another component's\n")
    write_patch(project, "salute/aardvark", "the second\n")
    list_patches(project, "salute/zebra", "herald/other", "salute/aardvark")
    tree = make(project, settings)
    assert tree.read(f"{COMMON}/salute/patch900-zebra.diff") == b"the first\n"
    assert tree.read(f"{COMMON}/salute/patch901-aardvark.diff") == b"the second\n"
    assert tree.read(f"{COMMON}/herald/patch900-other.diff") == b"another component's\n"


def test_a_component_has_at_most_a_hundred_local_patches(project: Project, settings: Settings) -> None:
    ids = [f"salute/p{number}" for number in range(101)]
    for patch_id in ids:
        write_patch(project, patch_id, "")
    list_patches(project, *ids)
    with pytest.raises(TreeError, match="component salute has more than 100 local patches"):
        make(project, settings)


def test_upstreams_component_patches_can_be_left_out(project: Project, settings: Settings) -> None:
    upstreams = f"{COMMON}/salute/patch3-old.diff"
    write_patch(project, "bigtop/as-upstream", diff_of(upstreams, "", "upstream's\n"))
    list_patches(project, "bigtop/as-upstream")
    assert make(project, settings).read(upstreams) == b"upstream's\n"
    edit(project, 'name = "salute"\n', 'name = "salute"\nomit_patches = ["patch3-old.diff"]\n')
    assert make(project, settings).read(upstreams) is None


def test_leaving_out_a_patch_that_is_not_there_is_refused(project: Project, settings: Settings) -> None:
    edit(project, 'name = "salute"\n', 'name = "salute"\nomit_patches = ["patch7-gone.diff"]\n')
    with pytest.raises(TreeError, match=r"salute has no upstream patch 'patch7-gone\.diff' to leave out"):
        make(project, settings)


def test_a_commit_that_is_not_in_the_repository_is_refused(project: Project, settings: Settings) -> None:
    edit(project, 'commit = "86adb7bb', 'commit = "00000000')
    with pytest.raises(TreeError, match=r"commit 00000000\w{32} is not in .*bigtop\.git"):
        make(project, settings)


def test_a_component_that_the_bill_of_materials_lacks_is_refused(
    project: Project, settings: Settings
) -> None:
    edit(
        project,
        '[[components]]\nname = "salute"',
        '[[components]]\nname = "trumpet"\n\n[[components]]\nname = "salute"',
    )
    with pytest.raises(TreeError, match="has no component 'trumpet'") as refusal:
        make(project, settings)
    assert "salute" in refusal.value.hint


def test_a_version_of_the_recipe_stands_in_for_the_boms(project: Project, settings: Settings) -> None:
    edit(project, 'name = "salute"\n', 'name = "salute"\nversion = "1.0.7"\n')
    tree = make(project, settings)
    assert tree.bom.components["salute"].base_version == "1.0.7"
    assert tree.bom.components["herald"].base_version == "0.9.0"


def test_members_of_the_archive_bear_the_commits_time(project: Project, settings: Settings) -> None:
    tree = make(project, settings)
    with tree.archive() as stream, tarfile.open(fileobj=stream) as tar:
        members = {member.name: member for member in tar}
    assert {member.mtime for member in members.values()} == {tree.epoch}
    assert members["gradlew"].mode & 0o111
    assert f"{COMMON}/salute/patch900-miniature-blank-name.diff" in members


def test_the_archive_is_the_same_byte_for_byte(project: Project, settings: Settings, tmp_path: Path) -> None:
    elsewhere = settings.model_copy(update={"cache_dir": tmp_path / "elsewhere"})
    with make(project, settings).archive() as one, make(project, elsewhere).archive() as other:
        assert one.read() == other.read()


def test_the_archive_takes_no_room_where_temporary_files_lie(
    project: Project, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = make(project, settings)
    monkeypatch.setattr(tempfile, "tempdir", str(project.root / "not there"))
    with tree.archive() as stream:
        assert stream.read()


def test_the_mirror_is_not_written_to(project: Project, settings: Settings) -> None:
    mirror = project.root / "bigtop.git"
    before = sorted(mirror.rglob("*"))
    with make(project, settings).archive():
        assert sorted(mirror.rglob("*")) == before


def test_a_components_packages_are_those_of_its_control_file(project: Project, settings: Settings) -> None:
    tree = make(project, settings)
    assert "herald-server" in tree.packages_of("herald")
    assert tree.packages_of("nothing") == ()
