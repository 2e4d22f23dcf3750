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
from bigtop_builder.schema import digest
from bigtop_builder.settings import Settings
from bigtop_builder.upkeep.commit import write_commit
from bigtop_builder.upstreaming.body import Body, body_of
from bigtop_builder.upstreaming.candidate import Candidate, naming
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
    candidate = Candidate.of(patch_id, release, project)
    kept = Kept.of(project, patch_id)
    before = kept.proposal()
    with base_of(candidate.upstream, settings) as base:
        moved = before.base_commit if before and before.base_commit != base.commit else ""
        key = _key(candidate, base.commit)
        if reuse and before and before.key == key and _has(base.index, before.commit):
            text = (kept.folder / before.attachment).read_bytes()
            return Prepared(proposal=before, folder=kept.folder, mail=text, seen=base.seen, moved_from="")
        if reuse and before:
            log.info("%s: the patch, its facts or its base have changed: prepared anew", patch_id)
        draft = _Draft(candidate=candidate, base=base, kept=kept, key=key)
        proposal, text = _proposed(draft, with_commands=with_commands, settings=settings)
        kept.keep(proposal, text)
    return Prepared(proposal=proposal, folder=kept.folder, mail=text, seen=base.seen, moved_from=moved)


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """What a proposal is made of."""

    candidate: Candidate
    base: Base
    kept: Kept
    key: str


def _proposed(draft: _Draft, *, with_commands: bool, settings: Settings) -> tuple[Proposal, bytes]:
    """The proposal, and the patch's mail."""
    base, one = draft.base, draft.candidate
    project, patch, statement = one.upstream, one.patch, one.statement
    placed = rebased(base, patch, settings, ahead=one.ahead)
    files = parse_diff(placed.diff, source=patch.id)
    with naming(patch):
        title = title_of(project, statement, components_of(project, one.mail.subject, _paths(files)))
        body = _body(one, base)
    message = commit_message(project, one.mail, statement, title=title)
    mail = _mail(one.mail, message, placed.diff)
    commit = write_commit(base.index, mail, placed.tree, base.commit)
    proposed = Proposed(project=project, statement=statement, message=message, files=files)
    found = [*check(proposed), *body.findings, *placed.findings]
    if with_commands:
        found += run_on_commit(project, commit, base.index, draft.kept.folder / WORK_TREE)
    text = write_mail(mail)
    attachment = _attachment(one, draft.kept, text)
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
        branch=one.branch,
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


def _key(one: Candidate, base: str) -> str:
    """Hash of all that a proposal is made of. Where the patch stands upstream is no part of it."""
    facts, project = one.patch.facts.model_dump_json(exclude={"upstream"}), one.upstream.model_dump_json()
    return digest(VERSION, one.patch.path.name, one.patch.sha256, facts, project, base, one.branch)


def _paths(files: Sequence[FileDiff]) -> list[str]:
    return [file.new or file.old for file in files]


def _body(one: Candidate, base: Base) -> Body:
    """The text of the pull request, from the base branch's own."""
    upstream = one.upstream
    if upstream.merge == "ticket-attachment":
        return Body(text="", findings=())
    there = base.index.entries(base.commit, upstream.template)
    path = next((name for name in upstream.template if name in there and there[name].mode in FILES), "")
    template = base.index("cat-file", "blob", there[path].oid).text if path else ""
    return body_of(upstream, one.statement, template=template, path=path or "the text")


def _mail(mail: Mail, message: str, diff: bytes) -> Mail:
    """The patch's mail with upstream's message and the diff to the base branch."""
    subject, _, body = message.partition("\n")
    return tidy(replace(mail, subject=subject, body=body.strip("\n"), trailers=(), diff=diff))


def _attachment(one: Candidate, kept: Kept, mail: bytes) -> str:
    """Name of the patch's file. On a ticket, another patch than the last one has the next number."""
    upstream = one.upstream
    if upstream.merge != "ticket-attachment":
        return PATCH
    ticket, there = one.statement.ticket, kept.files()
    names = [upstream.patch_file.format(ticket=ticket, number=number) for number in range(1, len(there) + 1)]
    last = next((name for name in reversed(names) if name in there), "")
    return last if there.get(last) == mail else patch_file_of(upstream, ticket, there)


def _has(index: Index, commit: str) -> bool:
    return index("cat-file", "-e", f"{commit}^{{commit}}", check=False).returncode == 0
