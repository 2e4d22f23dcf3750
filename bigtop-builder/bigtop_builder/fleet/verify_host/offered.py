# SPDX-License-Identifier: Apache-2.0
"""What apt's lists have of the repository."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .deb822 import stanzas
from .finding import Finding, error, note, unread
from .signature import Checked, check_signature, expired
from .source_entry import weak

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .apt import Apt
    from .release import Release


@dataclass
class Offered:
    """What apt's lists have of the repository.

    Attributes:
        suites: The fields of each suite's InRelease.
        places: Apt's words for the lists.
        hashes: Name, version and architecture -> SHA256 of the .debs.
        findings: What is wrong with the lists.
    """

    suites: dict[str, dict[str, str]] = field(default_factory=dict)
    places: set[str] = field(default_factory=set)
    hashes: dict[tuple[str, str, str], set[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def offered(apt: Apt, release: Release) -> Offered:
    """Read those of apt's lists whose InRelease a key of the keyring has signed."""
    found = Offered()
    label = release.fields["label"]
    entries = set()
    for target in apt.targets():
        if target.get("Origin") != release.origin:
            continue
        if label and target.get("Label") != label:
            detail = (
                f"{target['Description']} is of the same origin, and not of this repository: its label is "
            )
            found.findings.append(note("origin", "apt", detail=f"{detail}{target.get('Label')!r}"))
            continue
        entries.add(target.get("Sourcesentry", ""))
        path, key = target["Filename"], target["MetaKey"].replace("/", "_")
        in_release = f"{path.rpartition(key)[0]}InRelease"
        if in_release not in found.suites:
            found.suites[in_release] = suite_fields(in_release, release, found)
        if found.suites[in_release]:
            found.places.add(target["Description"])
            read_index(apt.index(path), target, found.suites[in_release], release, found)
    found.suites = {path: fields for path, fields in found.suites.items() if fields}
    for entry in sorted(entries):
        found.findings += weak(entry, release)
    return found


def check_suite(path: str, keyring: str) -> Checked:
    """Verify an InRelease, or the Release and Release.gpg that apt takes where a mirror has none.

    Raises:
        OSError: It cannot be read.
    """
    with suppress(FileNotFoundError):
        return check_signature(Path(path).read_bytes(), keyring)
    release = Path(f"{path.removesuffix('InRelease')}Release")
    return check_signature(release.read_bytes(), keyring, Path(f"{release}.gpg").read_bytes())


def suite_fields(path: str, release: Release, found: Offered) -> dict[str, str]:
    """Fields of an InRelease; none if it is not the repository's."""
    try:
        checked = check_suite(path, release.keyring)
    except OSError as failed:
        found.findings.append(unread("apt", path, failed))
        return {}
    if not checked.good:
        found.findings.append(
            error(
                "origin",
                Path(path).name,
                detail=f"it says that it is {release.origin}, and no key of {release.keyring} has signed it",
                way_out="take this source out of /etc/apt, or install the keyring package that it belongs to",
            )
        )
        return {}
    found.findings += expired(Path(path).name, checked)
    wanted = ("Suite", "Codename", "Date", "Valid-Until", "X-Snapshot", "X-Withdrawn")
    return next(stanzas(checked.text.decode(errors="replace"), wanted), {})


def read_index(
    data: bytes, target: Mapping[str, str], suite: Mapping[str, str], release: Release, found: Offered
) -> None:
    """Take up what a Packages file offers."""
    expected = release.fields["indices"].get(target["MetaKey"])
    if (
        expected
        and suite.get("X-Snapshot") == release.snapshot
        and hashlib.sha256(data).hexdigest() != expected
    ):
        found.findings.append(
            error(
                "lists",
                target["MetaKey"],
                detail=f"{target['Filename']} is not the manifest's",
                way_out="rm it, then apt-get update",
            )
        )
    for one in stanzas(data.decode(errors="replace"), ("Package", "Version", "Architecture", "SHA256")):
        key = (one.get("Package", ""), one.get("Version", ""), one.get("Architecture", ""))
        found.hashes.setdefault(key, set()).add(one.get("SHA256", ""))
