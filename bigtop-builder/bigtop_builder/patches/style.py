# SPDX-License-Identifier: Apache-2.0
"""What the projects ask of a patch that is to go upstream: the form of its title, and Oozie's checks of its lines."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from bigtop_builder.patches.diff import FileDiff
from bigtop_builder.patches.finding import Finding
from bigtop_builder.patches.mail import Mail
from bigtop_builder.patches.queue import Entry
from bigtop_builder.patches.title import FORMS

ON_ITS_WAY = {"to-forward", "ticket", "pr-open"}
LONGEST = 132
"""Columns that Oozie's check of patches allows."""


def style(entry: Entry, mail: Mail, files: Sequence[FileDiff], path: Path) -> Iterator[Finding]:
    """What a patch's upstream would find fault with; nothing for one that stays here, or is there already."""
    if entry.facts.upstream.state not in ON_ITS_WAY:
        return
    ticket, form = entry.facts.ticket, FORMS.get(entry.target)
    if ticket and form and mail.subject and not re.fullmatch(form.pattern, mail.subject):
        text = f"the subject is not of the form {form.shown!r}, which its upstream asks for"
        yield Finding(file=str(path), line=1, rule="style", text=text, hint=f"begin it with {ticket}")
    if ticket and form and mail.subject and not re.search(rf"\b{re.escape(ticket)}\b", mail.subject):
        text = f"the subject does not name the ticket, {ticket}"
        yield Finding(file=str(path), line=1, rule="style", text=text, hint=f"write it as {form.shown!r}")
    if entry.target == "oozie":
        yield from _oozie(files, path)


def _oozie(files: Sequence[FileDiff], path: Path) -> Iterator[Finding]:
    """No tab, no white space at the end, no line above 132 columns, and a test among the files."""
    told: set[str] = set()
    for file in files:
        for hunk in file.hunks:
            for number, line in enumerate(hunk.lines, hunk.line + 1):
                added = line[1:].rstrip(b"\r\n") if line.startswith(b"+") else b""
                faults = (
                    ("a tab", b"\t" in added),
                    ("white space at its end", added != added.rstrip()),
                    (f"more than {LONGEST} columns", len(added.decode(errors="replace")) > LONGEST),
                )
                for what, wrong in faults:
                    if wrong and what not in told:
                        told.add(what)
                        text = f"{file.path}: an added line has {what}, which Oozie's check refuses"
                        yield Finding(
                            file=str(path), line=number, rule="style", text=text, hint="mend the lines"
                        )
    if files and not any("/test/" in f"/{file.path}" for file in files):
        text = "it touches no test, which Oozie's check refuses"
        yield Finding(
            file=str(path),
            line=1,
            rule="style",
            text=text,
            hint="add a test, or say in the ticket why not",
            level="note",
        )
