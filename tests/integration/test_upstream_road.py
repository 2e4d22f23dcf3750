# SPDX-License-Identifier: Apache-2.0
"""The whole road of patches upstream as a maintainer types it: from a bug to a release that needs no patch."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from maintainers_desk import Desk

from github import serving
from github.jira import serving_jira

pytestmark = pytest.mark.network  # GitHub's description of its API is fetched
TEMPLATE = """### Description of PR

### How was this patch tested?

### For code changes:
- [ ] Does the title or this PR starts with the corresponding JIRA issue id (e.g. 'X-3499')?
"""
BOM = """bigtop {
  version = "1.0.0"
  apache { MIRROR = "https://mirror.example" }
  components {
    'hadoop' {
      name = 'hadoop'
      version { base = '3.3.6'; pkg = base }
      tarball { source = "$name-${version.base}-src.tar.gz"; destination = source }
      url { site = "${apache.MIRROR}/$name" }
    }
  }
}
"""
SCRIPT = "bigtop-packages/src/common/hadoop/namenode.svc"
KEEP, TEST = "src/main/java/Keep.java", "src/test/java/TestKeep.java"
WAIT, PORT, KEPT = PATCHES = ("bigtop/wait-longer", "bigtop/other-port", "hadoop/keep-it")


def script(wait: int = 30, port: int = 8020) -> str:
    """What starts a service, with two things that somebody may want otherwise."""
    lines = [f"# step {number}\n" for number in range(1, 31)]
    lines[5], lines[20] = f"WAIT={wait}\n", f"PORT={port}\n"
    return "".join(lines)


def java(name: str, kept: int) -> str:
    """A class that keeps so many."""
    lines = [f"  int n{number} = {number};\n" for number in range(1, 31)]
    lines[19] = f"  int kept = {kept};\n"
    return "".join([f"class {name} {{\n", *lines, "}\n"])


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Bigtop 1.0.0 and Hadoop 3.3.6 are out, and Ann has a recipe for them."""
    with serving(tmp_path / "github") as site, serving_jira() as jira:
        site.create("apache/bigtop", branch="master")
        site.create("apache/hadoop", branch="trunk")
        desk = Desk(tmp_path / "home", site, jira)
        asks = {".github/pull_request_template.md": TEMPLATE}
        packaging = {
            "bigtop.bom": BOM,
            "packages.gradle": "def patches = debian.list({ d, f -> f ==~ /patch.*diff/ }).sort()\nsave('series')\n",
            "bigtop-packages/src/deb/hadoop/control": "Source: hadoop\n",
            SCRIPT: script(),
        }
        desk.bigtop.commit("master", {**asks, **packaging}, "BIGTOP-1. Begin\n")
        desk.hadoop.commit("trunk", {**asks, KEEP: java("Keep", 0)}, "HADOOP-1. Begin\n")
        desk.bigtop.tag("rel/1.0.0")
        desk.hadoop.tag("rel/release-3.3.6")
        desk.writes_recipe("1.0.0")
        desk.types("source fetch 1.0.0 -c hadoop --pin")
        yield desk


def test_patches_go_upstream_and_leave_the_queue_with_the_release_that_has_them(desk: Desk) -> None:
    ann_makes_three_patches(desk)
    she_sees_what_upstream_would_get(desk)
    a_dry_run_sends_nothing(desk)
    she_sends_them(desk)
    carol_asks_for_changes_and_ann_reads_that(desk)
    ann_changes_both_patches(desk)
    she_sends_them_again_to_the_same_pull_requests(desk)
    carol_approves_and_closes_the_third_one(desk)
    carol_squashes_them_onto_branches_that_went_on(desk)
    upstream_releases_them(desk)
    ann_begins_with_the_next_release_and_is_told_what_it_has(desk)
    she_drops_what_it_has(desk)
    the_next_release_is_planned_with_the_third_patch_alone(desk)
    and_that_stays_closed(desk)


def ann_makes_three_patches(desk: Desk) -> None:
    makes(desk, WAIT, "BIGTOP-4032", "Wait longer", {SCRIPT: script(wait=90)})
    makes(desk, PORT, "BIGTOP-4033", "Take another port", {SCRIPT: script(port=8021)})
    makes(desk, KEPT, "HDFS-7", "Keep it", {KEEP: java("Keep", 1), TEST: java("TestKeep", 1)})
    assert desk.lists("1.0.0") == PATCHES
    assert "nothing is wrong with 3 patches" in desk.types("patch lint")
    assert desk.states("1.0.0") == dict.fromkeys(PATCHES, "clean")
    assert desk.standings() == dict.fromkeys(PATCHES, "to forward")


def makes(desk: Desk, patch_id: str, ticket: str, title: str, files: dict[str, str]) -> None:
    upstream, tag = (desk.bigtop, "rel/1.0.0") if "bigtop" in patch_id else (desk.hadoop, "rel/release-3.3.6")
    clone = desk.clones(upstream, tag, files)
    facts = ("--why", "Services fail without it.", "--drop-when", "a release has it")
    forms = ("--tested", "On Debian 12.", "--ai", "No", "--message", "It was too little.")
    words = (f"patch new {patch_id} --release 1.0.0 --ticket {ticket} --from", clone, "--title", title)
    said = desk.types(*words, *facts, *forms)
    assert f"new       {patch_id}" in said
    assert "missing" not in said, "nothing is left to be filled in"
    assert "not tried" not in said
    desk.jira.issue(ticket)


def she_sees_what_upstream_would_get(desk: Desk) -> None:
    for one in desk.asks("upstream prepare", *PATCHES):
        assert one["findings"] == []
        assert "It was too little.\n\nServices fail without it." in one["body"]
        assert "### How was this patch tested?\n\nOn Debian 12." in one["body"]
        assert "- [x] Does the title" in one["body"]
    titles = {one["patch"]: (one["title"], one["base"]) for one in desk.asks("upstream prepare", WAIT, KEPT)}
    assert titles == {
        WAIT: ("BIGTOP-4032. Wait longer", "master"),
        KEPT: ("HDFS-7. Keep it", "trunk"),
    }


def a_dry_run_sends_nothing(desk: Desk) -> None:
    said = desk.types("upstream submit", WAIT, KEPT)
    assert f"{KEPT}: not sent yet\n  to do; --yes does it:\n  1. fork apache/hadoop for ann\n" in said
    assert said.count("fork apache/hadoop for ann") == 1, "it is said once"
    assert "open a pull request of ann:HDFS-7-keep-it to apache/hadoop, trunk: HDFS-7. Keep it" in said
    assert desk.sent() == []
    assert desk.site.find("ann/hadoop") is None
    assert desk.says(KEPT).state == "to-forward"


def she_sends_them(desk: Desk) -> None:
    desk.types("upstream submit --yes", *PATCHES)
    for patch_id, title, files in (
        (WAIT, "BIGTOP-4032. Wait longer", {SCRIPT: script(wait=90)}),
        (PORT, "BIGTOP-4033. Take another port", {SCRIPT: script(port=8021)}),
        (KEPT, "HDFS-7. Keep it", {KEEP: java("Keep", 1), TEST: java("TestKeep", 1)}),
    ):
        pull, said = desk.pull(patch_id), desk.says(patch_id)
        assert (said.state, said.branch, said.head) == ("pr-open", pull.label, pull.head_sha)
        assert (pull.title, pull.state, pull.author.login) == (title, "open", "ann")
        assert pull.commits() == [said.head]
        assert (
            pull.repo.show(said.head, "%an <%ae>%n%B")
            == f"Ann <ann@example.org>\n{title}\n\nIt was too little."
        )
        assert desk.changed(said.head, pull.repo) == files
    assert desk.standings() == dict.fromkeys(PATCHES, "PR open")
    lint = desk.types("patch lint")
    assert "error" not in lint, "what submit wrote is nothing that she has to mend"


def carol_asks_for_changes_and_ann_reads_that(desk: Desk) -> None:
    remark = (KEEP, 21, "Two would be better.")
    desk.hadoop.review(desk.pull(KEPT).number, "CHANGES_REQUESTED", "Nearly there.", [remark])
    desk.bigtop.review(desk.pull(WAIT).number, "CHANGES_REQUESTED", "Make it 120.")
    said = desk.types("upstream sync")
    assert f"{WAIT}  pr-open\n" in said
    assert "  carol: Make it 120.\n" in said
    assert f"  {KEEP}:21: carol: Two would be better.\n" in said
    assert "  ticket HDFS-7: Open\n" in said
    asked = "changes requested"
    assert desk.standings() == {WAIT: asked, KEPT: asked, PORT: "PR open"}


def ann_changes_both_patches(desk: Desk) -> None:
    for target, patch_id, files in (
        ("bigtop", WAIT, {SCRIPT: script(wait=120, port=8021)}),
        ("hadoop", KEPT, {KEEP: java("Keep", 2), TEST: java("TestKeep", 2)}),
    ):
        commits = desk.asks(f"patch edit 1.0.0 {target}")["patches"]
        desk.amends("1.0.0", target, next(one["commit"] for one in commits if one["id"] == patch_id), files)
        assert f"changed   {patch_id}  patches/{patch_id}/default.patch" in desk.types(
            f"patch export 1.0.0 {target}"
        )
    assert "error" not in desk.types("patch lint")
    assert desk.states("1.0.0") == dict.fromkeys(PATCHES, "clean")


def she_sends_them_again_to_the_same_pull_requests(desk: Desk) -> None:
    before = {patch_id: (desk.pull(patch_id).number, desk.says(patch_id).head) for patch_id in PATCHES}
    written = len(desk.sent())
    said = desk.types("upstream submit", WAIT, KEPT)
    assert f"to HDFS-7-keep-it of ann/hadoop in place of {before[KEPT][1][:12]}\n" in said
    assert len(desk.sent()) == written
    desk.types("upstream submit --yes", *PATCHES)
    for patch_id, files in (
        (WAIT, {SCRIPT: script(wait=120)}),
        (KEPT, {KEEP: java("Keep", 2), TEST: java("TestKeep", 2)}),
    ):
        pull, head = desk.pull(patch_id), desk.says(patch_id).head
        number, old = before[patch_id]
        assert (pull.number, pull.head_sha) == (number, head)
        assert head != old
        assert [event.commit for event in pull.events if event.kind == "head_ref_force_pushed"] == [head]
        assert desk.changed(head, pull.repo) == files
    assert desk.says(PORT).head == before[PORT][1], "what did not change is not pushed again"
    assert "nothing is left to do" in desk.types("upstream submit --yes", KEPT)


def carol_approves_and_closes_the_third_one(desk: Desk) -> None:
    for carol, patch_id in ((desk.bigtop, WAIT), (desk.hadoop, KEPT)):
        carol.review(desk.pull(patch_id).number, "APPROVED")
    desk.bigtop.comment(desk.pull(PORT).number, "8020 is what everyone knows.")
    desk.bigtop.close(desk.pull(PORT).number)
    desk.types("upstream sync")
    assert desk.standings() == {WAIT: "approved", KEPT: "approved", PORT: "closed"}
    assert desk.says(PORT).why == "closed by carol: 8020 is what everyone knows."


def carol_squashes_them_onto_branches_that_went_on(desk: Desk) -> None:
    desk.bigtop.commit("master", {SCRIPT: "#!/bin/sh\n" + script()}, "BIGTOP-2. Say what runs it\n")
    desk.hadoop.commit("trunk", {"README.txt": "Read it.\n"}, "HADOOP-2. Go on\n")
    for carol, patch_id in ((desk.bigtop, WAIT), (desk.hadoop, KEPT)):
        landed = carol.merge_button(desk.pull(patch_id).number)
        assert landed != desk.says(patch_id).head
        assert not carol.repo.contains(landed, desk.says(patch_id).head)
        desk.jira.issue(desk.facts(patch_id).ticket, status="Resolved", resolution="Fixed")
    rows = {row["id"]: row for row in desk.asks("upstream sync")["patches"]}
    for carol, patch_id in ((desk.bigtop, WAIT), (desk.hadoop, KEPT)):
        said, branch = desk.says(patch_id), carol.repo.default_branch
        assert (said.state, said.commit, said.since, said.review) == (
            "merged",
            carol.repo.tip(branch),
            "",
            "",
        )
        assert rows[patch_id]["was"] == "pr-open"
        assert rows[patch_id]["ticket"]["status"] == "Resolved"
    assert "merged    in no release yet" in desk.types("upstream status")
    refused = desk.types(f"patch drop {KEPT} 1.0.0", status=1)
    assert f"patch {KEPT} is clean on 1.0.0, not already upstream" in refused


def upstream_releases_them(desk: Desk) -> None:
    desk.bigtop.tag("rel/1.1.0-RC0")
    desk.bigtop.commit("master", {"CHANGES": "1.1.0\n"}, "BIGTOP-3. Release 1.1.0\n")
    desk.bigtop.tag("rel/1.1.0")
    desk.hadoop.tag("rel/release-3.3.7")
    desk.types("upstream sync")
    assert (desk.says(WAIT).since, desk.says(KEPT).since) == ("rel/1.1.0", "rel/release-3.3.7")
    assert desk.standings() == {WAIT: "merged", KEPT: "merged", PORT: "closed"}


def ann_begins_with_the_next_release_and_is_told_what_it_has(desk: Desk) -> None:
    desk.writes_recipe("1.1.0", *PATCHES)
    refused = desk.types("plan 1.1.0", status=4)
    assert f"patch {WAIT} does not apply" in refused
    assert f"if the release has it, bigtop-builder patch drop {WAIT} 1.1.0" in refused
    rows = {row["id"]: row for row in desk.asks("upstream status")["patches"]}
    assert {one: row["standing"] for one, row in rows.items()} == {
        WAIT: "can be dropped",
        KEPT: "can be dropped",
        PORT: "closed",
    }
    for patch_id in (WAIT, KEPT):
        assert rows[patch_id]["can_be_dropped"] == [{"release": "1.1.0", "by": "commit"}]
        assert rows[patch_id]["next"] == f"bigtop-builder patch status {patch_id} --release 1.1.0"


def she_drops_what_it_has(desk: Desk) -> None:
    she_follows_what_status_says(desk, WAIT)
    desk.types("source fetch 1.1.0 -c hadoop --pin")
    she_follows_what_status_says(desk, KEPT)
    assert desk.lists("1.1.0") == (PORT,)
    assert desk.lists("1.0.0") == PATCHES
    assert desk.standings() == {WAIT: "merged", KEPT: "merged", PORT: "closed"}


def she_follows_what_status_says(desk: Desk, patch_id: str) -> None:
    """Type the next command that `upstream status` names, until it names none."""
    typed = []
    while command := desk.next(patch_id):
        assert command not in typed, f"{command} leads nowhere"
        typed.append(command)
        said = desk.types(command.removeprefix("bigtop-builder "))
    assert typed[-1] == f"bigtop-builder patch drop {patch_id} 1.1.0"
    since = desk.says(patch_id).since
    assert f"{patch_id} went from 1.1.0\n  upstream commit {desk.says(patch_id).commit} (" in said
    assert f") is in 1.1.0, first in {since}\n  still listed by 1.0.0" in said


def the_next_release_is_planned_with_the_third_patch_alone(desk: Desk) -> None:
    plan = desk.types("plan 1.1.0 --bump")
    assert [line for line in plan.splitlines() if line.startswith("patch ")] == [
        f"patch {PORT}: Take another port"
    ]
    assert desk.states("1.1.0") == {WAIT: "already-upstream", KEPT: "already-upstream", PORT: "offset"}
    desk.types("patch status --verify")
    assert f"{PORT}  patches/{PORT}/1.1.0.patch" in desk.types("patch refresh 1.1.0 --apart")
    assert desk.states("1.1.0")[PORT] == "clean"
    assert desk.states("1.0.0") == dict.fromkeys(PATCHES, "clean")


def and_that_stays_closed(desk: Desk) -> None:
    written, said = len(desk.sent()), desk.says(PORT)
    desk.bigtop.comment(desk.pull(PORT).number, "Really.")
    assert "0 changed" in desk.types("upstream sync")
    refused = desk.types("upstream submit --yes", PORT, status=2)
    assert f"{PORT} is not sent: upstream does not want it, says patch.toml: {said.why}\n" in refused
    assert desk.says(PORT) == said
    assert len(desk.sent()) == written
    assert f"{PORT}   closed    closed by carol: 8020 is what everyone knows." in desk.types(
        "upstream status"
    )
