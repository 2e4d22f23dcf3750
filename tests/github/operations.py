# SPDX-License-Identifier: Apache-2.0
"""GitHub's operations, each under the path template of its description."""

from collections.abc import Callable
from typing import Any

from github.accounts import Refused, invalid, missing
from github.answers import Json
from github.call import ISSUE, PULL, REPO, Call, Reply, paged
from github.pull import Event, Pull
from github.pulls import check_text

Handler = Callable[[Call], Any]
HANDLERS: dict[tuple[str, str], Handler] = {}
"""Method and path template -> what answers it."""


def answers(method: str, template: str) -> Callable[[Handler], Handler]:
    """Register what answers an operation."""

    def keep(handler: Handler) -> Handler:
        HANDLERS[method, template] = handler
        return handler

    return keep


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
    account, repo, wish = call.writer(), call.open_repository(), call.body
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
    account, _, found, wish = call.writer(), call.open_repository(), call.pull(), call.body or {}
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
