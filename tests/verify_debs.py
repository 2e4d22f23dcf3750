# SPDX-License-Identifier: Apache-2.0
"""Packages for the tests of `verify`: made by dpkg-deb from tiny trees."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from bigtop_builder.run import run

STAMP = "1+bt3.5.0.2~deb12"
VERSION = f"1.0-{STAMP}"


def make_deb(
    folder: Path,
    name: str,
    *,
    version: str = VERSION,
    files: Mapping[str, str | bytes] | None = None,
    conffiles: Mapping[str, str] | None = None,
    scripts: Mapping[str, str] | None = None,
    links: Mapping[str, str] | None = None,
    fields: Mapping[str, str] | None = None,
    md5sums: Mapping[str, str] | None = None,
    options: tuple[str, ...] = ("-Zgzip",),
) -> Path:
    """Build a package. Paths are relative; a field with an empty value is left out of the control file.

    `md5sums` (path -> digest) stands in for the true one; without entries the package has none.
    """
    tree = folder / f"tree-{name}-{version.replace(':', '.')}"
    control = tree / "DEBIAN"
    control.mkdir(parents=True)
    defaults = {
        "Package": name,
        "Version": version,
        "Architecture": "all",
        "Maintainer": "Test <test@example.org>",
        "Description": "package of a test",
    }
    lines = [f"{key}: {value}" for key, value in {**defaults, **(fields or {})}.items() if value]
    (control / "control").write_text("\n".join(lines) + "\n")
    contents = {f"usr/share/{name}/data": f"data of {name}\n"} if files is None else dict(files)
    sums = {}
    for path, text in {**contents, **(conffiles or {})}.items():
        data = text.encode() if isinstance(text, str) else text
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(data)
        (tree / path).chmod(0o755 if data.startswith(b"#!") else 0o644)
        if path in contents:
            sums[path] = hashlib.md5(data, usedforsecurity=False).hexdigest()
    for path, target in (links or {}).items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).symlink_to(target)
    for script, text in (scripts or {}).items():
        (control / script).write_text(f"#!/bin/sh\nset -e\n{text}\n")
        (control / script).chmod(0o755)
    if conffiles:
        (control / "conffiles").write_text("".join(f"/{path}\n" for path in conffiles))
    listed = sums if md5sums is None else md5sums
    if listed:
        (control / "md5sums").write_text("".join(f"{value}  {path}\n" for path, value in listed.items()))
    architecture = {**defaults, **(fields or {})}["Architecture"]
    path = folder / f"{name}_{version.partition(':')[2] or version}_{architecture}.deb"
    run(["dpkg-deb", "--root-owner-group", *options, "-b", tree, path])
    return path
