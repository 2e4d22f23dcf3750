# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a patch before anyone tries to apply it: its facts, its mail, its diff, its neighbours."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bigtop_builder.patches.dep3 import trailers_of
from bigtop_builder.patches.diff import FileDiff, scan_diff
from bigtop_builder.patches.facts import TREE
from bigtop_builder.patches.finding import REWRITE, Finding
from bigtop_builder.patches.mail import DEP3, NO_DATE, Mail, read_mail, write_mail
from bigtop_builder.patches.mail_header import MalformedMail
from bigtop_builder.patches.overlap import find_overlaps
from bigtop_builder.patches.queue import FACTS, Diff, Entry
from bigtop_builder.patches.style import style
from bigtop_builder.patches.title import without_ticket
from bigtop_builder.projects import Projects
from bigtop_builder.schema import nearest, nearest_line, read_toml

WITHOUT_TICKET = {"local-only", "to-forward"}
FOLLOWING = {"Origin", "Forwarded", "Applied-Upstream"}
"""Trailers that tell of `[upstream]`. `upstream submit` and `sync` write that alone: with the diff rewritten too,
evidence would be stale and components built again whenever a pull request changes."""

__all__ = ["Finding", "lint"]


def lint(
    entry: Entry,
    others: Sequence[Entry] = (),
    orders: Mapping[str, Sequence[str]] | None = None,
    releases: Mapping[str, str] | None = None,
    *,
    projects: Projects,
) -> tuple[Finding, ...]:
    """All that is to be said of a patch, by file and line.

    Args:
        entry: The patch.
        others: The queue's patches, to compare it with.
        orders: Recipe -> its patches, in order, for what overlaps.
        releases: Recipe -> its release; whether there is a recipe for a release is not looked at if empty.
        projects: What the upstream of each target asks for.
    """
    releases = releases or {}
    found = [
        *_facts(entry),
        *_strangers(entry, {*releases, *releases.values()}),
        *find_overlaps(entry, others, orders or {}),
    ]
    for diff in entry.diffs:
        found += _diff(entry, diff, projects)
        found += _twins(entry, diff, others)
    listing = {one: releases.get(one, one) for one, listed in (orders or {}).items() if entry.id in listed}
    ways = {str(diff.path): _way(entry, diff, listing) for diff in entry.diffs}
    return tuple(
        sorted({replace(one, hint=one.hint.replace(REWRITE, ways.get(one.file, REWRITE))) for one in found})
    )


def _way(entry: Entry, diff: Diff, listing: Mapping[str, str]) -> str:
    """The command that writes a diff anew: for a release that takes this one.

    Args:
        entry: The patch.
        diff: One of its diffs.
        listing: Recipe that lists it -> its release.
    """
    users = (one for one, release in listing.items() if entry.diff_for(release) == diff)
    if user := next(users, ""):
        return f"bigtop-builder {REWRITE.replace('refresh', f'refresh {user} {entry.id}')}"
    return f"{REWRITE} once a recipe lists it"


def _facts(entry: Entry) -> Iterator[Finding]:
    """What `patch.toml` lacks."""
    facts, upstream = entry.facts, entry.facts.upstream
    path = entry.folder / FACTS
    state = upstream.state
    ticketless = state in WITHOUT_TICKET
    wanted = (
        ("title", facts.title, "", "say in one line what the patch does"),
        ("why", facts.why, "", "say why the fleet needs it"),
        ("drop-when", facts.drop_when, "", "say what must have happened before it can go"),
        (
            "ticket",
            facts.ticket or ticketless,
            f"state {state!r} ",
            "name upstream's ticket, as in BIGTOP-4032",
        ),
        (
            "upstream.why",
            upstream.why or state not in {"local-only", "closed"},
            f"state {state!r} ",
            "say why",
        ),
        (
            "upstream.commit",
            upstream.commit or state != "merged",
            f"state {state!r} ",
            "name upstream's commit",
        ),
        ("upstream.url", upstream.url or state != "pr-open", f"state {state!r} ", "name the pull request"),
    )
    lines = _numbers(path)
    for key, value, needs, hint in wanted:
        if not value or (isinstance(value, str) and not value.strip()):
            line = nearest_line(tuple(key.split(".")), lines)
            text = f"`{key}` is missing: {needs}needs it" if needs else f"`{key}` is missing"
            yield Finding(file=str(path), line=line, rule=key.rpartition(".")[2], text=text, hint=hint)
    for number, release in enumerate(facts.releases):
        if entry.diff_for(release) is None:
            line = nearest_line(("releases", number), lines)
            text = f"it is meant for {release}, and no diff is for that"
            base = next((one for one in facts.releases if entry.diff_for(one)), "RELEASE")
            hint = f"bigtop-builder patch rebase {base} {entry.id} --onto {release}, or take it off the list"
            yield Finding(file=str(path), line=line, rule="releases", text=text, hint=hint)


def _strangers(entry: Entry, releases: Collection[str]) -> Iterator[Finding]:
    """Releases that no recipe is for, so that `status` does not look; a name of another form is another project's."""
    path = entry.folder / FACTS
    for number, release in enumerate(entry.facts.releases):
        if releases and release not in releases and release[:1].isdigit():
            line = nearest_line(("releases", number), _numbers(path))
            text = f"it is meant for {release}, and no recipe is for that"
            hint = f"right if another project has it; {nearest(release, releases)}"
            yield Finding(file=str(path), line=line, rule="releases", text=text, hint=hint, level="note")


def _diff(entry: Entry, diff: Diff, projects: Projects) -> Iterator[Finding]:
    """What is wrong with one of its diffs."""
    data, say = diff.data, _at(diff.path)
    files, faults = scan_diff(data)
    for fault in faults:
        text = f"{fault.path}: {fault.text}" if fault.path else fault.text
        yield say(fault.line, fault.rule, text, fault.hint)
    try:
        mail = read_mail(data, source=str(diff.path))
    except MalformedMail as error:
        yield say(error.line, "header", error.text, error.hint)
        return
    yield from _mail(entry, mail, data, diff.path)
    yield from _bytes(data, files, diff.path)
    yield from _empty(files, diff.path)
    if entry.target != TREE:
        yield from _unbuildable(files, diff.path)
    yield from style(entry, mail, files, diff.path, projects.projects.get(entry.target))
    if not faults and (write_mail(mail) != data or any(file.hunks and not file.names_base for file in files)):
        yield say(
            1, "form", "it is not in the queue's own form, so the next export changes it", REWRITE, "note"
        )


def _mail(entry: Entry, mail: Mail, data: bytes, path: Path) -> Iterator[Finding]:
    """Headers and description, and whether they agree with `patch.toml`."""
    say = _at(path)
    headers = {
        "From": mail.author and mail.email,
        "Date": mail.date != NO_DATE,
        "Subject": mail.subject,
    }
    bare = not any((*headers.values(), mail.body))
    if lacking := [f"`{header}`" for header, value in headers.items() if not value]:
        text = f"{', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} missing, or half of it"
        yield say(
            1,
            "header",
            f"no header: {', '.join(lacking)} and a description are missing" if bare else text,
            "write who, when and what in the first lines, as git format-patch does",
        )
    if bare:  # a plain diff: one remark says it all
        return
    if not mail.body:
        hint = "say below the subject what was wrong and what the patch does about it"
        yield say(1, "description", "it has no description", hint)
    title, subject = map(without_ticket, (entry.facts.title, mail.subject))
    if subject and " ".join(title.split()) != subject:
        text = f"the subject says {subject!r}, and {FACTS} {title!r}"
        yield say(_line_of(data, b"Subject:"), "title", text, "let them say the same")
    for name, value in trailers_of(entry.facts, mail):
        if name in DEP3 and mail.trailer(name) != value:
            there = f"is {mail.trailer(name)!r}" if mail.trailer(name) else "is missing"
            text = f"trailer `{name}` {there}, and would be {value!r} after {FACTS}"
            line, level = _line_of(data, name.encode() + b":"), "note" if name in FOLLOWING else "error"
            yield say(line, "trailers", text, f"{FACTS} counts: {REWRITE}", level)


def _bytes(data: bytes, files: Sequence[FileDiff], path: Path) -> Iterator[Finding]:
    """Encodings and ends of lines. In hunks they are the source's own, and so left to the reviewer."""
    say = _at(path)
    lines = data.split(b"\n")
    inside = {
        number
        for file in files
        for hunk in file.hunks
        for number in range(hunk.line + 1, hunk.line + 1 + len(hunk.lines))
    }
    first: dict[tuple[str, bool], int] = {}
    for number, line in enumerate(lines, 1):
        if line.endswith(b"\r"):
            first.setdefault(("crlf", number in inside), number)
        if not line.isascii() and not _is_utf8(line):
            first.setdefault(("encoding", number in inside), number)
    for (rule, in_hunk), number in first.items():
        if in_hunk:
            what = "ends in CRLF" if rule == "crlf" else "is not in UTF-8"
            hint = "right if the file is so upstream; git diff keeps it, most editors do not"
            yield say(number, rule, f"a line of a hunk {what}", hint, "note")
        elif rule == "crlf":
            hint = "write the lines outside of hunks with LF alone; " + REWRITE
            yield say(
                number,
                rule,
                "a header ends in CRLF, and patch refuses such a diff or strips all its CRs",
                hint,
            )
        else:
            yield say(
                number, rule, "a header or the description is not in UTF-8", f"save it as UTF-8; {REWRITE}"
            )


def _empty(files: Sequence[FileDiff], path: Path) -> Iterator[Finding]:
    """Files that `patch` would not leave as the diff says; no patch to any target may have them."""
    say, filled = _at(path), {file.path for file in files if file.hunks}
    for file in files:
        if file.kind == "new" and not file.hunks and file.path not in filled:
            hint = "give it a line, if only a comment; or make it in debian/rules"
            yield say(
                file.line,
                "empty-file",
                f"{file.path}: a new empty file, which `patch` does not make",
                hint,
            )
        if file.kind == "change" and any(hunk.new_start == hunk.new_count == 0 for hunk in file.hunks):
            hint = "leave a line in it, or delete it as a patch does"
            yield say(
                file.line, "empty-file", f"{file.path}: it becomes empty, and patch then removes it", hint
            )


def _unbuildable(files: Sequence[FileDiff], path: Path) -> Iterator[Finding]:
    """What dpkg-source does not do as git does (dpkg-source(1), Format: 3.0 (quilt))."""
    say, seen = _at(path), set[str]()
    for file in files:
        if "160000" in (file.old_mode, file.new_mode):
            yield say(
                file.line,
                "submodule",
                f"{file.path}: a submodule, which no source package has",
                "take it out",
            )
        if file.path in seen:
            hint = "merge them: git format-patch of one commit has each file once"
            yield say(
                file.line,
                "twice",
                f"{file.path}: a second diff of this file, which dpkg-source refuses",
                hint,
            )
        seen.add(file.path)


def _twins(entry: Entry, diff: Diff, others: Sequence[Entry]) -> Iterator[Finding]:
    """Patches of the same target with the same diff under another id."""
    mine = _change(diff.data)
    for other in others:
        if mine and other.target == entry.target and other.id < entry.id:
            theirs = {_change(one.data): one.path for one in other.diffs}
            alike = next((path for change, path in theirs.items() if _words(change) == _words(mine)), None)
            if mine in theirs:
                text = f"it changes the same lines as {theirs[mine]}: one patch under two ids"
                yield _at(diff.path)(1, "duplicate", text, f"remove {entry.id} or {other.id}")
            elif alike:
                text = f"it does what {alike} does, at other lines: one patch under two ids, or another place"
                yield _at(diff.path)(1, "duplicate", text, f"if it is one, remove {entry.id}", "note")


_Change = tuple[tuple[str, str, tuple[tuple[int, tuple[bytes, ...]], ...]], ...]


def _change(data: bytes) -> _Change:
    """Each file of a diff, its hunks, and where they begin."""
    return tuple(
        (file.old, file.new, tuple((hunk.old_start, hunk.lines) for hunk in file.hunks))
        for file in scan_diff(data)[0]
    )


def _words(change: _Change) -> list[object]:
    """A change without its places."""
    return [(old, new, [lines for _, lines in hunks]) for old, new, hunks in change]


Say = Callable[..., Finding]


def _at(path: Path) -> Say:
    """Findings of one file."""

    def say(line: int, rule: str, text: str, hint: str, level: str = "error") -> Finding:
        return Finding(
            file=str(path),
            line=line,
            rule=rule,
            text=text,
            hint=hint,
            level="note" if level == "note" else "error",
        )

    return say


def _numbers(path: Path) -> dict[tuple[str | int, ...], int]:
    return read_toml(path)[1]


def _line_of(data: bytes, start: bytes) -> int:
    """Number of the first line that starts so; 1 if none does."""
    found = re.search(rb"^" + re.escape(start), data, re.MULTILINE | re.IGNORECASE)
    return data.count(b"\n", 0, found.start()) + 1 if found else 1


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
