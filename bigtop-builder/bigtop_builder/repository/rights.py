# SPDX-License-Identifier: Apache-2.0
"""Whether a web server of another user can read a repository on disk: a strict umask keeps it out."""

import os
import shlex
import stat
from collections.abc import Iterator

from bigtop_builder.repository import layout
from bigtop_builder.repository.state import State

SERVED = ("dists", "releases", "snapshots", layout.BY_HASH, layout.POOL)
"""Folders that hosts read, by links or without."""


def closed(state: State) -> Iterator[str]:
    """One thing to say if only their owner can read some files that hosts read; nothing of a store without files."""
    root = state.store.origin("")
    for path in _read(root) if root else ():
        try:
            found = os.lstat(path).st_mode  # paths are text here: there may be a hundred thousand
        except FileNotFoundError:  # a gc that runs beside this has removed it
            continue
        needed = 0o055 if stat.S_ISDIR(found) else 0o044
        if not stat.S_ISLNK(found) and not found & needed:
            yield (
                f"{path} can be read by its owner alone, so no web server of another user gives it out: "
                f"chmod -R go+rX {shlex.quote(root)}, and publish with umask 022 (027 if the group may read)"
            )
            return


def _read(root: str) -> Iterator[str]:
    yield root
    for folder in SERVED:
        for place, _, names in os.walk(f"{root}/{folder}"):
            yield place
            yield from (f"{place}/{name}" for name in names)
    if os.path.exists(f"{root}/{layout.WITHDRAWN}"):  # noqa: PTH110  # as above
        yield from (f"{root}/state", f"{root}/{layout.WITHDRAWN}")
