# SPDX-License-Identifier: Apache-2.0
"""The release manifest: ties each published package to its recipe, tree, patches, source, image and log.

One of the four fixed formats. It is written beside the release's packages and published with them.
"""

from datetime import datetime
from typing import Literal

from pydantic import Field

from bigtop_builder.recipe import PatchId
from bigtop_builder.schema import Commit, Name, OptionalSha256, Sha256, Value


class PatchRecord(Value):
    """A local patch that was in the build."""

    id: PatchId
    sha256: Sha256 = Field(description="Sha256 of the patch file")


class TreeRecord(Value):
    """The tree that Gradle was run in."""

    repository: str = Field(description="Git URL as the recipe names it")
    commit: Commit = Field(description="Bigtop commit")
    tree: Commit = Field(description="Git tree id after exclusion, patches and overlay")
    patches: tuple[PatchRecord, ...]


class SourceRecord(Value):
    """The source a component was built from."""

    where: str = Field(description="Candidate, as in `maven:group:artifact:...`")
    sha512: str = Field(description="Pin it was checked against")
    sha256: Sha256 = Field(description="Sha256 of the repacked archive that was put into dl/")
    checked: str = Field("", description="What the pin was verified with")


class PackageRecord(Value):
    """One binary package."""

    file: str
    name: Name
    version: str
    architecture: str
    size: int = Field(description="Bytes")
    sha256: Sha256
    not_published: str = Field("", description="Why it is not in the repository; empty if it is")
    sbom: OptionalSha256 = Field("", description="Sha256 of its SBOM, which the repository keeps under it")


class ImageRecord(Value):
    """The image it was built in."""

    name: str = Field(description="Name and tag: hash of the inputs")
    digest: str = Field("", description="Engine's id of the image; empty for builds on the host")


class ComponentRecord(Value):
    """One component of the release."""

    name: Name
    version: str = Field(description="Upstream version")
    stamp: str = Field(description="Debian revision")
    step: Sha256 = Field(description="Step id")
    serial: int = Field(ge=1, description="Position of the step id in the lock")
    source: SourceRecord | None = Field(description="None for a component without a source of its own")
    image: ImageRecord
    log: Sha256 = Field(description="Sha256 of the build log")
    seconds: float = Field(description="Wall time of the build")
    packages: tuple[PackageRecord, ...]
    provenance: OptionalSha256 = Field(
        "",
        description="Sha256 of the statement where its packages come from, kept under it as a signed envelope",
    )


class Manifest(Value):
    """All of one release, as built and verified."""

    format: Literal[1] = 1
    tool: str = Field(description="Name and version of the tool")
    created: datetime = Field(description="When, UTC")
    release: str
    target: str = Field(description="Target tag, as in `deb12`")
    recipe: Sha256 = Field(description="Sha256 of the recipe file")
    lock: Sha256 = Field(description="Sha256 of the lock file")
    tree: TreeRecord
    verdict: Sha256 = Field(description="Id of the verdict")
    components: tuple[ComponentRecord, ...]
