# SPDX-License-Identifier: Apache-2.0
"""What a host has, so far as the way back must bring it back: packages, configuration, data."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

PACKAGES = "dpkg-query -W -f '${binary:Package}\\t${Version} ${db:Status-Abbrev}\\n'"
CONFIGURATION = r"""
cd /etc
find . -type f ! -path './apt/*' -exec sha256sum {} + | sed -n 's/^\([0-9a-f]*\)  \.\(.*\)/\/etc\2\t\1/p'
find . ! -path './apt/*' -printf '/etc/%P\t%y %m %u:%g %l\n'
"""
"""Content, and kind, mode, owner and target. apt's own configuration is what the day is about."""
ENGINES = frozenset({"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"})
"""What Docker writes anew when a container starts."""
MADE = frozenset({"/etc/ld.so.cache", "/etc/.pwd.lock", "/etc/mailcap"})
"""What is made of what is installed."""
ACCOUNTS = frozenset(
    f"/etc/{name}{end}"
    for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")
    for end in ("", "-")
)
"""Packages make users and, by Debian policy 9.2, leave them."""


@dataclass(frozen=True, kw_only=True)
class HostState:
    """What a host has.

    Attributes:
        packages: Package -> version and state, as dpkg has them.
        configuration: Path below /etc -> all that is said of it.
        data: Line of the role's `data` -> what it printed.
    """

    packages: Mapping[str, str]
    configuration: Mapping[str, str]
    data: Mapping[str, str]


def pairs(text: str) -> dict[str, str]:
    """Lines of a name and what is said of it; of several about one name all count."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, _, said = line.partition("\t")
        found[name] = f"{found[name]}; {said}" if name in found else said
    return found


def differences(host: str, before: HostState, after: HostState, ours: Collection[str]) -> list[str]:
    """What is not as it was, in words, and must be.

    Args:
        host: Its name.
        before: What it had.
        after: What it has.
        ours: Names of the repository's packages: none of them may be new.
    """
    return [
        *(f"{host}: {one}" for one in _packages(before.packages, after.packages, ours)),
        *(f"{host}: {one}" for one in _files(before.configuration, after.configuration)),
        *(f"{host}: {one}" for one in data_differences(before.data, after.data)),
    ]


def data_differences(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """Lines of `data` that print something else."""
    for line, said in before.items():
        if after.get(line) != said:
            yield f"`{line}` printed {said[:200]!r}, and now {after.get(line, '')[:200]!r}"


def notes(host: str, before: HostState, after: HostState, ours: Collection[str]) -> list[str]:
    """What is otherwise than it was, and may be."""
    new = [name for name in after.packages if name not in before.packages and _plain(name) not in ours]
    made = [path for path in after.configuration if path not in before.configuration and path not in ENGINES]
    accounts = [
        path
        for path in sorted(ACCOUNTS & before.configuration.keys() & after.configuration.keys())
        if before.configuration[path] != after.configuration[path]
    ]
    said = {"packages of the distribution are left": new, "files are left": made, "accounts differ": accounts}
    return [f"{host}: {what}: {', '.join(names)}" for what, names in said.items() if names]


def _packages(before: Mapping[str, str], after: Mapping[str, str], ours: Collection[str]) -> Iterator[str]:
    for name, said in before.items():
        if (now := after.get(name, "not installed")) != said:
            yield f"package {name} was {said}, and is {now}"
    for name in after:
        if name not in before and _plain(name) in ours and not after[name].endswith("rc "):
            yield f"package {name} was not there, and is {after[name]}"


def _files(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for path, said in before.items():
        if path in ENGINES or path in MADE or path in ACCOUNTS:
            continue
        if path not in after:
            yield f"{path} is gone"
        elif after[path] != said:
            yield f"{path} was {said}, and is {after[path]}"


def _plain(name: str) -> str:
    return name.partition(":")[0]
