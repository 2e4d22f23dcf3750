# SPDX-License-Identifier: Apache-2.0
"""lintian over the packages, in a builder room: an error fails unless the recipe lets it pass with a reason."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.artifact import Deb
from bigtop_builder.errors import VerifyError
from bigtop_builder.recipe import LintianException
from bigtop_builder.room import Room
from bigtop_builder.tarstream import pack
from bigtop_builder.verify.verdict import Finding

CHECK = "lintian"
COMMAND = ("lintian", "--no-cfg", "--allow-root", "--tag-display-limit", "0", "--fail-on", "none")
LINE = re.compile(
    r"(?P<level>[EW]): (?P<package>[^\s:]+)(?: (?P<kind>source|changes|buildinfo|udeb))?: (?P<rest>.+)"
)
LISTED = re.compile(r"^ [0-9a-f]{64} [0-9]+ (\S+)$", re.MULTILINE)
"""A line of Checksums-Sha256 (Debian policy 5.6.24)."""
SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Hint:
    """One line of lintian's.

    Attributes:
        level: `E` or `W`.
        package: Package it is about.
        tag: The tag.
        context: What lintian says besides: file names and the like.
    """

    level: str
    package: str
    tag: str
    context: str


def check_lintian(
    room: Room, debs: Sequence[Deb], exceptions: Sequence[LintianException], changes: Sequence[Path] = ()
) -> list[Finding]:
    """Run lintian and judge what it says; one finding a package and failing tag.

    Args:
        room: A builder room; the image has lintian.
        debs: The packages.
        exceptions: What the recipe lets pass.
        changes: .changes files; one whose files do not all lie beside it is left out, as lintian would do.

    Raises:
        VerifyError: lintian could not do its work.
    """
    folder = f"{room.workdir}/lintian"
    files = {p.name: p for path in changes for p in _with(path)} | {deb.path.name: deb.path for deb in debs}
    room.run(["mkdir", "-p", folder])
    room.put(pack({name: files[name] for name in sorted(files)}), folder)
    # A .changes brings its packages along; lintian looks at each once.
    subjects = [name for name in files if name.endswith((".deb", ".changes"))]
    done = room.run([*COMMAND, *subjects], cwd=folder, env={"LC_ALL": "C.UTF-8"}, check=False)
    room.run(["rm", "-rf", folder])
    if done.returncode != 0:
        raise VerifyError(
            f"lintian ended with exit status {done.returncode} in {room.name}",
            details="\n".join(done.complaint.splitlines()[-15:]),
            hint="the builder image must have lintian; without Docker: apt-get install lintian",
        )
    return judge(parse(done.text.splitlines()), [deb.name for deb in debs], exceptions)


def parse(lines: Iterable[str]) -> list[Hint]:
    """Errors and warnings among lintian's lines.

    Debian 12's lintian puts file names in brackets behind the rest, Debian 11's puts them first and bare:
    both stay context.
    """
    hints = []
    for line in lines:
        if match := LINE.fullmatch(line):
            tag, _, context = match["rest"].partition(" ")
            hints.append(
                Hint(level=match["level"], package=match["package"], tag=tag, context=context.strip())
            )
    return hints


def judge(
    hints: Sequence[Hint], packages: Sequence[str], exceptions: Sequence[LintianException]
) -> list[Finding]:
    """Findings: each error tag of a package failed or waived, and packages without any passed."""
    errors: dict[tuple[str, str], list[str]] = {}
    for hint in hints:
        if hint.level == "E":
            errors.setdefault((hint.package, hint.tag), []).append(hint.context)
    findings = [
        _finding(package, tag, contexts, exceptions) for (package, tag), contexts in sorted(errors.items())
    ]
    clean = sorted(set(packages) - {package for package, _ in errors})
    for package in clean:
        warnings = sum(hint.package == package for hint in hints)
        findings.append(
            Finding(check=CHECK, subject=package, outcome="passed", detail=f"{warnings} warnings")
        )
    return findings


def _finding(
    package: str, tag: str, contexts: Sequence[str], exceptions: Sequence[LintianException]
) -> Finding:
    told = [context for context in contexts[:SHOWN] if context]
    if len(contexts) > SHOWN:
        told.append(f"and {len(contexts) - SHOWN} more")
    detail = "\n".join([tag, *told])
    for exception in exceptions:
        if exception.tag == tag and (not exception.packages or package in exception.packages):
            return Finding(
                check=CHECK, subject=package, outcome="waived", detail=f"{detail}\nwaived: {exception.reason}"
            )
    return Finding(check=CHECK, subject=package, outcome="failed", detail=detail)


def _with(changes: Path) -> list[Path]:
    """A .changes file and the files that it lists; nothing if one of them is not there."""
    listed = LISTED.findall(changes.read_text(encoding="utf-8"))
    files = [changes, *(changes.parent / name for name in listed)]
    return files if all(path.is_file() for path in files) else []
