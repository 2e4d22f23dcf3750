# SPDX-License-Identifier: Apache-2.0
"""`upstream submit`: a proposal becomes a branch of the fork and a pull request, or its next state.

What is there is looked at first, so that the same command can be run again at any time: after it was killed, it
completes what it began. What others pushed, closed or wrote is told, and left.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC
from functools import partial
from typing import Any, Final

from bigtop_builder.errors import CheckFailed, InputError, UpstreamError
from bigtop_builder.git_index import Index
from bigtop_builder.mirror import Mirror
from bigtop_builder.patches.facts import PatchFacts, with_facts
from bigtop_builder.patches.queue import FACTS, load_entry
from bigtop_builder.schema import counted
from bigtop_builder.settings import Settings
from bigtop_builder.upkeep.change import changing
from bigtop_builder.upstreaming.answers import Pull, Repository
from bigtop_builder.upstreaming.fork import Fork, made_fork, require_own_host
from bigtop_builder.upstreaming.github import GitHub
from bigtop_builder.upstreaming.prepare import Prepared
from bigtop_builder.upstreaming.projects import UpstreamProject, load_projects
from bigtop_builder.upstreaming.proposal import Kept, Proposal, Sent
from bigtop_builder.upstreaming.refusal import NotFound, Unprocessable
from bigtop_builder.upstreaming.token import Token, require_token
from bigtop_builder.workspace import Project, Workspace

log = logging.getLogger(__name__)

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


def submit(
    prepared: Prepared,
    *,
    send: bool,
    attached: bool = False,
    despite: bool = False,
    project: Project,
    settings: Settings,
) -> Submitted:
    """Send a proposal, or say what that would do.

    Args:
        prepared: The proposal.
        send: Do it. Else nothing is written, here or there; what is there is read all the same.
        attached: The user has attached the patch to its ticket.
        despite: Send it though checks found errors.
        project: Has the queue.
        settings: Site settings.

    Raises:
        InputError: Its state in `patch.toml` says that it is not to be sent.
        CheckFailed: Checks found errors, or somebody else pushed, closed or merged it.
        UpstreamError: GitHub cannot be asked, or refuses.
    """
    proposal = prepared.proposal
    entry = load_entry(project.patches, proposal.patch)
    _require_open(proposal, entry.facts)
    if send and proposal.errors and not despite:
        raise CheckFailed(
            f"{proposal.patch}: {counted(len(proposal.errors), 'error')} in what upstream would get",
            details="\n".join(map(str, proposal.errors)),
            hint="mend them, or send it all the same with --despite-findings",
        )
    record = partial(_record, proposal.patch, project)
    if attached and not proposal.by_ticket:
        raise InputError(
            f"{proposal.patch} is sent as a pull request: there is nothing to attach",
            hint="leave --attached out",
        )
    if proposal.by_ticket:
        return _by_ticket(proposal, record, facts=entry.facts, done=send and attached)
    upstream = load_projects(project.patches).of(entry.target)
    token = require_token(upstream.place.host, settings)
    workspace = Workspace(settings.cache_dir)
    mirror = Mirror.ensure(upstream.repository, proposal.base_commit, workspace=workspace, settings=settings)
    with (
        GitHub(upstream.place.host, settings=settings, token=token) as github,
        Index.temporary(mirror, workspace.objects) as index,
    ):
        sending = _Sending(
            proposal=proposal,
            facts=entry.facts,
            upstream=upstream,
            github=github,
            token=token,
            index=index,
            kept=Kept.of(project, proposal.patch),
            settings=settings,
            send=send,
            record=record,
        )
        if not send and proposal.errors:
            sending.notes.append(
                f"checks found {counted(len(proposal.errors), 'error')}, which upstream prepare shows: --yes alone "
                "sends nothing"
            )
        return sending.run()


@dataclass(frozen=True, kw_only=True)
class _Sending:
    """One proposal on its way to GitHub.

    Attributes:
        record: Writes keys of `[upstream]` in `patch.toml`.
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
    record: Callable[[dict[str, Any]], None]
    steps: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def run(self) -> Submitted:
        """Look, and do what is left to do."""
        login = self.github.user().login
        owner = self.facts.upstream.branch.partition(":")[0] or login
        repository = self.github.repository(self.upstream.place.name)
        name, head = repository.full_name, f"{owner}:{self.proposal.branch}"
        if repository.archived:
            hint = "name the one that goes on in patches/upstream.toml"
            raise UpstreamError(f"{name} is archived: nothing can be sent there", hint=hint)
        there = self._open(name, self.github.pulls(name, head=head))
        fork = self._fork(repository, owner, login)
        self._push(fork, owner)
        pull = self._pull(name, head, there)
        if self.send and pull:
            self._settle(pull, head)
        return Submitted(
            patch=self.proposal.patch,
            steps=tuple(self.steps),
            notes=tuple(self.notes),
            url=pull.html_url if pull else "",
            sent=self.send,
        )

    def _open(self, name: str, pulls: tuple[Pull, ...]) -> Pull | None:
        """The open pull request; None if there was none ever."""
        found = next((one for one in pulls if one.state == "open"), None)
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
        closing = [one for one in self.github.events(name, last.number) if one.event == "closed"]
        if closing and closing[-1].commit_id:
            raise CheckFailed(
                f"{last.html_url} was closed by commit {closing[-1].commit_id}: there is nothing to send",
                hint=SYNC,
            )
        actor = closing[-1].actor if closing else None
        who = f" by {actor.login}" if actor else ""
        when = f" on {last.closed_at:%Y-%m-%d}" if last.closed_at else ""
        raise CheckFailed(
            f"{last.html_url} was closed{who}{when}; patch.toml is unchanged",
            hint="reopen it on GitHub and run this again; or write into patch.toml, [upstream], state = 'closed' and "
            "why, or another `branch` as in 'owner:branch' for a new one",
        )

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
            raise CheckFailed(
                f"somebody else pushed to {branch} of {fork.repository.full_name}: {self._named(fork, tip)}",
                details=f"pushed from here: {self.facts.upstream.head or 'nothing'}",
                hint="take their change into the patch, and write that commit into patch.toml, [upstream], as "
                "`head`; or delete the branch on GitHub if it is not wanted",
            )
        where = fork.repository.full_name if fork else f"the fork of {owner}"
        instead = f" in place of {tip[:12]}" if tip else ""
        self._step(f"push {commit[:12]} to {branch} of {where}{instead}")
        if self.send and fork:
            self.kept.put(sent.model_copy(update={"heads": tuple(dict.fromkeys((*sent.heads, commit)))}))
            fork.push(commit, branch, instead_of=tip)

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
        """Record what GitHub's answer and git proved."""
        self.record(
            {
                "state": "pr-open",
                "url": pull.html_url,
                "branch": head,
                "head": self.proposal.commit,
                "base": pull.base.ref,
                "opened": pull.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )
        self.kept.put(
            Sent(heads=(self.proposal.commit,), title=self.kept.sent().title, body=self.kept.sent().body)
        )

    def _step(self, text: str) -> None:
        log.info("%s: %s%s", self.proposal.patch, "" if self.send else "would ", text)
        self.steps.append(text)


def _same(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether two titles and texts are the same; GitHub ends lines as in mails, and drops white space at the end."""
    return _plain(one) == _plain(other)


def _plain(texts: tuple[str, str]) -> list[str]:
    return [text.replace("\r\n", "\n").strip() for text in texts]


def _by_ticket(
    proposal: Proposal, record: Callable[[dict[str, Any]], None], *, facts: PatchFacts, done: bool
) -> Submitted:
    """What a person does; once they say that they have, the ticket is where it stands."""
    if done:
        record({"state": "ticket", "url": proposal.ticket_url})
    notes = () if done else ("run it with --yes --attached once the patch is attached",)
    url = proposal.ticket_url if done or facts.upstream.state == "ticket" else ""
    return Submitted(patch=proposal.patch, steps=proposal.steps, notes=notes, url=url, sent=done)


def _require_open(proposal: Proposal, facts: PatchFacts) -> None:
    """Raise unless the patch's state lets it be sent."""
    said = {
        "local-only": "it is to stay here",
        "merged": f"upstream has it ({facts.upstream.commit or facts.upstream.url})",
        "closed": "upstream does not want it",
    }
    if why := said.get(facts.upstream.state):
        reason = f": {facts.upstream.why}" if facts.upstream.why else ""
        raise InputError(
            f"{proposal.patch} is not sent: {why}, says {FACTS}{reason}",
            hint=f"if that has changed, write state = 'to-forward' into [upstream] of its {FACTS}",
        )


def _record(patch_id: str, project: Project, values: dict[str, Any]) -> None:
    """Write keys of `[upstream]` of a patch; its comments and layout stay."""
    with changing(project) as change:
        file = load_entry(project.patches, patch_id).folder / FACTS
        change.edit(file, partial(with_facts, changes={"upstream": values}))
