# SPDX-License-Identifier: Apache-2.0
"""How pull requests come about, follow what is pushed, and end."""

import re
from datetime import datetime

from github.accounts import Account, invalid
from github.pull import Event, Pull
from github.repositories import Repository

CLOSING = re.compile(r"(?i)\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+#(\d+)")
"""Words of a commit on the default branch that close a pull request (GitHub's "Linking a pull request")."""
MENTIONING = re.compile(r"(?<!\w)#(\d+)\b")
LONGEST_TITLE, LONGEST_BODY = 256, 65536


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
        self.fetch(pull, tip, named=False)
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
        self._check_new(pull, head_repo)
        self.fetch(pull, head_sha)
        repo.next_number += 1
        self.all.append(pull)
        self.seen.setdefault(repo, repo.refs())
        return pull

    def _check_new(self, pull: Pull, head_repo: Repository) -> None:
        """Refuse one that says nothing new, or that its author may not open so."""
        repo, label = pull.repo, f"{pull.repo.owner.login}:{pull.base}"
        if any(other.label == pull.label and other.base == pull.base for other in self.open_in(repo)):
            raise invalid(f"A pull request already exists for {pull.label}.")
        self.fetch(pull, pull.head_sha, named=False)
        if not repo.succeeds("merge-base", pull.base_sha, pull.head_sha):
            raise invalid(f"The {label} branch has no history in common with {pull.label}")
        if repo.contains(pull.base_sha, pull.head_sha):
            raise invalid(f"No commits between {label} and {pull.label}")
        if pull.maintainer_can_modify and not head_repo.may_push(pull.author):
            raise invalid("Fork collab can't be granted by someone without permission", name="fork_collab")

    def fetch(self, pull: Pull, commit: str, *, named: bool = True) -> None:
        """Bring a commit of its branch's repository into the base's, as `refs/pull/N/head` if it is `named`."""
        assert pull.head_repo is not None
        ref = f"+{commit}:refs/pull/{pull.number}/head" if named else commit
        pull.repo.git("fetch", "--quiet", "--no-tags", pull.head_repo.path, ref)

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
        """A branch went on: whose commits are in it is merged, whom a commit's words close is closed."""
        tip = repo.tip(branch)
        for pull in self.open_in(repo):
            if pull.base == branch and repo.contains(tip, pull.head_sha):
                self.merge(pull, actor, at, tip)
        for commit in repo.commits(f"{old}..{tip}"):
            text = repo.show(commit, "%B")
            closing = {*CLOSING.findall(text)} if branch == repo.default_branch else set()
            for number in dict.fromkeys(MENTIONING.findall(text)):
                named = self.numbered(repo, int(number))
                if named is None or named.merge_commit == commit:
                    continue
                if number in closing and not named.closed_at:
                    self.close(named, actor, at, commit)
                else:
                    self.happened(named, "referenced", actor, at, commit)


def check_text(title: str, body: str | None) -> None:
    """Refuse what is too long, as GitHub does."""
    for name, text, most in (("title", title, LONGEST_TITLE), ("body", body or "", LONGEST_BODY)):
        if len(text) > most:
            raise invalid(f"{name} is too long (maximum is {most} characters)", name=name)
    if not title:
        raise invalid(code="missing_field", name="title")
