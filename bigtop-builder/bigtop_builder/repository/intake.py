# SPDX-License-Identifier: Apache-2.0
"""Reading the packages that are to be published, on all cores."""

from collections.abc import Sequence
from pathlib import Path

from bigtop_builder.artifact import Deb, read_deb
from bigtop_builder.repository.cores import spread


def read_debs(paths: Sequence[Path]) -> list[Deb]:
    """Read .deb files, in order.

    Raises:
        InputError: One is not there or cannot be read.
        CheckFailed: One is no whole .deb; file and reason are named.
    """
    return spread(read_deb, paths)
