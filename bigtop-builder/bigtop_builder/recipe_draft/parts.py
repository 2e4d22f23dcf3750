# SPDX-License-Identifier: Apache-2.0
"""A component of a draft: its version, its candidates, and which of upstream's patches are left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from bigtop_builder.errors import TreeError
from bigtop_builder.mirror import Mirror
from bigtop_builder.packaging import folders_of
from bigtop_builder.recipe import Component, Source
from bigtop_builder.recipe_draft.candidates import NotFollowed, Resolve, bom_candidates, followed
from bigtop_builder.recipe_draft.checks import Open
from bigtop_builder.recipe_draft.choice import Part
from bigtop_builder.recipe_draft.desk import Desk


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A component of a draft before its sources are pinned.

    Attributes:
        part: What was chosen.
        component: As the draft has it, as far as boms and sources go.
        left_out: What of the earlier recipe's was left out.
        open: What a human must decide.
    """

    part: Part
    component: Component
    left_out: tuple[str, ...] = ()
    open: tuple[Open, ...] = ()


def plan_parts(desk: Desk, parts: Sequence[Part]) -> tuple[Planned, ...]:
    """Give each component version, candidates and omitted patches.

    Raises:
        TreeError: Bigtop's repository lacks an object.
    """
    resolve = resolver(desk)
    old = {component.name: component for component in desk.earlier.components}
    return tuple(_plan(desk, part, old.get(part.name), resolve) for part in parts)


def resolver(desk: Desk) -> Resolve:
    """Finds the commit of a tag; each repository is asked once."""

    @cache
    def tags(repository: str) -> dict[str, str]:
        found = Mirror.tagged(
            repository, workspace=desk.workspace, settings=desk.settings, base=desk.earlier_path.parent
        )
        return found.tags()

    def resolve(repository: str, ref: str) -> str:
        name = ref.removeprefix("refs/tags/")
        if name not in tags(repository):
            raise TreeError(f"{repository} has no tag {name}")
        return tags(repository)[name]

    return resolve


def _plan(desk: Desk, part: Part, old: Component | None, resolve: Resolve) -> Planned:
    if old is None:
        sources, open_ = _of_bom(part, resolve)
        return Planned(part=part, component=Component(name=part.name, sources=sources), open=open_)
    version, left_out, open_ = _version(desk, part, old)
    omit, more = _omitted(desk, part, old)
    before = old.version or (part.before.base_version if part.before else "")
    now = version or part.now.base_version
    if before == now:
        sources = old.sources
    else:
        sources, dropped, unknown = _followed(desk, part, old, before, now, resolve)
        left_out, open_ = left_out + dropped, open_ + unknown
    component = old.model_copy(update={"version": version, "sources": sources, "omit_patches": omit})
    return Planned(part=part, component=component, left_out=left_out + more, open=open_)


def _version(desk: Desk, part: Part, old: Component) -> tuple[str, tuple[str, ...], tuple[Open, ...]]:
    """A version in place of the bom's stays while the bom's is the same."""
    bom = part.before.base_version if part.before else ""
    if not old.version or bom == part.now.base_version:
        return old.version, (), ()
    said = f"{part.name}: version {old.version}, in place of {bom} in {desk.base}"
    now = part.now.base_version
    what = f"{said}; the bom now says {now}, which the draft takes"
    return "", (said,), (Open(what=what, way=f"set `version` of {part.name} if that is not what is wanted"),)


def _omitted(desk: Desk, part: Part, old: Component) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those of the patches to leave out that are there."""
    if not old.omit_patches:
        return (), ()
    commit = part.donor.commit if part.donor else desk.tag.commit
    folders = [f"{folder}/" for folder in folders_of(part.name)]
    listed = desk.mirror.git("ls-tree", "--name-only", commit, "--", *folders).text.splitlines()
    there = {path.rpartition("/")[2] for path in listed}
    gone = [name for name in old.omit_patches if name not in there]
    kept = tuple(name for name in old.omit_patches if name in there)
    return kept, tuple(f"{part.name}: omit_patches {name}: the release has no such patch" for name in gone)


def _of_bom(part: Part, resolve: Resolve) -> tuple[tuple[Source, ...], tuple[Open, ...]]:
    try:
        found = bom_candidates(part.now, resolve)
    except TreeError as error:
        return (), (Open(what=f"{part.name}: {error.brief}", way=f"write a source of {part.name}"),)
    if not found and (part.now.tarball_source or part.now.git):
        what = f"{part.name}: bigtop.bom names no place for {part.now.tarball_source}"
        return (), (Open(what=what, way=f"write a source of {part.name}"),)
    return found, ()


def _followed(
    desk: Desk, part: Part, old: Component, before: str, now: str, resolve: Resolve
) -> tuple[tuple[Source, ...], tuple[str, ...], tuple[Open, ...]]:
    """Candidates for another version: what cannot follow is left out, and told."""
    of_bom, open_ = _of_bom(part, resolve)
    base = desk.earlier_path.parent
    found = [*followed(old.sources, old=before, new=now, of_bom=of_bom, resolve=resolve, base=base)]
    sources = tuple(dict.fromkeys(one for one in found if isinstance(one, Source))) or of_bom
    dropped = tuple(f"{part.name}: source {one}" for one in found if isinstance(one, NotFollowed))
    way = f"write a source of {part.name} {now}"
    lacking = tuple(Open(what=one, way=way) for one in dropped if not sources)
    return sources, dropped, lacking or (() if sources else open_)
