# SPDX-License-Identifier: Apache-2.0
"""Blocks of changed lines: what of a diff stays the same when its lines move or its context changes.

A block is a run of removed and added lines with no line of context in it. Its fingerprint knows of its file the name
and the folder only: sources move as a whole
(`src/java/main/org/...` to `zookeeper-server/src/main/java/org/...`), while `hive/control` is not `hadoop/control`.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

HUNK = re.compile(rb"^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
COMMIT = re.compile(rb"^[0-9a-f]{40}\n?$")
BLANK = b" \t\r\n\v\f"
SUBSTANCE = 12
"""Bytes, white space not counted, from which on a block says something: a lone `}` or `fi` is everywhere."""
SEEN_OF_PATH = 2


class Block(NamedTuple):
    """A run of changed lines.

    Attributes:
        commit: Of which commit, as `git diff-tree --stdin` names it before its diff; empty for a diff alone.
        path: File, the new one if it was renamed.
        removed: Lines that go, without their sign.
        added: Lines that come.
    """

    commit: bytes
    path: bytes
    removed: list[bytes]
    added: list[bytes]

    @property
    def reverse(self) -> "Block":
        """What takes it back."""
        return self._replace(removed=self.added, added=self.removed)

    @property
    def fingerprint(self) -> int | None:
        """64 bits, as a signed number; None if the block says too little."""
        removed, added = (b"\n".join(line.rstrip(b"\n") for line in lines) for lines in self[2:])
        if len((removed + added).translate(None, BLANK)) < SUBSTANCE:
            return None
        whole = b"\0".join((os.fsencode(tail(os.fsdecode(self.path))), removed, added))
        return int.from_bytes(hashlib.blake2b(whole, digest_size=8).digest(), "big", signed=True)


def tail(path: str) -> str:
    """What of a path stays the same when sources move as a whole."""
    return "/".join(path.split("/")[-SEEN_OF_PATH:])


def read_blocks(lines: Iterable[bytes]) -> Iterator[Block]:
    """The blocks of a diff, or of many as `git diff-tree --stdin` prints them.

    What stands between hunks and says no path is passed over, and so is a hunk's end that is missing: it is for
    others to judge a diff.
    """
    commit = path = b""
    old = new = 0
    removed: list[bytes] = []
    added: list[bytes] = []
    for line in lines:
        inside = old > 0 or new > 0
        sign = line[:1] if inside else b""
        if sign in (b"-", b"+"):
            (removed if sign == b"-" else added).append(line[1:])
            old, new = old - (sign == b"-"), new - (sign == b"+")
            continue
        if sign == b"\\":
            continue
        if removed or added:
            yield Block(commit, path, removed, added)
            removed, added = [], []
        if inside:
            old, new = old - 1, new - 1
        elif hunk := HUNK.match(line):
            old, new = (int(count or 1) for count in hunk.groups())
        elif line.startswith((b"--- ", b"+++ ")):
            path = _path(line) or path
        elif len(line) >= 40 and COMMIT.match(line):  # noqa: PLR2004  # the length of an object id
            commit = line.strip()
    if removed or added:
        yield Block(commit, path, removed, added)


def fingerprints(diff: bytes) -> tuple[frozenset[int], frozenset[int], bool]:
    """Fingerprints of the blocks of a diff that say something, and of those of the diff that takes it back.

    The third: whether that is all of it, so that no block says too little and none is there twice.
    """
    blocks = list(read_blocks(diff.split(b"\n")))
    marks = _marks(blocks)
    return marks, _marks(block.reverse for block in blocks), len(marks) == len(blocks)


def _marks(blocks: Iterable[Block]) -> frozenset[int]:
    return frozenset(mark for block in blocks if (mark := block.fingerprint) is not None)


def _path(line: bytes) -> bytes:
    """The path in a `---` or `+++` line, without its first part; empty for `/dev/null`."""
    name = line[4:].split(b"\t")[0].strip().strip(b'"')
    return b"" if name == b"/dev/null" else name.partition(b"/")[2]
