# SPDX-License-Identifier: Apache-2.0
"""A git work tree that a maintainer edits patches in: its commits, and a marker that says what it was made of."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from bigtop_builder.errors import InputError
from bigtop_builder.patches.mail import Mail
from bigtop_builder.run import Completed, run
from bigtop_builder.schema import Value
from bigtop_builder.upkeep.commit import diff_of, mail_of, message_of, run_git
from bigtop_builder.workspace import Project

MARKER: Final = "bigtop-builder.json"
SERIES: Final = "series"
"""The branch of a work tree of ours."""
CONFLICTS: Final = "Conflicts"
"""Trailer that names the files in which a merge left conflicts; whoever has settled them takes it out."""
UNFINISHED: Final = {
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase or am",
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
}
SHOWN = 10


class Placed(Value):
    """One patch of the series as it was when the work tree was made, or last exported.

    Attributes:
        id: `target/name`.
        commit: Its commit.
        file: Name of its diff's file.
        sha256: Hash of that file; empty if there was none.
        carried: Whether the commit was merged, so that the file does not hold its diff yet.
    """

    id: str
    commit: str
    file: str
    sha256: str
    carried: bool = False


class Marker(Value):
    """What a work tree was made of, and what of it is in the queue.

    Attributes:
        release: Recipe's release.
        target: `bigtop` or a component.
        base: First commit.
        tip: Commit that was made or exported last.
        patches: The series; also patches that have no commit any more, but are still in the recipe.
        listed: What the recipe listed to the target then, in its order; None in markers of before this was kept.
    """

    format: Literal[1] = 1
    release: str
    target: str
    base: str
    tip: str
    patches: tuple[Placed, ...]
    listed: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class WorkTree:
    """A git work tree.

    Attributes:
        folder: Its top.
    """

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> "WorkTree":
        """The work tree that a folder is in.

        Raises:
            InputError: It is in none.
        """
        found = run_git(folder, "rev-parse", "--show-toplevel", check=False) if folder.is_dir() else None
        if found is None or found.returncode or not found.text:
            raise InputError(
                f"{folder} is no git work tree",
                hint="name the folder of a clone, or one that bigtop-builder patch edit made",
            )
        return cls(folder=Path(found.text))

    def git(
        self,
        *words: str | os.PathLike[str],
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        check: bool = True,
    ) -> Completed:
        """Run git here, with no configuration but the work tree's own.

        Raises:
            TreeError: It failed and `check` is set.
        """
        return run_git(self.folder, *words, env=env, stdin=stdin, check=check)

    @property
    def marker_path(self) -> Path:
        """The marker's file, in the git folder."""
        return self.folder / self.git("rev-parse", "--git-path", MARKER).text

    def marker(self) -> Marker:
        """What it was made of.

        Raises:
            InputError: `patch edit` did not make it.
        """
        path = self.marker_path
        if not path.is_file():
            raise InputError(
                f"{self.folder} was not made by patch edit: it has no {path}",
                hint="bigtop-builder patch edit RELEASE TARGET makes one; patch new takes changes of any work tree",
            )
        return Marker.from_json(path.read_bytes(), source=str(path))

    def require_clean(self) -> None:
        """Raise unless all that is in the folder is committed.

        Raises:
            InputError: A file is changed or new, or git is in the middle of something.
        """
        for name, what in UNFINISHED.items():
            if (self.folder / self.git("rev-parse", "--git-path", name).text).exists():
                raise InputError(
                    f"{self.folder} is in the middle of {what}", hint="end it, or take it back, with git"
                )
        status = self.git("status", "--porcelain=v1", "--untracked-files=normal").text.splitlines()
        if status:
            more = [f"and {len(status) - SHOWN} more"] if len(status) > SHOWN else []
            raise InputError(
                f"{self.folder} is not clean: {len(status)} changes are in no commit",
                details="\n".join([*status[:SHOWN], *more]),
                hint="commit them (git commit --amend adds them to the newest patch), or git stash --all",
            )

    def resolve(self, revision: str) -> str:
        """Id of a commit.

        Raises:
            InputError: There is no such commit here.
        """
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        found = self.git(*words, check=False)
        if found.returncode:
            raise InputError(f"{self.folder} has no commit {revision!r}", hint=f"git -C {self.folder} log")
        return found.text

    def commits(self, base: str, tip: str = "HEAD") -> tuple[str, ...]:
        """Commits after a base, oldest first.

        Raises:
            InputError: The tip does not come from the base, or a commit is a merge.
        """
        if self.git("merge-base", "--is-ancestor", base, tip, check=False).returncode:
            raise InputError(
                f"{tip} of {self.folder} does not come from its base {base[:12]}",
                hint="rebase your commits onto that commit, or begin anew in another folder: patch edit with --dir",
            )
        listed = self.git("rev-list", "--reverse", "--topo-order", "--parents", f"{base}..{tip}").text
        rows = [line.split() for line in listed.splitlines()]
        for commit, *parents in rows:
            if len(parents) != 1:
                raise InputError(
                    f"commit {commit[:12]} of {self.folder} is a merge: no one patch can say what it does",
                    hint=f"make the commits a row: git -C {self.folder} rebase {base[:12]}",
                )
        return tuple(row[0] for row in rows)

    def mail(self, commit: str) -> Mail:
        """A commit as a mail, without our own trailer."""
        return mail_of(self.git, commit)

    def trailer(self, commit: str, name: str) -> str:
        """What a commit says in a trailer; empty if it has none of that name."""
        return message_of(self.git, commit).trailer(name)

    def changes(self) -> bytes:
        """The diff from the newest commit to all that is in the folder and not ignored.

        Neither the index nor the objects of the work tree are touched.
        """
        with self._apart() as env:
            self.git("read-tree", "HEAD", env=env)
            self.git("add", "--all", env=env)
            tree = self.git("write-tree", env=env).text
            return diff_of(self.git, "HEAD^{tree}", tree, env=env)

    def applied(self, diff: bytes, on: str) -> str:
        """Id of the tree that a diff makes of a commit's; empty if it does not apply. Nothing is kept of it."""
        with self._apart() as env:
            self.git("read-tree", on, env=env)
            done = self.git("apply", "--cached", "--whitespace=nowarn", env=env, stdin=diff, check=False)
            return "" if done.returncode else self.git("write-tree", env=env).text

    @contextmanager
    def _apart(self) -> Iterator[dict[str, str]]:
        """Variables for git: an index of its own, and a place for new objects that goes at the end."""
        with tempfile.TemporaryDirectory(prefix="bigtop-builder-changes-") as torn:
            objects = Path(torn) / "objects"
            objects.mkdir()
            theirs = self.git("rev-parse", "--path-format=absolute", "--git-path", "objects").text
            yield {
                "GIT_INDEX_FILE": str(Path(torn) / "index"),
                "GIT_OBJECT_DIRECTORY": str(objects),
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": theirs,
            }

    def identity(self) -> tuple[str, str]:
        """Name and address of the user, as git would take them for a commit here.

        Raises:
            InputError: git knows neither.
        """
        found = run(["git", "-C", self.folder, "var", "GIT_AUTHOR_IDENT"], check=False)
        name, _, rest = found.text.partition(" <")
        if found.returncode or not name:
            raise InputError(
                "git does not know who you are, and a patch names its author",
                hint='git config --global user.name NAME and user.email ADDRESS, or --author "NAME <ADDRESS>"',
            )
        return name, rest.partition(">")[0]


def default_place(project: Project, release: str, target: str) -> Path:
    """Where the work tree of a release's patches to one target lies, unless the user says where."""
    return project.output / "patches" / release / target
