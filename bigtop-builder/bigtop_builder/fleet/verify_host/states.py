# SPDX-License-Identifier: Apache-2.0
"""Packages that are not as they should be by what dpkg says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .dpkg import DAMAGED, INFO, Installed
from .finding import Finding, error, note, some

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .apt import Apt
    from .release import Release
    from .root import Root

MEND = "apt-get --fix-broken install"


def lost(packages: Iterable[Installed], root: Root) -> Iterator[Finding]:
    """Packages that dpkg's status has lost, cut off between two of them: the lists of their files are there."""
    known = {one.name for one in packages}
    listed = {name[: -len(".list")].partition(":")[0] for name in root.names(INFO) if name.endswith(".list")}
    if gone := sorted(listed - known):
        detail = f"its status lacks {some(gone)}, and it has a list of their files"
        yield error("state", "dpkg", detail=detail, way_out=DAMAGED)


def unmet(apt: Apt, release: Release) -> Iterator[Finding]:
    """Packages that lack what they depend on, as apt sees it (apt-get(8), check): a role's closure has a hole."""
    others = []
    for name, what in apt.unmet().items():
        if name in release.packages:
            yield error("state", name, detail=f"it lacks what it needs: {what}", way_out=MEND)
        else:
            others.append(f"{name} ({what})")
    if others:
        yield error("state", "apt", detail=f"these lack what they need: {some(others)}", way_out=MEND)


def states(packages: Iterable[Installed], root: Root, release: Release) -> Iterator[Finding]:
    """Packages that dpkg did not bring to an end, of whomever they are, and ours that are held."""
    if any(name.isdigit() for name in root.names("/var/lib/dpkg/updates")):
        yield error(
            "state",
            "dpkg",
            detail="dpkg was interrupted: its journal is not worked in",
            way_out="dpkg --configure -a",
        )
    for one in packages:
        want, flag, state = one.status.split()
        if flag != "ok" or state not in {"installed", "config-files", "not-installed"}:
            way = f"apt-get install --reinstall {one.name}" if flag != "ok" else "dpkg --configure -a"
            yield error("state", one.name, detail=f"its state is {one.status!r}", way_out=way)
        elif one.name not in release.packages:
            continue
        elif state == "config-files":
            yield note("state", one.name, detail="it is removed, and its configuration is left")
        elif want == "hold" and one.present:
            yield error(
                "held", one.name, detail=f"it is held at {one.version}", way_out=f"apt-mark unhold {one.name}"
            )
        elif want != "install" and one.present:
            yield error(
                "state", one.name, detail=f"it is selected for {want}", way_out=f"apt-mark install {one.name}"
            )


def absent(packages: Iterable[Installed], release: Release, roles: Sequence[str]) -> Iterator[Finding]:
    """Packages of the host's roles that are not there."""
    there = {one.name for one in packages if one.present}
    if there.isdisjoint(release.packages) and not roles:
        detail = "none of the manifest's packages is installed"
        yield error("missing", release.origin, detail=detail, way_out="name the host's roles with --role")
    for role in roles:
        for name in release.fields["roles"][role]:
            if name not in there:
                way = release.way_out(name) if name in release.packages else f"apt-get install {name}"
                yield error(
                    "missing", name, detail=f"role {role} has it, and it is not installed", way_out=way
                )
