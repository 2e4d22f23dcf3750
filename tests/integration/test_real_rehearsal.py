# SPDX-License-Identifier: Apache-2.0
"""HDFS on an upgrade day: real Hadoop, upgraded with -upgrade and taken back with -rollback by the runbook.

It runs where REHEARSE_DEBS names a folder with .debs of Hadoop 3.2.1 for Debian 13, and of what they need of Bigtop,
as the recipe 3.0.1-git builds them. The new release is the same Hadoop, packed anew with a higher revision: HDFS
moves forward and back all the same, since the runbook asks it to. docs/fleet.md has the figures.
"""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from keepers_desk import Desk

from bigtop_builder.run import run

DEBS = os.environ.get("REHEARSE_DEBS", "")
RECIPE = "3.0.1-git"
RECIPES = Path(__file__).parents[2] / "recipes"
OLD, NEW = "1+bt3.0.1.1~", "1+bt3.0.1.2~"
"""Revisions; the packages' own is the first."""
LINES = 1_000_000
TREASURE = hashlib.sha256("".join(f"{one}\n" for one in range(1, LINES + 1)).encode()).hexdigest()
FLEET = """
format = 1

[roles.master]
packages = ["hadoop-hdfs-namenode"]
order = 1

[roles.worker]
packages = ["hadoop-hdfs-datanode"]
order = 2

[day]
patience = 120

[rehearsal.master]
before = [JAVA]
prepare = [CONFIGURATION, "runuser -u hdfs -- hdfs namenode -format -nonInteractive"]
data = ["runuser -u hdfs -- hdfs dfs -stat '%n %b %r' /treasure"]

[rehearsal.worker]
before = [JAVA]
prepare = [CONFIGURATION]
load = ["runuser -u hdfs -- sh -euc 'hdfs dfsadmin -safemode wait; seq LINES | hdfs dfs -put - /treasure'"]
data = ["runuser -u hdfs -- sh -euc 'hdfs dfsadmin -safemode wait >&2; hdfs dfs -cat /treasure' 2>/dev/null | HASH"]
"""
JAVA = r"""
cd /etc/apt/sources.list.d
sed -e 's/^Suites: .*/Suites: sid/' -e '/^$/q' debian.sources >sid.sources
printf 'Package: *\nPin: release n=sid\nPin-Priority: 100\n' >/etc/apt/preferences.d/sid.pref
apt-get -q update && apt-get -q -y --no-install-recommends install openjdk-8-jre-headless procps
"""
CONFIGURATION = r"""
put() {
    file=/etc/hadoop/conf/$1
    shift
    { echo '<configuration>'
      for pair; do printf '<property><name>%s</name><value>%s</value></property>\n' "${pair%%=*}" "${pair#*=}"; done
      echo '</configuration>'; } >"$file"
}
put core-site.xml fs.defaultFS=hdfs://master:8020
put hdfs-site.xml dfs.replication=1 dfs.namenode.name.dir=file:///var/lib/hadoop-hdfs/name \
    dfs.datanode.data.dir=file:///var/lib/hadoop-hdfs/data
"""

pytestmark = [
    pytest.mark.real,
    pytest.mark.docker,
    pytest.mark.network,
    pytest.mark.skipif(not DEBS, reason="REHEARSE_DEBS names no folder with packages of Hadoop"),
]


def packed_anew(deb: Path, folder: Path) -> Path:
    """The same package, one revision on; what it needs of its own release is moved on too."""
    tree = folder / "tree"
    run(["dpkg-deb", "-R", deb, tree])
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text().replace(OLD, NEW))
    made = folder / deb.name.replace(OLD, NEW)
    run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", tree, made])
    shutil.rmtree(tree)
    return made


@pytest.fixture(scope="module")
def desk(first_desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A repository whose suite went from one Hadoop to the next."""
    made = first_desk.copied(tmp_path_factory.mktemp("hdfs"))
    shutil.copy(RECIPES / f"{RECIPE}.toml", made.project / "recipes")
    literal = {"JAVA": JAVA, "CONFIGURATION": CONFIGURATION}
    text = FLEET.replace("LINES", str(LINES)).replace("HASH", f"sha256sum | grep {TREASURE}")
    for name, shell in literal.items():
        text = text.replace(name, f"'''{shell}'''")  # a literal string of TOML
    (made.project / "repo/fleet.toml").write_text(text)
    made.do("repo", "init")
    debs = sorted(Path(DEBS).glob("*.deb"))
    made.do("repo", "add", "stable", made.package(), *debs)
    hadoop = [packed_anew(deb, made.home) for deb in debs if deb.name.startswith("hadoop")]
    made.do("repo", "add", "stable", *hadoop)
    return made


def test_hdfs_goes_there_and_back_with_its_file_whole(desk: Desk) -> None:
    new, old = [one.after for one in reversed(desk.repository.state.history("stable"))][:2]
    faults = ("--fault", "killed-unpacking", "--fault", "host-unreachable")
    program = [sys.executable, "-m", "bigtop_builder", f"--project={desk.project}", "fleet", "rehearse"]
    keys = {"BIGTOP_BUILDER_KEYS_DIR": str(desk.home / "keys")}
    run([*program, old, new, "--recipe", RECIPE, *faults, "--finalize"], env=keys)
    (record,) = desk.project.glob("build/fleet/*/rehearsal.json")
    said = json.loads(record.read_text())
    assert said["passed"], said
    assert [one["fault"] for one in said["trials"]] == ["", "killed-unpacking", "host-unreachable", ""]
