# SPDX-License-Identifier: Apache-2.0
"""The tests' GitHub: held to GitHub's description, and as GitHub does it where the description says nothing."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from bigtop_builder.run import Completed, run
from github import GitHub, openapi, serving
from github.faults import cut, error, lost, refusal, secondary_limit, slow
from github.operations import HANDLERS, Reply
from github.people import Person
from github.repositories import ALONE

pytestmark = pytest.mark.network

HADOOP = "/repos/apache/hadoop"
PULLS = f"{HADOOP}/pulls"
ANONYMOUS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
CLIENT = httpx.Client(timeout=5)


@dataclass
class Ann:
    """Somebody with a fork, a token, and an HTTP client."""

    site: GitHub
    token: str
    version: str = "2022-11-28"

    def ask(self, method: str, url: str, body: Any = None, **headers: str) -> httpx.Response:
        mine = {"X-GitHub-Api-Version": self.version, "Authorization": f"Bearer {self.token}"}
        named = ANONYMOUS | mine | {name.replace("_", "-"): value for name, value in headers.items()}
        if not self.token:
            named.pop("Authorization")
        url = url if "://" in url else self.site.api + url
        content = None if body is None else json.dumps(body)
        return CLIENT.request(method, url, content=content, headers=named)

    def get(self, url: str, **headers: str) -> Any:
        answer = self.ask("GET", url, **headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def pull(self, number: int = 1) -> Any:
        return self.get(f"{PULLS}/{number}")

    def propose(self, head: str = "ann:topic", **more: Any) -> httpx.Response:
        said = {"title": "HADOOP-1. Mend it", "body": "It was broken.", "head": head, "base": "trunk"}
        return self.ask("POST", PULLS, said | more)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[GitHub]:
    with serving(tmp_path / "github") as site:
        site.create("apache/hadoop", branch="trunk")
        yield site


@pytest.fixture
def ann(site: GitHub) -> Ann:
    return Ann(site, site.token("ann"))


@pytest.fixture
def carol(site: GitHub) -> Person:
    """Who may push to Hadoop."""
    return site.person("carol", "apache/hadoop")


@pytest.fixture
def topic(site: GitHub, ann: Ann) -> Person:
    """Ann at her fork, with one commit on a branch."""
    ann.ask("POST", f"{HADOOP}/forks", {})
    there = site.person("ann", "ann/hadoop")
    there.commit("topic", {"fix": "one\n"}, "HADOOP-1. Mend it\n\nWords about it.\n")
    return there


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., Completed]:
    def call(*words: str | Path, token: str = "", check: bool = True, **more: str) -> Completed:
        secret = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        header = {"GIT_CONFIG_VALUE_0": f"Authorization: Basic {secret}"} if token else {}
        count = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.extraHeader"} if token else {}
        env = {**ALONE, "GIT_TERMINAL_PROMPT": "0", **count, **header, **more}
        who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
        return run(["git", *who, *words], cwd=tmp_path, env=env, check=check)

    return call


def ask_anew(folder: Path, method: str, path: str, body: Any = None, **headers: str) -> None:
    """Ask a site that is there for this one request."""
    with serving(folder / "hub") as site:
        site.create("apache/hadoop", branch="trunk")
        Ann(site, site.token("ann")).ask(method, path, body, **headers)


class TestDescription:
    """What does not fit fails the test, with the reason."""

    @pytest.mark.parametrize(
        ("method", "path", "body", "why"),
        [
            ("GET", "/repos/apache/hadoop/pull", None, "is no operation of GitHub's"),
            ("GET", "/repos/apache/hadoop/branches", None, "and not of this server's"),
            ("GET", "/repos/apache/hadoop/pulls?page_size=5", None, "has no page_size in its query"),
            ("GET", "/repos/apache/hadoop/pulls?state=merged", None, "state in the query .* is not one of"),
            ("GET", "/repos/apache/hadoop/pulls?per_page=many", None, "is not of type 'integer'"),
            ("GET", "/repos/apache/hadoop/pulls/one", None, "is not of type 'integer'"),
            ("POST", "/repos/apache/hadoop/pulls", None, "needs a body"),
            ("POST", "/repos/apache/hadoop/pulls", {"head": "ann:topic"}, "'base' is a required property"),
            ("POST", "/repos/apache/hadoop/pulls", {"head": 1, "base": "b"}, "1 is not of type 'string'"),
            (
                "POST",
                "/repos/apache/hadoop/pulls",
                {"head": "h", "base": "b", "name": "n"},
                "'name' was unexpected",
            ),
            ("GET", "/repos/apache/hadoop", {"a": 1}, "takes no body"),
        ],
    )
    def test_a_wrong_request_fails_the_test(
        self, tmp_path: Path, method: str, path: str, body: Any, why: str
    ) -> None:
        with pytest.raises(AssertionError, match=why):
            ask_anew(tmp_path, method, path, body)

    @pytest.mark.parametrize(
        ("headers", "why"),
        [
            ({"Accept": "application/json"}, "Accept is application/json"),
            ({"X_GitHub_Api_Version": "2020-01-01"}, "X-GitHub-Api-Version is 2020-01-01"),
            ({"User_Agent": ""}, "no User-Agent"),
        ],
    )
    def test_wrong_headers_fail_the_test(self, tmp_path: Path, headers: dict[str, str], why: str) -> None:
        with pytest.raises(AssertionError, match=why):
            ask_anew(tmp_path, "GET", HADOOP, **headers)

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"fork": None}, "None is not of type 'boolean'"),
            ({"owner": "apache"}, "'apache' is not of type 'object'"),
            ({"created_at": "yesterday"}, "'yesterday' is not a 'date-time'"),
            ({"html_url": "apache/hadoop"}, "'apache/hadoop' is not a 'uri'"),
            ({"ownr": "apache"}, "'ownr' was unexpected"),
        ],
    )
    def test_a_wrong_answer_fails_the_test(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, why: str
    ) -> None:
        operation = ("GET", "/repos/{owner}/{repo}")
        right = HANDLERS[operation]
        monkeypatch.setitem(HANDLERS, operation, lambda call: right(call) | change)
        with pytest.raises(AssertionError, match=why):
            ask_anew(tmp_path, "GET", HADOOP)

    @pytest.mark.parametrize(
        ("status", "why"), [(204, "has no such status there"), (404, "'said' was unexpected")]
    )
    def test_a_wrong_error_fails_the_test(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, why: str
    ) -> None:
        wrong = Reply(status=status, body={"said": "no"}, headers={})
        monkeypatch.setitem(HANDLERS, ("GET", "/user"), lambda _call: wrong)
        with pytest.raises(AssertionError, match=why):
            ask_anew(tmp_path, "GET", "/user")

    def test_a_broken_server_fails_the_test(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(HANDLERS, ("GET", "/user"), lambda _call: 1 / 0)
        with pytest.raises(AssertionError, match="ZeroDivisionError"):
            ask_anew(tmp_path, "GET", "/user")

    def test_a_test_that_fails_by_itself_shows_what_did_not_fit(self, tmp_path: Path) -> None:
        with pytest.raises(AssertionError, match="no operation"), serving(tmp_path / "hub") as site:
            Ann(site, "").get("/nowhere")

    def test_who_asks_wrongly_is_told_so(self, ann: Ann, site: GitHub) -> None:
        assert "no operation" in ann.ask("GET", "/nowhere").json()["message"]
        site.unfit.clear()

    def test_without_the_registry_tests_are_skipped(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
        monkeypatch.setattr("bigtop_builder.download.BACKOFF", 0)
        monkeypatch.delenv(openapi.REQUIRED, raising=False)
        fetched = openapi.package.__wrapped__()
        assert "@octokit/openapi 23.0.2, GitHub's API description, is out of reach" in fetched[1]
        monkeypatch.setattr(openapi, "package", lambda: fetched)
        with pytest.raises(pytest.skip.Exception, match="out of reach"):
            openapi.described.__wrapped__(openapi.CLOUD, "2022-11-28")
        monkeypatch.setenv(openapi.REQUIRED, "required")
        with pytest.raises(pytest.fail.Exception, match="out of reach"):
            openapi.described.__wrapped__(openapi.CLOUD, "2022-11-28")


@pytest.mark.usefixtures("topic")
def test_a_version_of_the_api_has_the_fields_of_its_time(ann: Ann) -> None:
    ann.propose()
    ann.pull()
    assert len(ann.pull()["merge_commit_sha"]) == 40
    ann.version = "2026-03-10"
    assert "merge_commit_sha" not in ann.pull()
    assert "rate" not in ann.get("/rate_limit")


class TestReading:
    def test_who_asks(self, ann: Ann, site: GitHub) -> None:
        answer = ann.ask("GET", "/user")
        assert answer.json()["login"] == "ann"
        assert answer.headers["X-OAuth-Scopes"] == "public_repo"
        assert "X-OAuth-Scopes" not in Ann(site, site.token("ann", fine=True)).ask("GET", "/user").headers
        assert Ann(site, "").ask("GET", "/user").status_code == 401

    @pytest.mark.parametrize("scheme", ["Bearer", "token"])
    def test_a_token_has_two_schemes(self, ann: Ann, scheme: str) -> None:
        assert ann.ask("GET", "/user", Authorization=f"{scheme} {ann.token}").status_code == 200

    def test_a_repository_and_its_names(self, ann: Ann) -> None:
        said = ann.get("/repos/apache/hadoop")
        assert (said["full_name"], said["default_branch"], said["fork"]) == ("apache/hadoop", "trunk", False)
        assert said["owner"]["type"] == "Organization"
        assert said["permissions"]["push"] is False

    def test_a_private_one_is_not_there_for_others(self, ann: Ann, site: GitHub) -> None:
        site.create("apache/secret", private=True)
        assert ann.ask("GET", "/repos/apache/secret").status_code == 404
        assert Ann(site, site.token("apache")).get("/repos/apache/secret")["private"] is True

    def test_branches_refs_and_commits(self, ann: Ann, carol: Person) -> None:
        tip = carol.commit("feature/a", {"README.md": "new\n", "b": "b\n"})
        carol.tag("rel/1.0", "feature/a")
        assert ann.get(f"{HADOOP}/branches/feature/a")["commit"]["sha"] == tip
        assert ann.get(f"{HADOOP}/git/ref/heads/feature/a")["object"] == {
            "type": "commit",
            "sha": tip,
            "url": f"{ann.site.api}{HADOOP}/git/commits/{tip}",
        }
        assert ann.get(f"{HADOOP}/git/ref/tags/rel/1.0")["object"]["type"] == "tag"
        said = ann.get(f"{HADOOP}/commits/rel/1.0")
        assert (said["sha"], said["stats"]["additions"], said["author"]["login"]) == (tip, 2, "carol")
        assert [(file["filename"], file["status"]) for file in said["files"]] == [
            ("README.md", "modified"),
            ("b", "added"),
        ]
        assert ann.ask("GET", f"{HADOOP}/branches/none").json()["message"] == "Branch not found"
        assert ann.ask("GET", f"{HADOOP}/commits/none").status_code == 422

    @pytest.mark.usefixtures("topic")
    def test_what_has_not_changed_costs_nothing(self, ann: Ann, carol: Person) -> None:
        ann.propose()
        first = ann.ask("GET", PULLS)
        etag = first.headers["ETag"]
        again = ann.ask("GET", PULLS, If_None_Match=etag)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["X-RateLimit-Remaining"] == first.headers["X-RateLimit-Remaining"]
        carol.close(1)
        new = ann.ask("GET", PULLS, If_None_Match=etag)
        assert (new.status_code, new.json()) == (200, [])
        assert int(new.headers["X-RateLimit-Remaining"]) == int(first.headers["X-RateLimit-Remaining"]) - 1

    @pytest.mark.usefixtures("topic")
    def test_lists_come_in_pages(self, ann: Ann, carol: Person) -> None:
        ann.propose()
        for number in range(5):
            carol.comment(1, f"comment {number}")
        seen, url = [], f"{HADOOP}/issues/1/comments?per_page=2"
        rels = []
        while url:
            answer = ann.ask("GET", url)
            seen += [comment["body"] for comment in answer.json()]
            rels.append(set(answer.links))
            url = answer.links.get("next", {}).get("url", "")
        assert seen == [f"comment {number}" for number in range(5)]
        assert rels == [{"next", "last"}, {"prev", "next", "last", "first"}, {"prev", "first"}]
        assert "/repositories/" in ann.ask("GET", f"{HADOOP}/issues/1/comments?per_page=2").headers["Link"]
        assert "Link" not in ann.ask("GET", f"{HADOOP}/issues/1/comments?per_page=5").headers
        assert ann.ask("GET", f"{HADOOP}/issues/1/comments?per_page=2&page=9").json() == []

    @pytest.mark.usefixtures("topic")
    def test_a_renamed_repository_leads_on(self, ann: Ann, site: GitHub) -> None:
        site.rename("apache/hadoop", "hadoop-core")
        moved = ann.ask("GET", f"{PULLS}?state=all")
        assert moved.status_code == 301
        assert moved.json()["message"] == "Moved Permanently"
        assert ann.get(moved.headers["Location"]) == []
        there = ann.propose()
        assert there.status_code == 307
        said = {"title": "T", "head": "ann:topic", "base": "trunk"}
        assert ann.ask("POST", there.headers["Location"], said).status_code == 201
        assert site.count("POST", "/repos/apache/hadoop-core/pulls") == 1


class TestRights:
    def test_a_bad_or_expired_token(self, ann: Ann, site: GitHub) -> None:
        assert Ann(site, "ghp_made_up").ask("GET", HADOOP).json()["message"] == "Bad credentials"
        site.expire(ann.token)
        assert ann.ask("GET", HADOOP).status_code == 401

    @pytest.mark.usefixtures("topic")
    def test_a_token_that_may_not_write(self, site: GitHub) -> None:
        assert Ann(site, "").propose().status_code == 401
        assert Ann(site, site.token("ann", scopes=())).propose().status_code == 404
        answer = Ann(site, site.token("ann", fine=True, writes=False)).propose()
        assert (answer.status_code, answer.json()["message"]) == (
            403,
            "Resource not accessible by personal access token",
        )

    @pytest.mark.usefixtures("topic")
    def test_a_strangers_pull_request_is_not_changed(self, ann: Ann, site: GitHub) -> None:
        ann.propose()
        bob = Ann(site, site.token("bob"))
        assert bob.ask("PATCH", f"{PULLS}/1", {"title": "Mine"}).status_code == 403
        assert ann.ask("PATCH", f"{PULLS}/1", {"title": "Ours"}).json()["title"] == "Ours"


class TestForks:
    def test_a_fork_appears_by_and_by(self, ann: Ann, site: GitHub) -> None:
        site.fork_delay = 2
        made = ann.ask("POST", f"{HADOOP}/forks", {})
        assert (made.status_code, made.json()["parent"]["full_name"]) == (202, "apache/hadoop")
        tries = [ann.ask("GET", "/repos/ann/hadoop").status_code for _ in range(3)]
        assert tries == [404, 404, 200]
        assert ann.get("/repos/ann/hadoop")["source"]["full_name"] == "apache/hadoop"

    def test_a_second_request_finds_the_fork(self, ann: Ann, site: GitHub) -> None:
        names = {ann.ask("POST", f"{HADOOP}/forks").json()["full_name"] for _ in range(2)}
        assert names == {"ann/hadoop"}
        assert len(site.repositories) == 2

    def test_a_repository_of_its_name_that_is_no_fork(self, ann: Ann, site: GitHub) -> None:
        site.create("ann/hadoop")
        made = ann.ask("POST", f"{HADOOP}/forks").json()
        assert made["full_name"] == "ann/hadoop-1"
        assert ann.get("/repos/ann/hadoop")["fork"] is False
        assert "parent" not in ann.get("/repos/ann/hadoop")

    def test_a_fork_of_an_organisation(self, ann: Ann, site: GitHub) -> None:
        site.account("acme", "Organization")
        made = ann.ask("POST", f"{HADOOP}/forks", {"organization": "acme", "name": "hdp"}).json()
        assert made["full_name"] == "acme/hdp"


class TestOpening:
    def test_it_is_opened_and_found(self, ann: Ann, site: GitHub, topic: Person) -> None:
        made = ann.propose()
        assert made.status_code == 201
        said = made.json()
        assert made.headers["Location"] == said["url"] == f"{site.api}{PULLS}/1"
        assert said["head"]["sha"] == topic.repo.tip("topic")
        assert (said["head"]["label"], said["base"]["ref"]) == ("ann:topic", "trunk")
        assert said["html_url"] == f"{site.url}/apache/hadoop/pull/1"
        assert said["maintainer_can_modify"] is True
        assert (said["commits"], said["additions"], said["changed_files"]) == (1, 1, 1)
        assert [pull["number"] for pull in ann.get(f"{PULLS}?head=ann:topic&state=all")] == [1]
        assert ann.get(f"{PULLS}?head=ann:other") == []
        assert [pull["number"] for pull in ann.get(f"{PULLS}?head=other")] == [1]
        assert ann.get(f"{PULLS}?base=branch-3") == []
        assert ann.get(f"{PULLS}?state=closed") == []

    @pytest.mark.parametrize(
        ("wish", "error"),
        [
            ({"base": "none"}, {"code": "invalid", "field": "base"}),
            ({"head": "ann:none"}, {"code": "invalid", "field": "head"}),
            ({"head": "bob:topic"}, {"code": "invalid", "field": "head"}),
            ({"title": ""}, {"code": "missing_field", "field": "title"}),
            (
                {"body": "x" * 65537},
                {
                    "code": "custom",
                    "field": "body",
                    "message": "body is too long (maximum is 65536 characters)",
                },
            ),
            (
                {"head": "ann:trunk"},
                {"code": "custom", "message": "No commits between apache:trunk and ann:trunk"},
            ),
        ],
    )
    @pytest.mark.usefixtures("topic")
    def test_what_github_refuses(self, ann: Ann, wish: Any, error: Any) -> None:
        answer = ann.propose(**wish)
        assert answer.status_code == 422
        assert answer.json()["message"] == "Validation Failed"
        assert answer.json()["errors"] == [{"resource": "PullRequest"} | error]

    @pytest.mark.usefixtures("topic")
    def test_one_is_open_for_a_branch_and_its_base(self, ann: Ann, carol: Person) -> None:
        ann.propose()
        error = ann.propose().json()["errors"][0]
        assert error["message"] == "A pull request already exists for ann:topic."
        carol.commit("branch-3", {})
        assert ann.propose(base="branch-3").json()["number"] == 2
        carol.close(1)
        assert ann.propose().json()["number"] == 3

    def test_a_history_of_its_own(self, ann: Ann, topic: Person) -> None:
        orphan = topic.repo.commit_tree(topic.repo.tree_with("", {"a": "a"}), [], "Alone\n")
        topic.repo.move("alone", orphan)
        error = ann.propose("ann:alone").json()["errors"][0]
        assert error["message"] == "The apache:trunk branch has no history in common with ann:alone"

    @pytest.mark.usefixtures("topic")
    def test_maintainers_may_be_kept_out(self, ann: Ann) -> None:
        assert ann.propose(maintainer_can_modify=False).json()["maintainer_can_modify"] is False


class TestFollowing:
    def test_it_follows_its_branch(self, ann: Ann, carol: Person, topic: Person) -> None:
        ann.propose()
        new = topic.commit("topic", {"fix": "two\n"})
        assert ann.pull()["head"]["sha"] == new
        assert carol.repo.refs("refs/pull/")["1/head"] == new
        assert [each["sha"] for each in ann.get(f"{PULLS}/1/commits")][-1] == new
        forced = carol.push_by_other(1, {"fix": "three\n"}, force=True)
        assert ann.pull()["head"]["sha"] == forced
        events = ann.get(f"{HADOOP}/issues/1/events")
        assert [(event["event"], event["commit_id"]) for event in events] == [
            ("head_ref_force_pushed", forced)
        ]

    @pytest.mark.usefixtures("topic")
    def test_mergeable_is_known_at_the_second_look(self, ann: Ann, carol: Person) -> None:
        ann.propose()
        looks = [(said["mergeable"], said["mergeable_state"]) for said in (ann.pull(), ann.pull())]
        assert looks == [(None, "unknown"), (True, "clean")]
        carol.commit("trunk", {"fix": "another\n"})
        assert [ann.pull()["mergeable"] for _ in range(2)] == [None, False]
        assert "mergeable" not in ann.get(PULLS)[0]

    @pytest.mark.usefixtures("topic")
    def test_reviews_and_comments(self, ann: Ann, carol: Person) -> None:
        ann.propose()
        carol.review(1, "CHANGES_REQUESTED", "Please test it.", [("fix", 1, "Two, not one.")])
        carol.review(1, "APPROVED")
        reviews = ann.get(f"{PULLS}/1/reviews")
        assert [(said["state"], said["user"]["login"]) for said in reviews] == [
            ("CHANGES_REQUESTED", "carol"),
            ("APPROVED", "carol"),
        ]
        comment = ann.get(f"{PULLS}/1/comments")[0]
        assert (comment["path"], comment["line"], comment["body"]) == ("fix", 1, "Two, not one.")
        assert comment["pull_request_review_id"] == reviews[0]["id"]
        assert ann.pull()["review_comments"] == 1

    @pytest.mark.usefixtures("topic")
    def test_it_outlives_its_fork(self, ann: Ann, site: GitHub) -> None:
        sha = ann.propose().json()["head"]["sha"]
        site.delete("ann/hadoop")
        said = ann.pull()
        assert (said["head"]["repo"], said["head"]["sha"], said["state"]) == (None, sha, "open")
        assert ann.get(PULLS)[0]["head"]["label"] == "ann:topic"

    @pytest.mark.usefixtures("topic")
    def test_it_ends_with_its_branch(self, ann: Ann, carol: Person) -> None:
        ann.propose()
        carol.delete_branch(1)
        assert ann.pull()["state"] == "closed"
        events = [event["event"] for event in ann.get(f"{HADOOP}/issues/1/events")]
        assert events == ["head_ref_deleted", "closed"]


class TestEnding:
    def events(self, ann: Ann) -> list[tuple[str, str | None, str]]:
        told = ann.get(f"{HADOOP}/issues/1/events")
        return [(event["event"], event["commit_id"], event["actor"]["login"]) for event in told]

    def message(self, carol: Person) -> str:
        return carol.repo.show("trunk", "%B").strip()

    @pytest.mark.usefixtures("topic")
    def test_the_squash_button(self, ann: Ann, carol: Person) -> None:
        ann.propose(title="HADOOP-1. Mend it for good")
        carol.commit("trunk", {"other": "other\n"})
        before = carol.repo.tip("trunk")
        commit = carol.merge_button(1)
        assert self.message(carol) == "HADOOP-1. Mend it for good (#1)\n\nWords about it."
        assert (
            carol.repo.show("trunk", "%H %P|%an|%cn|%ce")
            == f"{commit} {before}|Ann|GitHub|noreply@github.com"
        )
        said = ann.pull()
        assert (said["state"], said["merged"], said["merge_commit_sha"]) == ("closed", True, commit)
        assert (said["merged_by"]["login"], said["mergeable"]) == ("carol", None)
        assert self.events(ann) == [("merged", commit, "carol"), ("closed", None, "carol")]
        assert carol.repo.git("show", "trunk:fix") == "one"

    def test_the_squash_of_several_commits_lists_them(self, ann: Ann, carol: Person, topic: Person) -> None:
        topic.commit("topic", {"fix": "two\n"}, "Do more\n")
        ann.propose()
        carol.merge_button(1)
        assert self.message(carol).endswith("(#1)\n\n* HADOOP-1. Mend it\n\nWords about it.\n\n* Do more")

    @pytest.mark.usefixtures("topic")
    def test_a_squash_names_who_else_had_a_hand_in_it(self, ann: Ann, carol: Person) -> None:
        ann.propose()
        carol.push_by_other(1, {"fix": "two\n"})
        carol.merge_button(1)
        assert self.message(carol).endswith("\n\n---------\n\nCo-authored-by: Carol <carol@example.org>")

    def test_a_merge_commit(self, ann: Ann, carol: Person, topic: Person) -> None:
        ann.propose()
        before, head = carol.repo.tip("trunk"), topic.repo.tip("topic")
        carol.merge_commit(1)
        assert carol.repo.show("trunk", "%P") == f"{before} {head}"
        assert self.message(carol) == "Merge pull request #1 from ann/topic\n\nHADOOP-1. Mend it"

    def test_a_rebase_makes_each_commit_anew(self, ann: Ann, carol: Person, topic: Person) -> None:
        head = topic.commit("topic", {"fix": "two\n"}, "Do more\n")
        ann.propose()
        carol.commit("trunk", {"other": "other\n"})
        tip = carol.rebase_merge(1)
        assert carol.repo.git("log", "-3", "--format=%s", tip).splitlines() == [
            "Do more",
            "HADOOP-1. Mend it",
            "Go on",
        ]
        assert not carol.repo.contains(tip, head)
        assert ann.pull()["merge_commit_sha"] == tip

    @pytest.mark.usefixtures("topic")
    def test_sparks_script_closes_and_does_not_merge(self, ann: Ann, carol: Person) -> None:
        ann.propose()
        ann.pull()
        tried = ann.pull()["merge_commit_sha"]
        commit = carol.merge_script(1)
        assert self.message(carol) == (
            "HADOOP-1. Mend it\n\nIt was broken.\n\nCloses #1 from ann/topic.\n\n"
            "Authored-by: Ann <ann@example.org>\nSigned-off-by: Carol <carol@example.org>"
        )
        said = ann.pull()
        assert (said["state"], said["merged"], said["merged_at"]) == ("closed", False, None)
        assert said["merge_commit_sha"] == tried != commit
        assert self.events(ann) == [("closed", commit, "carol")]
        assert carol.repo.show(commit, "%an|%cn") == "Ann|Carol"

    def test_a_push_of_its_commits_merges_it(self, ann: Ann, carol: Person, topic: Person) -> None:
        ann.propose()
        tip = topic.repo.tip("topic")
        carol.repo.git("fetch", "--quiet", topic.repo.path, "topic:trunk")
        assert (ann.pull()["merged"], ann.pull()["merge_commit_sha"]) == (True, tip)

    def test_closing_and_reopening(self, ann: Ann, carol: Person, topic: Person) -> None:
        ann.propose()
        carol.close(1)
        assert ann.pull()["closed_at"]
        assert ann.ask("PATCH", f"{PULLS}/1", {"state": "open"}).json()["state"] == "open"
        assert [event[0] for event in self.events(ann)] == ["closed", "reopened"]
        carol.close(1)
        topic.repo.move("topic", topic.repo.commit_tree("topic^{tree}", [topic.repo.tip("trunk")], "Anew\n"))
        error = ann.ask("PATCH", f"{PULLS}/1", {"state": "open"}).json()["errors"][0]
        assert error["message"] == "state cannot be changed. The topic branch was force-pushed or recreated."

    @pytest.mark.parametrize("way", ["merge_button", "merge_script"])
    @pytest.mark.usefixtures("topic")
    def test_a_revert_takes_it_back(self, ann: Ann, carol: Person, way: str) -> None:
        ann.propose()
        commit = getattr(carol, way)(1)
        carol.commit("trunk", {"other": "other\n"})
        carol.revert(1)
        assert f"This reverts commit {commit}." in self.message(carol)
        assert carol.repo.git("ls-tree", "--name-only", "trunk").split() == ["README.md", "other"]

    @pytest.mark.usefixtures("topic")
    def test_a_change_of_title_and_text(self, ann: Ann) -> None:
        ann.propose()
        said = ann.ask("PATCH", f"{PULLS}/1", {"title": "HADOOP-1. Better", "body": "New."}).json()
        assert (said["title"], said["body"]) == ("HADOOP-1. Better", "New.")
        event = ann.get(f"{HADOOP}/issues/1/events")[0]
        assert event["rename"] == {"from": "HADOOP-1. Mend it", "to": "HADOOP-1. Better"}


class TestFaults:
    def test_no_requests_left(self, ann: Ann, site: GitHub) -> None:
        site.limit("ann", remaining=1, resets_in=60)
        assert ann.ask("GET", HADOOP).headers["X-RateLimit-Remaining"] == "0"
        answer = ann.ask("GET", HADOOP)
        assert answer.status_code == 403
        assert answer.json()["message"].startswith("API rate limit exceeded for user ID")
        assert answer.headers["X-RateLimit-Remaining"] == "0"
        assert 0 < int(answer.headers["X-RateLimit-Reset"]) - time.time() <= 60
        site.in_days(1)
        assert ann.ask("GET", HADOOP).headers["X-RateLimit-Remaining"] == "4999"

    def test_those_without_an_account_have_few(self, site: GitHub) -> None:
        assert Ann(site, "").ask("GET", HADOOP).headers["X-RateLimit-Limit"] == "60"

    def test_asking_for_the_limit_is_free(self, ann: Ann) -> None:
        rates = [ann.get("/rate_limit")["resources"]["core"]["remaining"] for _ in range(2)]
        assert rates == [5000, 5000]

    def test_each_fault_serves_one_request(self, ann: Ann, site: GitHub) -> None:
        site.fail(
            HADOOP,
            secondary_limit(7),
            secondary_limit(status=429),
            refusal(401, "Bad credentials"),
            error(502),
            error(503, html=True),
        )
        answers = [ann.ask("GET", HADOOP) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [403, 429, 401, 502, 503, 200]
        assert answers[0].headers["Retry-After"] == "7"
        assert "secondary rate limit" in answers[0].json()["message"]
        assert answers[4].headers["Content-Type"].startswith("text/html")

    @pytest.mark.usefixtures("topic")
    def test_a_fault_of_one_method(self, ann: Ann, site: GitHub) -> None:
        site.fail(f"POST {PULLS}", error(500))
        assert ann.get(PULLS) == []
        assert [ann.propose().status_code for _ in range(2)] == [500, 201]

    @pytest.mark.usefixtures("topic")
    def test_an_error_after_the_deed(self, ann: Ann, site: GitHub) -> None:
        site.fail(f"POST {PULLS}", error(502, html=True, done=True))
        assert ann.propose().status_code == 502
        assert ann.propose().status_code == 422

    @pytest.mark.parametrize("size", [0, 10])
    @pytest.mark.usefixtures("topic")
    def test_an_answer_that_breaks_off(self, ann: Ann, site: GitHub, size: int) -> None:
        site.fail(f"POST {PULLS}", cut(size))
        with pytest.raises(httpx.RemoteProtocolError):
            ann.propose()
        assert len(ann.get(PULLS)) == 1

    def test_an_answer_that_never_comes(self, ann: Ann, site: GitHub) -> None:
        site.fail(f"POST {HADOOP}/forks", lost(done=False), lost())
        made = []
        for _ in range(2):
            with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
                ann.ask("POST", f"{HADOOP}/forks")
            made.append(site.find("ann/hadoop") is not None)
        assert made == [False, True]

    def test_a_slow_answer(self, ann: Ann, site: GitHub) -> None:
        site.fail(HADOOP, slow(30))
        with pytest.raises(httpx.ReadTimeout):
            CLIENT.get(site.api + HADOOP, headers=ANONYMOUS, timeout=0.2)
        assert ann.ask("GET", HADOOP).status_code == 200

    def test_git_has_faults_too(self, site: GitHub, git: Callable[..., Completed]) -> None:
        site.fail("/apache/hadoop.git/info/refs", error(503, html=True))
        url = f"{site.url}/apache/hadoop.git"
        assert [git("ls-remote", url, check=False).returncode for _ in range(2)] == [128, 0]


class TestGit:
    def push(self, git: Callable[..., Completed], url: str, **more: Any) -> Completed:
        git("clone", "--quiet", url, "work", token=more.get("token", ""))
        git("-C", "work", "commit", "--quiet", "--allow-empty", "-m", "change")
        return git("-C", "work", "push", "origin", "HEAD:refs/heads/topic", check=False, **more)

    @pytest.mark.usefixtures("topic")
    def test_a_push_by_http_opens_and_moves(
        self, ann: Ann, site: GitHub, git: Callable[..., Completed]
    ) -> None:
        url = f"{site.url}/ann/hadoop.git"
        git("clone", "--quiet", "--branch=topic", url, "work")
        ann.propose()
        git("-C", "work", "commit", "--quiet", "--amend", "--allow-empty", "-m", "HADOOP-1. Anew")
        pushed = git("-C", "work", "push", "--force", "origin", "topic", token=ann.token)
        assert pushed.returncode == 0
        new = git("-C", "work", "rev-parse", "HEAD").text
        assert ann.pull()["head"]["sha"] == new
        event = ann.get(f"{HADOOP}/issues/1/events")[0]
        assert (event["event"], event["actor"]["login"]) == ("head_ref_force_pushed", "ann")
        assert git("ls-remote", f"{site.url}/apache/hadoop", "refs/pull/1/head").text.split()[0] == new

    def test_a_large_push_comes_in_chunks(
        self, ann: Ann, site: GitHub, git: Callable[..., Completed], tmp_path: Path
    ) -> None:
        site.fork(site.repository("apache/hadoop"), site.account("ann"))
        url = f"{site.url}/ann/hadoop.git"
        git("clone", "--quiet", url, "work")
        noise = b"".join(number.to_bytes(4) for number in range(1 << 20))
        (tmp_path / "work/large").write_bytes(noise)
        git("-C", "work", "add", "large")
        git("-C", "work", "commit", "--quiet", "-m", "large")
        git(
            "-C",
            "work",
            "-c",
            "core.compression=0",
            "push",
            "--quiet",
            "origin",
            "HEAD:large",
            token=ann.token,
        )
        assert site.repository("ann/hadoop").tip("large")

    @pytest.mark.parametrize(
        ("token", "complaint"),
        [
            ({"login": "bob"}, "403"),
            ({"login": "apache", "scopes": ()}, "403"),
            ({"login": "apache", "expired": True}, "Authentication failed"),
            (None, "could not read Username"),
        ],
    )
    def test_who_may_not_push(
        self, site: GitHub, git: Callable[..., Completed], token: Any, complaint: str
    ) -> None:
        git("clone", "--quiet", f"{site.url}/apache/hadoop.git", "work")
        value = site.token(token.pop("login"), **token) if token else ""
        git("-C", "work", "commit", "--quiet", "--allow-empty", "-m", "change")
        done = git("-C", "work", "push", "origin", "HEAD:trunk", token=value, check=False)
        assert done.returncode
        assert complaint in done.complaint or "could not read Username" in done.complaint

    def test_bearer_is_nothing_to_git(self, ann: Ann, site: GitHub, git: Callable[..., Completed]) -> None:
        done = git(
            "ls-remote",
            f"{site.url}/apache/hadoop.git",
            check=False,
            GIT_CONFIG_COUNT="1",
            GIT_CONFIG_KEY_0="http.extraHeader",
            GIT_CONFIG_VALUE_0=f"Authorization: Bearer {ann.token}",
        )
        assert done.returncode == 128

    def test_what_is_not_there_asks_for_a_name_and_then_says_so(
        self, ann: Ann, site: GitHub, git: Callable[..., Completed]
    ) -> None:
        url = f"{site.url}/apache/none.git"
        assert httpx.get(f"{url}/info/refs?service=git-upload-pack").status_code == 401
        assert "not found" in git("ls-remote", url, token=ann.token, check=False).complaint

    @pytest.mark.usefixtures("topic")
    def test_nobody_pushes_to_refs_pull(self, ann: Ann, site: GitHub, git: Callable[..., Completed]) -> None:
        git("clone", "--quiet", f"{site.url}/ann/hadoop.git", "work")
        done = git("-C", "work", "push", "origin", "HEAD:refs/pull/9/head", token=ann.token, check=False)
        assert "hidden ref" in done.complaint

    def test_a_renamed_repository_is_cloned_by_its_old_name(
        self, site: GitHub, git: Callable[..., Completed]
    ) -> None:
        site.rename("apache/hadoop", "hadoop-core")
        assert git("ls-remote", f"{site.url}/apache/hadoop.git").text.endswith("refs/heads/trunk")

    def test_a_fork_is_hidden_from_git_as_long(
        self, ann: Ann, site: GitHub, git: Callable[..., Completed]
    ) -> None:
        site.fork_delay = 1
        ann.ask("POST", f"{HADOOP}/forks")
        url = f"{site.url}/ann/hadoop.git"
        tries = [git("ls-remote", url, token=ann.token, check=False).returncode for _ in range(2)]
        assert tries == [128, 0]


def test_an_enterprise_server_has_its_api_below_a_prefix_and_no_limits(tmp_path: Path) -> None:
    with serving(tmp_path / "hub", enterprise=True) as site:
        site.create("apache/hadoop", branch="trunk")
        ann = Ann(site, site.token("ann"))
        assert site.api.endswith("/api/v3")
        answer = ann.ask("GET", HADOOP)
        assert answer.json()["url"] == site.api + HADOOP
        assert not [name for name in answer.headers if name.lower().startswith("x-ratelimit")]
        assert ann.ask("GET", "/rate_limit").json()["message"] == "Rate limiting is not enabled."
        ann.ask("POST", f"{HADOOP}/forks")
        site.person("ann", "ann/hadoop").commit("topic", {"fix": "one\n"})
        assert ann.propose().status_code == 201
        assert ann.pull()["html_url"] == f"{site.url}/apache/hadoop/pull/1"
