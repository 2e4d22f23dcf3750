# SPDX-License-Identifier: Apache-2.0
"""The manifest of a release, and whether it is to be trusted."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .finding import WRONG_USE, Finding, Unable, error
from .signature import expired, trusted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .asked import Asked
    from .root import Root

KEYRINGS = "/usr/share/keyrings"
MANIFEST = {
    "origin": str,
    "label": str,
    "snapshot": str,
    "date": str,
    "withdrawn": str,
    "roles": dict,
    "indices": dict,
    "packages": list,
}
PACKAGE = {
    "name": str,
    "version": str,
    "architecture": str,
    "sha256": str,
    "md5sums": str,
    "conffiles": dict,
    "scripts": dict,
    "source": str,
}


def given(path: Path) -> bytes:
    """Content of a file that the user named.

    Raises:
        Unable: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as failed:
        raise Unable(
            WRONG_USE, f"{path}: {failed.strerror}", "name a file that this user can read"
        ) from failed


def parsed(path: Path, data: bytes, shape: Mapping[str, type]) -> dict[str, Any]:
    """A JSON object of format 1.

    Raises:
        Unable: It is none, or lacks something.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as failed:
        raise Unable(
            WRONG_USE, f"{path} is no JSON: {failed}", "fetch it anew: it may be cut off"
        ) from failed
    if not isinstance(value, dict) or value.get("format") != 1:
        form = value.get("format") if isinstance(value, dict) else None
        raise Unable(
            WRONG_USE, f"{path} has format {form}, not 1", "take the verify-host that belongs to the manifest"
        )
    check_shape(str(path), value, shape)
    return value


def check_shape(what: str, value: Any, shape: Mapping[str, type]) -> None:
    """See that an object has what is used of it.

    Raises:
        Unable: It lacks something.
    """
    for name, kind in shape.items():
        if not isinstance(value, dict) or not isinstance(value.get(name), kind):
            raise Unable(
                WRONG_USE,
                f"{what}: {name} is not there, or no {kind.__name__}",
                "make the manifest anew: `bigtop-builder fleet manifest`",
            )


def slug(origin: str) -> str:
    """An origin as names of packages have it."""
    return re.sub(r"[^a-z0-9]+", "-", origin.lower()).strip("-")


@dataclass(frozen=True)
class Release:
    """The manifest, verified."""

    fields: Mapping[str, Any]
    sha256: str
    keyring: str
    signer: str = ""

    @cached_property
    def packages(self) -> dict[str, list[dict[str, Any]]]:
        """Name -> what the release has under it."""
        found: dict[str, list[dict[str, Any]]] = {}
        for one in self.fields["packages"]:
            found.setdefault(one["name"], []).append(one)
        return found

    @property
    def origin(self) -> str:
        """Origin of the repository."""
        return str(self.fields["origin"])

    @property
    def trust(self) -> str:
        """The package with the repository's keys: hosts may have a newer one than the release, with newer keys."""
        return f"{slug(self.origin)}-archive-keyring"

    @property
    def snapshot(self) -> str:
        """Id of the snapshot."""
        return str(self.fields["snapshot"])

    def way_out(self, name: str) -> str:
        """The command that gives a host the release's version of a package."""
        return f"apt-get install --allow-downgrades {name}={self.packages[name][0]['version']}"


def load(asked: Asked, root: Root) -> tuple[Release, list[Finding]]:
    """Read the manifest and what else is given, and verify all of it.

    Raises:
        Unable: Something is not as it must be.
    """
    data = given(asked.manifest)
    fields = parsed(asked.manifest, data, MANIFEST)
    if asked.origin not in {"", fields["origin"]}:
        brief = f"{asked.manifest} is of origin {fields['origin']!r}, not {asked.origin!r}"
        raise Unable(WRONG_USE, brief, "take the manifest of that repository")
    keyring = str(asked.keyring or root.at(f"{KEYRINGS}/{slug(fields['origin'])}-archive-keyring.gpg"))
    if not os.access(keyring, os.R_OK):
        raise Unable(
            WRONG_USE,
            f"no keyring {keyring} to read",
            "install the repository's keyring package, or give --keyring",
        )
    signature = asked.signature or asked.manifest.with_name(f"{asked.manifest.name}.asc")
    checked = trusted(asked.manifest, data, keyring, given(signature))
    for number, one in enumerate(fields["packages"]):
        check_shape(f"{asked.manifest}: package {number}", one, PACKAGE)
    for role in asked.roles:
        if role not in fields["roles"]:
            known = ", ".join(sorted(fields["roles"])) or "none"
            raise Unable(WRONG_USE, f"role {role!r} is not in the manifest", f"roles are: {known}")
    release = Release(fields, hashlib.sha256(data).hexdigest(), keyring, checked.signer)
    return release, [*expired(asked.manifest.name, checked), *withdrawn(asked, release)]


def withdrawn(asked: Asked, release: Release) -> Iterator[Finding]:
    """Say whether the release was taken out of use, by the manifest or by the repository's list.

    Raises:
        Unable: The list is not to be trusted.
    """
    if release.fields["withdrawn"]:
        yield out_of_use(release, release.fields["withdrawn"])
    if asked.withdrawn:
        checked = trusted(asked.withdrawn, given(asked.withdrawn), release.keyring)
        yield from expired(asked.withdrawn.name, checked)
        for notice in parsed(asked.withdrawn, checked.text, {"withdrawn": list})["withdrawn"]:
            check_shape(str(asked.withdrawn), notice, {"snapshot": str, "when": str, "who": str, "why": str})
            if notice["snapshot"] == release.snapshot:
                yield out_of_use(release, "{why} ({who}, {when})".format_map(notice))


def out_of_use(release: Release, why: str) -> Finding:
    """A snapshot that was withdrawn."""
    back = release.fields.get("rollback_to")
    way = f"go back to snapshot {back}" if back else "take another snapshot"
    return error("withdrawn", release.snapshot[:16], detail=f"the snapshot is withdrawn: {why}", way_out=way)
