# SPDX-License-Identifier: Apache-2.0
"""Ansible inventories: which hosts are in which group. Variables are not looked at.

INI and YAML as Ansible's own plugins `ini` and `yaml` read them, and JSON as `ansible-inventory --list` prints it.
What only Ansible can say (scripts, folders, plugins) comes by that command: docs/decisions/0013-inventories.md.
"""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NoReturn

from bigtop_builder.errors import InputError
from bigtop_builder.fleet.host_pattern import expand

ALL, UNGROUPED = "all", "ungrouped"
"""Groups that Ansible has in any case."""
STDIN = "-"
BY_ANSIBLE = "ansible-inventory --list | bigtop-builder … --inventory - lets Ansible itself read it"
SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
PORT = re.compile(r"([^:\s]+(?:\[[^\]]*\][^:\s]*)*):\d+")
"""A host with a port; an IPv6 address has more colons."""
DEPTH = 100
"""Groups in groups: more are no inventory that people keep."""
KEYS = frozenset({"hosts", "children", "vars"})


@dataclass(frozen=True)
class Inventory:
    """Hosts by group.

    Attributes:
        source: What it was read from.
        groups: Group -> its hosts, those of its children too, in their order.
    """

    source: str
    groups: Mapping[str, tuple[str, ...]]


@dataclass
class _Group:
    """A group while it is read: its own hosts and children, in order."""

    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)


def load_inventory(where: str | Path, stdin: IO[bytes]) -> Inventory:
    """Read an inventory.

    Args:
        where: A file, by whose suffix its form is known (.yml, .yaml, .json, else INI); `-` for JSON on stdin.
        stdin: Standard input.

    Raises:
        InputError: It cannot be read, or does not parse; file, line, value and way out are named.
    """
    if str(where) == STDIN:
        return parse_json(_text(stdin.read(), "standard input"), "standard input")
    path = Path(where)
    if path.is_dir():
        raise InputError(f"{path} is a folder, and no inventory file", hint=BY_ANSIBLE)
    try:
        text = _text(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(
            f"inventory {path} cannot be read: {error.strerror}", hint="name a file you may read"
        ) from error
    if text.startswith("#!"):
        raise InputError(f"{path} is a program, and no inventory file", hint=BY_ANSIBLE)
    forms = {".yml": parse_yaml, ".yaml": parse_yaml, ".json": parse_json}
    return forms.get(path.suffix, parse_ini)(text, str(path))


def parse_ini(text: str, source: str) -> Inventory:
    """Ansible's INI: `[group]`, `[group:children]`, `[group:vars]`, a host with its variables a line.

    Raises:
        InputError: A line is none of these, or a group is named that there is not.
    """
    groups = {UNGROUPED: _Group()}
    named: dict[str, str] = {}
    group, part = UNGROUPED, ""
    for number, raw in enumerate(text.splitlines(), 1):
        line, where = raw.strip(), f"{source}:{number}"
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            found = SECTION.fullmatch(line)
            if not found or found[2] not in {None, "children", "vars"}:
                _refuse(where, f"{line!r} is no section", "write [group], [group:children] or [group:vars]")
            group, part = found[1], found[2] or ""
            if part == "vars":
                named.setdefault(group, where)
            else:
                groups.setdefault(group, _Group())
        elif part == "children":
            child = line.partition("#")[0].strip()
            groups[group].children[child] = None
            named.setdefault(child, where)
        elif part == "":
            _hosts(groups[group], _first_word(line, where), where)
    for name, where in named.items():
        if name not in groups and name != ALL:
            _refuse(where, f"there is no group {name!r}", f"there are {', '.join(groups)}")
    return _flat(groups, source)


def parse_yaml(text: str, source: str) -> Inventory:
    """Ansible's YAML: groups with `hosts`, `children` and `vars`, each a mapping.

    Raises:
        InputError: It is no YAML, or has another form.
    """
    import yaml  # 20 ms that only such an inventory should pay

    try:
        loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
        depth = 0
        for event in yaml.parse(text, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > 4 * DEPTH:  # the loader would crash
                line = event.start_mark.line + 1
                _refuse(
                    f"{source}:{line}", "malformed YAML: it is nested too deep", "have fewer groups in groups"
                )
        data = _plain(yaml.compose(text, Loader=loader), source, {})
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        _refuse(f"{source}{line}", f"malformed YAML: {error.problem}", "mend the line named above")
    except yaml.YAMLError as error:
        _refuse(source, f"malformed YAML: {error}", "save it as UTF-8 text")
    if data and isinstance(data, Mapping) and "plugin" in data:
        _refuse(source, f"plugin {data['plugin']!r} has to be run", BY_ANSIBLE)
    return _structured(data, source)


def parse_json(text: str, source: str) -> Inventory:
    """What `ansible-inventory --list` prints; a JSON file may have the form of YAML too.

    Raises:
        InputError: It is no JSON, or has another form.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                _refuse(source, f"{name!r} is there a second time", "join the two: JSON takes only the last")
            found[name] = value
        return found

    try:
        data = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{source}: malformed JSON: {error}",
            details="it is empty" if not text.strip() else "",
            hint="ansible-inventory --list prints what is wanted",
        ) from error
    return _structured(data, source)


def _structured(data: Any, source: str) -> Inventory:
    if not isinstance(data, Mapping):
        _refuse(source, "it is no mapping of groups", "an inventory has `group: {hosts: …}` at its top")
    groups: dict[str, _Group] = {}
    for name, said in data.items():
        if name != "_meta":
            _group(groups, name, said, source)
    return _flat(groups, source)


def _group(groups: dict[str, _Group], name: str, said: Any, source: str) -> None:
    """Take in a group: a mapping, or only the list of its hosts; several places may tell of it."""
    where = f"{source}: group {name!r}"
    group = groups.setdefault(name, _Group())
    parts = said if isinstance(said, Mapping) else {"hosts": said}
    if unknown := sorted(set(parts) - KEYS):
        _refuse(where, f"there is no such key: {unknown[0]}", "a group has hosts, children and vars")
    for host in _names(parts.get("hosts"), f"{where}: hosts"):
        _hosts(group, host, where)
    children = parts.get("children")
    for child in _names(children, f"{where}: children"):
        group.children[child] = None
        if isinstance(children, Mapping):
            _group(groups, child, children[child], source)


def _names(said: Any, where: str) -> list[str]:
    """What a list, a mapping or a word names."""
    if said is None or said == "":
        return []
    names = [said] if isinstance(said, str) else said
    if not isinstance(names, list | Mapping) or not all(isinstance(name, str) for name in names):
        _refuse(where, "neither a list nor a mapping of names", BY_ANSIBLE)
    return list(names)


def _hosts(group: _Group, pattern: str, where: str) -> None:
    host = found[1] if (found := PORT.fullmatch(pattern)) else pattern
    try:
        group.hosts |= dict.fromkeys(expand(host))
    except ValueError as error:
        _refuse(where, str(error), "mend the name of the host there")


def _first_word(line: str, where: str) -> str:
    """The host of a line; each other word sets a variable."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        _refuse(where, f"{line!r}: {error}", "close the quotation there")
    if wrong := next((word for word in words[1:] if "=" not in word), ""):
        _refuse(where, f"{wrong!r} sets no variable", "a line has one host, and key=value after it")
    return words[0] if words else ""


def _flat(groups: dict[str, _Group], source: str) -> Inventory:
    """Groups with the hosts of their children."""
    whole: dict[str, tuple[str, ...]] = {}
    for name in groups:
        _below(groups, name, (), source, whole)
    whole = {name: whole[name] for name in groups}
    every = dict.fromkeys(host for hosts in whole.values() for host in hosts)
    grouped = {host for name, hosts in whole.items() if name not in {ALL, UNGROUPED} for host in hosts}
    alone = tuple(host for host in every if host not in grouped)
    return Inventory(source=source, groups=whole | {ALL: tuple(every), UNGROUPED: alone})


def _below(
    groups: Mapping[str, _Group],
    name: str,
    above: tuple[str, ...],
    source: str,
    known: dict[str, tuple[str, ...]],
) -> tuple[str, ...]:
    """Hosts of a group and its children, each group looked at once."""
    if name in above:
        _refuse(
            source, f"group {name!r} is a child of itself: {' > '.join((*above, name))}", "break the circle"
        )
    if len(above) > DEPTH:
        _refuse(
            source,
            f"group {name!r} lies below {DEPTH} others",
            "have fewer groups in groups",
        )
    if name not in known:
        # ansible-inventory names empty groups as children, and leaves them out
        group = groups.get(name, _Group())
        children = [_below(groups, child, (*above, name), source, known) for child in group.children]
        known[name] = tuple(dict.fromkeys([*group.hosts, *(host for hosts in children for host in hosts)]))
    return known[name]


def _plain(node: Any, source: str, known: dict[int, Any]) -> Any:
    """A YAML node as plain data: all scalars are text, tags are nothing; what an alias leads to is made once."""
    if node is None or isinstance(node.value, str):
        return None if node is None else node.value
    if id(node) in known:
        if known[id(node)] is None:
            _refuse(f"{source}:{node.start_mark.line + 1}", "an alias leads to itself", "break the circle")
        return known[id(node)]
    known[id(node)] = None
    if node.id == "sequence":
        made: Any = [_plain(one, source, known) for one in node.value]
    else:
        made = {}
        for key, value in node.value:
            where = f"{source}:{key.start_mark.line + 1}"
            if not isinstance(key.value, str):
                _refuse(where, "a key is no text", "write a name before the colon")
            if key.value in made:
                _refuse(where, f"{key.value!r} is there a second time", "join the two: YAML takes only one")
            made[key.value] = _plain(value, source, known)
    known[id(node)] = made
    return made


def _text(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        _refuse(f"{source}:{line}", f"not UTF-8 at byte {error.start}", "save it as UTF-8")


def _refuse(where: str, what: str, hint: str) -> NoReturn:
    raise InputError(f"{where}: {what}", hint=hint)
