# SPDX-License-Identifier: Apache-2.0
"""What a human must decide or mend in a draft, and what was left out of it."""

from collections.abc import Iterator, Sequence

from bigtop_builder.recipe_draft import checks
from bigtop_builder.recipe_draft.checks import Open
from bigtop_builder.recipe_draft.choice import Choice
from bigtop_builder.recipe_draft.desk import Desk
from bigtop_builder.recipe_draft.pins import Pinned
from bigtop_builder.recipe_draft.series import Standing


def note_on(desk: Desk, one: Standing) -> str:
    """What the recipe itself says of a patch; empty for one that is listed and applies."""
    if way := _way(desk, one):
        return f"open: {one.id}: {one.state}: {way}"
    if one.listed:
        return ""
    return f"left out: {one.id}: {f'upstream has it, in {one.commit[:12]}' if one.commit else one.detail}"


def left_out(desk: Desk, choice: Choice) -> Iterator[str]:
    """What was carried and is not any more, and what is needed and left out on purpose."""
    kept = {part.name for part in choice.parts if part.donor}
    for one in desk.earlier.carry:
        if one.component not in kept and one.component not in choice.gone:
            yield f"carry of {one.component} from {one.where}: the release has it itself"
    for name, need in choice.omitted:
        yield f"{need}, which {name} needs: {desk.base} leaves it out too"


def gone(desk: Desk, choice: Choice) -> Iterator[Open]:
    """Components of the earlier recipe that nothing has."""
    for name in choice.gone:
        only = desk.bom.components.get(name)
        why = f"Bigtop packages it as {only.packaging} alone now" if only else "no earlier release has it"
        yield Open(
            what=f"{name} of {desk.base} is left out: {why}",
            way="take its packages out of `roles`, or carry it from a commit that has it",
        )


def unpinned(desk: Desk, pins: Sequence[Pinned]) -> Iterator[Open]:
    """Sources that could not be had, with all that each candidate came to."""
    for one in pins:
        if one.failure:
            yield Open(
                what=": ".join(
                    filter(None, [f"{one.failure.brief}, so plan refuses it", checks.details(one.failure)])
                ),
                way=f"{pinning(desk, one)}, where one of them can be had, or with a mirror of it in the settings",
            )


def pinning(desk: Desk, one: Pinned) -> str:
    """The command that pins a component's source."""
    return f"bigtop-builder source fetch {desk.name} -c {one.component.name} --pin"


def unfit(desk: Desk, found: Sequence[Standing]) -> Iterator[Open]:
    """Patches that somebody must do something about."""
    for one in found:
        if way := _way(desk, one):
            yield Open(what=": ".join(filter(None, [f"patch {one.id}", one.state, one.detail])), way=way)


def _way(desk: Desk, one: Standing) -> str:
    """What to do about a patch; empty if nothing is to be done."""
    base, name = desk.base, desk.name
    ways = {
        "conflict": f"bigtop-builder patch edit {name} {one.target} --from {base}",
        "merges": f"bigtop-builder patch rebase {base} {one.id} --onto {name}, or recipe new --rebase",
        "no diff": f"bigtop-builder patch rebase {base} {one.id} --onto {name}, or leave it out",
        "unknown": f"bigtop-builder patch status {one.id} --release {name}, once its source is there",
        "already-upstream": "" if one.commit else f"see that {desk.tag.name} has it, and leave it out",
    }
    return ways.get(one.state, "")
