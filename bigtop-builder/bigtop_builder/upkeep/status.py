# SPDX-License-Identifier: Apache-2.0
"""The matrix of patches and releases: what each patch is on each recipe, from evidence where that still holds.

A patch that a recipe lists is tried on what the ones before it made; any other one on the release as it is. Only
what is stale is tried anew.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from bigtop_builder.errors import BuilderError, InputError, SourceError, TreeError
from bigtop_builder.patches.apply import APPLIES, touched
from bigtop_builder.patches.component import shapes_series
from bigtop_builder.patches.facts import TREE
from bigtop_builder.patches.naming import target_of
from bigtop_builder.patches.queue import Entry, Patch, known, load_entry, release_order
from bigtop_builder.recipe import Recipe, load_recipe
from bigtop_builder.schema import nearest
from bigtop_builder.settings import Settings
from bigtop_builder.upkeep.bases import Base, Bases, Site, reason
from bigtop_builder.upkeep.bundled import Misorder, Unfit
from bigtop_builder.upkeep.evidence import Evidence, Finding, load_evidence, write_evidence
from bigtop_builder.upkeep.recipes import recipes_of, series_of
from bigtop_builder.upkeep.standing import Case, judge
from bigtop_builder.workspace import Project, Workspace, require_writable

log = logging.getLogger(__name__)

UNKNOWN = "unknown"
NOTHING = "-"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One patch on one release.

    Attributes:
        patch: Its id.
        release: Name of the recipe.
        listed: Whether the recipe lists it.
        recorded: What its evidence says.
        found: What is so; None if that cannot be known here, or there is nothing to know.
        why: Why it cannot be known, and the command that helps.
        sha256: Hash of the diff; empty if none is for this release.
        made_of: Hash of what it is applied to, as the recipe says it.
    """

    patch: str
    release: str
    listed: bool
    recorded: Finding | None = None
    found: Finding | None = None
    why: str = ""
    sha256: str = ""
    made_of: str = ""

    @property
    def state(self) -> str:
        """State, `unknown`, or `-` where the release has no such component or the patch no diff for it."""
        if self.found:
            return self.found.state
        return UNKNOWN if self.why else NOTHING

    @property
    def doubt(self) -> str:
        """What is wrong with the recorded evidence; empty if nothing is, or it cannot be known."""
        old, new = self.recorded, self.found
        if old is None:
            return "has no evidence" if new else ""
        if not (new or self.why):
            return "has evidence, and is not for this release"
        if old.patch != self.sha256:
            return "is stale: the diff has changed"
        if old.made_of != self.made_of or (new and new.base != old.base):
            return "is stale: what it is applied to has changed"
        if new is None or old == new:
            return ""
        return f"is wrong: recorded {_summary(old)}, found {_summary(new)}"


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """What is known of some patches on some releases.

    Attributes:
        releases: Names of recipes, in the order of their releases.
        entries: Patches by id.
        cells: By patch and release.
        gone: Patch and release of evidence for recipes that are no more.
        unfit: Release, component, and one of upstream's own patches to it that does not apply there.
        order: Release, and what is wrong with the order of the patches to a component there.
    """

    releases: tuple[str, ...]
    entries: Mapping[str, Entry] = field(repr=False)
    cells: Mapping[tuple[str, str], Cell] = field(repr=False)
    gone: tuple[tuple[str, str], ...] = ()
    unfit: tuple[tuple[str, str, Unfit], ...] = ()
    order: tuple[tuple[str, Misorder], ...] = ()

    def of(self, patch_id: str) -> tuple[Cell, ...]:
        """The cells of a patch, in the order of the releases."""
        return tuple(self.cells[patch_id, release] for release in self.releases)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Evidence that is missing, stale or wrong: patch, release and what is the matter, one line each."""
        cells = (cell for patch_id in self.entries for cell in self.of(patch_id) if cell.doubt)
        said = [f"{cell.patch} on {cell.release}: {cell.doubt}" for cell in cells]
        return (
            *said,
            *(
                f"{patch} on {release}: has evidence, and there is no such recipe"
                for patch, release in self.gone
            ),
        )

    @property
    def blocked(self) -> tuple[str, ...]:
        """Patches that a recipe lists and that do not apply, so that it cannot be built, one line each."""
        cells = (
            cell for patch_id in self.entries for cell in self.of(patch_id) if cell.listed and cell.found
        )
        said = {"conflict": "conflicts", "already-upstream": "upstream has it"}
        return tuple(
            f"{one.patch} on {one.release}: the recipe lists it, and it does not apply: {said[one.state]}"
            for one in cells
            if one.state in said
        )


def make_matrix(
    project: Project,
    settings: Settings,
    *,
    patches: Sequence[str] = (),
    releases: Sequence[str] = (),
    fresh: bool = False,
) -> Matrix:
    """Find the state of patches on releases. Nothing is written but the cache; `record` writes evidence.

    Args:
        project: Has queue and recipes.
        settings: Site settings.
        patches: Ids; all that are meant for a recipe of this project if empty.
        releases: Names of recipes; all if empty.
        fresh: Trust neither evidence nor what is kept of bases. The indices of histories are trusted: all in them
            is named by ids of commits and hashes of diffs.

    Raises:
        InputError: No such patch or recipe, or one that cannot be read.
        TreeError: A Bigtop commit cannot be had, or a clone lacks objects.
    """
    recipes, entries = _recipes(project, releases), _entries(project, patches)
    evidence = {patch_id: load_evidence(entry.folder) for patch_id, entry in entries.items()}
    cells = {
        (patch_id, path.stem): Cell(
            patch=patch_id,
            release=path.stem,
            listed=patch_id in recipe.patches,
            recorded=evidence[patch_id].releases.get(path.stem),
        )
        for patch_id in entries
        for recipe, path in recipes
    }
    with Bases(project, settings, fresh=fresh) as bases:
        sites = _sites(project, recipes, entries)
        _judged(sites, cells, entries, bases, Workspace(settings.cache_dir), fresh=fresh)
        told = {(cell.release, cell.why) for cell in cells.values()}
        unfit = () if patches else tuple(_unfit(_other_versions(sites, recipes, project), bases, told))
        order = () if patches else tuple(_misorders(recipes, cells.values(), project, bases))
    return Matrix(
        releases=tuple(path.stem for _, path in recipes),
        entries=entries,
        cells=cells,
        gone=() if releases else _gone(project, evidence),
        unfit=unfit,
        order=order,
    )


def record(matrix: Matrix) -> int:
    """Write what was found beside the patches; evidence for recipes that are no more goes. Returns how many files.

    Raises:
        EnvironmentMissing: This user cannot write there.
    """
    written = 0
    gone = set(matrix.gone)
    for patch_id, entry in matrix.entries.items():
        cells = matrix.of(patch_id)
        if not any(cell.doubt for cell in cells) and not any(patch == patch_id for patch, _ in gone):
            continue
        require_writable(entry.folder, why="evidence", hint="name a copy of the project with --project")
        old = load_evidence(entry.folder).releases
        kept = {name: one for name, one in old.items() if (patch_id, name) not in gone}
        known_now = {cell.release: cell.found for cell in cells if not cell.why}
        new = {**kept, **known_now}
        releases = {name: one for name, one in new.items() if one}
        written += write_evidence(entry.folder, Evidence(releases=releases))
    return written


def _judged(
    sites: Sequence[Site],
    cells: dict[tuple[str, str], Cell],
    entries: Mapping[str, Entry],
    bases: Bases,
    workspace: Workspace,
    *,
    fresh: bool,
) -> None:
    """Fill the cells in."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        cases: list[Case] = []
        for site, base in zip(sites, threads.map(lambda site: _base(bases, site), sites), strict=True):
            for entry in (one for one in entries.values() if one.target == site.target):
                key = entry.id, site.name
                if entry.diff_for(site.recipe.release) is None:
                    continue
                patch = entry.at(site.recipe.release)
                cells[key] = replace(cells[key], sha256=patch.sha256, made_of=site.made_of(patch.id))
                if isinstance(base, str) or (base.why and cells[key].listed):
                    cells[key] = replace(cells[key], why=base if isinstance(base, str) else base.why)
                else:
                    case = _case(site, base, patch)
                    old = cells[key].recorded
                    if not fresh and old and old.fits(patch.sha256, case.base, case.made_of):
                        cells[key] = replace(cells[key], found=old)
                    else:
                        cases.append(case)
        for case, found in judge(cases, bases, threads, workspace):
            key = case.patch.id, case.site.name
            told = {"why": found} if isinstance(found, str) else {"found": found}
            cells[key] = replace(cells[key], **told)


def _base(bases: Bases, site: Site) -> Base | str:
    """The base of a site; of a component's that cannot be had, why and what helps."""
    try:
        return bases.of(site)
    except (SourceError, TreeError) as error:
        if site.target == TREE:
            raise
        return reason(error)


def _case(site: Site, base: Base, patch: Patch) -> Case:
    series = zip(base.series, () if base.why else site.series, strict=True)
    tried = next((tried for tried, one in series if one.id == patch.id), None)
    below = tried.before if tried else base.tree
    return Case(site=site, patch=patch, base=below, made_of=site.made_of(patch.id), tried=tried)


def _recipes(project: Project, names: Sequence[str]) -> list[tuple[Recipe, Path]]:
    """The recipes asked for, else all, in the order of their releases."""
    named = [load_recipe(name, project.recipes) for name in dict.fromkeys(names)]
    loaded = named or recipes_of(project)
    return sorted(loaded, key=lambda one: (release_order(one[0].release), one[1].stem))


def _entries(project: Project, ids: Sequence[str]) -> dict[str, Entry]:
    """The patches asked for, else all but those that are meant for recipes that this project does not have."""
    there = known(project.patches)
    for patch_id in ids:
        if patch_id not in there:
            raise InputError(f"no patch {patch_id!r} in {project.patches}", hint=nearest(patch_id, there))
    entries = {patch_id: load_entry(project.patches, patch_id) for patch_id in ids or there}
    if ids:
        return entries
    recipes = _recipes(project, ())
    listed = {patch_id for recipe, _ in recipes for patch_id in recipe.patches}
    names = {name for recipe, path in recipes for name in (recipe.release, path.stem)}
    strange = [
        one.id
        for one in entries.values()
        if one.facts.releases and names.isdisjoint(one.facts.releases) and one.id not in listed
    ]
    if strange:
        log.info("left out, as they are meant for no recipe of this project: %s", ", ".join(strange))
    return {patch_id: entry for patch_id, entry in entries.items() if patch_id not in strange}


def _sites(
    project: Project, recipes: Sequence[tuple[Recipe, Path]], entries: Mapping[str, Entry]
) -> list[Site]:
    """Each target that one of the patches is to, in each recipe that has it."""
    loaded: dict[str, Entry] = dict(entries)
    sites = []
    for recipe, path in recipes:
        for patch_id in recipe.patches:
            if patch_id not in loaded:
                loaded[patch_id] = load_entry(project.patches, patch_id)
        listed = [loaded[patch_id].at(recipe.release) for patch_id in recipe.patches]
        targets = {TREE, *(component.name for component in recipe.components)}
        for target in sorted({entry.target for entry in entries.values()} & targets):
            below = [one for one in listed if one.target == TREE and target != TREE]
            site = Site(
                recipe=recipe,
                path=path,
                target=target,
                before=tuple(one.sha256 for one in below),
                series=tuple(one for one in listed if one.target == target),
                shaping=tuple(one.sha256 for one in below if _shapes(one, target)),
            )
            sites.append(site)
    return sites


def _shapes(patch: Patch, component: str) -> bool:
    return any(shapes_series(path, component) for path in touched(patch.diff, source=str(patch.path)))


def _other_versions(
    sites: Sequence[Site], recipes: Sequence[tuple[Recipe, Path]], project: Project
) -> list[Site]:
    """Components with local patches, and those that a recipe gives another version."""
    found = {(site.name, site.target): site for site in sites if site.target != TREE}
    for recipe, path in recipes:
        others = [one.name for one in recipe.components if one.version]
        before = tuple(one.sha256 for one in series_of(project, recipe, TREE)) if others else ()
        for name in others:
            site = Site(recipe=recipe, path=path, target=name, before=before, series=())
            found.setdefault((site.name, name), site)
    return list(found.values())


def _unfit(
    sites: Sequence[Site], bases: Bases, told: set[tuple[str, str]]
) -> Iterator[tuple[str, str, Unfit]]:
    """Upstream's patches that do not apply; why they cannot be tried, unless that is told of a release already."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        for site, found in zip(sites, threads.map(lambda site: _unfit_at(site, bases), sites), strict=True):
            if isinstance(found, tuple):
                yield from ((site.name, site.target, one) for one in found)
            elif (site.name, reason(found)) not in told:
                told.add((site.name, reason(found)))
                words = "upstream's patches to %s on %s cannot be tried: %s"
                log.warning(words, site.target, site.name, found.brief)


def _unfit_at(site: Site, bases: Bases) -> tuple[Unfit, ...] | BuilderError:
    try:
        return bases.unfit(site)
    except (SourceError, TreeError) as error:
        return error


def _misorders(
    recipes: Sequence[tuple[Recipe, Path]], cells: Iterable[Cell], project: Project, bases: Bases
) -> Iterator[tuple[str, Misorder]]:
    """What is wrong with the order of patches to components, but where the release's tree cannot be made."""
    doubtful, broken = set[str](), set[str]()
    for cell in cells:
        if cell.listed and cell.state not in APPLIES:
            doubtful.add(cell.release)
            if cell.found and target_of(cell.patch) == TREE:
                broken.add(cell.release)
    for recipe, path in (one for one in recipes if one[1].stem not in broken):
        built = {TREE, *(component.name for component in recipe.components)}
        listed = (one for one in recipe.patches if target_of(one) in built)
        patches = tuple(load_entry(project.patches, one).at(recipe.release) for one in listed)
        try:
            yield from ((path.stem, one) for one in bases.misorders(recipe, path, patches))
        except TreeError as error:
            if path.stem not in doubtful:  # else a cell says it
                log.warning("the order of upstream's patches on %s is not known: %s", path.stem, error.brief)


def _gone(project: Project, evidence: Mapping[str, Evidence]) -> tuple[tuple[str, str], ...]:
    names = {path.stem for path in project.recipes.glob("*.toml")}
    return tuple(
        (patch_id, release)
        for patch_id, one in evidence.items()
        for release in one.releases
        if release not in names
    )


def _summary(finding: Finding) -> str:
    """A finding in one line."""
    since = f", since {finding.since}" if finding.since else ""
    at = f" in {finding.commit[:12]} by {finding.by}{since}" if finding.commit else ""
    return f"{finding.state}{at}{f' ({finding.detail})' if finding.detail else ''}"
