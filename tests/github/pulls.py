# SPDX-License-Identifier: Apache-2.0
"""Pull requests: how they come about, follow their branches, and end."""

import re
from dataclasses import dataclass, field
from datetime import datetime

from github.accounts import Account, invalid
from github.repositories import Repository

CLOSING = re.compile(r"(?i)\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+#(\d+)")
"""Words of a commit on the default branch that close a pull request (GitHub's "Linking a pull request")."""
LONGEST_TITLE, LONGEST_BODY = 256, 65536


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
        if self.tested == now:
            tree = self.repo.merged(now[1], now[0])
            self.mergeable = bool(tree)
            if tree:
                self.merge_commit = self.repo.commit_tree(
                    tree, [now[1], now[0]], f"Merge {now[0]} into {now[1]}"
                )
                self.repo.git("update-ref", f"refs/pull/{self.number}/merge", self.merge_commit)
        else:
            self.tested, self.mergeable = now, None


class Pulls:
    """All pull requests of a site, and how they follow what is pushed."""

    def __init__(self) -> None:
        self.all: list[Pull] = []
        self.seen: dict[Repository, dict[str, str]] = {}
        self.last_id = 1000

    def new_id(self) -> int:
        self.last_id += 1
        return self.last_id

    def of(self, repository: Repository) -> list[Pull]:
        return [pull for pull in self.all if pull.repo is repository]

    def numbered(self, repository: Repository, number: int) -> Pull | None:
        return next((pull for pull in self.of(repository) if pull.number == number), None)

    def happened(
        self, pull: Pull, kind: str, actor: Account, at: datetime, commit: str | None = None
    ) -> None:
        pull.events.append(Event(id=self.new_id(), kind=kind, actor=actor, at=at, commit=commit))
        pull.updated_at = at

    def close(self, pull: Pull, actor: Account, at: datetime, commit: str | None = None) -> None:
        pull.closed_at, pull.closed_by = at, actor
        self.happened(pull, "closed", actor, at, commit)

    def merge(self, pull: Pull, actor: Account, at: datetime, commit: str) -> None:
        pull.merged_at, pull.merged_by, pull.merge_commit = at, actor, commit
        self.happened(pull, "merged", actor, at, commit)
        self.close(pull, actor, at)

    def reopen(self, pull: Pull, actor: Account, at: datetime) -> None:
        """Open a closed one again.

        Raises:
            Refused: GitHub refuses: it is merged, its branch is gone or was rewritten, or it has a successor.
        """
        tip = pull.head_repo.tip(pull.head) if pull.head_repo else ""
        why = "state cannot be changed. "
        if pull.merged_at:
            raise invalid(why + "The pull request is already merged.", name="state")
        if not tip:
            raise invalid(why + f"The {pull.head} branch has been deleted.", name="state")
        self.fetch(pull, tip, "refs/pull/reopening")
        if not pull.repo.contains(tip, pull.head_sha):
            raise invalid(why + f"The {pull.head} branch was force-pushed or recreated.", name="state")
        if any(other.label == pull.label and other.base == pull.base for other in self.open_in(pull.repo)):
            raise invalid(why + f"There is already an open pull request from {pull.label}.", name="state")
        pull.closed_at = pull.closed_by = None
        self.happened(pull, "reopened", actor, at)

    def open_in(self, repository: Repository) -> list[Pull]:
        return [pull for pull in self.of(repository) if not pull.closed_at]

    def create(
        self,
        repo: Repository,
        head_repo: Repository | None,
        *,
        head: str,
        base: str,
        title: str,
        body: str | None,
        author: Account,
        at: datetime,
        draft: bool = False,
        maintainer_can_modify: bool | None = None,
    ) -> Pull:
        """Open one.

        Raises:
            Refused: GitHub refuses it.
        """
        base_sha = repo.tip(base)
        head_sha = head_repo.tip(head) if head_repo else ""
        if not base_sha:
            raise invalid(code="invalid", name="base")
        if head_repo is None or not head_sha or head_repo.source is not repo.source:
            raise invalid(code="invalid", name="head")
        check_text(title, body)
        pull = Pull(
            id=self.new_id(),
            number=repo.next_number,
            repo=repo,
            base=base,
            base_sha=base_sha,
            head_owner=head_repo.owner,
            head_repo=head_repo,
            head=head,
            head_sha=head_sha,
            author=author,
            title=title,
            body=body,
            created_at=at,
            updated_at=at,
            draft=draft,
            maintainer_can_modify=head_repo is not repo and maintainer_can_modify is not False,
        )
        if any(other.label == pull.label and other.base == base for other in self.open_in(repo)):
            raise invalid(f"A pull request already exists for {pull.label}.")
        label = f"{repo.owner.login}:{base}"
        self.fetch(pull, head_sha, "refs/pull/opening")
        if not repo.succeeds("merge-base", base_sha, head_sha):
            raise invalid(f"The {label} branch has no history in common with {pull.label}")
        if repo.contains(base_sha, head_sha):
            raise invalid(f"No commits between {label} and {pull.label}")
        if pull.maintainer_can_modify and not head_repo.may_push(author):
            raise invalid("Fork collab can't be granted by someone without permission", name="fork_collab")
        self.fetch(pull, head_sha)
        repo.next_number += 1
        self.all.append(pull)
        self.seen.setdefault(repo, repo.refs())
        return pull

    def fetch(self, pull: Pull, commit: str, ref: str = "") -> None:
        """Bring a commit of its branch's repository into the base's, as `refs/pull/N/head` unless said."""
        assert pull.head_repo is not None
        ref = ref or f"refs/pull/{pull.number}/head"
        pull.repo.git("fetch", "--quiet", "--no-tags", pull.head_repo.path, f"+{commit}:{ref}")

    def settle(self, actor: Account, at: datetime) -> None:
        """Let pull requests follow what was pushed since, by whom that was."""
        for repository in {pull.repo for pull in self.all}:
            for pull in self.open_in(repository):
                self._follow(pull, actor, at)
            old, new = self.seen[repository], repository.refs()
            self.seen[repository] = new
            for branch in new.keys() & old.keys():
                if old[branch] != new[branch]:
                    self._landed(repository, branch, old[branch], actor, at)

    def _follow(self, pull: Pull, actor: Account, at: datetime) -> None:
        if pull.head_repo is None:
            return
        tip = pull.head_repo.tip(pull.head)
        if not tip:
            self.happened(pull, "head_ref_deleted", actor, at)
            self.close(pull, actor, at)
        elif tip != pull.head_sha:
            self.fetch(pull, tip)
            if not pull.repo.contains(tip, pull.head_sha):
                self.happened(pull, "head_ref_force_pushed", actor, at, tip)
            pull.head_sha, pull.base_sha, pull.updated_at = tip, pull.repo.tip(pull.base), at

    def _landed(self, repo: Repository, branch: str, old: str, actor: Account, at: datetime) -> None:
        """A base branch went on: whose commits are in it is merged, whom a commit's words close is closed."""
        tip = repo.tip(branch)
        for pull in self.open_in(repo):
            if pull.base == branch and repo.contains(tip, pull.head_sha):
                self.merge(pull, actor, at, tip)
        for commit in repo.commits(f"{old}..{tip}") if branch == repo.default_branch else ():
            for number in CLOSING.findall(repo.show(commit, "%B")):
                named = self.numbered(repo, int(number))
                if named is not None and not named.closed_at:
                    self.close(named, actor, at, commit)


def check_text(title: str, body: str | None) -> None:
    """Refuse what is too long, as GitHub does."""
    for name, text, most in (("title", title, LONGEST_TITLE), ("body", body or "", LONGEST_BODY)):
        if len(text) > most:
            raise invalid(f"{name} is too long (maximum is {most} characters)", name=name)
    if not title:
        raise invalid(code="missing_field", name="title")
