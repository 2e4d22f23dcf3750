# SPDX-License-Identifier: Apache-2.0
"""A patch on the newest commit of upstream's base branch: whether upstream has it already, and the patch rebased."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bigtop_builder.download import shown
from bigtop_builder.errors import CheckFailed, TreeError
from bigtop_builder.git_index import Index
from bigtop_builder.mirror import Mirror
from bigtop_builder.patches.apply import APPLIES
from bigtop_builder.patches.finding import Finding
from bigtop_builder.patches.queue import Patch
from bigtop_builder.projects import UpstreamProject
from bigtop_builder.settings import Settings
from bigtop_builder.upkeep.bases import reason
from bigtop_builder.upkeep.commit import diff_of
from bigtop_builder.upkeep.conflict import Conflict, conflicts, refusals
from bigtop_builder.upkeep.threeway import Carried, Outcome, carry
from bigtop_builder.upkeep.trace import Trace, remember, trace
from bigtop_builder.upstreaming.ahead import Ahead
from bigtop_builder.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Base:
    """The base branch of an upstream project, as it was fetched.

    Attributes:
        project: The project.
        mirror: Its repository.
        commit: Newest commit of the branch.
        index: Reads it, and writes what is made of it.
        seen: How old that is, in words.
    """

    project: UpstreamProject
    mirror: Mirror
    commit: str
    index: Index = field(repr=False)
    seen: str

    @property
    def name(self) -> str:
        """Repository and branch, as people name them."""
        return f"{self.project.place.name} {self.project.base}"


@dataclass(frozen=True, kw_only=True)
class Rebased:
    """A patch on the base branch.

    Attributes:
        applied: `clean`, `offset` or `merged`.
        tree: Tree with it.
        diff: From the base to that.
        findings: What upstream's history says of it.
    """

    applied: Outcome
    tree: str
    diff: bytes = field(repr=False)
    findings: tuple[Finding, ...]


@contextmanager
def base_of(project: UpstreamProject, settings: Settings) -> Iterator[Base]:
    """Fetch the base branch of a project; offline it is taken as it was fetched last.

    Raises:
        TreeError: It cannot be fetched, or there is no such branch.
    """
    workspace = Workspace(settings.cache_dir)
    mirror, commit = Mirror.follow(project.repository, project.base, workspace=workspace, settings=settings)
    with Index.temporary(mirror, workspace.objects) as index:
        seen = _seen(mirror, commit, offline=settings.offline)
        yield Base(project=project, mirror=mirror, commit=commit, index=index, seen=seen)


def rebased(base: Base, patch: Patch, settings: Settings, *, ahead: Ahead) -> Rebased:
    """Put a patch on the base branch.

    Args:
        base: The branch.
        patch: The patch.
        settings: Site settings.
        ahead: Where a diff for the branch alone is kept; the way out of a conflict names it.

    Raises:
        CheckFailed: Upstream has it already, or it conflicts; commit or place is told.
        InputError: It is no diff that can be read.
        TreeError: The clone lacks an object.
    """
    past = _past(base, patch, settings)
    done = carry(base.index, patch, base.commit, name=base.name)
    applies = done.outcome in APPLIES
    if past.proof and not applies:
        since = f", which {past.proof.since} has" if past.proof.since else ""
        raise _is_there(
            base, patch, f"commit {past.proof.commit} ({past.proof.by}){since}: {past.proof.subject}"
        )
    if done.outcome == "already-upstream":
        told = past.told(applies=False) or "which commit brought it is not known"
        raise _is_there(base, patch, told)
    if done.tree is None:
        found = _conflicts(base, patch, done)
        lines = (line for one in found for line in one.told())
        raise CheckFailed(
            f"{patch.id} conflicts with {base.name}",
            details="\n".join(lines),
            hint=_way_out(base, patch, ahead),
        )
    return Rebased(
        applied=done.outcome,
        tree=done.tree,
        diff=diff_of(base.index, base.commit, done.tree),
        findings=tuple(_notes(past, patch)),
    )


def _way_out(base: Base, patch: Patch, ahead: Ahead) -> str:
    """How a conflict is settled on the branch itself: what a release builds stays as it is."""
    if ahead.is_there and ahead.path != patch.path:
        return (
            f"{ahead.path.name} is for what comes next: run the same command with --release {ahead.release}"
        )
    place, here = base.project, base.mirror
    folder = f"{place.place.name.rpartition('/')[2]}-{place.base}"
    tree = (
        f"git clone --quiet --branch {shlex.quote(place.base)} {shlex.quote(shown(here.url))} {folder}"
        if here.url
        else f"git -C {shlex.quote(str(here.path))} worktree add --detach $PWD/{folder} {base.commit}"
    )
    old, new = (shlex.quote(str(path.absolute())) for path in (patch.path, ahead.path))
    apart = f", after {ahead.in_the_way} was renamed so that its range ends before {ahead.release}"
    return (
        f"{tree} && git -C {folder} am --3way {old}; mend it there, git add and git am --continue; keep that diff "
        f"for {ahead.release}, which comes next{apart if ahead.in_the_way else ''}: git -C {folder} format-patch -1 "
        f"--full-index --binary --stdout > {new}; then run the same command with --release {ahead.release}"
    )


def _past(base: Base, patch: Patch, settings: Settings) -> Trace:
    workspace = Workspace(settings.cache_dir)
    try:
        remember(base.mirror, [base.commit], workspace)
        (found,) = trace([patch], base.commit, mirror=base.mirror, workspace=workspace)
    except TreeError as error:
        return Trace(unknown=reason(error))
    return found


def _notes(past: Trace, patch: Patch) -> Iterator[Finding]:
    """What a reviewer of the proposal should know of upstream's history."""
    if past.unknown:
        yield _note(patch, f"whether upstream has it is not known: {past.unknown}")
    elif told := past.told(applies=True):
        yield _note(patch, told)


def _note(patch: Patch, text: str) -> Finding:
    hint = "see whether it is the same matter"
    return Finding(file=str(patch.path), line=0, rule="history", text=text, hint=hint, level="note")


def _is_there(base: Base, patch: Patch, told: str) -> CheckFailed:
    return CheckFailed(
        f"upstream has {patch.id} already: {base.name}",
        details=told,
        hint="there is nothing to send: bigtop-builder upstream sync records it, patch drop takes it out of releases "
        "that have it",
    )


def _conflicts(base: Base, patch: Patch, done: Carried) -> tuple[Conflict, ...]:
    if done.merge is None:
        return refusals(patch, done.refusals)
    return conflicts(
        base.index,
        done.merge,
        patch,
        ours=base.commit,
        before=done.base,
        history=base.commit,
        old_history="",
    )


def _seen(mirror: Mirror, commit: str, *, offline: bool) -> str:
    """How new what is known of the branch is."""
    if mirror.url and not offline:
        return "fetched now"
    if mirror.url and mirror.fetched:
        return f"fetched {_when(mirror.fetched)}; it may have moved since"
    made = float(mirror.git("show", "-s", "--format=%ct", commit).text)
    where = "as this machine's repository has it" if not mirror.url else "as it was cloned"
    return f"{where}, with a commit of {_when(made)}"


def _when(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    days = (datetime.now(UTC) - moment).days
    return f"{moment:%Y-%m-%d %H:%M} UTC{f', {days} days ago' if days > 1 else ''}"
