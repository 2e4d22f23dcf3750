# SPDX-License-Identifier: Apache-2.0
"""A patch of the queue that is to go upstream: which diff it is, and what is said of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from bigtop_builder.errors import InputError
from bigtop_builder.patches.mail import Mail, read_mail
from bigtop_builder.patches.queue import FACTS, Entry, Patch, load_entry, release_order
from bigtop_builder.projects import UpstreamProject, load_projects
from bigtop_builder.run import run
from bigtop_builder.statement import MISSING, Statement
from bigtop_builder.templates import names_in
from bigtop_builder.upkeep.recipes import recipes_of
from bigtop_builder.upstreaming.ahead import Ahead
from bigtop_builder.upstreaming.body import unanswered
from bigtop_builder.upstreaming.forms import branch_of, require_ticket, statement_of
from bigtop_builder.workspace import Project


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A patch that is to go upstream.

    Attributes:
        upstream: The project that it goes to.
        patch: The patch as it is for one release.
        mail: That, read.
        statement: What is said of it.
        branch: Name of its branch.
        ahead: Where a diff for upstream's branch alone is kept.
    """

    upstream: UpstreamProject
    patch: Patch
    mail: Mail
    statement: Statement
    branch: str
    ahead: Ahead

    @classmethod
    def of(cls, patch_id: str, release: str, project: Project) -> Self:
        """A patch of the queue.

        Args:
            patch_id: `target/name`.
            release: Release whose diff is taken; as in `patch_for` if empty.
            project: Has the queue.

        Raises:
            InputError: There is no such patch, no project is known for its target, or a fact is missing.
        """
        entry = load_entry(project.patches, patch_id)
        upstream = load_projects(project.patches).of(entry.target)
        patch = patch_for(entry, release, project)
        mail = mail_for(patch)
        with naming(patch):
            statement = said_of(upstream, patch, mail)
            branch = branch_for(patch, statement)
        ahead = Ahead.of(entry, (recipe.release for recipe, _ in recipes_of(project)))
        return cls(upstream=upstream, patch=patch, mail=mail, statement=statement, branch=branch, ahead=ahead)


def patch_for(entry: Entry, release: str, project: Project) -> Patch:
    """The patch as it is for a release; else for the newest that lists it, or that it has a diff for.

    Raises:
        InputError: No diff is for that release.
    """
    if release:
        return entry.at(release)
    recipes = [recipe for recipe, _ in recipes_of(project) if entry.diff_for(recipe.release)]
    listing = [recipe for recipe in recipes if entry.id in recipe.patches]
    newest = max((one.release for one in listing or recipes), key=release_order, default="")
    if newest:
        return entry.at(newest)
    return entry.form(entry.diffs[-1])


def mail_for(patch: Patch) -> Mail:
    """The mail of a patch.

    Raises:
        InputError: It is malformed, or names no author: upstream takes nobody's work.
    """
    mail = read_mail(patch.diff, source=str(patch.path))
    if not mail.email:
        raise InputError(
            f"{patch.id}: {patch.path} names no author", hint="write the line From: NAME <ADDRESS> into it"
        )
    return mail


def said_of(project: UpstreamProject, patch: Patch, mail: Mail) -> Statement:
    """What is said of a patch upstream.

    Raises:
        InputError: It has no ticket or one of another project, or lacks what the project asks for: whether generative
            AI was used, and what the steps on the ticket name. What its answers lack is told with that.
    """
    statement = statement_of(project, mail, patch.facts)
    faults: list[InputError] = []
    try:
        require_ticket(project, statement.ticket)
    except InputError as error:
        faults.append(error)
    asked = {name for step in project.steps for name in names_in(step)} & {"tested", "why"}
    asked |= {"ai_disclosure"} if project.ai_trailer else set()
    missing = {name for name in asked if not statement.values[name]}
    if faults or missing:  # whether the others are asked for is known once upstream's own text is read
        missing |= unanswered(project, statement) & {*MISSING}
    if missing:
        faults.append(_lacking(project, sorted(missing)))
    if faults:
        raise InputError("; ".join(one.brief for one in faults), hint="; ".join(one.hint for one in faults))
    return statement


def _lacking(project: UpstreamProject, missing: Sequence[str]) -> InputError:
    return InputError(
        f"{', '.join(missing)} {'are' if missing[1:] else 'is'} empty, and {project.place.name} asks for that",
        hint="; ".join(MISSING[name] for name in missing),
    )


@contextmanager
def naming(patch: Patch) -> Iterator[None]:
    """Let an error of a patch's facts name the patch and its file."""
    try:
        yield
    except InputError as error:
        file = patch.path.with_name(FACTS)
        raise InputError(
            f"{patch.id}: {error.brief}", details=error.details, hint=f"in {file}: {error.hint}"
        ) from error


def branch_for(patch: Patch, statement: Statement) -> str:
    """The branch that it was sent on, whatever its title is by now; else a new one's name.

    Raises:
        InputError: What `patch.toml` has is no `owner:branch`.
    """
    recorded = patch.facts.upstream.branch
    if not recorded:
        return branch_of(statement)
    owner, _, name = recorded.partition(":")
    fit = run(["git", "check-ref-format", f"refs/heads/{name}"], check=False).returncode == 0
    if not owner or not fit:
        raise InputError(
            f"branch {recorded!r} of [upstream] names no branch of an owner",
            hint="write it as 'OWNER:BRANCH', or leave it out",
        )
    return name
