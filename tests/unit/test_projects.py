# SPDX-License-Identifier: Apache-2.0
"""The upstream projects: six of ours, and a file of the user's laid over them, whose faults are named by line."""

from pathlib import Path

import pytest

from bigtop_builder.errors import InputError
from bigtop_builder.projects import FILE, Projects, load_projects

OWN = """\
[projects.acme]
repository = "https://git.example.org/acme/tools.git"
tickets = ["ACME"]
"""


def with_file(tmp_path: Path, text: str) -> Projects:
    (tmp_path / FILE).write_text(text)
    return load_projects(tmp_path)


def refused(tmp_path: Path, text: str) -> str:
    with pytest.raises(InputError) as caught:
        with_file(tmp_path, text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("target", "name", "base", "tickets"),
    [
        ("bigtop", "apache/bigtop", "master", "BIGTOP"),
        ("hadoop", "apache/hadoop", "trunk", "HADOOP HDFS YARN MAPREDUCE"),
        ("hive", "apache/hive", "master", "HIVE"),
        ("spark", "apache/spark", "master", "SPARK"),
        ("oozie", "apache/oozie", "master", "OOZIE"),
        ("zookeeper", "apache/zookeeper", "master", "ZOOKEEPER"),
    ],
)
def test_six_projects_are_known_without_a_file(
    tmp_path: Path, target: str, name: str, base: str, tickets: str
) -> None:
    project = load_projects(tmp_path).of(target)
    assert (project.place, project.base) == (("github.com", name), base)
    assert project.tickets == tuple(tickets.split())


def test_how_a_patch_lands_is_known_for_each(tmp_path: Path) -> None:
    projects = load_projects(tmp_path).projects
    merges = {name: project.merge for name, project in projects.items() if project.merge != "button"}
    assert merges == {"spark": "script", "oozie": "ticket-attachment"}


def test_a_ticket_belongs_to_its_project(tmp_path: Path) -> None:
    hadoop = load_projects(tmp_path).of("hadoop")
    tickets = ("HDFS-1", "HIVE-1", "HDFS-", "HDFS", "hdfs-1", "X-HDFS-1")
    assert [hadoop.owns(ticket) for ticket in tickets] == [True, False, False, False, False, False]


def test_a_key_of_the_users_takes_the_place_of_ours_and_leaves_the_others(tmp_path: Path) -> None:
    text = '[projects.spark]\nbase = "branch-3.5"\n[projects.spark.answers]\n"how" = "{{ tested }}"\n'
    spark, ours = with_file(tmp_path, text).of("spark"), load_projects(tmp_path / "none").of("spark")
    assert spark.base == "branch-3.5"
    assert spark.checks == ours.checks
    assert list(spark.answers) == ["how", *ours.answers]


def test_a_project_of_ones_own_needs_a_repository_and_tickets(tmp_path: Path) -> None:
    acme = with_file(tmp_path, OWN).of("acme")
    assert acme.place == ("git.example.org", "acme/tools")
    assert acme.merge == "button"
    said = refused(tmp_path, "[projects.sparc]\n" + OWN.splitlines()[1])
    assert f"{tmp_path / FILE}:1: projects.sparc.tickets: is required" in said
    assert "the nearest is spark" in said


def test_an_unknown_target_is_told_how_to_describe_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no upstream project is known for hbase") as caught:
        load_projects(tmp_path).of("hbase")
    assert "[projects.hbase]" in caught.value.hint


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('bsae = "main"', "4: projects.acme.bsae: there is no such key; the nearest is base"),
        ('checks = ["no-tab"]', "4: projects.acme.checks[0]: there is no such check; the nearest is no-tabs"),
        ('checks = ["line-length"]', "4: projects.acme.checks[0]: should be a name alone, or as in"),
        ('checks = ["line-length:0"]', "4: projects.acme.checks[0]: should be a name alone, or as in"),
        ('checks = ["no-tabs:4"]', "4: projects.acme.checks[0]: should be a name alone, or as in"),
        ('merge = "rebase"', "4: projects.acme.merge: Input should be 'button', 'script' or"),
        ('title = "{title}"', "4: projects.acme.title: should hold {ticket}"),
        ('title = "{ticket} {titel}"', "4: projects.acme.title: should hold no other braces than {ticket}"),
        ('title = "{ticket} {title"', "4: projects.acme.title: should hold no other braces than {ticket}"),
        ('patch_file = "{ticket}.patch"', "4: projects.acme.patch_file: should hold {number}"),
        ('ticket_url = "https://t.example/"', "4: projects.acme.ticket_url: should hold {ticket}"),
        ('base = ""', "4: projects.acme.base: "),
        ("base = 7", "4: projects.acme.base: "),
        ("commands = [[]]", "4: projects.acme.commands[0]: "),
        ('commands = ["make lint"]', "4: projects.acme.commands[0]: should be a list"),
        ('ticks = ["("]', "4: projects.acme.ticks[0]: is no regular expression"),
        ('answers = {"x" = "{{ why"}', "4: projects.acme.answers.x: is no Jinja2 text"),
        (
            'answers = {"x" = "{{ whi }}"}',
            "4: projects.acme.answers.x: there is no fact whi; the nearest is why",
        ),
        ('[projects.acme.answers]\n"(" = "x"', "4: projects.acme.answers.("),
        ("[projekts]\nx = 1", "4: projekts: there is no such key; the nearest is projects"),
    ],
)
def test_what_does_not_fit_has_its_file_line_key_and_remedy(tmp_path: Path, line: str, said: str) -> None:
    assert f"{tmp_path / FILE}:{said}" in refused(tmp_path, OWN + line)


@pytest.mark.parametrize(
    "url",
    [
        "git@github.com:apache/x.git",
        "https://me:word@github.com/apache/x",
        "https://github.com/x",
        "http://h/a/b",
    ],
)
def test_a_repository_is_named_by_its_https_address(tmp_path: Path, url: str) -> None:
    text = OWN.replace("https://git.example.org/acme/tools.git", url)
    said = refused(tmp_path, text)
    assert ":2: projects.acme.repository: should be https://HOST/OWNER/NAME.git" in said
    assert "me:word" not in said
