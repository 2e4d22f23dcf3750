# SPDX-License-Identifier: Apache-2.0
"""`repo/fleet.toml`: roles, what they install, and what is wrong with them."""

from pathlib import Path

import pytest

from bigtop_builder.errors import InputError
from bigtop_builder.fleet.definition import Fleet, in_order, load_fleet, roles_in
from bigtop_builder.fleet.hosts import hosts_of
from bigtop_builder.recipe import load_recipe
from bigtop_builder.workspace import Project

WORKER = """
format = 1
[roles.worker]
packages = ["zoo", "spark | spark-core"]
distribution = ["procps"]
order = 2
batch = 5
pause = 60
health = ["true"]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "fleet.toml"
    path.write_text(text)
    return path


def refused(folder: Path, text: str) -> str:
    with pytest.raises(InputError) as caught:
        load_fleet(write(folder, text))
    return str(caught.value)


def test_a_role_says_what_its_hosts_install_and_how_they_are_upgraded(tmp_path: Path) -> None:
    path = write(tmp_path, WORKER)
    fleet = load_fleet(path)
    role = fleet.roles["worker"]
    assert (role.order, role.batch, role.pause, role.health) == (2, 5, 60, ("true",))
    for there, name in ((["zoo", "spark-core"], "spark-core"), (["zoo", "spark", "spark-core"], "spark")):
        chosen = roles_in(fleet, there, path=path, snapshot="s")["worker"]
        assert chosen.roots == ("zoo", name, "procps")
        assert chosen.packages == ("zoo", name)


def test_a_package_that_no_snapshot_has_is_named_with_file_role_and_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path, WORKER)
    with pytest.raises(InputError) as caught:
        roles_in(load_fleet(path), ["zook", "spark"], path=path, snapshot="5b41")
    said = str(caught.value)
    assert f"{path}: role 'worker' names package 'zoo', and snapshot 5b41 has none of that name" in said
    assert "the nearest is zook" in said
    assert "goes under `distribution`" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("format = 1\n[roles.worker]\npackages = []", "roles.worker.packages"),
        (
            'format = 1\n[roles.worker]\npackages = ["Zoo"]',
            "should be a package, or several with ` | ` between",
        ),
        ('format = 1\n[roles.worker]\npackages = ["a", "a"]', "'a' is listed twice"),
        ('format = 1\n[roles.worker]\npackages = ["aa"]\nbatch = 0', "fleet.toml:4: roles.worker.batch"),
        ('format = 1\n[roles.worker]\npackages = ["aa"]\nbtach = 2', "the nearest is batch"),
        (
            'format = 1\n[roles.worker]\npackages = ["aa"]\n[hosts]\nworkers = ["h"]',
            "`hosts` names role 'workers', which there is not; the nearest is worker",
        ),
        (
            'format = 1\ntogether = [["worker", "client"]]\n[roles.worker]\npackages = ["aa"]',
            "`together` names role 'client'",
        ),
        ("[roles]", "format: is required"),
        ("format = 1\nroles", "fleet.toml:2"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    assert said in refused(tmp_path, text)


def test_without_a_definition_the_recipes_roles_count(tmp_path: Path, origin: Project) -> None:
    fleet = load_fleet(tmp_path / "fleet.toml")
    assert fleet == Fleet(format=1)
    recipe = load_recipe("3.5.0", origin.recipes)[0]
    there = {"zookeeper-server", "hadoop-client", "hive", "spark-core"}
    found = roles_in(fleet, there, path=tmp_path, snapshot="s", recipes=[recipe])
    assert found["coordinator"].packages == ("zookeeper-server",)
    assert found["coordinator"].distribution == ("openjdk-11-jre-headless", "procps")
    assert sorted(found) == ["client", "coordinator"], "roles that nothing was published for are left out"


def test_the_projects_own_definition_knows_the_roles_of_its_recipes(origin: Project) -> None:
    fleet = load_fleet(origin.fleet)
    recipe = load_recipe("3.5.0", origin.recipes)[0]
    assert fleet.roles.keys() <= recipe.roles.keys()
    known = {one for role in recipe.roles.values() for one in role}
    assert {one for role in fleet.roles.values() for one in role.packages} <= known
    assert in_order(fleet.roles) == ["coordinator", "worker", "master", "standby", "services", "client"]


def test_the_miniatures_definition_knows_the_roles_of_its_recipes(project: Project) -> None:
    fleet = load_fleet(project.fleet)
    for name in ("1.0.0", "1.1.0"):
        recipe = load_recipe(name, project.recipes)[0]
        assert {role: one.packages for role, one in fleet.roles.items()} == recipe.roles
    hosts = hosts_of(fleet, fleet.roles, path=project.fleet)
    assert hosts["worker"] == ("worker1.example.org", "worker2.example.org", "worker3.example.org")
