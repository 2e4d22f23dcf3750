# SPDX-License-Identifier: Apache-2.0
"""Packages that the release has not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .finding import Finding, error, note

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .apt import Apt
    from .dpkg import Installed
    from .offered import Offered
    from .release import Release


def extra(packages: Iterable[Installed], found: Offered, release: Release, apt: Apt) -> Iterator[Finding]:
    """Packages of the repository, now or once, that the manifest has not.

    No list tells what it had once: that is what the release's maintainers made and no source has. Debian has
    packages of the same sources, so a source alone tells nothing.
    """
    there = [one for one in packages if one.present]
    maintainers = {one.maintainer for one in there if one.name in release.packages} - {""}
    known = {*release.packages, release.trust}
    doubtful = []
    for one in there:
        if one.name in known:
            continue
        if (one.name, one.version, one.architecture) in found.hashes:
            detail = f"{one.version} is from {release.origin}, and the manifest has no such package"
            yield error("extra", one.name, detail=detail, way_out=f"apt-get remove {one.name}")
        elif one.maintainer in maintainers:
            doubtful.append(one)
    table = apt.policy(one.name for one in doubtful)
    sources = {entry["source"] for entry in release.fields["packages"]}
    for one in doubtful:
        if one.name not in table or not table[one.name].sources(one.version):
            detail = f"{one.version} of source {one.source} is by {one.maintainer}, and no source of this host has it"
            tell, way = (error, f"apt-get remove {one.name}") if one.source in sources else (note, "")
            yield tell("extra", one.name, detail=detail, way_out=way)
