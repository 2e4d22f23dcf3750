# SPDX-License-Identifier: Apache-2.0
"""The client at a GitHub that is held to GitHub's own description, over real repositories, from fork to merge."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.errors import UpstreamError
from bigtop_builder.run import run
from bigtop_builder.settings import Settings
from bigtop_builder.upstreaming import rest
from bigtop_builder.upstreaming.answers import Pull, Repository
from bigtop_builder.upstreaming.github import GitHub
from bigtop_builder.upstreaming.refusal import NotFound, Unprocessable
from bigtop_builder.upstreaming.token import Token
from github import GitHub as Site
from github import serving
from github.faults import cut, error, secondary_limit

pytestmark = pytest.mark.network
HADOOP = "apache/hadoop"
BRANCH = "HADOOP-1-keep-it"
HEAD = f"ann:{BRANCH}"
PULLS = f"/repos/{HADOOP}/pulls"


@pytest.fixture(params=["cloud", "enterprise"])
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(rest, "sleep", lambda _: None)
    with serving(tmp_path / "github", enterprise=request.param == "enterprise") as site:
        site.create(HADOOP, branch="trunk")
        yield site


@pytest.fixture
def token(site: Site) -> Token:
    return Token(secret=site.token("ann"), host="github.com", origin="a test")


def as_one(site: Site, tmp_path: Path, token: Token) -> GitHub:
    settings = Settings(cache_dir=tmp_path / "cache", github_api={"github.com": site.api})
    return GitHub("github.com", settings=settings, token=token)


@pytest.fixture
def github(site: Site, tmp_path: Path, token: Token) -> Iterator[GitHub]:
    with as_one(site, tmp_path, token) as github:
        yield github


def push(fork: Repository, token: Token, folder: Path, branch: str = BRANCH) -> None:
    """Push a commit to a branch of a fork, with the token in git's environment."""
    names = {f"GIT_{who}_{what}": "ann" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env, work = token.git_environment(fork.clone_url) | names, folder / branch
    run(["git", "clone", "--quiet", fork.clone_url, work], env=env)
    (work / branch).write_text("kept\n")
    run(["git", "add", "."], cwd=work)
    run(["git", "commit", "--quiet", "--message", "HADOOP-1. Keep it"], cwd=work, env=env)
    run(["git", "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}"], cwd=work, env=env)


@pytest.fixture
def pull(github: GitHub, token: Token, tmp_path: Path) -> Pull:
    push(github.fork(HADOOP), token, tmp_path)
    return github.open_pull(HADOOP, head=HEAD, base="trunk", title="HADOOP-1. Keep it", body="It is so.")


def test_a_fork_is_made_once_and_known_for_one(site: Site, github: GitHub) -> None:
    assert github.find_fork(HADOOP, "ann") is None
    fork = github.fork(HADOOP)
    assert fork.is_fork_of(HADOOP)
    assert github.fork(HADOOP).full_name == fork.full_name == "ann/hadoop"
    there = github.find_fork(HADOOP, "ann")
    assert there
    assert there.permissions
    assert there.permissions.push
    site.create("bob/hadoop")
    with pytest.raises(UpstreamError, match="bob/hadoop is no fork of apache/hadoop"):
        github.find_fork(HADOOP, "bob")


def test_one_branch_has_one_pull_request_whatever_gets_lost(
    site: Site, github: GitHub, token: Token, tmp_path: Path
) -> None:
    push(github.fork(HADOOP), token, tmp_path)
    assert github.pulls(HADOOP, head=HEAD) == ()
    site.fail(f"POST {PULLS}", error(502, done=True))
    for title in ("HADOOP-1. Keep it", "HADOOP-1. Keep it all"):
        pull = github.open_pull(HADOOP, head=HEAD, base="trunk", title=title, body="It is so.")
        assert (pull.number, pull.by, pull.head.label) == (1, "ann", HEAD)
    assert site.count("POST", PULLS) == 2
    site.fail(f"PATCH {PULLS}/1", cut(4))
    assert github.update_pull(HADOOP, 1, title="HADOOP-1. Keep", body="So.").title == "HADOOP-1. Keep"
    assert site.count("PATCH", f"{PULLS}/1") == 1


def test_what_reviewers_say_is_read_to_the_end_and_once(site: Site, github: GitHub, pull: Pull) -> None:
    carol = site.person("carol", HADOOP)
    carol.review(pull.number, "CHANGES_REQUESTED", "Please", [(BRANCH, 1, "why?")])
    for number in range(120):
        carol.comment(pull.number, str(number))

    assert [(one.state, one.by) for one in github.reviews(HADOOP, 1)] == [("CHANGES_REQUESTED", "carol")]
    assert [(one.path, one.line, one.body) for one in github.review_comments(HADOOP, 1)] == [
        (BRANCH, 1, "why?")
    ]
    said = github.comments(HADOOP, 1)
    assert [one.body for one in said] == [str(number) for number in range(120)]
    before = len(site.asked)
    assert github.comments(HADOOP, 1) == said
    assert [asked.status for asked in site.asked[before:]] == [304, 304]


def test_a_merge_by_button_and_one_by_script_are_told_apart(
    site: Site, github: GitHub, pull: Pull, token: Token, tmp_path: Path
) -> None:
    carol = site.person("carol", HADOOP)
    commit = carol.merge_button(pull.number)
    merged = github.pull(HADOOP, 1)
    assert (merged.merged, merged.merge_commit_sha) == (True, commit)
    assert github.commit(HADOOP, commit).commit.message.startswith("HADOOP-1. Keep it (#1)")

    push(github.repository("ann/hadoop"), token, tmp_path, "HADOOP-2")
    github.open_pull(HADOOP, head="ann:HADOOP-2", base="trunk", title="HADOOP-2. Keep", body="")
    commit = carol.merge_script(2)
    closed = github.pull(HADOOP, 2)
    assert (closed.state, closed.merged) == ("closed", False)
    assert [one.commit_id for one in github.events(HADOOP, 2) if one.event == "closed"] == [commit]


def test_a_pull_request_is_found_after_its_repository_and_its_fork_changed(
    site: Site, github: GitHub, pull: Pull
) -> None:
    site.rename(HADOOP, "hadoop-core")
    assert github.repository(HADOOP).full_name == "apache/hadoop-core"
    site.delete("ann/hadoop")
    (found,) = github.pulls(HADOOP, head=HEAD)
    assert (found.number, found.head.repo) == (pull.number, None)


def test_refusals_are_told_as_what_they_are(site: Site, github: GitHub, token: Token, tmp_path: Path) -> None:
    with pytest.raises(Unprocessable, match="Validation Failed"):
        github.open_pull(HADOOP, head="ann:none", base="trunk", title="x", body="")
    with pytest.raises(NotFound, match="No commit found"):
        github.commit(HADOOP, "a" * 40)
    weak = Token(secret=site.token("ann", scopes=("gist",)), host="github.com", origin="a test")
    with as_one(site, tmp_path, weak) as other, pytest.raises(NotFound) as caught:
        other.fork(HADOOP)
    assert caught.value.details.startswith("it was asked with the token from a test (scopes: gist)")
    site.expire(token.secret)
    with pytest.raises(UpstreamError, match="does not take the token from a test: Bad credentials"):
        github.user()


def test_limits_are_waited_for_or_told(site: Site, github: GitHub) -> None:
    site.fail(f"/repos/{HADOOP}", secondary_limit(5), error(502, html=True), cut(9))
    assert github.repository(HADOOP).default_branch == "trunk"
    if not site.enterprise:
        site.limit("ann", remaining=0, resets_in=3000)
        with pytest.raises(UpstreamError, match=r"takes no more requests until .* UTC; its limit is 5000"):
            github.repository(HADOOP)
