# SPDX-License-Identifier: Apache-2.0
"""What GitHub answers, as far as it is used here (GitHub's OpenAPI description, version 2022-11-28)."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import ConfigDict, Field

from bigtop_builder.schema import Value

GHOST = "ghost"
"""How GitHub itself calls a user who is gone."""


class Answer(Value):
    """Base of what a server sends: it may send more."""

    model_config = ConfigDict(extra="ignore")


class User(Answer):
    """A user, or an organization."""

    login: str


class Written(Answer):
    """What somebody wrote."""

    user: User | None = None
    html_url: str

    @property
    def by(self) -> str:
        """Login of who wrote it."""
        return self.user.login if self.user else GHOST


class Permissions(Answer):
    """What the token's owner may do with a repository."""

    push: bool = False


class Origin(Answer):
    """The repository that a fork is of."""

    full_name: str


class Repository(Answer):
    """A repository. The one that was asked for may have another name by now."""

    full_name: str
    owner: User
    name: str
    fork: bool
    clone_url: str
    default_branch: str
    archived: bool = False
    parent: Origin | None = Field(None, description="What it was forked from")
    source: Origin | None = Field(None, description="Where the line of forks begins")
    permissions: Permissions | None = Field(None, description="None without a token")

    def is_called(self, name: str) -> bool:
        """Whether this is still its name, `owner/name`; GitHub heeds no capitals in it."""
        return self.full_name.casefold() == name.casefold()

    def is_fork_of(self, name: str) -> bool:
        """Whether it was forked, be it over several, from the repository of this name."""
        origins = (one.full_name.casefold() for one in (self.parent, self.source) if one)
        return self.fork and name.casefold() in origins


class Side(Answer):
    """One side of a pull request."""

    label: str = Field(description="`owner:branch`")
    ref: str = Field(description="The branch")
    sha: str
    repo: Origin | None = Field(None, description="None if the fork is gone")


class Pull(Written):
    """A pull request."""

    number: int
    state: Literal["open", "closed"]
    title: str
    body: str | None = None
    draft: bool = False
    head: Side
    base: Side
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None
    merged_at: datetime | None = None
    merge_commit_sha: str | None = Field(
        None, description="Once merged the commit of it; before that a trial, which proves nothing"
    )
    mergeable: bool | None = Field(None, description="False on conflict; None if not known yet, or in a list")
    mergeable_state: str = ""

    @property
    def merged(self) -> bool:
        """Whether a button merged it. What a script merged is closed."""
        return self.merged_at is not None

    @property
    def opened(self) -> str:
        """When it was opened, as `patch.toml` has it: RFC 3339, in UTC and whole seconds."""
        return self.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Review(Written):
    """A review of a pull request. One that is not sent in yet has no time."""

    id: int
    state: str = Field(description="APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED or PENDING")
    body: str = ""
    submitted_at: datetime | None = None
    commit_id: str | None = None


class ReviewComment(Written):
    """A remark on a line of a pull request."""

    id: int
    path: str
    line: int | None = Field(None, description="None if the line is no longer part of the diff")
    original_line: int | None = None
    body: str
    created_at: datetime
    pull_request_review_id: int | None = None
    in_reply_to_id: int | None = None


class Comment(Written):
    """A comment below a pull request."""

    id: int
    body: str = ""
    created_at: datetime


class Event(Answer):
    """What happened to a pull request."""

    event: str = Field(description="`closed`, `merged`, `reopened`, `referenced` and others")
    actor: User | None = None
    commit_id: str | None = Field(None, description="Of `closed`: the commit that closed it, if one did")
    created_at: datetime


class Message(Answer):
    """What a commit says."""

    message: str


class Commit(Answer):
    """A commit of a repository."""

    sha: str
    html_url: str
    commit: Message
