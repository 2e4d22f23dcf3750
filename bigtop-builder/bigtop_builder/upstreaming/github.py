# SPDX-License-Identifier: Apache-2.0
"""The door to GitHub: the few calls of its REST API that taking a patch upstream needs."""

import re
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

from bigtop_builder.errors import InputError, UpstreamError
from bigtop_builder.settings import Settings
from bigtop_builder.upstreaming.answers import (
    Comment,
    Commit,
    Event,
    Pull,
    Repository,
    Review,
    ReviewComment,
    User,
)
from bigtop_builder.upstreaming.api import Api
from bigtop_builder.upstreaming.refusal import NotFound, Unprocessable
from bigtop_builder.upstreaming.token import Token

NAME: Final = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")


class GitHub:
    """One GitHub as one user, or as nobody. A context manager.

    Repositories are named `owner/name`. All calls raise `UpstreamError` where GitHub cannot be asked or refuses:
    `NotFound` and `Unprocessable` if that is why.

    Args:
        host: `github.com`, or that of a server of one's own.
        settings: Proxy, cache, the API's address, patience.
        token: Of that host; without one only reads are possible, and few.

    Raises:
        UpstreamError: The settings say offline.
        InputError: The API's address in the settings is none, or the token is for another host.
    """

    def __init__(self, host: str, *, settings: Settings, token: Token | None = None) -> None:
        self.host = host
        self._api = Api(host, settings=settings, token=token)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._api.close()

    def user(self) -> User:
        """Whose token it is."""
        return self._api.one(User, "/user", "asking whose token it is")

    def repository(self, name: str) -> Repository:
        """A repository. One that was renamed is found by its old name too, and says its new one."""
        return self._api.one(Repository, _at(name), f"reading repository {name}")

    def find_repository(self, name: str) -> Repository | None:
        """The same; None if there is none, or none that the token may see."""
        try:
            return self.repository(name)
        except NotFound:
            return None

    def find_fork(self, name: str, owner: str) -> Repository | None:
        """The repository of `owner` that is called as `name` is; None if there is none.

        Raises:
            UpstreamError: It is there, and is no fork of `name`.
        """
        there = self.find_repository(f"{owner}/{name.partition('/')[2]}")
        if there:
            require_fork(there, name)
        return there

    def fork(self, name: str, *, organization: str = "") -> Repository:
        """Fork a repository, or take the fork that is there. Git may see it only some seconds later."""
        owner = organization or self.user().login
        body = {"organization": organization} if organization else {}
        return self._api.write(
            Repository,
            "POST",
            f"{_at(name)}/forks",
            f"forking {name}",
            body=body,
            look=lambda: self.find_fork(name, owner),
        )

    def pulls(self, name: str, *, head: str, state: str = "all", base: str = "") -> tuple[Pull, ...]:
        """Pull requests to a repository from one branch, the newest first.

        Args:
            name: The repository.
            head: `owner:branch`.
            state: `open`, `closed` or `all`.
            base: Branch that they are to; any if empty.
        """
        query = {"head": head, "state": state} | ({"base": base} if base else {})
        found = self._api.many(
            Pull, f"{_at(name)}/pulls", f"listing pull requests of {head} to {name}", query
        )
        # GitHub drops a filter that it cannot read in silence, and answers with all there are.
        return tuple(pull for pull in found if pull.head.ref == head.partition(":")[2])

    def pull(self, name: str, number: int) -> Pull:
        """One pull request."""
        return self._api.one(Pull, f"{_at(name)}/pulls/{number}", f"reading {name}#{number}")

    def open_pull(
        self, name: str, *, head: str, base: str, title: str, body: str, draft: bool = False
    ) -> Pull:
        """Open a pull request, or take the open one that there is from this branch to that.

        Args:
            name: The repository that it is to.
            head: `owner:branch`.
            base: Branch that it is to.
            title: Its title.
            body: Its text, in Markdown.
            draft: Whether it is a draft.
        """

        def look() -> Pull | None:
            return next(iter(self.pulls(name, head=head, state="open", base=base)), None)

        sent = {"head": head, "base": base, "title": title, "body": body, "draft": draft}
        what = f"opening a pull request of {head} to {name}"
        try:
            return self._api.write(Pull, "POST", f"{_at(name)}/pulls", what, body=sent, look=look)
        except Unprocessable:
            if there := look():
                return there
            raise

    def update_pull(self, name: str, number: int, *, title: str, body: str) -> Pull:
        """Give a pull request another title and text."""

        def look() -> Pull | None:
            there = self.pull(name, number)
            return there if (there.title, there.body or "") == (title, body) else None

        sent, what = {"title": title, "body": body}, f"changing {name}#{number}"
        return self._api.write(Pull, "PATCH", f"{_at(name)}/pulls/{number}", what, body=sent, look=look)

    def reviews(self, name: str, number: int) -> tuple[Review, ...]:
        """The reviews of a pull request, the oldest first."""
        what = f"reading the reviews of {name}#{number}"
        return self._api.many(Review, f"{_at(name)}/pulls/{number}/reviews", what)

    def review_comments(self, name: str, number: int) -> tuple[ReviewComment, ...]:
        """Remarks on lines of a pull request, the oldest first."""
        what = f"reading the remarks on {name}#{number}"
        return self._api.many(ReviewComment, f"{_at(name)}/pulls/{number}/comments", what)

    def comments(self, name: str, number: int) -> tuple[Comment, ...]:
        """Comments below a pull request, the oldest first."""
        what = f"reading the comments of {name}#{number}"
        return self._api.many(Comment, f"{_at(name)}/issues/{number}/comments", what)

    def events(self, name: str, number: int) -> tuple[Event, ...]:
        """What happened to a pull request, the oldest first."""
        what = f"reading the events of {name}#{number}"
        return self._api.many(Event, f"{_at(name)}/issues/{number}/events", what)

    def closing(self, name: str, number: int) -> Event | None:
        """The event that closed a pull request last; None if none did."""
        return last_of(self.events(name, number), "closed")

    def commit(self, name: str, ref: str) -> Commit:
        """A commit by its id, or the tip of a branch.

        Raises:
            NotFound: There is none.
        """
        path, what = f"{_at(name)}/commits/{quote(ref)}", f"reading commit {ref} of {name}"
        try:
            return self._api.one(Commit, path, what)
        except Unprocessable as error:  # how GitHub says it of an id that it does not know
            raise NotFound(error.brief, details=error.details, hint="check the id") from error


def last_of(events: Sequence[Event], kind: str) -> Event | None:
    """The last event of a kind, of some that come oldest first; None if there is none."""
    return next((one for one in reversed(events) if one.event == kind), None)


def require_fork(repository: Repository, name: str) -> None:
    """Raise unless a repository is a fork of the one of this name.

    Raises:
        UpstreamError: It is none.
    """
    if not repository.is_fork_of(name):
        raise UpstreamError(
            f"{repository.full_name} is no fork of {name}",
            details="GitHub takes pull requests from forks alone",
            hint="rename it on GitHub, or have the fork under another owner",
        )


def _at(name: str) -> str:
    """Path of a repository."""
    if not NAME.fullmatch(name) or ".." in name.split("/"):
        raise InputError(f"{name!r} names no repository", hint="write it as OWNER/NAME, as in apache/bigtop")
    return f"/repos/{name}"
