# SPDX-License-Identifier: Apache-2.0
"""`upstream prepare`: a patch as upstream would get it. Nothing leaves this machine."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bigtop_builder.git_index import FILES, Index
from bigtop_builder.patches.diff import FileDiff, parse_diff
from bigtop_builder.patches.mail import Mail, tidy, write_mail
from bigtop_builder.patches.queue import Patch, load_entry
from bigtop_builder.projects import UpstreamProject, load_projects
from bigtop_builder.schema import digest
from bigtop_builder.settings import Settings
from bigtop_builder.statement import Statement
from bigtop_builder.upkeep.commit import write_commit
from bigtop_builder.upstreaming.body import Body, body_of
from bigtop_builder.upstreaming.candidate import branch_for, mail_for, naming, patch_for, said_of
from bigtop_builder.upstreaming.checks import Proposed, check
from bigtop_builder.upstreaming.forms import (
    commit_message,
    components_of,
    patch_file_of,
    steps_of,
    title_of,
)
from bigtop_builder.upstreaming.onto_base import Base, base_of, rebased
from bigtop_builder.upstreaming.programs import run_on_commit
from bigtop_builder.upstreaming.proposal import PATCH, Kept, Proposal
from bigtop_builder.workspace import Project

log = logging.getLogger(__name__)

VERSION: Final = "1"
"""Goes up when the same patch would become another proposal."""
WORK_TREE: Final = "tree"


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A proposal, with what people want to see of it.

    Attributes:
        proposal: The proposal.
        folder: Where it is kept.
        mail: The patch as a mail.
        seen: How old the base is, in words.
        moved_from: Commit of the base at the last time; empty if it is the same, or there was none.
    """

    proposal: Proposal
    folder: Path
    mail: bytes = field(repr=False)
    seen: str
    moved_from: str


def prepare(
    patch_id: str,
    *,
    release: str = "",
    with_commands: bool = False,
    reuse: bool = False,
    project: Project,
    settings: Settings,
) -> Prepared:
    """Make the proposal of a patch, and keep it.

    Args:
        patch_id: `target/name`.
        release: Release whose diff is taken; the newest if empty.
        with_commands: Run upstream's own programs on it, in a work tree.
        reuse: Take the kept proposal if nothing that it was made of has changed.
        project: Has the queue.
        settings: Site settings.

    Raises:
        InputError: There is no such patch, no project is known for its target, or a fact is missing.
        CheckFailed: Upstream has it already, or it conflicts with the base branch.
        TreeError: The base branch cannot be had.
    """
    entry = load_entry(project.patches, patch_id)
    upstream = load_projects(project.patches).of(entry.target)
    patch = patch_for(entry, release, project)
    mail = mail_for(patch)
    with naming(patch):
        statement = said_of(upstream, patch, mail)
        branch = branch_for(patch, statement)
    kept = Kept.of(project, patch_id)
    before = kept.proposal()
    with base_of(upstream, settings) as base:
        moved = before.base_commit if before and before.base_commit != base.commit else ""
        key = _key(upstream, patch, base.commit, branch)
        if reuse and before and before.key == key and _has(base.index, before.commit):
            text = (kept.folder / before.attachment).read_bytes()
            return Prepared(proposal=before, folder=kept.folder, mail=text, seen=base.seen, moved_from="")
        if reuse and before:
            log.info("%s: the patch, its facts or its base have changed: prepared anew", patch_id)
        draft = _Draft(
            base=base, patch=patch, statement=statement, mail=mail, branch=branch, kept=kept, key=key
        )
        proposal, text = _proposed(draft, with_commands=with_commands, settings=settings)
        kept.keep(proposal, text)
    return Prepared(proposal=proposal, folder=kept.folder, mail=text, seen=base.seen, moved_from=moved)


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """What a proposal is made of."""

    base: Base
    patch: Patch
    statement: Statement
    mail: Mail
    branch: str
    kept: Kept
    key: str

    @property
    def project(self) -> UpstreamProject:
        return self.base.project


def _proposed(draft: _Draft, *, with_commands: bool, settings: Settings) -> tuple[Proposal, bytes]:
    """The proposal, and the patch's mail."""
    base, project, patch, statement = draft.base, draft.project, draft.patch, draft.statement
    placed = rebased(base, patch, settings)
    files = parse_diff(placed.diff, source=patch.id)
    with naming(patch):
        title = title_of(project, statement, components_of(project, draft.mail.subject, _paths(files)))
        body = _body(draft)
    message = commit_message(project, draft.mail, statement, title=title)
    mail = _mail(draft.mail, message, placed.diff)
    commit = write_commit(base.index, mail, placed.tree, base.commit)
    proposed = Proposed(project=project, statement=statement, message=message, files=files)
    found = [*check(proposed), *body.findings, *placed.findings]
    if with_commands:
        found += run_on_commit(project, commit, base.index, draft.kept.folder / WORK_TREE)
    text = write_mail(mail)
    attachment = _attachment(draft, text)
    proposal = Proposal(
        key=draft.key,
        patch=patch.id,
        file=patch.path.name,
        repository=project.repository,
        merge=project.merge,
        base=project.base,
        base_commit=base.commit,
        applied=placed.applied,
        commit=commit,
        branch=draft.branch,
        title=title,
        body=body.text,
        ticket=statement.ticket,
        ticket_url=statement.ticket_url,
        attachment=attachment,
        steps=steps_of(project, statement, attachment),
        findings=tuple(found),
        commands_run=with_commands,
    )
    return proposal, text


def _key(project: UpstreamProject, patch: Patch, base: str, branch: str) -> str:
    """Hash of all that a proposal is made of. Where the patch stands upstream is no part of it."""
    facts = patch.facts.model_dump_json(exclude={"upstream"})
    return digest(VERSION, patch.path.name, patch.sha256, facts, project.model_dump_json(), base, branch)


def _paths(files: Sequence[FileDiff]) -> list[str]:
    return [file.new or file.old for file in files]


def _body(draft: _Draft) -> Body:
    """The text of the pull request, from the base branch's own."""
    if draft.project.merge == "ticket-attachment":
        return Body(text="", findings=())
    index, commit = draft.base.index, draft.base.commit
    there = index.entries(commit, draft.project.template)
    path = next((one for one in draft.project.template if one in there and there[one].mode in FILES), "")
    template = index("cat-file", "blob", there[path].oid).text if path else ""
    return body_of(draft.project, draft.statement, template=template, path=path or "the text")


def _mail(mail: Mail, message: str, diff: bytes) -> Mail:
    """The patch's mail with upstream's message and the diff to the base branch."""
    subject, _, body = message.partition("\n")
    return tidy(replace(mail, subject=subject, body=body.strip("\n"), trailers=(), diff=diff))


def _attachment(draft: _Draft, mail: bytes) -> str:
    """Name of the patch's file. On a ticket, another patch than the last one has the next number."""
    if draft.project.merge != "ticket-attachment":
        return PATCH
    ticket, there = draft.statement.ticket, draft.kept.files()
    names = [
        draft.project.patch_file.format(ticket=ticket, number=number) for number in range(1, len(there) + 1)
    ]
    last = next((name for name in reversed(names) if name in there), "")
    return last if there.get(last) == mail else patch_file_of(draft.project, ticket, there)


def _has(index: Index, commit: str) -> bool:
    return index("cat-file", "-e", f"{commit}^{{commit}}", check=False).returncode == 0
