# SPDX-License-Identifier: Apache-2.0
"""The queue is read strictly: each patch is there, is of one kind, and belongs to something that is built."""

import pytest
from local_patches import list_patches, write_patch

from bigtop_builder.errors import InputError
from bigtop_builder.patches.queue import Patch, known, load_patch, load_patches
from bigtop_builder.recipe import load_recipe
from bigtop_builder.workspace import Project


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
    loaded = [load_patch(origin.patches, patch_id) for patch_id in known(origin.patches)]
    assert loaded
    assert all(patch.facts.why and patch.path.is_file() for patch in loaded)


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
        load_patch(project.patches, "salute/empty")


@pytest.mark.parametrize(("patch_id", "kind"), [("salute/x", "tree"), ("bigtop/x", "component")])
def test_a_kind_that_does_not_fit_the_target_is_refused(project: Project, patch_id: str, kind: str) -> None:
    write_patch(project, patch_id, "a diff\n", kind=kind)
    with pytest.raises(InputError, match=f"kind '{kind}' does not fit the target of '{patch_id}'") as refusal:
        load_patch(project.patches, patch_id)
    assert str(project.patches / patch_id / "patch.toml") in refusal.value.brief


def test_an_unknown_kind_is_refused_with_file_line_and_key(project: Project) -> None:
    file = write_patch(project, "salute/x", "a diff\n", kind="both").with_name("patch.toml")
    with pytest.raises(InputError) as refusal:
        load_patch(project.patches, "salute/x")
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
