# SPDX-License-Identifier: Apache-2.0
"""Many hosts' reports in one: who is alike, and how the others differ."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import chdir
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.cli import cli
from bigtop_builder.errors import InputError
from bigtop_builder.fleet.expected import Expected
from bigtop_builder.fleet.report import files_of, report, why_not_green

INSTALLED = "install ok installed"
ROLES = frozenset({"worker"})
NOW = datetime(2026, 11, 24, 2, tzinfo=UTC)


def package(version: str = "1.0-1", state: str = INSTALLED, digest: str = "a") -> dict[str, str]:
    return {"version": version, "state": state, "sha256_md5sums": digest * 64}


def finding(check: str, subject: str, detail: str, level: str = "error") -> dict[str, str]:
    return {"check": check, "subject": subject, "level": level, "detail": detail, "way_out": "mend it"}


def write(folder: Path, name: str, **change: Any) -> Path:
    """A host's report, named as it: of one that is well, but for what is changed."""
    said = {
        "format": 1,
        "host": name,
        "time": "2026-11-24T02:00:00Z",
        "snapshot": "5" * 64,
        "manifest": "e" * 64,
        "origin": "Test",
        "signer": "A" * 40,
        "roles": ["worker"],
        "findings": [],
        "packages": {"hadoop": package(), "hadoop-hdfs": package()},
        "seconds": 0.5,
        "quick": False,
        "guard": "off",
    }
    path = folder / f"{name}.json"
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
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "5 hosts in 1 group",
        "no definition or inventory says which hosts there are: none is missed",
        "",
        "5 hosts (worker): worker0, worker1, worker2 and 2 more",
        "  pass",
    ]


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
    assert "2 hosts (worker): worker0, worker1\n  pass\n" in done.stdout
    assert "1 host (worker): worker2\n  fail: 1 error\n  unlike the largest group\n" in done.stdout
    assert "    error held hadoop: it is held at 1.0-1\n" in done.stdout
    assert "not passed:\n  worker2: 1 error, the first: held hadoop: it is held at 1.0-1\n" in done.stdout
    assert f"  {fleet}/worker3.json does not count: " in done.stdout
    assert f"  {fleet}/worker4.json does not count: " in done.stdout
    said = json.loads(asked(fleet, "--json").stdout)
    assert (said["passed"], said["hosts"], len(said["groups"]), len(said["unread"])) == (False, 3, 2, 2)


def test_of_files_of_one_name_the_newest_counts(fleet: Path) -> None:
    yesterday = fleet / "yesterday"
    yesterday.mkdir()
    write(yesterday, "worker1", time="2026-11-23T00:00:00Z", findings=[finding("guard", "x", "it is on")])
    assert report(files_of([fleet, yesterday])).passed
    assert report(files_of([yesterday, fleet])).passed
    write(yesterday, "worker1", time="2026-11-24T03:00:00Z", findings=[finding("guard", "x", "it is on")])
    assert not report(files_of([fleet, yesterday])).passed


def test_two_files_of_one_host_are_both_named_and_none_counts(fleet: Path) -> None:
    write(fleet, "worker1", findings=[finding("guard", "x", "it is on")])
    write(fleet, "worker1.example.org", time="2026-11-25T00:00:00Z")
    found = report(files_of([fleet]), Expected(hosts={"worker1.example.org": None}, only=True))
    assert found.missing == ("worker1.example.org",)
    both = f"{fleet}/worker1.example.org.json and {fleet}/worker1.json"
    assert {why.partition(" are of one host")[0] for why in found.unread.values()} == {both}
    assert len(found.unread) == 2


def test_a_report_under_another_hosts_name_hides_nothing(fleet: Path) -> None:
    """Each host is `localhost.localdomain` by a common /etc/hosts; or one says that it is another one."""
    write(fleet, "worker1", findings=[finding("guard", "x", "it is on")])
    write(fleet, "worker2", host="worker1", time="2026-11-24T03:00:00Z")
    found = report(files_of([fleet]))
    assert found.unread == {
        f"{fleet}/worker2.json": "its name says worker2, and the report is of worker1: name the file as the host, or "
        "give verify-host --host"
    }
    assert [one.hosts for one in found.groups if one.errors] == [("worker1",)]


@pytest.mark.parametrize(
    ("file", "host"),
    [
        ("worker9", "worker9.example.org"),
        ("worker9.example.org", "worker9"),
        ("Worker9.Example.org", "worker9.example.org"),
    ],
)
def test_a_name_with_and_without_its_domain_is_one_host(tmp_path: Path, file: str, host: str) -> None:
    write(tmp_path, file, host=host)
    for expected in ("worker9", "worker9.example.org", "WORKER9"):
        found = report(files_of([tmp_path]), Expected(hosts={expected: ROLES}))
        assert (found.reasons, found.groups[0].hosts) == ((), (expected,))
    found = report(files_of([tmp_path]), Expected(hosts={"worker9.other.org": ROLES}))
    assert found.missing == ("worker9.other.org",)
    assert found.doubts == {"no host of the fleet": ("worker9.example.org",)}


def test_a_short_name_that_two_hosts_have_is_neither(tmp_path: Path) -> None:
    write(tmp_path, "worker9")
    found = report(files_of([tmp_path]), Expected(hosts={"worker9.a.org": None, "worker9.b.org": None}))
    assert found.missing == ("worker9.a.org", "worker9.b.org")
    (why,) = found.unread.values()
    assert why.startswith("its name says worker9.a.org and worker9.b.org, ")


DOUBTS: Mapping[str, tuple[dict[str, Any], Expected, str]] = {
    "no roles were asked for": (
        {"roles": []},
        Expected(hosts={"worker9": ROLES}),
        "verified as a host without role, and it is worker",
    ),
    "other roles were asked for": (
        {"roles": ["client", "master"]},
        Expected(hosts={"worker9": ROLES}),
        "verified as client and master, and it is worker",
    ),
    "a stranger": ({}, Expected(hosts={"worker9x": None}), "no host of the fleet"),
    "last year's manifest": (
        {},
        Expected(manifest="f" * 64),
        f"held against the manifest {'e' * 16}, and not {'f' * 16}",
    ),
    "another snapshot": (
        {},
        Expected(snapshot="6" * 64),
        f"held against snapshot {'5' * 16}, and not {'6' * 16}",
    ),
    "an old report": (
        {"time": "2026-11-24T01:59:59Z"},
        Expected(since=NOW),
        "the report is from before 2026-11-24T02:00:00+00:00",
    ),
    "a report of tomorrow": (
        {"time": "2099-01-01T00:00:00Z"},
        Expected(),
        "the report is from the time to come: set the host's clock, or the one here (2026-11-24 02:00:00 UTC)",
    ),
    "a quick look": (
        {"quick": True},
        Expected(full=True),
        "the content of files was left out: verify-host without --quick",
    ),
    "in the middle of an upgrade": (
        {"guard": "on"},
        Expected(full=True),
        "the guard was meant to be on: guard-off, then verify-host without --guard on",
    ),
}


@pytest.mark.parametrize("case", DOUBTS)
def test_what_is_not_as_expected_of_a_host_is_told_and_fails(tmp_path: Path, case: str) -> None:
    change, expected, doubt = DOUBTS[case]
    write(tmp_path, "worker9", **change)
    found = report(files_of([tmp_path]), expected, now=NOW)
    assert found.doubts == {doubt: ("worker9",)}
    assert not found.passed


FLEET = """format = 1
[roles.worker]
packages = ["hadoop"]
[roles.master]
packages = ["hadoop"]
[hosts]
worker = ["worker[0-6]"]
master = ["master1.example.org"]
"""


def test_hosts_of_the_definition_that_have_no_report_are_named(fleet: Path) -> None:
    Path("fleet.toml").write_text(FLEET)
    write(fleet, "master1", roles=["master"])
    done = asked(fleet, "--fleet", "fleet.toml")
    assert done.exit_code == 1
    assert done.stdout.endswith("\nnot passed:\n  no report of worker5, worker6\n")
    assert json.loads(asked(fleet, "--fleet", "fleet.toml", "--json").stdout)["missing"] == [
        "worker5",
        "worker6",
    ]
    write(fleet, "worker5", roles=["master"])
    write(fleet, "worker6")
    done = asked(fleet, "--fleet", "fleet.toml")
    assert done.stdout.endswith("  worker5: verified as master, and it is worker\n")
    write(fleet, "worker5")
    assert asked(fleet, "--fleet", "fleet.toml").exit_code == 0


def test_hosts_of_a_batch_may_be_asked_for_alone(fleet: Path) -> None:
    Path("fleet.toml").write_text(FLEET)
    write(fleet, "worker4", findings=[finding("guard", "x", "it is on")])
    words = (fleet, "--fleet", "fleet.toml", "--host")
    assert asked(*words, "worker[0-3]").exit_code == 0
    assert asked(*words, "worker[0-4]").exit_code == 1
    assert "no report of worker6" in asked(*words, "worker[3,6]").stdout
    assert str(asked(*words, "worker7").exception).startswith("--host: 'worker7' is no host of the fleet")
    assert str(asked(*words, "worker[").exception).startswith("--host: 'worker[' has a bracket")
    assert "no report of other1" in asked(fleet, "--host", "other1").stdout


def test_hosts_of_an_inventory_are_expected_in_their_roles(fleet: Path) -> None:
    Path("fleet.toml").write_text(FLEET.partition("[hosts]")[0])
    Path("hosts.ini").write_text("[worker]\nworker[0:4]\n[master]\nworker9\n")
    done = asked(fleet, "--fleet", "fleet.toml", "--inventory", "hosts.ini")
    assert done.stdout.endswith("\nnot passed:\n  no report of worker9\n")
    done = asked(fleet, "--inventory", "hosts.ini")
    assert "names no role" in str(done.exception)


def test_the_manifest_is_known_by_its_bytes_and_time_by_utc(fleet: Path) -> None:
    Path("manifest").write_text("{}")
    assert str(asked(fleet, "--manifest", "manifest").exception).startswith(
        "manifest is not a valid FleetManifest"
    )
    said = {"origin": "Test", "label": "Test", "keys": [], "snapshot": "5" * 64, "suite": "x", "indices": {}}
    Path("manifest").write_text(json.dumps({**said, "date": "2026-11-24T00:00:00Z", "packages": []}))
    assert "held against the manifest" in asked(fleet, "--manifest", "manifest").stdout
    digest = hashlib.sha256(Path("manifest").read_bytes()).hexdigest()
    for number in range(5):
        write(fleet, f"worker{number}", manifest=digest)
    assert asked(fleet, "--manifest", "manifest", "--since", "2026-11-24T02:00").exit_code == 0
    assert asked(fleet, "--since", "2026-11-24T02:01").exit_code == 1
    assert asked(fleet, "--since", "yesterday").exit_code == 2


def test_a_look_in_full_may_be_asked_for(fleet: Path) -> None:
    for number in range(5):
        write(fleet, f"worker{number}", quick=True)
    assert asked(fleet).exit_code == 0
    done = asked(fleet, "--full")
    assert done.exit_code == 1
    assert "worker0, worker1, worker2, worker3, worker4: the content of files was left out" in done.stdout


@given(cut=st.integers(0, 700), junk=st.binary(max_size=30))
def test_a_damaged_report_is_told_and_ends_nothing(tmp_path_factory: Any, cut: int, junk: bytes) -> None:
    folder = tmp_path_factory.mktemp("hosts")
    path = write(folder, "worker1", findings=[finding("held", "hadoop", "it is held")])
    whole = path.read_bytes()
    path.write_bytes(whole[:cut] + junk + whole[cut:])
    found = report(files_of([folder]))
    assert not found.passed
    assert all(reason.isprintable() for reason in found.reasons)


def test_nothing_of_a_host_prints_lines_of_its_own_choice(fleet: Path) -> None:
    write(fleet, "worker1", host="w9\n  pass\nall 100 hosts pass")
    write(fleet, "worker2", findings=[finding("held", "a\x1b[2J", "x\nall 100 hosts pass\u202e")])
    (fleet / "worker\n3.json").write_text("{}")
    found = report(files_of([fleet]))
    assert found.groups[-1].differs == ("error held a\\x1b[2J: x all 100 hosts pass\\u202e",)
    lines = asked(fleet).stdout.splitlines()
    assert not [line for line in lines if line.startswith("all 100 hosts") or not line.isprintable()]
    assert set(found.unread) == {f"{fleet}/worker1.json", f"{fleet}/worker 3.json"}


def test_a_group_of_hosts_is_green_for_a_snapshot_or_it_says_why_not(fleet: Path) -> None:
    ask = partial(why_not_green, [fleet], snapshot="5" * 64, since=NOW, now=NOW)
    assert ask(hosts={"worker0": ROLES, "worker1": None}) == ()
    write(fleet, "worker2", quick=True, findings=[finding("held", "hadoop", "it is held")])
    assert ask(hosts={"worker0": ROLES}) == (), "what other hosts have is no concern"
    assert ask(hosts={"worker2": ROLES, "worker9": ROLES}) == (
        "worker2: 1 error, the first: held hadoop: it is held",
        "no report of worker9",
        "worker2: the content of files was left out: verify-host without --quick",
    )
    assert ask(hosts={}) == ("no host is named",)
    assert ask(hosts={"worker0": None}, manifest="f" * 64) == (
        f"worker0: held against the manifest {'e' * 16}, and not {'f' * 16}",
    )
    empty = fleet / "empty"
    empty.mkdir()
    assert why_not_green([empty], {"worker0": None}, snapshot="5" * 64, since=NOW) == (
        f"{empty} has no report, *.json",
    )
    with pytest.raises(ValueError, match="neither manifest nor snapshot"):
        why_not_green([fleet], {"worker0": None}, since=NOW)


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
