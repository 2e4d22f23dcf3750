# SPDX-License-Identifier: Apache-2.0
"""Text of Packages: what apt needs to choose and fetch a package. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bigtop_builder.artifact import Deb

OURS = frozenset({"Filename", "Size", "Md5sum", "Sha1", "Sha256", "Sha512", "Status", "Package"})
"""Fields that the index sets; a control file that has one does not get it through."""
KEYS = re.compile(r"^(Package|Version|Architecture|Filename|Size|SHA256): (.*)$", re.MULTILINE)

Key = tuple[str, str, str]
"""Name, version and architecture: what identifies a package."""


@dataclass(frozen=True, kw_only=True)
class Stanza:
    """One package in an index.

    Attributes:
        text: The stanza, with one newline at its end.
        filename: Path in the repository.
        size: Bytes of the .deb.
        sha256: Hash of the .deb.
    """

    name: str
    version: str
    architecture: str
    filename: str
    size: int
    sha256: str
    text: str

    @property
    def key(self) -> Key:
        """What identifies a package."""
        return self.name, self.version, self.architecture


def stanza_of(deb: Deb, filename: str) -> Stanza:
    """What an index says of a .deb: its control file, where it is, and its hash (deb-control(5))."""
    fields = {"Package": deb.name}
    fields |= {name: value for name, value in deb.control.items() if name not in OURS}
    fields |= {"Filename": filename, "Size": str(deb.size), "SHA256": deb.sha256}
    return Stanza(
        name=deb.name,
        version=deb.version,
        architecture=deb.architecture,
        filename=filename,
        size=deb.size,
        sha256=deb.sha256,
        text="".join(field_text(name, value) for name, value in fields.items()),
    )


def parse_stanzas(text: str) -> Iterator[Stanza]:
    """Read the text of a block, one that `blocks.block_text` wrote."""
    for part in text.split("\n\n"):
        if not part:
            continue
        fields: dict[str, str] = dict(KEYS.findall(part))
        yield Stanza(
            name=fields["Package"],
            version=fields["Version"],
            architecture=fields["Architecture"],
            filename=fields["Filename"],
            size=int(fields["Size"]),
            sha256=fields["SHA256"],
            text=part + "\n",
        )


def field_text(name: str, value: str) -> str:
    """A field of a stanza; a value of several lines begins on the next one."""
    return f"{name}:{value}\n" if value.startswith("\n") else f"{name}: {value}\n"
