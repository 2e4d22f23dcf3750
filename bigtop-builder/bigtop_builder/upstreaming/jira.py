# SPDX-License-Identifier: Apache-2.0
"""What a ticket says, read from Jira without a login (Jira Server's REST API, version 2). Nothing is written there.

A ticket is a link first: where it cannot be read, that is told, and nothing fails.
"""

import logging
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import httpx
from pydantic import Field, ValidationError

from bigtop_builder.download import shown
from bigtop_builder.errors import UpstreamError
from bigtop_builder.http import open_client
from bigtop_builder.settings import Settings
from bigtop_builder.upstreaming.answers import Answer
from bigtop_builder.upstreaming.rest import Rest

log = logging.getLogger(__name__)

FIELDS: Final = "status,resolution,fixVersions,summary"
TIMEOUT: Final = 15
"""Seconds between two pieces of an answer."""
HIDDEN: Final = frozenset({httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN})


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """A ticket, or why nothing is known of it.

    Attributes:
        key: Its id, as in `BIGTOP-4032`; another than was asked for if it was moved.
        summary: Its title.
        status: As its tracker calls it: `Open`, `Patch Available`, `Resolved` and others.
        resolution: `Fixed`, `Won't Fix` and others; empty if it has none.
        fix_versions: Names of the releases that it is, or is to be, mended in.
        exists: False if the tracker says that there is no such ticket; None if it does not say.
        unread: Why the rest is empty; empty if the ticket was read.
    """

    key: str
    summary: str = ""
    status: str = ""
    resolution: str = ""
    fix_versions: tuple[str, ...] = ()
    exists: bool | None = None
    unread: str = ""


class _Named(Answer):
    name: str


class _Fields(Answer):
    summary: str = ""
    status: _Named | None = None
    resolution: _Named | None = None
    fix_versions: tuple[_Named, ...] = Field((), alias="fixVersions")


class _Issue(Answer):
    key: str
    fields: _Fields


def read_ticket(key: str, *, jira: str, settings: Settings) -> Ticket:
    """Read a ticket.

    Args:
        key: Its id.
        jira: Address of the Jira, as in `https://issues.apache.org/jira`.
        settings: For the proxy, and whether anything may be asked.
    """
    ticket = (
        _unread(key, "not read: offline") if settings.offline else _asked(key, jira.rstrip("/"), settings)
    )
    if ticket.unread:
        log.info("%s: %s", key, ticket.unread)
    return ticket


class Tickets:
    """Reads tickets, each once. A Jira that does not answer is asked no more.

    Args:
        settings: As in `read_ticket`.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._read: dict[tuple[str, str], Ticket] = {}
        self._silent: dict[str, Ticket] = {}

    def read(self, key: str, jira: str) -> Ticket:
        """A ticket, or why nothing is known of it.

        Args:
            key: Its id.
            jira: Address of the Jira.
        """
        if (key, jira) not in self._read:
            self._read[key, jira] = self._asked(key, jira)
        return self._read[key, jira]

    def _asked(self, key: str, jira: str) -> Ticket:
        if first := self._silent.get(jira):
            return _unread(key, f"not asked, after {first.key}: {first.unread}")
        ticket = read_ticket(key, jira=jira, settings=self._settings)
        if ticket.exists is None:
            self._silent[jira] = ticket
        return ticket


def _asked(key: str, jira: str, settings: Settings) -> Ticket:
    url = f"{jira}/rest/api/2/issue/{quote(key, safe='')}?fields={FIELDS}"
    with open_client(settings, timeout=TIMEOUT) as client:
        try:
            answer = Rest(client=client, patience=0).read(url, {"Accept": "application/json"})
        except UpstreamError as error:
            return _unread(key, error.brief)
    if answer.status_code == httpx.codes.NOT_FOUND:
        return Ticket(key=key, exists=False, unread=f"{shown(jira)} has no ticket {key}")
    if answer.status_code in HIDDEN:
        return _unread(key, "not readable anonymously")
    try:
        return _ticket(_Issue.model_validate_json(answer.text))
    except ValidationError:  # as a page to log in at is none
        return _unread(
            key, f"not readable anonymously: {shown(jira)} answers {answer.status_code} and no ticket"
        )


def _ticket(issue: _Issue) -> Ticket:
    fields = issue.fields
    return Ticket(
        key=issue.key,
        summary=fields.summary,
        status=fields.status.name if fields.status else "",
        resolution=fields.resolution.name if fields.resolution else "",
        fix_versions=tuple(version.name for version in fields.fix_versions),
        exists=True,
    )


def _unread(key: str, why: str) -> Ticket:
    return Ticket(key=key, unread=why)
