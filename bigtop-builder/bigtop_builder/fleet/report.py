# SPDX-License-Identifier: Apache-2.0
"""Many hosts' reports in one: held to what is expected of the fleet, and why it does not pass."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bigtop_builder.errors import InputError
from bigtop_builder.fleet.expected import Expected, Roles, agree, label
from bigtop_builder.fleet.host_groups import HostGroup, grouped
from bigtop_builder.fleet.host_report import HostReport, printable
from bigtop_builder.schema import counted, some

Found = dict[str, list[tuple[Path, HostReport]]]
"""Host -> its reports."""


@dataclass(frozen=True, kw_only=True)
class FleetReport:
    """All hosts.

    Attributes:
        groups: Hosts that are alike, most hosts first.
        manifests: Hashes of the manifests that they were held against: one, if all is well.
        unread: File -> why it does not count.
        missing: Hosts that are expected, and have no report that counts.
        doubts: What is not as expected -> hosts.
    """

    groups: tuple[HostGroup, ...]
    manifests: tuple[str, ...]
    unread: Mapping[str, str]
    missing: tuple[str, ...]
    doubts: Mapping[str, tuple[str, ...]]

    @property
    def hosts(self) -> int:
        """How many hosts there are."""
        return sum(len(one.hosts) for one in self.groups)

    @property
    def passed(self) -> bool:
        """Whether each host is as one manifest says."""
        return not self.reasons

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the fleet does not pass, a line each."""
        return tuple(self._reasons())

    def _reasons(self) -> Iterator[str]:
        for one in self.groups:
            if one.errors:
                first = next(finding for finding in one.findings if finding.level == "error")
                told = f"{first.check} {first.subject}: {first.detail}"
                yield f"{some(one.hosts)}: {counted(one.errors, 'error')}, the first: {told}"
        if self.missing:
            yield f"no report of {', '.join(self.missing)}"
        yield from (f"{', '.join(hosts)}: {doubt}" for doubt, hosts in self.doubts.items())
        yield from (f"{file} does not count: {why}" for file, why in self.unread.items())
        if len(self.manifests) != 1:
            yield f"held against {counted(len(self.manifests), 'manifest')}, and not one"


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


def why_not_green(
    places: Iterable[Path],
    hosts: Mapping[str, Roles | None],
    *,
    since: datetime,
    manifest: str = "",
    snapshot: str = "",
    now: datetime | None = None,
) -> tuple[str, ...]:
    """Why hosts cannot stand for a snapshot, a line each; nothing if every one of them passes, looked at in full.

    Args:
        places: Files of reports, and folders of them; other hosts' are left out.
        hosts: Host -> its roles, None if these are not known.
        since: Moment before which a report is too old.
        manifest: Sha256 of the manifest that they must have been held against.
        snapshot: Snapshot of that manifest; one of the two is needed.
        now: The moment [this one].

    Raises:
        ValueError: Neither manifest nor snapshot is given.
    """
    if not manifest and not snapshot:
        raise ValueError("neither manifest nor snapshot is given")
    if not hosts:
        return ("no host is named",)
    expected = Expected(hosts=hosts, only=True, manifest=manifest, snapshot=snapshot, since=since, full=True)
    try:
        return report(files_of(places), expected, now=now).reasons
    except InputError as error:
        return (error.brief,)


def report(
    files: Sequence[Path], expected: Expected | None = None, *, now: datetime | None = None
) -> FleetReport:
    """Group hosts by what they have, and hold them to what is expected.

    A file's name says whose it is, and the report must agree. Of files of one name, in several folders, the newest
    report counts.

    Args:
        files: The reports.
        expected: What they are held to; nothing if left out.
        now: The moment [this one].
    """
    expected = expected or Expected()
    found, unread = _read(files, expected)
    newest = {host: _newest(reports) for host, reports in found.items() if not _rivals(reports)}
    for reports in found.values():
        unread |= _rivals(reports)
    doubts: dict[str, list[str]] = {}
    for host, one in sorted(newest.items()):
        for doubt in expected.doubts(host, one, now or datetime.now(UTC)):
            doubts.setdefault(doubt, []).append(host)
    return FleetReport(
        groups=grouped(newest),
        manifests=tuple(sorted({one.manifest for one in newest.values()})),
        unread=unread,
        missing=tuple(host for host in expected.hosts if host not in newest),
        doubts={doubt: tuple(hosts) for doubt, hosts in doubts.items()},
    )


def _read(files: Sequence[Path], expected: Expected) -> tuple[Found, dict[str, str]]:
    """Reports by host, and file -> why it does not count."""
    found: Found = {}
    unread: dict[str, str] = {}
    known: dict[str, list[str]] = {}
    for host in expected.hosts:
        known.setdefault(label(host), []).append(host)
    for file in files:
        try:
            one = HostReport.from_json(file.read_bytes(), source=str(file))
        except (InputError, OSError) as error:
            unread[printable(str(file))] = _why(error)
            continue
        hosts = [
            host
            for host in known.get(label(file.stem), ())
            if agree(host, file.stem) and agree(host, one.host)
        ]
        if not agree(file.stem, one.host) or len(hosts) > 1:
            meant = " and ".join(hosts) if len(hosts) > 1 else file.stem
            unread[printable(str(file))] = (
                f"its name says {printable(meant)}, and the report is of {one.host}: name the file as the host, or "
                f"give verify-host --host"
            )
        elif hosts or not expected.only:
            name = hosts[0] if hosts else max(file.stem, one.host, key=len).casefold()
            found.setdefault(name, []).append((file, one))
    return found, unread


def _rivals(reports: Sequence[tuple[Path, HostReport]]) -> dict[str, str]:
    """Files of one host of which nobody can say which is the older one -> why; none if all have one name."""
    if len({file.stem.casefold() for file, _ in reports}) == 1:
        return {}
    every = " and ".join(printable(str(file)) for file, _ in reports)
    return {
        printable(str(file)): f"{every} are of one host: remove all but the one that is right"
        for file, _ in reports
    }


def _newest(reports: Sequence[tuple[Path, HostReport]]) -> HostReport:
    return max((one for _, one in reports), key=lambda one: one.time)


def _why(error: InputError | OSError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return printable(error.details.partition("\n")[0] or error.brief)
