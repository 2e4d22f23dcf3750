# SPDX-License-Identifier: Apache-2.0
"""Upstream's own programs, run on a patch: they are upstream's code, and run as the user who asks for it."""

import os
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bigtop_builder.errors import EnvironmentMissing
from bigtop_builder.git_index import Index, objects_of
from bigtop_builder.patches.finding import Finding
from bigtop_builder.projects import UpstreamProject
from bigtop_builder.run import run
from bigtop_builder.upkeep.commit import run_git
from bigtop_builder.upstreaming.token import SECRET_VARIABLES

TAIL: Final = 20
"""Last lines of a program's output that a finding shows."""


def run_on_commit(project: UpstreamProject, commit: str, index: Index, folder: Path) -> list[Finding]:
    """Run the project's programs on a commit, in a work tree of it; that stays where one found something.

    Args:
        project: Has the programs.
        commit: Is checked out.
        index: Has its objects.
        folder: The work tree; what is there goes.

    Raises:
        TreeError: The clone lacks files of the commit, and they cannot be fetched.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if not project.commands:
        return []
    index.complete(commit)
    folder.mkdir(parents=True)
    run_git(folder, "init", "--quiet", "--template=")
    stores = (objects_of(index.mirror), index.objects)
    (folder / ".git/objects/info").mkdir(exist_ok=True)
    (folder / ".git/objects/info/alternates").write_text("".join(f"{store}\n" for store in stores))
    run_git(folder, "checkout", "--quiet", "--detach", commit)
    found = list(run_commands(project, folder))
    if not found:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def run_commands(project: UpstreamProject, worktree: Path) -> Iterator[Finding]:
    """Run the project's programs in a work tree, one after another, and tell those that fail.

    Tokens and passphrases are not in their environment.
    """
    env = {name: value for name, value in os.environ.items() if name not in SECRET_VARIABLES}
    for command in project.commands:
        # A path is one of the work tree, wherever this program itself was started.
        program = str(worktree / command[0]) if "/" in command[0] else command[0]
        hint = f"run it in {worktree}"
        try:
            done = run([program, *command[1:]], cwd=worktree, env=env, inherit=False, check=False)
        except (EnvironmentMissing, OSError) as error:
            yield _finding(command, f"it cannot be run: {getattr(error, 'brief', error)}", hint)
            continue
        if done.returncode != 0:
            said = "\n".join((done.text + "\n" + done.complaint).strip().splitlines()[-TAIL:])
            text = f"it ended with exit status {done.returncode}:\n{said}"
            yield _finding(command, text, hint)


def _finding(command: Sequence[str], text: str, hint: str) -> Finding:
    return Finding(file=shlex.join(command), line=0, rule="command", text=text, hint=hint)
