# SPDX-License-Identifier: Apache-2.0
"""An upgrade day is rehearsed in containers, by the command, with the day's own scripts and with faults in them."""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from builds import containers_of
from keepers_desk import Desk
from rooms import MINIATURE

from bigtop_builder.container import LABEL, Engine
from bigtop_builder.errors import CheckFailed, SigningError
from bigtop_builder.fleet.rehearsal.faults import FAULTS
from bigtop_builder.fleet.rehearsal.record import require_green
from bigtop_builder.repository.authentic import public_keys
from bigtop_builder.run import run
from verify_debs import make_deb

pytestmark = pytest.mark.docker

OLD, NEW = "1.0-1+bt1.0.0.1~deb12", "2.0-1+bt1.1.0.1~deb12"
INIT = """#!/bin/sh
case $1 in
start) touch /run/tock ;;
stop) rm -f /run/tock ;;
status) [ -e /run/tock ] || exit 3 ;;
esac
"""
POSTINST = "mkdir -p /var/lib/tock; [ $1 != configure ] || invoke-rc.d tock start"
FLEET = """
format = 1

[roles.worker]
packages = ["tock"]
order = 1
health = ["service tock status"]

[roles.client]
packages = ["tick"]
order = 2

[day]
patience = 10

[services.tock]
order = 10

[rehearsal.worker]
prepare = ["echo 'b = 2' >>/etc/tock.conf"]
load = ["date +%N >/var/lib/tock/treasure"]
data = ["cat /var/lib/tock/treasure", "cat /etc/tock.conf"]

[rehearsal.client]
data = ["wc -l /usr/share/tick/more"]
"""


def packages(folder: Path, version: str) -> list[Path]:
    """A library of two packages, and a daemon that needs it, with configuration of its own."""
    folder.mkdir()
    more = make_deb(
        folder, "tick-data", version=version, files={"usr/share/tick/more": f"{version}\n" * 2000}
    )
    tick = make_deb(folder, "tick", version=version, fields={"Depends": f"tick-data (= {version})"})
    tock = make_deb(
        folder,
        "tock",
        version=version,
        files={"usr/share/tock/data": f"{version}\n" * 2000},
        conffiles={"etc/tock.conf": f"# of {version}\na = 1\n", "etc/init.d/tock": INIT},
        scripts={"postinst": POSTINST},
        fields={"Depends": f"tick (= {version})"},
    )
    return [more, tick, tock]


@pytest.fixture(scope="module")
def desk(first_founded: Desk, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A repository whose suite went from one tock to another."""
    made = first_founded.copied(tmp_path_factory.mktemp("rehearsal"))
    (made.project / "repo/fleet.toml").write_text(FLEET)
    (made.project / "recipes/1.0.0.toml").write_text(MINIATURE.read_text())
    made.do("repo", "add", "stable", made.package())
    for version in (OLD, NEW):
        made.do("repo", "add", "stable", *packages(made.home / f"debs-{version}", version))
    return made


def rehearsal(desk: Desk, *words: str) -> tuple[list[str], dict[str, str]]:
    """A rehearsal as a process of its own, and its variables: it takes longer than a command of the desk may."""
    argv = [sys.executable, "-m", "bigtop_builder", "fleet", "rehearse", *way(desk), "--recipe", "1.0.0"]
    env = {
        "HOME": str(desk.home),
        "BIGTOP_BUILDER_KEYS_DIR": str(desk.home / "keys"),
        "BIGTOP_BUILDER_PROJECT": str(desk.project),
    }
    return [*argv, *words], env


def rehearsed(desk: Desk, *words: str, status: int = 0) -> tuple[str, dict[str, Any]]:
    """What the command says, and its record."""
    record(desk).unlink(missing_ok=True)
    argv, env = rehearsal(desk, *words)
    done = run(argv, env=env, check=False)
    said = done.text + done.complaint
    assert done.returncode == status, said
    return said, json.loads(record(desk).read_text()) if record(desk).exists() else {}


def way(desk: Desk) -> tuple[str, str]:
    """The snapshot that hosts come from, and the one that they go to."""
    *_, old, new = [one.after for one in desk.repository.state.history("stable")]
    return old, new


def record(desk: Desk) -> Path:
    return desk.project / f"build/fleet/{way(desk)[1][:16]}/rehearsal.json"


def networks_of(pid: int) -> list[str]:
    """Networks that a process made."""
    with Engine.connect() as engine:
        found = engine.client.networks.list(filters={"label": f"{LABEL}.pid={pid}"})
        return [str(one.name) for one in found]


def test_after_the_day_and_after_each_fault_all_is_as_before_and_the_record_says_so(desk: Desk) -> None:
    said, record_ = rehearsed(desk, "--finalize")
    trials = record_["trials"]
    assert [one["fault"] for one in trials] == ["", *FAULTS, ""]
    assert [one["findings"] for one in trials] == [[]] * len(trials)
    assert record_["passed"]
    assert record_["finalized"]
    assert [one["reached"] for one in trials] == ["hold", *(["switch"] * len(FAULTS)), "finalize"]
    for trial in trials[1:-1]:
        assert trial["stopped"].startswith("switch-client on client"), trial
        assert "way out" in trial["stopped"] or trial["fault"] == "host-unreachable", trial
    assert "No space left on device" in json.dumps(trials)
    assert re.search(r"repository-gone +client +switch +[0-9.]+ +yes", said)
    old, new = way(desk)
    public = desk.store.open(desk.repository.state.settings().keys)
    with public as keyring:
        keys = public_keys(desk.repository.state, keyring)
    assert require_green(record(desk), keys, new=new, old=old).faults == tuple(FAULTS)
    with pytest.raises(CheckFailed, match="another way"):
        require_green(record(desk), keys, new=old)
    forged = record(desk).with_name("forged.json")
    forged.write_text(record(desk).read_text().replace('"passed": true', '"passed": false'))
    forged.with_name("forged.json.asc").write_text(record(desk).with_name("rehearsal.json.asc").read_text())
    with pytest.raises(SigningError):
        require_green(forged, keys, new=new)


def test_a_way_back_that_loses_something_is_found_and_no_fault_is_tried_then(desk: Desk) -> None:
    fleet = desk.project / "lossy.toml"
    lossy = 'restore = ["echo gone >/var/lib/tock/treasure", "echo c = 3 >>/etc/tock.conf"]'
    fleet.write_text(FLEET.replace("[services.tock]", f"[services.tock]\n{lossy}"))
    said, record_ = rehearsed(desk, "--fleet", str(fleet), "--fault", "disk-full", status=1)
    assert not record_["passed"]
    (trial,) = record_["trials"]
    assert any("worker: /etc/tock.conf was " in one for one in trial["findings"])
    assert any("`cat /var/lib/tock/treasure` printed" in one for one in trial["findings"])
    assert "not tried: disk-full: hosts were not as before" in said
    assert "fault killed-unpacking: it was not asked for" not in said


def test_an_old_snapshot_whose_data_cannot_be_read_is_no_beginning(desk: Desk) -> None:
    fleet = desk.project / "unread.toml"
    fleet.write_text(FLEET.replace('"cat /etc/tock.conf"', '"cat /etc/tick.conf"'))
    said, _ = rehearsed(desk, "--fleet", str(fleet), "--no-faults", "--role", "worker", status=1)
    assert "data cannot be read before the day\n  worker: `cat /etc/tick.conf`: exit status 1" in said


def test_what_cannot_be_played_is_refused(desk: Desk) -> None:
    old, new = way(desk)
    words = ("fleet", "rehearse", "--recipe", "1.0.0")
    assert "say the opposite" in desk.do(*words, old, new, "--fault", "disk-full", "--no-faults", status=2)
    assert "is the snapshot itself" in desk.do(*words, new, "stable", status=2)
    assert "there is no role 'worked'" in desk.do(*words, old, new, "--role", "worked", status=2)


def test_a_rehearsal_that_is_broken_off_leaves_nothing(desk: Desk) -> None:
    argv, env = rehearsal(desk)
    pid = os.posix_spawn(argv[0], argv, {**os.environ, **env})
    end = time.monotonic() + 120
    while not any("rehearsal-client" in name for name in containers_of(pid)):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert networks_of(pid)
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 128 + signal.SIGTERM
    assert containers_of(pid) == []
    assert networks_of(pid) == []
