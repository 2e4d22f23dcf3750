# SPDX-License-Identifier: Apache-2.0
"""What a release says of its packages besides the verdict: an SBOM of each, and where each build came from.

Both are the same whenever they are made: SBOMs follow from the packages and what was noted at their build, statements
from what the build wrote. So SBOMs are made once, and kept in the cache.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from bigtop_builder.cores import on_all_cores
from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.provenance import PROVENANCE, Predicate, statement
from bigtop_builder.result import Result
from bigtop_builder.sbom.coordinates import ARTIFACTS, Artifacts
from bigtop_builder.sbom.kept import kept_sbom
from bigtop_builder.schema import Value
from bigtop_builder.survey import Survey

log = logging.getLogger(__name__)

Noted = TypeVar("Noted", bound=Value)


@dataclass(frozen=True, kw_only=True)
class Attestations:
    """What is known of a release's packages.

    Attributes:
        sboms: Sha256 of a package -> its SBOM.
        statements: Component -> the provenance of its packages, to be signed; a result of an older version of this
            tool has none.
    """

    sboms: Mapping[str, bytes]
    statements: Mapping[str, bytes]

    def sbom(self, package: str) -> str:
        """Name of a package's SBOM; empty if there is none."""
        return _name(self.sboms.get(package))

    def provenance(self, component: str) -> str:
        """Name of a component's statement; empty if there is none."""
        return _name(self.statements.get(component))


NONE = Attestations(sboms={}, statements={})


@dataclass(frozen=True, kw_only=True)
class _Package:
    """A package of a result, with what its build noted."""

    path: Path
    sha256: str
    artifacts: Artifacts


def attestations_of(survey: Survey, results: Sequence[Result]) -> Attestations:
    """SBOMs and provenance of what was built.

    Raises:
        CheckFailed: A package is no whole .deb, or what its build noted cannot be read.
    """
    statements, packages = {}, []
    for result in results:
        folder = survey.cache.folder(result.step, result.stamp)
        artifacts = _noted(Artifacts, result, folder / ARTIFACTS) or Artifacts()
        packages += [
            _Package(path=folder / d.file, sha256=d.sha256, artifacts=artifacts) for d in result.debs
        ]
        if known := _noted(Predicate, result, folder / PROVENANCE):
            statements[result.component] = statement(result.debs, known)
        else:
            log.warning(
                "%s was built by an older version of this tool, which wrote no provenance: its packages get none",
                result.component,
            )
    return Attestations(sboms=_sboms(packages, survey.workspace.sboms), statements=statements)


def _sboms(packages: Sequence[_Package], folder: Path) -> dict[str, bytes]:
    sboms = on_all_cores(partial(_sbom, folder), packages) if packages else []
    return dict(zip((one.sha256 for one in packages), sboms, strict=True))


def _sbom(folder: Path, one: _Package) -> bytes:
    return kept_sbom(folder, one.path, one.sha256, one.artifacts)


def _noted(kind: type[Noted], result: Result, path: Path) -> Noted | None:
    """What a build noted; None if it noted nothing of the kind.

    Raises:
        CheckFailed: It did, and that cannot be read. So nothing is published without what was said of it.
    """
    if all(file.file != path.name for file in result.files):
        return None
    try:
        return kind.from_json(path.read_bytes(), source=str(path))
    except InputError as error:
        raise CheckFailed(
            error.brief,
            details=error.details,
            hint="another version of bigtop-builder built it: use that one; or remove its folder, here and in the "
            "shared cache, and what is built anew is taken",
        ) from error


def _name(content: bytes | None) -> str:
    return hashlib.sha256(content).hexdigest() if content else ""
