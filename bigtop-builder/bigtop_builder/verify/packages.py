# SPDX-License-Identifier: Apache-2.0
"""One package by itself: whole, with the control fields and the version that it should have."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.artifact import Deb, read_deb
from bigtop_builder.errors import CheckFailed
from bigtop_builder.hashes import sha256_of
from bigtop_builder.verify.control import check_control
from bigtop_builder.verify.integrity import SHOWN, Contents, inspect
from bigtop_builder.verify.verdict import Finding, JudgedPackage
from bigtop_builder.verify.versions import check_version

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Built:
    """One .deb that a build made.

    Attributes:
        path: The file.
        component: Component it was built from.
    """

    path: Path
    component: str


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A .deb that could be read and is whole.

    Attributes:
        built: Where it is from.
        deb: What its control file says.
        contents: What it holds.
    """

    built: Built
    deb: Deb
    contents: Contents


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What the pure checks said of one package.

    Attributes:
        findings: One a check.
        record: Its entry in the verdict.
        judged: What the other checks need; None if it is not whole.
    """

    findings: tuple[Finding, ...]
    record: JudgedPackage
    judged: Judged | None


def judge_package(built: Built, *, architecture: str, stamps: Mapping[str, str]) -> Opinion:
    """Integrity, control fields and version of one package.

    Args:
        built: The package.
        architecture: Debian architecture of the target.
        stamps: Component -> stamp that the plan gave.
    """
    log.info("checking %s", built.path.name)
    name = built.path.name
    contents = inspect(built.path)
    deb, complaint = _control_of(built.path)
    problems = contents.problems or complaint or _unprotected(contents)
    findings = [finding("integrity", name, problems)]
    if deb:
        findings.append(finding("control", name, check_control(deb, architecture=architecture)))
        findings.append(
            finding("version", name, check_version(deb, component=built.component, expected=stamps))
        )
    whole = deb and not contents.problems
    return Opinion(
        findings=tuple(findings),
        record=_record(built, deb),
        judged=Judged(built=built, deb=deb, contents=contents) if deb and whole else None,
    )


def finding(check: str, subject: str, problems: Sequence[str]) -> Finding:
    """Failed with these problems, or passed without any."""
    return Finding(
        check=check, subject=subject, outcome="failed" if problems else "passed", detail="\n".join(problems)
    )


def _control_of(path: Path) -> tuple[Deb | None, list[str]]:
    try:
        return read_deb(path), []
    except CheckFailed as error:
        return None, [error.brief]


def _unprotected(contents: Contents) -> list[str]:
    """Files that a host could not check later: what is built here carries md5sums of all (dh_md5sums(1))."""
    regular = len(contents.unsummed)
    if not regular:
        return []
    told = ", ".join(sorted(contents.unsummed)[:SHOWN])
    return [f"md5sums {'is missing' if contents.md5sums is None else f'leaves out {regular} files'}: {told}"]


def _record(built: Built, deb: Deb | None) -> JudgedPackage:
    """What the verdict says of a file; of one that cannot be read, what its name says."""
    name, version, architecture = (*built.path.stem.split("_"), "", "")[:3]
    return JudgedPackage(
        file=built.path.name,
        name=deb.name if deb else name,
        version=deb.version if deb else version,
        architecture=deb.architecture if deb else architecture,
        component=built.component,
        size=built.path.stat().st_size,
        sha256=deb.sha256 if deb else sha256_of(built.path),
    )
