# SPDX-License-Identifier: Apache-2.0
"""A forge of jars, and of packages that hold them."""

import io
import zipfile
from pathlib import Path

from bigtop_builder.run import run

CONTROL = """Package: {name}
Version: {version}
Architecture: all
Maintainer: Ann Bee <ann@bee.example>
Description: package of a test
"""


def pom(group: str, artifact: str, version: str) -> dict[str, bytes]:
    """The record that Maven leaves in a jar."""
    text = f"#Created by a test\ngroupId={group}\nartifactId={artifact}\nversion={version}\n"
    return {f"META-INF/maven/{group}/{artifact}/pom.properties": text.encode()}


def jar(entries: dict[str, bytes] | None = None, *, packed: bool = True) -> bytes:
    """A jar with these entries and a class."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name, content in {"org/example/A.class": b"\xca\xfe\xba\xbe", **(entries or {})}.items():
            archive.writestr(zipfile.ZipInfo(name), content, archive.compression)
    return made.getvalue()


def package(folder: Path, files: dict[str, bytes], *, name: str = "salute", version: str = "1.0-1") -> Path:
    """A .deb with these files, made by dpkg-deb."""
    tree = folder / f"{name}-{version}"
    for path, content in {
        "DEBIAN/control": CONTROL.format(name=name, version=version).encode(),
        **files,
    }.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
    target = folder / f"{name}_{version}_all.deb"
    run(
        ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", tree, target],
        env={"SOURCE_DATE_EPOCH": "1700000000"},
    )
    return target
