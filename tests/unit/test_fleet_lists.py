# SPDX-License-Identifier: Apache-2.0
"""Lists of packages: how apt's answers are read, and what the commands are."""

import json
import os
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import pytest
from test_fleet_emitted import NEW, OLD, offer

from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.fleet.lists import RoleLists, Way, files_of, lists_of
from bigtop_builder.fleet.output import lay_out
from bigtop_builder.fleet.resolver import Resolver, planned
from bigtop_builder.fleet.wanted import Wanted
from bigtop_builder.run import Completed, run
from bigtop_builder.verify.simulate import Simulated

SAID = """Reading package lists...
The following additional packages will be installed:
   openjdk-11-jre-headless (11.0.1-1)
The following packages will be REMOVED:
   hadoop-extra (3.3-1)
   old-config* (1)
The following NEW packages will be installed:
   libc6:i386 (2.36)
The following packages will be upgraded:
   bash (5.2-1 => 5.2-2)
The following packages will be DOWNGRADED:
   hadoop (3.3-1+bt2 => 3.2-1+bt1)
1 upgraded, 1 newly installed, 1 downgraded, 2 to remove and 0 not upgraded.
'file:/x/pool/hadoop_3.2-1.deb' hadoop_3.2-1.deb 1 SHA256:0
"""


class Answers(Resolver):
    """A resolver whose apt was asked before: the packages of the role, at each side."""

    def __init__(self, *, gone: Sequence[str] = (), refused: Simulated | None = None) -> None:
        self.asked: list[list[str]] = []
        self._gone, self._refused = tuple(gone), refused

    def ours(self, side: str) -> Mapping[str, str]:
        if side == "upgrade":
            return {"zookeeper": "2", "shiny": "2", "doc": "2"}
        return {"zookeeper": "1", "old": "1", "doc": "1"}

    def ask(
        self, side: str, wanted: Sequence[str], *, status: str = "", options: Sequence[str] = ()
    ) -> Simulated:
        self.asked.append([side, *options, *wanted])
        if self._refused:
            return self._refused
        installs = {**self.ours(side), "jre": "11"}
        del installs["doc"]
        going = tuple(one.removesuffix("-") for one in wanted if one.endswith("-"))
        return Simulated(
            installs=installs, removes=(*going, *(self._gone if status and side == "rollback" else ()))
        )

    def installed(self, side: str, packages: Mapping[str, str], name: str) -> str:  # noqa: ARG002
        return name


def wanted(*upgrade: str) -> Wanted:
    return Wanted(
        role="worker", upgrade=upgrade or ("zookeeper",), rollback=("zookeeper",), distribution=("jre",)
    )


def test_what_apt_would_do_is_read_without_what_it_only_mentions() -> None:
    found = planned(SAID)
    assert found.installs == {"libc6": "2.36", "bash": "5.2-2", "hadoop": "3.2-1+bt1"}
    assert found.removes == ("hadoop-extra", "old-config")
    assert planned("Reading package lists...\n0 upgraded, 0 newly installed\n").installs == {}


def test_ours_have_versions_and_the_distributions_have_none() -> None:
    (found,) = lists_of(Answers(), [wanted()], accept=(), back="")
    assert found.upgrade.words == ["shiny=2", "zookeeper=2", "jre"]
    assert found.upgrade.brings == {"jre": "11"}
    assert found.rollback is None


def test_the_way_back_is_tried_with_all_that_came_taken_away() -> None:
    resolver = Answers()
    (found,) = lists_of(resolver, [wanted()], accept=(), back="snapshot-x")
    assert found.rollback == Way(
        packages={"old": "1", "zookeeper": "1"},
        distribution=("jre",),
        brings={"jre": "11"},
        removes=("shiny",),
        beside={"doc": "1"},
    )
    assert ["upgrade", "shiny=2", "zookeeper=2", "jre"] in resolver.asked
    assert ["rollback", "--allow-downgrades", "old=1", "zookeeper=1", "jre", "shiny-"] in resolver.asked


def test_what_the_upgrade_leaves_behind_is_told_and_removed_if_that_is_accepted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    (found,) = lists_of(Answers(), [wanted()], accept=(), back="snapshot-x")
    assert (found.leaves, found.upgrade.gone, found.upgrade.removes) == (("old",), ("old",), ())
    assert "role worker: the upgrade leaves old, which the snapshot does not have" in caplog.text
    (found,) = lists_of(Answers(), [wanted()], accept=["old"], back="snapshot-x")
    assert (found.leaves, found.upgrade.removes) == ((), ("old",))


def test_a_way_back_that_lost_a_package_of_a_role_is_refused_until_that_one_is_accepted() -> None:
    with pytest.raises(InputError, match="snapshot-x lacks shiny") as caught:
        lists_of(Answers(), [wanted("zookeeper", "shiny")], accept=["old"], back="snapshot-x")
    assert caught.value.details == "role worker: it would remove shiny"
    assert "--accept-removal NAME" in caught.value.hint
    (found,) = lists_of(Answers(), [wanted("zookeeper", "shiny")], accept=["shiny"], back="snapshot-x")
    assert found.rollback
    assert found.rollback.removes == ("shiny",)


def test_a_way_back_that_removes_what_did_not_come_with_the_upgrade_is_refused() -> None:
    with pytest.raises(InputError, match="snapshot-x lacks bash"):
        lists_of(Answers(gone=["bash"]), [wanted()], accept=(), back="snapshot-x")


def test_a_package_that_is_nowhere_is_bad_input_and_one_that_does_not_fit_is_a_failed_check() -> None:
    nowhere = Simulated(installs={}, reasons=("jre is nowhere",), missing=frozenset({"jre"}))
    with pytest.raises(InputError, match="role 'worker' names jre"):
        lists_of(Answers(refused=nowhere), [wanted()], accept=(), back="")
    broken = Simulated(installs={}, reasons=("zookeeper: Depends: libx",), missing=frozenset({"libx"}))
    with pytest.raises(CheckFailed, match=r"worker.*the way of the upgrade"):
        lists_of(Answers(refused=broken), [wanted()], accept=(), back="")


def test_commands_and_lists_say_the_same_and_are_good_shell(tmp_path: Path) -> None:
    up = Way(packages={"zookeeper": "2:3.8-1+bt1~deb12"}, distribution=("jre",))
    down = Way(packages={"zookeeper": "1"}, removes=("shiny",))
    lists = [RoleLists(role="worker", upgrade=up, rollback=down)]
    files = files_of(lists, offer(NEW), offer(OLD), "deb12")
    assert sorted(files) == [
        *("lists.json", "worker/rollback", "worker/rollback.list", "worker/upgrade", "worker/upgrade.list")
    ]
    assert files["worker/upgrade.list"].content == b"zookeeper=2:3.8-1+bt1~deb12\njre\n"
    upgrade, rollback = (files[f"worker/{way}"].content.decode() for way in ("upgrade", "rollback"))
    assert "packages='zookeeper=2:3.8-1+bt1~deb12'" in upgrade
    assert "install $packages jre\n" in upgrade
    assert "--allow-downgrades" in rollback
    assert "--allow-downgrades" not in upgrade
    assert "snapshot-cdcdcdcdcdcdcdcd" in rollback
    said = json.loads(files["lists.json"].content)
    assert (said["snapshot"], said["rollback_to"]) == (NEW, OLD)
    assert said["roles"]["worker"]["rollback"]["removes"] == ["shiny"]
    lay_out(files, tmp_path / "out", record="lists.json")
    run(["shellcheck", tmp_path / "out/worker/upgrade", tmp_path / "out/worker/rollback"])


def on_host(tmp_path: Path, way: Way, *, apt: str = "", words: Sequence[str] = ("-s",)) -> Completed:
    """Ask for a way back where every package is installed, and apt prints some lines."""
    files = files_of([RoleLists(role="worker", upgrade=way, rollback=way)], offer(NEW), offer(OLD), "deb12")
    lay_out(files, tmp_path / "out", record="lists.json")
    candidates = "".join(f"{name}:\\n  Candidate: {version}\\n" for name, version in way.packages.items())
    programs = {
        "apt-get": f'case "$*" in indextargets*) echo snapshot-{OLD[:16]} ;; *) printf "{apt}asked: $*\\n" ;; esac',
        "apt-cache": f'printf "{candidates}"',
        "dpkg-query": "for name in zookeeper shiny doc; do echo $name installed; done; echo left config-files",
    }
    for name, line in programs.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    return run([tmp_path / "out/worker/rollback", *words], env={"PATH": path}, check=False)


@pytest.mark.parametrize("word", ["Remv", "Purg"])
def test_a_package_that_apt_would_remove_or_purge_too_is_refused(tmp_path: Path, word: str) -> None:
    way = Way(packages={"zookeeper": "1"}, removes=("shiny",))
    done = on_host(tmp_path, way, apt=f"{word} shiny [2]\\n{word} tool:amd64 [1]\\n")
    assert done.returncode == 1
    assert "apt would remove tool too" in done.complaint
    assert "asked:" not in done.text


def test_a_way_back_that_only_removes_is_good_shell(tmp_path: Path) -> None:
    done = on_host(tmp_path, Way(packages={}, removes=("shiny",)), apt="Remv shiny [2]\\n")
    assert (done.returncode, done.complaint) == (0, "")
    assert " install shiny- -o " in done.text
    run(["shellcheck", tmp_path / "out/worker/rollback"])


def test_nothing_that_a_host_or_an_argument_says_purges_or_removes_what_is_not_needed(tmp_path: Path) -> None:
    done = on_host(tmp_path, Way(packages={"zookeeper": "1"}), words=["-s", "--purge", "--autoremove"])
    assert done.text.strip().endswith(
        "-s --purge --autoremove install zookeeper=1 -o APT::Get::Purge=false -o APT::Get::AutomaticRemove=false"
    )


def test_what_is_installed_beside_the_role_goes_along_and_what_the_snapshot_lacks_is_told(
    tmp_path: Path,
) -> None:
    way = Way(
        packages={"zookeeper": "1"}, beside={"doc": "1", "left": "1", "none": "1"}, gone=("shiny", "else")
    )
    done = on_host(tmp_path, way)
    assert " install zookeeper=1 doc=1 -o " in done.text
    assert done.text.count(" stays, which") == 1
    assert "rollback: shiny stays, which snapshot-cdcdcdcdcdcdcdcd does not have" in done.text


def test_whatever_a_way_has_and_lacks_its_scripts_are_good_shell(tmp_path: Path) -> None:
    some = ({}, {"zookeeper": "1", "hadoop": "2:3.3-1+bt1~deb12"})
    names = ((), ("jre",))
    ways = [
        Way(packages=packages, distribution=distribution, removes=removes, beside=beside, gone=gone)
        for packages, distribution, removes, beside, gone in product(some, names, names, some, names)
    ]
    lists = [RoleLists(role=f"role{number}", upgrade=way, rollback=way) for number, way in enumerate(ways)]
    lay_out(files_of(lists, offer(NEW), offer(OLD), "deb12"), tmp_path / "out", record="lists.json")
    scripts = sorted((tmp_path / "out").glob("*/upgrade"))
    assert len(scripts) == 32
    run(["shellcheck", *scripts])


def test_a_host_of_another_architecture_is_refused(tmp_path: Path) -> None:
    lists = [RoleLists(role="worker", upgrade=Way(packages={"zookeeper": "1"}), rollback=None)]
    files = files_of(lists, offer(NEW), None, "deb12", architecture="riscv64")
    lay_out(files, tmp_path / "out", record="lists.json")
    done = run([tmp_path / "out/worker/upgrade", "-s"], check=False)
    assert done.returncode == 1
    assert "and the lists are for riscv64" in done.complaint
    run(["shellcheck", tmp_path / "out/worker/upgrade"])
