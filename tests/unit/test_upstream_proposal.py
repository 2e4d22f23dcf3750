# SPDX-License-Identifier: Apache-2.0
"""What is kept of a proposal, and which diff of a patch it is made of; sending is in tests/integration."""

from pathlib import Path

import pytest

from bigtop_builder.errors import InputError
from bigtop_builder.patches.finding import Finding
from bigtop_builder.patches.queue import load_entry
from bigtop_builder.upstreaming.ahead import Ahead, after
from bigtop_builder.upstreaming.candidate import Candidate, patch_for
from bigtop_builder.upstreaming.proposal import Kept, Proposal, Sent
from bigtop_builder.workspace import Project
from small_queue import small_project

PATCH_TOML = """kind = "tree"
title = "Say ten"
why = "It should."

[upstream]
state = "to-forward"
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Releases 1.0.0 and 2.0.0, and a patch with a diff for both and one from 2.0.0 on."""
    project = small_project(tmp_path)
    folder = project.patches / "bigtop/ten"
    folder.mkdir(parents=True)
    (folder / "patch.toml").write_text(PATCH_TOML)
    for name in ("default", "since-2.0.0"):
        (folder / f"{name}.patch").write_text(f"{name}\n")
    return project


def proposal(**more: object) -> Proposal:
    finding = Finding(file="a", line=1, rule="no-tabs", text="a tab", hint="none")
    made = {
        **dict.fromkeys(
            ("key", "repository", "base_commit", "commit", "branch", "ticket", "ticket_url"), "x"
        ),
        "patch": "bigtop/ten",
        "file": "default.patch",
        "base": "master",
        "title": "Say ten",
        "body": "So.\n",
        "merge": "button",
        "applied": "clean",
        "attachment": "proposed.patch",
        "findings": (finding,),
        **more,
    }
    return Proposal.model_validate(made)


def chosen(project: Project, release: str = "") -> str:
    return patch_for(load_entry(project.patches, "bigtop/ten"), release, project).path.name


def test_the_diff_is_that_of_the_newest_release_that_lists_the_patch_unless_one_is_named(
    project: Project,
) -> None:
    assert chosen(project) == "since-2.0.0.patch"
    assert chosen(project, "1.0.0") == "default.patch"
    recipe = project.recipes / "1.0.0.toml"
    recipe.write_text(recipe.read_text().replace("\n# What", '\npatches = ["bigtop/ten"]\n# What', 1))
    assert chosen(project) == "default.patch"
    for file in project.recipes.glob("*.toml"):
        file.unlink()
    assert chosen(project) == "default.patch"
    (project.patches / "bigtop/ten/default.patch").unlink()
    with pytest.raises(InputError, match=r"has no diff for 1\.0\.0"):
        chosen(project, "1.0.0")


def test_a_diff_for_upstreams_branch_alone_is_kept_for_what_comes_after_all_recipes(project: Project) -> None:
    def ahead(*releases: str) -> Ahead:
        return Ahead.of(load_entry(project.patches, "bigtop/ten"), releases)

    folder = project.patches / "bigtop/ten"
    found = ahead("1.0.0", "1.5.0")
    assert (found.release, found.path, found.is_there) == ("2.0.0", folder / "since-2.0.0.patch", True)
    found = ahead("1.0.0", "2.0.0")
    assert (found.release, found.path, found.is_there) == ("2.1.0", folder / "since-2.1.0.patch", False)
    assert found.in_the_way == "since-2.0.0.patch"
    assert [after(one) for one in ("3.5.1", "3.6.0-RC0", "3", "")] == ["3.6.0", "3.6.0", "3.1.0", "0.1.0"]


def test_all_facts_that_are_missing_are_told_in_one_run(project: Project) -> None:
    folder = project.patches / "bigtop/ten"
    mail = "From: Ann <ann@example.org>\nSubject: [PATCH] Say ten\n\nIt says so.\n---\n"
    (folder / "since-2.0.0.patch").write_text(f"{mail}--- a/README\n+++ b/README\n@@ -1 +1 @@\n-a\n+b\n")
    with pytest.raises(InputError) as refused:
        Candidate.of("bigtop/ten", "", project)
    assert refused.value.brief == (
        "bigtop/ten: the patch has no ticket, and apache/bigtop takes none without one; ai_disclosure, tested are "
        "empty, and apache/bigtop asks for that"
    )
    assert "ticket = 'BIGTOP-N'" in refused.value.hint
    assert "tested: how it was tested" in refused.value.hint


def test_what_is_kept_is_read_again_and_is_of_one_proposal(project: Project) -> None:
    kept = Kept.of(project, "bigtop/ten")
    assert kept.proposal() is None
    assert kept.sent() == Sent()
    first = proposal(steps=("Log in.", "Attach it."))
    kept.keep(first, b"mail")
    assert kept.proposal() == first
    assert (kept.folder / "steps.md").read_text() == "1. Log in.\n2. Attach it.\n"
    assert (kept.folder / "proposed.patch").read_bytes() == b"mail"
    assert [one.rule for one in first.errors] == ["no-tabs"]
    kept.put(Sent(heads=("a",), title="Say ten"))
    kept.keep(proposal(body="", merge="ticket-attachment"), b"other")
    assert {file.name for file in kept.folder.iterdir()} == {"proposal.json", "proposed.patch", "sent.json"}
    assert kept.sent().heads == ("a",)


def test_a_damaged_file_is_named(project: Project) -> None:
    kept = Kept.of(project, "bigtop/ten")
    kept.keep(proposal(), b"mail")
    (kept.folder / "proposal.json").write_text("{")
    with pytest.raises(InputError, match=r"build/upstream/bigtop/ten/proposal.json is not a valid Proposal"):
        kept.proposal()
