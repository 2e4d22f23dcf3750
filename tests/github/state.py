# SPDX-License-Identifier: Apache-2.0
"""All that a site has: accounts, tokens, repositories, pull requests, rate limits, and its clock."""

import secrets
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from github.accounts import Account, Token, missing
from github.pulls import Pulls
from github.repositories import Repository, new_repository

HOUR = 3600


@dataclass(kw_only=True)
class Rate:
    """Requests that an account has left.

    Attributes:
        reset: When it has all again, in seconds since 1970.
    """

    limit: int
    remaining: int
    reset: int


@dataclass
class State:
    """What a site has.

    Attributes:
        folder: Where its repositories lie.
        enterprise: Whether it is a GitHub Enterprise Server: its API is below /api/v3, without rate limits.
        fork_delay: How many looks at a new fork find nothing.
        now: Its clock.
        lock: Held while a request is answered.
    """

    folder: Path
    enterprise: bool = False
    fork_delay: int = 0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    accounts: dict[str, Account] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    repositories: list[Repository] = field(default_factory=list)
    pulls: Pulls = field(default_factory=Pulls)
    rates: dict[str, Rate] = field(default_factory=dict)
    last_repository: int = 1300000
    lock: threading.RLock = field(default_factory=threading.RLock)

    def create(
        self, name: str, *, branch: str = "main", source: Path | None = None, private: bool = False
    ) -> Repository:
        """A repository that is no fork, of an organisation if its owner is new.

        Args:
            name: `owner/name`.
            branch: Its default branch.
            source: A repository whose branches and tags it starts with; else it has one commit.
            private: Whether only those see it that may push.
        """
        owner, _, base = name.partition("/")
        account = self.account(owner, "Organization")
        made = self.add(account, base, branch=branch, source=source, private=private)
        if source is None:
            readme = made.tree_with("", {"README.md": f"{base}\n"})
            made.move(branch, made.commit_tree(readme, [], "Initial commit\n"))
        return made

    def delete(self, name: str) -> None:
        """Delete a repository; open pull requests of its branches stay, without it."""
        repo = self.repository(name)
        self.repositories.remove(repo)
        for pull in self.pulls.all:
            if pull.head_repo is repo:
                pull.head_repo = None
        shutil.rmtree(repo.path)

    def rename(self, name: str, new: str) -> None:
        """Give a repository another name (and owner, if it is written); the old one leads there."""
        repo = self.repository(name)
        owner, _, base = new.rpartition("/")
        repo.renamed.append(repo.full_name)
        repo.name, repo.owner = base, self.account(owner) if owner else repo.owner

    def repository(self, name: str) -> Repository:
        """By `owner/name`."""
        found = self.find(name)
        assert found is not None, f"{name} is no repository of this site"
        return found

    def token(
        self,
        login: str,
        *,
        scopes: tuple[str, ...] = ("public_repo",),
        fine: bool = False,
        writes: bool = True,
        expired: bool = False,
    ) -> str:
        """A token of an account: classic with scopes, or (`fine`) fine-grained."""
        value = f"{'github_pat_' if fine else 'ghp_'}{secrets.token_hex(18)}"
        account = self.account(login)
        self.tokens[value] = Token(
            value=value, account=account, scopes=scopes, fine=fine, writes=writes, expired=expired
        )
        return value

    def expire(self, token: str) -> None:
        """Let a token's time be over."""
        self.tokens[token] = replace(self.tokens[token], expired=True)

    def limit(self, login: str, *, remaining: int, resets_in: int) -> None:
        """Set how many requests an account (empty: those without one) has left, and for how many seconds."""
        now = int(self.now().timestamp())
        self.rates[login] = Rate(limit=5000 if login else 60, remaining=remaining, reset=now + resets_in)

    def account(self, login: str, kind: str = "User") -> Account:
        """An account, made when it is named first."""
        new = Account(id=len(self.accounts) + 1, login=login, kind=kind)
        return self.accounts.setdefault(login.lower(), new)

    def add(
        self,
        owner: Account,
        name: str,
        *,
        branch: str,
        source: Path | None = None,
        parent: Repository | None = None,
        private: bool = False,
    ) -> Repository:
        self.last_repository = number = self.last_repository + 1
        path = self.folder / f"{number}.git"
        new_repository(path, branch=branch, source=source, alternates=parent is not None)
        made = Repository(
            id=number,
            owner=owner,
            name=name,
            path=path,
            default_branch=branch,
            private=private,
            parent=parent,
            created_at=self.now(),
        )
        for other in self.repositories:  # a new repository takes a name that an old one was renamed from
            other.renamed = [old for old in other.renamed if old.lower() != made.full_name.lower()]
        self.repositories.append(made)
        return made

    def find(self, name: str) -> Repository | None:
        """By `owner/name`, now or before; names of GitHub are the same in upper and lower case."""
        for names in (lambda repo: [repo.full_name], lambda repo: repo.renamed):
            for repo in self.repositories:
                if name.lower() in [each.lower() for each in names(repo)]:
                    return repo
        return None

    def seen_by(self, name: str, account: Account | None) -> Repository:
        """What somebody finds under a name, or a name of former times.

        Raises:
            Refused: 404, for one that may not be seen too.
        """
        found = self.find(name)
        if found is not None and found.hidden:
            found.hidden -= 1
            found = None
        if found is None or not found.may_see(account):
            raise missing()
        return found

    def fork(self, parent: Repository, owner: Account, name: str = "") -> Repository:
        """The owner's fork: the one there is, or a new one, with a number behind its name where that is taken."""
        for repo in self.repositories:
            if repo.owner == owner and repo.parent is not None and repo.source is parent.source:
                return repo
        wanted = name = name or parent.name
        number = 0
        while self.find(f"{owner.login}/{name}"):
            number += 1
            name = f"{wanted}-{number}"
        made = self.add(owner, name, branch=parent.default_branch, source=parent.path, parent=parent)
        made.hidden = self.fork_delay
        return made

    def in_network(self, repo: Repository, owner: str, name: str = "") -> Repository | None:
        """The repository of an owner that is a fork of another's, or shares its root."""
        named = name.lower()
        for other in self.repositories:
            if other.source is not repo.source or other.owner.login.lower() != owner.lower():
                continue
            if not named or named in {other.name.lower(), other.full_name.lower()}:
                return other
        return None

    def rate(self, account: Account | None) -> Rate:
        """What an account has left this hour; those without one share theirs."""
        limit = 5000 if account else 60
        key, now = (account.login if account else ""), int(self.now().timestamp())
        found = self.rates.get(key)
        if found is None or found.reset <= now:
            found = self.rates[key] = Rate(limit=limit, remaining=limit, reset=now + HOUR)
        return found

    def settle(self, actor: Account | None = None) -> None:
        """Let pull requests follow what was pushed, by `actor` if it is known."""
        self.pulls.settle(actor or self.account("ghost"), self.now())

    def in_days(self, days: float) -> None:
        """Set the clock forward."""
        before = self.now
        self.now = lambda: before() + timedelta(days=days)
