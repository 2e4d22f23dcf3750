# SPDX-License-Identifier: Apache-2.0
"""The runbook of an upgrade day: its order, its batches, its ways back, and its scripts."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.errors import InputError
from bigtop_builder.fleet.day_files import day_files, folded
from bigtop_builder.fleet.definition import Fleet
from bigtop_builder.fleet.lists import RoleLists, Way
from bigtop_builder.fleet.runbook import Runbook, Step
from bigtop_builder.fleet.upgrade_day import runbook_of
from bigtop_builder.run import run

OLD, NEW = "a" * 64, "b" * 64
FLEET = """
format = 1
together = [["master", "coordinator"]]
[roles.coordinator]
packages = ["zookeeper-server"]
order = 1
[roles.worker]
packages = ["hadoop-hdfs-datanode", "hadoop-yarn-nodemanager"]
order = 2
batch = 5
pause = 60
health = ["hdfs dfsadmin -report | grep \\"$(hostname)\\""]
[roles.master]
packages = ["hadoop-hdfs-namenode", "hadoop-hdfs-journalnode", "hadoop-hdfs-zkfc"]
order = 3
[roles.services]
packages = ["hive-metastore", "hive-server2"]
order = 4
[services.hive-metastore]
dump = ['mysqldump hive >"$DUMP/hive.sql"']
restore = ['mysql hive <"$DUMP/hive.sql"']
"""
HOSTS = {
    "coordinator": ["m1", "m2", "z3"],
    "worker": [f"w{number:02}" for number in range(1, 13)],
    "master": ["m1", "m2"],
    "services": ["s1"],
}


def fleet(folder: Path, text: str = FLEET) -> Fleet:
    (folder / "fleet.toml").write_text(text)
    return Fleet.from_toml(folder / "fleet.toml")


def book(folder: Path, text: str = FLEET, *, rollback: str = OLD, **hosts: list[str]) -> Runbook:
    made = fleet(folder, text)
    return runbook_of(made, made.roles, hosts or HOSTS, origin="Test", upgrade=NEW, rollback=rollback)


def ids(runbook: Runbook, phase: str) -> list[str]:
    (found,) = [one for one in runbook.phases if one.id == phase]
    return [step.id for step in found.steps]


def back(runbook: Runbook, phase: str) -> list[str]:
    (found,) = [one for one in runbook.phases if one.id == phase]
    return [step.id.removeprefix("back-") for step in runbook.way_back(found)]


def step(runbook: Runbook, wanted: str) -> Step:
    (found,) = [one for one in (*runbook.steps(), *runbook.back) if one.id == wanted]
    return found


def test_phases_go_from_ready_to_the_point_of_no_return(tmp_path: Path) -> None:
    runbook = book(tmp_path)
    names = ["ready", "quiet", "save", "stop", "switch", "start", "check", "hold", "finalize"]
    assert [phase.id for phase in runbook.phases] == names
    assert [phase.id for phase in runbook.phases if phase.final] == ["finalize"]
    assert [phase.id for phase in runbook.phases if not phase.back] == ["ready", "finalize"]


def test_users_go_first_then_what_they_stand_on_and_copies_are_made_when_all_is_down(tmp_path: Path) -> None:
    runbook = book(tmp_path)
    assert ids(runbook, "quiet") == [
        "stop-hive-server2",
        "stop-hive-metastore",
        "stop-hadoop-yarn-nodemanager",
        "dump-hive-metastore",
    ]
    assert ids(runbook, "save") == [
        "save-hadoop-hdfs-namenode",
        "stop-hadoop-hdfs-datanode",
        "stop-hadoop-hdfs-zkfc",
        "stop-hadoop-hdfs-namenode",
        "stop-hadoop-hdfs-journalnode",
        "stop-zookeeper-server",
        "keep-zookeeper-server",
        "keep-hadoop-hdfs-journalnode",
        "keep-hadoop-hdfs-namenode",
    ]
    assert step(runbook, "save-hadoop-hdfs-namenode").hosts == ("m1",)
    assert step(runbook, "keep-hadoop-hdfs-namenode").hosts == ("m1", "m2")


def test_journalnodes_start_before_the_first_namenode_the_others_join_it_and_failover_comes_last(
    tmp_path: Path,
) -> None:
    runbook = book(tmp_path)
    started = [one for one in ids(runbook, "start") if not one.startswith(("release", "health"))]
    assert started == [
        "start-zookeeper-server",
        "start-hadoop-hdfs-journalnode",
        "upgrade-hadoop-hdfs-namenode",
        "start-hadoop-hdfs-namenode",
        "start-hadoop-hdfs-zkfc",
        "start-hadoop-hdfs-datanode",
        "start-hadoop-yarn-nodemanager",
        "upgrade-hive-metastore",
        "start-hive-server2",
    ]
    first, other = step(runbook, "upgrade-hadoop-hdfs-namenode"), step(runbook, "start-hadoop-hdfs-namenode")
    assert (first.hosts, other.hosts) == (("m1",), ("m2",))
    assert "namenode_upgrade" in first.run[0]
    assert "-bootstrapStandby" in other.run[0]


def test_hosts_with_two_roles_are_switched_once_with_the_list_of_both(tmp_path: Path) -> None:
    runbook = book(tmp_path)
    assert ids(runbook, "switch") == [
        "switch-coordinator-master",
        "switch-coordinator",
        "switch-worker",
        "switch-services",
    ]
    both = step(runbook, "switch-coordinator-master")
    assert both.hosts == ("m1", "m2")
    assert "packages upgrade coordinator+master" in both.run
    assert "--role coordinator --role master" in both.check[0]
    assert "still hadoop-hdfs-namenode" in both.run


def test_workers_go_in_batches_with_a_pause_and_services_are_started_all_at_once(tmp_path: Path) -> None:
    runbook = book(tmp_path)
    worker = step(runbook, "switch-worker")
    assert (worker.batch, worker.pause, len(worker.hosts)) == (5, 60, 12)
    # Of a quorum one alone would never be well.
    assert step(runbook, "start-zookeeper-server").batch == 0
    assert "hdfs dfsadmin -report" in step(runbook, "health-worker").check[0]


def test_before_the_switch_the_way_back_starts_what_was_stopped_and_nothing_else(tmp_path: Path) -> None:
    runbook = book(tmp_path)
    way = back(runbook, "save")
    assert way == back(runbook, "quiet")
    assert not [one for one in way if one.startswith(("switch", "restore", "release"))]
    starting = [one for one in way if one.startswith("start")]
    assert starting[0] == "start-zookeeper-server"
    assert starting[-1] == "start-hive-server2"
    assert way.index("resume-hadoop-hdfs-namenode") > way.index("start-hadoop-hdfs-datanode")
    assert [one for one in back(runbook, "stop") if one not in way] == [
        "release-coordinator-master",
        "release-coordinator",
        "release-worker",
        "release-services",
    ]


def test_from_the_switch_packages_go_back_and_no_data_is_restored(tmp_path: Path) -> None:
    way = back(book(tmp_path), "switch")
    assert way.index("guard-worker") < way.index("switch-worker") < way.index("release-worker")
    assert way.index("release-services") < way.index("start-zookeeper-server")
    assert not [one for one in way if one.startswith("restore")]
    assert way[-1] == "done-services"


def test_once_services_were_started_data_goes_back_too_with_hdfs_own_rollback(tmp_path: Path) -> None:
    runbook = book(tmp_path)
    way = back(runbook, "start")
    assert way == back(runbook, "check") == back(runbook, "hold")
    order = ["stop-zookeeper-server", "guard-worker", "switch-worker", "release-worker"]
    order += ["restore-zookeeper-server", "restore-hadoop-hdfs-journalnode", "restore-hadoop-hdfs-namenode"]
    order += ["restart-hadoop-hdfs-journalnode", "begin-hadoop-hdfs-namenode", "rejoin-hadoop-hdfs-namenode"]
    order += ["restore-hadoop-hdfs-zkfc", "restore-hadoop-hdfs-datanode"]
    order += ["restore-hive-metastore", "healthy-hadoop-hdfs-namenode", "done-worker"]
    assert [one for one in way if one in order] == order
    assert "put_back zookeeper-server" in step(runbook, "back-restore-zookeeper-server").run[0]
    assert "namenode_back" in step(runbook, "back-restore-hadoop-hdfs-namenode").run[0]
    # JournalNodes that have rolled back know no namespace until they start anew; no NameNode runs meanwhile.
    assert not any("start_service" in line for line in step(runbook, "back-restore-hadoop-hdfs-namenode").run)
    assert step(runbook, "back-restore-hadoop-hdfs-datanode").hosts == tuple(HOSTS["worker"])
    database = step(runbook, "back-restore-hive-metastore").run[0]
    assert database.index("dump_is_whole") < database.index("mysql hive")


def test_a_database_that_nobody_said_how_to_dump_stops_the_day_before_it_is_begun(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runbook = book(tmp_path, FLEET.partition("[services.")[0])
    assert "hive-metastore: say how its database is dumped, in [services.hive-metastore]" in caplog.text
    assert "dump-hive-metastore" not in ids(runbook, "quiet")
    (line,) = step(runbook, "filled").run
    assert line.startswith("refuse 'nobody said how the database of hive-metastore is dumped")
    # One without a database says so.
    text = FLEET.partition("[services.")[0] + '[services.hive-metastore]\ndatabase = ""\n'
    assert step(book(tmp_path, text), "filled").run == (":",)


def test_one_host_with_everything_has_each_step_once(tmp_path: Path) -> None:
    text = FLEET.replace('[["master", "coordinator"]]', '[["master", "coordinator", "worker", "services"]]')
    runbook = book(tmp_path, text, **{role: ["one"] for role in HOSTS})
    assert ids(runbook, "switch") == ["switch-coordinator-worker-master-services"]
    assert "start-hadoop-hdfs-namenode" not in ids(runbook, "start")
    assert "rejoin-hadoop-hdfs-namenode" not in back(runbook, "start")
    assert {host for one in runbook.steps() for host in one.hosts} == {"one"}


def test_a_service_that_a_release_drops_is_stopped_and_comes_back_on_the_way_back_alone(
    tmp_path: Path,
) -> None:
    made = fleet(tmp_path)
    way = {"zookeeper-server": "1", "hadoop-httpfs": "1"}
    lists = RoleLists(
        role="coordinator",
        upgrade=Way(packages={"zookeeper-server": "2", "oozie": "2"}),
        rollback=Way(packages=way),
    )
    runbook = runbook_of(
        made,
        made.roles,
        {"coordinator": ["z1"]},
        origin="Test",
        upgrade=NEW,
        rollback=OLD,
        closures=[lists],
    )
    assert ids(runbook, "quiet") == ["stop-hadoop-httpfs"]
    assert "start-hadoop-httpfs" not in ids(runbook, "start")
    assert "upgrade-oozie" in ids(runbook, "start")
    assert "restore-hadoop-httpfs" in back(runbook, "start")
    assert "stop-oozie" in back(runbook, "start")
    assert "restore-oozie" not in back(runbook, "start")


def test_without_a_snapshot_to_go_back_to_the_day_says_so(tmp_path: Path) -> None:
    runbook = book(tmp_path, rollback="")
    assert step(runbook, "back-switch-worker").run[0].startswith("refuse 'there is no snapshot")
    assert not any("fetch rollback" in line for line in step(runbook, "ready-worker").run)
    text = day_files(runbook)["runbook.md"].content.decode()
    assert "from phase `switch` on this day has no way back" in text


def test_roles_without_a_host_are_no_day(tmp_path: Path) -> None:
    made = fleet(tmp_path)
    with pytest.raises(InputError, match="no role has a host"):
        runbook_of(made, made.roles, {}, origin="Test", upgrade=NEW)


@pytest.mark.parametrize(
    ("hosts", "short"),
    [
        (["w01", "w02", "w03", "w05"], "w[01-03,05]"),
        (["w9", "w10"], "w9,w10"),
        (["db", "w1.example.org", "w2.example.org"], "db,w[1-2].example.org"),
        (["a-1", "a-1", "b-1"], "a-1,b-1"),
    ],
)
def test_names_of_hosts_are_folded_as_cumin_reads_them(hosts: list[str], short: str) -> None:
    assert sorted(folded(hosts).split(",")) == sorted(short.split(","))


def lay_out(runbook: Runbook, folder: Path) -> Path:
    for name, file in day_files(runbook).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(0o755 if file.program else 0o644)
    return folder


def scripts(day: Path) -> Iterator[Path]:
    yield from (day / "run", day / "day.sh", *sorted(day.glob("steps/*")), *sorted(day.glob("back/*")))


def test_each_step_has_a_script_that_is_good_shell(tmp_path: Path) -> None:
    runbook = book(tmp_path)
    day = lay_out(runbook, tmp_path / "day")
    assert {path.name for path in day.glob("steps/*")} == {one.id for one in runbook.steps()}
    assert {path.name for path in day.glob("back/*")} == {one.id for one in runbook.back}
    for path in scripts(day):
        run(["sh", "-n", path])
    if shutil.which("shellcheck"):
        run(["shellcheck", "-e", "SC1091", *scripts(day)])
    assert Runbook.from_json((day / "runbook.json").read_bytes(), source="it") == runbook


def test_the_page_has_every_step_its_hosts_its_commands_and_the_point_of_no_return(tmp_path: Path) -> None:
    runbook = book(tmp_path)
    text = day_files(runbook)["runbook.md"].content.decode()
    for phase in runbook.phases:
        assert f"./run phase {phase.id}\n" in text
        for one in phase.steps:
            assert f"    ./run steps/{one.id}\n" in text
            assert one.stop in text
    for one in runbook.back:
        assert f"    ./run back/{one.id}\n" in text
    assert "    cumin -b 5 -s 60 'D{w[01-12]}' /root/upgrade-day/steps/switch-worker\n" in text
    assert text.index("> # POINT OF NO RETURN") < text.index("## finalize")


SSH = """#!/bin/sh
host=$1; shift
echo "$host $*" >>"$SAID"
case " $BAD " in *" $host "*) echo "no route"; exit 255 ;; esac
"""


def runner(folder: Path, *words: str, bad: str = "", status: int = 0) -> tuple[list[str], str]:
    """What `run` called on which hosts, and what it said."""
    day = lay_out(book(folder), folder / "day")
    said, ssh = folder / "said", folder / "ssh"
    ssh.write_text(SSH)
    ssh.chmod(0o755)
    said.write_text("")
    runner = day / "run"
    runner.write_text(runner.read_text().replace("pause=60", "pause=0"))
    env = {"DAY_ON": str(ssh), "SAID": str(said), "BAD": bad}
    done = run([runner, *words], env=env, check=False)
    assert done.returncode == status, done.text + done.complaint
    return said.read_text().splitlines(), done.text + done.complaint


def test_a_step_is_run_on_its_hosts_in_batches_and_ends_after_the_batch_in_which_one_fails(
    tmp_path: Path,
) -> None:
    script = "/root/upgrade-day/steps/switch-worker"
    called, _ = runner(tmp_path, "steps/switch-worker")
    assert sorted(called) == [f"w{number:02} {script}" for number in range(1, 13)]
    assert {line[:3] for line in called[:5]} == {"w01", "w02", "w03", "w04", "w05"}
    called, said = runner(tmp_path, "steps/switch-worker", bad="w07", status=1)
    assert len(called) == 10
    assert "steps/switch-worker failed on w07\n  not begun: w11 w12" in said
    assert "run steps/switch-worker w07, or go back as runbook.md says" in said
    called, _ = runner(tmp_path, "steps/switch-worker", "w07")
    assert called == [f"w07 {script}"]


def test_a_phase_and_a_way_back_are_run_step_by_step_until_one_fails(tmp_path: Path) -> None:
    called, _ = runner(tmp_path, "phase", "quiet")
    assert [line.rpartition("/")[2] for line in called if line.startswith("s1 ")] == [
        "stop-hive-server2",
        "stop-hive-metastore",
        "dump-hive-metastore",
    ]
    called, said = runner(tmp_path, "phase", "quiet", bad="s1", status=1)
    assert len(called) == 1
    assert "no route" in said
    called, _ = runner(tmp_path, "back", "switch")
    steps = [*dict.fromkeys(line.rpartition("/")[2] for line in called)]
    assert steps[0].startswith("back-stop-")  # an earlier way back may have got as far as a start
    assert steps.index("back-stop-zookeeper-server") < steps.index("back-guard-coordinator-master")
    assert runner(tmp_path, "back", "ready")[1].strip() == "run: nothing has to be undone"
    assert runner(tmp_path, "-n", "phase", "switch")[0] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("steps/nope",), "there is no step 'steps/nope'"),
        ((), "there is no step ''"),
        (("phase", "nope"), "there is no phase 'nope'"),
        (("steps/switch-worker", "m1"), "m1 has no part in steps/switch-worker"),
    ],
)
def test_what_there_is_not_is_refused_and_nothing_is_run(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    called, told = runner(tmp_path, *words, status=2)
    assert called == []
    assert said in told


def shell(folder: Path, line: str, *, status: int = 0) -> str:
    """A line with what the steps have in common, with another folder for copies."""
    day = lay_out(book(folder), folder / "day")
    begin = f'set -eu; DAY={day}; . "$DAY/day.sh"; KEPT={folder}/kept; PATIENCE=3; mkdir -p "$KEPT"; '
    done = run(["sh", "-c", begin + line], check=False)
    assert done.returncode == status, done.text + done.complaint
    return done.text + done.complaint


def test_what_is_kept_is_put_back_as_it_was_and_both_may_be_done_twice(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "version-2").mkdir(parents=True)
    (data / "version-2/log.1").write_text("one")
    assert "kept: " in shell(tmp_path, f"keep zood {data}")
    assert "kept already" in shell(tmp_path, f"keep zood {data}")
    (data / "version-2/log.1").write_text("two")
    assert "kept: " in shell(tmp_path, f"keep zood {data}")

    (data / "version-2/log.1").write_text("upgraded")
    (data / "version-3").write_text("new")
    assert "put back" in shell(tmp_path, "put_back zood")
    assert (data / "version-2/log.1").read_text() == "two"
    assert [path.name for path in data.iterdir()] == ["version-2"]
    assert "as it was" in shell(tmp_path, "put_back zood")


def test_a_copy_that_is_no_more_what_was_kept_is_not_put_back(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "log").write_text("one")
    shell(tmp_path, f"keep zood {data}")
    (kept,) = (tmp_path / "kept/copies/zood").glob("*/log")
    kept.write_text("rotten")
    (data / "log").write_text("upgraded")
    assert "is not what was kept" in shell(tmp_path, "put_back zood", status=1)
    assert (data / "log").read_text() == "upgraded"
    assert "nothing was kept on this host" in shell(tmp_path, "put_back other", status=1)


def test_after_the_switch_has_begun_no_good_copy_is_taken_over_by_another(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "log").write_text("one")
    shell(tmp_path, f"keep zood {data}; switch_begins")
    (data / "log").write_text("upgraded")
    assert "the switch has begun on this host" in shell(tmp_path, f"keep zood {data}", status=1)
    (kept,) = (tmp_path / "kept/copies/zood").glob("*/log")
    assert kept.read_text() == "one"


def test_a_dump_without_anything_in_it_is_none_and_one_that_changed_is_told(tmp_path: Path) -> None:
    begin = 'DUMP=$(dump_folder hive); mkdir -p "$DUMP"; '
    assert "has no file with anything in it" in shell(tmp_path, begin + ': >"$DUMP/x"; dumped hive', status=1)
    shell(tmp_path, begin + 'echo data >"$DUMP/x"; dumped hive; dump_is_whole hive')
    said = shell(tmp_path, begin + 'echo other >"$DUMP/x"; dump_is_whole hive', status=1)
    assert "is not what was dumped" in said


def test_a_check_that_must_hold_within_patience_is_tried_again(tmp_path: Path) -> None:
    line = f"check \"patiently 'echo >>{tmp_path}/tries; [ \\$(wc -l <{tmp_path}/tries) -ge 2 ]'\""
    shell(tmp_path, line.replace("check", "PATIENCE=9; check", 1))
    shell(tmp_path, "check false", status=1)


def test_where_nothing_is_named_to_be_kept_the_step_stops(tmp_path: Path) -> None:
    assert "there is no path to keep" in shell(tmp_path, "keep zood $(true)", status=1)
    assert "is not there" in shell(tmp_path, f"keep zood {tmp_path}/nowhere", status=1)


def test_what_the_manual_says_of_databases_is_a_good_definition_and_fills_what_must_be_filled(
    tmp_path: Path,
) -> None:
    page = (Path(__file__).parents[2] / "docs/upgrade-day.md").read_text(encoding="utf-8")
    lines = page.partition("## Say what the fleet is")[2].partition("\n## ")[0].splitlines()
    said = "\n".join(line[4:] for line in lines if line.startswith("    "))
    text = FLEET.partition("[services.")[0].replace('"hive-server2"', '"oozie"')
    runbook = book(tmp_path, f"{text}\n{said}\n")
    assert step(runbook, "filled").run == (":",)
    assert {"dump-hive-metastore", "dump-oozie"} <= set(ids(runbook, "quiet"))
    assert runbook.kept == "/srv/kept"
    assert "kinit" in runbook.login
