# SPDX-License-Identifier: Apache-2.0
"""Which snapshots stay: rules against histories, without a repository."""

from datetime import UTC, datetime, timedelta

import pytest

from bigtop_builder.repository.layout import Action, Entry, Retention
from bigtop_builder.repository.retention import Marked, Past, retained

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def ident(letter: str) -> str:
    return letter * 64


def past(moves: str, *, rules: Retention, suite: str = "stable", source: str = "", age: int = 1000) -> Past:
    """A history of one switch a day from `age` days ago: a letter is an add, `<` and a letter a rollback to it."""
    entries: list[Entry] = []
    action: Action = "promote" if source else "add"
    for letter in moves:
        if letter == "<":
            action = "rollback"
            continue
        entries.append(
            Entry(
                suite=suite,
                serial=len(entries) + 1,
                when=NOW - (age - len(entries)) * DAY,
                who="ann",
                why="",
                action=action,
                before=entries[-1].after if entries else "",
                after=ident(letter),
                source=source,
            )
        )
        action = "promote" if source else "add"
    return Past(history=entries, rules=rules)


def stays(moves: str, rules: Retention, *, marked: Marked | None = None, age: int = 1000) -> str:
    found = retained({"stable": past(moves, rules=rules, age=age)}, marked or Marked(), now=NOW)
    return "".join(sorted(one[0] for one in found))


@pytest.mark.parametrize(
    ("moves", "rules", "kept"),
    [
        ("abcd", Retention(), "abcd"),
        ("abcdef", Retention(keep=3), "def"),
        ("abcdef", Retention(keep=1), "ef"),
        ("abcdef", Retention(keep=1, rollbacks=3), "cdef"),
        ("abcdabc", Retention(keep=2), "bc"),
        # After a rollback to b, the suite can go back to a; c and d are not on that way any more.
        ("abcd<b", Retention(keep=1), "ab"),
        ("abcd<b", Retention(keep=2), "abd"),
        ("a", Retention(keep=1), "a"),
        ("", Retention(keep=1), ""),
    ],
)
def test_a_suite_keeps_its_last_ones_and_what_it_can_go_back_to(
    moves: str, rules: Retention, kept: str
) -> None:
    assert stays(moves, rules) == kept


def test_days_count_from_when_the_suite_left_a_snapshot() -> None:
    assert stays("abcdef", Retention(keep_days=3), age=6) == "def"
    assert stays("abcdef", Retention(keep_days=1), age=1000) == "ef"


def test_what_a_suite_pointed_to_within_the_last_day_stays_whatever_the_rules() -> None:
    history = past("abc", rules=Retention(keep=1), age=3).history
    hours = [
        entry.model_copy(update={"when": NOW - timedelta(hours=30 - 10 * entry.serial)}) for entry in history
    ]
    found = retained({"stable": Past(history=hours, rules=Retention(keep=1))}, Marked(), now=NOW)
    assert found[ident("a")] == ("stable pointed to it within 1 day",)


def test_withdrawn_ones_on_the_way_back_do_not_count() -> None:
    marked = Marked(withdrawn={ident("d"), ident("c")})
    assert stays("abcde", Retention(keep=1), marked=marked) == "bcde"


def test_what_is_kept_by_name_or_was_written_just_now_stays() -> None:
    marked = Marked(
        kept={ident("a"): "gold"}, touched={ident("b"): NOW - timedelta(hours=23), ident("c"): NOW - DAY}
    )
    found = retained({"stable": past("abcdef", rules=Retention(keep=1))}, marked, now=NOW)
    assert found[ident("a")] == ("kept as gold",)
    assert found[ident("b")] == ("of the last 24 hours",)
    assert ident("c") not in found


@pytest.mark.parametrize(("promoted", "kept"), [(True, "acd"), (False, "cd")])
def test_what_was_promoted_elsewhere_stays_unless_the_suite_says_otherwise(promoted: bool, kept: str) -> None:
    rules = Retention(keep=1, promoted=promoted)
    pasts = {
        "testing": past("abcd", rules=rules, suite="testing"),
        "stable": past("acd", rules=Retention(keep=1), suite="stable", source="testing", age=500),
    }
    found = retained(pasts, Marked(), now=NOW)
    assert "".join(sorted(one[0] for one in found)) == kept
