# SPDX-License-Identifier: Apache-2.0
"""The text of a pull request: upstream's own headings, each answered from what is said of the patch."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bigtop_builder.errors import InputError
from bigtop_builder.patches.finding import Finding
from bigtop_builder.projects import UpstreamProject
from bigtop_builder.statement import MISSING, Statement
from bigtop_builder.templates import fill_in, names_in

HEADING: Final = re.compile(r"(?P<level>#{1,6})[ \t]+(?P<title>.*?)[ \t#]*")
FENCE: Final = re.compile(r" {0,3}(?:```|~~~)")
COMMENT: Final = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
BOX: Final = re.compile(r"^(?P<before>\s*[-*+] )\[ \](?= )(?P<text>.*)$", re.MULTILINE)
OWN: Final = "### What\n\n### Why\n\n### User-facing change\n\n### How it was tested\n"
"""Headings where upstream has no text of its own."""
OWN_ANSWERS: Final = {
    "^what$": "{{ message or title }}",
    "^why$": "{{ why }}",
    "^user-facing": "{{ user_facing }}",
    "^how it was tested": "{{ tested }}",
}
AS_IT_IS: Final = re.compile(r"^(?:\s|[-*+>|#]|\d+[.)]\s|```|~~~)", re.MULTILINE)
"""Lines that mean something by where they begin: lists, quotes, tables, code."""
IN_MAIL: Final = frozenset({"message", "title"})
"""Facts that the patch's mail holds; the others are in patch.toml."""

OTHERWISE: Final = "an answer's own text is in patches/upstream.toml, [projects.X.answers]"


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading and what is below it, to the next one.

    Attributes:
        line: Line of the heading, from 1.
        level: 1 to 6; 0 for what stands before the first heading.
        title: Its text.
        text: What is below it.
    """

    line: int
    level: int
    title: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Body:
    """The text of a pull request.

    Attributes:
        text: Markdown.
        findings: Headings that nothing answers, and boxes that are left to tick.
    """

    text: str
    findings: tuple[Finding, ...]


def body_of(project: UpstreamProject, statement: Statement, *, template: str, path: str) -> Body:
    """The text of a pull request.

    Args:
        project: Where it goes.
        statement: What is said of the patch.
        template: Upstream's own text on the base branch; empty if it has none.
        path: Where that is, for findings.

    Raises:
        InputError: An answer comes out empty; the heading and the fact that is missing are named.
    """
    answers: Mapping[str, str] = {**project.answers, **({} if template.strip() else OWN_ANSWERS)}
    sections = tuple(sections_of(template if template.strip() else OWN))
    facts = {**statement.values, "message": flowing(statement.message)}
    written, faults = [], []
    lacking: list[str] = []
    findings: list[Finding] = []
    for number, section in enumerate(sections):
        answer = next((text for form, text in answers.items() if _fits(form, section)), None)
        if answer is None:
            ticked = _ticked(project, section)
            findings += _unanswered(ticked, sections[number + 1 :], path)
            written.append(ticked)
            continue
        text = fill_in(answer, **facts).strip()
        if not text:
            empty = _empty(answer, statement)
            lacking += [MISSING[name] for name in empty if name in MISSING]
            faults.append(f"{path}:{section.line}: {section.title}: {_missing(empty)}")
        written.append(replace(section, text=text))
    if faults:
        raise InputError(
            "the text of the pull request lacks answers",
            details="\n".join(faults),
            hint="; ".join([*dict.fromkeys(lacking), OTHERWISE]),
        )
    text = "\n\n".join(part for part in map(_text, written) if part)
    return Body(text=f"{text}\n", findings=tuple(findings))


def unanswered(project: UpstreamProject, statement: Statement) -> set[str]:
    """The facts without which an answer of the project's would be empty, if upstream's text asks for it."""
    answers = project.answers.values() if project.template else OWN_ANSWERS.values()
    empty = (answer for answer in answers if not fill_in(answer, **statement.values).strip())
    return {name for answer in empty for name in _empty(answer, statement)}


def sections_of(template: str) -> Iterator[Section]:
    """The sections of a Markdown text. What looks like a heading in a comment or between fences is none."""
    section = Section(line=1, level=0, title="", text="")
    lines: list[str] = []
    fenced = commented = False
    for number, line in enumerate(template.replace("\r\n", "\n").split("\n"), 1):
        heading = None if fenced or commented else HEADING.fullmatch(line)
        if heading:
            yield replace(section, text="\n".join(lines))
            section = Section(line=number, level=len(heading["level"]), title=heading["title"], text="")
            lines = []
            continue
        lines.append(line)
        fenced ^= bool(not commented and FENCE.match(line))
        commented = _open_comment(line, commented=commented) and not fenced
    yield replace(section, text="\n".join(lines))


def flowing(text: str) -> str:
    """A text whose paragraphs are one line each: GitHub shows each end of a line of a pull request as one."""
    if "```" in text or "~~~" in text:
        return text
    paragraphs = re.split(r"\n{2,}", text.strip("\n"))
    return "\n\n".join(one if AS_IT_IS.search(one) else one.replace("\n", " ") for one in paragraphs)


def _open_comment(line: str, *, commented: bool) -> bool:
    """Whether a comment is open at the end of a line."""
    rest = line
    while mark := re.search("-->" if commented else "<!--", rest):
        rest, commented = rest[mark.end() :], not commented
    return commented


def _fits(form: str, section: Section) -> bool:
    return bool(section.level and re.search(form, section.title, re.IGNORECASE))


def _ticked(project: UpstreamProject, section: Section) -> Section:
    """A section in which the boxes are ticked that hold for every patch."""

    def tick(box: re.Match[str]) -> str:
        holds = any(re.search(form, box["text"], re.IGNORECASE) for form in project.ticks)
        return f"{box['before']}[x]{box['text']}" if holds else box[0]

    return replace(section, text=BOX.sub(tick, section.text))


def _unanswered(section: Section, later: tuple[Section, ...], path: str) -> Iterator[Finding]:
    """What is left to a person. A heading over further ones, and what stands before all, ask nothing."""
    boxes = [*BOX.finditer(section.text)]
    for box in boxes:
        line = section.line + bool(section.level) + section.text.count("\n", 0, box.start())
        text = f"a box is left to tick: {box['text'].strip()}"
        yield _note(path, line, text, "tick it on GitHub if it holds")
    above = not COMMENT.sub("", section.text).strip() and bool(later) and later[0].level > section.level
    if section.level and not boxes and not above and "[x]" not in section.text:
        text = f"nothing answers {section.title!r}, and upstream's own text is left below it"
        yield _note(path, section.line, text, "answer it in patches/upstream.toml, or on GitHub")


def _note(path: str, line: int, text: str, hint: str) -> Finding:
    return Finding(file=path, line=line, rule="template", text=text, hint=hint, level="note")


def _empty(answer: str, statement: Statement) -> list[str]:
    """Which facts an empty answer lacks."""
    asked = {"ai_disclosure" if name == "ai_tool" else name for name in names_in(answer)}
    return sorted(name for name in asked if not statement.values[name])


def _missing(empty: Sequence[str]) -> str:
    """Facts that are missing, and where they are written."""
    named = [f"{name} in {'the mail of the patch' if name in IN_MAIL else 'patch.toml'}" for name in empty]
    return f"{' or '.join(named) or 'its answer'} is empty"


def _text(section: Section) -> str:
    """A section as it is written. Hints in comments before the first heading are for the writer alone."""
    if not section.level:
        return COMMENT.sub("", section.text).strip()
    return f"{'#' * section.level} {section.title}\n\n{section.text.strip()}".strip()
