# SPDX-License-Identifier: Apache-2.0
"""What a disk may hold after the power went: a model of it that a journal of calls is replayed on.

The worst that POSIX allows, not what one file system does: a file's bytes are safe once the file was fsynced,
a folder's entry once the folder was; what was not may be there or not, each entry for itself.
"""

import json
import os
import shutil
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any


@dataclass(frozen=True)
class File:
    """A file as it is found.

    Attributes:
        data: Its bytes.
        moment: Its modification time in seconds; None for any.
    """

    data: bytes
    moment: float | None = None


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


Tree = Mapping[str, "File | Link | Tree"]
"""A folder as it is found."""


@dataclass(eq=False)
class Node:
    """A file, link or folder.

    Attributes:
        link: Where a link leads; None if it is none.
        entries: Of a folder, name -> node, as a running system sees it; None if it is none.
        kept: Of a folder, the entries that are safe.
        data: Of a file, as a running system sees it.
        safe: Of a file, the bytes that are safe.
        moment: Modification time of a file in seconds; None for any.
    """

    link: str | None = None
    entries: "dict[str, Node] | None" = None
    kept: "dict[str, Node]" = field(default_factory=dict)
    data: bytes = b""
    safe: bytes = b""
    moment: float | None = None


@dataclass(frozen=True)
class Pending:
    """A change of a folder that is not safe yet: `node` came to be `name` in it, or nothing is."""

    folder: Node
    name: str
    node: Node | None


Keep = Callable[[int, Pending], bool]
"""Says of each pending change, by its place in their order, whether the disk got it."""


class Disk:
    """A folder with its past.

    Args:
        root: The folder, of which all is safe now.
    """

    def __init__(self, root: Path) -> None:
        self.name = str(root)
        self.root = _load(root)
        self.pending: list[Pending] = []

    def replay(self, lines: Iterable[str]) -> None:
        """Do what a journal says."""
        for line in lines:
            self.do(json.loads(line))

    def do(self, event: dict[str, Any]) -> None:
        """Do one call.

        Raises:
            NotImplementedError: The model does not know it.
        """
        act = getattr(self, f"_{event['call']}", None)
        if act is None:
            raise NotImplementedError(f"the model of a disk knows no {event['call']} (of {event['path']})")
        act(event)

    def after_loss(self, keep: Keep, *, unsynced: bool) -> Tree:
        """The folder as it is found when the power is back.

        Args:
            keep: Which changes of folders got to the disk.
            unsynced: Bytes that were not fsynced got there too; they are zeros otherwise, as many.
        """
        found: dict[Node, dict[str, Node]] = {}
        for number, change in enumerate(self.pending):
            if keep(number, change):
                entries = found.setdefault(change.folder, dict(change.folder.kept))
                entries.pop(change.name, None)
                if change.node:
                    entries[change.name] = change.node
        return _found(self.root, found, unsynced=unsynced)

    def now(self) -> Tree:
        """The folder as a running system sees it."""
        return self.after_loss(lambda *_: True, unsynced=True)

    def _create(self, event: dict[str, Any]) -> None:
        self._enter(event["path"], Node())

    def _mkdir(self, event: dict[str, Any]) -> None:
        self._enter(event["path"], Node(entries={}))

    def _symlink(self, event: dict[str, Any]) -> None:
        self._enter(event["path"], Node(link=event["source"]))

    def _link(self, event: dict[str, Any]) -> None:
        self._enter(event["path"], self._at(event["source"]))

    def _unlink(self, event: dict[str, Any]) -> None:
        self._enter(event["path"], None)

    _rmdir = _unlink

    def _rename(self, event: dict[str, Any]) -> None:
        node = self._at(event["source"])
        self._enter(event["source"], None)
        self._enter(event["path"], node)

    def _write(self, event: dict[str, Any]) -> None:
        self._at(event["path"]).data += b64decode(event["data"])

    def _truncate(self, event: dict[str, Any]) -> None:
        self._at(event["path"]).data = b""

    def _utime(self, event: dict[str, Any]) -> None:
        self._at(event["path"]).moment = event["moment"]

    def _chmod(self, event: dict[str, Any]) -> None:
        pass

    def _fsync(self, event: dict[str, Any]) -> None:
        node = self._at(event["path"])
        node.safe = node.data
        if node.entries is not None:
            node.kept = dict(node.entries)
            self.pending = [one for one in self.pending if one.folder is not node]

    _fdatasync = _fsync

    def _syncfs(self, event: dict[str, Any]) -> None:  # noqa: ARG002  # it is of the whole disk
        folders = [self.root]
        for folder in folders:
            assert folder.entries is not None
            folder.kept = dict(folder.entries)
            for node in folder.entries.values():
                node.safe = node.data
                if node.entries is not None:
                    folders.append(node)
        self.pending.clear()

    def _failed(self, event: dict[str, Any]) -> None:
        pass

    def _enter(self, path: str, node: Node | None) -> None:
        folder, name = self._at(str(PurePosixPath(path).parent)), PurePosixPath(path).name
        assert folder.entries is not None
        folder.entries.pop(name, None)
        if node:
            folder.entries[name] = node
        self.pending.append(Pending(folder, name, node))

    def _at(self, path: str) -> Node:
        node = self.root
        for name in PurePosixPath(path).relative_to(self.name).parts:
            assert node.entries is not None
            node = node.entries[name]
        return node


def lay(tree: Tree, path: Path) -> None:
    """Make a folder what a tree says; whatever was there goes."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    for name, entry in tree.items():
        place = path / name
        if isinstance(entry, Link):
            place.symlink_to(entry.target)
        elif isinstance(entry, File):
            place.write_bytes(entry.data)
            if entry.moment is not None:
                os.utime(place, (entry.moment, entry.moment))
        else:
            lay(entry, place)


def contents(tree: Tree) -> dict[str, bytes | str]:
    """Path -> bytes or where it leads, without times."""
    found: dict[str, bytes | str] = {}
    for name, entry in tree.items():
        if isinstance(entry, Link):
            found[name] = entry.target
        elif isinstance(entry, File):
            found[name] = entry.data
        else:
            found[name] = "folder"
            found |= {f"{name}/{below}": content for below, content in contents(entry).items()}
    return found


def _found(folder: Node, found: Mapping[Node, Mapping[str, Node]], *, unsynced: bool) -> Tree:
    tree: dict[str, File | Link | Tree] = {}
    for name, node in found.get(folder, folder.kept).items():
        if node.link is not None:
            tree[name] = Link(node.link)
        elif node.entries is None:
            data = node.data if unsynced else node.safe.ljust(len(node.data), b"\0")
            tree[name] = File(data, node.moment)
        else:
            tree[name] = _found(node, found, unsynced=unsynced)
    return tree


def _load(path: Path) -> Node:
    if path.is_symlink():
        return Node(link=str(path.readlink()))
    if not path.is_dir():
        data = path.read_bytes()
        return Node(data=data, safe=data, moment=path.stat().st_mtime)
    entries = {one.name: _load(one) for one in path.iterdir()}
    return Node(entries=entries, kept=dict(entries))
