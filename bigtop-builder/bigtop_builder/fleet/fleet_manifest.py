# SPDX-License-Identifier: Apache-2.0
"""The fleet manifest: what every host of a snapshot has, down to the hashes that dpkg keeps there. A fixed format.

It is a signed file that needs nothing else: hosts are compared with it, and rolled back by it, also when the
repository cannot be reached. The release manifest says how packages were made; this one what hosts have of them.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from bigtop_builder import openpgp
from bigtop_builder.artifact import VERSION
from bigtop_builder.errors import InputError
from bigtop_builder.repository.layout import Suite
from bigtop_builder.schema import Fingerprint, Name, OptionalSha256, Sha256, Title, Value

FILE = "fleet-manifest.json"
SIGNATURE = f"{FILE}.asc"

Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Version = Annotated[str, StringConstraints(pattern=f"^(?:{VERSION.pattern})$")]
OptionalCommit = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40})?$")]


class FleetPackage(Value):
    """A binary package that hosts of the snapshot can have."""

    name: Name
    version: Version
    architecture: Name
    component: Name
    file: str = Field(description="Path in the repository")
    size: int = Field(ge=0, description="Bytes of the .deb")
    sha256: Sha256 = Field(description="Of the .deb")
    md5sums: OptionalSha256 = Field(
        "", description="Sha256 of its md5sums, which dpkg keeps as they are; empty if it has none"
    )
    conffiles: dict[str, Md5] = Field(
        default_factory=dict, description="Configuration file -> md5 as shipped, as dpkg's status has it"
    )
    scripts: dict[str, Sha256] = Field(
        default_factory=dict, description="Maintainer script -> sha256; dpkg keeps them as they are"
    )
    source: Name = Field(description="Source package")
    source_version: Version
    release: str = Field("", description="Bigtop release and target; empty if no release manifest has it")
    commit: OptionalCommit = Field("", description="Bigtop commit it was built from")
    tree: OptionalCommit = Field("", description="Git tree id that was built: the commit with local patches")
    patches: OptionalSha256 = Field(
        "", description="Sha256 over the local patches in that tree, a line `<sha256>  <id>` each, in order"
    )
    step: OptionalSha256 = Field("", description="Id of the step that built it")


class FleetManifest(Value):
    """What hosts of one snapshot have, and where they go back to."""

    format: Literal[1] = 1
    origin: Title = Field(description="Origin of the repository")
    label: Title = Field(description="Its label")
    url: str = Field("", description="Address under which hosts reach it; empty if that is not known")
    keys: tuple[Fingerprint, ...] = Field(description="Keys that sign the repository, and this")
    snapshot: Sha256 = Field(description="Id of the snapshot")
    suite: Suite = Field(description="The snapshot's own suite, which never has another one")
    suites: tuple[Suite, ...] = Field((), description="Suites that pointed to it when this was signed")
    date: datetime = Field(description="Date of the own suite's Release, UTC")
    withdrawn: str = Field("", description="Why nobody is to take it any more; empty if it is in use")
    rollback_to: OptionalSha256 = Field(
        "", description="Snapshot that hosts go back to; empty if there is none"
    )
    releases: tuple[str, ...] = Field((), description="Bigtop releases and targets its packages are of")
    roles: dict[Name, tuple[Name, ...]] = Field(
        default_factory=dict, description="Role -> packages of the repository that its hosts install"
    )
    indices: dict[str, Sha256] = Field(
        description="Packages files in all forms that Release names, by their path below the suite"
    )
    packages: tuple[FleetPackage, ...] = Field(
        description="Of each name and architecture the version that hosts take, by name"
    )


def read_signed(path: Path, public: bytes) -> FleetManifest:
    """A fleet manifest whose signature, `.asc` beside it, holds.

    Args:
        path: The manifest.
        public: Keys, binary, of which one must have signed it.

    Raises:
        InputError: One of the two files cannot be read, or it is no fleet manifest.
        SigningError: None of the keys has signed it, or it was altered.
    """
    signature = path.with_name(f"{path.name}.asc")
    try:
        text, signed = path.read_bytes(), signature.read_bytes()
    except OSError as error:
        raise InputError(
            f"{error.filename} cannot be read: {error.strerror}",
            hint="bigtop-builder fleet manifest writes both, the manifest and its signature",
        ) from error
    proof = openpgp.verify(text, keyring=public, signature=signed, what=str(path))
    return FleetManifest.from_json(proof.text, source=str(path))
