# SPDX-License-Identifier: Apache-2.0
"""What a patch's facts are in the fields of DEP-3, and what those of another's patch say of its facts.

The fields are those of https://dep-team.pages.debian.net/deps/dep3/, as trailers of the mail.
"""

import re
from dataclasses import replace
from typing import Final

from bigtop_builder.patches.facts import Given, PatchFacts
from bigtop_builder.patches.mail import DEP3, NO_DATE, Mail

TICKET: Final = re.compile(r"[A-Z][A-Z0-9]*-\d+")
JIRA: Final = "https://issues.apache.org/jira/browse/"
COMMIT: Final = re.compile(r"\b[0-9a-f]{40}\b")


def trailers_of(facts: PatchFacts, mail: Mail) -> tuple[tuple[str, str], ...]:
    """The trailers that a patch has to have: what `patch.toml` says in the words of DEP-3, then the mail's others.

    Where the facts say nothing of a field, the mail's own value stays.
    """
    upstream = facts.upstream
    commit = f"commit:{upstream.commit}" if upstream.commit else ""
    forwarded = {"local-only": "not-needed", "to-forward": "no", "ticket": upstream.url or "no"}
    date = "" if mail.date == NO_DATE else f"{mail.date:%Y-%m-%d}"
    known = {
        "Bug": f"{JIRA}{facts.ticket}" if TICKET.fullmatch(facts.ticket) else facts.ticket,
        "Origin": f"upstream, {commit}" if commit else "",
        "Forwarded": forwarded.get(upstream.state) or upstream.url or "yes",
        "Applied-Upstream": commit if upstream.state == "merged" else "",
        "Last-Update": mail.trailer("Last-Update") or date,
    }
    own = tuple((key, known[key] or mail.trailer(key)) for key in DEP3)
    seen: set[str] = set()
    others = []
    for key, value in mail.trailers:
        if key.lower() not in map(str.lower, DEP3) or (key.lower() == "bug" and "bug" in seen):
            others.append((key, value))
        seen.add(key.lower())
    return (*(pair for pair in own if pair[1]), *others)


def ticket_of(mail: Mail) -> str:
    """The ticket that the field `Bug` names; the field as it is if that is none of Jira's."""
    bug = mail.trailer("Bug")
    return last if TICKET.fullmatch(last := bug.rpartition("/")[2]) else bug


def with_trailers(given: Given, mail: Mail) -> Given:
    """What the user gave; of the state upstream, where they said nothing, what a mail's fields say."""
    applied, origin, sent = map(mail.trailer, ("Applied-Upstream", "Origin", "Forwarded"))
    taken = origin if origin.startswith(("upstream", "backport")) else ""
    commit = COMMIT.search(applied) or COMMIT.search(taken)
    if given.state:
        return given
    if applied or commit:
        return replace(given, state="merged", commit=commit[0] if commit else "")
    if sent.startswith("http"):
        return replace(given, state="pr-open" if "/pull/" in sent else "ticket", url=sent)
    if sent == "not-needed":
        return replace(
            given, state="local-only", state_why=given.state_why or "its header says Forwarded: not-needed"
        )
    return given
