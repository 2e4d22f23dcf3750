# SPDX-License-Identifier: Apache-2.0
"""The fields at the head of a mail, as git writes and reads them (RFC 5322, RFC 2047)."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from bigtop_builder.errors import InputError

WIDTH = 78
FIELD = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9-]*):(?:[ \t]+(?P<value>.*))?")
ADDRESS = re.compile(r"(?P<name>.*?)\s*<\s*(?P<email>[^<>]*?)\s*>")
REVERSED = re.compile(r"(?P<email>[^\s@()]+@[^\s()]+)\s+\((?P<name>.*)\)")
SPECIAL = re.compile(r'[()<>\[\]:;@\\,."]')
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class MalformedMail(InputError):
    """A line before the diff that cannot be read.

    Args:
        source: The file.
        line: Its line, from 1.
        text: What is wrong.
        hint: The way out.
    """

    def __init__(self, source: str, line: int, text: str, *, hint: str) -> None:
        super().__init__(f"{source}:{line}: {text}", hint=hint)
        self.line = line
        self.text = text


class Header(NamedTuple):
    """A field: its name, its lines, and the number of the first one in the file, from 1."""

    name: str
    lines: tuple[str, ...]
    line: int

    @property
    def text(self) -> str:
        """All its lines as one."""
        return " ".join(line.strip() for line in self.lines).strip()


def read_headers(lines: Sequence[str], *, first: int, source: str) -> tuple[tuple[Header, ...], int]:
    """Read the fields at the start of some lines, up to the first empty one or a `---`.

    Args:
        lines: The lines, without their ends.
        first: Number of the first of them in the file.
        source: Name of the file.

    Returns:
        The fields, and how many lines they took.

    Raises:
        MalformedMail: A line is neither a field nor the continuation of one.
    """
    headers: list[Header] = []
    for number, line in enumerate(lines):
        if not line.strip() or line.rstrip() == "---":
            return tuple(headers), number
        if line[0] in " \t" and headers:
            last = headers[-1]
            headers[-1] = last._replace(lines=(*last.lines, line))
        elif match := FIELD.fullmatch(line):
            headers.append(Header(match["name"], (match["value"] or "",), first + number))
        else:
            raise MalformedMail(
                source,
                first + number,
                f"malformed header: {line.strip()!r}",
                hint="write it as `Name: value`, indent it if it belongs to the line above, or put an empty line "
                "before it if the description starts here",
            )
    return tuple(headers), len(lines)


def read_address(header: Header, *, source: str) -> tuple[str, str]:
    """Name and address of `Name <address>`, `"Name" <address>`, `address (Name)` or one of the two alone.

    Raises:
        MalformedMail: An angle bracket is missing.
    """
    text = header.text
    if match := ADDRESS.fullmatch(text) or REVERSED.fullmatch(text):
        return decoded(_unquoted(match["name"])), match["email"]
    if "<" in text or ">" in text:
        hint = "write it as `Name <name@example.org>`"
        raise MalformedMail(source, header.line, f"malformed address: {text!r}", hint=hint)
    return ("", text) if "@" in text else (decoded(_unquoted(text)), "")


def write_address(name: str, email: str) -> str:
    """The field `From`, folded as git does it."""
    quoted = '"' + re.sub(r'(["\\])', r"\\\1", name) + '"' if SPECIAL.search(name) else name
    text = fold(quoted, used=len("From: "))
    last = text.rpartition("\n")
    column = _width(last[2]) + (0 if last[1] else len("From: "))
    space = "\n " if column + len(email) + len(" <>") > WIDTH else " "
    return f"From: {text}{space}<{email}>"


def read_date(header: Header, *, source: str) -> datetime:
    """The time in a field: as mails write it, as `git log` does, or ISO 8601. Without a zone it is UTC.

    Raises:
        MalformedMail: It is none of them.
    """
    text = header.text
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        for words in (text, re.sub(r" ([+-]\d{4})$", r"\1", text)):
            try:
                moment = parse(words)
            except (ValueError, TypeError, IndexError):
                continue
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).replace(microsecond=0)
    raise MalformedMail(
        source, header.line, f"no date: {text!r}", hint="write it as `Mon, 2 Nov 2026 10:00:00 +0000`"
    )


def write_date(moment: datetime) -> str:
    """The field `Date` as git writes it."""
    day = f"{DAYS[moment.weekday()]}, {moment.day} {MONTHS[moment.month - 1]} {moment.year:04}"
    return f"Date: {day} {moment:%H:%M:%S %z}"


def decoded(text: str) -> str:
    """A text with its encoded words (RFC 2047) in clear; as it is where their encoding is unknown or broken."""
    if "=?" not in text:
        return text
    try:
        return str(make_header(decode_header(text)))
    except (LookupError, UnicodeDecodeError, HeaderParseError):
        return text


def fold(text: str, *, used: int) -> str:
    """Break a text with single spaces at 78 columns, as git folds headers.

    Args:
        text: The text.
        used: Columns before it on its first line.
    """
    first, *words = text.split(" ")
    lines, column = [first], used + _width(first)
    for word in words:
        if column + 1 + _width(word) <= WIDTH:
            lines[-1] += f" {word}"
            column += 1 + _width(word)
        else:
            lines.append(f" {word}")
            column = 1 + _width(word)
    return "\n".join(lines)


def _width(text: str) -> int:
    """Columns on a terminal."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def _unquoted(name: str) -> str:
    if len(name) > 1 and name[0] == name[-1] == '"':
        return re.sub(r"\\(.)", r"\1", name[1:-1])
    return name
