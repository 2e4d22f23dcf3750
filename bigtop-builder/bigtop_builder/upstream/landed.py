# SPDX-License-Identifier: Apache-2.0
"""Whether upstream has a patch already, in a release's own history, and which commit proves it.

In this order: a commit with the patch's id; one that changes nine tenths of its blocks of lines likewise, which is
certain only where that is all of it; a three-way merge with the release that comes out empty. A ticket or a subject
that fits is a hint and never a proof: of 2,679 tickets of Bigtop's history 202 have more than one commit.

What was applied may have been taken back and applied again within the release; the last such commit decides. A
commit takes a patch back if it names the one that applied it, or its subject, or if its diff is the reverse of that
one's. One that has a block of the patch in reverse, and a release in which nothing of it is left, leave a doubt.

A history cannot tell all: another place of the file may have had the same change, and a merge may have dropped it. So
a patch that applies to the release is not there, whatever is found here: the caller looks at that first.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final, Literal

from bigtop_builder.errors import TreeError
from bigtop_builder.git_index import Index
from bigtop_builder.upstream.blocks import fingerprints, tail
from bigtop_builder.upstream.commits import TICKET
from bigtop_builder.upstream.empty_merge import Contents, Effect, effect_of, landing
from bigtop_builder.upstream.history import History, Release

COVER: Final = 0.9
ID: Final = re.compile(r"[0-9a-f]{40}")
BEYOND_LINES: Final = re.compile(
    rb"^(?:GIT binary patch|Binary files .* differ|(?:old|new) mode |rename from )", re.MULTILINE
)
"""What a patch may change besides lines, so that covered blocks are not all of it."""


@dataclass(frozen=True, kw_only=True)
class Sought:
    """A patch that is looked for.

    Attributes:
        patch_id: As `git patch-id --stable` makes it; empty if it makes none of the diff.
        blocks: Fingerprints of its blocks of changed lines.
        reverse: Those of the diff that takes it back.
        whole: Whether the blocks are all that it changes.
        effect: Its files and lines.
        subject: Of its mail; empty if that is not known.
        tickets: Those that it names.
    """

    patch_id: str
    blocks: frozenset[int] = field(repr=False)
    reverse: frozenset[int] = field(repr=False)
    whole: bool
    effect: Effect = field(repr=False)
    subject: str
    tickets: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Landing:
    """The commit by which a release has a patch, or had it.

    Attributes:
        commit: Its id.
        subject: First line of its message.
        by: What says so; `patch.toml` where it names the commit, whose content is another.
        cover: Share of the patch's blocks that it changes, 1 where that is not what counts.
        certain: Whether that is proof for the whole patch.
        reverted_by: The commit that took it back for good; empty if the release has it.
        undone_by: The last commit after it that has one of its blocks in reverse and does not say that it reverts it,
            as an upgrade that takes out what made the old version build; empty if none has.
        gone: Whether the release has none of the lines that come with it, or all that go.
        since: First tag that has the commit; empty if none has.
    """

    commit: str
    subject: str
    by: Literal["patch-id", "block cover", "empty merge", "its commit", "patch.toml"]
    cover: float
    certain: bool
    reverted_by: str
    undone_by: str
    gone: bool
    since: str

    @property
    def stands(self) -> bool:
        """Whether nothing speaks against it that the release still has the patch."""
        return not (self.reverted_by or self.undone_by or self.gone)


@dataclass(frozen=True, kw_only=True)
class Hint:
    """A commit that may have to do with a patch. No proof.

    Attributes:
        commit: Its id.
        subject: First line of its message.
        why: The ticket that both name, or `subject`.
    """

    commit: str
    subject: str
    why: str


def seek(
    history: History, patches: Iterable[tuple[bytes, str]], *, tickets: Sequence[str] = ()
) -> list[Sought]:
    """Read patches to look for, with one git process for all.

    Args:
        history: Keeps patch ids by the diffs' sha256.
        patches: Diff, without the mail around it, and subject of each.
        tickets: Tickets, in their order, where the subjects name none.
    """
    pairs = list(patches)
    named = list(tickets) or [""] * len(pairs)
    ids = history.patch_ids([diff for diff, _ in pairs])
    return [
        _read(diff, patch_id, subject, {*TICKET.findall(subject), ticket} - {""})
        for patch_id, (diff, subject), ticket in zip(ids, pairs, named, strict=True)
    ]


def _read(diff: bytes, patch_id: str, subject: str, tickets: Iterable[str]) -> Sought:
    blocks, reverse, all_of_it = fingerprints(diff)
    return Sought(
        patch_id=patch_id,
        blocks=blocks,
        reverse=reverse,
        whole=all_of_it and not BEYOND_LINES.search(diff),
        effect=effect_of(diff),
        subject=subject,
        tickets=frozenset(tickets),
    )


class Detection:
    """Looks for patches in releases of one repository.

    Args:
        history: Has the releases (`History.include`).
        index: Merges trees of its repository; without it, merges are not tried.
    """

    def __init__(self, history: History, index: Index | None = None) -> None:
        self._history = history
        self._index = index
        self._contents: dict[str, Contents] = {}

    def prepare(self, patches: Iterable[Sought], release: str) -> None:
        """Read the files of many patches in a release at once: `find` is then faster."""
        self._contents_of(release).load(path for patch in patches for path in patch.effect.lines)

    def find(self, patch: Sought, release: str, *, base: str = "") -> Landing | None:
        """The commit by which a release has a patch, or had it; None if it never had.

        Args:
            patch: The patch.
            release: Commit of the release.
            base: Tree or commit that the patch applies to, for the merge; without it, the ids that the diff
                names are taken.

        Raises:
            TreeError: A commit changes the patch's files, and the clone lacks what it makes of them.
        """
        history = self._history.release(release)
        found = self._by_history(patch, history)
        if found is None or not found.stands or not found.certain:
            found = self._by_merge(patch, history, base) or found
        if found is None and (unread := self._history.unread(sorted(patch.effect.paths), history)):
            raise TreeError(
                f"{self._history.mirror.path} lacks files of commit {unread}, so nothing is proved of a patch to "
                f"{', '.join(sorted(patch.effect.paths))}",
                hint="name a whole clone in mirrors.git of the settings",
            )
        return found

    def follow(self, patch: Sought, commit: str, release: str) -> Landing | None:
        """What became of a patch after a commit that is known to bring it, as that of a merged pull request.

        The commit may have other content: reviewers ask for changes, and a branch of several is squashed.

        Args:
            patch: The patch.
            commit: The commit, 40 hex digits.
            release: Commit of the release.

        Returns:
            None if the release does not have the commit.
        """
        history = self._history.release(release)
        known = self._history.number(commit)
        if known is None or known not in history:
            return None
        number, reverted, undone = self._last({known: 1.0}, {known}, patch, history)
        entry = self._history.entry(number)
        return Landing(
            commit=entry.commit,
            subject=entry.subject,
            by="its commit",
            cover=1.0,
            certain=True,
            reverted_by=self._commit(reverted),
            undone_by=self._commit(undone),
            gone=False,
            since=entry.since,
        )

    def hints(self, patch: Sought, release: str) -> tuple[Hint, ...]:
        """Commits of a release that name the patch's ticket or have its subject, the newest first."""
        history = self._history.release(release)
        why = dict.fromkeys(self._history.with_subject(patch.subject), "subject")
        for ticket in sorted(patch.tickets):
            why |= dict.fromkeys(self._history.with_ticket(ticket), ticket)
        entries = (self._history.entry(n) for n in reversed(history.among(why)))
        return tuple(Hint(commit=one.commit, subject=one.subject, why=why[one.n]) for one in entries)

    def _by_history(self, patch: Sought, release: Release) -> Landing | None:
        same = set(release.among(self._history.with_patch_id(patch.patch_id)))
        applied = self._covering(patch.blocks, release, COVER) | dict.fromkeys(same, 1.0)
        if not applied:
            return None
        number, reverted, undone = self._last(applied, same, patch, release)
        entry = self._history.entry(number)
        by: Literal["patch-id", "block cover"] = "patch-id"
        if not same or number in applied.keys() - same:
            by = "block cover"
        cover = applied.get(number) or max(applied.values())
        return Landing(
            commit=entry.commit,
            subject=entry.subject,
            by=by,
            cover=cover,
            certain=by == "patch-id" or (cover == 1 and patch.whole),
            reverted_by=self._commit(reverted),
            undone_by=self._commit(undone),
            gone=self._is_gone(patch, entry.commit, release.commit),
            since=entry.since,
        )

    def _commit(self, number: int | None) -> str:
        return "" if number is None else self._history.entry(number).commit

    def _is_gone(self, patch: Sought, commit: str, release: str) -> bool:
        """Whether a release does not show a patch that this commit applied, maybe to files that moved as a whole."""
        contents = self._contents_of(release)
        lacking = [path for path in patch.effect.lines if contents.lacks(path)]
        changed = self._history.paths_of(commit) if lacking else []
        moved = {path: at for path in lacking for at in changed if tail(path) == tail(at)}
        return contents.undoes(patch.effect, moved)

    def _covering(self, blocks: frozenset[int], release: Release, least: float) -> dict[int, float]:
        """Commits of a release that change this share of the blocks at least, with the share."""
        counts = self._history.covering(blocks)
        shares = {n: counts[n] / len(blocks) for n in release.among(counts)}
        return {n: share for n, share in shares.items() if share >= least}

    def _last(
        self, applied: Mapping[int, float], same: AbstractSet[int], patch: Sought, release: Release
    ) -> tuple[int, int | None, int | None]:
        """The commit by which a release has a patch, or had it last; the one that reverted it, or that undid it.

        Args:
            applied: Commit -> share of the patch that it applied.
            same: Those of them that are the patch.
            patch: The patch.
            release: Their release.
        """
        applies = dict.fromkeys(applied, True)
        self._follow(applies, applied, release)
        undoing = self._covering(patch.reverse, release, 0).keys() - applies.keys()
        applies |= dict.fromkeys(undoing, False)
        self._follow(applies, undoing, release)
        first = min(applied)
        last = max((n for n in applies if n > first and not applies[n]), default=None)
        if standing := [n for n in applies if applies[n] and (last is None or n > last)]:
            return min(standing, key=lambda n: (n not in same, -applied.get(n, 1), n)), None, None
        number = max(n for n in applies if applies[n])
        return (number, None, last) if last in undoing else (number, last, None)

    def _follow(self, applies: dict[int, bool], start: Iterable[int], release: Release) -> None:
        """Add what takes these commits back, what takes that back, and so on: whether each applies the patch."""
        queue = list(start)
        while queue:
            n = queue.pop()
            reverting = release.among(self._history.reverting(n))
            new = [one for one in reverting if one > n and one not in applies]
            applies |= dict.fromkeys(new, not applies[n])
            queue += new

    def _by_merge(self, patch: Sought, release: Release, base: str) -> Landing | None:
        if self._index is None or not self._contents_of(release.commit).may_have(patch.effect):
            return None
        commit = self._merge(patch, release.commit, base, self._index)
        number = self._history.number(commit) if commit else None
        if number is None:
            return None
        entry = self._history.entry(number)
        return Landing(
            commit=commit,
            subject=entry.subject,
            by="empty merge",
            cover=1.0,
            certain=True,
            reverted_by="",
            undone_by="",
            gone=False,
            since=entry.since,
        )

    def _merge(self, patch: Sought, release: str, base: str, index: Index) -> str:
        """What merging finds, kept if no name of a base can come to mean another one: merges take long."""
        name = hashlib.sha256(patch.effect.diff).hexdigest()
        kept = self._history.merged(name, base, release)
        if kept is not None:
            return kept
        commit = landing(patch.effect, release, index=index, base=base)
        if commit is not None and (not base or ID.fullmatch(base)):
            self._history.keep_merge(name, base, release, commit)
        return commit or ""

    def _contents_of(self, release: str) -> Contents:
        if release not in self._contents:
            self._contents[release] = Contents(self._history.mirror, release)
        return self._contents[release]
