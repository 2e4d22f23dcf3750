# SPDX-License-Identifier: Apache-2.0
"""Lists of packages per role, computed by a real apt about a real repository, and run on real systems."""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from keepers_desk import Desk
from rooms import MINIATURE, containers

from bigtop_builder.container import Container, Engine
from bigtop_builder.repository.serve import serve
from bigtop_builder.tarstream import pack
from verify_debs import make_deb

pytestmark = [pytest.mark.docker, pytest.mark.network]

OLD, NEW = "1.0-1+bt1", "2.0-1+bt2"
KILL = "[ ! -e /root/kill.{0} ] || {{ rm /root/kill.{0}; kill -9 $PPID; sleep 9; }}"
"""What kills dpkg in a script of a package, once, where a test asks for it."""
HOLD = "open F, '+>', $ARGV[0]; fcntl(F, 6, pack('ssx4qql', 1, 0, 0, 0, 0)) or die; sleep 7"
"""Has one of apt's locks for a while (fcntl(2): F_SETLK, F_WRLCK)."""
FLEET = """format = 1
[roles.worker]
packages = ["datanode", "zookeeper"]
distribution = ["procps"]
[roles.client]
packages = ["hadoop | hadoop-core", "shiny"]
"""


@pytest.fixture
def stack(founded: Desk) -> Desk:
    """A repository whose suite went from a release to the next one, and a fleet of two roles."""
    founded.do("repo", "add", "stable", founded.package())
    for version in (OLD, NEW):
        debs = founded.home / f"debs-{version}"
        debs.mkdir()
        needs = {
            "hadoop": "adduser",
            "datanode": f"hadoop (= {version})",
            "hadoop-doc": f"hadoop (= {version})",
        }
        for name, depends in {**needs, "zookeeper": ""}.items():  # lower than Debian's own
            scripts = {script: KILL.format(script) for script in ("preinst", "postinst")}
            make_deb(
                debs,
                name,
                version=version,
                fields={"Depends": depends},
                scripts=scripts if name == "hadoop" else {},
                conffiles={"etc/hadoop.conf": f"as shipped in {version}\n"} if name == "hadoop" else {},
            )
        if version == NEW:
            make_deb(debs, "shiny", version=NEW, fields={"Depends": f"hadoop (= {NEW})"})
        founded.do("repo", "add", "stable", debs)
    (founded.project / "repo/fleet.toml").write_text(FLEET)
    return founded


def lists(desk: Desk, *words: object, status: int = 0) -> str:
    given = ("--recipe", MINIATURE, "--output", desk.home / "lists", *words)
    return desk.do("fleet", "lists", "stable", *given, status=status)


@contextmanager
def host(desk: Desk) -> Iterator[Container]:
    """A clean system with the lists, and with what takes it to the snapshots."""
    with (
        Engine.connect() as engine,
        containers(engine).open(purpose="fleet") as room,
        serve(desk.project / "srv", host=room.gateway) as url,
    ):
        desk.do("fleet", "sources", "stable", "--output", desk.home / "sources", "--url", url)
        room.put(pack({"lists": desk.home / "lists", "sources": desk.home / "sources"}), "/root")
        yield room


def sh(room: Container, line: str, *, status: int = 0) -> str:
    done = room.run(["sh", "-c", line], env={"LC_ALL": "C"}, check=False, cwd="/root")
    assert done.returncode == status, done.text + done.complaint
    return done.text + done.complaint


def versions(room: Container) -> dict[str, str]:
    """What is installed of ours."""
    line = "dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\\n'"
    rows = [one.split() for one in sh(room, line).splitlines()]
    ours = {"hadoop", "datanode", "hadoop-doc", "zookeeper", "shiny"}
    return {name: version for name, version, *state in rows if name in ours and state == ["ii"]}


def test_a_worker_goes_there_and_back_by_the_commands_and_loses_nothing_unasked(stack: Desk) -> None:
    said = json.loads(lists(stack, "--role", "worker", "--json"))
    closure = ["datanode", "hadoop", "zookeeper"]
    worker = said["roles"]["worker"]
    assert worker["upgrade"] == {"packages": dict.fromkeys(closure, NEW), "removes": [], "leaves": []}
    assert worker["rollback"] == {"packages": dict.fromkeys(closure, OLD), "removes": [], "leaves": []}
    listed = (stack.home / "lists/worker/upgrade.list").read_text().split()
    assert listed == [*(f"{name}={NEW}" for name in closure), "procps"]

    with host(stack) as room:
        assert "run use-upgrade of fleet sources first" in sh(room, "lists/worker/upgrade", status=1)
        sh(room, "apt-get -q update && apt-get -y -q install ./sources/*.deb && sources/use-rollback")
        sh(room, "lists/worker/rollback")
        assert versions(room) == dict.fromkeys(closure, OLD)

        sh(room, "sources/use-upgrade && lists/worker/upgrade -s")
        assert versions(room) == dict.fromkeys(closure, OLD)
        sh(room, "lists/worker/upgrade")
        assert versions(room) == dict.fromkeys(closure, NEW)

        sh(room, "apt-get -y -q install hadoop-doc shiny && sources/use-rollback")
        assert "apt would remove shiny too" in sh(room, "lists/worker/rollback", status=1)
        assert versions(room) == dict.fromkeys([*closure, "hadoop-doc", "shiny"], NEW)
        sh(room, "apt-get -y -q remove shiny && lists/worker/rollback")
        assert versions(room) == dict.fromkeys([*closure, "hadoop-doc"], OLD)
        sh(room, "lists/worker/rollback")


def test_a_way_back_that_lost_a_package_is_refused_and_removes_it_if_told_to(stack: Desk) -> None:
    said = lists(stack, status=2)
    assert "lacks shiny: hosts that were upgraded would lose what they need" in said
    assert "role client: it would remove shiny" in said
    assert not (stack.home / "lists").exists()

    lists(stack, "--role", "client", "--accept-removal", "shiny")
    with host(stack) as room:
        sh(room, "apt-get -q update && apt-get -y -q install ./sources/*.deb && sources/use-upgrade")
        sh(room, "lists/client/upgrade && sources/use-rollback")
        assert versions(room) == {"hadoop": NEW, "shiny": NEW}
        sh(room, "lists/client/rollback && lists/client/rollback")
        assert versions(room) == {"hadoop": OLD}


def test_whatever_breaks_a_way_off_running_it_again_or_back_brings_the_host_there(stack: Desk) -> None:
    lists(stack, "--role", "worker")
    new, old = (dict.fromkeys(["datanode", "hadoop", "zookeeper", "hadoop-doc"], one) for one in (NEW, OLD))
    with host(stack) as room:
        sh(room, "apt-get -q update && apt-get -y -q install ./sources/*.deb && sources/use-rollback")
        sh(room, "lists/worker/rollback && apt-get -y -q install hadoop-doc && sources/use-upgrade")
        sh(room, "echo mine > /etc/hadoop.conf")
        for script in ("preinst", "postinst"):
            sh(room, f"touch kill.{script}")
            said = sh(room, "lists/worker/upgrade", status=1)
            assert "run this again: it begins with what is half done" in said
            assert versions(room) not in (new, old)
            assert "is completed first" in sh(room, "lists/worker/upgrade")
            assert versions(room) == new
            sh(room, f"sources/use-rollback && touch kill.{script}")
            sh(room, "lists/worker/rollback", status=1)
            sh(room, "lists/worker/rollback")
            assert versions(room) == old

            sh(room, f"sources/use-upgrade && touch kill.{script}")
            sh(room, "lists/worker/upgrade", status=1)
            sh(room, "sources/use-rollback && lists/worker/rollback")
            assert versions(room) == old
            sh(room, "sources/use-upgrade")

        # Killed while it unpacked: its journal is left, with which apt does nothing, and the package is flagged.
        for way in ("upgrade", "upgrade", "rollback", "rollback"):  # from the other version, and from its own
            state = "half-installed" if versions(room) == old else "unpacked"
            torn = f"dpkg-query -s hadoop | sed 's/^Status: .*/Status: install reinstreq {state}/'"
            sh(room, f"sources/use-{way} && {torn} >/var/lib/dpkg/updates/0000 && lists/worker/{way}")
            assert versions(room) == (new if way == "upgrade" else old)
        sh(room, "sources/use-upgrade")

        assert sh(room, "cat /etc/hadoop.conf") == "mine", "whatever went and came again"

        # The connection goes: nobody reads what it says, and the session's processes get a SIGHUP.
        sh(room, "{ lists/worker/upgrade; echo $? >ended; } | true; while [ ! -e ended ]; do sleep 1; done")
        assert sh(room, "cat ended") == "0"
        assert versions(room) == new
        sh(room, "sources/use-rollback")
        sh(room, "setsid lists/worker/rollback >/dev/null & sleep 1; kill -HUP -- -$!; wait $!")
        assert versions(room) == old
        assert "rollback of worker to snapshot-" in sh(room, "cat /var/log/worker-rollback.log")
        assert sh(room, "ls /etc/apt/sources.list.d/*.?????? /etc/apt/.test* 2>/dev/null || true") == ""


def test_scripts_wait_for_apts_locks_and_touch_nothing_that_cannot_be_downloaded(stack: Desk) -> None:
    lists(stack, "--role", "worker")
    closure = ["datanode", "hadoop", "zookeeper"]
    with host(stack) as room:
        hold = f"perl -e {shlex.quote(HOLD)}"
        sh(room, "apt-get -q update && apt-get -y -q install ./sources/*.deb && sources/use-rollback")
        sh(room, f"{hold} /var/lib/apt/lists/lock & sleep 1; sources/use-rollback")
        sh(room, f"{hold} /var/cache/apt/archives/lock & sleep 1; lists/worker/rollback")
        assert versions(room) == dict.fromkeys(closure, OLD)
        sh(room, "sources/use-upgrade && lists/worker/upgrade --download-only")
        assert f"datanode_{NEW}_all.deb" in sh(room, "ls /var/cache/apt/archives")
        assert versions(room) == dict.fromkeys(closure, OLD)
        sh(room, f"{hold} /var/lib/dpkg/lock-frontend & sleep 3; lists/worker/upgrade")
        assert versions(room) == dict.fromkeys(closure, NEW)

        (lost,) = (stack.project / "srv/pool").glob(f"*/*/*/datanode_{OLD}_*.deb")
        lost.rename(stack.home / lost.name)
        sh(room, "apt-get clean; sources/use-rollback")
        said = sh(room, "lists/worker/rollback", status=1)
        assert "not all could be downloaded, and no package was touched" in said
        assert versions(room) == dict.fromkeys(closure, NEW)
        (stack.home / lost.name).rename(lost)
        sh(room, "lists/worker/rollback")
        assert versions(room) == dict.fromkeys(closure, OLD)


def test_a_role_that_cannot_be_had_is_refused_by_its_name(stack: Desk) -> None:
    assert "there is no role 'wroker'" in lists(stack, "--role", "wroker", status=2)
    file = stack.project / "repo/fleet.toml"
    file.write_text(FLEET.replace('"datanode"', '"datanoed"'))
    assert "role 'worker' names package 'datanoed'" in lists(stack, status=2)
    file.write_text(FLEET.replace("procps", "no-such-thing"))
    said = lists(stack, "--role", "worker", status=2)
    assert "role 'worker' names no-such-thing, which the target distribution has not" in said
    made = stack.do("fleet", "lists", "stable", "--output", stack.home / "lists", status=2)
    assert "nothing tells which distribution the snapshot is for" in made
    assert not Path(stack.home / "lists").exists()
