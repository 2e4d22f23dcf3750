# SPDX-License-Identifier: Apache-2.0
"""The index of a repository's history: which commit has a patch id, changes a block, names a ticket, reverts what.

It is a file of the cache (SQLite), one a repository, brought up to date with new commits alone, and in one
transaction, so that a killed run leaves it as it was. Commits get numbers in topological order: among two of
one history the ancestor has the lower one. A release is a bit for each number.
"""

import hashlib
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from filelock import FileLock

from bigtop_builder.cores import on_all_cores
from bigtop_builder.mirror import Mirror
from bigtop_builder.schema import counted
from bigtop_builder.upstream.commits import (
    Changed,
    Message,
    changes,
    key_of,
    messages,
    patch_ids,
    reverse_patch_id,
)
from bigtop_builder.upstream.tags import Tag, first_tags, tags_of
from bigtop_builder.upstream.wholeness import require_whole

log = logging.getLogger(__name__)

FORMAT = 2
AT_ONCE = 200
"""Commits whose diffs are read together: they share processes, and their text is on the disk at one time."""
PATIENCE = 120
"""Seconds to wait for another process that writes."""
VARIABLES = 500
"""Values in one SQL statement."""
SCHEMA = """
CREATE TABLE commits (n INTEGER PRIMARY KEY, oid TEXT UNIQUE, patch TEXT, reverse TEXT, subject TEXT, key TEXT,
                      undoes TEXT, since TEXT);
CREATE TABLE blocks (mark INTEGER, n INTEGER, PRIMARY KEY (mark, n)) WITHOUT ROWID;
CREATE TABLE tickets (ticket TEXT, n INTEGER, PRIMARY KEY (ticket, n)) WITHOUT ROWID;
CREATE TABLE reverts (n INTEGER, oid TEXT);
CREATE TABLE picks (n INTEGER, oid TEXT);
CREATE TABLE unread (path TEXT, n INTEGER);
CREATE TABLE releases (oid TEXT PRIMARY KEY, bits BLOB);
CREATE TABLE diffs (sha256 TEXT PRIMARY KEY, patch TEXT);
CREATE TABLE merges (diff TEXT, base TEXT, release TEXT, oid TEXT, PRIMARY KEY (diff, base, release)) WITHOUT ROWID;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT);
CREATE INDEX by_patch ON commits (patch);
CREATE INDEX by_key ON commits (key);
CREATE INDEX by_undoes ON commits (undoes) WHERE undoes <> '';
CREATE INDEX reverts_by_oid ON reverts (oid);
CREATE INDEX picks_by_n ON picks (n);
"""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A commit in the index.

    Attributes:
        n: Its number; that of an ancestor is lower.
        commit: Its id.
        subject: First line of its message.
        since: First tag that has it, releases before candidates; empty if none has.
    """

    n: int
    commit: str
    subject: str
    since: str


@dataclass(frozen=True, kw_only=True)
class Release:
    """A release's history.

    Attributes:
        commit: Its commit.
        bits: A bit for each commit that it has, by number.
    """

    commit: str
    bits: bytes

    def __contains__(self, n: int) -> bool:
        return n >> 3 < len(self.bits) and bool(self.bits[n >> 3] >> (n & 7) & 1)

    def among(self, numbers: Iterable[int]) -> list[int]:
        """Those of the commits that it has, ancestors first."""
        return sorted(n for n in set(numbers) if n in self)


class History:
    """What a repository's history has. Not to be shared between threads.

    Args:
        mirror: The repository.
        file: The index.
    """

    def __init__(self, mirror: Mirror, file: Path) -> None:
        self.mirror = mirror
        self._file = file
        self._releases: dict[str, Release] = {}
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_suffix(".lock")):
            self._db = sqlite3.connect(file, timeout=PATIENCE, isolation_level=None)
            self._make()

    @classmethod
    def of(cls, mirror: Mirror, cache: Path) -> Self:
        """The index of a repository in a folder of the cache."""
        words = hashlib.sha256(str(mirror.path.resolve()).encode()).hexdigest()[:16]
        return cls(mirror, cache / f"{words}.{FORMAT}.sqlite")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the index's file."""
        self._db.close()

    def include(self, *tips: str) -> None:
        """Bring the index up to date with the histories of these commits, and with the repository's tags.

        Args:
            tips: Commit ids, 40 hex digits each.

        Raises:
            TreeError: The clone is shallow or lacks objects.
        """
        new = [tip for tip in dict.fromkeys(tips) if tip not in self._known()]
        if new:
            with FileLock(self._file.with_suffix(".lock")):
                known = self._known()
                self._add([tip for tip in new if tip not in known], sorted(known))
        tags = tags_of(self.mirror)
        state = hashlib.sha256(repr(tags).encode()).hexdigest()
        if new or self._fact("tags") != state:
            self._tag(tags, state)

    def release(self, commit: str) -> Release:
        """The history of a commit that `include` was told of.

        Raises:
            KeyError: It was not.
        """
        if commit not in self._releases:
            row = self._db.execute("SELECT bits FROM releases WHERE oid = ?", (commit,)).fetchone()
            if row is None:
                raise KeyError(commit)
            self._releases[commit] = Release(commit=commit, bits=row[0])
        return self._releases[commit]

    def entry(self, n: int) -> Entry:
        """A commit by its number."""
        row = self._db.execute("SELECT oid, subject, since FROM commits WHERE n = ?", (n,)).fetchone()
        return Entry(n=n, commit=row[0], subject=row[1], since=row[2])

    def number(self, commit: str) -> int | None:
        """The number of a commit; None if it is not in the index."""
        row = self._db.execute("SELECT n FROM commits WHERE oid = ?", (commit,)).fetchone()
        return None if row is None else int(row[0])

    def with_patch_id(self, patch_id: str) -> set[int]:
        """Commits that have this patch id."""
        return self._numbers("SELECT n FROM commits WHERE patch = ?", patch_id) if patch_id else set()

    def covering(self, blocks: frozenset[int]) -> dict[int, int]:
        """Commit -> how many of the blocks it changes, likewise; commits that change none are not in it."""
        counts: dict[int, int] = {}
        for some in _pieces(sorted(blocks)):
            marks = ",".join("?" * len(some))
            for (n,) in self._db.execute(f"SELECT n FROM blocks WHERE mark IN ({marks})", some):  # noqa: S608  # only question marks go in
                counts[n] = counts.get(n, 0) + 1
        return counts

    def with_ticket(self, ticket: str) -> set[int]:
        """Commits that name a ticket in their subject."""
        return self._numbers("SELECT n FROM tickets WHERE ticket = ?", ticket)

    def with_subject(self, subject: str) -> set[int]:
        """Commits that have this subject, but for the pull request's number, punctuation and case."""
        key = key_of(subject)
        return self._numbers("SELECT n FROM commits WHERE key = ?", key) if key else set()

    def reverting(self, n: int) -> set[int]:
        """Commits that take this one back: they name it, or its subject, or their diff is the reverse of its own."""
        entry = self.entry(n)
        names = [entry.commit, *self._words("SELECT oid FROM picks WHERE n = ?", n)]
        twins = self._numbers(
            "SELECT n FROM commits WHERE patch <> '' AND patch = (SELECT patch FROM commits WHERE n = ?)", n
        )
        names += [self.entry(twin).commit for twin in twins if twin != n]
        found = set[int]()
        for name in names:
            # git-revert(1) writes whole ids; people shorten them, so the id that is named may be a beginning.
            found |= self._numbers(
                "SELECT n FROM reverts WHERE oid BETWEEN ? AND ? AND ? LIKE oid || '%'", name[:7], name, name
            )
        if key := key_of(entry.subject):
            found |= self._numbers("SELECT n FROM commits WHERE undoes = ?", key)
        return (found | self.with_patch_id(self._reverse(n, entry.commit))) - {n}

    def unread(self, paths: Iterable[str], release: Release) -> str:
        """A commit of the release that changes one of the paths and cannot be read whole; empty if none is."""
        for path in paths:
            rows = self._numbers("SELECT n FROM unread WHERE path = ?", path)
            if there := release.among(rows):
                return self.entry(there[-1]).commit
        return ""

    def paths_of(self, commit: str) -> list[str]:
        """The files that a commit changes."""
        words = ("diff-tree", "--root", "--no-commit-id", "--name-only", "-r", "-z", commit)
        return [os.fsdecode(path) for path in self.mirror.git(*words).stdout.split(b"\0") if path]

    def merged(self, diff: str, base: str, release: str) -> str | None:
        """The commit that `keep_merge` was told of for this patch, base and release; None if it was told of none."""
        row = self._db.execute(
            "SELECT oid FROM merges WHERE diff = ? AND base = ? AND release = ?", (diff, base, release)
        ).fetchone()
        return None if row is None else str(row[0])

    def keep_merge(self, diff: str, base: str, release: str, commit: str) -> None:
        """Remember what merging a patch (sha256) on its base with a release found; empty for nothing."""
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO merges VALUES (?, ?, ?, ?)", (diff, base, release, commit)
            )

    def patch_ids(self, diffs: Sequence[bytes]) -> list[str]:
        """Patch ids of diffs, in their order; empty for one that git makes none of. Kept by their sha256."""
        names = [hashlib.sha256(diff).hexdigest() for diff in diffs]
        kept: dict[str, str] = {}
        for some in _pieces(names):
            marks = ",".join("?" * len(some))
            kept |= dict(self._db.execute(f"SELECT sha256, patch FROM diffs WHERE sha256 IN ({marks})", some))  # noqa: S608  # likewise
        new = {name: diff for name, diff in zip(names, diffs, strict=True) if name not in kept}
        if new:
            found = patch_ids(self.mirror, {name[:40]: diff for name, diff in new.items()})
            made = {name: found.get(name[:40], "") for name in new}
            with self._writing():
                self._db.executemany("INSERT OR REPLACE INTO diffs VALUES (?, ?)", made.items())
            kept |= made
        return [kept[name] for name in names]

    def _make(self) -> None:
        if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'commits'").fetchone():
            self._db.executescript(f"BEGIN; {SCHEMA} COMMIT;")

    def _known(self) -> set[str]:
        return {oid for (oid,) in self._db.execute("SELECT oid FROM releases")}

    def _add(self, tips: Sequence[str], known: Sequence[str]) -> None:
        if not tips:
            return
        missing = require_whole(self.mirror, tips, known)
        found = messages(self.mirror, tips, known)
        log.info(
            "reading %s of %s%s",
            counted(len(found), "new commit" if known else "commit"),
            self.mirror.path,
            "" if known else ", once",
        )
        plain = [message.commit for message in found if len(message.parents) < 2]  # noqa: PLR2004  # else a merge
        work = partial(changes, self.mirror, missing=missing)
        read = on_all_cores(work, [plain[at : at + AT_ONCE] for at in range(0, len(plain), AT_ONCE)])
        changed = {commit: one for some in read for commit, one in some.items()}
        with self._writing():
            start = self._db.execute("SELECT coalesce(max(n), -1) + 1 FROM commits").fetchone()[0]
            for n, message in enumerate(found, start):
                self._insert(n, message, changed.get(message.commit))
            for tip in tips:
                self._db.execute("INSERT INTO releases VALUES (?, ?)", (tip, self._bits(tip)))

    def _insert(self, n: int, message: Message, changed: Changed | None) -> None:
        patch = changed.patch_id if changed else ""
        row = (n, message.commit, patch, None, message.subject, key_of(message.subject), message.undoes, "")
        self._db.execute("INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        several: tuple[tuple[str, Iterable[tuple[Any, Any]]], ...] = (
            ("tickets", ((ticket, n) for ticket in message.tickets)),
            ("reverts", ((n, oid) for oid in message.reverts)),
            ("picks", ((n, oid) for oid in message.picked)),
            ("blocks", ((mark, n) for mark in (changed.blocks if changed else ()))),
            ("unread", ((path, n) for path in (changed.unread if changed else ()))),
        )
        for table, rows in several:
            self._db.executemany(f"INSERT INTO {table} VALUES (?, ?)", rows)  # noqa: S608  # tables of ours

    def _bits(self, tip: str) -> bytes:
        number = dict(self._db.execute("SELECT oid, n FROM commits"))
        numbers = [number[oid] for oid in self.mirror.git("rev-list", tip).text.split()]
        bits = bytearray(max(numbers) // 8 + 1)
        for n in numbers:
            bits[n >> 3] |= 1 << (n & 7)
        return bytes(bits)

    def _tag(self, tags: Sequence[Tag], state: str) -> None:
        since = first_tags(self.mirror, tags)
        rows = [(since.get(oid, ""), n) for n, oid in self._db.execute("SELECT n, oid FROM commits")]
        with FileLock(self._file.with_suffix(".lock")), self._writing():
            self._db.executemany("UPDATE commits SET since = ? WHERE n = ?", rows)
            self._db.execute("INSERT OR REPLACE INTO facts VALUES ('tags', ?)", (state,))

    def _reverse(self, n: int, commit: str) -> str:
        (kept, patch) = self._db.execute("SELECT reverse, patch FROM commits WHERE n = ?", (n,)).fetchone()
        if kept is not None or not patch:
            return str(kept or "")
        made = reverse_patch_id(self.mirror, commit)
        with self._writing():
            self._db.execute("UPDATE commits SET reverse = ? WHERE n = ?", (made, n))
        return made

    def _fact(self, name: str) -> str:
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def _numbers(self, query: str, *values: object) -> set[int]:
        return {row[0] for row in self._db.execute(query, values)}

    def _words(self, query: str, *values: object) -> list[str]:
        return [row[0] for row in self._db.execute(query, values)]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _pieces(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for at in range(0, len(values), VARIABLES):
        yield values[at : at + VARIABLES]
