# SPDX-License-Identifier: Apache-2.0
"""A request to an operation, and its reply."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from github.accounts import Account, Refused, Token, missing
from github.answers import Answers, Json, numbered
from github.pull import Pull
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

    def open_repository(self) -> Repository:
        """The same, where something shall change.

        Raises:
            Refused: It may not, or as in `repository`.
        """
        repo = self.repository()
        if repo.archived:
            raise Refused(403, "Repository was archived so is read-only.")
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


WANTED = {
    REPO + "/forks": "administration=write; contents=read",
    REPO + "/pulls": "pull_requests=write",
    PULL: "pull_requests=write",
}
"""Path template -> permissions that a fine-grained token needs to write there."""


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
