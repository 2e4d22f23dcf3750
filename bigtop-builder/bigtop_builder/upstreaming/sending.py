# SPDX-License-Identifier: Apache-2.0
"""A proposal on its way to GitHub: what is there is looked at, and what is left is done.

What others pushed, closed or wrote is told, and left.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from bigtop_builder.errors import CheckFailed, UpstreamError
from bigtop_builder.git_index import Index
from bigtop_builder.patches.facts import PatchFacts
from bigtop_builder.projects import UpstreamProject
from bigtop_builder.settings import Settings
from bigtop_builder.upstreaming.answers import Pull, Repository
from bigtop_builder.upstreaming.fork import Fork, made_fork, require_own_host
from bigtop_builder.upstreaming.github import GitHub
from bigtop_builder.upstreaming.outcome import OURS, SHORT
from bigtop_builder.upstreaming.proposal import Kept, Proposal, Sent
from bigtop_builder.upstreaming.pull_state import PullUrl
from bigtop_builder.upstreaming.refusal import NotFound, Unprocessable
from bigtop_builder.upstreaming.token import Token

log = logging.getLogger(__name__)

Record = Callable[[dict[str, Any]], None]
"""Writes keys of `[upstream]` and their values into the patch's `patch.toml`."""
SYNC: Final = "bigtop-builder upstream sync records what became of it"


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """What was sent, or would be.

    Attributes:
        patch: `target/name`.
        steps: What was done, or would be, one after another; empty if all is there already.
        notes: What was found and left as it is.
        url: The pull request, or the ticket; empty if it is not there yet.
        sent: Whether the steps were done.
    """

    patch: str
    steps: tuple[str, ...]
    notes: tuple[str, ...]
    url: str
    sent: bool


@dataclass(frozen=True, kw_only=True)
class Sending:
    """One proposal on its way to GitHub.

    Attributes:
        proposal: What is sent.
        facts: What `patch.toml` says of the patch: its branch, and the commit that was pushed there last.
        upstream: The project that it goes to.
        github: That project's, as the token's owner.
        token: May push to the fork.
        index: Has the proposal's commit.
        kept: Knows what was sent before.
        settings: For the proxy, and how long a new fork is waited for.
        send: Do it; else nothing is written, here or there.
        record: Records what was proved.
        steps: What was done, or would be.
        notes: What was found and left.
    """

    proposal: Proposal
    facts: PatchFacts
    upstream: UpstreamProject
    github: GitHub
    token: Token = field(repr=False)
    index: Index
    kept: Kept
    settings: Settings
    send: bool
    record: Record
    steps: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def run(self) -> Submitted:
        """Look, and do what is left to do.

        Raises:
            CheckFailed: Somebody else pushed to the branch; the pull request is merged, closed, to another base, or
                of a fork that is gone.
            UpstreamError: GitHub cannot be asked, or refuses; or what has the fork's name is none.
        """
        login = self.github.user().login
        owner = self.facts.upstream.branch.partition(":")[0] or login
        repository = self.github.repository(self.upstream.place.name)
        name, head = repository.full_name, f"{owner}:{self.proposal.branch}"
        if repository.archived:
            hint = "name the one that goes on in patches/upstream.toml"
            raise UpstreamError(f"{name} is archived: nothing can be sent there", hint=hint)
        there = self._open(name, head)
        fork = self._fork(repository, owner, login)
        self._push(fork, owner)
        pull = self._pull(name, head, there)
        if pull:
            self._settle(pull, head)
        return Submitted(
            patch=self.proposal.patch,
            steps=tuple(self.steps),
            notes=tuple(self.notes),
            url=pull.html_url if pull else "",
            sent=self.send,
        )

    def _open(self, name: str, head: str) -> Pull | None:
        """The open pull request; None if there was none ever."""
        pulls = self.github.pulls(name, head=head)
        found = next((one for one in pulls if one.state == "open"), None)
        if found is None and not pulls:
            found = self._named_before(name, head)
        if found and found.head.repo is None:
            raise CheckFailed(
                f"{found.html_url} cannot be updated: its fork is gone, and a new one is not part of it",
                hint=f"write another branch into patch.toml, [upstream], as in branch = '{another(head)}': that "
                "opens a new one; and close this one on GitHub",
            )
        if found and found.base.ref != self.proposal.base:
            raise CheckFailed(
                f"{found.html_url} is open to {found.base.ref}, and this is for {self.proposal.base}",
                hint="change its base on GitHub, or `base` of the project in patches/upstream.toml",
            )
        if found or not pulls:
            return found
        last = pulls[0]
        if last.merged:
            raise CheckFailed(f"{last.html_url} is merged: there is nothing to send", hint=SYNC)
        closing = self.github.closing(name, last.number)
        if closing and closing.commit_id:
            raise CheckFailed(
                f"{last.html_url} was closed by commit {closing.commit_id}: there is nothing to send",
                hint=SYNC,
            )
        who = f" by {closing.actor.login}" if closing and closing.actor else ""
        when = f" on {last.closed_at:%Y-%m-%d}" if last.closed_at else ""
        raise CheckFailed(
            f"{last.html_url} was closed{who}{when}; patch.toml is unchanged",
            hint="reopen it on GitHub and run this again; or write into patch.toml, [upstream], "
            f"branch = '{another(head)}' for a new one, or state = 'closed' and why",
        )

    def _named_before(self, name: str, head: str) -> Pull | None:
        """The open pull request that patch.toml names, if it is of this branch; one of another branch is told."""
        url = PullUrl.parse(self.facts.upstream.url)
        if url is None:
            return None
        try:
            there = self.github.pull(url.name, url.number)
        except NotFound:
            return None
        if there.state != "open" or there.base.repo is None or there.base.repo.full_name != name:
            return None
        if there.head.label.casefold() == head.casefold():
            return there
        self.notes.append(
            f"{there.html_url} of {there.head.label} stays open beside the new one of {head}: close it on GitHub"
        )
        return None

    def _fork(self, repository: Repository, owner: str, login: str) -> Fork | None:
        """Where the branch goes; None if that would have to be made first."""
        name = repository.full_name
        own = owner.casefold() == repository.owner.login.casefold()
        there = repository if own else self.github.find_fork(name, owner)
        new = there is None
        if there is None:
            self._step(f"fork {name} for {owner}")
            if not self.send:
                return None
            organization = "" if owner.casefold() == login.casefold() else owner
            there = made_fork(self.github, name, organization=organization, settings=self.settings)
        require_own_host(there, self.upstream.place.host, self.settings)
        return Fork(repository=there, index=self.index, token=self.token, settings=self.settings, new=new)

    def _push(self, fork: Fork | None, owner: str) -> None:
        """Push the commit, unless it is there. A branch that has a commit of somebody else's is left."""
        branch, commit = self.proposal.branch, self.proposal.commit
        tip = fork.tip(branch) if fork else ""
        if tip == commit:
            return
        sent = self.kept.sent()
        if fork and tip and tip not in {self.facts.upstream.head, *sent.heads}:
            raise self._others(fork, tip)
        where = fork.repository.full_name if fork else f"the fork of {owner}"
        instead = f" in place of {tip[:SHORT]}" if tip else ""
        self._step(f"push {commit[:SHORT]} to {branch} of {where}{instead}")
        if self.send and fork:
            self.kept.put(sent.model_copy(update={"heads": tuple(dict.fromkeys((*sent.heads, commit)))}))
            fork.push(commit, branch, instead_of=tip)

    def _others(self, fork: Fork, tip: str) -> CheckFailed:
        """The error for a branch whose commit was not pushed from here."""
        branch, name = self.proposal.branch, fork.repository.full_name
        if branch == fork.repository.default_branch:
            return CheckFailed(
                f"{branch} is the default branch of {name}: nothing is pushed in place of what it has",
                hint="write a branch of the patch's own into patch.toml, [upstream], as `branch`, or leave that out",
            )
        return CheckFailed(
            f"somebody else pushed to {branch} of {name}: {self._named(fork, tip)}",
            details=f"pushed from here: {self.facts.upstream.head or 'nothing'}",
            hint="take what you want of their change into the patch, and write that commit into patch.toml, "
            "[upstream], as `head`: the patch is then pushed in its place. Do not delete the branch: that closes its "
            "pull request",
        )

    def _named(self, fork: Fork, commit: str) -> str:
        """A commit with its subject, if it can be read."""
        try:
            found = self.github.commit(fork.repository.full_name, commit)
        except (NotFound, Unprocessable):
            return commit
        return f"{commit} {found.commit.message.partition(chr(10))[0]}"

    def _pull(self, name: str, head: str, there: Pull | None) -> Pull | None:
        """The pull request with the proposal's title and text; None if it would have to be opened."""
        proposal, sent = self.proposal, self.kept.sent()
        if there is None:
            self._step(f"open a pull request of {head} to {name}, {proposal.base}: {proposal.title}")
            if not self.send:
                return None
            there = self.github.open_pull(
                name, head=head, base=proposal.base, title=proposal.title, body=proposal.body
            )
        wanted, has = (proposal.title, proposal.body), (there.title, there.body or "")
        if _same(wanted, has):
            return self._told(there)
        if sent.title and not _same((sent.title, sent.body), has):
            if not _same((sent.title, sent.body), wanted):
                self.notes.append(
                    f"title or text of {there.html_url} were changed on GitHub, and are left as they are; "
                    f"{self.kept.folder} has ours"
                )
            return there
        self._step(f"change title and text of {there.html_url}")
        if not self.send:
            return there
        return self._told(self.github.update_pull(name, there.number, title=wanted[0], body=wanted[1]))

    def _told(self, pull: Pull) -> Pull:
        """Keep what title and text were sent."""
        if self.send:
            proposal, sent = self.proposal, self.kept.sent()
            self.kept.put(sent.model_copy(update={"title": proposal.title, "body": proposal.body}))
        return pull

    def _settle(self, pull: Pull, head: str) -> None:
        """Record what GitHub's answer and git proved; it is a step where nothing else is left to do."""
        was, values = self.facts.upstream, self._proved(pull, head)
        if not self.steps and any(value != getattr(was, key) for key, value in values.items()):
            self._step(f"record {pull.html_url} in patch.toml")
        if self.send:
            self.record(values)
            texts = self.kept.sent()
            self.kept.put(Sent(heads=(self.proposal.commit,), title=texts.title, body=texts.body))

    def _proved(self, pull: Pull, head: str) -> dict[str, str]:
        """Keys of `[upstream]` and their values. What became of an earlier pull request goes."""
        was = self.facts.upstream
        gone = {"why": OURS.fullmatch(was.why), "review": was.review and was.url != pull.html_url}
        return {
            "state": "pr-open",
            "url": pull.html_url,
            "branch": head,
            "head": self.proposal.commit,
            "base": pull.base.ref,
            "opened": pull.opened,
            **{key: "" for key, holds in gone.items() if holds},
        }

    def _step(self, text: str) -> None:
        if self.send:
            log.info("%s: %s", self.proposal.patch, text)
        self.steps.append(text)


def another(head: str) -> str:
    """A branch beside one that a pull request was of, as `owner:branch`."""
    return f"{head}-2"


def _same(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether two titles and texts are the same; GitHub ends lines as in mails, and drops white space at the end."""
    return _plain(one) == _plain(other)


def _plain(texts: tuple[str, str]) -> list[str]:
    return [text.replace("\r\n", "\n").strip() for text in texts]
