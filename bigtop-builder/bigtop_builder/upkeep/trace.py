# SPDX-License-Identifier: Apache-2.0
"""Where patches are upstream: what the history of a branch or release says of each, by commit."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from bigtop_builder.errors import TreeError
from bigtop_builder.git_index import Index
from bigtop_builder.mirror import Mirror
from bigtop_builder.patches.facts import Upstream
from bigtop_builder.patches.mail import read_mail
from bigtop_builder.patches.queue import Patch
from bigtop_builder.upkeep.bases import reason
from bigtop_builder.upstream.history import History
from bigtop_builder.upstream.landed import Detection, Hint, Landing, Sought, seek
from bigtop_builder.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What a history says of a patch, or why it says nothing.

    Attributes:
        landing: The commit that has it, or had it.
        hints: Commits that may have to do with it; no proof.
        unknown: Why nothing can be known, and what helps.
    """

    landing: Landing | None = None
    hints: tuple[Hint, ...] = ()
    unknown: str = ""

    @property
    def proof(self) -> Landing | None:
        """The landing, where that proves that the history has the patch, if it does not apply there."""
        return self.landing if self.landing and _proves(self.landing) else None

    def told(self, *, applies: bool) -> str:
        """What the history says short of proof; empty if it says nothing.

        Args:
            applies: Whether the patch applies to what the history came to.
        """
        if landing := self.landing:
            share = "" if landing.cover == 1 else f" {landing.cover:.0%} of"
            had = f"upstream had{share} it in {landing.commit}"
            if landing.reverted_by:
                return f"{had} and took it back in {landing.reverted_by}"
            if landing.undone_by:
                return f"{had}, its lines went again in {landing.undone_by}"
            made = f"in {landing.commit} ({landing.by})"
            if landing.gone:
                return f"upstream made this change {made}, and the release does not show it"
            if landing.certain and applies:
                what = "it" if landing.by == "patch.toml" else "the same change"
                return f"upstream has {what} {made}, and it applies all the same"
            return f"upstream seems to have{share} it {made}"
        names = [
            f"{hint.commit} {'has the same subject' if hint.why == 'subject' else f'names {hint.why}'}"
            for hint in self.hints
        ]
        return f"upstream's {names[0]}" if names else ""


def remember(mirror: Mirror, tips: Iterable[str], workspace: Workspace) -> None:
    """Bring the index of a repository's history up to date with these commits; what it has already costs nothing.

    Raises:
        TreeError: The clone is shallow or lacks objects.
    """
    with History.of(mirror, workspace.histories) as history:
        history.include(*tips)


def trace(
    patches: Sequence[Patch],
    tip: str,
    *,
    mirror: Mirror,
    workspace: Workspace,
    histories: Callable[[Iterable[str]], Sequence[str]] | None = None,
) -> list[Trace]:
    """What the history of a commit has of patches, in their order.

    All of it happens in one thread: SQLite's connections are not shared.

    Args:
        patches: The patches.
        tip: Commit of a branch or release, 40 hex digits, that `remember` was told of.
        mirror: The repository.
        workspace: Holds the cache.
        histories: Paths of a patch -> the commits that they come from, where that is not the tip for all.

    Raises:
        InputError: A patch cannot be read.
        KeyError: `remember` was not told of a commit.
    """
    with (
        History.of(mirror, workspace.histories) as history,
        Index.temporary(mirror, workspace.objects) as index,
    ):
        mails = [read_mail(patch.diff, source=str(patch.path)) for patch in patches]
        sought = seek(
            history,
            [(mail.diff, mail.subject) for mail in mails],
            tickets=[patch.facts.ticket for patch in patches],
        )
        detection = Detection(history, index)
        with suppress(TreeError):  # an object is not there: `find` says so of those patches that need it
            detection.prepare(sought, tip)
        return [
            _traced(detection, one, patch.facts.upstream, histories(one.effect.paths) if histories else [tip])
            for one, patch in zip(sought, patches, strict=True)
        ]


def _traced(detection: Detection, sought: Sought, upstream: Upstream, commits: Sequence[str]) -> Trace:
    """What these histories say. A patch to files of several ones has landed if it has in each."""
    try:
        found = [_landing(detection, sought, upstream, commit) for commit in commits]
        hints = detection.hints(sought, commits[0])
    except TreeError as error:
        return Trace(unknown=reason(error))
    return Trace(landing=next((one for one in found if not _proves(one)), found[0]), hints=hints)


def _landing(detection: Detection, sought: Sought, upstream: Upstream, tip: str) -> Landing | None:
    """By content; by the commit that `upstream sync` recorded where that speaks neither for it nor against it.

    Reviewers change a patch until it is not found again: its pull request is what says which commit it became.
    """
    found = detection.find(sought, tip)
    if upstream.state != "merged" or (found and (found.certain or not found.stands)):
        return found
    named = detection.follow(sought, upstream.commit, tip)
    return replace(named, by="patch.toml") if named else found


def _proves(landing: Landing | None) -> bool:
    return landing is not None and landing.certain and landing.stands
