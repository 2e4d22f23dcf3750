# SPDX-License-Identifier: Apache-2.0
"""What a project asks of a patch that is to go there: the form of its title, and of files on tickets their lines.

A pull request's lines are checked by `upstream prepare`, where they are those of the base branch.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from bigtop_builder.patches.diff import FileDiff
from bigtop_builder.patches.facts import PatchFacts
from bigtop_builder.patches.finding import REWRITE, Finding
from bigtop_builder.patches.mail import Mail
from bigtop_builder.patches.queue import Entry
from bigtop_builder.patches.title import without_ticket
from bigtop_builder.projects import UpstreamProject

ON_ITS_WAY = {"to-forward", "ticket", "pr-open"}
TAG = re.compile(r"\[[A-Z][A-Z0-9 ]*\]")


def style(
    entry: Entry, mail: Mail, files: Sequence[FileDiff], path: Path, project: UpstreamProject | None
) -> Iterator[Finding]:
    """What a patch's upstream would find fault with; nothing for one that stays here, or is there already."""
    if entry.facts.upstream.state not in ON_ITS_WAY:
        return
    ticket = entry.facts.ticket
    if project and ticket and mail.subject:
        wanted = subject_of(entry.facts, mail.subject, project)
        way = f"write it as {wanted!r}, or {REWRITE}" if wanted != mail.subject else ""
        if not project.takes(mail.subject):
            text = f"the subject is not of the form {project.shown!r}, which its upstream asks for"
            yield Finding(
                file=str(path), line=1, rule="style", text=text, hint=way or f"begin it with {ticket}"
            )
        if not _names(mail.subject, ticket):
            text = f"the subject does not name the ticket, {ticket}"
            hint = way or f"write it as {project.shown!r}"
            yield Finding(file=str(path), line=1, rule="style", text=text, hint=hint)
    if project and project.merge == "ticket-attachment":
        yield from _attached(files, path, project, f"which {entry.target.capitalize()}'s check refuses")


def subject_of(facts: PatchFacts, subject: str, project: UpstreamProject | None) -> str:
    """The subject of a patch in its upstream's form, with the ticket of `patch.toml`.

    As it is where the patch stays here or has no ticket, or where the form asks for a component: a person names that.
    """
    ticket, bare = facts.ticket, without_ticket(subject)
    if not project or not ticket or not subject or facts.upstream.state not in ON_ITS_WAY:
        return subject
    if project.takes(subject) and _names(subject, ticket):
        return subject
    tags = "".join(TAG.findall(subject[: len(subject) - len(bare)]))
    wanted = project.titled(ticket, bare, tags)
    return wanted if project.takes(wanted) else subject


def _names(subject: str, ticket: str) -> bool:
    return bool(re.search(rf"\b{re.escape(ticket)}\b", subject))


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
