# SPDX-License-Identifier: Apache-2.0
"""SBOMs read back, and what people ask of them: what is in there, where something is, what has changed."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

FORM = "1"
"""Rises when the same package gets another SBOM."""
HOW = "bigtop-builder:known-by"
MERGED = "bigtop-builder:merged"
UNREADABLE = "bigtop-builder:unreadable"
"""Names of properties."""

Verb = Literal["came", "went", "changed"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One jar of a package, or a component that was merged into one.

    Attributes:
        package: The package.
        package_version: Its version.
        path: Where it lies below the root; `!/` stands between an archive and what is in it.
        group: Maven's group; empty if it is not known.
        name: The artifact, or what the file name seems to say.
        version: Likewise; empty if nothing tells.
        how: From where that is known.
        merged: Its classes are among those of the jar around it.
        unreadable: Why it could not be looked into; empty if it could.
        sha256: Of its bytes; empty if it has none of its own.
    """

    package: str
    package_version: str
    path: str
    group: str
    name: str
    version: str
    how: str
    merged: bool
    unreadable: str
    sha256: str

    @property
    def artifact(self) -> str:
        """Group and artifact; the artifact alone if that is all that is known."""
        return f"{self.group}:{self.name}" if self.group else self.name


@dataclass(frozen=True, kw_only=True)
class Change:
    """What became of an artifact in a package.

    Attributes:
        package: The package.
        verb: `changed`: it has other versions.
        artifact: Group and artifact; the artifact alone if that is all that is known.
        before: Its versions until then.
        after: Its versions from then on.
    """

    package: str
    verb: Verb
    artifact: str
    before: tuple[str, ...]
    after: tuple[str, ...]


def parts_of(sbom: bytes) -> list[Part]:
    """All that an SBOM of this tool lists, what lies in one another too, in the order of paths."""
    said = json.loads(sbom)
    package = said["metadata"]["component"]
    found = _parts(said.get("components", ()), package["name"], package["version"])
    return sorted(found, key=lambda part: part.path)


def _parts(components: Iterable[Mapping[str, Any]], package: str, version: str) -> Iterator[Part]:
    for one in components:
        told = {each["name"]: each["value"] for each in one.get("properties", ())}
        hashes = {each["alg"]: each["content"] for each in one.get("hashes", ())}
        yield Part(
            package=package,
            package_version=version,
            path=one["bom-ref"],
            group=one.get("group", ""),
            name=one["name"],
            version=one.get("version", ""),
            how=told.get(HOW, ""),
            merged=MERGED in told,
            unreadable=told.get(UNREADABLE, ""),
            sha256=hashes.get("SHA-256", ""),
        )
        yield from _parts(one.get("components", ()), package, version)


def changes(before: Iterable[Part], after: Iterable[Part]) -> list[Change]:
    """What differs between the jars of two sets of packages, package by package.

    An artifact whose group is known once is the same where it is not: a file name tells no group.
    """
    sides = list(before), list(after)
    groups: dict[tuple[str, str], set[str]] = {}
    for part in (part for side in sides for part in side if part.group):
        groups.setdefault((part.package, part.name), set()).add(part.artifact)
    old, new = (_versions(side, groups) for side in sides)
    found = []
    for package, artifact in sorted(old.keys() | new.keys()):
        was, now = (tuple(sorted(side.get((package, artifact), ()))) for side in (old, new))
        if was != now:
            verb: Verb = "changed" if was and now else "went" if was else "came"
            found.append(Change(package=package, verb=verb, artifact=artifact, before=was, after=now))
    return found


def _versions(
    parts: Iterable[Part], groups: Mapping[tuple[str, str], set[str]]
) -> dict[tuple[str, str], set[str]]:
    """Package and artifact -> its versions; `?` for one that nothing tells."""
    found: dict[tuple[str, str], set[str]] = {}
    for part in parts:
        known = groups.get((part.package, part.name), set())
        artifact = next(iter(known)) if len(known) == 1 else part.artifact
        found.setdefault((part.package, artifact), set()).add(part.version or "?")
    return found
