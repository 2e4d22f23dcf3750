# SPDX-License-Identifier: Apache-2.0
"""GitHub over real HTTP: what is asked, what is asked again, and what is said when it refuses."""

import logging
import socket
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from scripted_api import Scripted, ScriptedApi, scripted_api

from bigtop_builder.errors import InputError, UpstreamError
from bigtop_builder.settings import Settings
from bigtop_builder.upstreaming import rest
from bigtop_builder.upstreaming.api import api_of
from bigtop_builder.upstreaming.github import GitHub
from bigtop_builder.upstreaming.refusal import NotFound, Unprocessable
from bigtop_builder.upstreaming.token import Token

SECRET = "ghp_0123456789abcdefSECRET"  # noqa: S105  # of nobody
TOKEN = Token(secret=SECRET, host="github.com", origin="the variable GH_TOKEN")
BIGTOP = "/repos/apache/bigtop"
HEAD = "alice:BIGTOP-1-x"
REPOSITORY = {
    "full_name": "apache/bigtop",
    "name": "bigtop",
    "owner": {"login": "apache"},
    "fork": False,
    "clone_url": "https://github.com/apache/bigtop.git",
    "default_branch": "master",
    "stars": 1,
}
FORK = {
    **REPOSITORY,
    "full_name": "alice/bigtop",
    "owner": {"login": "alice"},
    "fork": True,
    "parent": {"full_name": "someone/bigtop"},
    "source": {"full_name": "Apache/Bigtop"},
}
PULL = {
    "number": 7,
    "html_url": "https://github.com/apache/bigtop/pull/7",
    "state": "open",
    "title": "BIGTOP-1. X",
    "body": "It is so.",
    "head": {"label": HEAD, "ref": "BIGTOP-1-x", "sha": "a" * 40, "repo": None},
    "base": {
        "label": "apache:master",
        "ref": "master",
        "sha": "b" * 40,
        "repo": {"full_name": "apache/bigtop"},
    },
    "created_at": "2026-11-23T10:00:00Z",
    "updated_at": "2026-11-23T10:00:00Z",
    "closed_at": None,
    "merged_at": None,
    "user": None,
}
LIST = f"GET {BIGTOP}/pulls?head=alice%3ABIGTOP-1-x&state=open&base=master&per_page=100"


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were waited, without waiting."""
    told: list[float] = []
    monkeypatch.setattr(rest, "sleep", told.append)
    return told


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with scripted_api() as api:
        api.says(f"GET {BIGTOP}", Scripted(body=REPOSITORY))
        api.says("GET /user", Scripted(body={"login": "alice"}))
        yield api


@pytest.fixture
def settings(api: ScriptedApi, tmp_path: Path) -> Settings:
    return Settings(cache_dir=tmp_path / "cache", github_api={"github.com": f"{api.url}/"})


@pytest.fixture
def github(settings: Settings) -> Iterator[GitHub]:
    with GitHub("github.com", settings=settings, token=TOKEN) as github:
        yield github


def opened(github: GitHub) -> Any:
    return github.open_pull("apache/bigtop", head=HEAD, base="master", title="BIGTOP-1. X", body="It is so.")


def test_a_repository_is_read_with_the_token_and_the_version_of_the_api(
    api: ScriptedApi, github: GitHub
) -> None:
    assert github.repository("apache/bigtop").default_branch == "master"
    assert github.user().login == "alice"
    headers = api.asked[0].headers
    assert headers["authorization"] == f"Bearer {SECRET}"
    assert headers["accept"] == "application/vnd.github+json"
    assert headers["x-github-api-version"] == "2022-11-28"
    assert headers["user-agent"].startswith("bigtop-builder/")


def test_without_a_token_it_reads_and_does_not_write(api: ScriptedApi, settings: Settings) -> None:
    with GitHub("github.com", settings=settings) as nobody:
        assert nobody.repository("apache/bigtop").permissions is None
        assert "authorization" not in api.asked[0].headers
        with pytest.raises(UpstreamError, match=r"opening a pull request .* wants a token for github\.com"):
            opened(nobody)
    assert [one.method for one in api.asked] == ["GET"]


def test_a_renamed_repository_is_found_and_says_its_new_name(api: ScriptedApi, github: GitHub) -> None:
    api.says("GET /repos/apache/old", Scripted(status=301, headers={"Location": f"{api.url}{BIGTOP}"}))
    there = github.repository("apache/old")
    assert there.full_name == "apache/bigtop"
    assert (there.is_called("apache/old"), there.is_called("Apache/BigTop")) == (False, True)


def test_a_redirect_to_another_server_gets_no_token(api: ScriptedApi, github: GitHub) -> None:
    with scripted_api() as other:
        other.says("GET /stolen", Scripted(body=REPOSITORY))
        api.says(f"GET {BIGTOP}", Scripted(status=301, headers={"Location": f"{other.url}/stolen"}))
        github.repository("apache/bigtop")
        assert "authorization" not in other.asked[0].headers


def test_a_list_is_read_to_its_last_page(api: ScriptedApi, github: GitHub) -> None:
    first, second = f"{BIGTOP}/issues/7/events?per_page=100", f"{BIGTOP}/issues/7/events?page=2"
    one = {"event": "referenced", "commit_id": None, "created_at": "2026-11-23T10:00:00Z", "actor": None}
    link = f'<{api.url}{second}>; rel="next", <{api.url}{second}>; rel="last"'
    api.says(f"GET {first}", Scripted(body=[one], headers={"Link": link}))
    api.says(f"GET {second}", Scripted(body=[{**one, "event": "closed", "commit_id": "c" * 40}]))

    events = github.events("apache/bigtop", 7)

    assert [(event.event, event.commit_id) for event in events] == [
        ("referenced", None),
        ("closed", "c" * 40),
    ]


def test_a_next_page_at_another_server_is_not_asked_for(api: ScriptedApi, github: GitHub) -> None:
    link = '<https://elsewhere.example/x>; rel="next"'
    api.says(f"GET {BIGTOP}/pulls/7/reviews?per_page=100", Scripted(body=[], headers={"Link": link}))
    with pytest.raises(UpstreamError, match=r"continues its answer at another server: https://elsewhere"):
        github.reviews("apache/bigtop", 7)


def test_a_list_without_end_is_given_up(api: ScriptedApi, github: GitHub) -> None:
    path = f"{BIGTOP}/pulls/7/comments?per_page=100"
    api.says(f"GET {path}", Scripted(body=[], headers={"Link": f'<{api.url}{path}>; rel="next"'}))
    with pytest.raises(UpstreamError, match="more than 100 pages"):
        github.review_comments("apache/bigtop", 7)


def test_what_did_not_change_is_taken_from_the_cache(
    api: ScriptedApi, settings: Settings, github: GitHub
) -> None:
    api.says(f"GET {BIGTOP}", Scripted(body=REPOSITORY, headers={"ETag": 'W/"1"'}), Scripted(status=304))
    assert github.repository("apache/bigtop") == github.repository("apache/bigtop")
    assert api.asked[1].headers["if-none-match"] == 'W/"1"'

    with GitHub("github.com", settings=settings) as nobody:  # what one may see, another may not
        api.says(f"GET {BIGTOP}", Scripted(body=REPOSITORY))
        nobody.repository("apache/bigtop")
    assert "if-none-match" not in api.asked[2].headers


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"\xff", b'{"url": "x", "etag": "1", "next": "", "body": "{}"}']
)
def test_a_damaged_cache_is_asked_anew(
    api: ScriptedApi, settings: Settings, github: GitHub, damage: bytes
) -> None:
    api.says(f"GET {BIGTOP}", Scripted(body=REPOSITORY, headers={"ETag": '"1"'}))
    github.repository("apache/bigtop")
    (file,) = (settings.cache_dir / "github").iterdir()
    file.write_bytes(damage)
    assert github.repository("apache/bigtop").name == "bigtop"
    assert "if-none-match" not in api.asked[1].headers


@pytest.mark.parametrize(
    "fault", [Scripted(status=502), Scripted(status=500), Scripted(body=REPOSITORY, cut=20), Scripted(cut=-1)]
)
def test_a_read_is_asked_again_after_a_fault(
    api: ScriptedApi, github: GitHub, waited: list[float], fault: Scripted
) -> None:
    api.says(f"GET {BIGTOP}", fault, fault, Scripted(body=REPOSITORY))
    assert github.repository("apache/bigtop").name == "bigtop"
    assert waited == [1, 2]


def test_a_slow_answer_is_asked_for_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, waited: list[float]
) -> None:
    monkeypatch.setattr("bigtop_builder.upstreaming.api.TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        slow = settings.model_copy(update={"github_api": {"github.com": url}})
        with GitHub("github.com", settings=slow) as github, pytest.raises(UpstreamError) as caught:
            github.repository("apache/bigtop")
    assert "attempt 4: timed out" in caught.value.details
    assert waited == [1, 2, 4]


def test_a_server_that_is_not_there_is_named_with_each_attempt(settings: Settings) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        gone = settings.model_copy(update={"github_api": {"github.com": url}})
        with GitHub("github.com", settings=gone, token=TOKEN) as github:
            with pytest.raises(UpstreamError, match=f"{url}/user does not answer") as caught:
                github.user()
            with pytest.raises(UpstreamError, match=f"{url}/repos/apache/bigtop/pulls does not answer"):
                opened(github)
    assert caught.value.details.count("attempt") == 4
    assert "proxy" in caught.value.hint


def test_a_limit_that_ends_soon_is_waited_for_by_the_servers_clock(
    api: ScriptedApi, github: GitHub, waited: list[float]
) -> None:
    now = int(time.time()) - 5_000
    limit = {
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(now + 20),
        "Date": formatdate(now, usegmt=True),
    }
    api.says(f"GET {BIGTOP}", Scripted(status=403, headers=limit), Scripted(body=REPOSITORY))
    assert github.repository("apache/bigtop").name == "bigtop"
    assert waited == [21]


def test_a_limit_that_ends_late_is_told_with_its_end(
    api: ScriptedApi, github: GitHub, waited: list[float]
) -> None:
    reset = int(time.time()) + 1_800
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset), "X-RateLimit-Limit": "5000"}
    api.says(f"GET {BIGTOP}", Scripted(status=429, headers=headers))
    with pytest.raises(
        UpstreamError,
        match=r"takes no more requests until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC; its limit is 5000",
    ) as caught:
        github.repository("apache/bigtop")
    assert "github_wait allows 60" in caught.value.details
    assert waited == []


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (Scripted(status=403, headers={"Retry-After": "7"}), 7),
        (Scripted(status=429, headers={"Retry-After": "7"}), 7),
        (Scripted(status=403, body={"message": "You have exceeded a secondary rate limit."}), 60),
        (Scripted(status=429), 60),
    ],
)
def test_a_secondary_limit_is_waited_for_also_by_a_write(
    api: ScriptedApi, github: GitHub, waited: list[float], answer: Scripted, seconds: int
) -> None:
    api.says(f"POST {BIGTOP}/pulls", answer, Scripted(status=201, body=PULL))
    assert opened(github).number == 7
    assert waited == [seconds]
    assert [one.method for one in api.asked] == ["POST", "POST"]


def test_a_pull_request_is_opened_with_all_that_was_given(api: ScriptedApi, github: GitHub) -> None:
    api.says(f"POST {BIGTOP}/pulls", Scripted(status=201, body=PULL))
    pull = opened(github)
    assert (pull.number, pull.merged, pull.by) == (7, False, "ghost")
    assert api.asked[0].body == {
        "head": HEAD,
        "base": "master",
        "title": "BIGTOP-1. X",
        "body": "It is so.",
        "draft": False,
    }


@pytest.mark.parametrize(
    "fault", [Scripted(status=502), Scripted(status=201, body=PULL, cut=9), Scripted(cut=-1)]
)
def test_a_write_in_doubt_is_looked_for_before_it_is_sent_again(
    api: ScriptedApi, github: GitHub, fault: Scripted
) -> None:
    api.says(f"POST {BIGTOP}/pulls", fault)
    api.says(LIST, Scripted(body=[PULL]))
    assert opened(github).number == 7
    assert api.count(f"POST {BIGTOP}/pulls") == 1


def test_a_write_that_was_not_carried_out_is_sent_again(api: ScriptedApi, github: GitHub) -> None:
    api.says(f"POST {BIGTOP}/pulls", Scripted(status=502), Scripted(status=201, body=PULL))
    api.says(LIST, Scripted(body=[]))
    assert opened(github).number == 7
    assert api.count(LIST) == 1


def test_a_write_that_cannot_be_looked_for_is_told_as_unknown(api: ScriptedApi, github: GitHub) -> None:
    api.says(f"POST {BIGTOP}/pulls", Scripted(cut=-1))
    api.says(LIST, Scripted(status=503))
    with pytest.raises(UpstreamError, match=r"whether .*/pulls did what was asked is not known") as caught:
        opened(github)
    assert "503" in caught.value.details
    assert api.count(f"POST {BIGTOP}/pulls") == 1


def test_a_pull_request_that_is_there_is_taken(api: ScriptedApi, github: GitHub) -> None:
    exists = {
        "message": "Validation Failed",
        "errors": [{"message": f"A pull request already exists for {HEAD}."}],
    }
    api.says(f"POST {BIGTOP}/pulls", Scripted(status=422, body=exists))
    other = {**PULL, "number": 8, "head": {**PULL["head"], "ref": "other"}}  # type: ignore[dict-item]
    api.says(LIST, Scripted(body=[other, PULL]))
    assert opened(github).number == 7


def test_a_pull_request_that_cannot_be_is_refused_with_each_reason(api: ScriptedApi, github: GitHub) -> None:
    errors = [
        {"message": "No commits between master and alice:x"},
        {"resource": "PullRequest", "field": "head", "code": "invalid"},
        "so",
    ]
    api.says(
        f"POST {BIGTOP}/pulls", Scripted(status=422, body={"message": "Validation Failed", "errors": errors})
    )
    api.says(LIST, Scripted(body=[]))
    with pytest.raises(
        Unprocessable,
        match="refuses opening a pull request of alice:BIGTOP-1-x to apache/bigtop: Validation Failed",
    ) as caught:
        opened(github)
    assert caught.value.details == "No commits between master and alice:x\nPullRequest head invalid\nso"


def test_a_change_in_doubt_is_looked_at(api: ScriptedApi, github: GitHub) -> None:
    api.says(f"PATCH {BIGTOP}/pulls/7", Scripted(cut=-1), Scripted(body=PULL))
    api.says(f"GET {BIGTOP}/pulls/7", Scripted(body={**PULL, "title": "before"}))
    assert github.update_pull("apache/bigtop", 7, title="BIGTOP-1. X", body="It is so.").number == 7
    assert [one.method for one in api.asked] == ["PATCH", "GET", "PATCH"]
    api.says(f"PATCH {BIGTOP}/pulls/7", Scripted(cut=-1))
    api.says(f"GET {BIGTOP}/pulls/7", Scripted(body=PULL))
    github.update_pull("apache/bigtop", 7, title="BIGTOP-1. X", body="It is so.")
    assert [one.method for one in api.asked[3:]] == ["PATCH", "GET"]


def test_a_fork_is_made_or_found(api: ScriptedApi, github: GitHub) -> None:
    api.says(f"POST {BIGTOP}/forks", Scripted(status=202, body=FORK))
    assert github.fork("apache/bigtop").full_name == "alice/bigtop"
    assert github.find_fork("apache/bigtop", "alice") is None
    api.says("GET /repos/alice/bigtop", Scripted(body=FORK))
    api.says(f"POST {BIGTOP}/forks", Scripted(status=504))
    fork = github.fork("apache/bigtop")
    assert fork.is_fork_of("apache/bigtop")
    assert github.find_fork("apache/bigtop", "alice") == fork


def test_a_fork_that_is_none_is_told(api: ScriptedApi, github: GitHub) -> None:
    api.says("GET /repos/alice/bigtop", Scripted(body={**FORK, "fork": False}))
    with pytest.raises(UpstreamError, match="alice/bigtop is no fork of apache/bigtop"):
        github.find_fork("apache/bigtop", "alice")


def test_an_expired_token_is_named_by_where_it_came_from(api: ScriptedApi, github: GitHub) -> None:
    api.says("GET /user", Scripted(status=401, body={"message": "Bad credentials"}))
    with pytest.raises(
        UpstreamError, match="does not take the token from the variable GH_TOKEN: Bad credentials"
    ) as caught:
        github.user()
    assert "expired" in caught.value.hint
    assert api.count("GET /user") == 1


@pytest.mark.parametrize(
    ("headers", "hint", "scopes"),
    [
        ({"X-Accepted-GitHub-Permissions": "pull_requests=write"}, "permission pull_requests=write;", ""),
        (
            {"X-Accepted-GitHub-Permissions": "administration=write"},
            "as apache/..., no fine-grained token may do that: make a classic one with scope public_repo;",
            "",
        ),
        (
            {"X-Accepted-OAuth-Scopes": "public_repo, repo", "X-OAuth-Scopes": "gist"},
            "scope public_repo, repo;",
            " (scopes: gist)",
        ),
        ({"X-OAuth-Scopes": ""}, "another right;", " (scopes: none)"),
        (
            {"X-GitHub-SSO": "required; url=https://github.com/orgs/acme/sso?x=1"},
            "single sign-on: https://github.com/orgs/acme/sso?x=1",
            "",
        ),
        ({}, "docs/upstreaming.md", ""),
    ],
)
def test_a_missing_right_is_named(
    api: ScriptedApi, github: GitHub, headers: dict[str, str], hint: str, scopes: str
) -> None:
    body = {"message": "Resource not accessible by personal access token"}
    api.says(f"POST {BIGTOP}/pulls", Scripted(status=403, body=body, headers=headers))
    with pytest.raises(UpstreamError, match=r"refuses opening a pull request .* not accessible") as caught:
        opened(github)
    assert hint in caught.value.hint
    assert caught.value.details == f"it was asked with the token from the variable GH_TOKEN{scopes}"


def test_what_is_not_there_is_an_answer(github: GitHub) -> None:
    with pytest.raises(NotFound, match="refuses reading apache/bigtop#9: Not Found") as caught:
        github.pull("apache/bigtop", 9)
    assert caught.value.exit_code == 11
    assert github.find_repository("apache/none") is None


def test_a_commit_that_is_not_there_is_an_answer_too(api: ScriptedApi, github: GitHub) -> None:
    path = f"GET {BIGTOP}/commits/{'a' * 40}"
    api.says(path, Scripted(status=422, body={"message": "No commit found for SHA: aaa"}))
    with pytest.raises(NotFound, match="No commit found"):
        github.commit("apache/bigtop", "a" * 40)
    commit = {"sha": "a" * 40, "html_url": "https://x", "commit": {"message": "BIGTOP-1. X"}}
    api.says(path, Scripted(body=commit))
    assert github.commit("apache/bigtop", "a" * 40).commit.message == "BIGTOP-1. X"


def test_a_write_to_a_renamed_repository_is_refused_rather_than_followed(
    api: ScriptedApi, github: GitHub
) -> None:
    api.says(
        f"POST {BIGTOP}/pulls", Scripted(status=307, headers={"Location": f"{api.url}/repositories/1/pulls"})
    )
    with pytest.raises(UpstreamError, match="307") as caught:
        opened(github)
    assert "another name" in caught.value.hint
    assert len(api.asked) == 1


@pytest.mark.parametrize("body", [b"<html>Log in</html>", [], {"number": "seven"}, {**PULL, "state": "odd"}])
def test_an_answer_of_another_form_is_told(api: ScriptedApi, github: GitHub, body: object) -> None:
    api.says(f"GET {BIGTOP}/pulls/7", Scripted(body=body))
    with pytest.raises(
        UpstreamError, match="answers otherwise than its API describes to reading apache/bigtop#7"
    ):
        github.pull("apache/bigtop", 7)


@pytest.mark.parametrize(
    "name", ["bigtop", "apache/bigtop/x", "apache/..", "apache/big top", "apache/bigtop?x"]
)
def test_what_is_no_name_of_a_repository_is_not_asked_for(
    api: ScriptedApi, github: GitHub, name: str
) -> None:
    with pytest.raises(InputError, match="names no repository"):
        github.repository(name)
    assert api.asked == []


def test_offline_nothing_is_asked(settings: Settings) -> None:
    with pytest.raises(UpstreamError, match=r"offline nothing is asked of github\.com"):
        GitHub("github.com", settings=settings.model_copy(update={"offline": True}))


def test_a_token_is_for_one_host(settings: Settings) -> None:
    with pytest.raises(InputError, match=r"is for github\.com, not for git\.example"):
        GitHub("git.example", settings=settings, token=TOKEN)


def test_each_host_has_its_address() -> None:
    settings = Settings(github_api={"own.example": "https://own.example/github/api/"})
    assert api_of("github.com", settings) == "https://api.github.com"
    assert api_of("acme.ghe.com", settings) == "https://api.acme.ghe.com"
    assert api_of("git.example.org", settings) == "https://git.example.org/api/v3"
    assert api_of("own.example", settings) == "https://own.example/github/api"


@pytest.mark.parametrize(
    "address",
    ["http://git.example/api/v3", "ftp://git.example", "nothing", "https://u:p@h/x", "http://[::1/x"],
)
def test_an_address_to_which_no_token_may_go_is_refused(address: str) -> None:
    with pytest.raises(InputError, match=r"is plain http|is no address"):
        api_of("git.example", Settings(github_api={"git.example": address}))


def test_nothing_shows_the_token(
    api: ScriptedApi, settings: Settings, github: GitHub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpcore").setLevel(logging.DEBUG)
    said = {"message": f"Bad credentials {SECRET}", "errors": [f"token {SECRET}"]}
    answers = [Scripted(status=status, body=said) for status in (401, 403, 404, 422, 418, 502)]
    texts = [repr(github), repr(github.__dict__), repr(github._api.__dict__)]
    echo = {**REPOSITORY, "default_branch": SECRET}
    api.says(f"GET {BIGTOP}", Scripted(body=echo, headers={"ETag": '"1"'}))
    texts.append(repr(github.repository("apache/bigtop")))
    answers.append(Scripted(body={"login": [SECRET]}))
    for answer in answers:
        api.says("GET /user", answer)
        with pytest.raises(UpstreamError) as caught:
            github.user()
        texts += [str(caught.value), repr(caught.value), repr(caught.value.__dict__)]
    kept = list((settings.cache_dir / "github").iterdir())
    assert kept
    texts += [str(file) + file.read_text() for file in kept]
    assert "httpcore" in {record.name.partition(".")[0] for record in caplog.records}
    assert [text for text in (*texts, caplog.text) if SECRET in text] == []
    assert (settings.cache_dir / "github").stat().st_mode & 0o077 == 0
