# SPDX-License-Identifier: Apache-2.0
"""A patch's pull request as GitHub shows it, read with as few calls as its state needs."""

import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final

from bigtop_builder.errors import BuilderError, InputError
from bigtop_builder.log import plain
from bigtop_builder.patches.queue import FACTS
from bigtop_builder.projects import Place
from bigtop_builder.settings import Settings
from bigtop_builder.upstreaming.answers import GHOST, Comment, Event, Pull, Review
from bigtop_builder.upstreaming.github import GitHub, last_of
from bigtop_builder.upstreaming.outcome import Seen, verdict
from bigtop_builder.upstreaming.rest import NoAnswers
from bigtop_builder.upstreaming.token import find_token

PULL: Final = re.compile(
    r"(?P<root>https?://(?P<host>[^/@\s]+)/)(?P<name>[\w.-]+/[\w.-]+)/pull/(?P<number>[1-9]\d*)/?"
)
WORDS: Final = 160
"""Characters of what somebody said, where one line is wanted."""


@dataclass(frozen=True, kw_only=True)
class PullUrl:
    """The address of a pull request.

    Attributes:
        root: All before the repository's name.
        host: With the port, if it names one.
        name: Repository, `owner/name`.
        number: Its number.
    """

    root: str
    host: str
    name: str
    number: int

    @classmethod
    def parse(cls, url: str) -> "PullUrl | None":
        """Read an address; None if it is that of something else."""
        match = PULL.fullmatch(url)
        if match is None:
            return None
        return cls(root=match["root"], host=match["host"], name=match["name"], number=int(match["number"]))

    def at(self, name: str) -> str:
        """The address, with the name that the repository has now."""
        return f"{self.root}{name}/pull/{self.number}"


@dataclass(frozen=True, kw_only=True)
class Remark:
    """What a reviewer said of a line, or (without a path) of the whole.

    Attributes:
        by: Login.
        text: What was said.
        path: File; empty for the whole.
        line: Line of the file as it was then; None where GitHub names none.
        outdated: Whether that line is no part of the pull request any more.
    """

    by: str
    text: str
    path: str = ""
    line: int | None = None
    outdated: bool = False


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A pull request that was read.

    Attributes:
        seen: Its state.
        remarks: What is to be answered, where changes are requested.
        closing: Commit that closed it, if one did.
    """

    seen: Seen
    remarks: tuple[Remark, ...] = ()
    closing: str = ""


class PullReader(ExitStack):
    """Reads pull requests, on whatever hosts. What a host refuses altogether is not asked of it again."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._clients: dict[str, GitHub] = {}
        self._shut: dict[str, BuilderError] = {}

    def read(self, url: PullUrl, *, to: Place, explained: bool) -> Reading:
        """Read a pull request.

        Args:
            url: Its address.
            to: The repository that it is to, by a name that it has or had.
            explained: Whether it is known why it was closed, should it be: its comments are not read then.

        Raises:
            BuilderError: It cannot be read, is not there, or is one to another repository.
        """
        host = self._host(url)
        if host != to.host:
            raise _another(url, to)
        if host in self._shut:
            raise self._shut[host]
        try:
            return self._read(self._client(host), url, to=to, explained=explained)
        except NoAnswers as error:
            self._shut[host] = error
            raise

    def _read(self, github: GitHub, url: PullUrl, *, to: Place, explained: bool) -> Reading:
        pull = github.pull(url.name, url.number)
        name = pull.base.repo.full_name if pull.base.repo else url.name
        if name.casefold() != to.name.casefold() and not github.repository(to.name).is_called(name):
            raise _another(url, to)
        if pull.merged:
            return Reading(seen=_seen(pull, url.at(name)))
        if pull.state == "closed":
            return _closed(github, pull, url.at(name), name, explained=explained)
        reviews = github.reviews(name, pull.number)
        review = verdict(reviews, pull.by)
        remarks = _asked(github, pull, name, reviews) if review == "changes-requested" else []
        if pull.mergeable is None:  # GitHub begins to find it out when it is asked
            pull = github.pull(name, pull.number)
        return Reading(seen=replace(_seen(pull, url.at(name)), review=review), remarks=tuple(remarks))

    def _client(self, host: str) -> GitHub:
        if host not in self._clients:
            try:
                client = GitHub(host, settings=self._settings, token=find_token(host, self._settings))
            except BuilderError as error:
                self._shut[host] = error
                raise
            self._clients[host] = self.enter_context(client)
        return self._clients[host]

    def _host(self, url: PullUrl) -> str:
        """The host that an address is of, as the settings name it: that whose API is there, if one is."""
        for host, api in self._settings.github_api.items():
            if api.partition("://")[2].partition("/")[0] == url.host:
                return host
        return url.host


def _another(url: PullUrl, to: Place) -> InputError:
    return InputError(
        f"{url.at(url.name)} is no pull request to {to.name} at {to.host}",
        hint=f"mend `url` in its {FACTS}, [upstream]",
    )


def _asked(github: GitHub, pull: Pull, name: str, reviews: Sequence[Review]) -> list[Remark]:
    """What reviewers want to be changed: of the whole first, then of lines."""
    asked = [one for one in reviews if one.body and one.state == "CHANGES_REQUESTED"]
    return [
        *(Remark(by=one.by, text=one.body) for one in asked),
        *(
            Remark(
                by=one.by,
                text=one.body,
                path=one.path,
                line=one.line or one.original_line,
                outdated=one.line is None,
            )
            for one in github.review_comments(name, pull.number)
            if one.by != pull.by
        ),
    ]


def _seen(pull: Pull, url: str) -> Seen:
    return Seen(
        state="merged" if pull.merged else pull.state,
        url=url,
        base=pull.base.ref,
        head=pull.head.sha,
        opened=pull.opened,
        draft=pull.draft,
        conflicts=pull.mergeable is False,
        orphaned=pull.head.repo is None,
        merge_commit=(pull.merge_commit_sha or "") if pull.merged else "",
    )


def _closed(github: GitHub, pull: Pull, url: str, name: str, *, explained: bool) -> Reading:
    """One that no button merged: who closed it, by which commit, and with which words."""
    events = github.events(name, pull.number)
    last = last_of(events, "closed")
    commit = (last.commit_id or "") if last else ""
    by = last.actor.login if last and last.actor else GHOST
    words = ""
    if not explained and not commit:
        words = _words(github.comments(name, pull.number), by, since=last_of(events, "reopened"))
    return Reading(seen=replace(_seen(pull, url), closed_by=by, words=words), closing=commit)


def _words(comments: Sequence[Comment], by: str, *, since: Event | None) -> str:
    """The last words of who closed it, in one line; what stands before a reopening is of another closing."""
    own = [one for one in comments if one.by == by and (since is None or one.created_at >= since.created_at)]
    text = plain(" ".join(own[-1].body.split())) if own else ""
    return text if len(text) <= WORDS else f"{text[: WORDS - 1].rstrip()}…"
