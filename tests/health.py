# SPDX-License-Identifier: Apache-2.0
"""What `repo check` finds wrong with a repository now."""

from datetime import UTC, datetime

from bigtop_builder.repository.check import examine
from bigtop_builder.repository.state import State


def problems(state: State) -> tuple[str, ...]:
    """One thing a line; empty if all holds."""
    return examine(state, now=datetime.now(UTC)).problems
