# SPDX-License-Identifier: Apache-2.0
"""A git index of its own over a repository's objects: trees are patched, merged and written without a work tree.

New objects go to a store of ours; the repository they come from is only read. Other repositories' objects can
be looked at too (git(1), GIT_ALTERNATE_OBJECT_DIRECTORIES), so that a patch's base may be in one of them and
its target in another.
"""

import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Self

from bigtop_builder.errors import TreeError
from bigtop_builder.git_tree import FOLDER, TreeEntry, graft, listing, parents, parse_objects, parse_tree
from bigtop_builder.mirror import Mirror
from bigtop_builder.run import Completed

AT_ONCE = 500
"""Paths in one argv."""
STAGE = re.compile(rb"(?P<mode>[0-7]{6}) (?P<oid>[0-9a-f]+) (?P<stage>[0-3])\t(?P<path>.*)", re.DOTALL)
"""An entry of `git ls-files -s` and of a merge's conflicts."""
WHO = "bigtop-builder"
FILES = frozenset({"100644", "100755"})
MARKER = re.compile(
    rb"^(?P<mark><{7,}|\|{7,}|>{7,}) (?P<id>[0-9a-f]{4,40})(?P<path>:[^\r\n]*)?(?=\r?$)", re.MULTILINE
)
"""A conflict marker as git-merge-tree(1) labels it: the base's id is cut short, a renamed file's name follows."""


@dataclass(frozen=True, kw_only=True)
class Merge:
    """What a three-way merge made.

    Attributes:
        tree: Id of the merged tree; files in conflict have markers in it.
        conflicts: Paths in conflict, sorted; empty if it merged clean.
        stages: Of each of them stage -> entry: 1 the base's, 2 ours, 3 theirs (git-merge-tree(1)).
        messages: What git says of the conflicts, a line or more each.
    """

    tree: str
    conflicts: tuple[str, ...]
    stages: Mapping[str, Mapping[int, TreeEntry]] = field(default_factory=dict, repr=False)
    messages: tuple[str, ...] = field(default=(), repr=False)


class Index:
    """A git index of its own over a mirror's objects. New objects go to a store of ours, not to the mirror.

    Args:
        mirror: Its objects are read.
        objects: Folder for new objects; made if it is not there.
        file: The index; it need not be there.
        others: Further object folders that are read, as `objects_of` names them. They must be whole: what a
            partial clone lacks is fetched for `mirror` alone.
    """

    def __init__(self, mirror: Mirror, objects: Path, file: Path, *, others: Sequence[Path] = ()) -> None:
        self._mirror = mirror
        self.objects = objects
        self._base = ""
        self._loaded: dict[str, TreeEntry] = {}
        objects.mkdir(parents=True, exist_ok=True)
        self._env = {
            "GIT_INDEX_FILE": str(file),
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": ":".join(map(_quoted, (objects_of(mirror), *others))),
            "GIT_WORK_TREE": str(file.parent),
        }

    @classmethod
    @contextmanager
    def temporary(cls, mirror: Mirror, objects: Path, *, others: Sequence[Path] = ()) -> Iterator[Self]:
        """An empty index whose file goes when it is done with. The objects written through it stay."""
        with tempfile.TemporaryDirectory(prefix="bigtop-builder-index-") as folder:
            yield cls(mirror, objects, Path(folder) / "index", others=others)

    def __call__(
        self,
        *words: str | os.PathLike[str],
        env: Mapping[str, str] | None = None,
        config: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        stdout: IO[bytes] | None = None,
        check: bool = True,
    ) -> Completed:
        """Run git on this index; arguments as those of `Mirror.git`.

        Raises:
            TreeError: git failed and `check` is set.
        """
        return self._mirror.git(
            *words,
            env={**self._env, **(env or {})},
            config=config,
            stdin=stdin,
            stdout=stdout,
            check=check,
            error=TreeError,
        )

    @property
    def mirror(self) -> Mirror:
        """The repository whose objects are read."""
        return self._mirror

    def complete(self, tree: str) -> None:
        """Fetch what a partial clone still lacks of a tree."""
        self._mirror.complete(tree, env=self._env)

    def entries(self, tree: str, paths: Iterable[str]) -> dict[str, TreeEntry]:
        """Mode and object id of those of the paths that a tree (or commit) has, files and folders alike."""
        wanted = sorted(set(paths))
        found: dict[str, TreeEntry] = {}
        for start in range(0, len(wanted), AT_ONCE):
            some = wanted[start : start + AT_ONCE]
            listed = self("ls-tree", "-z", "-t", "--full-tree", tree, "--", *some).stdout
            found |= {path: entry for path, entry in _listed(listed) if path in some}
        return found

    def load(self, tree: str, paths: Iterable[str] | None = None) -> None:
        """Let the index hold a tree and nothing else.

        Args:
            tree: Tree or commit.
            paths: Load only these, so that the size of the tree costs nothing; `write_tree` adds the rest. Paths
                that the tree lacks may be among them. A folder stands for all in it.
        """
        if paths is None:
            self._base, self._loaded = "", {}
            self("read-tree", tree)
            return
        # A patch that makes `a/b` must not apply where `a` is a file, so what stands in a path's way counts.
        named = set(paths)
        found = self.entries(tree, {part for path in named for part in (path, *parents(path)[:-1])})
        files = {path: entry for path, entry in found.items() if entry.mode != FOLDER}
        folders = [path for path, entry in found.items() if entry.mode == FOLDER and path in named]
        if folders:
            listed = self("ls-tree", "-z", "-r", "--full-tree", tree, "--", *folders).stdout
            files |= dict(_listed(listed))
        self._base, self._loaded = tree, files
        self("read-tree", "--empty")
        self.put(files)

    def put(self, entries: Mapping[str, TreeEntry]) -> None:
        """Put objects into the index under these paths; one that is in the way of another one goes."""
        rows = (f"{entry.mode} {entry.oid}\t{path}\0" for path, entry in entries.items())
        self("update-index", "-z", "--replace", "--index-info", stdin=os.fsencode("".join(rows)))

    def add(self, path: str, content: bytes) -> None:
        """Put a file into the index."""
        self.put({path: TreeEntry("100644", self.blob(content))})

    def blob(self, content: bytes) -> str:
        """Write a file's content; return its id."""
        return self("hash-object", "-w", "--stdin", stdin=content).text

    def remove(self, *paths: str) -> bool:
        """Take files and folders out; False if the index has none of them."""
        listed = self("ls-files", "-z", "--", *paths).stdout if paths else b""
        if listed:
            self("update-index", "-z", "--force-remove", "--stdin", stdin=listed)
        return bool(listed)

    def read(self, path: str) -> str | None:
        """Text of a file in the index."""
        if not self("ls-files", "-z", "--", path).stdout:
            return None
        return self("cat-file", "blob", f":{path}").stdout.decode(errors="replace")

    def write_tree(self) -> str:
        """Write the tree that the index holds, whole also where only some paths were loaded; return its id."""
        if not self._base:
            return self("write-tree", "--missing-ok").text
        now = _staged(self("ls-files", "-z", "-s").stdout)
        there = {path: stages[0] for path, stages in now.items()}
        changes = {
            path: there.get(path)
            for path in {*self._loaded, *there}
            if self._loaded.get(path) != there.get(path)
        }
        return self._grafted(self._base, changes)

    def commit(self, tree: str, *parents: str, message: str = "", epoch: int = 0) -> str:
        """Make a commit of a tree; return its id, which is the same wherever the same commit is made.

        Args:
            tree: Tree, or a commit whose tree is meant.
            parents: Its parents.
            message: Its message.
            epoch: Its date, seconds since 1970.
        """
        people = {f"GIT_{who}_{what}": WHO for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        dates = {f"GIT_{who}_DATE": f"@{epoch} +0000" for who in ("AUTHOR", "COMMITTER")}
        before = [word for parent in parents for word in ("-p", parent)]
        words = ("commit-tree", f"{tree}^{{tree}}", *before, "-m", message)
        return self(*words, env={**people, **dates}).text

    def merge(
        self, base: str, ours: str, theirs: str, *, names: tuple[str, str, str] = ("base", "ours", "theirs")
    ) -> Merge:
        """Merge two trees that came of a third one, three-way and with renames found.

        Trees or commits; the commits' own history does not count. git 2.39's `merge-tree` takes commits and
        looks for their base itself, so it is given three of that shape. It labels conflicts with their ids, and
        takes no other words.

        Args:
            base: What both sides came of.
            ours: One side.
            theirs: The other side.
            names: What base, ours and theirs are called at conflict markers and in messages.

        Raises:
            TreeError: One of them is not there.
        """
        root = self.commit(base)
        sides = [self.commit(ours, root, message="ours"), self.commit(theirs, root, message="theirs")]
        done = self(
            "-c", "merge.conflictStyle=diff3", "merge-tree", "--write-tree", "-z", *sides, check=False
        )
        if done.returncode > 1:
            done.checked(TreeError)
        tree, _, rest = done.stdout.partition(b"\0")
        entries, _, said = rest.partition(b"\0\0")
        stages = _staged(entries)
        labels = dict(zip(sides, names[1:], strict=True))
        return Merge(
            tree=self._labelled(tree.decode().strip(), stages, root, names[0], labels),
            conflicts=tuple(sorted(stages)),
            stages=stages,
            messages=tuple(_named(text, labels) for text in _messages(said)) if stages else (),
        )

    def _labelled(
        self, tree: str, paths: Iterable[str], root: str, base: str, labels: Mapping[str, str]
    ) -> str:
        """A merged tree whose conflict markers name the sides in words."""
        changes: dict[str, TreeEntry | None] = {}
        for path, entry in self.entries(tree, paths).items():
            if entry.mode in FILES:
                content = self("cat-file", "blob", entry.oid).stdout
                said = MARKER.sub(lambda line: _label(line, root, base, labels), content)
                if said != content:
                    changes[path] = TreeEntry(entry.mode, self.blob(said))
        return self._grafted(tree, changes) if changes else tree

    def _grafted(self, base: str, changes: Mapping[str, TreeEntry | None]) -> str:
        """Write a tree with changed files in it; return its id."""
        folders = {folder for path in changes for folder in parents(path)}
        tree, written = graft(self._folders(base, {"", *folders}), changes)
        if written and changes:
            self("mktree", "-z", "--batch", "--missing", stdin=listing(written))
        return tree

    def _folders(self, base: str, folders: Iterable[str]) -> dict[str, dict[str, TreeEntry]]:
        """Entries of folders of a tree; of a folder that it lacks, none."""
        wanted = sorted(folders)
        asked = "".join(f"{base}^{{tree}}\n" if not one else f"{base}:{one}\n" for one in wanted)
        printed = self("cat-file", "--batch", stdin=os.fsencode(asked)).stdout
        return {
            folder: parse_tree(one.content) if one and one.kind == b"tree" else {}
            for folder, one in zip(wanted, parse_objects(printed), strict=True)
        }


@cache
def objects_of(mirror: Mirror) -> Path:
    """The folder of a repository's objects; that of the main one for a linked work tree."""
    return Path(mirror.git("rev-parse", "--path-format=absolute", "--git-path", "objects").text)


def _quoted(path: Path) -> str:
    """A path as git reads it in a list, colons and all."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _listed(listed: bytes) -> Iterator[tuple[str, TreeEntry]]:
    """What `git ls-tree -z` printed."""
    for row in filter(None, listed.split(b"\0")):
        facts, _, path = row.partition(b"\t")
        mode, _, oid = facts.decode().split(" ")
        yield os.fsdecode(path), TreeEntry(mode, oid)


def _label(line: re.Match[bytes], root: str, base: str, labels: Mapping[str, str]) -> bytes:
    """A conflict marker with its side's name; as it is if its id is none of the merge's."""
    oid = line["id"].decode()
    name = base if line["mark"].startswith(b"|") and root.startswith(oid) else labels.get(oid)
    return line[0] if name is None else line["mark"] + b" " + name.encode() + (line["path"] or b"")


def _named(text: str, labels: Mapping[str, str]) -> str:
    """A message that names the sides in words; the file names that git makes of ids (`path~id`) stay."""
    sides = "|".join(labels)
    return re.sub(rf"(?<!~)(?:{sides})", lambda found: labels[found[0]], text)


def _staged(listed: bytes) -> dict[str, dict[int, TreeEntry]]:
    """Path -> stage -> entry."""
    found: dict[str, dict[int, TreeEntry]] = {}
    for row in filter(None, listed.split(b"\0")):
        if one := STAGE.fullmatch(row):
            entry = TreeEntry(one["mode"].decode(), one["oid"].decode())
            found.setdefault(os.fsdecode(one["path"]), {})[int(one["stage"])] = entry
    return found


def _messages(said: bytes) -> Iterator[str]:
    """The messages of `git merge-tree -z`: number of paths, the paths, the kind and the text of each."""
    words = said.split(b"\0")
    at = 0
    while at < len(words) and words[at].isdigit():
        at += int(words[at]) + 3
        yield words[at - 1].decode(errors="replace").rstrip("\n")
