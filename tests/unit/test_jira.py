# SPDX-License-Identifier: Apache-2.0
"""Tickets read without a login; where that is refused, it is told and nothing fails."""

from collections.abc import Iterator

import pytest
from scripted_api import Scripted, ScriptedApi, scripted_api

from bigtop_builder.settings import Settings
from bigtop_builder.upstreaming import rest
from bigtop_builder.upstreaming.jira import Ticket, read_ticket

PATH = "GET /jira/rest/api/2/issue/BIGTOP-1?fields=status,resolution,fixVersions,summary"
ISSUE = {
    "key": "BIGTOP-1",
    "fields": {
        "summary": "It fails",
        "status": {"name": "Resolved", "id": "5"},
        "resolution": {"name": "Fixed"},
        "fixVersions": [{"name": "3.5.0", "released": True}, {"name": "3.6.0", "released": False}],
    },
}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedApi]:
    monkeypatch.setattr(rest, "BACKOFF", 0.001)
    with scripted_api() as api:
        yield api


def read(api: ScriptedApi, *answers: Scripted, **settings: bool) -> Ticket:
    api.says(PATH, *answers)
    return read_ticket("BIGTOP-1", jira=f"{api.url}/jira/", settings=Settings(**settings))


def test_a_ticket_says_its_status_and_the_releases_that_have_it(api: ScriptedApi) -> None:
    assert read(api, Scripted(status=503), Scripted(body=ISSUE)) == Ticket(
        key="BIGTOP-1",
        summary="It fails",
        status="Resolved",
        resolution="Fixed",
        fix_versions=("3.5.0", "3.6.0"),
        exists=True,
    )
    assert "authorization" not in api.asked[-1].headers


def test_an_open_ticket_has_no_resolution_and_maybe_no_release(api: ScriptedApi) -> None:
    fields = {"summary": "x", "status": {"name": "Patch Available"}, "resolution": None, "fixVersions": []}
    ticket = read(api, Scripted(body={"key": "BIGTOP-1", "fields": fields}))
    assert (ticket.status, ticket.resolution, ticket.fix_versions) == ("Patch Available", "", ())


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Scripted(status=401), "not readable anonymously"),
        (Scripted(status=403), "not readable anonymously"),
        (Scripted(body=b"<html>Log in</html>"), "not readable anonymously"),
        (Scripted(body={"key": "BIGTOP-1"}), "not readable anonymously"),
        (Scripted(status=429), "takes no more requests until"),
        (Scripted(status=500), "does not answer"),
        (Scripted(cut=-1), "does not answer"),
    ],
)
def test_what_cannot_be_read_is_told_and_fails_nothing(api: ScriptedApi, answer: Scripted, told: str) -> None:
    ticket = read(api, answer)
    assert told in ticket.unread
    assert (ticket.status, ticket.exists) == ("", None)


def test_a_ticket_that_is_not_there_is_told_from_one_that_is_hidden(api: ScriptedApi) -> None:
    ticket = read(api, Scripted(status=404, body={"errorMessages": ["Issue Does Not Exist"]}))
    assert (ticket.exists, ticket.unread) == (False, f"{api.url}/jira has no ticket BIGTOP-1")


def test_offline_nothing_is_asked(api: ScriptedApi) -> None:
    assert read(api, Scripted(body=ISSUE), offline=True).unread == "not read: offline"
    assert api.asked == []
