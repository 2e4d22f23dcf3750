# SPDX-License-Identifier: Apache-2.0
"""What patch.toml comes to say of a patch upstream, by what was seen of it: a table."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bigtop_builder.patches.facts import Upstream
from bigtop_builder.upstreaming.answers import Review
from bigtop_builder.upstreaming.outcome import OnBase, Seen, decide, verdict

URL = "https://github.com/apache/hadoop/pull/7"
A, B, HEAD = "a" * 40, "b" * 40, "c" * 40
OPEN = Seen(state="open", url=URL, base="trunk", head=HEAD, opened="2026-01-02T03:04:05Z")
CLOSED = replace(OPEN, state="closed", closed_by="carol", words="not now")
MERGED = replace(OPEN, state="merged", merge_commit=A)
NOWHERE, THERE = OnBase(), OnBase(commit=A, by="merge button")
RELEASED = replace(THERE, since="rel/3.5.0")
TAKEN_BACK = replace(THERE, reverted_by=B)
SENT = Upstream(
    state="pr-open", url=URL, branch="ann:x", head=HEAD, base="trunk", opened="2026-01-02T03:04:05Z"
)
IN = SENT.model_copy(update={"state": "merged", "commit": A})
BACK = {"state": "pr-open", "commit": "", "since": "", "why": f"reverted by {B[:12]}"}


def state(state: str, **more: str) -> Upstream:
    return Upstream.model_validate({"state": state, **more})


def sent(**more: str) -> Upstream:
    return SENT.model_copy(update=more)


@pytest.mark.parametrize(
    ("was", "pull", "found", "changes"),
    [
        # Open: what reviews come to is written, what may pass is only told.
        (sent(), OPEN, NOWHERE, {}),
        (sent(), replace(OPEN, review="approved"), NOWHERE, {"review": "approved"}),
        (sent(review="changes-requested"), OPEN, NOWHERE, {"review": ""}),
        (sent(), OPEN, None, {}),
        (
            sent(why="closed by carol: not now", state="closed"),
            OPEN,
            NOWHERE,
            {"state": "pr-open", "why": ""},
        ),
        (sent(why="we asked twice", state="closed"), OPEN, NOWHERE, {"state": "pr-open"}),
        (
            state("ticket", url=URL),
            OPEN,
            NOWHERE,
            {"state": "pr-open", "base": "trunk", "opened": SENT.opened},
        ),
        (
            sent(),
            replace(OPEN, url=URL.replace("hadoop", "core")),
            None,
            {"url": URL.replace("hadoop", "core")},
        ),
        # Merged needs a commit on the base branch that stands.
        (sent(review="approved"), MERGED, THERE, {"state": "merged", "commit": A, "review": ""}),
        (sent(), CLOSED, THERE, {"state": "merged", "commit": A}),
        (sent(), OPEN, RELEASED, {"state": "merged", "commit": A, "since": "rel/3.5.0"}),
        (sent(), None, THERE, {"state": "merged", "commit": A}),
        (state("to-forward", why="found here"), None, THERE, {"state": "merged", "commit": A}),
        (IN, None, RELEASED, {"since": "rel/3.5.0"}),
        (IN.model_copy(update={"since": "rel/3.5.0"}), None, THERE, {}),
        (IN.model_copy(update={"since": "release-3.9.0-1"}), None, THERE, {"since": ""}),
        (IN.model_copy(update={"since": "release-3.9.0-1"}), None, RELEASED, {"since": "rel/3.5.0"}),
        (sent(), MERGED, NOWHERE, {}),
        (sent(), replace(MERGED, base="branch-3.4"), NOWHERE, {}),
        (sent(), MERGED, None, {}),
        # Taken back: as open or closed as its pull request.
        (sent(), MERGED, TAKEN_BACK, {"state": "closed", "why": BACK["why"]}),
        (IN, MERGED, TAKEN_BACK, BACK | {"state": "closed", "since": IN.since}),
        (IN, OPEN, TAKEN_BACK, BACK),
        (state("merged", commit=A), None, TAKEN_BACK, BACK | {"state": "ticket"}),
        (state("to-forward", why="x"), None, TAKEN_BACK, {}),
        (state("closed", url=URL, why=BACK["why"]), None, THERE, {"state": "merged", "commit": A, "why": ""}),
        # Closed: by whom, with which words; what a person wrote stays.
        (sent(), CLOSED, NOWHERE, {"state": "closed", "why": "closed by carol: not now"}),
        (sent(why="upstream wants another way"), CLOSED, NOWHERE, {"state": "closed"}),
        (sent(state="closed", why="closed by carol: not now"), replace(CLOSED, words="again"), NOWHERE, {}),
        (sent(state="closed", why="no use for it"), replace(CLOSED, closed_by="dan"), NOWHERE, {}),
        (sent(), CLOSED, None, {}),
        # Whoever wrote that it is to be sent again knows of the old pull request.
        (sent(state="to-forward"), CLOSED, NOWHERE, {}),
        (sent(state="to-forward"), MERGED, TAKEN_BACK, {}),
        (sent(state="to-forward"), OPEN, NOWHERE, {"state": "pr-open"}),
        # Nothing is known: nothing changes.
        (sent(), None, None, {}),
        (sent(), None, NOWHERE, {}),
        (IN, OPEN, NOWHERE, {}),
        (state("ticket"), None, OnBase(remark="upstream's a names HADOOP-1"), {}),
    ],
)
def test_what_was_seen_says_what_is_written(
    was: Upstream, pull: Seen | None, found: OnBase | None, changes: dict[str, str]
) -> None:
    wanted = {key: value for key, value in changes.items() if getattr(was, key) != value}
    decided = decide(was, base="trunk", pull=pull, found=found, ticket="HADOOP-1")
    assert dict(decided.changes) == wanted
    again = decide(
        was.model_copy(update=dict(decided.changes)), base="trunk", pull=pull, found=found, ticket="HADOOP-1"
    )
    assert again.changes == {}


def test_a_merged_patch_that_was_taken_back_is_to_be_sent_again_unless_its_pull_request_cannot_be_read() -> (
    None
):
    was = state("merged", commit=A)
    assert decide(was, base="master", pull=None, found=TAKEN_BACK).changes["state"] == "to-forward"
    assert decide(IN, base="trunk", pull=None, found=TAKEN_BACK, unread=True).changes == {}


@pytest.mark.parametrize(
    ("pull", "found", "note"),
    [
        (replace(OPEN, review="changes-requested"), NOWHERE, "changes are requested"),
        (replace(OPEN, conflicts=True), NOWHERE, "it conflicts with trunk"),
        (replace(OPEN, draft=True), NOWHERE, "it is a draft"),
        (replace(OPEN, orphaned=True), NOWHERE, "the fork is gone"),
        (replace(OPEN, head=B), NOWHERE, f"somebody else pushed {B[:12]} to it"),
        (replace(OPEN, base="branch-3.4"), NOWHERE, "it is to branch-3.4, not to trunk"),
        (OPEN, THERE, "still open: close it"),
        (
            replace(MERGED, base="branch-3.4"),
            NOWHERE,
            "was merged into branch-3.4 by aaaaaaaaaaaa, and trunk",
        ),
        (MERGED, NOWHERE, "merged by aaaaaaaaaaaa, which trunk does not have"),
        (CLOSED, None, "it is closed; whether trunk has it is not known"),
        (MERGED, TAKEN_BACK, "aaaaaaaaaaaa brought it, and bbbbbbbbbbbb took it back"),
        (OPEN, OnBase(remark="upstream's d has the same subject"), "has the same subject"),
    ],
)
def test_what_a_person_should_know_is_told(pull: Seen, found: OnBase | None, note: str) -> None:
    assert note in "\n".join(decide(SENT, base="trunk", pull=pull, found=found).notes)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([], ""),
        ([("carol", "COMMENTED")], ""),
        ([("carol", "APPROVED")], "approved"),
        ([("carol", "CHANGES_REQUESTED"), ("carol", "COMMENTED")], "changes-requested"),
        ([("carol", "CHANGES_REQUESTED"), ("carol", "APPROVED")], "approved"),
        ([("carol", "APPROVED"), ("dan", "CHANGES_REQUESTED")], "changes-requested"),
        ([("carol", "CHANGES_REQUESTED"), ("dan", "APPROVED")], "changes-requested"),
        ([("carol", "CHANGES_REQUESTED"), ("carol", "DISMISSED")], ""),
        ([("ann", "APPROVED")], ""),
        ([("carol", "PENDING")], ""),
    ],
)
def test_the_newest_verdict_of_each_reviewer_counts(said: list[tuple[str, str]], expected: str) -> None:
    reviews = [
        Review.model_validate(
            {
                "id": number,
                "state": state,
                "user": {"login": by},
                "html_url": "https://x",
                "submitted_at": datetime(2026, 1, number + 1, tzinfo=UTC),
            }
        )
        for number, (by, state) in enumerate(said)
    ]
    assert verdict(reviews, "ann") == expected
