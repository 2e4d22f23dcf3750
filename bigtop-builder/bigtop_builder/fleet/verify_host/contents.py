# SPDX-License-Identifier: Apache-2.0
"""Installed packages, held to what the manifest says of their bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .dpkg import INFO, Installed, kept, sum_of
from .files import Files
from .finding import Finding, error, note, unread
from .placing import Placing
from .root import ABSENT, IrregularError, Root, md5_of, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .release import Release

SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config")


@dataclass
class Contents:
    """Installed packages and what the manifest says of their bytes.

    Attributes:
        root: The host.
        release: The manifest.
        quick: Leave out the content of files.
        sums: Package -> sha256 of its md5sums, once it was looked at.
    """

    root: Root
    release: Release
    quick: bool
    sums: dict[str, str] = field(default_factory=dict)

    def findings(self, packages: Sequence[Installed]) -> Iterator[Finding]:
        """All that differs."""
        for one in packages:
            if one.present and one.name in self.release.packages:
                yield from self._package(one)

    @cached_property
    def placing(self) -> Placing:
        """Where files are."""
        return Placing(self.root)

    def _package(self, one: Installed) -> Iterator[Finding]:
        sums = kept(self.root, one, "md5sums")
        if isinstance(sums, bytes):
            self.sums[one.name] = hashlib.sha256(sums).hexdigest()
        known = self.release.packages[one.name]
        entry = next(
            (e for e in known if (e["version"], e["architecture"]) == (one.version, one.architecture)), None
        )
        if entry is None:
            has = ", ".join(sorted({f"{e['version']} ({e['architecture']})" for e in known}))
            detail = f"{one.version} ({one.architecture}) is installed, the manifest has {has}"
            if one.name == self.release.trust:
                yield note("package", one.name, detail=detail)
            else:
                yield error("package", one.name, detail=detail, way_out=self.release.way_out(one.name))
        else:
            yield from self._identity(one, entry, sums)
            yield from self._scripts(one, entry)
            yield from self._conffiles(one, entry)
        yield from self._places(one, sums if isinstance(sums, bytes) else b"")

    def _places(self, one: Installed, sums: bytes) -> Iterator[Finding]:
        """What became of a package's files on the disk."""
        found = kept(self.root, one, "list")
        if isinstance(found, OSError):
            yield unread(one.name, f"{INFO}/{one.name}.list", found)
        elif found is None:
            yield error("package", one.name, detail="dpkg has lost the list of its files", way_out=one.again)
        listed = found.decode(errors="surrogateescape").split("\n") if isinstance(found, bytes) else []
        files = Files(self.root, self.release, self.placing)
        yield from files.aside(one, listed)
        if not self.quick:
            sums_of = dict(map(sum_of, sums.decode(errors="surrogateescape").splitlines()))
            # Some packages have conffiles there: what the admin did to them is told, not failed.
            conffiles = {*one.conffiles, *one.obsolete}
            expected = {path: digest for path, digest in sums_of.items() if path not in conffiles}
            known = {"", "/.", *sums_of, *conffiles}
            yield from files.altered(one, expected, frozenset(listed))
            yield from files.absent(one, [path for path in listed if path not in known])

    def _identity(
        self, one: Installed, entry: Mapping[str, Any], sums: bytes | OSError | None
    ) -> Iterator[Finding]:
        expected = entry["md5sums"]
        if isinstance(sums, OSError):
            yield unread(one.name, f"{INFO}/{one.name}.md5sums", sums)
        elif not expected:
            yield note(
                "package", one.name, detail="it was built without md5sums: its version alone is compared"
            )
        elif sums is None:
            yield error("package", one.name, detail="dpkg has lost its md5sums", way_out=one.again)
        elif self.sums[one.name] != expected:
            detail = (
                f"{one.version} is another build than the manifest's: its md5sums have sha256 "
                f"{self.sums[one.name][:16]}, not {expected[:16]}"
            )
            yield error("package", one.name, detail=detail, way_out=one.again)

    def _scripts(self, one: Installed, entry: Mapping[str, Any]) -> Iterator[Finding]:
        expected: Mapping[str, str] = entry["scripts"]
        for script in sorted({*SCRIPTS, *expected}):
            data = kept(self.root, one, script)
            if isinstance(data, OSError):
                yield unread(one.name, f"{INFO}/{one.name}.{script}", data)
                continue
            has = hashlib.sha256(data).hexdigest() if data is not None else ""
            if has != expected.get(script, ""):
                what = (
                    "is not the manifest's"
                    if has and script in expected
                    else "is lost"
                    if not has
                    else "is new"
                )
                yield error(
                    "package",
                    one.name,
                    detail=f"its {script} script {what}",
                    way_out=one.again,
                )

    def _conffiles(self, one: Installed, entry: Mapping[str, Any]) -> Iterator[Finding]:
        known = {shown(path): (path, digest) for path, digest in one.conffiles.items()}
        for name, shipped in sorted(entry["conffiles"].items()):
            path, digest = known.get(name, (name, "none"))
            if digest != shipped:
                yield error(
                    "package",
                    one.name,
                    detail=f"dpkg knows conffile {name} with MD5 {digest}, the manifest with {shipped}",
                    way_out=one.again,
                )
            yield from self._conffile(one.name, path, shipped)
        for path in one.obsolete:
            yield note("conffile", one.name, detail=f"{path} is left of an earlier version")

    def _conffile(self, package: str, path: str, shipped: str) -> Iterator[Finding]:
        """What became of a configuration file."""
        try:
            has = md5_of(self.root.open(self.placing.of(package, path)))
        except ABSENT:
            yield note("conffile", package, detail=f"{path} is deleted")
        except IrregularError:
            yield note("conffile", package, detail=f"{path} is no regular file any more")
        except OSError as failed:
            yield unread(package, path, failed)
        else:
            if has != shipped:
                yield note("conffile", package, detail=f"{path} is altered: MD5 {has}")
