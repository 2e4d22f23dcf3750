# SPDX-License-Identifier: Apache-2.0
"""Branches, titles, messages and files in the form that each upstream asks for."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from bigtop_builder.errors import InputError
from bigtop_builder.patches.facts import PatchFacts
from bigtop_builder.patches.mail import Mail, read_mail, write_mail
from bigtop_builder.projects import UpstreamProject, load_projects
from bigtop_builder.run import run
from bigtop_builder.statement import Statement
from bigtop_builder.upstreaming.forms import (
    BRANCH,
    bare_title,
    branch_of,
    commit_message,
    components_of,
    patch_file_of,
    require_ticket,
    statement_of,
    steps_of,
    title_of,
)

PROJECTS = load_projects(Path("/nowhere"))
TICKETS = {
    "bigtop": "BIGTOP-1",
    "hadoop": "HDFS-1",
    "hive": "HIVE-1",
    "spark": "SPARK-1",
    "oozie": "OOZIE-1",
    "zookeeper": "ZOOKEEPER-1",
}
MAIL = Mail(
    author="A",
    email="a@example.org",
    subject="BIGTOP-1. Keep the journal",
    body="A journal that is removed\nis lost.\n\n  - so keep it",
    trailers=(
        ("Bug", "https://issues.apache.org/jira/browse/BIGTOP-1"),
        ("Forwarded", "no"),
        ("Last-Update", "2026-11-23"),
        ("Patch", "bigtop/journal"),
        ("Fleet-Ticket", "OPS-77"),
        ("Signed-off-by", "A <a@example.org>"),
        ("Co-Authored-By", "B <b@example.org>"),
    ),
)


def project(name: str) -> UpstreamProject:
    return PROJECTS.of(name)


def facts(**changes: Any) -> PatchFacts:
    values = {"kind": "tree", "title": "Keep the journal", "why": "It is needed", "ticket": "BIGTOP-1"}
    return PatchFacts.model_validate({**values, "upstream": {"state": "to-forward"}, **changes})


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("bigtop", "BIGTOP-1. Keep it"),
        ("hadoop", "HDFS-1. Keep it"),
        ("hive", "HIVE-1: Keep it"),
        ("spark", "[SPARK-1][SQL][CORE] Keep it"),
        ("oozie", "OOZIE-1 Keep it"),
        ("zookeeper", "ZOOKEEPER-1: Keep it"),
    ],
)
def test_a_title_has_the_form_of_its_project(name: str, title: str) -> None:
    statement = Statement(ticket=TICKETS[name], title="Keep it")
    assert title_of(project(name), statement, ("SQL", "CORE")) == title
    assert bare_title(title) == "Keep it"


@pytest.mark.parametrize(
    ("subject", "title"),
    [
        ("Keep it", "Keep it"),
        ("BIGTOP-1: HIVE-2. Keep it (#1406)", "Keep it"),
        ("[SPARK-1][SQL][3.5] Keep it", "[3.5] Keep it"),
        ("hive: keep [it]", "hive: keep [it]"),
    ],
)
def test_a_subject_is_taken_without_its_ticket(subject: str, title: str) -> None:
    assert bare_title(subject) == title


def test_sparks_components_are_those_of_the_subject_or_of_the_paths() -> None:
    spark = project("spark")
    paths = ("sql/core/src/x.scala", "sql/connect/y.scala", "core/z.scala", "sql/a", "common/unsafe/B.java")
    assert components_of(spark, "[SPARK-1][SQL][K8S] Keep", paths) == ("SQL", "K8S")
    assert components_of(spark, "[SPARK-1] Keep [CORE] it", paths) == ("SQL", "CONNECT", "CORE")
    assert components_of(project("hive"), "HIVE-1: x", paths) == ()
    assert components_of(spark, "x", ("pom.xml",)) == ("BUILD",)
    with pytest.raises(InputError, match=r"names a component, and none is known for sqlx/y, NOTICE"):
        components_of(spark, "x", ("sqlx/y", "NOTICE"))


def test_a_statement_is_made_of_mail_and_facts() -> None:
    statement = statement_of(project("bigtop"), MAIL, facts(ai_disclosure="No", tested="By hand"))
    assert statement == Statement(
        ticket="BIGTOP-1",
        ticket_url="https://issues.apache.org/jira/browse/BIGTOP-1",
        title="Keep the journal",
        message=MAIL.body,
        why="It is needed",
        tested="By hand",
        ai_disclosure="No",
    )


@pytest.mark.parametrize(
    ("ticket", "said"),
    [
        ("", r"the patch has no ticket, and apache/hadoop takes none without one"),
        ("HIVE-1", r"ticket 'HIVE-1' is none of apache/hadoop's, which are HADOOP-N or HDFS-N or YARN-N"),
        ("HDFS-x", r"is none of"),
        ("https://x/HDFS-1", r"is none of"),
    ],
)
def test_a_patch_needs_a_ticket_of_its_project(ticket: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        require_ticket(project("hadoop"), ticket)
    assert "patch.toml" in caught.value.hint


@pytest.mark.parametrize(
    ("disclosure", "tool"),
    [
        ("", ""),
        ("No", ""),
        ("none.", ""),
        ("Not used", ""),
        ("Generated-by: Tool 1.2", "Tool 1.2"),
        ("Yes. Generated-by: Tool 1.2", "Tool 1.2"),
        ("Written with a generative AI tool", "a generative AI tool"),
        ("Tool 1.2.", "Tool 1.2"),
        ("Notebook 3", "Notebook 3"),
    ],
)
def test_the_tool_is_taken_from_the_disclosure(disclosure: str, tool: str) -> None:
    assert Statement(ai_disclosure=disclosure).ai_tool == tool


def test_a_commit_message_has_the_ticket_once_the_text_as_it_is_and_no_trailer_of_ours() -> None:
    bigtop = project("bigtop")
    statement = statement_of(bigtop, MAIL, facts(ai_disclosure="Generated-by: Tool 1.2"))
    message = commit_message(bigtop, MAIL, statement, title=title_of(bigtop, statement))
    assert message == (
        "BIGTOP-1. Keep the journal\n\n"
        "A journal that is removed\nis lost.\n\n  - so keep it\n\n"
        "Signed-off-by: A <a@example.org>\nCo-Authored-By: B <b@example.org>\nGenerated-by: Tool 1.2\n"
    )


def test_a_tool_is_named_once_and_only_where_one_was_used() -> None:
    bigtop = project("bigtop")
    mail = replace(MAIL, body="", trailers=(("Generated-By", "Tool 2"),))
    used = Statement(ticket="BIGTOP-1", title="x", ai_disclosure="Tool 1")
    assert commit_message(bigtop, mail, used, title="x") == "x\n\nGenerated-By: Tool 2\n"
    unused = replace(used, ai_disclosure="No")
    assert commit_message(bigtop, replace(mail, trailers=()), unused, title="x") == "x\n"


def test_a_branch_is_named_by_ticket_and_title() -> None:
    statement = Statement(
        ticket="BIGTOP-4032", title="hive: Keep the Ünder_score's journal, always & everywhere it is"
    )
    assert branch_of(statement) == "BIGTOP-4032-hive-keep-the-under-score-s-journal-always"
    assert branch_of(Statement(ticket="HDFS-1", title="日本語")) == "HDFS-1"
    assert branch_of(Statement(title="")) == "patch"


@settings(max_examples=50, deadline=None)
@given(
    ticket=some.one_of(some.text(max_size=12), some.from_regex(r"[A-Z]{2,10}-[0-9]{1,5}", fullmatch=True)),
    title=some.text(max_size=200),
)
def test_git_takes_every_name_of_a_branch(ticket: str, title: str) -> None:
    name = branch_of(Statement(ticket=ticket, title=title))
    assert len(name) <= BRANCH
    assert run(["git", "check-ref-format", "--branch", name]).text == name


@settings(max_examples=100, deadline=None)
@given(
    text=some.text(some.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), min_size=1, max_size=80)
)
def test_a_message_keeps_its_title_when_git_or_the_queue_reads_it(text: str) -> None:
    title = bare_title(" ".join(text.split())) or "x"
    for name, ticket in TICKETS.items():
        subject = title_of(project(name), Statement(ticket=ticket, title=title), ("CORE",))
        assert subject.count(ticket) == 1 + title.count(ticket)
        assert read_mail(write_mail(replace(MAIL, subject=subject)), source="x").subject == subject


def test_a_file_for_a_ticket_gets_the_next_number() -> None:
    oozie = project("oozie")
    assert patch_file_of(oozie, "OOZIE-1", ()) == "OOZIE-1-001.patch"
    assert patch_file_of(oozie, "OOZIE-1", ("OOZIE-1-001.patch", "OOZIE-2-002.patch")) == "OOZIE-1-002.patch"


def test_the_steps_on_a_ticket_name_it_and_the_file() -> None:
    statement = Statement(
        ticket="OOZIE-1",
        ticket_url="https://issues.apache.org/jira/browse/OOZIE-1",
        title="Keep it",
        tested="By hand: {{ no }}",
    )
    steps = steps_of(project("oozie"), statement, "OOZIE-1-001.patch")
    assert "https://issues.apache.org/jira/browse/OOZIE-1" in steps[0]
    assert "OOZIE-1-001.patch" in steps[1]
    assert steps[3].endswith("Keep it\n\nBy hand: {{ no }}")
    assert steps_of(project("hive"), statement, "x") == ()
