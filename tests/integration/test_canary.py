# SPDX-License-Identifier: Apache-2.0
"""What a suite's hosts get only after a green rehearsal and green canary hosts, with real gpg."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from keepers_desk import Desk

from apt_host import write_deb
from bigtop_builder.fleet.rehearsal.record import RanStep, RehearsalRecord, Trial, write_signed
from bigtop_builder.repository.layout import Entry

DEMANDS = """\
format = 1

[roles.worker]
packages = ["hello"]

[hosts]
worker = ["w[1-3].example.org"]

[promote.stable]
rehearsal = true
canary = ["w[1-2].example.org"]
"""
FORCED = ("--force", "--why", "the way out of CVE-1 cannot wait")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """`testing` is one package ahead of `stable`, whose hosts are guarded from then on."""
    desk = Desk.make(tmp_path)
    with desk.definition.open("a") as definition:
        definition.write("[suites.testing]\n")
    desk.found()
    desk.do("repo", "add", "testing", write_deb(desk.home, "hello", "2.0"))
    (desk.project / "repo/fleet.toml").write_text(DEMANDS)
    return desk


def snapshots(desk: Desk) -> tuple[str, str]:
    """Those of `stable` and `testing`."""
    found = desk.repository.state.unverified_pointers(["stable", "testing"])
    return found["stable"].snapshot, found["testing"].snapshot


def last(desk: Desk) -> Entry:
    return desk.repository.state.history("stable")[-1]


def rehearsed(desk: Desk, **change: Any) -> None:
    """A rehearsal's record, signed by the repository's key: green, but for what is changed."""
    old, new = snapshots(desk)
    step = RanStep(phase="switch", id="upgrade", way="on", host="worker", exit=0, seconds=1)
    said: dict[str, Any] = {
        "origin": "Test",
        "keys": [desk.old],
        "old": old,
        "new": new,
        "manifests": {"old": "e" * 64, "new": "f" * 64},
        "runbook": "a" * 64,
        "target": "deb12",
        "roles": {"worker": ["hello"]},
        "faults": ["dpkg-killed"],
        "date": datetime.now(UTC),
        "tool": "0",
        "seconds": 2,
        "trials": [Trial(reached="hold", steps=(step,), seconds=1)],
        "passed": True,
        **change,
    }
    folder = desk.project / "build/fleet" / new[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with desk.store.open([desk.old]) as keyring:
        write_signed(RehearsalRecord(**said), keyring, folder)


def reported(desk: Desk, host: str, **change: Any) -> None:
    """A canary host's report: green, but for what is changed."""
    said = {
        "format": 1,
        "host": host,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "snapshot": snapshots(desk)[1],
        "manifest": "f" * 64,
        "origin": "Test",
        "signer": desk.old,
        "roles": ["worker"],
        "findings": [],
        "packages": {},
        "seconds": 0.5,
        "quick": False,
        "guard": "off",
    }
    folder = desk.project / "build/fleet/canary"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{host}.json").write_text(json.dumps({**said, **change}))


def all_is_green(desk: Desk) -> None:
    rehearsed(desk)
    for host in ("w1.example.org", "w2.example.org"):
        reported(desk, host)


def refused(desk: Desk) -> str:
    """What a promote says that changes nothing."""
    before = snapshots(desk)[0]
    said = desk.do("repo", "promote", "testing", "stable", status=10)
    assert snapshots(desk)[0] == before
    return said


def test_a_snapshot_gets_through_with_a_green_rehearsal_and_green_hosts(desk: Desk) -> None:
    all_is_green(desk)
    desk.do("repo", "promote", "testing", "stable")
    assert last(desk).waived == ()


def test_without_them_each_thing_that_is_wanting_is_named(desk: Desk) -> None:
    new = snapshots(desk)[1]
    said = refused(desk)
    assert f"suite stable does not get snapshot {new[:16]} yet" in said
    assert f"rehearsal: {desk.project}/repo/../build/fleet/{new[:16]}/rehearsal.json cannot be read" in said
    assert "canary: no report of w1.example.org, w2.example.org" in said
    assert "--force with --why REASON" in said


def test_a_rehearsal_from_elsewhere_or_signed_by_others_is_none(desk: Desk) -> None:
    all_is_green(desk)
    rehearsed(desk, old="d" * 64)
    assert "is the rehearsal of another way" in refused(desk)
    rehearsed(desk, passed=False)
    assert "is the rehearsal of a day that failed" in refused(desk)
    rehearsed(desk)
    (path,) = (desk.project / "build/fleet").glob("*/rehearsal.json")
    path.write_text(path.read_text().replace('"deb12"', '"deb13"'))
    assert "rehearsal: " in refused(desk)


def test_one_canary_host_that_is_not_well_or_was_looked_at_long_ago_stops_it(desk: Desk) -> None:
    all_is_green(desk)
    finding = {"check": "file", "subject": "hello", "level": "error", "detail": "altered", "way_out": ""}
    reported(desk, "w2.example.org", findings=[finding])
    assert "canary: w2.example.org: 1 error, the first: file hello: altered" in refused(desk)
    long_ago = datetime.now(UTC) - timedelta(days=8)
    reported(desk, "w2.example.org", time=long_ago.strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert "canary: w2.example.org" in refused(desk)
    reported(desk, "w2.example.org", snapshot=snapshots(desk)[0])
    assert "canary: w2.example.org" in refused(desk)


def test_it_is_forced_with_a_reason_that_lands_in_the_signed_history(desk: Desk) -> None:
    said = desk.do("repo", "promote", "testing", "stable", "--force", status=2)
    assert "--force needs --why REASON" in said
    desk.do("repo", "promote", "testing", "stable", *FORCED)
    entry = last(desk)
    assert entry.why == FORCED[2]
    assert all(line.startswith("forced: ") for line in entry.waived)
    assert "forced: canary: no report of w1.example.org, w2.example.org" in entry.waived


def test_what_was_never_tried_does_not_come_into_the_suite_itself(desk: Desk) -> None:
    came = write_deb(desk.home, "hello", "3.0")
    for words in (("add", "stable", came), ("remove", "stable", "hello")):
        assert "publish to another suite, and promote" in desk.do("repo", *words, status=10)
    desk.do("repo", "add", "stable", came, *FORCED)
    assert last(desk).waived == (
        "forced: what comes into the suite itself was never tried: publish to another suite, and promote",
    )


def test_the_way_back_is_open_at_any_time(desk: Desk) -> None:
    old = snapshots(desk)[0]
    desk.do("repo", "promote", "testing", "stable", *FORCED)
    desk.do("repo", "rollback", "stable", "--why", "namenode does not start")
    assert snapshots(desk)[0] == old


def test_a_canary_host_that_the_fleet_has_not_is_refused_by_name(desk: Desk) -> None:
    fleet = desk.project / "repo/fleet.toml"
    fleet.write_text(DEMANDS.replace("w[1-2]", "w[1-4]"))
    said = desk.do("repo", "promote", "testing", "stable", status=2)
    assert "promote.stable.canary: 'w4.example.org' is no host of the fleet" in said


def test_the_project_demands_nothing_of_another_repository(desk: Desk) -> None:
    desk.do("repo", "init", desk.home / "other", "--key", desk.old, "--origin", "Other")
    came = write_deb(desk.home, "hello", "4.0")
    desk.do("repo", "add", "stable", came, "--repo", desk.home / "other")
    named = desk.do("repo", "add", "stable", came, "--repo", desk.project / "srv", status=10)
    assert "suite stable does not get packages of its own yet" in named
