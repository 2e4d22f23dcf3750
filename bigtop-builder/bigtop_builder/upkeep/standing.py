# SPDX-License-Identifier: Apache-2.0
"""Where patches stand on what they lie on: do they apply, and does upstream have them already."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import groupby

from bigtop_builder.errors import TreeError
from bigtop_builder.git_index import Index
from bigtop_builder.patches.apply import fits, is_there, told, touched
from bigtop_builder.patches.queue import Patch
from bigtop_builder.upkeep.bases import Bases, Site, Tried, reason
from bigtop_builder.upkeep.evidence import Finding, State
from bigtop_builder.upkeep.ground import Ground
from bigtop_builder.upkeep.trace import Trace, remember, trace
from bigtop_builder.upstream.landed import Landing
from bigtop_builder.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Case:
    """A patch on a base, to be judged.

    Attributes:
        site: Where.
        patch: The patch as it is for that release.
        base: Tree that it lies on.
        made_of: Hash of what that tree is made of.
        tried: What became of it in its series; None if the recipe does not list it.
    """

    site: Site
    patch: Patch
    base: str
    made_of: str
    tried: Tried | None = field(repr=False)


def judge(
    cases: Iterable[Case], bases: Bases, threads: Executor, workspace: Workspace
) -> Iterator[tuple[Case, Finding | str]]:
    """Find what patches are on their bases, or why that cannot be known; in no order.

    Raises:
        InputError: A patch cannot be read.
        TreeError: A clone lacks the history of a release.
    """
    groups = [list(group) for _, group in groupby(sorted(cases, key=_site), key=_site)]
    grounds = list(threads.map(lambda group: _load(bases, group), groups))
    _remember(grounds, workspace)
    traces = threads.map(lambda ground, group: _traces(ground, group, workspace), grounds, groups)
    tried = [
        (case, ground.index, trace)
        for group, ground, some in zip(groups, grounds, traces, strict=True)
        for case, trace in zip(group, some, strict=True)
    ]
    yield from threads.map(lambda one: (one[0], _finding(*one)), tried)


def _site(case: Case) -> tuple[str, str]:
    return case.site.target, case.site.name


def _load(bases: Bases, cases: Sequence[Case]) -> Ground:
    """The ground, its index loaded with the files of all patches: the thousands besides would cost each check."""
    ground = bases.ground(cases[0].site)
    paths = (touched(case.patch.diff, source=str(case.patch.path)) for case in cases)
    ground.index.load(ground.tree, frozenset[str]().union(*paths))
    return ground


def _remember(grounds: Iterable[Ground], workspace: Workspace) -> None:
    """Bring the histories of all repositories up to date, each once."""
    tips: dict[str, list[Ground]] = {}
    for ground in grounds:
        if ground.history:
            tips.setdefault(str(ground.index.mirror.path), []).append(ground)
    for some in tips.values():
        named = [tip for ground in some for tip in (ground.history, *ground.carried.values())]
        remember(some[0].index.mirror, named, workspace)


def _traces(ground: Ground, cases: Sequence[Case], workspace: Workspace) -> list[Trace]:
    if not ground.history:
        return [Trace()] * len(cases)
    return trace(
        [case.patch for case in cases],
        ground.history,
        mirror=ground.index.mirror,
        workspace=workspace,
        histories=ground.histories,
    )


def _finding(case: Case, index: Index, past: Trace) -> Finding | str:
    """Content comes first: where a patch applies, the release does not have it, whatever its history says."""
    if past.unknown:
        return past.unknown
    patch, proof = case.patch, past.proof
    found = Finding(patch=patch.sha256, base=case.base, made_of=case.made_of, state="conflict")
    try:
        state, detail = (case.tried.state, case.tried.detail) if case.tried else _apply(case, index)
        if state == "conflict" and proof and not _applies_alone(case, index):
            told = {"commit": proof.commit, "by": proof.by, "since": proof.since}
            detail = "" if is_there(index, patch.diff) else _changed(proof, patch)
            return found.model_copy(update={**told, "state": "already-upstream", "detail": detail})
    except TreeError as error:
        return reason(error)
    words = "; ".join(filter(None, [detail, past.told(applies=state != "conflict")]))
    return found.model_copy(update={"state": state, "detail": words})


def _changed(proof: Landing, patch: Patch) -> str:
    """Why a release that has a patch does not show it."""
    if proof.by != "patch.toml":
        return "superseded later: its lines, or those around them, have changed since"
    where = patch.facts.upstream.url
    return f"merged with other lines, says patch.toml{f', by {where}' if where else ''}"


def _applies_alone(case: Case, index: Index) -> bool:
    """Whether a patch applies to the release, if not to what the patches before it made of that."""
    return case.tried is not None and _apply(case, index)[0] != "conflict"


def _apply(case: Case, index: Index) -> tuple[State, str]:
    applied = fits(index, case.patch.diff, source=str(case.patch.path))
    return applied.state, told(applied)
