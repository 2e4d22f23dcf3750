# SPDX-License-Identifier: Apache-2.0
"""What a patch's `[upstream]` is to say, from what was seen of its pull request and on its base branch.

Only what is proved changes it. Merged is what has a commit on the base branch that was not taken back: a pull
request that says so is not enough, and one that is closed may have landed. What cannot be read leaves all as it is.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from bigtop_builder.patches.facts import Upstream
from bigtop_builder.upstream.tags import CANDIDATE
from bigtop_builder.upstreaming.answers import Review

OURS: Final = re.compile(r"(?:closed by \S+|reverted by [0-9a-f]{12})(?:[:;].*)?", re.DOTALL)
"""A reason that this module wrote. What a person wrote is kept."""
SHORT: Final = 12
"""Digits of a commit's id, for people."""
VERDICTS: Final = frozenset({"APPROVED", "CHANGES_REQUESTED", "DISMISSED"})
TO_SEND: Final = frozenset({"to-forward", "ticket"})
"""States that a person gives a patch that is to be sent, be it again: an old pull request does not take them back."""
Verdict = Literal["", "changes-requested", "approved"]


@dataclass(frozen=True, kw_only=True)
class OnBase:
    """What a base branch says of a patch.

    Attributes:
        commit: The commit that brings it, or brought it; empty if none does.
        by: How that is known.
        since: First release tag with it; empty if none has it yet.
        reverted_by: The commit that took it back for good; empty if none did.
        remark: What else is known, and proves nothing.
    """

    commit: str = ""
    by: str = ""
    since: str = ""
    reverted_by: str = ""
    remark: str = ""

    @property
    def stands(self) -> bool:
        """Whether the base branch has the patch."""
        return bool(self.commit) and not self.reverted_by


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A pull request as it was found.

    Attributes:
        state: `merged` if a button merged it.
        url: Its address today; it changes when the repository is renamed.
        base: Branch that it is to.
        head: Commit that it proposes.
        opened: When it was opened, RFC 3339.
        draft: Whether it is one.
        review: What its reviews come to.
        conflicts: Whether it does not merge with its base.
        orphaned: Whether the fork is gone.
        merge_commit: What the button made.
        closed_by: Who closed it.
        words: The last that who closed it said there, in one line.
        closing: What a commit that closed it says of itself, where that is not proved to be the patch.
    """

    state: Literal["open", "closed", "merged"]
    url: str
    base: str
    head: str
    opened: str
    draft: bool = False
    review: Verdict = ""
    conflicts: bool = False
    orphaned: bool = False
    merge_commit: str = ""
    closed_by: str = ""
    words: str = ""
    closing: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What follows.

    Attributes:
        changes: Keys of `[upstream]` and their new values, of those that change.
        notes: What a person should know, one line each.
    """

    changes: Mapping[str, str]
    notes: tuple[str, ...] = ()


def decide(
    was: Upstream,
    *,
    base: str,
    pull: Seen | None,
    found: OnBase | None,
    ticket: str = "",
    unread: bool = False,
) -> Outcome:
    """What `[upstream]` is to say.

    Args:
        was: What it says.
        base: Branch that the patch is to go into.
        pull: Its pull request; None if there is none, or it could not be read.
        found: What the base branch has of it; None if that could not be read.
        ticket: The patch's ticket.
        unread: Whether it has a pull request that could not be read.
    """
    wanted, notes = _decided(was, base, pull, found)
    if "state" not in wanted and found and found.reverted_by and was.state == "merged" and not unread:
        wanted = {"state": "ticket" if ticket else "to-forward", "commit": "", "since": ""} | _reason(
            was, _back(found)
        )
    if pull:
        wanted = {"url": pull.url, "opened": was.opened or pull.opened, **wanted}
    changes = {key: value for key, value in wanted.items() if value != getattr(was, key)}
    return Outcome(changes=changes, notes=tuple(notes))


def verdict(reviews: Iterable[Review], author: str) -> Verdict:
    """What reviews come to: the newest verdict of each reviewer counts, and a remark is none.

    Args:
        reviews: The oldest first.
        author: Login of the pull request's author, whose own reviews do not count.
    """
    newest = {one.by: one.state for one in reviews if one.state in VERDICTS and one.by != author}
    if "CHANGES_REQUESTED" in newest.values():
        return "changes-requested"
    return "approved" if "APPROVED" in newest.values() else ""


def _decided(
    was: Upstream, base: str, pull: Seen | None, found: OnBase | None
) -> tuple[dict[str, str], list[str]]:
    if found and found.stands:
        still = ["its pull request is still open: close it"] if pull and pull.state == "open" else []
        return _merged(was, found), [*still, *_remarks(found)]
    if found and found.reverted_by:
        return _reverted(was, pull, found)
    remarks = _remarks(found)
    if was.state == "merged":
        gone = f"{was.commit[:SHORT] or 'it'} is not found on {base}: see whether it is merged"
        return {}, [*([gone] if found else []), *remarks]
    wanted, told = _of_pull(was, base, pull, found) if pull else ({}, [])
    return wanted, [*told, *remarks]


def _of_pull(was: Upstream, base: str, pull: Seen, found: OnBase | None) -> tuple[dict[str, str], list[str]]:
    """What a pull request says of a patch that its base branch does not have, as far as that could be read."""
    if pull.state == "open":
        return _open(was, pull), _asked(was, pull, base)
    if found is None:
        return {}, [f"it is {pull.state}; whether {base} has it is not known"]
    if pull.state == "merged":
        return {}, [_elsewhere(pull, base)]
    if was.state in TO_SEND:
        return {}, [f"its pull request was closed by {pull.closed_by}"]
    return _closed(was, pull), []


def _merged(was: Upstream, found: OnBase) -> dict[str, str]:
    known = was.since if was.commit == found.commit and not CANDIDATE.search(was.since) else ""
    since = found.since or known
    wanted = {"state": "merged", "commit": found.commit, "since": since, "review": ""}
    return wanted | ({"why": ""} if OURS.fullmatch(was.why) else {})


def _reverted(was: Upstream, pull: Seen | None, found: OnBase) -> tuple[dict[str, str], list[str]]:
    """Its commit was taken back: it is as open or closed as its pull request."""
    said = [f"{found.commit[:SHORT]} brought it, and {found.reverted_by[:SHORT]} took it back"]
    if pull is None or (pull.state != "open" and was.state in TO_SEND):
        return {}, said
    state = "pr-open" if pull.state == "open" else "closed"
    wanted = {"state": state, "commit": "", "since": "", "review": pull.review}
    kept = state == was.state == "closed" and was.why
    return (wanted if kept else wanted | _reason(was, _back(found))), said


def _back(found: OnBase) -> str:
    return f"reverted by {found.reverted_by[:SHORT]}"


def _open(was: Upstream, pull: Seen) -> dict[str, str]:
    wanted = {"state": "pr-open", "review": pull.review, "base": was.base or pull.base}
    return wanted | ({"why": ""} if OURS.fullmatch(was.why) else {})


def _asked(was: Upstream, pull: Seen, base: str) -> list[str]:
    """What an open pull request wants to be known."""
    told = {
        "changes are requested": pull.review == "changes-requested",
        f"it conflicts with {pull.base}": pull.conflicts,
        "it is a draft": pull.draft,
        "the fork is gone: nothing can be pushed to it any more": pull.orphaned,
        f"somebody else pushed {pull.head[:SHORT]} to it": bool(was.head) and pull.head != was.head,
        f"it is to {pull.base}, not to {base}": pull.base != base,
    }
    return [text for text, holds in told.items() if holds]


def _elsewhere(pull: Seen, base: str) -> str:
    commit = pull.merge_commit[:SHORT]
    if pull.base != base:
        return f"it was merged into {pull.base} by {commit}, and {base} does not have it"
    return f"it was merged by {commit}, which {base} does not have: fetch the clone, or see what became of it"


def _closed(was: Upstream, pull: Seen) -> dict[str, str]:
    wanted = {"state": "closed", "review": ""}
    if was.state == "closed" and was.why:
        return wanted
    words = pull.closing or pull.words
    return wanted | _reason(was, f"closed by {pull.closed_by}{f': {words}' if words else ''}")


def _reason(was: Upstream, why: str) -> dict[str, str]:
    return {"why": why} if not was.why or OURS.fullmatch(was.why) else {}


def _remarks(found: OnBase | None) -> list[str]:
    return [found.remark] if found and found.remark else []
