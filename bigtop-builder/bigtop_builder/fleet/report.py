# SPDX-License-Identifier: Apache-2.0
"""Many hosts' reports in one: which hosts are alike, and how the others differ."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.errors import InputError
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


@dataclass(frozen=True, kw_only=True)
class FleetReport:
    """All hosts.

    Attributes:
        groups: Hosts that are alike, most hosts first.
        manifests: Hashes of the manifests that they were held against: one, if all is well.
        unread: File -> why no report is in it.
    """

    groups: tuple[HostGroup, ...]
    manifests: tuple[str, ...]
    unread: Mapping[str, str]

    @property
    def hosts(self) -> int:
        """How many hosts there are."""
        return sum(len(one.hosts) for one in self.groups)

    @property
    def passed(self) -> bool:
        """Whether each host is as one manifest says."""
        return not self.unread and len(self.manifests) == 1 and not any(one.errors for one in self.groups)


def files_of(places: Iterable[Path]) -> tuple[Path, ...]:
    """Files of reports: those named, and all `*.json` of folders.

    Raises:
        InputError: A folder has none.
    """
    found: list[Path] = []
    for place in places:
        inside = sorted(place.glob("*.json")) if place.is_dir() else [place]
        if not inside:
            raise InputError(
                f"{place} has no report, *.json",
                hint="`verify-host MANIFEST --json > HOST.json` on each host writes them",
            )
        found += inside
    return tuple(dict.fromkeys(found))


def report(files: Sequence[Path]) -> FleetReport:
    """Group hosts by what they have; of a host with several reports the newest counts."""
    newest: dict[str, HostReport] = {}
    unread: dict[str, str] = {}
    for file in files:
        try:
            one = HostReport.from_json(file.read_bytes(), source=str(file))
        except (InputError, OSError) as error:
            unread[str(file)] = _why(error)
            continue
        if one.host not in newest or newest[one.host].time < one.time:
            newest[one.host] = one
    groups: dict[bytes, list[HostReport]] = {}
    for host in sorted(newest):
        groups.setdefault(_state(newest[host]), []).append(newest[host])
    ordered = sorted(groups.values(), key=lambda group: (-len(group), group[0].host))
    largest: dict[tuple[str, ...], HostReport] = {}
    for group in ordered:
        largest.setdefault(group[0].roles, group[0])
    return FleetReport(
        groups=tuple(_group(group, largest[group[0].roles]) for group in ordered),
        manifests=tuple(sorted({one.manifest for one in newest.values()})),
        unread=unread,
    )


def _why(error: InputError | OSError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return error.details.partition("\n")[0] or error.brief


def _state(one: HostReport) -> bytes:
    """What two hosts that are alike share: all but name, moment and duration."""
    text = one.model_dump_json(exclude={"host", "time", "seconds"})
    return hashlib.sha256(text.encode()).digest()


def _group(group: Sequence[HostReport], largest: HostReport) -> HostGroup:
    first = group[0]
    return HostGroup(
        hosts=tuple(one.host for one in group),
        roles=first.roles,
        snapshot=first.snapshot,
        errors=first.errors,
        findings=first.findings,
        differs=tuple(_differences(first, largest)),
    )


def _differences(one: HostReport, other: HostReport) -> Iterator[str]:
    """How a host differs from another one."""
    if one.manifest != other.manifest:
        yield f"was held against snapshot {one.snapshot[:16]}, not {other.snapshot[:16]}"
    if one.quick != other.quick:
        yield f"the content of files was {'left out' if one.quick else 'compared'}"
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


def _told(one: HostPackage, other: HostPackage) -> str:
    """A package as far as it differs from another one."""
    words = [
        one.version if one.version != other.version else "",
        one.state if one.state != other.state else "",
        f"build {one.sha256_md5sums[:16] or 'unknown'}" if one.version == other.version != "" else "",
    ]
    same = one.sha256_md5sums == other.sha256_md5sums
    return ", ".join(word for word in (words[:2] if same else words) if word) or "the same"
