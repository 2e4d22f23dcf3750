# SPDX-License-Identifier: Apache-2.0
"""The Gradle distribution that Bigtop's wrapper runs: fetched once, verified by its pinned sha256."""

from pathlib import Path

from filelock import FileLock

from bigtop_builder.download import download, shown
from bigtop_builder.errors import SourceError
from bigtop_builder.gradle import Distribution
from bigtop_builder.hashes import sha256_of
from bigtop_builder.settings import Settings
from bigtop_builder.workspace import Workspace


def fetch_distribution(wanted: Distribution, *, workspace: Workspace, settings: Settings) -> Path:
    """Return the distribution's zip file, from the cache or the site's mirror.

    Raises:
        SourceError: It cannot be had, or is not what the recipe pins.
    """
    if not wanted.sha256:
        raise SourceError(
            f"the recipe pins no sha256 for {wanted.file}",
            hint='set [gradle] sha256 in the recipe, or gradle = "system" in the settings',
        )
    kept = workspace.sources / "gradle" / wanted.sha256 / wanted.file
    workspace.locks.mkdir(parents=True, exist_ok=True)
    with FileLock(workspace.locks / "gradle-distribution.lock"):
        if kept.is_file() and sha256_of(kept) == wanted.sha256:
            return kept
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(".part")
        download(wanted.url, part, settings=settings)
        if (got := sha256_of(part)) != wanted.sha256:
            part.unlink()
            raise SourceError(
                f"{shown(wanted.url)} has sha256 {got}, the recipe pins {wanted.sha256}",
                hint="see [gradle] in the recipe, and mirrors.gradle_distributions in the settings",
            )
        part.replace(kept)
    return kept
