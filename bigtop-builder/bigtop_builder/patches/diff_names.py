# SPDX-License-Identifier: Apache-2.0
"""The names of files in diffs: as they are written, what `-p1` makes of them, and whether they stay in the tree."""

import os
import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise
from typing import Final

NULL: Final = "/dev/null"
"""The name of a side on which there is no file."""
STAMP: Final = re.compile(
    rb"\t.*|(?<!\s)\s+(?:\(revision \d+\)$|\(working copy\)$|\d{4}-\d\d-\d\d \d\d:\d\d.*)"
)
"""What diff, git and Subversion write after a name."""
ESCAPED: Final = re.compile(rb"\\([0-7]{3}|.)")
ESCAPES: Final = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
STRIPPED: Final = re.compile(r"[abciow12.]|.*\.orig|.*-\d[\w.+~]*(?:-(?:src|source|bin|RC\d+|SNAPSHOT))*")
"""First folders that are none of the tree even if both names have them: git's (git-config(1), diff.mnemonicPrefix),
that of a source's archive, `./`."""


def read_path(name: bytes) -> str:
    """A path as git or diff wrote it: in C's quotes if it holds anything strange (git-config(1), core.quotePath)."""
    name = name.strip()
    if len(name) > 1 and name.startswith(b'"') and name.endswith(b'"'):
        name = ESCAPED.sub(_unescaped, name[1:-1])
    return os.fsdecode(name)


def printable(text: str) -> str:
    r"""A text with file names in it, for people and for JSON: what is not UTF-8 in a name as `\xe9`."""
    return os.fsencode(text).decode(errors="backslashreplace")


def named(text: bytes) -> str:
    """The path in what follows `--- ` or `+++ `, without a time after it."""
    return read_path(STAMP.sub(b"", text))


def below(path: str) -> str:
    """A path without its first folder, as `-p1` takes it."""
    return path.partition("/")[2]


def first_folders(lines: Sequence[bytes]) -> Iterator[str]:
    """First folders that differ between the two names of a file, all else being the same: they are to be stripped."""
    for one, other in pairwise(lines):
        if one.startswith(b"--- ") and other.startswith(b"+++ "):
            old, new = (named(line.rstrip(b"\r\n")[4:]) for line in (one, other))
            if below(old) == below(new) and old != new:
                yield from (old.partition("/")[0], new.partition("/")[0])


def keeps_first(names: Sequence[str], stripped: AbstractSet[str]) -> bool:
    """Whether names of one file begin with a folder of the tree, or with none: `-p1` would take it away.

    Args:
        names: As they are written, without /dev/null.
        stripped: First folders that the diff is known to have for `-p1`.
    """
    folders = {name.partition("/")[0] for name in names}
    known = any(folder in stripped or STRIPPED.fullmatch(folder) for folder in folders)
    return any("/" not in name for name in names) or (len(folders) == 1 and not known)


def why_outside(path: str) -> str:
    """Why a path must not be written to; empty if it lies in the tree."""
    parts = path.split("/")
    reasons = {
        "it is absolute": path.startswith("/"),
        "`..` leads out of the tree": ".." in parts,
        "`.git` is git's own": any(part.lower() == ".git" for part in parts),
        "it holds a line feed or a zero byte": bool(re.search(r"[\n\0]", path)),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _unescaped(match: re.Match[bytes]) -> bytes:
    digits = match[1]
    return bytes([int(digits, 8) & 255]) if digits.isdigit() else ESCAPES.get(digits, digits)
