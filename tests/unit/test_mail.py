# SPDX-License-Identifier: Apache-2.0
"""A patch is one mail: read in many forms, written in one, and git makes of it what we do."""

import base64
import contextlib
import quopri
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from patch_repository import Repository

from bigtop_builder.errors import InputError
from bigtop_builder.patches.dep3 import trailers_of
from bigtop_builder.patches.facts import PatchFacts
from bigtop_builder.patches.mail import (
    NO_DATE,
    Mail,
    commit_of,
    read_mail,
    tidy,
    write_mail,
)

DIFF = b"""\
diff --git a/greeting b/greeting
index 814f4a422927b82f5f8a43f8fab6d3839e3983f2..4c7442bcf5acd0f1e2a95fe4f12b12c6b779b585 100644
--- a/greeting
+++ b/greeting
@@ -1,2 +1,2 @@
 one
-two
+three
"""
MAIL = Mail(
    author="Jane Roe",
    email="jane@example.org",
    date=datetime(2026, 11, 2, 10, tzinfo=UTC),
    subject="BIGTOP-1. Count on",
    body="Two was the last.\n\n  - indented lines\n  - stay as they are",
    trailers=(("Bug", "https://issues.apache.org/jira/browse/BIGTOP-1"), ("Forwarded", "no")),
    diff=DIFF,
)
WRITTEN = (
    b"""\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: Jane Roe <jane@example.org>
Date: Mon, 2 Nov 2026 10:00:00 +0000
Subject: [PATCH] BIGTOP-1. Count on

Two was the last.

  - indented lines
  - stay as they are

Bug: https://issues.apache.org/jira/browse/BIGTOP-1
Forwarded: no
---

"""
    + DIFF
)


def read(data: bytes | str) -> Mail:
    return read_mail(data.encode() if isinstance(data, str) else data, source="x.patch")


def test_a_mail_is_written_in_one_form() -> None:
    assert write_mail(MAIL) == WRITTEN
    assert read(WRITTEN) == MAIL


def test_a_mail_that_is_committed_in_this_project_is_read(origin_patches: list[Path]) -> None:
    for path in origin_patches:
        mail = read_mail(path.read_bytes(), source=str(path))
        assert mail.author
        assert mail.date != NO_DATE
        assert mail.trailer("forwarded") == "not-needed"
        assert read(write_mail(mail)) == mail


@pytest.fixture
def origin_patches() -> list[Path]:
    return sorted((Path(__file__).parents[2] / "patches").glob("*/miniature-*/*.patch"))


def test_a_patch_of_which_nothing_is_known_stays_that_way() -> None:
    mail = read(DIFF)
    assert mail == Mail(diff=DIFF)
    assert read(write_mail(mail)) == mail


def test_a_file_without_a_diff_is_read_all_the_same() -> None:
    assert read("Subject: [PATCH] nothing yet\n\nTo be done.\n") == Mail(
        subject="nothing yet", body="To be done."
    )
    assert read("") == Mail()


def test_what_git_adds_at_the_end_is_dropped_and_a_removed_line_that_looks_like_it_is_not() -> None:
    assert read(WRITTEN + b"-- \n2.39.5\n\n").diff == DIFF
    removed = DIFF.replace(b"-two", b"-two\n-- \n-- ").replace(b"-1,2", b"-1,4")
    assert read(removed).diff == removed
    long = removed + b"-- \n" + b"a" * 5000 + b"\n +\n"
    assert read(long).diff == long


@pytest.mark.parametrize(
    ("subject", "wanted"),
    [
        ("[PATCH] A", "A"),
        ("[PATCH 2/3] A", "A"),
        ("[PATCH v2] [SPARK-1][CORE] A", "[SPARK-1][CORE] A"),
        ("[SPARK-1][CORE] A", "[SPARK-1][CORE] A"),
        ("Re: [PATCH] A", "A"),
        ("=?UTF-8?q?[PATCH]=20Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("[PATCH] A subject that\n goes on", "A subject that goes on"),
    ],
)
def test_only_the_word_patch_is_taken_off_a_subject(subject: str, wanted: str) -> None:
    assert (
        read(f"From: A <a@b>\nDate: Mon, 2 Nov 2026 10:00:00 +0000\nSubject: {subject}\n\n").subject == wanted
    )


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("Jane Roe <jane@example.org>", ("Jane Roe", "jane@example.org")),
        ('"Roe, Jane \\"J\\"" <jane@example.org>', ('Roe, Jane "J"', "jane@example.org")),
        ("jane@example.org (Jane Roe)", ("Jane Roe", "jane@example.org")),
        ("jane@example.org", ("", "jane@example.org")),
        ("Jane Roe", ("Jane Roe", "")),
        ("=?ISO-8859-1?Q?J=FCrgen?= <j@example.org>", ("Jürgen", "j@example.org")),
        ("=?klingon?Q?x?= <j@example.org>", ("=?klingon?Q?x?=", "j@example.org")),
    ],
)
def test_an_author_is_read_in_all_forms_in_use(address: str, wanted: tuple[str, str]) -> None:
    mail = read(f"From: {address}\nSubject: s\n\n")
    assert (mail.author, mail.email) == wanted


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 2 Nov 2026 12:00:00 +0200",
        "Mon, 02 Nov 2026 10:00:00 GMT",
        "Mon Nov 2 12:00:00 2026 +0200",
        "2026-11-02 12:00:00 +0200",
        "2026-11-02T10:00:00",
    ],
)
def test_a_date_is_read_in_all_forms_in_use(date: str) -> None:
    assert read(f"From: A <a@b>\nDate: {date}\nSubject: s\n\n").date == MAIL.date


DEP3 = (
    "Description: Count on\n Two was the last.\n .\n Now it is three.\n"
    "Author: Jane Roe <jane@example.org>\nBug-Debian: https://bugs.debian.org/1\nForwarded: not-needed\n"
    "Last-Update: 2026-11-02\n---\nThis header follows DEP-3.\n"
)


def test_a_dep_3_header_is_read() -> None:
    mail = read(DEP3 + DIFF.decode())
    assert (mail.author, mail.email, mail.subject) == ("Jane Roe", "jane@example.org", "Count on")
    assert mail.body == "Two was the last.\n\nNow it is three."
    assert mail.trailers == (
        ("Bug-Debian", "https://bugs.debian.org/1"),
        ("Forwarded", "not-needed"),
        ("Last-Update", "2026-11-02"),
    )
    assert mail.diff == DIFF


def test_the_free_text_of_quilt_is_read() -> None:
    data = (
        "Count on\n\nTwo was the last.\n\nIndex: p/greeting\n"
        + "=" * 67
        + "\n--- p.orig/greeting\n+++ p/greeting\n"
    )
    mail = read(data)
    assert (mail.subject, mail.body) == ("Count on", "Two was the last.")
    assert mail.diff.startswith(b"Index: p/greeting\n===")


def test_a_mail_in_latin_1_is_read_and_written_in_utf_8() -> None:
    told = read(WRITTEN.replace(b"Jane Roe", "Jürgen".encode("latin-1")))
    assert told.author == "Jürgen"
    named = b"Content-Type: text/plain; charset=iso-8859-15\n\nGr\xfc\xdfe, 5 \xa4"
    assert read(WRITTEN.replace(b"\n\nTwo", b"\n" + named, 1)).body.startswith("Grüße, 5 €")
    assert "Jürgen".encode() in write_mail(told)


def test_the_bytes_of_the_diff_stay_as_they_are() -> None:
    diff = DIFF.replace(b"two", b"zw\xf6i\r").replace(b"three", b"dr\xfcu\r\x00\x0c")
    assert read(write_mail(Mail(subject="s", diff=diff))).diff == diff


def test_a_mail_with_crlf_throughout_is_read() -> None:
    mail = read(WRITTEN.replace(b"\n", b"\r\n"))
    assert mail == tidy(Mail(**{**vars(MAIL), "diff": DIFF.replace(b"\n", b"\r\n")}))


def test_a_mail_in_a_transfer_encoding_is_read() -> None:
    head, _, rest = WRITTEN.partition(b"\n\n")
    for name, body in (
        ("quoted-printable", quopri.encodestring(rest)),
        ("base64", base64.encodebytes(rest)),
    ):
        assert read(head + f"\nContent-Transfer-Encoding: {name}\n\n".encode() + body) == MAIL
    with pytest.raises(InputError, match=r"^x\.patch:5: what follows is no base64"):
        read(head + b"\nContent-Transfer-Encoding: base64\n\n===x")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("From: Jane <j@example.org>\nno field here\nSubject: s\n\n", 2, "malformed header: 'no field here'"),
        ("\nFrom 1234567890 Mon Sep 17 00:00:00 2001\n: x\n\n", 3, "malformed header: ': x'"),
        ("From: Jane <j@example.org\nSubject: s\n\n", 1, "malformed address"),
        ("From: J <j@example.org>\nDate: yesterday\nSubject: s\n\n", 2, "no date: 'yesterday'"),
        ("Description: Count on\nand on\nOrigin: vendor\n---\n", 2, "malformed header: 'and on'"),
        ("commit " + "1" * 40 + "\nAuthor: A <a@b>\nbroken\n\n    s\n", 3, "malformed header: 'broken'"),
    ],
)
def test_a_malformed_header_is_refused_with_file_line_and_the_way_out(
    text: str, line: int, said: str
) -> None:
    with pytest.raises(InputError) as refusal:
        read(text.encode() + DIFF)
    assert refusal.value.brief.startswith(f"x.patch:{line}: {said}")
    assert refusal.value.hint


def split_message(message: str) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """Subject, body and trailers of a commit message, as git hands on the first two."""
    subject, _, body = message.partition("\n\n")
    mail = tidy(Mail(subject=subject, body=body))
    return mail.subject, mail.body, mail.trailers


def test_trailers_are_the_last_paragraph_and_what_only_looks_alike_is_not() -> None:
    assert split_message("s\n\nbody\n\nA-b: c\n d\nE: f\n") == ("s", "body", (("A-b", "c d"), ("E", "f")))
    assert split_message("s\n\nSee https://x.org\n")[2] == ()
    picked = "s\n\n(cherry picked from commit 1)\nSigned-off-by: A <a@b>\n"
    assert split_message(picked) == ("s", "(cherry picked from commit 1)\nSigned-off-by: A <a@b>", ())
    assert split_message("a title\nof two lines\n") == ("a title of two lines", "", ())


def test_the_commit_that_a_patch_was_made_of_is_known() -> None:
    assert commit_of(b"From " + b"12ab" * 10 + b" Mon Sep 17 00:00:00 2001\n") == "12ab" * 10
    assert commit_of(b"\ncommit " + b"12ab" * 10 + b" (HEAD)\n") == "12ab" * 10
    assert commit_of(WRITTEN) == ""


def facts(**upstream: str) -> PatchFacts:
    return PatchFacts.model_validate(
        {"kind": "tree", "title": "t", "why": "w", "ticket": "BIGTOP-7", "upstream": upstream}
    )


def test_trailers_say_what_the_facts_say_in_the_order_of_dep_3() -> None:
    mail = Mail(
        date=datetime(2026, 11, 2, tzinfo=UTC),
        trailers=(("Signed-off-by", "A <a@b>"), ("forwarded", "yes"), ("Origin", "vendor")),
    )
    assert trailers_of(facts(state="to-forward"), mail) == (
        ("Bug", "https://issues.apache.org/jira/browse/BIGTOP-7"),
        ("Origin", "vendor"),
        ("Forwarded", "no"),
        ("Last-Update", "2026-11-02"),
        ("Signed-off-by", "A <a@b>"),
    )
    merged = dict(trailers_of(facts(state="merged", commit="1" * 40, url="https://x.org/1"), mail))
    assert merged["Forwarded"] == "https://x.org/1"
    assert merged["Applied-Upstream"] == f"commit:{'1' * 40}"
    assert merged["Origin"] == f"upstream, commit:{'1' * 40}"
    assert dict(trailers_of(facts(state="local-only", why="ours"), Mail())) == {
        "Bug": "https://issues.apache.org/jira/browse/BIGTOP-7",
        "Forwarded": "not-needed",
    }


def test_lines_that_git_would_take_for_the_diff_or_for_headers_are_indented() -> None:
    mail = tidy(
        Mail(subject="s", body="From: nobody\n---\n--- a/x\ndiff -u is a tool\n----- a rule\nIndex: 3")
    )
    assert mail.body == " From: nobody\n ---\n --- a/x\n diff -u is a tool\n----- a rule\n Index: 3"
    assert tidy(mail) == mail


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12).map(
    lambda text: unicodedata.normalize("NFC", text)
)
LINES = st.lists(WORDS, max_size=14).map(" ".join)
TEXT = st.lists(
    st.one_of(LINES, st.sampled_from(["---", "", "diff -u a b", "From: x", "  in", "K: v"])), max_size=6
)
NAMES = st.lists(
    st.text(
        st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters='<>@"'), min_size=3
    ),
    min_size=1,
    max_size=6,
).map(" ".join)
DATES = st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1)).flatmap(  # noqa: DTZ001  # zones come next
    lambda moment: st.integers(-14 * 60, 14 * 60).map(
        lambda minutes: moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    )
)
MAILS = st.builds(
    Mail,
    author=NAMES,
    email=st.from_regex(r"[a-z+][a-z.+]{0,30}@[a-z0-9.-]{0,20}[a-z0-9]", fullmatch=True),
    date=DATES,
    subject=LINES,
    body=TEXT.map("\n".join),
    trailers=st.lists(
        st.tuples(st.from_regex(r"[A-Z][a-z]{1,8}(-[a-z]{1,4})?", fullmatch=True), WORDS), max_size=3
    ).map(tuple),
    diff=st.just(DIFF),
)


@given(MAILS)
@example(Mail(subject="x" * 200, author="A. B.", email="a@b", body="x\n\nK: v\n\nL: w", diff=DIFF))
def test_what_is_written_is_read_again_and_stays_the_same(mail: Mail) -> None:
    once = write_mail(mail)
    assert read(once) == tidy(mail)
    assert write_mail(read(once)) == once


@given(st.binary(max_size=300))
@example(b"From: \x00\nDate: Mon, 99 Nov 2026 10:00:00 +0000\n")
@example(b"Date: Mon, 2 Nov 99999 10:00:00 +0000\n")
def test_any_file_is_read_or_refused(data: bytes) -> None:
    mail = Mail()
    with contextlib.suppress(InputError):
        mail = read(data)
    assert read(write_mail(mail)) == mail


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = Repository(tmp_path_factory.mktemp("mail") / "work")
    made.write({"greeting": b"one\ntwo\n"})
    made.commit("the start")
    made.git("tag", "start")
    return made


def usual(mail: Mail) -> bool:
    """Whether git leaves it as it is: not `Re:` before a subject, dots around a name, a name above 60 bytes."""
    head, name = mail.subject, mail.author
    odd = "[" in head or head.lower().startswith("re:") or head[:1] == ":"
    return bool(head) and not odd and name == name.strip(".,:;\\'") and len(name.encode()) <= 60


@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture])
@given(mail=MAILS.map(tidy).filter(usual))
def test_git_am_and_format_patch_make_the_same_of_it(repository: Repository, mail: Mail) -> None:
    repository.git("am", "--abort", check=False)
    repository.git("reset", "--quiet", "--hard", "start")
    repository.git("am", "--quiet", "--keep-non-patch", stdin=write_mail(mail))
    said = repository.git("show", "-s", "--format=%an%n%ae%n%B").stdout.decode()
    assert said.rstrip("\n") == f"{mail.author}\n{mail.email}\n{mail.message}".rstrip("\n")
    assert read(repository.format_patch()) == mail
    assert write_mail(read(repository.format_patch())) == write_mail(mail)


def test_our_form_is_gits_own_byte_for_byte_but_for_the_separator(repository: Repository) -> None:
    repository.git("reset", "--quiet", "--hard", "start")
    subject = (
        "[SPARK-1][CORE] A subject of so many words that git has to fold it, at its seventy-eighth column"
    )
    for author, body in (
        ("Jane Q. Roe", "Plain."),
        ("Jürgen Müller", "Ünïcode.\n\nSigned-off-by: X Y <x@example.org>"),
    ):
        repository.write({"greeting": b"one\nthree\n"})
        repository.commit(
            f"{subject}\n\n{body}\n", env={"GIT_AUTHOR_NAME": author, "GIT_AUTHOR_EMAIL": "j@example.org"}
        )
        theirs = repository.format_patch()
        assert write_mail(read(theirs)).replace(b"\n---\n\ndiff", b"\n\ndiff") == theirs
        repository.git("reset", "--quiet", "--hard", "start")


def test_git_show_and_git_log_are_read(repository: Repository) -> None:
    repository.git("reset", "--quiet", "--hard", "start")
    repository.write({"greeting": b"one\nthree\n"})
    commit = repository.commit("Count on\n\nTwo was the last.\n\n    code\n\nBug: 7\n")
    wanted = read(repository.format_patch())
    assert (wanted.subject, wanted.trailers) == ("Count on", (("Bug", "7"),))
    for words in (("show",), ("log", "-p", "-1"), ("show", "--format=fuller"), ("show", "--stat", "-p")):
        data = repository.git(*words, "--full-index", "HEAD").stdout
        assert read(data) == wanted
        assert commit_of(data) == commit
