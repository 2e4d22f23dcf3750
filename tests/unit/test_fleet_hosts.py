# SPDX-License-Identifier: Apache-2.0
"""Which hosts have which role: patterns, inventories, and what is wrong with them."""

import io
import json
import re
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.errors import InputError
from bigtop_builder.fleet.definition import Fleet, load_fleet
from bigtop_builder.fleet.host_pattern import expand
from bigtop_builder.fleet.hosts import hosts_of, inventory_of
from bigtop_builder.fleet.inventory import load_inventory, parse_ini, parse_json, parse_yaml
from bigtop_builder.run import Completed, run

NOTHING = io.BytesIO()

INI = """
# the cluster
lonely.example.org ansible_host=10.0.0.1

[workers]
worker[01:03].example.org:2222 ansible_user="a b"  # five later
w[a:b]

[masters]
master1.example.org
2001:db8::1

[hadoop:children]
workers
masters # both
[hadoop:vars]
any thing = at all
"""
YAML = """
all:
  hosts:
    lonely.example.org: {ansible_host: 10.0.0.1}
  vars: {secret: !vault "x"}
  children:
    hadoop:
      children:
        workers:
          hosts:
            worker[01:03].example.org: &same {ansible_port: 2222}
            w[a:b]: *same
        masters:
          hosts:
            master1.example.org:
            2001:db8::1:
"""
JSON = """{
 "_meta": {"hostvars": {"master1.example.org": {"x": [1, {"y": null}]}}},
 "all": {"children": ["ungrouped", "hadoop"]},
 "ungrouped": {"hosts": ["lonely.example.org"]},
 "hadoop": {"children": ["workers", "masters"]},
 "workers": {"hosts": ["worker01.example.org", "worker02.example.org", "worker03.example.org", "wa", "wb"]},
 "masters": {"hosts": ["master1.example.org", "2001:db8::1"]}
}"""
WORKERS = ("worker01.example.org", "worker02.example.org", "worker03.example.org", "wa", "wb")
MASTERS = ("master1.example.org", "2001:db8::1")


@pytest.mark.parametrize(
    ("pattern", "hosts"),
    [
        ("a.example.org", ["a.example.org"]),
        ("w[01-03]", ["w01", "w02", "w03"]),
        ("w[8-11].x", ["w8.x", "w9.x", "w10.x", "w11.x"]),
        ("w[08:10]", ["w08", "w09", "w10"]),
        ("w[1-2,7,9-10]", ["w1", "w2", "w7", "w9", "w10"]),
        ("w[1:9:4]", ["w1", "w5", "w9"]),
        ("w[0-8/4]", ["w0", "w4", "w8"]),
        ("r[a:b]n[1-2]", ["ran1", "ran2", "rbn1", "rbn2"]),
        ("[A-B]1", ["A1", "B1"]),
        ("w[1,1]", ["w1"]),
        ("10.0.0.[9-10]", ["10.0.0.9", "10.0.0.10"]),
    ],
)
def test_a_pattern_stands_for_hosts_in_its_order(pattern: str, hosts: list[str]) -> None:
    assert list(expand(pattern)) == hosts


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("w[01-03", "a bracket too many or too few"),
        ("w01]", "a bracket too many or too few"),
        ("w[[1-2]]", "a bracket too many or too few"),
        ("", "a bracket too many or too few"),
        ("w[]", "'' is no range"),
        ("w[a-3]", "'a-3' is no range; write [01-80]"),
        ("w[3-1]", "range '3-1' goes down"),
        ("w[1:3:0]", "a step of 0"),
        ("w[1-99999999999]", "more than 10000 hosts"),
        ("w[1-999][1-999]", "stands for 998001 hosts"),
        ("w 1", "'w 1' is no name of a host"),
        ("w1;reboot", "'w1;reboot' is no name of a host"),
        ("$(reboot)", "is no name of a host"),
        ("-w", "'-w' is no name of a host"),
    ],
)
def test_what_is_no_pattern_is_said_in_words(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        expand(pattern)


@pytest.mark.parametrize("form", ["ini", "yaml", "json"])
def test_an_inventory_has_the_same_groups_in_each_form(form: str) -> None:
    parse = {"ini": parse_ini, "yaml": parse_yaml, "json": parse_json}[form]
    groups = parse({"ini": INI, "yaml": YAML, "json": JSON}[form], "hosts").groups
    assert groups["workers"] == WORKERS
    assert groups["masters"] == MASTERS
    assert groups["hadoop"] == (*WORKERS, *MASTERS)
    assert groups["ungrouped"] == ("lonely.example.org",)
    assert sorted(groups["all"]) == sorted((*WORKERS, *MASTERS, "lonely.example.org"))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("h", "[workers\nw1", "h:1: '[workers' is no section"),
        ("h", "[workers:hosts]", "h:1: '[workers:hosts]' is no section"),
        ("h", "[a]\nw1 port", "h:2: 'port' sets no variable"),
        ("h", "[a]\n\nw1 x='y", 'h:3: "w1 x=\'y": No closing quotation'),
        ("h", "[a:children]\nb", "h:2: there is no group 'b'"),
        ("h", "[a:vars]\nx=1", "h:1: there is no group 'a'"),
        ("h", "[a:children]\nb\n[b:children]\na", "group 'a' is a child of itself: a > b > a"),
        ("h", "w[3:1]", "h:1: 'w[3:1]': range '3:1' goes down"),
        ("h", "#!/bin/sh\n", "is a program, and no inventory file"),
        ("h", "a\udcff", "h:1: not UTF-8 at byte 1"),
        ("h.yml", "all:\n  hosts: [a\n", "h.yml:3: malformed YAML"),
        ("h.yml", "all:\n\thosts:", "h.yml:2: malformed YAML"),
        ("h.yml", "a: {hosts: {w1: }}\na: {hosts: {w2: }}", "h.yml:2: 'a' is there a second time"),
        ("h.yml", "a: {host: {w1: }}", "group 'a': there is no such key: host"),
        ("h.yml", "a: {hosts: [[w1]]}", "group 'a': hosts: neither a list nor a mapping of names"),
        ("h.yml", "- w1", "it is no mapping of groups"),
        ("h.yml", "", "it is no mapping of groups"),
        ("h.yml", "plugin: aws_ec2", "plugin 'aws_ec2' has to be run"),
        ("h.yml", "&a a: {children: &b {c: {children: *b}}}", "an alias leads to itself"),
        ("h.yml", "? [x]\n: y", "a key is no text"),
        ("h.yml", "a: {hosts: {'w 1': }}", "group 'a': 'w 1' is no name of a host"),
        ("h.yml", "a: \x01", "malformed YAML"),
        ("h.json", "", "malformed JSON"),
        ("h.json", '{"a": {"hosts": [1]}}', "neither a list nor a mapping of names"),
        ("h.json", '{"a": {"hosts": ["w1"]}', "malformed JSON"),
        ("h.json", "[]", "it is no mapping of groups"),
        ("h.json", "[" * 200_000, "malformed JSON"),
        ("h.json", '{"a": ["w1"], "a": ["w2"]}', "'a' is there a second time"),
        ("h.yml", "a: " + "[" * 200_000, "malformed YAML"),
        ("h.ini", "".join(f"[g{n}:children]\ng{n + 1}\n" for n in range(5000)) + "[g5000]", "lies below"),
    ],
)
def test_an_inventory_that_does_not_parse_is_refused_with_its_place(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    path = tmp_path / name
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(InputError) as caught:
        load_inventory(path, NOTHING)
    assert said in str(caught.value).replace(f"{tmp_path}/", "")
    assert caught.value.hint


def test_groups_that_many_others_have_as_children_are_looked_at_once() -> None:
    levels = [
        f"[g{n}a:children]\ng{n + 1}a\ng{n + 1}b\n[g{n}b:children]\ng{n + 1}a\ng{n + 1}b\n" for n in range(60)
    ]
    assert parse_ini("".join(levels) + "[g60a]\nw1\n[g60b]\nw2\n", "h").groups["g0b"] == ("w1", "w2")


def test_what_only_ansible_can_read_comes_by_its_own_command(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder") as caught:
        load_inventory(tmp_path, NOTHING)
    assert "ansible-inventory --list |" in caught.value.hint
    assert load_inventory("-", io.BytesIO(JSON.encode())).groups["workers"] == WORKERS
    with pytest.raises(InputError, match="standard input: malformed JSON"):
        load_inventory("-", NOTHING)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load_inventory(tmp_path / "none", NOTHING)


@given(st.text(alphabet=st.sampled_from("ab[]:-,{}&* \n\t'\"#=!1\\")))
def test_whatever_an_inventory_holds_it_is_read_or_refused(text: str) -> None:
    for parse in (parse_ini, parse_yaml, parse_json):
        with suppress(InputError):
            parse(text, "hosts")


# Roles


def fleet(text: str) -> Fleet:
    return Fleet.model_validate(
        {
            "format": 1,
            "roles": {"worker": {"packages": ["aa"], "groups": ["workers"]}, "master": {"packages": ["bb"]}},
            **json.loads(text),
        }
    )


def refused(text: str, inventory: str = "{}") -> InputError:
    made = fleet(text)
    with pytest.raises(InputError) as caught:
        hosts_of(made, made.roles, path=Path("fleet.toml"), inventory=parse_json(inventory, "hosts"))
    return caught.value


def test_hosts_come_from_patterns_and_from_groups_by_the_roles_own_name_or_others() -> None:
    made = fleet('{"hosts": {"worker": ["extra[1-2]", "wa"]}}')
    groups = parse_json(JSON.replace('"masters": {"h', '"master": {"h'), "hosts")
    found = hosts_of(made, made.roles, path=Path("fleet.toml"), inventory=groups)
    assert found == {"worker": ("extra1", "extra2", "wa", *WORKERS[:3], "wb"), "master": MASTERS}
    assert hosts_of(made, ["worker"], path=Path("f"))["worker"] == ("extra1", "extra2", "wa")


def test_a_host_in_two_roles_is_refused_unless_they_are_declared_together() -> None:
    both = '"hosts": {"worker": ["h[1-3]"], "master": ["h2", "h3"]}'
    error = refused(f"{{{both}}}", '{"workers": []}')
    assert error.brief == "h2 is in roles worker and master, and so is 1 other host"
    assert error.details == "worker: h[1-3] in fleet.toml\nmaster: h2 in fleet.toml"
    assert 'together = [["worker", "master"]] in fleet.toml' in error.hint
    made = fleet(f'{{{both}, "together": [["master", "worker"]]}}')
    assert hosts_of(made, made.roles, path=Path("f"))["master"] == ("h2", "h3")


def test_what_names_no_role_no_group_or_no_host_is_refused() -> None:
    assert "role 'worker' names group 'workers', which hosts does not have" in refused("{}").brief
    assert "fleet.toml: hosts.worker: 'h[' has a bracket" in refused('{"hosts": {"worker": ["h["]}}').brief
    made = Fleet.model_validate({"format": 1, "hosts": {"wroker": ["h"]}})
    with pytest.raises(InputError, match="`hosts` names role 'wroker'") as caught:
        hosts_of(made, ["worker"], path=Path("fleet.toml"))
    assert caught.value.hint == "the nearest is worker"


def test_the_definition_may_name_the_inventory_and_a_command_another(tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text('format = 1\ninventory = "../hosts.ini"\n')
    (tmp_path.parent / "hosts.ini").write_text(INI)
    path = tmp_path / "fleet.toml"
    found = inventory_of(load_fleet(path), path, "", NOTHING)
    assert found is not None
    assert found.groups["workers"] == WORKERS
    other = inventory_of(load_fleet(path), path, "-", io.BytesIO(b'{"workers": ["x"]}'))
    assert other is not None
    assert other.groups["workers"] == ("x",)
    assert inventory_of(Fleet(format=1), path, "", NOTHING) is None


# The command


def ask(folder: Path, *words: str, stdin: bytes = b"") -> Completed:
    argv = [sys.executable, "-m", "bigtop_builder", "--project", folder, "fleet", "hosts", *words]
    return run(argv, stdin=stdin, check=False)


def test_the_command_lists_hosts_in_the_order_of_the_upgrade(tmp_path: Path) -> None:
    for name in ("recipes", "repo"):
        (tmp_path / name).mkdir()
    assert "names no role" in ask(tmp_path).complaint
    (tmp_path / "repo/fleet.toml").write_text(
        'format = 1\n[roles.master]\npackages = ["bb"]\norder = 2\ngroups = ["masters"]\n'
        '[roles.worker]\npackages = ["aa"]\norder = 1\ngroups = ["workers"]\n'
    )
    told = ask(tmp_path, "--inventory", "-", stdin=JSON.encode())
    assert told.text.splitlines() == [
        *(f"worker {host}" for host in WORKERS),
        *(f"master {host}" for host in MASTERS),
    ]
    done = ask(tmp_path, "--inventory", "-", "--role", "master", "--json", stdin=JSON.encode())
    assert json.loads(done.text) == {"master": list(MASTERS)}
    wrong = ask(tmp_path, "--role", "mastr")
    assert (wrong.returncode, "the nearest is master" in wrong.complaint) == (2, True)
