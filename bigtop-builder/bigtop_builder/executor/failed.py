# SPDX-License-Identifier: Apache-2.0
"""What a failed build leaves beside its log, so that a plan tells of it; another run takes both away."""

import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from bigtop_builder.atomic import write_whole
from bigtop_builder.errors import BuildError, InputError
from bigtop_builder.failures import headline
from bigtop_builder.plan import Step
from bigtop_builder.schema import Value

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


def note_failure(logs: Path, step: Step, error: BuildError) -> None:
    """Keep what a build failed of, if it came so far as to have a log."""
    if not log_of(logs, step.name).is_file():
        return
    failed = Failed(step=step.id, ended=time.time(), cause=headline(error.details) or error.brief)
    write_whole(_record(logs, step), failed.to_json())


def last_failure(logs: Path, step: Step) -> Failed | None:
    """The last build of this very step, if it failed and no run began since."""
    record = _record(logs, step)
    with suppress(OSError, InputError):
        failed = Failed.from_json(record.read_bytes(), source=str(record))
        return failed if failed.step == step.id else None
    return None


def _record(logs: Path, step: Step) -> Path:
    return logs / f"{step.name}.failed.json"
