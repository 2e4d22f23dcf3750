# SPDX-License-Identifier: Apache-2.0
"""GitHub's operations, each under the path template of its description."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from github.accounts import Account, Refused, Token, invalid, missing
from github.answers import Answers, Json, numbered
from github.pulls import Event, Pull, check_text
from github.repositories import Repository
from github.state import State

REPO = "/repos/{owner}/{repo}"
PULL = REPO + "/pulls/{pull_number}"
ISSUE = REPO + "/issues/{issue_number}"
MOST = 100
"""Entries of a page; who asks for more gets these."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request to an operation.

    Attributes:
        template: The operation's path.
        args: Values of the template's names.
        answers: How things look to who asks.
    """

    state: State
    method: str
    template: str
    args: dict[str, str]
    query: dict[str, str]
    body: Any
    token: Token | None
    answers: Answers

    @property
    def account(self) -> Account | None:
        return self.token.account if self.token else None

    @property
    def now(self) -> datetime:
        return self.state.now()

    def writer(self) -> Account:
        """Who asks, if the token may change something.

        Raises:
            Refused: It may not. Of a classic token's scopes GitHub says nothing, but that there is no such thing.
        """
        if self.token is None:
            raise Refused(401, "Requires authentication")
        if self.token.fine and not self.token.writes:
            raise Refused(403, "Resource not accessible by personal access token")
        if not self.token.fine and not {"repo", "public_repo"} & {*self.token.scopes}:
            raise missing()
        return self.token.account

    def repository(self) -> Repository:
        """The repository of the path.

        Raises:
            Refused: There is none, it may not be seen, or has another name now.
        """
        name = f"{self.args['owner']}/{self.args['repo']}"
        repo = self.state.seen_by(name, self.account)
        if repo.full_name.lower() != name.lower():
            rest = self.template.removeprefix(REPO).format(**self.args)
            url = f"{self.answers.api}/repositories/{repo.id}{rest}"
            url += f"?{urlencode(self.query)}" if self.query else ""
            status = 301 if self.method == "GET" else 307
            raise Refused(status, "Moved Permanently", headers={"Location": url}, url=url)
        return repo

    def pull(self) -> Pull:
        number = self.args.get("pull_number") or self.args["issue_number"]
        found = self.state.pulls.numbered(self.repository(), int(number)) if number.isdecimal() else None
        if found is None:
            raise missing()
        return found


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What an operation answers."""

    status: int
    body: Any
    headers: dict[str, str]


Handler = Callable[[Call], Any]
HANDLERS: dict[tuple[str, str], Handler] = {}
"""Method and path template -> what answers it."""


def answers(method: str, template: str) -> Callable[[Handler], Handler]:
    """Register what answers an operation."""

    def keep(handler: Handler) -> Handler:
        HANDLERS[method, template] = handler
        return handler

    return keep


def paged(call: Call, items: Sequence[Any], show: Callable[[Any], Json]) -> Reply:
    """A page of a list, with a Link header that names repositories by number, as GitHub's does."""
    size = min(int(call.query.get("per_page", 30)), MOST) or 30
    shown, others = numbered(items, max(1, int(call.query.get("page", 1))), size)
    url = call.answers.api + call.template.replace(REPO, f"/repositories/{call.repository().id}").format(
        **call.args
    )
    links = [
        f'<{url}?{urlencode(call.query | {"page": page})}>; rel="{name}"' for name, page in others.items()
    ]
    return Reply(
        status=200, body=[show(item) for item in shown], headers={"Link": ", ".join(links)} if links else {}
    )


@answers("GET", "/user")
def user(call: Call) -> Json:
    if call.account is None:
        raise Refused(401, "Requires authentication")
    return call.answers.myself(call.account)


@answers("GET", "/rate_limit")
def rate_limit(call: Call) -> Json:
    if call.state.enterprise:
        raise missing("Rate limiting is not enabled.")
    rate = call.state.rate(call.account)
    core = {
        "limit": rate.limit,
        "used": rate.limit - rate.remaining,
        "remaining": rate.remaining,
        "reset": rate.reset,
    }
    other = core | {"used": 0, "remaining": rate.limit}
    old = {} if call.answers.version >= "2026-03-10" else {"rate": core}
    return {"resources": {"core": core, "search": other, "graphql": other}, **old}


@answers("GET", REPO)
def repository(call: Call) -> Json:
    return call.answers.whole_repository(call.repository())


@answers("POST", REPO + "/forks")
def fork(call: Call) -> Reply:
    account, parent, wish = call.writer(), call.repository(), call.body or {}
    owner = call.state.account(wish["organization"]) if "organization" in wish else account
    made = call.state.fork(parent, owner, wish.get("name", ""))
    return Reply(status=202, body=call.answers.whole_repository(made), headers={})


@answers("GET", REPO + "/branches/{branch}")
def branch(call: Call) -> Json:
    repo, name = call.repository(), call.args["branch"]
    tip = repo.tip(name)
    if not tip:
        raise missing("Branch not found")
    return call.answers.branch(repo, name, tip)


@answers("GET", REPO + "/git/ref/{ref}")
def ref(call: Call) -> Json:
    repo, name = call.repository(), call.args["ref"]
    target = repo.refs("refs/").get(name)
    if target is None:
        raise missing()
    return call.answers.ref(repo, name, target)


@answers("GET", REPO + "/commits/{ref}")
def commit(call: Call) -> Json:
    repo, name = call.repository(), call.args["ref"]
    found = repo.commit_named(name)
    if not found:
        raise Refused(422, f"No commit found for SHA: {name}")
    return call.answers.commit(repo, found, whole=True)


@answers("GET", REPO + "/pulls")
def pulls(call: Call) -> Reply:
    repo, query = call.repository(), call.query
    found = call.state.pulls.of(repo)
    if query.get("state", "open") != "all":
        found = [pull for pull in found if pull.state == query.get("state", "open")]
    if ":" in query.get("head", ""):  # a branch without its owner is no filter to GitHub
        found = [pull for pull in found if pull.label.lower() == query["head"].lower()]
    if "base" in query:
        found = [pull for pull in found if pull.base == query["base"]]
    sort = query.get("sort", "created")
    down = query.get("direction", "desc" if sort == "created" else "asc") == "desc"
    found.sort(key=lambda pull: pull.updated_at if sort == "updated" else pull.number, reverse=down)
    return paged(call, found, lambda pull: call.answers.pull(pull, whole=False))


@answers("POST", REPO + "/pulls")
def open_pull(call: Call) -> Reply:
    account, repo, wish = call.writer(), call.repository(), call.body
    owner, _, head = wish["head"].rpartition(":")
    made = call.state.pulls.create(
        repo,
        call.state.in_network(repo, owner or repo.owner.login, wish.get("head_repo", "")),
        head=head,
        base=wish["base"],
        title=wish.get("title", ""),
        body=wish.get("body"),
        author=account,
        at=call.now,
        draft=wish.get("draft", False),
        maintainer_can_modify=wish.get("maintainer_can_modify"),
    )
    said = call.answers.pull(made, whole=True)
    return Reply(status=201, body=said, headers={"Location": said["url"]})


@answers("GET", PULL)
def pull(call: Call) -> Json:
    found = call.pull()
    if not found.closed_at:
        found.try_merge()
    return call.answers.pull(found, whole=True)


@answers("PATCH", PULL)
def change_pull(call: Call) -> Json:
    account, found, wish = call.writer(), call.pull(), call.body or {}
    if account != found.author and not found.repo.may_push(account):
        raise Refused(403, "Must have admin rights to Repository.")
    _check_changes(found, wish)
    if "title" in wish and wish["title"] != found.title:
        renaming = {
            "kind": "renamed",
            "actor": account,
            "at": call.now,
            "rename": (found.title, wish["title"]),
        }
        found.events.append(Event(id=call.state.pulls.new_id(), **renaming))
        found.title = wish["title"]
    found.body = wish.get("body", found.body)
    found.base = wish.get("base", found.base)
    found.maintainer_can_modify = wish.get("maintainer_can_modify", found.maintainer_can_modify)
    found.updated_at = call.now
    if wish.get("state") == "closed" and not found.closed_at:
        call.state.pulls.close(found, account, call.now)
    if wish.get("state") == "open" and found.closed_at:
        call.state.pulls.reopen(found, account, call.now)
    return call.answers.pull(found, whole=True)


def _check_changes(found: Pull, wish: Json) -> None:
    check_text(wish.get("title", found.title), wish.get("body"))
    if "base" in wish and found.closed_at:
        why = "Cannot change the base branch of a closed pull request."
        raise invalid(why, code="invalid", name="base")
    if "base" in wish and not found.repo.tip(wish["base"]):
        raise invalid(f"Proposed base branch '{wish['base']}' was not found", code="invalid", name="base")
    if wish.get("maintainer_can_modify") and found.head_repo in {found.repo, None}:
        raise invalid("Fork collab can only be enabled on cross-repo pull requests", name="fork_collab")


@answers("GET", PULL + "/reviews")
def reviews(call: Call) -> Reply:
    found = call.pull()
    return paged(call, found.reviews, lambda review: call.answers.review(found, review))


@answers("GET", PULL + "/comments")
def line_comments(call: Call) -> Reply:
    found = call.pull()
    return paged(call, found.line_comments, lambda comment: call.answers.line_comment(found, comment))


@answers("GET", PULL + "/commits")
def commits(call: Call) -> Reply:
    found = call.pull()
    return paged(call, found.commits(), lambda commit: call.answers.commit(found.repo, commit))


@answers("GET", ISSUE + "/comments")
def comments(call: Call) -> Reply:
    found = call.pull()
    return paged(call, found.comments, lambda comment: call.answers.comment(found, comment))


@answers("GET", ISSUE + "/events")
def events(call: Call) -> Reply:
    found = call.pull()
    return paged(call, found.events, lambda event: call.answers.event(found, event))
