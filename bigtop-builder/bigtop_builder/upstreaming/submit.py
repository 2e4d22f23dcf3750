# SPDX-License-Identifier: Apache-2.0
"""`upstream submit`: a proposal becomes a branch of the fork and a pull request, or its next state.

The same command can be run again at any time: after it was killed, it completes what it began.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.git_index import Index
from bigtop_builder.mirror import Mirror
from bigtop_builder.patches.facts import PatchFacts, Upstream, with_facts
from bigtop_builder.patches.queue import FACTS, Entry, load_entry
from bigtop_builder.projects import UpstreamProject, load_projects
from bigtop_builder.schema import counted
from bigtop_builder.settings import Settings
from bigtop_builder.upkeep.change import changing
from bigtop_builder.upstreaming.github import GitHub
from bigtop_builder.upstreaming.jira import read_ticket
from bigtop_builder.upstreaming.outcome import SHORT
from bigtop_builder.upstreaming.prepare import Prepared
from bigtop_builder.upstreaming.proposal import Kept, Proposal
from bigtop_builder.upstreaming.sending import Record, Sending, Submitted, another
from bigtop_builder.upstreaming.token import MANUAL, find_token, require_token
from bigtop_builder.workspace import Project, Workspace


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
        despite: Send it though checks found errors, and whatever its ticket is.
        project: Has the queue.
        settings: Site settings.

    Raises:
        InputError: Its state in `patch.toml` says that it is not to be sent.
        CheckFailed: Checks found errors, its ticket does not exist, or somebody else pushed, closed or merged it.
        UpstreamError: GitHub cannot be asked, or refuses.
    """
    proposal = prepared.proposal
    entry = load_entry(project.patches, proposal.patch)
    _require_open(proposal, entry.facts)
    _require_fit(proposal, send=send, attached=attached, despite=despite)
    upstream = load_projects(project.patches).of(entry.target)
    if not (entry.facts.upstream.url or despite):
        _require_ticket(proposal, upstream, settings)
    record = partial(_record, proposal.patch, project)
    if proposal.by_ticket:
        return _by_ticket(proposal, record, facts=entry.facts, done=send and attached)
    if not send and not find_token(upstream.place.host, settings):
        return _as_nobody(proposal, entry.facts, upstream, settings)
    with _sending(
        proposal, entry, upstream, record, send=send, project=project, settings=settings
    ) as sending:
        sending.notes.extend([] if send else _doubts(proposal))
        return sending.run()


def _doubts(proposal: Proposal) -> list[str]:
    """What keeps a proposal that is only looked at from being sent."""
    errors = counted(len(proposal.errors), "error")
    told = f"checks found {errors}, which upstream prepare shows: --yes alone sends nothing"
    return [told] if proposal.errors else []


@contextmanager
def _sending(
    proposal: Proposal,
    entry: Entry,
    upstream: UpstreamProject,
    record: Record,
    *,
    send: bool,
    project: Project,
    settings: Settings,
) -> Iterator[Sending]:
    """A proposal with the doors open that it leaves by: the token's GitHub, and the clone that has its commit."""
    token = require_token(upstream.place.host, settings)
    workspace = Workspace(settings.cache_dir)
    mirror = Mirror.ensure(upstream.repository, proposal.base_commit, workspace=workspace, settings=settings)
    with (
        GitHub(upstream.place.host, settings=settings, token=token) as github,
        Index.temporary(mirror, workspace.objects) as index,
    ):
        yield Sending(
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


def _as_nobody(
    proposal: Proposal, facts: PatchFacts, upstream: UpstreamProject, settings: Settings
) -> Submitted:
    """What would be done, as far as it can be known without a token: not whose fork it is, and what that has.

    Raises:
        UpstreamError: GitHub cannot be asked, or there is no such repository.
    """
    host = upstream.place.host
    with GitHub(host, settings=settings) as github:
        name = github.repository(upstream.place.name).full_name
    owner, there = facts.upstream.branch.partition(":")[0], facts.upstream.url
    fork = f"the fork of {owner}" if owner else f"your fork of {name}"
    opened = f"bring {there} up to date" if there else f"open a pull request to {name}, {proposal.base}"
    note = (
        f"there is no token for {host}: what the fork and its pull requests have already is not looked at, and --yes "
        f"sends nothing; {MANUAL}"
    )
    return Submitted(
        patch=proposal.patch,
        steps=(
            f"push {proposal.commit[:SHORT]} to {proposal.branch} of {fork}",
            f"{opened}: {proposal.title}",
        ),
        notes=(*_doubts(proposal), note),
        url=there,
        sent=False,
    )


def _by_ticket(proposal: Proposal, record: Record, *, facts: PatchFacts, done: bool) -> Submitted:
    """What a person does; once they say that they have, the ticket is where it stands."""
    if done:
        record({"state": "ticket", "url": proposal.ticket_url})
        told = f"record in {FACTS} that {proposal.attachment} is attached to {proposal.ticket}"
        return Submitted(patch=proposal.patch, steps=(told,), notes=(), url=proposal.ticket_url, sent=True)
    notes = ("run it with --yes --attached once the patch is attached",)
    url = proposal.ticket_url if facts.upstream.state == "ticket" else ""
    return Submitted(patch=proposal.patch, steps=proposal.steps, notes=notes, url=url, sent=False)


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
            hint=f"if that has changed, {_way_back(facts.upstream)}",
        )


def _way_back(upstream: Upstream) -> str:
    """What lets a patch be sent that was not to be; a closed pull request bars its branch."""
    if upstream.state != "closed" or not upstream.branch:
        return f"write state = 'to-forward' into [upstream] of its {FACTS}"
    return (
        f"reopen {upstream.url or 'its pull request'} on GitHub, and run bigtop-builder upstream sync; or, for a new "
        f"one, write state = 'to-forward' and branch = '{another(upstream.branch)}' into [upstream] of its {FACTS}"
    )


def _require_fit(proposal: Proposal, *, send: bool, attached: bool, despite: bool) -> None:
    """Raise unless what is asked for fits the proposal."""
    if send and proposal.errors and not despite:
        raise CheckFailed(
            f"{proposal.patch}: {counted(len(proposal.errors), 'error')} in what upstream would get",
            details="\n".join(map(str, proposal.errors)),
            hint="mend them, or send it all the same with --despite-findings",
        )
    if attached and not proposal.by_ticket:
        raise InputError(
            f"{proposal.patch} is sent as a pull request: there is nothing to attach",
            hint="leave --attached out",
        )


def _require_ticket(proposal: Proposal, upstream: UpstreamProject, settings: Settings) -> None:
    """Raise if the tracker says that there is no such ticket; where it says nothing, that stops nobody."""
    if not upstream.jira:
        return
    ticket = read_ticket(proposal.ticket, jira=upstream.jira, settings=settings)
    if ticket.exists is False:
        raise CheckFailed(
            f"{proposal.patch}: {ticket.unread}",
            hint=f"open it there and write its id into {FACTS}; if only you can see it, --despite-findings",
        )


def _record(patch_id: str, project: Project, values: dict[str, Any]) -> None:
    """Write keys of `[upstream]` of a patch; its comments and layout stay."""
    with changing(project) as change:
        file = load_entry(project.patches, patch_id).folder / FACTS
        change.edit(file, partial(with_facts, changes={"upstream": values}))
