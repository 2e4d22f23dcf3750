# SPDX-License-Identifier: Apache-2.0
"""A host for tests of verify-host: a folder with some files."""

from collections.abc import Mapping
from pathlib import Path

from bigtop_builder.fleet.verify_host.root import Root, raw


def host(folder: Path, files: Mapping[str, str | bytes]) -> Root:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw(content) if isinstance(content, str) else content)
    return Root(str(folder))
