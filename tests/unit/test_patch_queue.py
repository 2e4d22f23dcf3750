# SPDX-License-Identifier: Apache-2.0
"""The queue is read strictly: each patch is there, is of one kind, and belongs to something that is built."""

import pytest

from bigtop_builder.errors import InputError
from bigtop_builder.patches.facts import with_facts
from bigtop_builder.patches.queue import Patch, known, load_entry, load_patches, release_order
from bigtop_builder.recipe import load_recipe
from bigtop_builder.workspace import Project
from local_patches import list_patches, write_patch


def load(project: Project) -> tuple[Patch, ...]:
    return load_patches(project.patches, load_recipe("1.0.0", project.recipes)[0])


def test_patches_come_in_the_recipes_order(project: Project) -> None:
    listed = ("herald/miniature-loopback-address", "bigtop/miniature-changelog-date")
    list_patches(project, *listed)
    loaded = load(project)
    assert tuple(patch.id for patch in loaded) == listed
    assert [(patch.target, patch.name, patch.facts.kind) for patch in loaded] == [
        ("herald", "miniature-loopback-address", "component"),
        ("bigtop", "miniature-changelog-date", "tree"),
    ]


def test_every_committed_patch_can_be_read(origin: Project) -> None:
    loaded = [load_entry(origin.patches, patch_id) for patch_id in known(origin.patches)]
    assert loaded
    assert all(patch.facts.why and patch.diffs for patch in loaded)


def test_an_unknown_patch_is_refused_with_those_there_are(project: Project) -> None:
    list_patches(project, "salute/absent")
    with pytest.raises(InputError, match=r"patch 'salute/absent' has no .*patch\.toml") as refusal:
        load(project)
    assert refusal.value.hint.endswith(
        "bigtop/miniature-changelog-date, herald/miniature-loopback-address, salute/miniature-blank-name"
    )


def test_facts_without_a_diff_are_refused(project: Project) -> None:
    write_patch(project, "salute/empty", "").unlink()
    with pytest.raises(InputError, match=r"patch 'salute/empty' has no .*default\.patch"):
        load_entry(project.patches, "salute/empty")


@pytest.mark.parametrize(("patch_id", "kind"), [("salute/x", "tree"), ("bigtop/x", "component")])
def test_a_kind_that_does_not_fit_the_target_is_refused(project: Project, patch_id: str, kind: str) -> None:
    write_patch(project, patch_id, "a diff\n", kind=kind)
    with pytest.raises(InputError, match=f"kind '{kind}' does not fit the target of '{patch_id}'") as refusal:
        load_entry(project.patches, patch_id)
    assert str(project.patches / patch_id / "patch.toml") in refusal.value.brief


def test_an_unknown_kind_is_refused_with_file_line_and_key(project: Project) -> None:
    file = write_patch(project, "salute/x", "a diff\n", kind="both").with_name("patch.toml")
    with pytest.raises(InputError) as refusal:
        load_entry(project.patches, "salute/x")
    assert f"{file}:1: kind: " in refusal.value.details


def test_a_patch_to_a_component_that_is_not_built_is_refused(project: Project) -> None:
    write_patch(project, "trumpet/louder", "a diff\n")
    list_patches(project, "trumpet/louder")
    with pytest.raises(
        InputError, match=r"'trumpet/louder' is to a component that recipe 1\.0\.0 does not"
    ) as refusal:
        load(project)
    assert refusal.value.hint == "it builds bigtop-jsvc, bigtop-utils, herald, salute"


def test_a_patch_listed_twice_is_refused(project: Project) -> None:
    list_patches(project, "salute/miniature-blank-name", "salute/miniature-blank-name")
    with pytest.raises(InputError) as refusal:
        load(project)
    assert "patch 'salute/miniature-blank-name' is listed twice" in refusal.value.details


@pytest.mark.parametrize("patch_id", ["../etc/passwd", "salute/../x", "/salute/x", "salute"])
def test_a_patch_id_that_leads_out_of_the_queue_is_refused(project: Project, patch_id: str) -> None:
    list_patches(project, patch_id)
    with pytest.raises(InputError) as refusal:
        load(project)
    assert "patches[0]" in refusal.value.details


def test_each_release_gets_the_diff_of_its_range_else_the_default(project: Project) -> None:
    folder = write_patch(project, "salute/x", "default\n").parent
    for name in ("until-3.1.1", "3.2.0..3.2.1", "3.3.0", "since-3.6.0-RC1"):
        (folder / f"{name}.patch").write_text(name)
    entry = load_entry(project.patches, "salute/x")
    releases = ("1.5.0", "3.1.1", "3.2.1", "3.3.0", "3.5.0", "3.6.0-RC0", "3.6.0-RC2", "3.6.0", "3.10.0")
    assert [entry.at(release).path.stem for release in releases] == [
        "until-3.1.1",
        "until-3.1.1",
        "3.2.0..3.2.1",
        "3.3.0",
        "default",
        "default",
        "since-3.6.0-RC1",
        "since-3.6.0-RC1",
        "since-3.6.0-RC1",
    ]


def test_a_release_without_a_diff_is_told_which_file_to_write(project: Project) -> None:
    folder = write_patch(project, "salute/x", "default\n").parent
    (folder / "default.patch").rename(folder / "3.3.0.patch")
    with pytest.raises(InputError, match=r"has no diff for 3\.5\.0: .* has 3\.3\.0\.patch") as refusal:
        load_entry(project.patches, "salute/x").at("3.5.0")
    assert str(folder / "3.5.0.patch") in refusal.value.hint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3.3.0", "until-3.3.0"),
        ("3.1.0..3.3.0", "3.2.0..3.5.0"),
        ("since-3.3.0", "3.5.0"),
        ("until-3.2.0", "since-3.1.0"),
    ],
)
def test_two_diffs_for_one_release_are_refused(project: Project, one: str, other: str) -> None:
    folder = write_patch(project, "salute/x", "default\n").parent
    for name in (one, other):
        (folder / f"{name}.patch").write_text(name)
    with pytest.raises(InputError, match="are both for some release") as refusal:
        load_entry(project.patches, "salute/x")
    assert all(f"{name}.patch" in refusal.value.brief for name in (one, other))


@pytest.mark.parametrize("name", ["new", "3.5.0..3.3.0", "since-", "v3.3.0"])
def test_a_file_that_names_no_range_is_refused(project: Project, name: str) -> None:
    folder = write_patch(project, "salute/x", "default\n").parent
    (folder / f"{name}.patch").write_text(name)
    with pytest.raises(InputError) as refusal:
        load_entry(project.patches, "salute/x")
    assert f"{name}.patch" in refusal.value.brief
    assert refusal.value.hint


def test_releases_are_ordered_as_bigtop_made_them() -> None:
    wanted = ["1.5.0", "3.0.0", "3.0.1", "3.2.0", "3.6.0-RC0", "3.6.0-RC2", "3.6.0-RC10", "3.6.0", "3.10.0"]
    assert sorted({*wanted}, key=release_order) == wanted


def test_a_fact_of_upstream_changes_alone_and_comments_stay() -> None:
    text = """# ours
kind = "tree"
title = "A"
why = "B"

[upstream]
state = "to-forward" # soon
why = "C"
"""
    changes = {"upstream": {"state": "merged", "commit": "1" * 40}}
    told = with_facts(text, changes)
    assert told == text.replace('"to-forward" #', '"merged" #') + f'commit = "{"1" * 40}"\n'
    assert with_facts(told, changes) == told
