# SPDX-License-Identifier: Apache-2.0
"""The projects' own rules of lines and messages, found before anything is sent."""

from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.patches.diff import parse_diff
from bigtop_builder.projects import CHECKS, UpstreamProject, load_projects
from bigtop_builder.statement import Statement
from bigtop_builder.upstreaming.checks import RULES, Proposed, check
from bigtop_builder.upstreaming.programs import run_commands

PROJECTS = load_projects(Path("/nowhere"))
OOZIE = PROJECTS.of("oozie")
SUBJECT = "OOZIE-1 Keep it\n"


def diff(*added: str, path: str = "core/src/Main.java") -> bytes:
    """A change of a file that adds lines behind its second one, which was empty."""
    lines = "".join(f"+{line}\n" for line in added)
    head = f"--- a/{path}\n+++ b/{path}\n@@ -10,3 +20,{3 + len(added)} @@\n \ta tab of old\n\n"
    return f"{head}{lines} last  \n\\ No newline at end of file\n".encode()


def proposed(
    data: bytes, *, message: str = SUBJECT, project: UpstreamProject = OOZIE, **facts: Any
) -> Proposed:
    files = parse_diff(data, source="x")
    statement = Statement(**{"ticket": "OOZIE-1", **facts})
    return Proposed(project=project, statement=statement, message=message, files=files)


def found(data: bytes, **others: Any) -> list[tuple[str, int, str]]:
    return [
        (one.file, one.line, one.rule)
        for one in check(proposed(data, **others))
        if one.rule != "test-touched"
    ]


def only(name: str) -> UpstreamProject:
    return OOZIE.model_copy(update={"checks": (name,)})


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("a\tb", "no-tabs"),
        ("a ", "trailing-blanks"),
        ("\t", "no-tabs"),
        ("x" * 133, "line-length"),
        (" * @author A", "no-author"),
    ],
)
def test_a_fault_in_an_added_line_has_upstreams_file_and_line(line: str, rule: str) -> None:
    assert ("core/src/Main.java", 23, rule) in found(diff("good", line))


def test_what_was_there_before_and_what_is_just_allowed_is_no_fault() -> None:
    assert found(diff("x" * 132, "    ends in CRLF\r", "é" * 132)) == []


def test_the_lines_of_some_files_may_be_long_and_imports_and_urls_everywhere() -> None:
    hadoop = only("line-length:100:java,scala")
    long = ["x" * 101, "import " + "x" * 101, "// http://" + "x" * 101]
    assert found(diff(*long), project=hadoop) == [("core/src/Main.java", 22, "line-length")]
    assert found(diff(*long, path="x.xml"), project=hadoop) == []


@pytest.mark.parametrize(
    "path",
    [
        "core/src/test/java/org/X.java",
        "ql/src/test/queries/x.q",
        "core/XSuite.scala",
        "a/TestX.java",
        "XTest.java",
        "python/test_x.py",
    ],
)
def test_a_test_among_the_files_is_seen(path: str) -> None:
    assert check(proposed(diff("x", path=path), project=only("test-touched"))) == ()


@pytest.mark.parametrize("path", ["core/src/main/Latest.java", "contest/X.java", "Testament.md"])
def test_without_a_test_there_is_a_note(path: str) -> None:
    (finding,) = check(proposed(diff("x", path=path), project=only("test-touched")))
    assert (finding.file, finding.level) == (path, "note")


@pytest.mark.parametrize(
    ("target", "ticket", "subject", "good"),
    [
        ("oozie", "OOZIE-1", "OOZIE-1 Keep it", True),
        ("oozie", "OOZIE-1", "OOZIE-11 Keep it", False),
        ("oozie", "OOZIE-1", "Keep it (OOZIE-1)", False),
        ("oozie", "OOZIE-1", "OOZIE-1 OOZIE-1 Keep it", False),
        ("hive", "HIVE-1", "HIVE-1: Keep it", True),
        ("hive", "HIVE-1", "HIVE-1. Keep it", False),
        ("hive", "SPARK-1", "SPARK-1: Keep it", False),
        ("hive", "", "Keep it", False),
        ("spark", "SPARK-1", "[SPARK-1][SQL] Keep it", True),
        ("hadoop", "YARN-1", "YARN-1. Keep it", True),
    ],
)
def test_the_subject_names_the_ticket_once_in_the_projects_form(
    target: str, ticket: str, subject: str, good: bool
) -> None:
    project = PROJECTS.of(target).model_copy(update={"checks": ("ticket",)})
    findings = check(proposed(diff("x"), project=project, ticket=ticket, message=f"{subject}\n\n{ticket}\n"))
    assert (findings == ()) == good
    assert {(one.file, one.line, one.rule) for one in findings} <= {("commit message", 1, "ticket")}


@pytest.mark.parametrize("said", ["Written with a generative AI tool", "Yes", "AI was used"])
def test_a_tool_without_a_name_is_noted(said: str) -> None:
    vague = check(proposed(diff("x"), project=only("ticket"), ai_disclosure=said))
    assert [(one.rule, one.level) for one in vague] == [("ai-tool", "note")]


@pytest.mark.parametrize("said", ["Generated-by: Tool 1.2", "No", ""])
def test_a_tool_with_a_name_and_none_are_not(said: str) -> None:
    assert check(proposed(diff("x"), project=only("ticket"), ai_disclosure=said)) == ()


def test_each_check_that_a_project_may_name_is_there() -> None:
    assert set(RULES) == set(CHECKS)


def test_lines_that_are_no_utf8_and_files_that_go_are_checked_too() -> None:
    gone = b"--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-\told \n"
    assert found(gone) == []
    assert found(diff("x").replace(b"+x", b"+\xff\xfe\tx")) == [("core/src/Main.java", 22, "no-tabs")]


def commands(worktree: Path, *argv: tuple[str, ...]) -> list[str]:
    return [str(one) for one in run_commands(OOZIE.model_copy(update={"commands": argv}), worktree)]


def test_programs_run_in_the_work_tree_and_their_failures_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lint = tmp_path / "dev/lint"
    lint.parent.mkdir()
    lint.write_text('#!/bin/sh\npwd\nprintf "%s" "$1" >&2\nexit 3\n')
    lint.chmod(0o755)
    monkeypatch.chdir("/")
    told = commands(tmp_path, ("true",), ("./dev/lint", "a b"), ("dev/none",), ("no-such-program-at-all",))
    assert len(told) == 3
    assert told[0].startswith(
        f"./dev/lint 'a b': error: command: it ended with exit status 3:\n{tmp_path}\na b"
    )
    assert told[1].startswith("dev/none: error: command: it cannot be run: ")
    assert told[2].startswith("no-such-program-at-all: error: command: it cannot be run: ")


def test_upstreams_programs_are_given_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GH_TOKEN", "word-a")
    monkeypatch.setenv("BIGTOP_BUILDER_KEY_PASSPHRASE", "word-b")
    (told,) = commands(tmp_path, ("sh", "-c", "env | grep -e ^PATH= -e word-; exit 1"))
    printed = told.partition("\n")[2]
    assert "PATH=" in printed
    assert "word-" not in printed
