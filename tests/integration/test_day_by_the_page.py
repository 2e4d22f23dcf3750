# SPDX-License-Identifier: Apache-2.0
"""docs/upgrade-day.md, gone through command by command at a desk, with hosts that are containers."""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from keepers_desk import Desk
from rooms import containers

from bigtop_builder.container import Container, Engine
from bigtop_builder.repository.serve import serve
from bigtop_builder.run import run
from verify_debs import make_deb

pytestmark = [pytest.mark.docker, pytest.mark.network]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/upgrade-day.md").read_text(encoding="utf-8")
OLD, NEW = "1.0-1+bt1.0.0.1~deb12", "2.0-1+bt1.1.0.1~deb12"
HOSTS = {"store1": "store", "worker1": "worker", "worker2": "worker"}
TARGET = ROOT / "recipes/miniature/recipes/1.0.0.toml"
PROGRAM = """#!/bin/sh
case $2 in plan | lists | rehearse) set -- "$@" --recipe {1} ;; esac # packages of no release have no target
exec {0} -m bigtop_builder "$@"
"""
FLEET = """format = 1
[roles.store]
packages = ["tick"]
order = 1
[roles.worker]
packages = ["tock"]
order = 2
batch = 1
health = ["test -e /run/tock.pid"]
[hosts]
store = ["store1"]
worker = ["worker[1-2]"]
[services.tick]
order = 1
base = true
live = ["echo saved >>/var/lib/tick/saves"]
keep = ["/var/lib/tick"]
put_back = true
database = "tick's"
dump = ['cp /var/lib/tick.db "$DUMP/"']
restore = ['cp "$DUMP/tick.db" /var/lib/']
upgrade = ["echo layout 2 >>/var/lib/tick/data; echo layout 2 >/var/lib/tick.db"]
healthy = ["grep treasure /var/lib/tick/data"]
[services.tock]
order = 2
[day]
patience = 20
[rehearsal.store]
prepare = ["echo treasure >/var/lib/tick/data; echo layout 1 >/var/lib/tick.db"]
data = ["grep treasure /var/lib/tick/data"]
"""
INIT = """#!/bin/sh
pid=/run/${0##*/}.pid
runs() { [ -e $pid ] && kill -0 "$(cat $pid)" 2>/dev/null; }
case $1 in
start) runs || { sleep 100000 & echo $! >$pid; } ;;
stop) if runs; then kill "$(cat $pid)"; fi; rm -f $pid ;;
status) runs ;;
esac
"""
SSH = """#!/bin/sh
while [ "$1" != "${1#-}" ]; do case $1 in -o | -l) shift ;; esac; shift; done
host=$1; shift
eval "room=\\$$(echo "$host" | tr a-z- A-Z_)"
exec docker exec -i "$room" sh -c "$*"
"""


def blocks(name: str) -> str:
    """The commands below a mark, until the next one or the next chapter."""
    (text,) = re.findall(
        rf"<!-- run: {name} -->\n(.*?)(?=<!-- run: |^## |\Z)", PAGE, re.MULTILINE | re.DOTALL
    )
    return "".join(f"{line[4:]}\n" for line in text.splitlines() if line.startswith("    "))


def packages(folder: Path, version: str) -> list[Path]:
    """A store and a worker, each with a service, as Bigtop's packages start theirs."""
    folder.mkdir()
    return [
        make_deb(
            folder,
            name,
            version=version,
            files={
                f"etc/init.d/{name}": INIT,
                f"etc/init.d/{name}-rest": INIT,
                f"usr/share/{name}/version": f"{version}\n",
            },
            scripts={"postinst": f"mkdir -p /var/lib/tick; [ $1 != configure ] || invoke-rc.d {name} start"},
        )
        for name in ("tick", "tock")
    ]


@dataclass(frozen=True)
class Site:
    """A desk, and three hosts with OLD.

    Attributes:
        desk: The desk.
        rooms: Host -> container.
        env: What commands at the desk see.
    """

    desk: Desk
    rooms: Mapping[str, Container]
    env: Mapping[str, str]

    @property
    def day(self) -> Path:
        return self.desk.project / "build/day"

    def go(self, lines: str, folder: Path, *, status: int = 0) -> str:
        """Lines of the page, as a person types them: the first that fails ends it."""
        done = run(["bash", "-o", "pipefail", "-ec", lines], env=self.env, cwd=folder, check=False)
        assert done.returncode == status, done.text + done.complaint
        return done.text + done.complaint

    def on(self, host: str, line: str) -> str:
        done = self.rooms[host].run(["sh", "-c", line], check=False, cwd="/")
        return done.text.strip()

    def versions(self) -> set[str]:
        """Of our packages on all hosts."""
        line = (
            "dpkg-query -W -f '${db:Status-Abbrev}${Version}\\n' tick tock 2>/dev/null | sed -n 's/^ii //p'"
        )
        return {version for host in HOSTS for version in self.on(host, line).split()}


@pytest.fixture(scope="module")
def site(first_founded: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    desk = first_founded.copied(tmp_path_factory.mktemp("day"))
    with ExitStack() as stack:
        rooms = containers(stack.enter_context(Engine.connect()))
        hosts = {name: stack.enter_context(rooms.open(purpose=f"day-{name}")) for name in HOSTS}
        url = stack.enter_context(serve(desk.project / "srv", host=hosts["store1"].gateway))
        desk.define(url)
        desk.definition.write_text(desk.definition.read_text() + '[suites.testing]\ndescription = "x"\n')
        desk.do("repo", "add", "stable", desk.package())
        desk.do("repo", "add", "stable", *packages(desk.home / "old", OLD))
        desk.do("repo", "promote", "stable", "testing")
        desk.do("repo", "add", "testing", *packages(desk.home / "new", NEW))
        (desk.project / "repo/fleet.toml").write_text(FLEET)
        shims = desk.home / "bin"
        shims.mkdir()
        for name, text in {
            "ssh": SSH,
            "bigtop-builder": PROGRAM.format(sys.executable, TARGET),
        }.items():
            (shims / name).write_text(text)
            (shims / name).chmod(0o755)
        made = Site(
            desk=desk,
            rooms=hosts,
            env={
                "PATH": f"{shims}:{os.environ['PATH']}",
                "HOME": str(desk.home),
                "BIGTOP_BUILDER_KEYS_DIR": str(desk.home / "keys"),
                "BIGTOP_BUILDER_PROJECT": str(desk.project),
                **{name.upper(): room.name for name, room in hosts.items()},
            },
        )
        settle(made)
        yield made


SETTLE = """
for host in store1 worker1 worker2; do
    tar -C "$SOURCES" -cf - . | ssh $host 'mkdir /root/first && tar -C /root/first -xf -'
    ssh $host 'apt-get -q update && apt-get -q -y --no-install-recommends install python3 gpgv procps'
    ssh $host 'apt-get -q -y -o Dpkg::Options::=--force-confold install /root/first/*.deb && /root/first/use-rollback'
done
ssh store1 'apt-get -q -y install tick && echo treasure >/var/lib/tick/data && echo layout 1 >/var/lib/tick.db'
ssh store1 service tick start
for host in worker1 worker2; do ssh $host 'apt-get -q -y install tock && service tock start'; done
"""


def settle(site: Site) -> None:
    """Bring all hosts to OLD, with data in."""
    sources = site.desk.home / "first"
    site.desk.do("fleet", "sources", "testing", "--rollback-to", "stable", "--output", sources)
    site.go(f"SOURCES={sources}{SETTLE}", site.desk.home)


@pytest.fixture(scope="module")
def prepared(site: Site) -> Site:
    """All that the page has at the desk before the day."""
    site.go(blocks("desk"), site.desk.project)
    return site


def test_the_page_has_commands_below_each_mark() -> None:
    marks = re.findall(r"<!-- run: (\w+) -->", PAGE)
    assert marks == ["desk", "down", "up", "hold", "back", "finalize"]
    assert all(blocks(name) for name in marks)


def test_before_the_day_nothing_has_changed_and_hosts_have_the_packages_of_both_sides(prepared: Site) -> None:
    assert prepared.versions() == {OLD}
    assert prepared.on("worker1", "service tock status && echo runs") == "runs"
    found = prepared.on("worker1", "ls /var/backups/upgrade-day/*/debs/")
    assert found.count("tock_") == 2
    assert "snapshot-" in prepared.on("worker1", "grep Suites: /etc/apt/sources.list.d/*")


def test_a_service_that_nobody_named_holds_the_day_up_before_it_is_begun(prepared: Site) -> None:
    prepared.on("worker1", "service tock-rest start")
    said = prepared.go("./run steps/ready-worker worker1\n", prepared.day, status=1)
    assert "tock-rest of tock runs, and nobody said what the day does with it" in said
    prepared.on("worker1", "service tock-rest stop")
    prepared.go("./run steps/ready-worker worker1\n", prepared.day)


def test_the_day_goes_there_and_back_and_there_again_by_the_pages_own_commands(prepared: Site) -> None:
    go: Callable[[str], str] = lambda name: prepared.go(blocks(name), prepared.day)  # noqa: E731
    before = prepared.on("store1", "cat /var/lib/tick/data /var/lib/tick.db")
    go("down")
    assert prepared.on("worker1", "service tock status && echo runs") == ""
    assert prepared.versions() == {OLD}
    go("up")
    assert prepared.versions() == {NEW}
    assert "layout 2" in prepared.on("store1", "cat /var/lib/tick/data")
    go("hold")
    prepared.on("store1", "echo lost >/var/lib/tick/data")
    go("back")
    assert prepared.versions() == {OLD}
    assert prepared.on("store1", "cat /var/lib/tick/data /var/lib/tick.db") == before
    assert prepared.on("worker2", "service tock status && echo runs") == "runs"
    assert prepared.on("worker2", "test -e /usr/sbin/policy-rc.d || echo off") == "off"

    for name in ("down", "up", "hold", "finalize"):
        go(name)
    assert prepared.versions() == {NEW}


def test_every_step_of_a_phase_and_of_its_way_back_may_be_run_twice(prepared: Site) -> None:
    for phase in ("hold", "check"):
        prepared.go(f"./run phase {phase}\n", prepared.day)
    prepared.go("./run phase start\n./run phase start\n", prepared.day)
    assert prepared.on("store1", "grep -c layout /var/lib/tick/data") == "1"
