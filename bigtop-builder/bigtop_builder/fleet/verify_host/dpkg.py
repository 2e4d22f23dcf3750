# SPDX-License-Identifier: Apache-2.0
"""What dpkg keeps of packages: its status, its lists of files, its diversions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .deb822 import stanzas
from .finding import UNREAD, Unable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .root import Root

INFO = "/var/lib/dpkg/info"
DAMAGED = "see whether the disk is full, then bring it back from status-old or /var/backups/dpkg.status.*"
"""What mends dpkg's status."""
FIELDS = frozenset({"Package", "Status", "Version", "Architecture", "Source", "Maintainer", "Conffiles"})
"""Fields of dpkg's status that are kept."""


@dataclass(frozen=True)
class Installed:
    """A package that dpkg knows (deb-control(5), dpkg-query(1)).

    Attributes:
        name: Its name.
        version: Its version.
        architecture: Its architecture.
        status: Wanted, flag and state: `install ok installed`.
        source: Source package, without version.
        maintainer: Its maintainer.
        conffiles: Path -> MD5 as it was shipped.
        obsolete: Conffiles that its present version does not have any more.
    """

    name: str
    version: str
    architecture: str
    status: str
    source: str
    maintainer: str
    conffiles: Mapping[str, str]
    obsolete: tuple[str, ...]

    @property
    def present(self) -> bool:
        """Whether there is more of it than its configuration."""
        return self.status.rpartition(" ")[2] not in {"not-installed", "config-files"}

    @property
    def again(self) -> str:
        """The command that brings its files back."""
        return f"apt-get install --reinstall {self.name}={self.version}"


def dpkg_status(root: Root) -> list[Installed]:
    """All packages of dpkg's status.

    Raises:
        Unable: It cannot be read, or is damaged.
    """
    name = "/var/lib/dpkg/status"
    try:
        text = root.text(name)
    except OSError as failed:
        raise Unable(UNREAD, f"{root.at(name)}: {failed.strerror}", "is this a Debian system?") from failed
    if not text.endswith("\n\n"):  # dpkg ends each paragraph with an empty line
        last = next(
            (line for line in reversed(text.split("\n")) if line.startswith("Package:")), "no package"
        )
        raise Unable(UNREAD, f"{root.at(name)} is cut off or empty ({last})", DAMAGED)
    found = []
    for fields in stanzas(text, FIELDS):
        if "Package" not in fields or len(fields.get("Status", "").split()) != 3:  # noqa: PLR2004  # want, flag, state
            raise Unable(
                UNREAD, f"{root.at(name)} has a paragraph without package or status: {fields}", DAMAGED
            )
        found.append(package_of(fields))
    return found


def package_of(fields: Mapping[str, str]) -> Installed:
    """A paragraph of dpkg's status as a value."""
    lines = [line.rsplit(" ", 2) for line in fields.get("Conffiles", "").split("\n") if line.strip()]
    flags = {"obsolete", "remove-on-upgrade"}
    kept = [words for words in lines if words[-1] not in flags]
    return Installed(
        name=fields["Package"],
        version=fields.get("Version", ""),
        architecture=fields.get("Architecture", ""),
        status=fields["Status"],
        source=(fields.get("Source") or fields["Package"]).partition(" ")[0],
        maintainer=fields.get("Maintainer", ""),
        conffiles={" ".join(words[:-1]).strip(): words[-1] for words in kept},
        obsolete=tuple(words[0].strip() for words in lines if words[-1] in flags),
    )


def kept(root: Root, one: Installed, kind: str) -> bytes | OSError | None:
    """A control file that dpkg has kept; None if there is none (it has two names for it)."""
    for name in (one.name, f"{one.name}:{one.architecture}"):
        found = _read(root, f"{INFO}/{name}.{kind}")
        if not isinstance(found, FileNotFoundError):
            return found
    return None


def _read(root: Root, path: str) -> bytes | OSError:
    try:
        return root.read(path)
    except OSError as failed:
        return failed


def sum_of(line: str) -> tuple[str, str]:
    r"""Absolute path and MD5 of a line of md5sums; a line that begins with `\` has escapes (md5sum(1))."""
    digest, _, path = line.partition("  ")
    if digest.startswith("\\"):
        digest, path = digest[1:], re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], path)
    return f"/{path}", digest
