# SPDX-License-Identifier: Apache-2.0
"""What a failed build leaves beside its log, so that a plan tells of it; the next build of it takes both away."""

import logging
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from bigtop_builder.atomic import write_whole
from bigtop_builder.errors import BuilderError, InputError
from bigtop_builder.known_failures import headline
from bigtop_builder.plan import Step
from bigtop_builder.schema import Value

log = logging.getLogger(__name__)

RECORD = ".failed.json"
RECENT = 120
"""Minutes."""


class Failed(Value):
    """A build that failed.

    Attributes:
        step: Its step id.
        ended: When, in seconds since 1970.
        cause: Why, in one line.
    """

    step: str
    ended: float
    cause: str

    @property
    def ago(self) -> str:
        """How long ago it ended, or when, in words."""
        minutes = max(0, round((time.time() - self.ended) / 60))
        return (
            f"{minutes} min ago"
            if minutes < RECENT
            else f"on {datetime.fromtimestamp(self.ended, UTC):%Y-%m-%d %H:%M} UTC"
        )


def log_of(logs: Path, component: str) -> Path:
    """The log of a component's build."""
    return logs / f"{component}.log"


def note_failure(logs: Path, step: Step, error: Exception) -> None:
    """Keep what a build failed of; where that cannot be, its error says enough."""
    brief, details = (error.brief, error.details) if isinstance(error, BuilderError) else (str(error), "")
    failed = Failed(step=step.id, ended=time.time(), cause=headline(details) or brief)
    try:
        write_whole(_record(logs, step.name), failed.to_json())
    except OSError as refused:
        log.debug("%s: that it failed is not noted: %s", step.name, refused)


def last_failure(logs: Path, step: Step) -> Failed | None:
    """The last build of this very step, if it failed and was not begun since."""
    record = _record(logs, step.name)
    with suppress(OSError, InputError):
        failed = Failed.from_json(record.read_bytes(), source=str(record))
        return failed if failed.step == step.id else None
    return None


def left_by_failures(logs: Path) -> dict[str, set[Path]]:
    """Component whose last build failed -> the files that tell of it."""
    names = [record.name.removesuffix(RECORD) for record in logs.glob(f"*{RECORD}")]
    return {name: {_record(logs, name), log_of(logs, name)} for name in names}


def _record(logs: Path, component: str) -> Path:
    return logs / f"{component}{RECORD}"
