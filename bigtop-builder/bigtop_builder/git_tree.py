# SPDX-License-Identifier: Apache-2.0
"""Git tree objects as values: what a few changed files make of a tree, without the tree's other thousands."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

FOLDER = "040000"
SUBMODULE = "160000"


class TreeEntry(NamedTuple):
    """What a tree says of a path: mode in six octal digits and object id, as `git ls-tree` prints them."""

    mode: str
    oid: str


class GitObject(NamedTuple):
    """An object of git: its kind (`blob`, `tree`, `commit`, `tag`) and what it holds."""

    kind: bytes
    content: bytes


def parse_objects(printed: bytes) -> Iterator[GitObject | None]:
    """What `git cat-file --batch` printed: an object for each name that it was asked for, None for what is not there.

    Names must hold no line feed (git-cat-file(1), Batch Output).
    """
    at = 0
    while at < len(printed):
        end = printed.index(b"\n", at)
        *_, kind, size = printed[at:end].rsplit(b" ", 2)
        at = end + 1
        if not size.isdigit():
            yield None
            continue
        yield GitObject(kind, printed[at : at + int(size)])
        at += int(size) + 1


def parents(path: str) -> list[str]:
    """The folders that a path is in, innermost first, the last of them the root, which is empty."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:end]) for end in range(len(parts), -1, -1)]


def parse_tree(content: bytes) -> dict[str, TreeEntry]:
    """Name -> entry of a tree object (git-cat-file(1): mode, name, NUL, 20 bytes of object id, and so on)."""
    entries, at = {}, 0
    while at < len(content):
        space, end = content.index(b" ", at), content.index(b"\0", at)
        name = os.fsdecode(content[space + 1 : end])
        entries[name] = TreeEntry(content[at:space].decode().zfill(6), content[end + 1 : end + 21].hex())
        at = end + 21
    return entries


def tree_id(entries: Mapping[str, TreeEntry]) -> str:
    """The id that git gives to a tree of these entries."""
    rows = sorted(
        (os.fsencode(name) + (b"/" if entry.mode == FOLDER else b""), os.fsencode(name), entry)
        for name, entry in entries.items()
    )
    content = b"".join(
        entry.mode.lstrip("0").encode() + b" " + name + b"\0" + bytes.fromhex(entry.oid)
        for _, name, entry in rows
    )
    return hashlib.sha1(b"tree %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def graft(
    folders: Mapping[str, Mapping[str, TreeEntry]], changes: Mapping[str, TreeEntry | None]
) -> tuple[str, list[Mapping[str, TreeEntry]]]:
    """Put changed files into a tree.

    Args:
        folders: The entries of each folder that a change is in or below, as they are; the root is the empty path.
        changes: Path -> its new entry, None for a file that goes.

    Returns:
        Id of the new tree, and the entries of every tree object that has changed.
    """
    new = {folder: dict(entries) for folder, entries in folders.items()}
    for path, entry in sorted(changes.items(), key=lambda change: change[1] is not None):
        folder, _, name = path.rpartition("/")
        if entry is None:
            new[folder].pop(name, None)
        else:
            new[folder][name] = entry
    root = tree_id({})
    written: list[Mapping[str, TreeEntry]] = []
    for path in sorted(new, key=_depth, reverse=True):
        entries, oid = new[path], tree_id(new[path])
        if entries:
            written.append(entries)
        if not path:
            root = oid
            continue
        folder, _, name = path.rpartition("/")
        if entries:
            new[folder][name] = TreeEntry(FOLDER, oid)
        elif name in new[folder] and new[folder][name].mode == FOLDER:
            del new[folder][name]
    return root, written


def listing(trees: Iterable[Mapping[str, TreeEntry]]) -> bytes:
    """Trees as `git mktree -z --batch` reads them."""
    kinds = {FOLDER: b"tree", SUBMODULE: b"commit"}
    rows = (
        b"".join(
            b"%s %s %s\t%s\0"
            % (entry.mode.encode(), kinds.get(entry.mode, b"blob"), entry.oid.encode(), os.fsencode(name))
            for name, entry in entries.items()
        )
        + b"\0"
        for entries in trees
    )
    return b"".join(rows)


def _depth(path: str) -> int:
    return path.count("/") + 1 if path else 0
