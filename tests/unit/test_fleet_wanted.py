# SPDX-License-Identifier: Apache-2.0
"""What roles ask of apt, and what hosts ask that have several of them."""

from pathlib import Path

from test_fleet_emitted import NEW, OLD, offer, stanza

from bigtop_builder.fleet.definition import Fleet
from bigtop_builder.fleet.wanted import wanted_of

FLEET = {
    "format": 1,
    "together": [["master", "coordinator", "client"], ["client", "master"]],
    "roles": {
        "master": {"packages": ["hadoop"], "distribution": ["jre"], "order": 2},
        "coordinator": {"packages": ["zookeeper"], "distribution": ["jre", "procps"], "order": 1},
        "client": {"packages": ["hadoop", "zookeeper"], "order": 3},
        "worker": {"packages": ["hadoop"]},
    },
}


def test_each_set_of_roles_that_a_host_may_have_asks_for_all_of_them_at_once() -> None:
    sides = [offer(one, more=(stanza("hadoop", "1"),)) for one in (NEW, OLD)]
    asked = {
        one.role: one
        for one in wanted_of(
            Fleet.model_validate(FLEET), Path("fleet.toml"), (), *sides, architecture="amd64"
        )
    }
    assert [*asked] == [
        *("master", "coordinator", "client", "worker"),
        *("coordinator+master", "coordinator+client", "master+client", "coordinator+master+client"),
    ]
    both = asked["coordinator+master"]
    assert both.upgrade == both.rollback == ("zookeeper", "hadoop")
    assert both.distribution == ("jre", "procps")
    few = wanted_of(
        Fleet.model_validate(FLEET), Path("fleet.toml"), ("master", "client"), *sides, architecture="amd64"
    )
    assert [one.role for one in few] == ["master", "client", "master+client"]
