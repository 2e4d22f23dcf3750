# SPDX-License-Identifier: Apache-2.0
"""A patch as a mail: who, when, what and why before the diff, in the one form in which the queue keeps it.

It is written as `git format-patch --zero-commit --full-index --no-signature --no-encode-email-headers -N` does,
with the fields of DEP-3 as git trailers, and without a diffstat, which would change with every change. What is
read may also be a DEP-3 header, quilt's free text, `git show`, `git log -p`, or a plain diff.
"""

import base64
import binascii
import quopri
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from bigtop_builder.patches.mail_header import (
    Header,
    MalformedMail,
    decoded,
    fold,
    read_address,
    read_date,
    read_headers,
    write_address,
    write_date,
)

NO_DATE = datetime.fromtimestamp(0, UTC)
"""The date of a patch that names none."""
FIRST_LINE = f"From {'0' * 40} Mon Sep 17 00:00:00 2001"
MIME = "MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit"
DEP3 = ("Bug", "Origin", "Forwarded", "Applied-Upstream", "Last-Update")
"""Fields of DEP-3 that are written as trailers, in this order (https://dep-team.pages.debian.net/deps/dep3/)."""
READ_AS_TRAILERS = {*map(str.lower, DEP3), "reviewed-by", "acked-by", "signed-off-by"}
HEADERS = {"from", "date", "subject", "description", "author", *READ_AS_TRAILERS}
DIFF_START = re.compile(
    rb"^(?:diff --git |diff --c|diff -[A-Za-z]\S* .*\S +\S|Index: \S.*\r?\n={3,}|--- \S.*\r?\n\+\+\+ \S)",
    re.MULTILINE,
)
SIGNATURE = re.compile(rb"^-- \r?\n(?:[^ +\-\\@\r\n][^\n]*(?:\n|\Z))+\s*\Z", re.MULTILINE)
"""git's last lines, `-- ` and its version. A removed line `- ` looks like the first, and goes on otherwise."""
MBOX = re.compile(r"From \S.*\d:\d\d.*")
MAILED = rb" Mon Sep 17 00:00:00 2001\r?$"
"""What git writes behind the id of a commit that it makes a mail of (git-format-patch(1))."""
SHOWN = re.compile(r"commit (?P<commit>[0-9a-f]{40})\b")
ENCODED = re.compile(
    rb"^Content-Transfer-Encoding:\s*(base64|quoted-printable)\s*$", re.IGNORECASE | re.MULTILINE
)
CHARSET = re.compile(rb'^Content-Type:[^\n]*?charset="?([\w.:-]+)', re.IGNORECASE | re.MULTILINE)
PREFIX = re.compile(r"\A(?:re:\s*)*(?:\[[^\]]*PATCH[^\]]*\]\s*)+", re.IGNORECASE)
TRAILER = re.compile(r"(?P<key>[A-Za-z0-9][A-Za-z0-9-]*):[ \t]+(?P<value>\S.*)")
BREAKS = re.compile(r"---(?:\s*$| \S)|diff -|Index: |From \S.*\d:\d\d")
"""Lines at which git-mailinfo(1) sees the diff begin, or git-mailsplit(1) another mail."""
IN_BODY = re.compile(
    r">?From |(?:From|Date|Subject|Content-\S+|MIME-Version|\[PATCH\S*)\s*:|\[PATCH", re.IGNORECASE
)
"""What git-mailinfo(1) takes for a header if a body starts with it."""


@dataclass(frozen=True, kw_only=True)
class Mail:
    """A patch with what is said of it. What is not known is empty, or `NO_DATE`.

    Attributes:
        author: Name of its author.
        email: Their address.
        date: When it was written, with a time zone.
        subject: Its title, on one line, without `[PATCH]`; `[SPARK-1][CORE]` is part of it.
        body: What it is for, any number of lines, without the trailers.
        trailers: The last paragraph: names and values, in order.
        diff: The diff, as bytes: sources may be in any encoding.
    """

    author: str = ""
    email: str = ""
    date: datetime = NO_DATE
    subject: str = ""
    body: str = ""
    trailers: tuple[tuple[str, str], ...] = ()
    diff: bytes = field(default=b"", repr=False)

    def trailer(self, name: str) -> str:
        """Value of the first trailer of this name, whatever its case; empty if there is none."""
        return next((value for key, value in self.trailers if key.lower() == name.lower()), "")

    @property
    def message(self) -> str:
        """Subject, body and trailers: what a commit of it says."""
        told = "\n".join(f"{key}: {value}" for key, value in self.trailers)
        return "\n\n".join(part for part in (self.subject, self.body, told) if part) + "\n"


def read_mail(data: bytes, *, source: str) -> Mail:
    """Read a patch in any of the forms that people keep them in. A file without a diff is read too.

    Args:
        data: The file.
        source: Its name, for errors.

    Raises:
        MalformedMail: A header is malformed; file, line and the way out are named.
    """
    for line, _ in split_mails(data)[1:]:
        text = "a second patch begins here"
        raise MalformedMail(
            source, line, text, hint="keep each in a file of its own; patch import takes them apart"
        )
    data = _in_clear(data.removeprefix(b"\xef\xbb\xbf"), source)
    begins = DIFF_START.search(data)
    start = begins.start() if begins else len(data)
    head, diff = _text(data[:start]), data[start:]
    lines = [line.rstrip("\r") for line in head.split("\n")]
    at = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    is_mail = at < len(lines) and bool(MBOX.fullmatch(lines[at]))
    at += is_mail
    if at < len(lines) and SHOWN.match(lines[at]):
        mail = _shown(lines[at + 1 :], first=at + 2, source=source)
    elif is_mail or _begins_with_headers(lines[at:]):
        mail = _headed(lines[at:], first=at + 1, source=source)
    else:
        mail = _titled(_before_separator(lines[at:]))
    return tidy(replace(mail, diff=diff))


def split_mails(data: bytes) -> tuple[tuple[int, bytes], ...]:
    """The patches of a file that holds several: an mbox, or what `git log -p` prints.

    Returns:
        The number of the line, from 1, at which each begins, and its bytes.
    """
    first = re.match(rb"(?:\xef\xbb\xbf)?\s*(From|commit) [0-9a-f]{40}\b.*", data)
    if not first:
        return ((1, data),)
    begins = re.compile(
        rb"^" + first[1] + rb" [0-9a-f]{40}" + (MAILED if first[1] == b"From" else rb"\b"), re.MULTILINE
    )
    starts = [0, *(match.start() for match in begins.finditer(data) if match.start() > first.start(1))]
    ends = [*starts[1:], len(data)]
    return tuple((data.count(b"\n", 0, at) + 1, data[at:end]) for at, end in zip(starts, ends, strict=True))


def write_mail(mail: Mail) -> bytes:
    """Write a patch in the queue's form. What is read from it and written again is the same, byte for byte."""
    mail = tidy(mail)
    head = [FIRST_LINE]
    if mail.author or mail.email:
        head.append(write_address(mail.author, mail.email))
    if mail.date != NO_DATE:
        head.append(write_date(mail.date))
    if mail.subject:
        prefix = "Subject: [PATCH] "
        head.append(prefix + fold(mail.subject, used=len(prefix)))
    if not mail.message.isascii():
        head.append(MIME)
    told = "\n".join(f"{key}: {value}" for key, value in mail.trailers)
    body = "\n\n".join(part for part in (mail.body, told) if part)
    text = "\n".join([*head, "", *([body] if body else []), "---", "", ""])
    return text.encode() + mail.diff


def tidy(mail: Mail) -> Mail:
    """The same mail as it is after being written and read: no white space that git drops, trailers apart.

    A line of the body at which git would see the diff begin is indented by a space.
    """
    lines = _clean(mail.body).split("\n")
    body, found = _without_trailers("\n".join(f" {line}" if BREAKS.match(line) else line for line in lines))
    given = ((key.strip(), " ".join(value.split())) for key, value in mail.trailers)
    diff = SIGNATURE.sub(b"", mail.diff)
    return replace(
        mail,
        author=" ".join(mail.author.split()),
        email=mail.email.strip(),
        date=mail.date.replace(microsecond=0),
        subject=PREFIX.sub("", " ".join(mail.subject.split())),
        body=f" {body}" if IN_BODY.match(body) else body,
        trailers=(*found, *(one for one in given if all(one) and not IN_BODY.match(f"{one[0]}:"))),
        diff=diff if not diff or diff.endswith(b"\n") else diff + b"\n",
    )


def commit_of(data: bytes) -> str:
    """The commit that `git format-patch` or `git show` made a patch of; empty if the patch names none."""
    match = re.match(rb"\s*(?:From|commit) ([0-9a-f]{40})\b", data)
    return match[1].decode() if match and match[1].strip(b"0") else ""


def _in_clear(data: bytes, source: str) -> bytes:
    """A mail without its transfer encoding (RFC 2045)."""
    gap = re.search(rb"\r?\n\r?\n", data)
    head, body = (data[: gap.end()], data[gap.end() :]) if gap else (data, b"")
    encoded = ENCODED.search(head)
    if not encoded:
        return data
    try:
        plain = quopri.decodestring(body) if encoded[1].lower() != b"base64" else base64.b64decode(body)
    except binascii.Error as error:
        line = data.count(b"\n", 0, encoded.start()) + 1
        hint = "save the mail anew, or attach the diff"
        raise MalformedMail(source, line, f"what follows is no base64: {error}", hint=hint) from error
    return head + plain


def _text(head: bytes) -> str:
    """What stands before the diff: in the charset that it names, in UTF-8, else in latin-1."""
    named = CHARSET.search(head)
    for charset in (named[1].decode() if named else "utf-8", "utf-8"):
        try:
            return head.decode(charset)
        except (UnicodeDecodeError, LookupError):
            continue
    return head.decode("latin-1")


def _begins_with_headers(lines: list[str]) -> bool:
    """Whether this is a block of fields at least one of which a patch is known to have."""
    names: list[str] = []
    for line in lines:
        if not line.strip() or line.rstrip() == "---":
            break
        name, colon, _ = line.partition(":")
        if not names and not (colon and re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name)):
            return False
        names.append(name.lower())
    return any(name in HEADERS or name.startswith("bug-") for name in names)


def _headed(lines: list[str], *, first: int, source: str) -> Mail:
    """A mail, or a DEP-3 header: they differ in what the further lines of a field mean."""
    headers, taken = read_headers(lines, first=first, source=source)
    by_name = {header.name.lower(): header for header in reversed(headers)}
    title = by_name.get("subject") or by_name.get("description")
    author, email = _author(by_name.get("from") or by_name.get("author"), source)
    body = _before_separator(lines[taken:])
    subject = title.text if title else ""
    if title and "date" not in by_name:
        subject, body = title.lines[0], "\n".join([*map(_dedented, title.lines[1:]), "", body])
    trailers = [(header.name, header.text) for header in headers if _is_trailer(header.name)]
    date = by_name.get("date")
    return Mail(
        author=author,
        email=email,
        date=read_date(date, source=source) if date else NO_DATE,
        subject=decoded(subject),
        body=body,
        trailers=tuple(trailers),
    )


def _shown(lines: list[str], *, first: int, source: str) -> Mail:
    """What `git show` and `git log -p` print after `commit ID`."""
    headers, taken = read_headers(lines, first=first, source=source)
    by_name = {header.name.lower(): header for header in headers}
    author, email = _author(by_name.get("author"), source)
    date = by_name.get("authordate") or by_name.get("date")
    told = _before_separator(lines[taken:]).split("\n")
    message = _clean("\n".join(line.removeprefix("    ") for line in told))
    subject, _, body = message.partition("\n\n")
    moment = read_date(date, source=source) if date else NO_DATE
    return Mail(author=author, email=email, date=moment, subject=subject, body=body)


def _titled(text: str) -> Mail:
    subject, _, body = _clean(text).partition("\n")
    return Mail(subject=subject, body=body)


def _author(header: Header | None, source: str) -> tuple[str, str]:
    return read_address(header, source=source) if header else ("", "")


def _is_trailer(name: str) -> bool:
    return name.lower() in READ_AS_TRAILERS or name.lower().startswith("bug-")


def _before_separator(lines: list[str]) -> str:
    end = next((number for number, line in enumerate(lines) if line.rstrip() == "---"), len(lines))
    return "\n".join(lines[:end])


def _dedented(line: str) -> str:
    """A further line of a DEP-3 field: one space in, and a lone full stop for an empty line."""
    return "" if line.strip() == "." else line[1:]


def _clean(text: str) -> str:
    """Without white space at the end of lines, and at most one empty line in a row (git-stripspace(1))."""
    lines = "\n".join(line.rstrip(" \t\r") for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip("\n")


def _without_trailers(body: str) -> tuple[str, list[tuple[str, str]]]:
    """A body, and the trailers that were its last paragraphs."""
    found: list[tuple[str, str]] = []
    while body:
        before, _, last = body.rpartition("\n\n")
        lines = re.sub(r"\n[ \t]+", " ", last).split("\n")
        rows = [None if IN_BODY.match(line) else TRAILER.fullmatch(line) for line in lines]
        if not all(rows):
            break
        found = [(row["key"], " ".join(row["value"].split())) for row in rows if row] + found
        body = before
    return body, found
