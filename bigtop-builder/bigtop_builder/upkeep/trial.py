# SPDX-License-Identifier: Apache-2.0
"""A series tried on its ground, each patch on what those before it made."""

import logging
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.errors import SourceError, TreeError
from bigtop_builder.patches.apply import Applied, apply_series
from bigtop_builder.patches.queue import Patch
from bigtop_builder.settings import Settings
from bigtop_builder.upkeep.ground import Ground, grounds
from bigtop_builder.workspace import Project

log = logging.getLogger(__name__)

SHOWN = 10
"""Patches that an error names."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One patch of a series, tried on what is before it.

    Attributes:
        patch: The patch.
        before: Tree before it.
        after: Tree after it; that before it if it does not apply.
        applied: How it went.
    """

    patch: Patch
    before: str
    after: str
    applied: Applied


def walk(ground: Ground, patches: Sequence[Patch]) -> Iterator[Stage]:
    """Try each patch of a series on what those before it made; one that does not apply is passed over."""
    diffs, sources = [patch.diff for patch in patches], [str(patch.path) for patch in patches]
    tree = ground.tree
    tried = apply_series(ground.index, tree, diffs, sources=sources)
    for patch, applied in zip(patches, tried, strict=True):
        after = applied.tree or tree
        yield Stage(patch=patch, before=tree, after=after, applied=applied)
        tree = after


def refused(stage: Stage, release: str, *, hint: str) -> TreeError:
    """The error of a patch that does not apply."""
    found = stage.applied.refusal
    place = f": {found.file}{f', hunk {found.hunk}' if found.hunk else ''}" if found else ""
    return TreeError(
        f"patch {stage.patch.id} does not apply on {release}{place}",
        details=found.text if found else "",
        hint=hint,
    )


def require_series(
    target: str,
    path: Path,
    patches: Sequence[Patch],
    *,
    judged: Container[str],
    hint: str,
    project: Project,
    settings: Settings,
) -> None:
    """Raise unless patches apply where they stand in a series. Where the source is not here, that is told.

    Args:
        target: `bigtop` or a component.
        path: The recipe.
        patches: The series, as it is to be.
        judged: Ids of those that must apply; the others are passed over if they do not.
        hint: The way out.
        project: Has the queue.
        settings: Site settings.

    Raises:
        TreeError: One of `judged` does not apply.
    """
    try:
        with grounds(target, str(path), project=project, settings=settings) as (ground,):
            stages = [one for one in walk(ground, patches) if one.patch.id in judged]
            bad = [refused(one, ground.release, hint=hint) for one in stages if one.applied.tree is None]
    except SourceError as error:
        log.warning("not tried on %s: %s; %s", path.stem, error.brief, error.hint)
        return
    if len(bad) > 1:
        more = [f"and {len(bad) - SHOWN} more"] if len(bad) > SHOWN else []
        raise TreeError(
            f"{len(bad)} of {len(stages)} patches do not apply on {ground.release}",
            details="\n".join([*(one.brief for one in bad[:SHOWN]), *more]),
            hint=hint,
        )
    if bad:
        raise bad[0]
