# SPDX-License-Identifier: Apache-2.0
"""Names of hosts, and patterns that stand for many: `worker[01-80].example.org`.

Ranges are those of cumin and ClusterShell (`[01-80,85]`, `[0-8/2]`) and of Ansible (`[01:80]`, `[a:f]`, `[1:9:2]`).
Numbers are as wide as the first of a range if that begins with 0.
"""

import re
from collections.abc import Iterator
from itertools import product

LIMIT = 10_000
"""Hosts of one pattern: more is a slip of the hand."""
NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.\-]*[A-Za-z0-9_])?|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")
"""A host's name or address: nothing in it that a shell would obey, for it goes into commands."""
PART = re.compile(r"\[([^\[\]]*)\]|([^\[\]]+)")
NUMBERS = re.compile(r"(\d+)(?:[-:](\d+)(?:[:/](\d+))?)?")
LETTERS = re.compile(r"([a-z])(?:[-:]([a-z]))?|([A-Z])(?:[-:]([A-Z]))?")


def expand(pattern: str) -> tuple[str, ...]:
    """Hosts that a pattern stands for, in its order.

    Raises:
        ValueError: It is none; the text says what is wrong with it.
    """
    parts = list(PART.finditer(pattern))
    if "".join(part[0] for part in parts) != pattern or not parts:
        raise ValueError(f"{pattern!r} has a bracket too many or too few")
    choices = [[part[2]] if part[2] else list(_ranges(part[1], pattern)) for part in parts]
    count = 1
    for one in choices:
        count *= len(one)
    if count > LIMIT:
        raise ValueError(f"{pattern!r} stands for {count} hosts, and no pattern for more than {LIMIT}")
    hosts = tuple(dict.fromkeys("".join(words) for words in product(*choices)))
    for host in hosts:
        if not NAME.fullmatch(host):
            raise ValueError(f"{host!r} is no name of a host")
    return hosts


def _ranges(text: str, pattern: str) -> Iterator[str]:
    """What brackets stand for."""
    for one in text.split(","):
        if found := NUMBERS.fullmatch(one):
            yield from _numbers(found, one, pattern)
        elif found := LETTERS.fullmatch(one):
            first, last = found[1] or found[3], found[2] or found[4]
            yield from map(chr, _steps(ord(first), ord(last or first), 1, one, pattern))
        else:
            raise ValueError(f"{pattern!r}: {one!r} is no range; write [01-80], [01:80], [1-3,7] or [a:f]")


def _numbers(found: re.Match[str], one: str, pattern: str) -> Iterator[str]:
    first, last, step = found[1], found[2] or found[1], int(found[3] or 1)
    width = len(first) if first.startswith("0") else 0
    for number in _steps(int(first), int(last), step, one, pattern):
        yield str(number).zfill(width)


def _steps(first: int, last: int, step: int, one: str, pattern: str) -> range:
    if last < first:
        raise ValueError(f"{pattern!r}: range {one!r} goes down")
    if step < 1:
        raise ValueError(f"{pattern!r}: range {one!r} has a step of 0")
    if (last - first) // step >= LIMIT:
        raise ValueError(f"{pattern!r}: range {one!r} stands for more than {LIMIT} hosts")
    return range(first, last + 1, step)
