# SPDX-License-Identifier: Apache-2.0
"""What a rehearsal makes of what it sees: hosts that are as before, records that let a snapshot through."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.fleet.rehearsal.faults import FAULTS
from bigtop_builder.fleet.rehearsal.host_state import HostState, differences, notes, pairs
from bigtop_builder.fleet.rehearsal.record import (
    BROKEN,
    RehearsalRecord,
    Trial,
    read_signed,
    require_green,
    write_signed,
)
from bigtop_builder.fleet.rehearsal.served import Served
from bigtop_builder.keys import KeyStore

OLD, NEW = "ab" * 32, "cd" * 32
BEFORE = HostState(
    packages={"hadoop": "1 ii ", "libc6:amd64": "2 ii "},
    configuration={
        "/etc/hadoop/core-site.xml": "aa; f 644 root:root ",
        "/etc/passwd": "bb",
        "/etc/hosts": "cc",
    },
    data={"hdfs dfs -cat /x": "y"},
)


def record(*, keys: tuple[str, ...] = ("A" * 40,), **other: object) -> RehearsalRecord:
    trials = tuple(Trial(fault=name, reached="hold", steps=(), seconds=1) for name in ("", *FAULTS))
    made = RehearsalRecord(
        origin="x",
        keys=keys,
        old=OLD,
        new=NEW,
        manifests={"old": OLD, "new": NEW},
        runbook=OLD,
        target="deb12",
        roles={"worker": ("hadoop",)},
        faults=tuple(FAULTS),
        date=datetime.now(UTC),
        tool="1",
        seconds=1,
        trials=trials,
        passed=True,
    )
    return made.model_copy(update=other)


def test_what_a_command_says_of_one_file_twice_counts_twice() -> None:
    assert pairs("/etc/x\tabc\n/etc/y\td\n/etc/x\tf 644\n") == {"/etc/x": "abc; f 644", "/etc/y": "d"}


def test_a_host_that_is_as_before_has_no_differences() -> None:
    assert differences("w", BEFORE, BEFORE, ["hadoop"]) == []
    assert notes("w", BEFORE, BEFORE, ["hadoop"]) == []


def test_what_the_way_back_must_bring_back_is_named() -> None:
    after = HostState(
        packages={"hadoop": "1 iU ", "hive": "3 ii "},
        configuration={"/etc/hadoop/core-site.xml": "ee; f 644 root:root ", "/etc/hosts": "dd"},
        data={"hdfs dfs -cat /x": "exit status 1: gone"},
    )
    assert differences("w", BEFORE, after, ["hadoop", "hive"]) == [
        "w: package hadoop was 1 ii , and is 1 iU ",
        "w: package libc6:amd64 was 2 ii , and is not installed",
        "w: package hive was not there, and is 3 ii ",
        "w: /etc/hadoop/core-site.xml was aa; f 644 root:root , and is ee; f 644 root:root ",
        "w: `hdfs dfs -cat /x` printed 'y', and now 'exit status 1: gone'",
    ]


def test_what_packages_may_leave_is_told_and_no_difference() -> None:
    after = replace(
        BEFORE,
        packages={**BEFORE.packages, "libfuse3-3:amd64": "3 ii ", "hive": "3 rc "},
        configuration={
            **BEFORE.configuration,
            "/etc/passwd": "b2",
            "/etc/hosts": "c2",
            "/etc/x.dpkg-dist": "z",
        },
    )
    assert differences("w", BEFORE, after, ["hadoop", "hive"]) == []
    assert notes("w", BEFORE, after, ["hadoop", "hive"]) == [
        "w: packages of the distribution are left: libfuse3-3:amd64",
        "w: files are left: /etc/x.dpkg-dist",
        "w: accounts differ: /etc/passwd",
    ]


def test_only_a_whole_green_and_signed_rehearsal_lets_its_snapshot_through(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys")
    key = store.new("Ann Bee", "ann@bee.example")
    with store.open() as keyring:
        public = keyring.export_public([key], armor=False)

        def written(**other: object) -> Path:
            return write_signed(record(keys=(key,), **other), keyring, tmp_path)

        assert require_green(written(), public, new=NEW, old=OLD).passed
        with pytest.raises(CheckFailed, match="the rehearsal of another way"):
            require_green(written(), public, new=OLD)
        with pytest.raises(CheckFailed, match="in part") as part:
            require_green(written(left_out=("client",), not_tried={"disk-full": "x"}), public, new=NEW)
        assert part.value.details == "role client\nfault disk-full: x"
        with pytest.raises(CheckFailed, match="in part"):
            require_green(written(faults=()), public, new=NEW)
        failed = Trial(reached="hold", steps=(), seconds=1, findings=("worker: gone",))
        with pytest.raises(CheckFailed, match="a day that failed") as bad:
            require_green(
                written(passed=False, trials=(failed,), not_tried={"disk-full": BROKEN}), public, new=NEW
            )
        assert "the whole day: worker: gone" in bad.value.details
        (tmp_path / "rehearsal.json.asc").unlink()
        with pytest.raises(InputError, match="cannot be read"):
            read_signed(tmp_path / "rehearsal.json", public)


def test_a_repository_goes_in_the_middle_of_a_package_and_comes_back_at_its_address(tmp_path: Path) -> None:
    (tmp_path / "x.deb").write_bytes(b"x" * 5000)
    (tmp_path / "Packages").write_text("x\n")
    with Served(tmp_path, "127.0.0.1") as served:
        url = served.url
        served.arm()
        assert httpx.get(f"{url}/Packages").text == "x\n"
        with httpx.stream("GET", f"{url}/x.deb") as answer:
            assert answer.headers["Content-Length"] == "5000"
            assert served.cut(5)
            served.stop()
            with pytest.raises(httpx.RemoteProtocolError):
                answer.read()
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/Packages")
        served.start()
        assert served.url == url
        assert len(httpx.get(f"{url}/x.deb").content) == 5000
