# SPDX-License-Identifier: Apache-2.0
"""The branch that patches go into upstream: which of them it has, by content, and what became of a commit."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from bigtop_builder.errors import TreeError
from bigtop_builder.git_index import Index
from bigtop_builder.mirror import Mirror
from bigtop_builder.patches.apply import APPLIES, fits, touched
from bigtop_builder.patches.mail import read_mail
from bigtop_builder.patches.queue import Entry, Patch
from bigtop_builder.settings import Settings
from bigtop_builder.upkeep.trace import Trace, remember, trace
from bigtop_builder.upstream.history import History
from bigtop_builder.upstream.landed import Detection, Landing, seek
from bigtop_builder.upstream.tags import CANDIDATE
from bigtop_builder.upstreaming.outcome import SHORT, OnBase
from bigtop_builder.workspace import Workspace

ABBREVIATED: Final = re.compile(r"[0-9a-f]{7,39}")
"""An id that somebody cut short; git does so to seven digits at least (git-config(1), core.abbrev)."""


@dataclass(frozen=True, kw_only=True)
class BaseBranch:
    """A branch of an upstream repository as it is now.

    Attributes:
        name: Its name.
        tip: Its commit.
        repository: URL of the repository.
        mirror: Its clone.
        settings: Those of the site.
    """

    name: str
    tip: str
    repository: str
    mirror: Mirror = field(repr=False)
    settings: Settings = field(repr=False)

    @property
    def workspace(self) -> Workspace:
        """Holds the index of the repository's history."""
        return Workspace(self.settings.cache_dir)

    @classmethod
    def fetched(cls, repository: str, name: str, *, settings: Settings) -> Self:
        """Fetch a branch, and bring the index of its history up to date.

        Raises:
            TreeError: The repository cannot be had, has no such branch, or its clone is not whole.
        """
        workspace = Workspace(settings.cache_dir)
        mirror, tip = Mirror.follow(repository, name, workspace=workspace, settings=settings)
        if settings.offline and mirror.url:
            raise TreeError(f"offline {name} of {repository} is not fetched", hint="run it without --offline")
        remember(mirror, [tip], workspace)
        return cls(name=name, tip=tip, repository=repository, mirror=mirror, settings=settings)

    def search(self, entries: Sequence[Entry]) -> Mapping[str, OnBase | TreeError]:
        """What it has of patches, by id; of each the diff counts that says most. An error if it cannot tell.

        Raises:
            InputError: A patch cannot be read.
        """
        patches = [patch for entry in entries for patch in _diffs(entry)]
        traces = trace(patches, self.tip, mirror=self.mirror, workspace=self.workspace)
        found: dict[str, OnBase | TreeError] = {}
        with Index.temporary(self.mirror, self.workspace.objects) as index:
            for patch, past in zip(patches, traces, strict=True):
                here = self._read(patch, past, index)
                if patch.id not in found or _weight(here) > _weight(found[patch.id]):
                    found[patch.id] = here
        return found

    def follow(self, entry: Entry, commit: str, by: str) -> OnBase:
        """What became of a commit that is known to bring a patch; empty if it is not on this branch.

        Args:
            entry: The patch.
            commit: Its id, which a person may have cut short.
            by: How it is known.

        Raises:
            TreeError: The clone lacks objects.
        """
        patch = _diffs(entry)[0]
        mail = read_mail(patch.diff, source=str(patch.path))
        with History.of(self.mirror, self.workspace.histories) as history:
            (sought,) = seek(history, [(mail.diff, mail.subject)], tickets=[patch.facts.ticket])
            landing = Detection(history).follow(sought, self._whole(commit), self.tip)
        if landing is None:
            return OnBase()
        undone = landing.undone_by and f"some of its lines went again in {landing.undone_by[:SHORT]}"
        return _on_base(landing, by=by, remark=undone)

    def _whole(self, commit: str) -> str:
        if not ABBREVIATED.fullmatch(commit):
            return commit
        words = ("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
        return self.mirror.git(*words, check=False).text or commit

    def require(self, commit: str) -> None:
        """Have a commit of the repository, on whatever branch.

        Raises:
            TreeError: It cannot be had.
        """
        Mirror.ensure(self.repository, commit, workspace=self.workspace, settings=self.settings)

    def subject(self, commit: str) -> str:
        """First line of the message of a commit that is here (`require`)."""
        return self.mirror.git("show", "--no-patch", "--format=%s", commit).text

    def closes(self, entry: Entry, commit: str, number: int) -> bool:
        """Whether a commit that closed a pull request brings what is in it, as Spark's script makes it.

        The script writes `Closes #N from OWNER/BRANCH` (dev/merge_spark_pr.py). A commit that says so and changes
        none of the patch's files, as one that closes what is stale, is not the patch.
        """
        text = self.mirror.git("show", "--no-patch", "--format=%B", commit).text
        words = ("diff-tree", "--root", "--no-commit-id", "--name-only", "-r", "-z", commit)
        changed = set(self.mirror.git(*words).text.split("\0"))
        paths = {path for patch in _diffs(entry) for path in touched(patch.diff, source=str(patch.path))}
        return f"Closes #{number} from " in text and bool(paths & changed)

    def _read(self, patch: Patch, past: Trace, index: Index) -> OnBase | TreeError:
        """Content comes first, as in `upkeep/standing`: where a patch applies, the branch does not have it."""
        if past.unknown:
            return TreeError(past.unknown)
        if landing := past.landing:
            if landing.certain and landing.reverted_by:
                return _on_base(landing, by=landing.by)
            try:
                index.load(self.tip, touched(patch.diff, source=str(patch.path)))
                applies = fits(index, patch.diff, source=str(patch.path)).state in APPLIES
            except TreeError as error:
                return error
            if past.proof and not applies:
                return _on_base(landing, by=landing.by)
            return OnBase(remark=past.told(applies=applies))
        return OnBase(remark=past.told(applies=False))


def _on_base(landing: Landing, *, by: str, remark: str = "") -> OnBase:
    since = "" if CANDIDATE.search(landing.since) else landing.since
    return OnBase(commit=landing.commit, by=by, since=since, reverted_by=landing.reverted_by, remark=remark)


def _diffs(entry: Entry) -> list[Patch]:
    """A patch in all its forms, that for the newest releases first."""
    return [entry.form(diff) for diff in reversed(entry.diffs)]


def _weight(found: OnBase | TreeError) -> int:
    if isinstance(found, TreeError):
        return -1
    return 3 if found.stands else 2 if found.reverted_by else 1 if found.remark else 0
