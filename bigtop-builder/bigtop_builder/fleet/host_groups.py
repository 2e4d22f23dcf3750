# SPDX-License-Identifier: Apache-2.0
"""Which hosts are alike by their reports, and how the others differ."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bigtop_builder.fleet.host_report import HostFinding, HostPackage, HostReport

NOTHING = HostPackage(version="", state="not there")


@dataclass(frozen=True, kw_only=True)
class HostGroup:
    """Hosts that have the same packages and the same findings.

    Attributes:
        hosts: Their names, sorted.
        roles: Roles that all of them were asked for.
        snapshot: Snapshot that they were held against.
        errors: Findings that fail each of them.
        findings: What was found on each.
        differs: How they differ from the largest group with their roles, a line each; nothing for that one.
    """

    hosts: tuple[str, ...]
    roles: tuple[str, ...]
    snapshot: str
    errors: int
    findings: tuple[HostFinding, ...]
    differs: tuple[str, ...]


def grouped(reports: Mapping[str, HostReport]) -> tuple[HostGroup, ...]:
    """Hosts that are alike, most hosts first, from their reports by name."""
    groups: dict[bytes, dict[str, HostReport]] = {}
    for host in sorted(reports):
        groups.setdefault(_state(reports[host]), {})[host] = reports[host]
    ordered = sorted(groups.values(), key=lambda group: (-len(group), min(group)))
    largest: dict[tuple[str, ...], HostReport] = {}
    for group in ordered:
        first = group[min(group)]
        largest.setdefault(first.roles, first)
    return tuple(_group(tuple(group), group[min(group)], largest) for group in ordered)


def _state(one: HostReport) -> bytes:
    """What two hosts that are alike share: all but name, moment and duration."""
    text = one.model_dump_json(exclude={"host", "time", "seconds"})
    return hashlib.sha256(text.encode()).digest()


def _group(
    hosts: tuple[str, ...], first: HostReport, largest: Mapping[tuple[str, ...], HostReport]
) -> HostGroup:
    return HostGroup(
        hosts=hosts,
        roles=first.roles,
        snapshot=first.snapshot,
        errors=first.errors,
        findings=first.findings,
        differs=tuple(_differences(first, largest[first.roles])),
    )


def _differences(one: HostReport, other: HostReport) -> Iterator[str]:
    """How a host differs from another one."""
    yield from _looked_otherwise(one, other)
    for name in sorted({*one.packages, *other.packages}):
        here, there = one.packages.get(name, NOTHING), other.packages.get(name, NOTHING)
        if here != there:
            yield f"{name}: {_told(here, there)}, not {_told(there, here)}"
    for finding in one.findings:
        if finding not in other.findings:
            yield f"{finding.level} {finding.check} {finding.subject}: {finding.detail}"
    for finding in other.findings:
        if finding not in one.findings:
            yield f"has not: {finding.level} {finding.check} {finding.subject}: {finding.detail}"


def _looked_otherwise(one: HostReport, other: HostReport) -> Iterator[str]:
    """How a host was looked at, where another one was looked at otherwise."""
    if one.manifest != other.manifest:
        yield f"was held against snapshot {one.snapshot[:16]}, not {other.snapshot[:16]}"
    if one.signer != other.signer:
        yield f"its manifest is signed by {one.signer or 'an unknown key'}, not {other.signer or 'an unknown key'}"
    if one.quick != other.quick:
        yield f"the content of files was {'left out' if one.quick else 'compared'}"
    if one.guard != other.guard:
        yield f"the guard was meant to be {one.guard}"


def _told(one: HostPackage, other: HostPackage) -> str:
    """A package as far as it differs from another one."""
    words = [
        one.version if one.version != other.version else "",
        one.state if one.state != other.state else "",
        f"build {one.sha256_md5sums[:16] or 'unknown'}" if one.version == other.version != "" else "",
    ]
    same = one.sha256_md5sums == other.sha256_md5sums
    return ", ".join(word for word in (words[:2] if same else words) if word) or "the same"
