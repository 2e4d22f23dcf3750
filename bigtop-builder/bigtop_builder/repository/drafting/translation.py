# SPDX-License-Identifier: Apache-2.0
"""Translation-en of a snapshot, from the packages that come and go."""

from collections.abc import Callable, Iterable, Sequence

from bigtop_builder.repository import layout
from bigtop_builder.repository.index.blocks import grow, holding, in_order, shrink, split
from bigtop_builder.repository.index.packages import Stanza
from bigtop_builder.repository.index.translation import (
    Style,
    described,
    md5_of,
    parse_translations,
    translation,
)
from bigtop_builder.repository.layout import Block, Index, Snapshot
from bigtop_builder.repository.snapshot import Draft, changed
from bigtop_builder.repository.state import State

Load = Callable[[Block], list[Stanza]]


def style_of(state: State, before: Snapshot, *, split: bool) -> Style:
    """How descriptions are to stand in the next snapshot.

    Args:
        state: The repository.
        before: The snapshot before.
        split: Whether its Packages are to go without long descriptions.
    """
    load = _loading(state)
    indices = () if split else before.translations.values()
    old = {one.key[:2]: described(one) for index in indices for block in index.blocks for one in load(block)}
    return Style(split=split, before=old)


def with_translations(draft: Draft, before: Snapshot, after: Snapshot) -> Snapshot:
    """A snapshot with Translation-en for those of its components that have one."""
    translations = {
        component: _index(
            draft,
            before.components.get(component, {}) if component in before.translations else {},
            after.components[component],
            before.translations.get(component),
        )
        for component in after.translations
    }
    return after.model_copy(update={"translations": translations})


def _index(draft: Draft, was: dict[str, Index], now: dict[str, Index], old: Index | None) -> Index:
    gone: set[tuple[str, str]] = set()
    come: set[tuple[str, str]] = set()
    for architecture in was.keys() | now.keys():
        left, fresh = changed(was.get(architecture), now.get(architecture), draft)
        gone |= _named(left)
        come |= _named(fresh)
    load = _loading(draft.state)
    blocks = old.blocks if old else ()
    names = {name for name, _ in gone | come}
    gone -= {one for index in now.values() for one in _named(draft.find(index, names))}
    come -= {one.key[:2] for one in _find(blocks, names, load)}
    if old and not gone and not come and draft.has_all_forms(old, layout.TRANSLATION):
        return old
    added = [translation(*one, draft.style.taken[one]) for one in come if one in draft.style.taken]
    keys = {translation(*one, "").key for one in gone}
    parts: Sequence[Block | Sequence[Stanza]]
    if gone and added:
        stay = [one for block in blocks for one in load(block) if one.key not in keys]
        parts = split(in_order([*stay, *added]))
    else:
        parts = shrink(blocks, keys, load) if gone else grow(blocks, added, load)
    return draft.written(parts, layout.TRANSLATION)


def _named(packages: Iterable[Stanza]) -> set[tuple[str, str]]:
    """Package and md5 of those whose description is not in Packages."""
    return {(one.name, md5) for one in packages if (md5 := md5_of(one))}


def _find(blocks: Sequence[Block], names: Iterable[str], load: Load) -> Iterable[Stanza]:
    return [one for block in holding(blocks, names) for one in load(block)]


def _loading(state: State) -> Load:
    return lambda block: list(parse_translations(state.block(block)[0].decode()))
