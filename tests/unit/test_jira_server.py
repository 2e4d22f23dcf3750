# SPDX-License-Identifier: Apache-2.0
"""The tests' Jira answers as Jira does."""

from collections.abc import Iterator

import httpx
import pytest

from github.faults import cut, error
from github.jira import Jira, serving_jira


@pytest.fixture
def jira() -> Iterator[Jira]:
    with serving_jira() as site:
        site.issue("SPARK-1", status="Resolved", fix_versions=["4.1.0", "4.0.2"], resolution="Fixed")
        yield site


def ask(jira: Jira, key: str, query: str = "") -> httpx.Response:
    return httpx.get(f"{jira.url}/rest/api/2/issue/{key}{query}", timeout=5)


def test_an_issue_has_the_fields_that_were_asked_for(jira: Jira) -> None:
    said = ask(jira, "SPARK-1", "?fields=status,fixVersions,resolution").json()
    assert said["key"] == "SPARK-1"
    assert set(said["fields"]) == {"status", "fixVersions", "resolution"}
    assert said["fields"]["status"]["name"] == "Resolved"
    assert [version["name"] for version in said["fields"]["fixVersions"]] == ["4.1.0", "4.0.2"]
    assert said["fields"]["resolution"]["name"] == "Fixed"
    assert "summary" in ask(jira, "SPARK-1").json()["fields"]


def test_an_open_issue_has_no_resolution(jira: Jira) -> None:
    jira.issue("SPARK-2")
    assert ask(jira, "SPARK-2").json()["fields"]["resolution"] is None


def test_an_issue_that_moved_has_its_new_key(jira: Jira) -> None:
    jira.moved["HADOOP-1"] = "SPARK-1"
    assert ask(jira, "HADOOP-1").json()["key"] == "SPARK-1"


def test_an_issue_that_is_not_there(jira: Jira) -> None:
    answer = ask(jira, "SPARK-9")
    assert (answer.status_code, answer.json()["errorMessages"]) == (404, ["Issue Does Not Exist"])


@pytest.mark.parametrize("status", [401, 403])
def test_who_is_not_logged_in_may_be_refused(jira: Jira, status: int) -> None:
    jira.anonymous = status
    answer = ask(jira, "SPARK-1")
    assert (answer.status_code, answer.json()["errorMessages"][-1]) == (status, "Login Required")


def test_faults(jira: Jira) -> None:
    jira.fail("SPARK-1", error(503, html=True), cut(10))
    page = ask(jira, "SPARK-1")
    assert (page.status_code, page.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    with pytest.raises(httpx.RemoteProtocolError):
        ask(jira, "SPARK-1")
    assert ask(jira, "SPARK-1").status_code == 200
    assert len(jira.asked) == 3


@pytest.mark.parametrize("path", ["SPARK-1/comment", "SPARK-1?field=status", "spark"])
def test_what_is_no_operation_of_its_fails_the_test(path: str) -> None:
    with pytest.raises(AssertionError, match="nothing that this Jira answers"), serving_jira() as site:
        ask(site, path)
