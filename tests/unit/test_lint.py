# SPDX-License-Identifier: Apache-2.0
"""Lint says what is wrong with a patch before anyone applies it: each finding with its file, line and way out."""

import json
import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from patch_repository import Repository

from bigtop_builder.cli.patch_lint import lint as lint_command
from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.patches.dep3 import trailers_of
from bigtop_builder.patches.facts import PatchFacts, Upstream, with_facts
from bigtop_builder.patches.finding import Finding
from bigtop_builder.patches.lint import lint
from bigtop_builder.patches.mail import Mail, read_mail, write_mail
from bigtop_builder.patches.queue import load_entry
from bigtop_builder.patches.style import subject_of
from bigtop_builder.projects import load_projects
from bigtop_builder.workspace import Project
from local_patches import list_patches

FACTS = """\
kind = "{kind}"
title = "{title}"
why = "The fleet counts to three"
ticket = "{ticket}"
drop-when = "a release counts to three"
releases = ["1.0.0"]

[upstream]
state = "{state}"
why = "{reason}"
commit = "{commit}"
url = "{url}"
"""
SAID = {
    "title": "Count on",
    "ticket": "BIGTOP-1",
    "state": "ticket",
    "reason": "",
    "commit": "",
    "url": "",
}
BEFORE = b"".join(b"line number %d\n" % number for number in range(40))


class Queue:
    """A queue of a test's own, and the repository that its diffs are to."""

    def __init__(self, folder: Path) -> None:
        self.patches = folder / "patches"
        self.repository = Repository(folder / "work")
        self.repository.write(
            {"pom.xml": BEFORE, "src/main/A.java": b"class A {\n}\n", "script": b"#!/bin/sh\n"}
        )
        self.repository.commit("the start")
        self.repository.git("tag", "start")

    def diff(self, files: Mapping[str, bytes | None], *, base: str = "start") -> bytes:
        """A diff as git writes it; its result is the work tree afterwards."""
        self.repository.git("reset", "--quiet", "--hard", base)
        self.repository.write(files)
        self.repository.git("add", "--all")
        return self.repository.git("diff", "--cached", "--full-index", "--binary", "-M", base).stdout

    def put(self, patch_id: str, diff: bytes = b"", *, mail: Mail | None = None, **facts: str) -> Path:
        """Write a patch that is right but for what is named; return its diff's file."""
        said = {**SAID, "kind": "tree" if patch_id.startswith("bigtop/") else "component", **facts}
        folder = self.patches / patch_id
        folder.mkdir(parents=True)
        (folder / "patch.toml").write_text(FACTS.format_map(said))
        model = PatchFacts.from_toml(folder / "patch.toml")
        plain = mail or Mail(
            author="Jane Roe",
            email="jane@example.org",
            date=datetime(2026, 11, 2, tzinfo=UTC),
            subject=f"{said['ticket']}. {said['title']}" if said["ticket"] else said["title"],
            body="Two was the last.",
        )
        told = Mail(**{**vars(plain), "trailers": trailers_of(model, plain), "diff": diff or self.change()})
        (folder / "default.patch").write_bytes(write_mail(told))
        return folder / "default.patch"

    def change(self) -> bytes:
        return self.diff({"pom.xml": BEFORE.replace(b"number 2\n", b"number two\n")})

    def lint(self, patch_id: str, *order: str) -> tuple[Finding, ...]:
        ids = sorted(
            {str(path.parent.relative_to(self.patches)) for path in self.patches.glob("*/*/patch.toml")}
        )
        others = [load_entry(self.patches, one) for one in ids]
        return lint(
            load_entry(self.patches, patch_id),
            others,
            {"1.0.0": order} if order else {},
            projects=load_projects(self.patches),
        )


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path)


def only(found: tuple[Finding, ...]) -> Finding:
    assert len(found) == 1, found
    assert found[0].hint
    return found[0]


def test_a_patch_that_is_right_passes(queue: Queue) -> None:
    queue.put("bigtop/count")
    queue.put(
        "zookeeper/count",
        state="to-forward",
        ticket="",
        title="Something else",
        diff=queue.diff({"new": b"x\n"}),
    )
    queue.put("hive/count", state="local-only", reason="ours alone", ticket="")
    assert [queue.lint(one) for one in ("bigtop/count", "zookeeper/count", "hive/count")] == [()] * 3


@pytest.mark.parametrize(
    ("facts", "rule", "line", "said"),
    [
        ({"ticket": ""}, "ticket", 4, "`ticket` is missing: state 'ticket' needs it"),
        ({"state": "local-only"}, "why", 10, "`upstream.why` is missing: state 'local-only' needs it"),
        ({"state": "merged"}, "commit", 11, "`upstream.commit` is missing"),
        ({"state": "pr-open"}, "url", 12, "`upstream.url` is missing"),
        ({"state": "closed"}, "why", 10, "`upstream.why` is missing"),
    ],
)
def test_facts_that_a_state_needs_are_missed(
    queue: Queue, facts: dict[str, str], rule: str, line: int, said: str
) -> None:
    path = queue.put("bigtop/count", **facts).with_name("patch.toml")
    found = only(queue.lint("bigtop/count"))
    assert (found.file, found.line, found.rule, found.level) == (str(path), line, rule, "error")
    assert said in found.text


@pytest.mark.parametrize(("key", "line"), [("why", 3), ("drop-when", 5)])
def test_a_patch_without_why_or_an_end_is_found(queue: Queue, key: str, line: int) -> None:
    path = queue.put("bigtop/count").with_name("patch.toml")
    lines = path.read_text().splitlines(keepends=True)
    lines[line - 1] = f'{key} = " "\n'
    path.write_text("".join(lines))
    found = only(queue.lint("bigtop/count"))
    assert (found.file, found.line, found.rule) == (str(path), line, key)


def test_a_release_that_no_diff_is_for_is_found(queue: Queue) -> None:
    path = queue.put("bigtop/count")
    path.rename(path.with_name("3.3.0.patch"))
    found = only(queue.lint("bigtop/count"))
    assert (found.rule, found.line) == ("releases", 6)
    assert "1.0.0" in found.text


def test_mail_headers_and_description_are_missed(queue: Queue) -> None:
    path = queue.put("bigtop/count")
    path.write_bytes(queue.change())
    found = queue.lint("bigtop/count")
    assert [one.text for one in found if one.level == "error"] == [
        "no header: `From`, `Date`, `Subject` and a description are missing"
    ]
    path.write_bytes(b"Subject: Count\n\n" + queue.change())
    found = queue.lint("bigtop/count")
    (header,) = (one.text for one in found if one.rule == "header")
    assert header == "`From`, `Date` are missing, or half of it"
    assert "description" in {one.rule for one in found}


def test_a_malformed_header_is_found_with_its_line(queue: Queue) -> None:
    path = queue.put("bigtop/count")
    path.write_bytes(path.read_bytes().replace(b"\nDate: ", b"\nnonsense\nDate: "))
    found = only(queue.lint("bigtop/count"))
    assert (found.file, found.line, found.rule, found.text) == (
        str(path),
        3,
        "header",
        "malformed header: 'nonsense'",
    )


def test_trailers_that_tell_of_upstream_may_follow_later_what_submit_and_sync_write(queue: Queue) -> None:
    facts = queue.put("bigtop/count").with_name("patch.toml")
    facts.write_text(with_facts(facts.read_text(), {"upstream": {"state": "merged", "commit": "1" * 40}}))
    found = queue.lint("bigtop/count")
    assert {(one.rule, one.level) for one in found} == {("trailers", "note")}
    assert {one.text.split("`")[1] for one in found} == {"Origin", "Forwarded", "Applied-Upstream"}
    assert all("patch refresh writes it anew" in one.hint for one in found)


def test_a_mail_that_disagrees_with_the_facts_is_found(queue: Queue) -> None:
    path = queue.put("bigtop/count")
    facts = path.with_name("patch.toml")
    facts.write_text(facts.read_text().replace("BIGTOP-1", "BIGTOP-2").replace("Count on", "Count up"))
    found = {one.rule: one for one in queue.lint("bigtop/count")}
    assert sorted(found) == ["style", "title", "trailers"]
    assert (found["title"].line, found["title"].text) == (
        4,
        "the subject says 'Count on', and patch.toml 'Count up'",
    )
    assert found["trailers"].line == 8
    assert "browse/BIGTOP-2' after patch.toml" in found["trailers"].text
    assert "does not name the ticket, BIGTOP-2" in found["style"].text


def test_a_patch_that_is_not_in_the_queues_form_is_noted(queue: Queue) -> None:
    path = queue.put("bigtop/count")
    path.write_bytes(path.read_bytes().replace(b"---\n\n", b"---\n pom.xml | 2 +-\n\n", 1))
    found = only(queue.lint("bigtop/count"))
    assert (found.rule, found.level) == ("form", "note")


def test_the_way_out_names_a_release_that_lists_the_patch(queue: Queue) -> None:
    path = queue.put("bigtop/count")
    path.write_bytes(path.read_bytes().replace(b"[PATCH]", b"[PATCH 1/2]"))
    assert only(queue.lint("bigtop/count", "bigtop/count")).hint == (
        "bigtop-builder patch refresh 1.0.0 bigtop/count writes it anew"
    )
    assert only(queue.lint("bigtop/count")).hint == "patch refresh writes it anew once a recipe lists it"


def test_the_way_out_names_a_release_that_takes_this_diff(queue: Queue) -> None:
    path = queue.put("bigtop/count")
    since = path.with_name("since-2.0.0.patch")
    since.write_bytes(path.read_bytes().replace(b"[PATCH]", b"[PATCH 1/2]"))
    assert only(queue.lint("bigtop/count", "bigtop/count")).hint == (
        "patch refresh writes it anew once a recipe lists it"
    )
    entry = load_entry(queue.patches, "bigtop/count")
    orders = {"1.0.0": (entry.id,), "2.0.0-mine": (entry.id,)}
    releases = {"1.0.0": "1.0.0", "2.0.0-mine": "2.0.0"}
    found = lint(entry, (), orders, releases, projects=load_projects(queue.patches))
    assert only(found).hint == "bigtop-builder patch refresh 2.0.0-mine bigtop/count writes it anew"


@pytest.mark.parametrize(
    ("target", "subject", "wanted"),
    [
        ("bigtop", "Count on", "BIGTOP-2. Count on"),
        ("bigtop", "BIGTOP-1: Count on", "BIGTOP-2. Count on"),
        ("zookeeper", "Count on", "ZOOKEEPER-2: Count on"),
        ("spark", "[SPARK-1][SQL] Count on", "[SPARK-2][SQL] Count on"),
        ("spark", "Count on", "Count on"),
    ],
)
def test_a_ticket_that_comes_later_is_written_into_the_subject(
    queue: Queue, target: str, subject: str, wanted: str
) -> None:
    project = load_projects(queue.patches).of(target)
    path = queue.put("bigtop/count", ticket=f"{target.upper()}-2", state="pr-open", url="https://x/1")
    facts = PatchFacts.from_toml(path.with_name("patch.toml"))
    assert subject_of(facts, subject, project) == wanted
    here = facts.model_copy(update={"upstream": Upstream(state="local-only", why="ours")})
    assert subject_of(here, subject, project) == subject


def test_latin_1_is_an_error_in_the_mail_and_a_note_in_a_hunk(queue: Queue) -> None:
    path = queue.put("bigtop/count", queue.diff({"pom.xml": BEFORE.replace(b"2\n", b"zw\xf6i\n", 1)}))
    found = only(queue.lint("bigtop/count"))
    assert (found.file, found.rule, found.level) == (str(path), "encoding", "note")
    assert b"zw\xf6i" in path.read_bytes().split(b"\n")[found.line - 1]
    path.write_bytes(path.read_bytes().replace(b"Jane Roe", b"J\xfcrgen"))
    found = next(one for one in queue.lint("bigtop/count") if one.level == "error")
    assert (found.rule, found.line) == ("encoding", 2)


def test_crlf_is_an_error_in_headers_and_a_note_in_a_hunk(queue: Queue) -> None:
    path = queue.put("bigtop/count", queue.diff({"pom.xml": BEFORE.replace(b"2\n", b"two\r\n", 1)}))
    found = only(queue.lint("bigtop/count"))
    assert (found.rule, found.level) == ("crlf", "note")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    levels = {(one.rule, one.level): one.line for one in queue.lint("bigtop/count") if one.rule == "crlf"}
    assert levels["crlf", "error"] == 1


@pytest.mark.parametrize(
    ("files", "rule"),
    [
        ({"logo.png": bytes(range(256))}, "binary"),
        ({"empty": b""}, "empty-file"),
        ({"pom.xml": b""}, "empty-file"),
    ],
)
def test_what_dpkg_source_cannot_do_is_found(queue: Queue, files: dict[str, bytes], rule: str) -> None:
    path = queue.put("hive/count", queue.diff(files), state="local-only", reason="r")
    found = only(queue.lint("hive/count"))
    assert (found.file, found.rule) == (str(path), rule)
    assert next(iter(files)) in found.text
    assert path.read_bytes().split(b"\n")[found.line - 1].startswith((b"diff --git", b"GIT binary patch"))


@pytest.mark.parametrize("file", ["empty", "pom.xml"])
def test_no_patch_to_bigtop_may_leave_an_empty_file_either(queue: Queue, file: str) -> None:
    queue.put("bigtop/count", queue.diff({file: b""}))
    assert only(queue.lint("bigtop/count")).rule == "empty-file"


def test_renames_and_modes_pass(queue: Queue) -> None:
    (queue.repository.folder / "script").chmod(0o755)
    diff = queue.repository.git("diff", "--full-index").stdout
    diff += queue.diff({"pom.xml": None, "sub/pom.xml": BEFORE + b"one more\n"})
    queue.put("hive/count", diff, state="local-only", reason="r")
    assert queue.lint("hive/count") == ()


def test_a_file_that_one_diff_has_twice_is_found(queue: Queue) -> None:
    queue.put("hive/count", queue.change() + queue.change(), state="local-only", reason="r")
    assert only(queue.lint("hive/count")).rule == "twice"


@pytest.mark.parametrize(
    ("change", "rule", "said"),
    [
        ((b"+++ b/pom", b"+++ b/../../pom"), "path", "leads out of the tree"),
        ((b"b/pom.xml\n", b"pom.xml\n"), "p0", "-p0"),
        ((b"@@ -1,6", b"@@ -1,7"), "malformed", "7 old"),
        ((b"index ", b"idex "), "malformed", "no such header"),
    ],
)
def test_faults_of_the_diff_are_found_with_their_line(
    queue: Queue, change: tuple[bytes, bytes], rule: str, said: str
) -> None:
    path = queue.put("bigtop/count")
    path.write_bytes(path.read_bytes().replace(*change))
    found = next(one for one in queue.lint("bigtop/count") if one.rule == rule)
    assert found.file == str(path)
    assert found.line > 9
    assert said in found.text
    assert "pom" in found.text


def test_a_header_without_a_hunk_is_found(queue: Queue) -> None:
    path = queue.put("bigtop/count")
    path.write_bytes(path.read_bytes().partition(b"@@")[0])
    assert only(queue.lint("bigtop/count")).rule == "header-only"
    path.write_bytes(path.read_bytes().partition(b"diff --git")[0])
    assert only(queue.lint("bigtop/count")).rule == "no-diff"


def two_in_a_row(queue: Queue) -> None:
    """`bigtop/first`, and `bigtop/second` made on top of it, in the same lines."""
    one = BEFORE.replace(b"number 20\n", b"number twenty\n")
    queue.put("bigtop/first", queue.diff({"pom.xml": one}))
    base = queue.repository.commit("first")
    other = one.replace(b"number twenty\n", b"number twenty, no more\n")
    queue.put("bigtop/second", queue.diff({"pom.xml": other}, base=base))


def test_two_patches_for_the_same_lines_are_noted_with_their_order(queue: Queue) -> None:
    two_in_a_row(queue)
    for asked in ("bigtop/first", "bigtop/second"):
        found = only(queue.lint(asked, "bigtop/first", "bigtop/second"))
        assert (found.rule, found.level) == ("overlap", "note")
        assert found.file.endswith("bigtop/second/default.patch")
        assert (
            found.text == "pom.xml: it touches the same lines as bigtop/first, which comes before it in 1.0.0"
        )
    assert queue.lint("bigtop/first", "bigtop/first") == ()


@pytest.mark.parametrize("with_ids", [True, False])
def test_two_patches_for_one_file_in_the_wrong_order_are_an_error(queue: Queue, *, with_ids: bool) -> None:
    two_in_a_row(queue)
    if not with_ids:
        for path in queue.patches.glob("*/*/default.patch"):
            lines = path.read_bytes().splitlines(keepends=True)
            path.write_bytes(b"".join(line for line in lines if not line.startswith((b"index ", b"diff "))))
    found = next(
        one for one in queue.lint("bigtop/second", "bigtop/second", "bigtop/first") if one.rule == "order"
    )
    assert found.level == "error"
    assert found.text.startswith(
        "pom.xml: bigtop/second comes before bigtop/first in 1.0.0, and was made on top of it"
    )
    assert found.hint == "put bigtop/first before bigtop/second in the recipe"


def test_patches_that_touch_other_lines_or_targets_do_not_meet(queue: Queue) -> None:
    queue.put("bigtop/first")
    queue.put("bigtop/second", queue.diff({"pom.xml": BEFORE.replace(b"number 30\n", b"number thirty\n")}))
    queue.put("hive/third", state="local-only", reason="r")
    assert queue.lint("bigtop/second", "bigtop/second", "bigtop/first", "hive/third") == ()


def test_one_patch_under_two_ids_is_found(queue: Queue) -> None:
    first, second = queue.put("bigtop/first"), queue.put("bigtop/second", ticket="BIGTOP-2")
    found = only(queue.lint("bigtop/second"))
    assert (found.file, found.rule) == (str(second), "duplicate")
    assert str(first) in found.text


@pytest.mark.parametrize(
    ("target", "ticket", "right", "wrong"),
    [
        ("bigtop", "BIGTOP-1", "BIGTOP-1. Count on", "BIGTOP-1: Count on"),
        ("hadoop", "HDFS-1", "HDFS-1. Count on", "HDFS-1: Count on"),
        ("hive", "HIVE-1", "HIVE-1: Count on", "HIVE-1. Count on"),
        ("spark", "SPARK-1", "[SPARK-1][CORE] Count on", "[SPARK-1] Count on"),
        ("oozie", "OOZIE-1", "OOZIE-1 Count on", "Count on"),
        ("zookeeper", "ZOOKEEPER-1", "ZOOKEEPER-1: Count on", "ZOOKEEPER-1. Count on"),
    ],
)
def test_the_form_of_a_title_is_its_upstreams(
    queue: Queue, target: str, ticket: str, right: str, wrong: str
) -> None:
    diff = queue.diff({"src/test/T.java": b"x\n"})
    plain = Mail(author="J R", email="j@example.org", date=datetime(2026, 11, 2, tzinfo=UTC), body="b")
    queue.put(f"{target}/right", diff, mail=Mail(**{**vars(plain), "subject": right}), ticket=ticket)
    assert queue.lint(f"{target}/right") == ()
    queue.put(
        f"{target}/wrong",
        diff + queue.change(),
        mail=Mail(**{**vars(plain), "subject": wrong}),
        ticket=ticket,
    )
    assert {one.rule for one in queue.lint(f"{target}/wrong")} == {"style"}
    queue.put(
        f"{target}/there",
        queue.change(),
        mail=Mail(**{**vars(plain), "subject": wrong}),
        ticket=ticket,
        state="merged",
        commit="1" * 40,
    )
    assert queue.lint(f"{target}/there") == ()


def test_what_the_queue_says_of_a_project_counts_for_lint_too(queue: Queue) -> None:
    queue.put("bigtop/count")
    (queue.patches / "upstream.toml").write_text('[projects.bigtop]\ntitle = "{ticket}: {title}"\n')
    assert "'BIGTOP-N: Text'" in only(queue.lint("bigtop/count")).text


def test_oozies_checks_of_lines_are_made_for_oozie(queue: Queue) -> None:
    diff = queue.diff({"src/main/B.java": b"class B {\n\tint x;\n  int y; \n" + b"x" * 133 + b"\n}\n"})
    plain = Mail(author="J R", email="j@example.org", date=datetime(2026, 11, 2, tzinfo=UTC), body="b")
    for target, ticket, subject in (
        ("oozie", "OOZIE-1", "OOZIE-1 Count on"),
        ("hive", "HIVE-1", "HIVE-1: Count on"),
    ):
        queue.put(f"{target}/lines", diff, mail=Mail(**{**vars(plain), "subject": subject}), ticket=ticket)
    found = queue.lint("oozie/lines")
    assert [
        one.text.partition("line has ")[2].partition(",")[0] for one in found if one.level == "error"
    ] == [
        "a tab",
        "white space at its end",
        "more than 132 columns",
    ]
    assert [one.text for one in found if one.level == "note"] == [
        "it touches no test, which Oozie's check refuses"
    ]
    assert queue.lint("hive/lines") == ()


def call(project: Project, *words: str) -> Result:
    options = {"settings": None, "project": project.root, "verbose": False}
    return CliRunner().invoke(lint_command, words, obj=options)


def unfold(project: Project, patch_id: str) -> None:
    """Let a patch have another form than the queue's."""
    diff = project.patches / patch_id / "default.patch"
    diff.write_text(diff.read_text().replace("[PATCH] ", "[PATCH 1/2] "))


def test_the_command_tells_all_and_fails_on_errors_alone(project: Project) -> None:
    unfold(project, "herald/miniature-loopback-address")
    list_patches(project, "salute/miniature-blank-name")
    answer = call(project)
    assert answer.exit_code == 0
    assert "default.patch:1: note: form: " in answer.stdout
    facts = project.patches / "salute/miniature-blank-name/patch.toml"
    facts.write_text(facts.read_text().replace('drop-when = "', 'drop-when = "" #'))
    answer = call(project, "salute/miniature-blank-name", "--json")
    assert isinstance(answer.exception, CheckFailed)
    assert answer.exception.exit_code == 1
    rows = [row for row in json.loads(answer.stdout) if row["level"] == "error"]
    assert [(row["file"], row["rule"], row["line"]) for row in rows] == [(str(facts), "drop-when", 5)]
    assert answer.exception.brief == "lint found 1 error"
    assert call(project, "herald/miniature-loopback-address").exit_code == 0
    folder = project.patches / "bigtop/miniature-changelog-date"
    for other in {*project.patches.glob("*/*")} - {folder}:
        shutil.rmtree(other)
    list_patches(project, "bigtop/miniature-changelog-date")
    list_patches(project, release="1.1.0")
    assert call(project).stdout == "nothing is wrong with 1 patch\n"


def test_a_release_that_no_recipe_is_for_is_told(project: Project) -> None:
    shutil.move(project.recipes / "1.1.0.toml", project.recipes / "1.1.0-deb12.toml")
    facts = project.patches / "salute/miniature-blank-name/patch.toml"
    named = 'releases = ["1.0.0", "1.1.0", "1.1.0-deb12", "1.2.0"]'
    facts.write_text(re.sub(r"^releases = .*", named, facts.read_text(), flags=re.MULTILINE))
    answer = call(project, "salute/miniature-blank-name")
    assert answer.exit_code == 0
    assert "note: releases: it is meant for 1.2.0, and no recipe is for that" in answer.stdout
    assert answer.stdout.count("no recipe is for that") == 1


def test_the_command_names_the_nearest_of_a_misspelt_patch(project: Project) -> None:
    error = call(project, "salute/miniature-blank").exception
    assert isinstance(error, InputError)
    assert error.hint == "the nearest is salute/miniature-blank-name"


def test_a_patch_that_cannot_be_read_does_not_hide_the_others(project: Project) -> None:
    (project.patches / "salute/miniature-blank-name/patch.toml").write_text("kind = 3\n")
    unfold(project, "herald/miniature-loopback-address")
    answer = call(project)
    assert isinstance(answer.exception, CheckFailed)
    assert "error: unreadable: " in answer.stdout
    assert "herald/miniature-loopback-address" in answer.stdout


def test_every_committed_patch_passes(origin: Project) -> None:
    answer = call(origin, "--json")
    assert answer.exit_code == 0
    noted = {one["rule"] for one in json.loads(answer.stdout)}
    assert noted <= {"overlap", "style"}, (
        "patches to one file in their recipe's order, and some without a test"
    )
    for path in origin.patches.glob("*/*/*.patch"):
        mail = read_mail(path.read_bytes(), source=str(path))
        assert read_mail(write_mail(mail), source=str(path)) == mail
