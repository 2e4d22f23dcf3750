# SPDX-License-Identifier: Apache-2.0
"""The list of patches in a recipe's text, changed with its comments and layout kept."""

import re
from collections.abc import Iterable, Sequence

import tomlkit
from tomlkit.items import Array

from bigtop_builder.errors import InputError
from bigtop_builder.patches.naming import target_of
from bigtop_builder.schema import nearest

WIDE = 90
"""Columns from which on a list gets a line an entry."""
RELEASE_LINE = re.compile(r"""\A(?:[^\[\n][^\n]*\n|\n)*?release\s*=\s*(?:"[^"\n]*"|'[^'\n]*')[^\n]*\n""")


def targets_of(ids: Iterable[str]) -> list[str]:
    """What patches are to, each target once, in their order."""
    return list(dict.fromkeys(map(target_of, ids)))


def to_target(ids: Iterable[str], target: str) -> list[str]:
    """Those of the patches that are to one target."""
    return [one for one in ids if target_of(one) == target]


def with_patches(text: str, wanted: Sequence[str]) -> str:
    """The text of a recipe that lists these patches, in this order; the same text if it does already."""
    document = tomlkit.parse(text)
    if "patches" not in document:
        if not wanted:
            return text
        # tomlkit would put the key behind the comment of the first table.
        above = RELEASE_LINE.match(text)
        at = above.end() if above else 0
        text = f"{text[:at]}patches = []\n{text[at:]}"
        document = tomlkit.parse(text)
    listed = document["patches"]
    if not isinstance(listed, Array) or list(listed) == list(wanted):
        return text
    for patch_id in [one for one in listed if one not in wanted]:
        listed.remove(patch_id)
    for position, patch_id in enumerate(wanted):
        if position < len(listed) and listed[position] == patch_id:
            continue
        if patch_id in listed:
            listed.remove(patch_id)
        listed.insert(position, patch_id)
    if len(wanted) > 1:
        listed.multiline(multiline="\n" in listed.as_string() or len(listed.as_string()) > WIDE)
    return tomlkit.dumps(document)


def inserted(there: Sequence[str], wanted: Sequence[str], *, among: Sequence[str] = ()) -> list[str]:
    """A list with further patches in it, each behind the nearest one that it came behind elsewhere.

    Args:
        there: The list; its order stays.
        wanted: What it is to hold too.
        among: The order elsewhere; `wanted` itself if empty.
    """
    found, order = list(there), list(among or wanted)
    for one in wanted:
        if one not in found:
            before = order[: order.index(one)]
            found.insert(max((found.index(other) + 1 for other in before if other in found), default=0), one)
    return found


def in_order(listed: Sequence[str], target: str, wanted: Sequence[str]) -> list[str]:
    """A recipe's list in which the patches to one target are these, in this order; the others keep their places."""
    left = list(wanted)
    found: list[str] = []
    last = 0
    for one in listed:
        if target_of(one) != target:
            found.append(one)
        elif left:
            found.append(left.pop(0))
            last = len(found)
    last = last or len(found)
    return [*found[:last], *left, *found[last:]]


def require_listed(only: Sequence[str], listed: Sequence[str], release: str) -> None:
    """Raise unless each word is one of a recipe's patches, or a target of some.

    Raises:
        InputError: One is not.
    """
    targets = targets_of(listed)
    for one in only:
        if one not in listed and one not in targets:
            raise InputError(
                f"recipe {release} lists no patch {one!r}",
                hint=nearest(one, listed) if "/" in one else f"it lists {', '.join(listed) or 'none'}",
            )


def is_chosen(patch_id: str, only: Sequence[str]) -> bool:
    """Whether a patch is among those named by id or target; all are if none is named."""
    return not only or patch_id in only or target_of(patch_id) in only
