# SPDX-License-Identifier: Apache-2.0
"""Text of Sources: what apt and dpkg-source need to fetch and unpack a source package. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bigtop_builder.repository import layout
from bigtop_builder.repository.index.packages import Stanza, field_text
from bigtop_builder.source_package import SourcePackage

OURS = frozenset({"Source", "Package", "Directory", "Files", "Status"})
"""Fields that the index sets, besides all checksums."""
ARCHITECTURE = "source"
"""What stands for an architecture where sources are listed beside packages; no .deb can have it."""
KEYS = re.compile(r"^(Package|Version|Directory): (.*)$", re.MULTILINE)
HASHES = re.compile(r"^Checksums-Sha256:\n((?: .*(?:\n|\Z))+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class PoolFile:
    """A file of a source package in the pool.

    Attributes:
        filename: Path in the repository.
        size: Bytes.
        sha256: Its hash.
    """

    filename: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class SourceStanza(Stanza):
    """One source package in an index; `filename`, `size` and `sha256` are those of its .dsc.

    Attributes:
        files: All files, the .dsc first.
    """

    files: tuple[PoolFile, ...]


def source_stanza(source: SourcePackage, component: str) -> SourceStanza:
    """What an index says of a source package: its .dsc, where it is, and the hashes of all files.

    (Debian wiki, RepositoryFormat, "Sources" Indices.)
    """
    folder = layout.source_folder(component, source.name)
    fields = {"Package": source.name}
    fields |= {
        name: value
        for name, value in source.control.items()
        if name not in OURS and not name.startswith("Checksums-")
    }
    fields["Directory"] = folder
    fields["Files"] = "".join(f"\n {one.md5} {one.size} {one.name}" for one in source.files)
    fields["Checksums-Sha256"] = "".join(f"\n {one.sha256} {one.size} {one.name}" for one in source.files)
    return SourceStanza(
        name=source.name,
        version=source.version,
        architecture=ARCHITECTURE,
        filename=f"{folder}/{source.dsc.name}",
        size=source.dsc.size,
        sha256=source.dsc.sha256,
        text="".join(field_text(name, value) for name, value in fields.items()),
        files=tuple(
            PoolFile(filename=f"{folder}/{one.name}", size=one.size, sha256=one.sha256)
            for one in source.files
        ),
    )


def parse_sources(text: str) -> Iterator[SourceStanza]:
    """Read the text of a block of Sources."""
    for part in text.split("\n\n"):
        found = HASHES.search(part)
        if found is None:
            continue
        fields: dict[str, str] = dict(KEYS.findall(part))
        files = tuple(
            PoolFile(filename=f"{fields['Directory']}/{name}", size=int(size), sha256=sha256)
            for sha256, size, name in (line.split() for line in found[1].splitlines())
        )
        yield SourceStanza(
            name=fields["Package"],
            version=fields["Version"],
            architecture=ARCHITECTURE,
            filename=files[0].filename,
            size=files[0].size,
            sha256=files[0].sha256,
            text=part + "\n",
            files=files,
        )
