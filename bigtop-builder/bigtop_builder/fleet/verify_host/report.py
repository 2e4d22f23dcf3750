# SPDX-License-Identifier: Apache-2.0
"""A host held against the manifest: what is found, for programs and for people."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .apt import Apt
from .candidates import candidates
from .contents import Contents
from .dpkg import Installed, dpkg_status
from .extra import extra
from .finding import AS_SAID, DIFFERS, UNREAD, Finding, Unable, error
from .guard import guard
from .lists import lists, stale
from .offered import offered
from .release import Release, load
from .root import Root, shown
from .states import absent, lost, states, unmet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from .asked import Asked


def verify(asked: Asked, now: datetime) -> dict[str, Any]:
    """Hold the host against the manifest.

    Returns:
        The report, as `--json` prints it.

    Raises:
        Unable: Nothing can be said of the host.
    """
    begun = time.monotonic()
    root = Root(os.path.realpath(asked.root))
    release, findings = load(asked, root)
    packages = dpkg_status(root)
    contents = Contents(root, release, asked.quick)
    findings += guard(root, asked.guard)
    findings += states(packages, root, release)
    findings += lost(packages, root)
    findings += absent(packages, release, asked.roles)
    with tempfile.TemporaryDirectory(prefix="verify-host-") as scratch:
        apt = Apt(root, scratch)
        findings += heeding(unmet(apt, release))
        findings += heeding(sources(asked, apt, packages, release, now))
    findings += contents.findings(packages)
    known = [one for one in packages if one.name in release.packages and one.version]
    return {
        "format": 1,
        "host": shown(asked.host or own_name(root)),
        "time": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "snapshot": release.snapshot,
        "manifest": release.sha256,
        "origin": release.origin,
        "signer": release.signer,
        "roles": sorted(set(asked.roles)),
        "findings": [
            {name: shown(value) for name, value in asdict(one).items()}
            for one in sorted(set(findings), key=lambda f: (f.level, f.check, f.subject, f.detail))
        ],
        "packages": {
            shown(one.name): {
                "version": shown(one.version),
                "state": shown(one.status),
                "sha256_md5sums": contents.sums.get(one.name, ""),
            }
            for one in sorted(known, key=lambda one: one.name)
        },
        "seconds": round(time.monotonic() - begun, 3),
        "quick": asked.quick,
        "guard": asked.guard,
    }


def heeding(found: Iterable[Finding]) -> Iterator[Finding]:
    """What apt says; if it cannot be asked, that."""
    try:
        yield from found
    except Unable as failed:
        yield error("unreadable", "apt", detail=failed.brief, way_out=failed.way_out)


def sources(
    asked: Asked, apt: Apt, packages: Sequence[Installed], release: Release, now: datetime
) -> Iterator[Finding]:
    """What apt says of the release's packages that are installed or meant to be.

    Raises:
        Unable: Apt cannot be asked.
    """
    found = offered(apt, release)
    yield from lists(found, release, now)
    yield from stale(apt, asked.max_age, now)
    if found.suites:
        there = {one.name for one in packages if one.present}
        wanted = {name for role in asked.roles for name in release.fields["roles"][role]}
        table = apt.policy((there | wanted) & set(release.packages))
        yield from candidates(packages, table, found, release)
    yield from extra(packages, found, release, apt)


def own_name(root: Root) -> str:
    """The host's name, with its domain if /etc/hosts has it: a name server that is silent would cost seconds."""
    name = os.uname().nodename
    with suppress(OSError):
        name = name if root.folder == "/" else root.text("/etc/hostname").strip()
    with suppress(OSError):
        words = re.sub(r"#.*", "", root.text("/etc/hosts")).split()
        # Of a line, only what begins with the name is the name: `localhost.localdomain localhost worker1` is usual.
        return next((one for one in words if one.partition(".")[0] == name and one != name), name)
    return name


def status_of(report: Mapping[str, Any]) -> int:
    """Exit status of a report."""
    errors = {one["check"] for one in report["findings"] if one["level"] == "error"}
    return UNREAD if errors == {"unreadable"} else DIFFERS if errors else AS_SAID


def table_of(report: Mapping[str, Any]) -> str:
    """A report for people."""
    columns = ("level", "check", "subject", "detail")
    rows = [[" ".join(one[name].split("\n")) for name in columns] for one in report["findings"]]
    widths = [max(map(len, column)) for column in zip(*rows)] if rows else []
    signer = report["signer"] or "a key of the keyring"
    about = f"snapshot {report['snapshot'][:16]} of {report['origin']}, signed by {signer}"
    lines = [f"{report['host']}: {len(report['packages'])} packages, {about}"]
    ways: Counter[str] = Counter()
    for row, one in zip(rows, report["findings"]):
        lines.append("  ".join(map(str.ljust, row, [*widths[:3], 0])))
        ways[one["way_out"]] += 1
    lines += [
        f"way out: {way}{f' ({count} findings)' if count > 1 else ''}" for way, count in ways.items() if way
    ]
    errors = sum(one["level"] == "error" for one in report["findings"])
    said = {
        AS_SAID: "as the manifest says",
        DIFFERS: "not as the manifest says",
        UNREAD: "not all could be read",
    }
    read = "without the content of files, " if report["quick"] else ""
    counts = f"{errors} errors, {len(rows) - errors} notes, {read}{report['seconds']:.1f} s"
    return "\n".join([*lines, f"{said[status_of(report)]}: {counts}"])
