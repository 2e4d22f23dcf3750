# SPDX-License-Identifier: Apache-2.0
"""Files of installed packages, and what stands in their place."""

from __future__ import annotations

import re
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from .dpkg import INFO, Installed
from .finding import Finding, error, note, some, unread
from .root import ABSENT, Root, md5_of, opened, raw

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .placing import Placing
    from .release import Release

READERS = 2
"""Threads that read files: a disk has something to do while one hashes, and the host keeps its other cores."""
BESIDE = re.compile(r"/usr/share/(doc|doc-base|groff|info|linda|lintian|locale|man)/")
"""Where files lie that no program runs by: that they are elsewhere is told only."""
PASSING = re.compile(r"/(run|tmp|var/(cache|lock|run|tmp))/")
"""Where a host may lose what a package ships: with a reboot, or to make room (FHS 3.0, 3.15, 5.5, 5.15)."""
MISSING = "is missing"


@dataclass
class Files:
    """Files that dpkg holds for a package's."""

    root: Root
    release: Release
    placing: Placing

    def altered(
        self, one: Installed, expected: Mapping[str, str], listed: frozenset[str]
    ) -> Iterator[Finding]:
        """Files of md5sums that are not what was shipped."""
        with ThreadPoolExecutor(READERS) as pool:
            said = dict(zip(expected, pool.map(partial(self._file, one.name), expected.items())))
        wrong = {path: what for path, what in said.items() if what}
        takers = self._takers(path for path in wrong if listed and path not in listed)
        left_out = []
        for path, what in wrong.items():
            if path in takers:
                yield self._instead(one, path, takers[path], f"is {takers[path]}'s now, and not compared")
            elif isinstance(what, OSError):
                yield unread(one.name, path, what)
            elif what == MISSING and self.placing.left_out(path):
                left_out.append(path)
            else:
                yield error("file", one.name, detail=f"{path} {what}", way_out=one.again)
        yield from excluded(one, left_out)

    def _file(self, package: str, known: tuple[str, str]) -> OSError | str:
        """What is wrong with a file; empty if nothing is."""
        path, expected = known
        try:
            place = self.placing.of(package, path)
            if not stat.S_ISREG(self.root.lstat(place).st_mode):
                return "is no regular file any more"
            return "" if md5_of(opened(self.root.at(place))) == expected else "is altered"
        except ABSENT:
            return MISSING
        except OSError as failed:
            return failed

    def absent(self, one: Installed, paths: Iterable[str]) -> Iterator[Finding]:
        """What else dpkg holds for the package's: links and folders. Only that they are there is known."""
        left_out = []
        for path in paths:
            if PASSING.match(path):
                continue
            try:
                self.root.lstat(self.placing.of(one.name, path))
            except ABSENT:
                if self.placing.left_out(path):
                    left_out.append(path)
                else:
                    yield error("file", one.name, detail=f"{path} {MISSING}", way_out=one.again)
            except OSError as failed:
                yield unread(one.name, path, failed)
        yield from excluded(one, left_out)

    def aside(self, one: Installed, listed: Iterable[str]) -> Iterator[Finding]:
        """Files in whose place something else stands, by dpkg-divert(1)."""
        for path in listed:
            by, target = self.placing.diversions.get(path, (one.name, ""))
            if by != one.name:
                who = "by hand" if by == ":" else f"by {by}"
                yield self._instead(one, path, by, f"is diverted {who}: the package's own lies at {target}")

    def _instead(self, one: Installed, path: str, by: str, what: str) -> Finding:
        """A file in whose place another one stands: right if that is the release's, or no program runs by it."""
        detail = f"{path} {what}"
        if by in self.release.packages or BESIDE.match(path) or path in one.conffiles:
            return note("file", one.name, detail=detail)
        way = (
            f"dpkg-divert --rename --remove {path}"
            if by == ":"
            else f"apt-get remove {by}, or see what it is for"
        )
        return error("file", one.name, detail=detail, way_out=way)

    def _takers(self, paths: Iterable[str]) -> dict[str, str]:
        """Path -> package that took it over (Debian policy, 7.6.1): dpkg then has it in that one's list alone."""
        wanted = set(map(raw, paths))
        found: dict[str, str] = {}
        for name in self.root.names(INFO) if wanted else ():
            if name.endswith(".list"):
                with suppress(OSError):
                    for path in wanted.intersection(self.root.read(f"{INFO}/{name}").split(b"\n")):
                        found[path.decode(errors="surrogateescape")] = name[: -len(".list")].partition(":")[0]
        return found


def excluded(one: Installed, paths: Sequence[str]) -> Iterator[Finding]:
    """Files that the admin has told dpkg to leave out."""
    for beside in (True, False):
        if which := sorted(path for path in paths if bool(BESIDE.match(path)) is beside):
            detail = f"path-exclude has left out {some(which)}"
            way = f"take path-exclude out of /etc/dpkg, then {one.again}"
            yield (
                note("file", one.name, detail=detail)
                if beside
                else error("file", one.name, detail=detail, way_out=way)
            )
