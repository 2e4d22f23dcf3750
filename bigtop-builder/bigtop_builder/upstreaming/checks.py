# SPDX-License-Identifier: Apache-2.0
"""What can be found before a patch is sent: the projects' own rules of lines and messages."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bigtop_builder.patches.file_diff import FileDiff
from bigtop_builder.patches.finding import Finding
from bigtop_builder.projects import UpstreamProject
from bigtop_builder.statement import Statement

MESSAGE: Final = "commit message"
"""What findings call it in place of a file."""
AUTHOR: Final = re.compile(r"@author\b", re.IGNORECASE)
LONG_BY_NATURE: Final = re.compile(r"\s*(?:import|package)\s|://")
TEST: Final = re.compile(
    r"(?:^|/)(?:tests?|it)/|(?:Test[^/]*|[^/]*(?:Tests?|Suite|IT))\.(?:java|scala|groovy)$|(?:^|/)test_[^/]*\.py$|\.q$"
)
VAGUE: Final = re.compile(r"(?:an?|some|generative|ai|yes|used)\b", re.IGNORECASE)
"""How a tool is called that is not named."""


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """A patch in upstream's form.

    Attributes:
        project: Where it goes.
        statement: What is said of it.
        message: Of its commit.
        files: What it changes.
    """

    project: UpstreamProject
    statement: Statement
    message: str
    files: Sequence[FileDiff]

    @property
    def added(self) -> Iterator[tuple[str, int, str]]:
        """Added lines: path and line in upstream's tree, and the text without its end."""
        for file in self.files:
            for hunk in file.hunks:
                number = hunk.new_start
                for line in hunk.lines:
                    if line.startswith(b"+"):
                        yield file.new, number, line[1:].decode(errors="replace").rstrip("\r\n")
                    number += line[:1] in {b"+", b" ", b"\n", b"\r"}


def check(proposed: Proposed) -> tuple[Finding, ...]:
    """What the project's own rules find, in the order of files and lines."""
    found = [
        finding
        for name in proposed.project.checks
        for finding in RULES[name.partition(":")[0]](proposed, name)
    ]
    return tuple(sorted([*found, *_disclosure(proposed)]))


def _ticket(proposed: Proposed, _: str) -> Iterator[Finding]:
    """The subject begins as the project's titles do, and names the ticket once."""
    subject, ticket = proposed.message.partition("\n")[0], proposed.statement.ticket
    form, hint = proposed.project.title, "write it into patch.toml, and the title into the patch's mail"
    if not proposed.project.owns(ticket):
        keys = ", ".join(proposed.project.tickets)
        yield _finding(MESSAGE, 1, "ticket", f"{ticket or 'no ticket'} is none of {keys}", hint)
    named = re.findall(rf"\b{re.escape(ticket)}\b", subject) if ticket else []
    start = form.partition("{components}")[0].partition("{title}")[0].format(ticket=ticket).rstrip()
    if len(named) != 1 or not subject.startswith(start):
        text = f"the subject does not name the ticket once, as in {start!r}: {subject}"
        yield _finding(MESSAGE, 1, "ticket", text, hint)


def _no_tabs(proposed: Proposed, _: str) -> Iterator[Finding]:
    return _lines(proposed, "no-tabs", "a tab", "indent by spaces", lambda line: "\t" in line)


def _trailing_blanks(proposed: Proposed, _: str) -> Iterator[Finding]:
    return _lines(
        proposed, "trailing-blanks", "white space at its end", "remove it", lambda line: line != line.rstrip()
    )


def _no_author(proposed: Proposed, _: str) -> Iterator[Finding]:
    return _lines(
        proposed, "no-author", "an @author tag", "remove it", lambda line: bool(AUTHOR.search(line))
    )


def _line_length(proposed: Proposed, name: str) -> Iterator[Finding]:
    """No line is longer than so many characters; of files of some kinds alone, imports and URLs aside."""
    columns, _, suffixes = name.partition(":")[2].partition(":")
    for path, number, line in proposed.added:
        of_kind = path.rpartition(".")[2] in suffixes.split(",") and not LONG_BY_NATURE.search(line)
        if (of_kind or not suffixes) and len(line) > int(columns):
            text = f"an added line has {len(line)} characters, and {columns} are allowed"
            yield _finding(path, number, "line-length", text, "wrap it")


def _test_touched(proposed: Proposed, _: str) -> Iterator[Finding]:
    """A test is among the files; a reviewer may think it needless."""
    paths = [file.new or file.old for file in proposed.files]
    if paths and not any(TEST.search(path) for path in paths):
        hint = "add one, or say in `tested` why none is needed"
        yield Finding(
            file=paths[0], line=0, rule="test-touched", text="no test is touched", hint=hint, level="note"
        )


def _disclosure(proposed: Proposed) -> Iterator[Finding]:
    """Where the project wants a generative AI tool named, it is one with a name."""
    tool = proposed.statement.ai_tool
    if proposed.project.ai_trailer and tool and VAGUE.match(tool):
        text = f"the generative AI tool is called {tool!r}, and upstream asks for its name and version"
        hint = "write it into patch.toml: ai_disclosure = 'Generated-by: NAME VERSION'"
        yield Finding(file=MESSAGE, line=1, rule="ai-tool", text=text, hint=hint, level="note")


def _lines(
    proposed: Proposed, rule: str, what: str, hint: str, wrong: Callable[[str], bool]
) -> Iterator[Finding]:
    for path, number, line in proposed.added:
        if wrong(line):
            yield _finding(path, number, rule, f"an added line has {what}", hint)


def _finding(file: str, line: int, rule: str, text: str, hint: str) -> Finding:
    return Finding(file=file, line=line, rule=rule, text=text, hint=hint)


RULES: Final[Mapping[str, Callable[[Proposed, str], Iterator[Finding]]]] = {
    "ticket": _ticket,
    "no-tabs": _no_tabs,
    "trailing-blanks": _trailing_blanks,
    "no-author": _no_author,
    "line-length": _line_length,
    "test-touched": _test_touched,
}
"""Name of a check -> what finds its faults."""
