# SPDX-License-Identifier: Apache-2.0
"""Real source packages, made by dpkg-source, and the .changes and .buildinfo of a build that never was."""

import hashlib
import shutil
import tarfile
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from bigtop_builder.run import run

CONTROL = """Source: {name}
Section: misc
Priority: optional
Maintainer: Ann Bee <ann@bee.example>
Standards-Version: 4.6.2
Build-Depends: debhelper-compat (= 13)

Package: {name}
Architecture: all
Description: {name}
 A test's package.
"""
CHANGELOG = """{name} ({version}) stable; urgency=medium

  * Built for a test.

 -- Ann Bee <ann@bee.example>  Mon, 01 Jan 2024 00:00:00 +0000
"""


def write_source(folder: Path, name: str, version: str) -> Path:
    """A source package of the format `3.0 (quilt)`: the .dsc, with its parts beside it.

    Versions with the same upstream part share their .orig.tar.gz, bit for bit.
    """
    upstream = version.partition(":")[2] or version
    upstream = upstream.rpartition("-")[0]
    top = folder / f"{name}-{upstream}"
    _orig(folder / f"{name}_{upstream}.orig.tar.gz", top.name, f"{name} {upstream}\n".encode())
    (top / "debian/source").mkdir(parents=True)
    (top / "README").write_text(f"{name} {upstream}\n")
    (top / "debian/source/format").write_text("3.0 (quilt)\n")
    (top / "debian/control").write_text(CONTROL.format(name=name))
    (top / "debian/changelog").write_text(CHANGELOG.format(name=name, version=version))
    (top / "debian/rules").write_text("#!/usr/bin/make -f\n%:\n\tdh $@\n")
    run(["dpkg-source", "--build", top.name], cwd=folder)
    shutil.rmtree(top)
    return folder / f"{name}_{version.partition(':')[2] or version}.dsc"


def write_record(path: Path, files: Iterable[Path]) -> Path:
    """A .changes or .buildinfo that names some files."""
    lines = [
        f" {hashlib.sha256(one.read_bytes()).hexdigest()} {one.stat().st_size} {one.name}" for one in files
    ]
    path.write_text(
        "Format: 1.8\nSource: emu\nBinary: emu\nArchitecture: source all\nVersion: 1.0-1\nChecksums-Sha256:\n"
        + "\n".join(lines)
        + "\n"
    )
    return path


def _orig(path: Path, top: str, readme: bytes) -> None:
    if path.exists():
        return
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo(f"{top}/README")
        info.size = len(readme)
        tar.addfile(info, BytesIO(readme))
