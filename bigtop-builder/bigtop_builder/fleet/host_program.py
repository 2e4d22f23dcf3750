# SPDX-License-Identifier: Apache-2.0
"""The program that hosts get: the package `verify_host` as one file (docs/decisions/0015-verifier.md)."""

import io
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from bigtop_builder.fleet import verify_host

FIRST_LINE = b"#!/usr/bin/env python3\n"
MAIN = f"from {verify_host.__name__.rpartition('.')[2]}.command import main\n\nmain()\n"
"""What Python runs first in such a file (zipapp)."""


def program() -> bytes:
    """The file: the same bytes for the same sources, which stand in it as they are, for whoever likes to read."""
    folder = Path(verify_host.__file__).parent
    sources = {f"{folder.name}/{one.name}": one.read_bytes() for one in sorted(folder.glob("*.py"))}
    target = io.BytesIO()
    target.write(FIRST_LINE)
    with ZipFile(target, "a", ZIP_STORED) as archive:
        for name, data in {**sources, "__main__.py": MAIN.encode()}.items():
            entry = ZipInfo(name)  # of 1980, the first year of such files
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, data)
    return target.getvalue()
