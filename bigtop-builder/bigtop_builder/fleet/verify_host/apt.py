# SPDX-License-Identifier: Apache-2.0
"""The host's apt, asked through its own programs."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .deb822 import stanzas
from .finding import UNREAD, Unable
from .process import ran

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .root import Root


@dataclass(frozen=True)
class Table:
    """What `apt-cache policy` says of a package.

    Attributes:
        candidate: Version that apt would install.
        versions: Version -> priority, and where it can be had: apt's words for a list.
    """

    candidate: str
    versions: Mapping[str, tuple[int, tuple[str, ...]]]

    def sources(self, version: str) -> tuple[str, ...]:
        """Where a version can be had, but for dpkg's status."""
        return tuple(one for one in self.versions.get(version, (0, ()))[1] if not one.startswith("/"))


def tables(text: str) -> dict[str, Table]:
    """What `apt-cache policy NAME…` printed, by name (apt-cache(8))."""
    found: dict[str, Table] = {}
    versions: dict[str, tuple[int, tuple[str, ...]]] = {}
    name = version = ""
    for line in text.splitlines():
        if line and not line.startswith(" "):
            name, versions = line[:-1], {}
        elif match := re.fullmatch(r"  Candidate: (\S+)", line):
            found[name] = Table(match[1], versions)
        elif match := re.fullmatch(r"(?: \*\*\*|    ) (\S+)(?: (-?\d+))?(?: \(.*\))?", line):
            version = match[1]
            # Packages of one version that differ in more than their place have a block each.
            priority, places = versions.get(version, (int(match[2] or 0), ()))
            versions[version] = max(priority, int(match[2] or 0)), places
        elif (match := re.fullmatch(r" {6,}(-?\d+) (.+)", line)) and version in versions:
            priority, places = versions[version]
            versions[version] = priority, (*places, match[2])
    return found


def unmet_of(text: str) -> dict[str, str]:
    """Package -> what it lacks, of what `apt-get check` printed; what is only recommended it does not need."""
    found = {}
    for name, what in re.findall(r"^ (\S+) : (.+(?:\n {2,}.+)*)", text, re.MULTILINE):
        needed = [line.strip() for line in what.split("\n")]
        needed = [one for one in needed if not one.startswith(("Recommends:", "Suggests:"))]
        found[name] = ", ".join(needed).replace(" or, ", " or ")
    return found


@dataclass
class Apt:
    """The host's apt, asked through its own programs: only these know how it keeps and reads its lists."""

    root: Root
    scratch: str

    @cached_property
    def _env(self) -> dict[str, str]:
        if self.root.folder == "/":
            return {}
        path, inside = Path(self.scratch, "apt.conf"), self.root.folder
        path.write_text(
            f'Dir "{inside}/";\nDir::State::status "{inside}/var/lib/dpkg/status";\n'
            f'Dir::Cache::pkgcache "{self.scratch}/cache";\nDir::Cache::srcpkgcache "";\n',
            encoding="utf-8",
        )
        return {"APT_CONFIG": str(path)}

    def _said(self, *argv: str) -> str:
        done = ran(argv, self._env)
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()
            raise Unable(
                UNREAD, f"{argv[0]} {argv[1]} failed\n{said}".rstrip(), "mend apt on this host first"
            )
        return done.stdout.decode(errors="replace")

    def targets(self) -> list[dict[str, str]]:
        """Packages files of the host's sources that apt has.

        Raises:
            Unable: Apt refuses.
        """
        wanted = ("MetaKey", "Description", "Filename", "Origin", "Label", "Sourcesentry")
        said = self._said("apt-get", "indextargets", "Created-By: Packages")
        return [one for one in stanzas(said, wanted) if {"MetaKey", "Description", "Filename"} <= set(one)]

    def updated(self) -> datetime | None:
        """When apt has last asked for lists: it makes its files in this folder. None if it never did."""
        with suppress(OSError):
            seconds = self.root.lstat("/var/lib/apt/lists/partial").st_mtime
            return datetime.fromtimestamp(seconds, timezone.utc)
        return None

    def policy(self, names: Iterable[str]) -> dict[str, Table]:
        """What apt would install.

        Raises:
            Unable: Apt refuses.
        """
        words = sorted(names)
        return tables(self._said("apt-cache", "policy", *words)) if words else {}

    def unmet(self) -> dict[str, str]:
        """Installed packages that lack what they depend on -> what that is. Sources and their lists do not matter.

        Raises:
            Unable: Apt cannot tell.
        """
        nothing = ["Etc::sourcelist=/dev/null", "Etc::sourceparts=/dev/null"]
        nothing += [f"State::lists={self.scratch}/lists", "Cache::pkgcache=", "Cache::srcpkgcache="]
        options = [word for one in nothing for word in ("-o", f"Dir::{one}")]
        done = ran(["apt-get", "check", "-o", "Debug::NoLocking=true", *options], self._env)
        found = unmet_of(done.stdout.decode(errors="replace"))
        complaint = done.stderr.decode(errors="replace").strip()
        # What is to be installed again is told by its state.
        if done.returncode != 0 and not found and "needs to be reinstalled" not in complaint:
            raise Unable(UNREAD, f"apt-get check failed\n{complaint}".rstrip(), "mend apt on this host first")
        return found

    @staticmethod
    def index(path: str) -> bytes:
        """Content of a list, however apt has packed it.

        Raises:
            Unable: It cannot be read.
        """
        if path.endswith("_Packages"):
            with suppress(OSError):
                return Path(path).read_bytes()
        done = ran(["/usr/lib/apt/apt-helper", "cat-file", path])
        if done.returncode != 0:
            raise Unable(UNREAD, f"{path}: {done.stderr.decode(errors='replace').strip()}", "apt-get update")
        return done.stdout
