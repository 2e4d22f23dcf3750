# SPDX-License-Identifier: Apache-2.0
"""Judging patches on what they lie on: do they apply, and does upstream have them already."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby

from bigtop_builder.errors import TreeError
from bigtop_builder.git_index import Index
from bigtop_builder.patches.apply import fits, is_there, told, touched
from bigtop_builder.patches.mail import read_mail
from bigtop_builder.patches.queue import Patch
from bigtop_builder.upkeep.bases import Bases, Site, Tried, reason
from bigtop_builder.upkeep.evidence import Finding, State
from bigtop_builder.upkeep.ground import Ground
from bigtop_builder.upstream.history import History
from bigtop_builder.upstream.landed import Detection, Hint, Landing, Sought, seek
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


@dataclass(frozen=True, kw_only=True)
class _Trace:
    """What a release's history says of a patch, or why it says nothing."""

    landing: Landing | None = None
    hints: tuple[Hint, ...] = ()
    unknown: str = ""


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
    traces = threads.map(lambda ground, group: _trace(ground, group, workspace), grounds, groups)
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
        with History.of(some[0].index.mirror, workspace.histories) as history:
            history.include(*(tip for ground in some for tip in (ground.history, *ground.carried.values())))


def _trace(ground: Ground, cases: Sequence[Case], workspace: Workspace) -> list[_Trace]:
    """What the history of a release has of patches. All of it in one thread: SQLite's connections are not shared."""
    if not ground.history:
        return [_Trace()] * len(cases)
    mirror = ground.index.mirror
    with (
        History.of(mirror, workspace.histories) as history,
        Index.temporary(mirror, workspace.objects) as index,
    ):
        mails = [read_mail(case.patch.diff, source=str(case.patch.path)) for case in cases]
        sought = seek(
            history,
            [(mail.diff, mail.subject) for mail in mails],
            tickets=[case.patch.facts.ticket for case in cases],
        )
        detection = Detection(history, index)
        with suppress(TreeError):  # an object is not there: `find` says so of those patches that need it
            detection.prepare(sought, ground.history)
        return [_traced(detection, one, ground.histories(one.effect.paths)) for one in sought]


def _traced(detection: Detection, sought: Sought, commits: Sequence[str]) -> _Trace:
    """What these histories say. A patch to files of several ones has landed if it has in each."""
    try:
        found = [detection.find(sought, commit) for commit in commits]
        hints = detection.hints(sought, commits[0])
    except TreeError as error:
        return _Trace(unknown=reason(error))
    return _Trace(landing=next((one for one in found if not _proves(one)), found[0]), hints=hints)


def _proves(landing: Landing | None) -> bool:
    """Whether a history proves that a release has the patch, if it does not apply there."""
    return landing is not None and landing.certain and landing.stands


def _finding(case: Case, index: Index, trace: _Trace) -> Finding | str:
    """Content comes first: where a patch applies, the release does not have it, whatever its history says."""
    if trace.unknown:
        return trace.unknown
    patch, landing = case.patch, trace.landing
    found = Finding(patch=patch.sha256, base=case.base, made_of=case.made_of, state="conflict")
    try:
        state, detail = (case.tried.state, case.tried.detail) if case.tried else _apply(case, index)
        if state == "conflict" and landing and _proves(landing) and not _applies_alone(case, index):
            there = is_there(index, patch.diff)
            told = {"commit": landing.commit, "by": landing.by, "since": landing.since}
            detail = "" if there else "superseded later: its lines, or those around them, have changed since"
            return found.model_copy(update={**told, "state": "already-upstream", "detail": detail})
    except TreeError as error:
        return reason(error)
    words = "; ".join(filter(None, [detail, _hint(trace, state)]))
    return found.model_copy(update={"state": state, "detail": words})


def _applies_alone(case: Case, index: Index) -> bool:
    """Whether a patch applies to the release, if not to what the patches before it made of that."""
    return case.tried is not None and _apply(case, index)[0] != "conflict"


def _apply(case: Case, index: Index) -> tuple[State, str]:
    applied = fits(index, case.patch.diff, source=str(case.patch.path))
    return applied.state, told(applied)


def _hint(trace: _Trace, state: State) -> str:
    """What a history says short of proof."""
    if landing := trace.landing:
        share = "" if landing.cover == 1 else f" {landing.cover:.0%} of"
        had = f"upstream had{share} it in {landing.commit}"
        if landing.reverted_by:
            return f"{had} and took it back in {landing.reverted_by}"
        if landing.undone_by:
            return f"{had}, its lines went again in {landing.undone_by}"
        if landing.gone:
            return f"upstream made this change in {landing.commit} ({landing.by}), and the release does not show it"
        if landing.certain and state != "conflict":
            return f"upstream has the same change in {landing.commit} ({landing.by}), and it applies all the same"
        return f"upstream seems to have{share} it in {landing.commit} ({landing.by})"
    names = [
        f"{hint.commit} {'has the same subject' if hint.why == 'subject' else f'names {hint.why}'}"
        for hint in trace.hints
    ]
    return f"upstream's {names[0]}" if names else ""
