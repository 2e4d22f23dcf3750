# SPDX-License-Identifier: Apache-2.0
"""Where dpkg has put files of packages."""

from __future__ import annotations

import fnmatch
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .root import Root


@dataclass
class Placing:
    """Where dpkg has put files of packages: it heeds diversions, and what the admin told it to leave out."""

    root: Root

    def of(self, package: str, path: str) -> str:
        """Where it has put a file of a package (dpkg-divert(1))."""
        by, target = self.diversions.get(path, (package, path))
        return path if by == package else target

    @cached_property
    def diversions(self) -> dict[str, tuple[str, str]]:
        """Path -> package that has diverted it, and where to. Three lines each; `:` is the admin."""
        try:
            lines = self.root.text("/var/lib/dpkg/diversions").splitlines()
        except OSError:
            return {}
        return {path: (by, target) for path, target, by in zip(lines[::3], lines[1::3], lines[2::3])}

    def left_out(self, path: str) -> bool:
        """Whether dpkg was told not to install a file: the last pattern that fits counts (dpkg(1))."""
        return next(
            (kind == "exclude" for kind, like in self._patterns if fnmatch.fnmatchcase(path, like)), False
        )

    @cached_property
    def _patterns(self) -> list[tuple[str, str]]:
        found = []
        folder = "/etc/dpkg/dpkg.cfg.d"
        like = re.compile(r"^\s*path-(exclude|include)\s*=?\s*[\"']?(.+?)[\"']?\s*$", re.MULTILINE)
        for name in ("/etc/dpkg/dpkg.cfg", *(f"{folder}/{one}" for one in self.root.names(folder))):
            with suppress(OSError):
                found += like.findall(self.root.text(name))
        return found[::-1]
