# SPDX-License-Identifier: Apache-2.0
"""Hosts are given a snapshot: by the command, on a real repository, and on real systems."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from keepers_desk import Desk
from rooms import containers, debian

from apt_host import write_deb
from bigtop_builder.artifact import read_deb
from bigtop_builder.container import Engine
from bigtop_builder.fleet.emitted import Sources
from bigtop_builder.fleet.lists import RoleLists, Way, files_of
from bigtop_builder.fleet.offer import Offer, offers_of
from bigtop_builder.fleet.output import lay_out
from bigtop_builder.fleet.resolver import _side
from bigtop_builder.fleet.trust import trust_of
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository.index.packages import stanza_of
from bigtop_builder.repository.keyring_package import KeyringPackage, build
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.serve import serve
from bigtop_builder.room import Room
from bigtop_builder.tarstream import pack
from s3_server import URL
from verify_debs import make_deb

OLD, OURS, DEBIANS = "3.8.4-1+bt3.5.0.7~deb12", "3.8.4-1+bt3.6.0.2~deb12", "3.9.3-1"
POLICY = "/usr/sbin/policy-rc.d"
DAEMON = "#!/bin/sh\n[ $1 != start ] || touch /run/tock.started\n"
START = "[ $1 != configure ] || invoke-rc.d tock start || exit $?"
OWN = b"#!/bin/sh\n# the host's own\nexit 0\n"


@pytest.fixture
def stack(founded: Desk) -> Desk:
    """A repository with the keyring package whose suite went from one zookeeper to another."""
    founded.do("repo", "add", "stable", founded.package())
    founded.do("repo", "add", "stable", write_deb(founded.home, "zookeeper", OLD))
    tock = make_deb(
        founded.home, "tock", version="1", files={"etc/init.d/tock": DAEMON}, scripts={"postinst": START}
    )
    founded.do("repo", "add", "stable", write_deb(founded.home, "zookeeper", OURS), tock)
    return founded


def snapshots(desk: Desk) -> list[str]:
    """Those of stable, newest first."""
    return [one.after for one in reversed(desk.repository.state.history("stable"))]


def emitted(desk: Desk, *words: str) -> dict[str, object]:
    said = desk.do("fleet", "sources", "stable", "--output", desk.home / "out", "--json", *words)
    found: dict[str, object] = json.loads(said)
    return found


def test_the_way_back_is_what_the_suite_had_before_and_the_keyring_is_the_newest(stack: Desk) -> None:
    now, before, *_ = snapshots(stack)
    said = emitted(stack)
    assert (said["snapshot"], said["rollback_to"]) == (now, before)
    assert said["url"] == "http://x.example"
    assert (stack.home / "out" / said["keyring_package"]["file"]).read_bytes()  # type: ignore[index]
    assert f"Pin: version {OLD}" in (stack.home / "out/rollback.pref").read_text()


def test_the_way_back_agrees_with_the_manifest(stack: Desk) -> None:
    for words in ((), ("--rollback-to", snapshots(stack)[2])):
        stack.do("fleet", "manifest", "stable", "--output", stack.home / "manifest", *words)
        manifest = json.loads((stack.home / "manifest/fleet-manifest.json").read_text())
        said = emitted(stack, *words)
        assert {name: said[name] for name in ("snapshot", "rollback_to", "url")} == {
            name: manifest[name] for name in ("snapshot", "rollback_to", "url")
        }


def test_a_withdrawn_snapshot_is_neither_given_to_hosts_nor_gone_back_to(stack: Desk) -> None:
    now, before, *_ = snapshots(stack)
    stack.do("repo", "withdraw", before, "--why", "loses blocks")
    assert emitted(stack)["rollback_to"] == ""
    assert not [one for one in (stack.home / "out").iterdir() if "rollback" in one.name]
    words = ("--output", stack.home / "other")
    refused = stack.do("fleet", "sources", now, "--rollback-to", before, *words, status=2)
    assert "is withdrawn: loses blocks" in refused
    assert "is the snapshot itself" in stack.do(
        "fleet", "sources", now, "--rollback-to", "stable", *words, status=2
    )
    assert f"{before[:16]} was withdrawn" in stack.do("fleet", "sources", before, *words, status=2)
    assert not (stack.home / "other").exists()


def test_a_package_that_is_gone_from_the_pool_is_found_before_the_day(stack: Desk) -> None:
    (lost,) = (stack.project / "srv/pool/main/z/zookeeper").glob(f"*{OLD}*")
    lost.unlink()
    said = stack.do("fleet", "sources", "stable", "--output", stack.home / "out", status=1)
    assert "missing, or cut off" in said
    assert not (stack.home / "out").exists()


def test_keys_that_hosts_would_not_get_are_found_before_they_are_given_anything(founded: Desk) -> None:
    words = ("fleet", "sources", "stable", "--output", founded.home / "out")
    assert "has no package test-archive-keyring" in founded.do(*words, status=2)
    stale = founded.package()
    founded.do("repo", "add", "stable", stale)
    founded.do(
        "repo", "remove", "stable", "test-archive-keyring"
    )  # so that no step of the rotation renews it
    founded.do("key", "rotate", founded.old)
    founded.do("key", "rotate", founded.old, "--finish", "--hosts-have-new-key")
    said = founded.do(*words, status=9)
    assert f"no good signature by a key in {stale.name}: hosts would refuse it" in said
    assert "key package" in said
    assert not (founded.home / "out").exists()


def test_how_hosts_reach_a_repository_is_not_guessed(stack: Desk) -> None:
    words = ("fleet", "sources", "stable", "--output", stack.home / "out", "--repo", stack.project / "srv")
    assert "does not say how hosts reach it\nway out: say it with --url" in stack.do(*words, status=2)
    stack.do(*words, "--url", "https://apt.example/deb/")
    assert "URIs: https://apt.example/deb\n" in (stack.home / "out/upgrade.sources").read_text()


def test_a_repository_on_s3_gives_hosts_the_same(
    between: object,  # noqa: ARG001  # the server
    store: KeyStore,
    keyring: Keyring,
    tmp_path: Path,
) -> None:
    keys = keyring.export_public(store.fingerprints(), armor=False)
    package = KeyringPackage(
        origin="Ours",
        keys=keys,
        url="http://x.example",
        suites=("stable",),
        version="20261124.1.1",
        date=datetime(2026, 11, 24, tzinfo=UTC),
        maintainer="Ann Bee <ann@bee.example>",
    )
    given = [build(package, tmp_path), *(write_deb(tmp_path, "zookeeper", one) for one in (OLD, OURS))]
    made = {}
    for place in (tmp_path / "apt", URL):
        there = Repository.init(place, origin="Ours", keyring=keyring, fingerprints=store.fingerprints())
        for deb in given:
            there.add("stable", [read_deb(deb)], keyring=keyring)
        now, back = offers_of(there.state, "stable", "", keys)
        assert back
        trust = trust_of(there.state, keys, now, back)
        files = Sources(upgrade=now, rollback=back, trust=trust, url="http://x.example").files()
        side = _side(there.state, "upgrade", now, "amd64")
        made[place] = files, {name: text for name, text in side.items() if not name.endswith("InRelease")}
    assert made[URL] == made[tmp_path / "apt"]


@contextmanager
def host(desk: Desk) -> Iterator[tuple[Room, dict[str, object]]]:
    """A clean system without any source of its own that has what the command wrote, below /root."""
    with (
        Engine.connect() as engine,
        containers(engine).open(purpose="fleet") as room,
        serve(desk.project / "srv", host=room.gateway) as url,
    ):
        said = emitted(desk, "--url", url)
        room.run(
            ["sh", "-c", "rm -rf /etc/apt/sources.list* && mkdir -p /etc/apt/sources.list.d /srv/debian"]
        )
        room.put(pack({"out": desk.home / "out"}), "/root")
        yield room, said


def sh(room: Room, line: str, *, status: int = 0) -> str:
    done = room.run(
        ["sh", "-c", line],
        env={"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
        check=False,
        cwd="/root/out",
    )
    assert done.returncode == status, done.text + done.complaint
    return done.text + done.complaint


@pytest.mark.docker
def test_a_host_takes_our_version_and_goes_back_though_debians_is_newer(stack: Desk) -> None:
    with host(stack) as (room, said):
        keyring = said["keyring_package"]["file"]  # type: ignore[index]
        refused = sh(room, "./use-upgrade", status=1)
        assert f"test-archive-keyring.gpg is missing\n  way out: apt-get install ./{keyring}" in refused
        theirs = read_deb(write_deb(stack.home, "zookeeper", DEBIANS))
        index = stanza_of(theirs, "./zookeeper.deb").text
        room.put(pack({"debian/zookeeper.deb": theirs.path, "debian/Packages": index.encode()}), "/srv")
        sh(room, "echo 'deb [trusted=yes] file:/srv/debian ./' > /etc/apt/sources.list.d/debian.list")
        sh(room, f"apt-get -q update && apt-get -y -q install zookeeper ./{keyring}")
        installed = "dpkg-query -W -f '${Version}' zookeeper"
        assert sh(room, installed) == DEBIANS
        sh(room, "./use-upgrade")
        assert f"Candidate: {OURS}" in sh(room, "apt-cache policy zookeeper")
        assert "snapshot-" in sh(room, "cat /etc/apt/sources.list.d/test.sources")
        sh(room, "apt-get -y -q --allow-downgrades install zookeeper")
        assert sh(room, installed) == OURS
        stack.define("http://y.example")  # another keyring package brings another source
        room.put(pack({"newer.deb": stack.package("again")}), "/root/out")
        sh(room, "apt-get -y -q -o Dpkg::Options::=--force-confold install ./newer.deb")
        assert "snapshot-" in sh(room, "cat /etc/apt/sources.list.d/test.sources")
        sh(room, "./use-rollback && rm -f /etc/apt/sources.list.d/*.dpkg-dist")
        sh(room, "apt-get -y -q --allow-downgrades install zookeeper")
        assert sh(room, installed) == OLD
        assert sh(room, "ls /etc/apt/sources.list.d /etc/apt/preferences.d").split() == [
            *(
                "/etc/apt/preferences.d:",
                "test.pref",
                "/etc/apt/sources.list.d:",
                "debian.list",
                "test.sources",
            )
        ]


@pytest.mark.docker
def test_a_host_that_cannot_reach_the_repository_stays_as_it_was_and_debians_never_wins(stack: Desk) -> None:
    emitted(stack, "--url", "file:/srv/apt")
    theirs = read_deb(write_deb(stack.home, "zookeeper", DEBIANS))
    index = stanza_of(theirs, "./zookeeper.deb").text
    with Engine.connect() as engine, containers(engine).open(purpose="fleet") as room:
        room.run(["sh", "-c", "rm -rf /etc/apt/sources.list* && mkdir -p /etc/apt/sources.list.d"])
        room.put(pack({"out": stack.home / "out"}), "/root")
        room.put(pack({"apt": stack.project / "srv"}), "/srv")
        room.put(pack({"d/zookeeper.deb": theirs.path, "d/Packages": index.encode()}), "/srv")
        sh(room, "echo 'deb [trusted=yes] file:/srv/d ./' > /etc/apt/sources.list.d/debian.list")
        sh(room, "apt-get -y -q install ./*.deb && ./use-rollback && apt-get -y -q install zookeeper")
        state = "cat /etc/apt/sources.list.d/test.sources /etc/apt/preferences.d/test.pref; ls -a /etc/apt"
        before = sh(room, state)

        sh(room, "mv /srv/apt /srv/away")
        refused = sh(room, "./use-upgrade", status=1)
        assert "apt cannot read snapshot-" in refused
        assert "so nothing was changed" in refused
        sh(room, "./use-upgrade --check", status=1)
        assert sh(room, state) == before
        assert "zookeeper" not in sh(room, "apt-get -s upgrade | grep ^Inst || true")
        assert f"Candidate: {OLD}" in sh(room, "apt-cache policy zookeeper")

        # Lists are gone, too, and only the pins are switched, as if the script had been killed between the two.
        sh(room, "rm -f /var/lib/apt/lists/*srv_apt* && cp upgrade.pref /etc/apt/preferences.d/test.pref")
        assert "zookeeper" not in sh(room, "apt-get -s upgrade | grep ^Inst || true")

        sh(
            room,
            "mv /srv/away /srv/apt && mkdir /etc/apt/.test.kiLLed && ./use-upgrade && ./use-upgrade --check",
        )
        assert f"Candidate: {OURS}" in sh(room, "apt-cache policy zookeeper")
        assert "already" in sh(room, "./use-upgrade")
        assert ".test." not in sh(room, "ls -a /etc/apt")
        sh(room, "touch -d '2 days ago' /var/lib/apt_test/asked; ./use-upgrade --check", status=1)

        # Another source that is gone keeps nobody from the way back.
        sh(room, "rm -rf /srv/d")
        assert "keeps what it knows" in sh(room, "./use-rollback")
        assert f"Candidate: {OLD}" in sh(room, "apt-cache policy zookeeper")

        # Nor does the repository itself, where its lists were kept.
        sh(room, "cp -a /var/lib/apt/lists /root/kept && ./use-upgrade && mv /srv/apt /srv/away")
        sh(room, "rm -f /var/lib/apt/lists/*srv_apt*")
        sh(room, "./use-rollback", status=1)
        sh(room, "cp -an /root/kept/. /var/lib/apt/lists/")
        assert "source: snapshot-" in sh(room, "./use-rollback")
        assert f"Candidate: {OLD}" in sh(room, "apt-cache policy zookeeper")


@pytest.mark.network
@pytest.mark.parametrize("suite", ["bullseye", "trixie"])
def test_systems_before_and_after_take_the_same_files(stack: Desk, suite: str) -> None:
    emitted(stack, "--url", "file:/srv/apt")
    now, back = (
        Offer(snapshot=one, origin="Test", components=("main",), packages={}) for one in snapshots(stack)[:2]
    )
    ways = (
        Way(packages={"zookeeper": OURS}, gone=("tock",)),
        Way(packages={"zookeeper": OLD}, removes=("tock",)),
    )
    lists = files_of([RoleLists(role="zk", upgrade=ways[0], rollback=ways[1])], now, back, "deb")
    lay_out(lists, stack.home / "out/lists", record="lists.json")
    with debian(suite) as room:
        room.run(["sh", "-c", "rm -rf /etc/apt/sources.list* && mkdir -p /etc/apt/sources.list.d"])
        room.put(pack({"out": stack.home / "out"}), "/root")
        room.put(pack({"apt": stack.project / "srv"}), "/srv")
        for way, version in (("upgrade", OURS), ("rollback", OLD)):
            sh(room, f"apt-get -y -q install ./*.deb && ./use-{way}")
            sh(room, f"./guard-on && lists/zk/{way} && lists/zk/{way} && ./guard-off")
            assert sh(room, "dpkg-query -W -f '${Version}' zookeeper") == version


@pytest.mark.docker
def test_the_guard_keeps_a_service_from_starting_and_leaves_no_trace(stack: Desk) -> None:
    with host(stack) as (room, said):
        keyring = said["keyring_package"]["file"]  # type: ignore[index]
        state = f"ls -la --time-style=+ {POLICY}* 2>&1; cat {POLICY} 2>&1; dpkg-divert --list '*policy-rc*'"
        sh(room, f"apt-get -y -q install ./{keyring} && ./use-upgrade")
        started = "ls /run/tock.started 2>&1; rm -f /run/tock.started"
        install = "apt-get -y -q --reinstall install tock >/dev/null 2>&1"
        bare = sh(room, state)
        assert sh(room, "./guard-off") == "guard: off already"
        assert sh(room, "./guard-on") == "guard: on"
        assert sh(room, "./guard-on") == "guard: on already"
        assert sh(room, "./guard-off") == "guard: off"
        assert sh(room, state) == bare

        room.put(pack({"policy-rc.d": OWN}), "/usr/sbin")
        sh(room, f"chmod 750 {POLICY}")
        own = sh(room, state)
        assert sh(room, f"{install}; {started}") == "/run/tock.started"
        assert "the host's own policy lies in" in sh(room, "./guard-on")
        assert sh(room, POLICY, status=101) == ""
        assert "on already" in sh(room, "./guard-on")
        assert sh(room, f"apt-get -y -q purge tock; {install}; dpkg-query -W tock").endswith("tock\t1")
        assert "cannot access" in sh(room, started)
        assert "the host's own policy is back" in sh(room, "./guard-off")
        assert sh(room, state) == own
        assert sh(room, f"{install}; {started}") == "/run/tock.started"
        assert "is the host's own" in sh(room, "./guard-off")

        sh(room, f"mv {POLICY} /usr/sbin/policy-site && ln -s policy-site {POLICY}")
        link = sh(room, state)
        sh(room, "./guard-on && ./guard-off")
        assert sh(room, state) == link


@pytest.mark.docker
def test_the_guard_refuses_what_it_would_have_to_guess_at(stack: Desk) -> None:
    with host(stack) as (room, _):
        sh(room, f"dpkg-divert --local --rename --divert {POLICY}.site --add {POLICY}")
        assert f"is diverted to {POLICY}.site already" in sh(room, "./guard-on", status=1)
        sh(room, f"dpkg-divert --local --rename --remove {POLICY}")
        room.put(pack({"policy-rc.d": OWN}), "/usr/sbin")
        sh(room, f"./guard-on && rm {POLICY} && touch {POLICY}")
        assert "written while the host's own lay in" in sh(room, "./guard-on", status=1)
        assert "is not the guard, and the host's own lies in" in sh(room, "./guard-off", status=1)
        sh(room, f"rm {POLICY}")  # as if guard-off had been killed half way
        assert "the host's own policy is back" in sh(room, "./guard-off")
        assert sh(room, f"cat {POLICY}") == OWN.decode().strip()

        # Killed between what dpkg-divert writes down and what it moves, each way.
        divert = f"dpkg-divert --local --no-rename --divert {POLICY}.before-guard"
        sh(room, f"{divert} --add {POLICY} && ./guard-on")
        assert sh(room, POLICY, status=101) == ""
        assert "the host's own policy is back" in sh(room, "./guard-off")
        sh(room, f"{divert} --add {POLICY}")
        assert "is the host's own" in sh(room, "./guard-off")
        assert sh(room, f"dpkg-divert --truename {POLICY}") == POLICY
        sh(room, f"mv {POLICY} {POLICY}.before-guard && ./guard-on && ./guard-off")
        assert sh(room, f"cat {POLICY}") == OWN.decode().strip()
        sh(room, f"mv {POLICY} {POLICY}.before-guard")
        assert "the host's own policy is back" in sh(room, "./guard-off")
        assert sh(room, f"cat {POLICY}") == OWN.decode().strip()


@pytest.mark.docker
@pytest.mark.network
def test_role_and_module_pass_their_own_linters_and_the_module_brings_a_host_there_and_back(
    stack: Desk,
) -> None:
    emitted(stack, "--url", "file:/srv/apt")
    with Engine.connect() as engine, containers(engine).open(purpose="fleet") as room:
        room.put(pack({"out": stack.home / "out"}), "/root")
        room.put(pack({"apt": stack.project / "srv"}), "/srv")
        sh(
            room,
            "apt-get -q update && apt-get -y -q --no-install-recommends install"
            " ansible-lint puppet-lint puppet-agent",
        )
        sh(room, "cd ansible && ansible-lint --offline --strict --profile production roles/apt_test")
        sh(
            room,
            "cd puppet && puppet-lint --fail-on-warnings apt_test && puppet parser validate apt_test/manifests",
        )
        puppet = "puppet apply --detailed-exitcodes --modulepath puppet -e"  # 0: as wanted; 2: changed
        for way, version in (("upgrade", OURS), ("rollback", OLD)):
            apply = f"{puppet} \"class {{'apt_test': state => '{way}'}}\""
            assert "Error" not in sh(room, apply, status=2)
            assert f"Candidate: {version}" in sh(room, "apt-cache policy zookeeper")
            sh(room, apply)  # nothing to do any more
        for state, status in (("on", 101), ("off", 127)):
            apply = f"{puppet} \"class {{'apt_test::guard': state => '{state}'}}\""
            sh(room, apply, status=2)
            sh(room, POLICY, status=status)
            sh(room, apply)
        playbook = "- hosts: localhost\n  connection: local\n  tasks:\n"
        for task in (
            "{name: apt_test, tasks_from: guard_on}",
            "{name: apt_test}",
            "{name: apt_test, tasks_from: guard_off}",
        ):
            playbook += f"    - ansible.builtin.include_role: {task}\n"
        room.put(pack({"play.yml": playbook.encode()}), "/root/out/ansible")
        said = sh(room, "cd ansible && ANSIBLE_ROLES_PATH=roles ansible-playbook -i localhost, play.yml")
        assert "failed=0" in said
        assert f"Candidate: {OURS}" in sh(room, "apt-cache policy zookeeper")
        sh(room, POLICY, status=127)
