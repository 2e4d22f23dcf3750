# SPDX-License-Identifier: Apache-2.0
"""Where a diff is kept that upstream's branch alone needs: beside the others, for the release that comes next."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bigtop_builder.patches.queue import Entry, in_the_way, own_path, release_order


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """A diff of a patch for what comes after all releases that there are recipes for.

    Attributes:
        release: The first that it is for, which needs no recipe.
        path: Its file.
        is_there: Whether that is there.
        in_the_way: Name of another diff that is for this release too; empty if none is.
    """

    release: str
    path: Path
    is_there: bool
    in_the_way: str = ""

    @classmethod
    def of(cls, entry: Entry, releases: Iterable[str]) -> Self:
        """The one that the patch has, else the one to write.

        Args:
            entry: The patch.
            releases: Those that there are recipes for.
        """
        newest = max(releases, key=release_order, default="")
        later = (one for one in entry.diffs if one.first and release_order(one.first) > release_order(newest))
        if found := max(later, key=lambda one: release_order(one.first), default=None):
            return cls(release=found.first, path=found.path, is_there=True)
        release = after(newest)
        other = in_the_way(entry, release, since=True)
        return cls(
            release=release,
            path=own_path(entry, release, since=True),
            is_there=False,
            in_the_way=other.path.name if other else "",
        )


def after(release: str) -> str:
    """The release that comes next, as Bigtop numbers them: 3.6.0 after 3.5.0 and 3.5.1, and after 3.6.0-RC0."""
    numbers, _, candidate = release.partition("-")
    if candidate:
        return numbers
    major, minor = ([int(part) if part.isdecimal() else 0 for part in numbers.split(".")] + [0])[:2]
    return f"{major}.{minor + 1}.0"
