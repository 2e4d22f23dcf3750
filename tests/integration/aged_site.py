# SPDX-License-Identifier: Apache-2.0
"""A repository in a folder, and the days that have gone by."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.store.filesystem import FilesystemStore


@dataclass
class AgedSite:
    """A repository whose clock can be set ahead.

    Attributes:
        folder: For all that a test makes.
        gone_by: How far the clock is ahead.
    """

    folder: Path
    gone_by: timedelta = field(default=timedelta(), kw_only=True)

    @property
    def root(self) -> Path:
        return self.folder / "repository"

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.gone_by

    @property
    def repository(self) -> Repository:
        return Repository(FilesystemStore(self.root, sync=False), clock=lambda: self.now)
