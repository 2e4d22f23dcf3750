# SPDX-License-Identifier: Apache-2.0
"""What a project asks of a patch that is to go there: the form of its title, and of files on tickets their lines.

A pull request's lines are checked by `upstream prepare`, where they are those of the base branch.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from bigtop_builder.patches.diff import FileDiff
from bigtop_builder.patches.finding import Finding
from bigtop_builder.patches.mail import Mail
from bigtop_builder.patches.queue import Entry
from bigtop_builder.projects import UpstreamProject

ON_ITS_WAY = {"to-forward", "ticket", "pr-open"}


def style(
    entry: Entry, mail: Mail, files: Sequence[FileDiff], path: Path, project: UpstreamProject | None
) -> Iterator[Finding]:
    """What a patch's upstream would find fault with; nothing for one that stays here, or is there already."""
    if entry.facts.upstream.state not in ON_ITS_WAY:
        return
    ticket = entry.facts.ticket
    if project and ticket and mail.subject:
        if not project.takes(mail.subject):
            text = f"the subject is not of the form {project.shown!r}, which its upstream asks for"
            yield Finding(file=str(path), line=1, rule="style", text=text, hint=f"begin it with {ticket}")
        if not re.search(rf"\b{re.escape(ticket)}\b", mail.subject):
            text = f"the subject does not name the ticket, {ticket}"
            yield Finding(
                file=str(path), line=1, rule="style", text=text, hint=f"write it as {project.shown!r}"
            )
    if project and project.merge == "ticket-attachment":
        yield from _attached(files, path, project, f"which {entry.target.capitalize()}'s check refuses")


def _attached(files: Sequence[FileDiff], path: Path, project: UpstreamProject, why: str) -> Iterator[Finding]:
    """What the job that looks at files on tickets finds in added lines, and whether there is a test."""
    longest, checks = project.longest, project.checks
    told: set[str] = set()
    for file in files:
        for hunk in file.hunks:
            for number, line in enumerate(hunk.lines, hunk.line + 1):
                added = line[1:].rstrip(b"\r\n") if line.startswith(b"+") else b""
                faults = (
                    ("a tab", "no-tabs" in checks and b"\t" in added),
                    ("white space at its end", "trailing-blanks" in checks and added != added.rstrip()),
                    (f"more than {longest} columns", 0 < longest < len(added.decode(errors="replace"))),
                )
                for what, wrong in faults:
                    if wrong and what not in told:
                        told.add(what)
                        text = f"{file.path}: an added line has {what}, {why}"
                        yield Finding(
                            file=str(path), line=number, rule="style", text=text, hint="mend the lines"
                        )
    if "test-touched" in checks and files and not any("/test/" in f"/{file.path}" for file in files):
        text = f"it touches no test, {why}"
        yield Finding(
            file=str(path),
            line=1,
            rule="style",
            text=text,
            hint="add a test, or say in the ticket why not",
            level="note",
        )
