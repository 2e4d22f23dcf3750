# SPDX-License-Identifier: Apache-2.0
"""Programs of the host."""

from __future__ import annotations

import os
import subprocess  # noqa: TID251  # this runs on hosts, where bigtop_builder.run is not
from typing import TYPE_CHECKING

from .finding import UNREAD, Unable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PATIENCE = 300
"""Seconds that a program of the host may take."""


def ran(argv: Sequence[str], env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end.

    Raises:
        Unable: It is not there, or does not end.
    """
    variables = {**os.environ, "LC_ALL": "C", **(env or {})}
    try:
        return subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=variables, timeout=PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired) as failed:
        raise Unable(UNREAD, f"{argv[0]} cannot be run: {failed}", f"see that {argv[0]} works") from failed
