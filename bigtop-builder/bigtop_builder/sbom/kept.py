# SPDX-License-Identifier: Apache-2.0
"""SBOMs that were made once, by the hash of what they are made of."""

from pathlib import Path

from bigtop_builder.atomic import write_whole
from bigtop_builder.disused import mark_used
from bigtop_builder.sbom.coordinates import Artifacts
from bigtop_builder.sbom.inventory import FORM
from bigtop_builder.schema import digest


def kept_sbom(folder: Path, deb: Path, sha256: str, artifacts: Artifacts | None = None) -> bytes:
    """The SBOM of a package, from a cache of them or made now.

    Args:
        folder: The cache.
        deb: The package.
        sha256: Its hash.
        artifacts: What its build noted.

    Raises:
        CheckFailed: It is no whole .deb.
    """
    noted = artifacts or Artifacts()
    kept = folder / f"{digest(FORM, sha256, noted.to_json())}.json"
    if not kept.is_file():
        from bigtop_builder.sbom.document import sbom_of  # 0.2 s that what is known already should not pay

        write_whole(kept, sbom_of(deb, noted.known).decode())
    mark_used(kept)
    return kept.read_bytes()
