# SPDX-License-Identifier: Apache-2.0
"""What apt would do: simulated installs in a room, and the reasons it gives when it can do nothing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bigtop_builder.room import Room
from bigtop_builder.verify.shelf import APT, shell

MARK = "=== simulated with exit status "
SCRIPT = f"""
for request in "$@"; do
    {" ".join(APT)} -s install $request 2>&1
    echo "{MARK}$?"
done
"""
INSTALLED = re.compile(r"Inst (\S+?)(?::\S+)? (?:\[\S+\] )?\((\S+) ")
REMOVED = re.compile(r"Remv (\S+?)(?::\S+)? ")
UNKNOWN = re.compile(
    r"E: (?:Unable to locate package (\S+)|Package '(\S+)' has no installation candidate"
    r"|Couldn't find any package by (?:glob|regex) '(\S+)')"
)
UNMET = ("The following packages have unmet dependencies:", "Unsatisfied dependencies:")
BLAMED = re.compile(r"^ +(?:(\S+?)(?::\S+)? : )?((?:Pre-)?Depends|Conflicts|Breaks): (\S+?)(?::\S+)?( .*)?$")
DEEPER = "not going to be installed"
DEPTH = 10


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What apt would do for one request.

    Attributes:
        installs: Package -> version that would be installed; empty if apt refuses.
        removes: Packages that would be removed.
        reasons: Why it refuses, one dependency a line.
        missing: Packages that are wanted and not to be had.
        deeper: Packages that it would not install for reasons it does not tell.
    """

    installs: Mapping[str, str]
    removes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    missing: frozenset[str] = frozenset()
    deeper: tuple[str, ...] = ()

    @property
    def works(self) -> bool:
        """Apt would do it."""
        return not self.reasons


def simulate(room: Room, requests: Sequence[Sequence[str]], options: Sequence[str] = ()) -> list[Simulated]:
    """What apt would do for each request, a list of packages, in the clean room.

    A refusal is looked into until it names the dependencies that cannot be had.

    Args:
        room: The room.
        requests: What is asked of apt, each by itself.
        options: Options of apt-get, without white space in them.
    """
    results = _simulate(room, requests, options)
    return [result if result.works else _explain(room, result, options) for result in results]


def parse(text: str, status: int) -> Simulated:
    """Read the output of one `apt-get -s install`."""
    if status == 0:
        lines = text.splitlines()
        found = (INSTALLED.match(line) for line in lines)
        gone = (REMOVED.match(line) for line in lines)
        return Simulated(
            installs={match[1]: match[2] for match in found if match},
            removes=tuple(match[1] for match in gone if match),
        )
    unknown = {next(filter(None, match.groups())) for match in UNKNOWN.finditer(text)}
    reasons = [f"{name} is neither in the set nor in the target distribution" for name in sorted(unknown)]
    missing, deeper, blamed = set(unknown), [], ""
    for line in _unmet(text):
        if not (match := BLAMED.match(line)):
            continue
        blamed = match[1] or blamed
        said = (match[4] or "").strip()
        if DEEPER in said:
            deeper.append(match[3])
        elif match[2].endswith("Depends"):
            missing.add(match[3])
        reasons.append(f"{blamed}: {match[2]}: {match[3]} {said}".rstrip())
    errors = [line for line in text.splitlines() if line.startswith("E: ")]
    return Simulated(
        installs={},
        reasons=tuple(reasons or errors or [f"apt-get ended with exit status {status}"]),
        missing=frozenset(missing),
        deeper=tuple(deeper),
    )


def _simulate(room: Room, requests: Sequence[Sequence[str]], options: Sequence[str]) -> list[Simulated]:
    if not requests:
        return []
    text = shell(room, SCRIPT, *(" ".join([*options, *request]) for request in requests)).text + "\n"
    parts = re.split(rf"^{MARK}(\d+)\n", text, flags=re.MULTILINE)
    return [parse(said, int(status)) for said, status in zip(parts[::2], parts[1::2], strict=False)]


def _unmet(text: str) -> list[str]:
    lines = text.splitlines()
    start = next((number for number, line in enumerate(lines) if line in UNMET), len(lines))
    return [line for line in lines[start + 1 :] if line.startswith(" ")]


def _explain(room: Room, first: Simulated, options: Sequence[str]) -> Simulated:
    """Ask again for what apt would not install and did not say why, until it names the cause."""
    reasons, missing, asked = dict.fromkeys(first.reasons), set(first.missing), set[str]()
    todo = list(first.deeper)
    while todo and len(asked) < DEPTH:
        name = todo.pop(0)
        if name in asked:
            continue
        asked.add(name)
        (result,) = _simulate(room, [[name]], options)
        reasons |= dict.fromkeys(result.reasons)
        missing |= result.missing
        todo += result.deeper
    return Simulated(installs={}, reasons=tuple(reasons), missing=frozenset(missing))
