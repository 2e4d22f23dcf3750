# SPDX-License-Identifier: Apache-2.0
"""Commits as mails and mails as commits, in any repository.

Nothing of the user's git configuration counts when a patch is read: a `diff.noprefix` of theirs would make
another patch of the same commit.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from bigtop_builder.errors import InputError, TreeError
from bigtop_builder.mirror import CLEAN, configured
from bigtop_builder.patches.mail import Mail, tidy
from bigtop_builder.run import Completed, run

DIFF: Final = (
    *("diff-tree", "-p", "--full-index", "--binary", "--find-renames", "--no-ext-diff", "--no-textconv"),
    *("--no-color", "--src-prefix=a/", "--dst-prefix=b/", "--unified=3", "--diff-algorithm=myers"),
)
OWNER: Final = "Patch"
"""Trailer that says which patch a commit is; it is in work trees only."""
NOBODY: Final = ("unknown", "unknown@invalid")
"""Stands for the author of a patch that names none; git takes no commit without one."""


class Git(Protocol):
    """Runs git on a repository; what `WorkTree.git`, `Mirror.git` and `Index` have in common."""

    def __call__(
        self,
        *words: str | os.PathLike[str],
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        check: bool = True,
    ) -> Completed:
        """Run git."""
        ...  # pragma: no cover


def git_at(folder: Path) -> Git:
    """Runs git on a repository, bare or not.

    Raises:
        InputError: It is none.
    """
    if not folder.is_dir() or run_git(folder, "rev-parse", "--git-dir", check=False).returncode:
        raise InputError(f"{folder} is no git repository", hint="name a clone's folder")
    return partial(run_git, folder)


def mail_of(git: Git, commit: str, *, parent: str = "", env: Mapping[str, str] | None = None) -> Mail:
    """A commit as a mail, without our own trailer.

    Args:
        git: Runs git on a repository.
        commit: The commit.
        parent: What its changes are counted from; its first parent if empty.
        env: Variables for git.
    """
    mail = message_of(git, commit, diff=diff_of(git, parent or f"{commit}^", commit, env=env))
    return replace(mail, trailers=tuple(pair for pair in mail.trailers if pair[0].lower() != OWNER.lower()))


def message_of(git: Git, commit: str, *, diff: bytes = b"") -> Mail:
    """What a commit says, as a mail with this diff."""
    shown = git("show", "-s", "--format=%an%x00%ae%x00%aI%x00%at%x00%s%x00%b", commit).text
    author, email, date, seconds, subject, body = shown.split("\0", 5)
    author, email = ("", "") if (author, email) == NOBODY else (author, email)
    try:
        moment = datetime.fromisoformat(date)
    except ValueError:  # git takes a time zone of any size
        moment = datetime.fromtimestamp(int(seconds), UTC)
    return tidy(Mail(author=author, email=email, date=moment, subject=subject, body=body, diff=diff))


def diff_of(git: Git, before: str, after: str, *, env: Mapping[str, str] | None = None) -> bytes:
    """The diff between two trees or commits, as every diff of ours is made."""
    return git(*DIFF, before, after, env=env).stdout


def write_commit(git: Git, mail: Mail, tree: str, parent: str) -> str:
    """Commit a tree with what a mail says, as its author; return the commit's id, which is the same each time."""
    words = ("commit-tree", tree, "-p", parent, "-F", "-")
    return git(*words, env=authorship(mail), stdin=mail.message.encode()).text


def authorship(mail: Mail) -> dict[str, str]:
    """Variables that let git write a commit as this mail's author, at its date; the committer too: ids are stable."""
    name, email = (mail.author, mail.email) if mail.author or mail.email else NOBODY
    date = f"@{int(mail.date.timestamp())} {mail.date:%z}"
    people = {"NAME": name or email, "EMAIL": email, "DATE": date}
    return {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in people.items()}


def run_git(
    folder: Path,
    *words: str | os.PathLike[str],
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    check: bool = True,
) -> Completed:
    """Run git in a folder, with no configuration of the user's.

    Raises:
        TreeError: It failed and `check` is set.
    """
    config = configured({"safe.directory": "*", "core.quotePath": "false", "gc.auto": "0"})
    variables: dict[str, str] = {**CLEAN, **config, **(env or {})}
    argv: Sequence[str | os.PathLike[str]] = ["git", "-C", folder, *words]
    done = run(argv, env=variables, stdin=stdin, check=False)
    return done.checked(TreeError) if check else done
