# SPDX-License-Identifier: Apache-2.0
"""Many hosts' reports in one: who is alike, and how the others differ."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bigtop_builder.cli import cli
from bigtop_builder.errors import InputError
from bigtop_builder.fleet.report import files_of, report

INSTALLED = "install ok installed"


def package(version: str = "1.0-1", state: str = INSTALLED, digest: str = "a") -> dict[str, str]:
    return {"version": version, "state": state, "sha256_md5sums": digest * 64}


def finding(check: str, subject: str, detail: str, level: str = "error") -> dict[str, str]:
    return {"check": check, "subject": subject, "level": level, "detail": detail, "way_out": "mend it"}


def write(folder: Path, host: str, **change: Any) -> Path:
    """A host's report: of one that is well, but for what is changed."""
    said = {
        "format": 1,
        "host": host,
        "time": "2026-11-24T02:00:00Z",
        "snapshot": "5" * 64,
        "manifest": "e" * 64,
        "roles": ["worker"],
        "findings": [],
        "packages": {"hadoop": package(), "hadoop-hdfs": package()},
        "seconds": 0.5,
        "quick": False,
    }
    path = folder / f"{host}.json"
    path.write_text(json.dumps({**said, **change}))
    return path


def asked(*words: object) -> Result:
    return CliRunner().invoke(cli, ["fleet", "report", *map(str, words)])


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Path]:
    with chdir(tmp_path):
        for number in range(5):
            write(tmp_path, f"worker{number}", seconds=number, time=f"2026-11-24T02:0{number}:00Z")
        yield tmp_path


def test_hosts_that_are_alike_are_one_group_and_pass(fleet: Path) -> None:
    found = report(files_of([fleet]))
    assert [(one.hosts, one.errors, one.differs) for one in found.groups] == [
        (tuple(f"worker{number}" for number in range(5)), 0, ())
    ]
    assert found.passed
    done = asked(fleet)
    assert (done.exit_code, done.output) == (
        0,
        "5 hosts in 1 group\n\n5 hosts (worker): worker0, worker1, worker2 and 2 more\n  pass\n",
    )


CASES: Mapping[str, tuple[dict[str, Any], list[str]]] = {
    "another version": (
        {"packages": {"hadoop": package(), "hadoop-hdfs": package("0.9-1", digest="b")}},
        ["hadoop-hdfs: 0.9-1, not 1.0-1"],
    ),
    "another build": (
        {"packages": {"hadoop": package(), "hadoop-hdfs": package(digest="b")}},
        [f"hadoop-hdfs: build {'b' * 16}, not build {'a' * 16}"],
    ),
    "another state": (
        {"packages": {"hadoop": package(state="hold ok installed"), "hadoop-hdfs": package()}},
        ["hadoop: hold ok installed, not install ok installed"],
    ),
    "a package less": (
        {"packages": {"hadoop": package()}},
        ["hadoop-hdfs: not there, not 1.0-1, install ok installed"],
    ),
    "an altered file": (
        {"findings": [finding("file", "hadoop", "/usr/bin/hdfs is altered")]},
        ["error file hadoop: /usr/bin/hdfs is altered"],
    ),
    "a quick look": ({"quick": True}, ["the content of files was left out"]),
    "another manifest": (
        {"manifest": "f" * 64, "snapshot": "6" * 64},
        [f"was held against snapshot {'6' * 16}, not {'5' * 16}"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_host_that_differs_is_a_group_of_its_own_with_what_differs(fleet: Path, case: str) -> None:
    change, expected = CASES[case]
    write(fleet, "worker9", **change)
    found = report(files_of([fleet]))
    assert [(one.hosts[-1], list(one.differs)) for one in found.groups] == [
        ("worker4", []),
        ("worker9", expected),
    ]


def test_what_only_the_largest_group_has_is_told_of_the_others(fleet: Path) -> None:
    note = finding("conffile", "hadoop", "/etc/hadoop/conf/x is altered: MD5 1", "note")
    for number in range(5):
        write(fleet, f"worker{number}", findings=[note])
    write(fleet, "worker9")
    found = report(files_of([fleet]))
    assert found.groups[1].differs == ("has not: note conffile hadoop: /etc/hadoop/conf/x is altered: MD5 1",)
    assert found.passed, "notes fail nobody"


def test_roles_are_compared_with_their_own_kind(fleet: Path) -> None:
    write(fleet, "master1", roles=["master"], packages={"hadoop-hdfs-namenode": package()})
    found = report(files_of([fleet]))
    assert [one.differs for one in found.groups] == [(), ()]


def test_hosts_that_fail_are_named_with_what_fails(fleet: Path) -> None:
    write(fleet, "worker2", findings=[finding("held", "hadoop", "it is held at 1.0-1")])
    (fleet / "worker3.json").write_text('{"format": 1, "ho')
    (fleet / "worker4.json").write_text("")
    done = asked(fleet)
    assert done.exit_code == 1
    assert "2 hosts (worker): worker0, worker1\n  pass\n" in done.output
    assert "1 host (worker): worker2\n  fail: 1 error\n  unlike the largest group\n" in done.output
    assert "    error held hadoop: it is held at 1.0-1\n" in done.output
    assert f"{fleet}/worker3.json has no report: " in done.output
    assert f"{fleet}/worker4.json has no report: " in done.output
    said = json.loads(asked(fleet, "--json").output)
    assert (said["passed"], said["hosts"], len(said["groups"]), len(said["unread"])) == (False, 3, 2, 2)


def test_of_a_host_with_several_reports_the_newest_counts(fleet: Path) -> None:
    older = write(fleet, "worker1", time="2026-11-23T00:00:00Z", findings=[finding("guard", "x", "it is on")])
    older.rename(fleet / "yesterday.json")
    write(fleet, "worker1")
    assert report(files_of([fleet])).passed


def test_another_format_and_an_empty_folder_are_named(fleet: Path, tmp_path: Path) -> None:
    write(fleet, "worker1", format=2)
    (why,) = report(files_of([fleet])).unread.values()
    assert "format" in why
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="has no report"):
        files_of([empty])


def test_a_thousand_hosts_take_no_five_seconds(tmp_path: Path) -> None:
    packages = {f"package{number}": package() for number in range(120)}
    for number in range(1000):
        odd = (
            [finding("conffile", "hadoop", f"/etc/x is altered: MD5 {number}", "note")]
            if number % 10 == 0
            else []
        )
        write(tmp_path, f"worker{number:04}", packages=packages, findings=odd)
    begun = time.monotonic()
    found = report(files_of([tmp_path]))
    assert time.monotonic() - begun < 5
    assert (found.hosts, len(found.groups), len(found.groups[0].hosts)) == (1000, 101, 900)
