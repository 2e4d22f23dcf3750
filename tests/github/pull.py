# SPDX-License-Identifier: Apache-2.0
"""A pull request, and what is kept with it."""

from dataclasses import dataclass, field
from datetime import datetime

from github.accounts import Account
from github.repositories import Repository


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a pull request, as `issues/N/events` lists it."""

    id: int
    kind: str
    actor: Account
    at: datetime
    commit: str | None = None
    rename: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Comment:
    """A comment of the conversation."""

    id: int
    author: Account
    body: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class LineComment:
    """A comment on a line, part of a review."""

    id: int
    review: int
    author: Account
    body: str
    path: str
    line: int
    at: datetime
    commit: str


@dataclass(frozen=True, kw_only=True)
class Review:
    """A verdict: APPROVED, CHANGES_REQUESTED, COMMENTED or DISMISSED."""

    id: int
    author: Account
    state: str
    body: str
    at: datetime
    commit: str


@dataclass(kw_only=True, eq=False)
class Pull:
    """A pull request.

    Attributes:
        head_owner: Account whose branch it is; it stays when the fork is deleted.
        head_repo: Where the branch is, None when that is deleted.
        head_sha: Its commit: of the branch while it is open, then the last one it had.
        base_sha: Tip of the base branch when the head last changed.
        merge_commit: Of its merge; else the merge that GitHub made to see whether it can be merged.
        tested: Head and base of the merge that was last tried.
        mergeable: What came of that.
    """

    id: int
    number: int
    repo: Repository
    base: str
    base_sha: str
    head_owner: Account
    head_repo: Repository | None
    head: str
    head_sha: str
    author: Account
    title: str
    body: str | None
    created_at: datetime
    updated_at: datetime
    draft: bool = False
    maintainer_can_modify: bool = False
    closed_at: datetime | None = None
    closed_by: Account | None = None
    merged_at: datetime | None = None
    merged_by: Account | None = None
    merge_commit: str | None = None
    tested: tuple[str, str] | None = None
    mergeable: bool | None = None
    events: list[Event] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    line_comments: list[LineComment] = field(default_factory=list)

    @property
    def state(self) -> str:
        return "closed" if self.closed_at else "open"

    @property
    def label(self) -> str:
        return f"{self.head_owner.login}:{self.head}"

    def commits(self) -> list[str]:
        return self.repo.commits(f"{self.base_sha}..{self.head_sha}")

    def try_merge(self) -> None:
        """What GitHub does when somebody looks: the first look finds null, later ones the result."""
        now = (self.head_sha, self.repo.tip(self.base))
        if self.tested != now:
            self.tested, self.mergeable = now, None
        elif self.mergeable is None:
            tree = self.repo.merged(now[1], now[0])
            self.mergeable = bool(tree)
            if tree:
                self.merge_commit = self.repo.commit_tree(
                    tree, [now[1], now[0]], f"Merge {now[0]} into {now[1]}"
                )
                self.repo.git("update-ref", f"refs/pull/{self.number}/merge", self.merge_commit)
