# SPDX-License-Identifier: Apache-2.0
"""Bare git repositories with an owner and a name, and what is done in them without a work tree."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bigtop_builder.run import run
from github.accounts import Account

ALONE = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
}
"""Nothing of this machine's configuration of git."""
CONFIG = """
[gc]
    auto = 0
[http]
    receivepack = true
[receive]
    hideRefs = refs/pull
[uploadpack]
    allowAnySHA1InWant = true
    allowFilter = true
"""
"""GitHub lets fetch any commit by its id, in part if asked so, and nobody push to refs/pull."""


@dataclass(kw_only=True, eq=False)
class Repository:
    """One repository of the site.

    Attributes:
        path: The bare repository.
        parent: What it is a fork of.
        writers: Logins that may push, beside the owner's.
        hidden: How many more looks at it find nothing: a fork is made by and by.
        renamed: Names that it had, as `owner/name`.
        next_number: Of its next pull request.
    """

    id: int
    owner: Account
    name: str
    path: Path
    default_branch: str
    private: bool = False
    parent: "Repository | None" = None
    writers: set[str] = field(default_factory=set)
    hidden: int = 0
    renamed: list[str] = field(default_factory=list)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    next_number: int = 1

    @property
    def full_name(self) -> str:
        return f"{self.owner.login}/{self.name}"

    @property
    def source(self) -> "Repository":
        """The root of its network of forks."""
        return self.parent.source if self.parent else self

    def may_push(self, account: Account | None) -> bool:
        return account is not None and account.login in {self.owner.login, *self.writers}

    def may_see(self, account: Account | None) -> bool:
        return not self.private or self.may_push(account)

    def git(self, *words: str | Path, env: Mapping[str, str] | None = None, stdin: bytes = b"") -> str:
        return run(["git", *words], cwd=self.path, env={**ALONE, **(env or {})}, stdin=stdin).text

    def succeeds(self, *words: str) -> bool:
        return run(["git", *words], cwd=self.path, env=ALONE, check=False).returncode == 0

    def refs(self, prefix: str = "refs/heads/") -> dict[str, str]:
        """Name without the prefix -> commit id."""
        lines = self.git("for-each-ref", "--format=%(objectname) %(refname)", prefix).splitlines()
        return {line.split(" ", 1)[1].removeprefix(prefix): line.split(" ", 1)[0] for line in lines}

    def tip(self, branch: str) -> str:
        """Commit of a branch, empty if there is none."""
        return self.refs().get(branch, "")

    def commit_named(self, ref: str) -> str:
        """Commit id of a branch, a tag, a full ref or an id; empty if there is none."""
        argv = ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"]
        return run(argv, cwd=self.path, env=ALONE, check=False).text

    def contains(self, tip: str, commit: str) -> bool:
        """Whether a commit is in the history of another."""
        return self.succeeds("merge-base", "--is-ancestor", commit, tip)

    def commits(self, span: str) -> list[str]:
        """Commit ids, oldest first."""
        return self.git("rev-list", "--reverse", "--topo-order", span).split()

    def show(self, commit: str, form: str) -> str:
        """A commit in git log's format language."""
        return self.git("show", "--no-patch", f"--format={form}", commit)

    def move(self, branch: str, commit: str) -> None:
        self.git("update-ref", f"refs/heads/{branch}", commit)

    def commit_tree(
        self,
        tree: str,
        parents: Sequence[str],
        message: str = "",
        *,
        author: tuple[str, str, str] = ("A", "a@example.org", ""),
        committer: tuple[str, str, str] = ("A", "a@example.org", ""),
    ) -> str:
        """A commit of a tree. People are name, address, and date (empty: now)."""
        env = {}
        for role, person in (("AUTHOR", author), ("COMMITTER", committer)):
            named = zip(("NAME", "EMAIL", "DATE"), person, strict=True)
            env |= {f"GIT_{role}_{what}": value for what, value in named if value}
        fathers = [word for parent in parents for word in ("-p", parent)]
        return self.git("commit-tree", tree, *fathers, env=env, stdin=message.encode())

    def tree_with(self, commit: str, files: Mapping[str, str | None]) -> str:
        """The tree of a commit with files written, or removed where the text is None."""
        index = {"GIT_INDEX_FILE": str(self.path / "index.made")}
        self.git(*(["read-tree", commit] if commit else ["read-tree", "--empty"]), env=index)
        for name, text in files.items():
            if text is None:
                self.git("update-index", "--force-remove", name, env=index)
                continue
            blob = self.git("hash-object", "-w", "--stdin", stdin=text.encode())
            self.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}", env=index)
        return self.git("write-tree", env=index)

    def merged(self, ours: str, theirs: str) -> str:
        """The tree of a merge, empty if there are conflicts."""
        argv = ["git", "merge-tree", "--write-tree", "--no-messages", ours, theirs]
        done = run(argv, cwd=self.path, env=ALONE, check=False)
        return done.text.split("\n")[0] if done.returncode == 0 else ""

    def merged_from(self, base: str, ours: str, theirs: str) -> str:
        """The tree of a merge whose base is given: cherry-pick if that is theirs' parent, revert if its child."""
        made = [self.commit_tree(f"{commit}^{{tree}}", [base]) for commit in (ours, theirs)]
        return self.merged(*made)


def new_repository(path: Path, *, branch: str, source: Path | None, alternates: bool = False) -> None:
    """Make a bare repository: empty, or with the branches and tags of another.

    Args:
        path: Where.
        branch: The default one.
        source: What it is a clone of.
        alternates: Whether it borrows objects from there.
    """
    if source is None:
        run(["git", "init", "--quiet", "--bare", f"--initial-branch={branch}", path], env=ALONE)
    else:
        shared = ["--shared"] if alternates else ["--no-hardlinks"]
        run(["git", "clone", "--quiet", "--bare", *shared, source, path], env=ALONE)
        run(["git", "symbolic-ref", "HEAD", f"refs/heads/{branch}"], cwd=path, env=ALONE)
    with (path / "config").open("a") as file:
        file.write(CONFIG)
