# SPDX-License-Identifier: Apache-2.0
"""`upstream status`: where each patch stands upstream, from what is on this machine. Nothing is asked of anybody."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, get_args

from bigtop_builder.mirror import Mirror
from bigtop_builder.patches.apply import APPLIES
from bigtop_builder.patches.facts import TREE, Upstream, UpstreamState
from bigtop_builder.patches.queue import Entry, load_entry, release_order
from bigtop_builder.recipe import Recipe
from bigtop_builder.settings import Settings
from bigtop_builder.upkeep.evidence import Finding, load_evidence
from bigtop_builder.upkeep.recipes import recipes_of
from bigtop_builder.workspace import Project, Workspace

Standing = Literal[
    "changes requested",
    "can be dropped",
    "to forward",
    "ticket",
    "approved",
    "PR open",
    "merged",
    "closed",
    "local only",
]
ORDER: Final[tuple[Standing, ...]] = get_args(Standing)
"""What asks for action of ours comes first, then what waits for others, then what is done."""
IN_WORDS: Final[Mapping[UpstreamState, Standing]] = {
    "local-only": "local only",
    "to-forward": "to forward",
    "ticket": "ticket",
    "pr-open": "PR open",
    "merged": "merged",
    "closed": "closed",
}


@dataclass(frozen=True, kw_only=True)
class Drop:
    """A release whose recipe lists a patch that the release has.

    Attributes:
        release: Name of the recipe.
        by: `evidence` as `patch status` recorded it, or that the patch's `commit` is in the release's history, which
            `patch status` has still to look at.
    """

    release: str
    by: Literal["evidence", "commit"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """Where a patch stands upstream.

    Attributes:
        id: The patch.
        title: Its title.
        ticket: Its ticket.
        standing: In words.
        upstream: What its patch.toml says.
        days: Whole days since its pull request was opened; None if there is none that is open.
        drops: Releases that it can be dropped from.
        next: The command that comes next; empty if others are to act.
    """

    id: str
    title: str
    ticket: str
    standing: Standing
    upstream: Upstream
    days: int | None
    drops: tuple[Drop, ...]
    next: str


def overview(
    project: Project, settings: Settings, *, patches: Sequence[str], now: datetime | None = None
) -> tuple[Row, ...]:
    """Where patches stand upstream; what asks for action first.

    Args:
        project: Has queue and recipes.
        settings: For clones and cache; nothing is fetched.
        patches: Ids.
        now: The time that ages are counted to.

    Raises:
        InputError: A patch, its evidence or a recipe cannot be read.
    """
    releases = _Releases(project, settings)
    moment = now or datetime.now(UTC)
    rows = [_row(load_entry(project.patches, one), releases, moment) for one in patches]
    return tuple(sorted(rows, key=lambda row: (ORDER.index(row.standing), row.id)))


def _row(entry: Entry, releases: "_Releases", now: datetime) -> Row:
    upstream, drops = entry.facts.upstream, tuple(releases.drops(entry))
    standing = _standing(upstream, drops)
    return Row(
        id=entry.id,
        title=entry.facts.title,
        ticket=entry.facts.ticket,
        standing=standing,
        upstream=upstream,
        days=_days(upstream, now),
        drops=drops,
        next=_next(entry.id, standing, upstream, drops),
    )


def _standing(upstream: Upstream, drops: Sequence[Drop]) -> Standing:
    if upstream.state == "pr-open" and upstream.review == "changes-requested":
        return "changes requested"
    if drops:
        return "can be dropped"
    if upstream.state == "pr-open" and upstream.review == "approved":
        return "approved"
    return IN_WORDS[upstream.state]


def _days(upstream: Upstream, now: datetime) -> int | None:
    if upstream.state != "pr-open" or not upstream.opened:
        return None
    try:
        opened = datetime.fromisoformat(upstream.opened)
    except ValueError:  # a person wrote it
        return None
    opened = opened if opened.tzinfo else opened.replace(tzinfo=UTC)
    return max((now - opened).days, 0)


def _next(patch_id: str, standing: Standing, upstream: Upstream, drops: Sequence[Drop]) -> str:
    """The next command."""
    if standing == "changes requested":
        return f"bigtop-builder upstream sync {patch_id}"
    if standing == "can be dropped":
        first = drops[0]
        if first.by == "evidence":
            return f"bigtop-builder patch drop {patch_id} {first.release}"
        return f"bigtop-builder patch status {patch_id} --release {first.release}"
    if standing in {"to forward", "ticket"}:
        return f"bigtop-builder upstream prepare {patch_id}"
    if standing == "merged" and not upstream.since:
        return f"bigtop-builder upstream sync {patch_id}"
    return ""


class _Releases:
    """What the recipes list, and what is in the histories of their releases."""

    def __init__(self, project: Project, settings: Settings) -> None:
        rows = sorted(recipes_of(project), key=lambda one: (release_order(one[0].release), one[1].stem))
        self._recipes = rows
        self._settings = settings.model_copy(update={"offline": True})
        self._has: dict[tuple[str, str, str], bool] = {}

    def drops(self, entry: Entry) -> Iterable[Drop]:
        """Releases whose recipe lists a patch that they have.

        Fresh evidence speaks against where the patch applies, or where it tells what became of that very commit.
        """
        evidence = load_evidence(entry.folder).releases
        commit = entry.facts.upstream.commit
        for recipe, path in self._recipes:
            diff = entry.diff_for(recipe.release)
            if entry.id not in recipe.patches or diff is None:
                continue
            found = evidence.get(path.stem)
            if found and found.patch != entry.at(recipe.release).sha256:
                found = None
            if found and found.state == "already-upstream":
                yield Drop(release=path.stem, by="evidence")
            elif commit and not (found and _denies(found, commit)) and self._has_commit(entry, recipe, path):
                yield Drop(release=path.stem, by="commit")

    def _has_commit(self, entry: Entry, recipe: Recipe, path: Path) -> bool:
        """Whether the history that a release is built from has a patch's upstream commit, as far as is known here."""
        commit = entry.facts.upstream.commit
        for repository, tip in _sources(entry, recipe):
            key = repository, tip, commit
            if key not in self._has:
                self._has[key] = self._is_in(repository, tip, commit, path.parent)
            if self._has[key]:
                return True
        return False

    def _is_in(self, repository: str, tip: str, commit: str, base: Path) -> bool:
        workspace = Workspace(self._settings.cache_dir)
        mirror = Mirror.find(repository, tip, workspace=workspace, settings=self._settings, base=base)
        if mirror is None:  # nothing is known of it here
            return False
        return mirror.git("merge-base", "--is-ancestor", commit, tip, check=False).returncode == 0


def _denies(found: Finding, commit: str) -> bool:
    return found.state in APPLIES or commit in found.detail


def _sources(entry: Entry, recipe: Recipe) -> list[tuple[str, str]]:
    """Repositories and commits that a release takes a patch's target from."""
    if entry.target == TREE:
        return [(recipe.bigtop.repository, recipe.bigtop.commit)]
    sources = (
        one for component in recipe.components if component.name == entry.target for one in component.sources
    )
    return [(one.repository, one.commit) for one in sources if one.kind == "git"]
