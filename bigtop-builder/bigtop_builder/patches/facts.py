# SPDX-License-Identifier: Apache-2.0
"""`patch.toml`: what it says of a patch, one for a new patch, and a changed fact in one, its comments kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import tomlkit
from pydantic import Field

from bigtop_builder.patches.title import ticket_in, without_ticket
from bigtop_builder.schema import Value

TREE = "bigtop"
"""The target of patches to Bigtop itself; any other target is a component."""
UpstreamState = Literal["local-only", "to-forward", "ticket", "pr-open", "merged", "closed"]
WANTED_UPSTREAM: Final = frozenset({"tested", "user_facing"})
"""Facts that upstream's forms alone ask for: `upstream prepare` names the one that is missing."""


class Upstream(Value):
    """Where a patch stands upstream."""

    state: UpstreamState
    why: str = Field("", description="Reason, needed for `local-only` and `closed`")
    commit: str = Field("", description="Upstream commit, for `merged`")
    url: str = Field("", description="Pull request, or where else it was sent")
    branch: str = Field("", description="Head of the pull request, as in `owner:branch`")
    head: str = Field("", description="Commit that was pushed there last")
    base: str = Field("", description="Upstream branch that it is to go into")
    opened: str = Field("", description="When the pull request was opened, RFC 3339")
    review: Literal["", "changes-requested", "approved"] = Field(
        "", description="What the reviews of an open pull request come to"
    )
    since: str = Field("", description="First tag that has the commit, for `merged`")


class PatchFacts(Value):
    """`patch.toml`: what the diff itself does not say."""

    kind: Literal["tree", "component"] = Field(
        description="`tree`: to Bigtop itself; `component`: to a source"
    )
    title: str
    why: str = Field(description="Why the fleet needs it")
    ticket: str = Field("", description="Ticket id, as in `BIGTOP-4032`")
    drop_when: str = Field("", alias="drop-when", description="When it can go")
    releases: tuple[str, ...] = Field((), description="Recipes it is meant for")
    upstream: Upstream
    tested: str = Field("", description="How it was tested, as upstream's forms ask")
    user_facing: str = Field("", description="What users see change, or `No`, as upstream's forms ask")
    ai_disclosure: str = Field("", description="Whether generative AI was used, as upstream's forms ask")


@dataclass(frozen=True, kw_only=True)
class Given:
    """Facts that the user gave with the command; what is empty is taken from the mail, or left for lint to miss.

    Attributes:
        title: One line, without the ticket.
        why: Why the fleet needs it.
        ticket: Ticket id.
        drop_when: When it can go.
        state: State upstream.
        state_why: Its reason.
        tested: How it was tested.
        user_facing: What users see change.
        ai: Disclosure of generative AI.
        commit: Upstream commit, for `merged`.
        url: Where it was sent.
    """

    title: str = ""
    why: str = ""
    ticket: str = ""
    drop_when: str = ""
    state: str = ""
    state_why: str = ""
    tested: str = ""
    user_facing: str = ""
    ai: str = ""
    commit: str = ""
    url: str = ""


def new_facts(
    target: str, subject: str, *, given: Given, releases: tuple[str, ...], ticket: str = ""
) -> PatchFacts:
    """The facts of a new patch, from what the user gave and the subject of its mail.

    Args:
        target: `bigtop` or a component.
        subject: Of the mail, with its ticket.
        given: What the user said; it counts first.
        releases: Recipes it is meant for.
        ticket: What the mail's own trailers name, if the user named none.
    """
    return PatchFacts.model_validate(
        {
            "kind": "tree" if target == TREE else "component",
            "title": given.title or without_ticket(subject) or subject,
            "why": given.why,
            "ticket": given.ticket or ticket or ticket_in(subject),
            "drop-when": given.drop_when,
            "releases": releases,
            "tested": given.tested,
            "user_facing": given.user_facing,
            "ai_disclosure": given.ai,
            "upstream": {
                "state": given.state or "to-forward",
                "why": given.state_why,
                "commit": given.commit,
                "url": given.url,
            },
        }
    )


def facts_text(facts: PatchFacts) -> str:
    """The text of a new `patch.toml`: all keys that a maintainer is asked for, and those of the rest that are set."""
    values = facts.model_dump(mode="json", by_alias=True)
    upstream = {key: value for key, value in values.pop("upstream").items() if value or key == "state"}
    document = tomlkit.document()
    for key, value in values.items():
        if value or key not in WANTED_UPSTREAM:
            document[key] = value
    document["upstream"] = upstream
    return tomlkit.dumps(document)


def with_facts(text: str, changes: Mapping[str, Any]) -> str:
    """The text of a `patch.toml` in which these keys have these values; the same text if they have them.

    Args:
        text: The text; its comments and layout stay.
        changes: Key -> value; for a table such as `upstream` those of its keys that change.
    """
    document = tomlkit.parse(text)
    _change(document, changes)
    return tomlkit.dumps(document)


def _change(table: Any, changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, Mapping):
            _change(table[key], value)
        elif table.get(key) != value:
            table[key] = value
