# SPDX-License-Identifier: Apache-2.0
"""Two packages of a set that own one file, where dpkg would refuse the second (policy 3.9, 7.4, 7.6)."""

import re
from collections.abc import Mapping
from itertools import combinations

from debian.deb822 import PkgRelation
from debian.debian_support import version_compare

from bigtop_builder.artifact import Deb
from bigtop_builder.verify.integrity import Contents

MERGED = re.compile(r"^(?=(?:bin|sbin|lib|lib32|lib64|libx32)/)")
"""Folders that are links into /usr on every supported distribution, so `bin/x` is `usr/bin/x`."""
OPERATORS = {
    "<<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    "=": lambda order: order == 0,
    ">=": lambda order: order >= 0,
    ">>": lambda order: order > 0,
}


def check_conflicts(debs: Mapping[str, tuple[Deb, Contents]]) -> dict[tuple[str, str], list[str]]:
    """Pairs of packages -> files that both own, without Conflicts, Replaces or diversion between them.

    Args:
        debs: Package name -> the package and what it holds.
    """
    owners: dict[str, list[str]] = {}
    for name, (_, contents) in sorted(debs.items()):
        for path in contents.files:
            owners.setdefault(MERGED.sub("usr/", path), []).append(name)
    clashes: dict[tuple[str, str], list[str]] = {}
    for path, names in sorted(owners.items()):
        for one, other in combinations(names, 2):
            if not _settled(debs[one], debs[other], path):
                clashes.setdefault((one, other), []).append(path)
    return clashes


def _settled(one: tuple[Deb, Contents], other: tuple[Deb, Contents], path: str) -> bool:
    pairs = ((one, other), (other, one))
    return any(_gives_way(first[0], second[0]) or _diverts(first[1], path) for first, second in pairs)


def _gives_way(deb: Deb, other: Deb) -> bool:
    """Whether `deb` says that `other` must go, or that it may overwrite its files."""
    return any(
        _matches(relation, other)
        for field in ("Conflicts", "Replaces")
        for relation in _relations(deb, field)
    )


def _matches(relation: "PkgRelation.ParsedRelation", deb: Deb) -> bool:
    name, version = relation["name"], relation["version"]
    if name == deb.name:
        return version is None or OPERATORS[version[0]](version_compare(deb.version, version[1]))
    return version is None and any(provided["name"] == name for provided in _relations(deb, "Provides"))


def _relations(deb: Deb, field: str) -> "list[PkgRelation.ParsedRelation]":
    """Packages of a relation field; an absent field has none, though python-debian reads one without a name."""
    value = deb.control.get(field, "").strip()
    parsed = PkgRelation.parse_relations(value) if value else []
    return [relation for alternatives in parsed for relation in alternatives]


def _diverts(contents: Contents, path: str) -> bool:
    """Whether the preinst names the file in a dpkg-divert command, as policy 3.9 wants it there."""
    script = contents.scripts.get("preinst", "")
    return "dpkg-divert" in script and f"/{path}" in script
