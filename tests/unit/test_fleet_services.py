# SPDX-License-Identifier: Apache-2.0
"""Services: what is built in for Bigtop's packages, and what a fleet says over it."""

from pathlib import Path

import pytest

from bigtop_builder.errors import InputError
from bigtop_builder.fleet.definition import load_fleet
from bigtop_builder.fleet.services import services_of

FLEET = """
format = 1
[roles.worker]
packages = ["zoo"]
[services.zoo]
unit = "zood"
order = 3
[services.hive-metastore]
dump = ['mysqldump hive >"$DUMP/hive.sql"']
[day]
patience = 5
[rehearsal.worker]
data = ["cat /treasure"]
"""


def test_a_fleets_own_keys_are_laid_over_those_that_are_built_in(tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text(FLEET)
    fleet = load_fleet(tmp_path / "fleet.toml")
    services = services_of(fleet.services)
    assert (services["zoo"].unit, services["zoo"].order) == ("zood", 3)
    hive = services["hive-metastore"]
    assert hive.dump
    assert hive.upgrade
    assert hive.unit == "hive-metastore"
    assert fleet.day.patience == 5
    assert fleet.rehearsal["worker"].data == ("cat /treasure",)


def test_what_hdfs_stands_on_starts_before_it_and_its_failover_after_it() -> None:
    services = services_of({})
    order = sorted(services, key=lambda name: services[name].order)
    chain = ["zookeeper-server", "hadoop-hdfs-journalnode", "hadoop-hdfs-namenode", "hadoop-hdfs-zkfc"]
    assert [name for name in order if name in chain] == chain
    assert order.index("hadoop-hdfs-datanode") < order.index("hive-metastore") < order.index("oozie")


def test_the_namenode_is_always_upgraded_and_never_by_the_service_script_that_asks_for_a_y() -> None:
    namenode = services_of({})["hadoop-hdfs-namenode"]
    assert namenode.upgrade == ("namenode_upgrade hadoop-hdfs-namenode",)
    lines = (*namenode.restore, *namenode.rejoin, *namenode.upgrade, *namenode.join)
    assert not any("service hadoop-hdfs-namenode" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[services.zoo]\nkeeep = []", "services.zoo.keeep: there is no such key; the nearest is keep"),
        ("[rehearsal.workr]", "`rehearsal` names role 'workr', which there is not; the nearest is worker"),
        ("[day]\npatience = 0", "day.patience"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "fleet.toml").write_text(f'format = 1\n[roles.worker]\npackages = ["zoo"]\n{text}\n')
    with pytest.raises(InputError) as caught:
        load_fleet(tmp_path / "fleet.toml")
    assert said in str(caught.value)
