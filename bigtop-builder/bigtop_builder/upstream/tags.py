# SPDX-License-Identifier: Apache-2.0
"""Since which tag a commit is released."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from bigtop_builder.mirror import Mirror

CANDIDATE: Final = re.compile(r"(?:rc[-.]?\d*|\d\.\d+-\d+)$", re.IGNORECASE)
"""`release-3.3.0-RC0`, and ZooKeeper's `release-3.9.0-0`; not `release-4.0.0-alpha-1`, which was released so."""
FORMAT: Final = "--format=%(objectname) %(*objectname) %(creatordate:unix) %(refname:strip=2)"


class Tag(NamedTuple):
    """A tag: its name, the commit it stands for, and when it was made (seconds since 1970)."""

    name: str
    commit: str
    made: int

    @property
    def candidate(self) -> bool:
        """Whether it marks a release candidate, by its name."""
        return bool(CANDIDATE.search(self.name))


def tags_of(mirror: Mirror) -> list[Tag]:
    """The tags of a repository: releases before candidates, each oldest first."""
    rows = (line.split(" ", 3) for line in mirror.git("for-each-ref", FORMAT, "refs/tags").text.splitlines())
    tags = [Tag(name, peeled or oid, int(made or 0)) for oid, peeled, made, name in rows]
    return sorted(tags, key=lambda tag: (tag.candidate, tag.made, tag.name))


def first_tags(mirror: Mirror, tags: Sequence[Tag]) -> dict[str, str]:
    """Commit -> name of the first of the tags, in their order, whose history has it."""
    graph: dict[str, list[str]] = {}
    for line in mirror.git("rev-list", "--parents", "--tags").text.splitlines():
        commit, *parents = line.split()
        graph[commit] = parents
    first: dict[str, str] = {}
    for tag in tags:
        queue = [tag.commit]
        while queue:
            commit = queue.pop()
            if commit in graph and commit not in first:
                first[commit] = tag.name
                queue += graph[commit]
    return first
