# SPDX-License-Identifier: Apache-2.0
"""What apt would install of the release's packages, and from where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .finding import Finding, error, note

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .apt import Table
    from .dpkg import Installed
    from .offered import Offered
    from .release import Release

UPHELD = 1000
"""Pins up to this priority never make apt go back to a lower version (apt_preferences(5))."""


def candidates(
    packages: Iterable[Installed], table: Mapping[str, Table], found: Offered, release: Release
) -> Iterator[Finding]:
    """What apt would install of the release's packages, from where, and what the pins are for."""
    installed = {one.name: one.version for one in packages if one.present}
    loose = []
    for name, one in sorted(table.items()):
        if name == release.trust:
            continue
        versions = {entry["version"] for entry in release.packages[name]}
        yield from candidate(name, one, versions, found, release)
        has = installed.get(name, "")
        places = one.sources(has)
        if has and has not in versions and not found.places.intersection(places):
            where = " and ".join(places) or "no source of this host"
            yield error("origin", name, detail=f"{has} is from {where}", way_out=release.way_out(name))
        ours = max((one.versions[version][0] for version in versions & set(one.versions)), default=None)
        if ours is None:
            continue
        others = {version: pin for version, (pin, _) in one.versions.items() if version not in versions}
        upheld = [f"{version} at {pin}" for version, pin in others.items() if pin > max(ours, UPHELD)]
        if upheld or ours < 0:
            detail = f"pinned are {' and '.join(upheld) or 'others'}, the manifest's version is at {ours}"
            yield error("pin", name, detail=detail, way_out="take the manifest's pin file: `fleet sources`")
        elif ours <= UPHELD:
            loose.append(name)
    if loose:
        some = ", ".join(loose)
        detail = f"{len(loose)} of {len(table)} packages are not pinned above {UPHELD}: {some}"
        yield note("pin", "apt", detail=detail, way_out="take the manifest's pin file: `fleet sources`")


def candidate(
    name: str, one: Table, versions: set[str], found: Offered, release: Release
) -> Iterator[Finding]:
    """What is wrong with the version of a package that apt would install."""
    places = one.sources(one.candidate)
    if one.candidate not in versions:
        where = f" from {' and '.join(places)}" if places else ""
        has = ", ".join(sorted(versions))
        detail = f"apt would install {one.candidate.strip('()')}{where}, the manifest has {has}"
        yield error(
            "candidate", name, detail=detail, way_out="apt-get update; see the sources and pins in /etc/apt"
        )
        return
    foreign = sorted(set(places) - found.places)
    if len(foreign) == len(places):
        where = " and ".join(foreign) or "no source of this host"
        detail = f"{one.candidate} can be had from {where}, not from {release.origin}"
        yield error(
            "origin",
            name,
            detail=detail,
            way_out="add the snapshot's suite to the sources, then apt-get update",
        )
    elif foreign:
        detail = f"{one.candidate} can be had from {' and '.join(foreign)} too: apt takes either"
        yield error("origin", name, detail=detail, way_out="take that source out of /etc/apt")
    expected = {(e["version"], e["architecture"]): e["sha256"] for e in release.packages[name]}
    for (version, architecture), sha256 in sorted(expected.items()):
        other = found.hashes.get((name, version, architecture), {sha256}) - {sha256}
        if version == one.candidate and other:
            detail = (
                f"apt would install {version} with SHA256 {min(other)[:16]}, the manifest has {sha256[:16]}"
            )
            yield error(
                "candidate", name, detail=detail, way_out="name the snapshot's own suite in the sources"
            )
