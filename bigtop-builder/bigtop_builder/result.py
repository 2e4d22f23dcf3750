# SPDX-License-Identifier: Apache-2.0
"""What one build of one component made: its record, and the files that it names."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from bigtop_builder.hashes import sha256_of
from bigtop_builder.manifest import ImageRecord, SourceRecord
from bigtop_builder.schema import Name, Sha256, Value

RESULT = "result.json"
LOG = "build.log"
HANDOVER = "maven.tar"
"""What a build installed into its local Maven repository, packed (`handover`)."""
OBJECTS = "objects"

FileName = Annotated[str, StringConstraints(pattern=r"^[^./][^/]*$")]
"""Of a file in a result's folder, which leads nowhere else: others write what a depot has."""


class ResultFile(Value):
    """A file that a build left."""

    file: FileName
    size: int = Field(description="Bytes")
    sha256: Sha256

    @property
    def object(self) -> str:
        """Where its bytes are kept under their hash, below a cache or a depot."""
        return f"{OBJECTS}/{self.sha256[:2]}/{self.sha256}"


class Result(Value):
    """What one build of one component made."""

    format: Literal[1] = 1
    recipe: str = Field(description="Bigtop release and target tag, as in `3.5.0-deb11`")
    component: Name
    version: str = Field(description="Upstream version")
    stamp: str = Field(description="Debian revision")
    step: Sha256 = Field(description="Step id")
    inputs: dict[str, str] = Field(description="What the step id was made of: name of the input -> its hash")
    parts: dict[str, dict[str, str]] = Field(
        default_factory=dict,
        description="Of inputs that have parts: part -> its hash or value, to tell which changed",
    )
    source: SourceRecord | None
    image: ImageRecord
    seconds: float = Field(description="Wall time")
    files: tuple[ResultFile, ...] = Field(description="Packages, source package, .changes, .buildinfo, log")

    @field_validator("files")
    @classmethod
    def _as_a_build_leaves_them(cls, files: tuple[ResultFile, ...]) -> tuple[ResultFile, ...]:
        names = [file.file for file in files]
        if LOG not in names or RESULT in names or len({*names}) < len(names):
            raise ValueError(f"should name each file once, {LOG} among them and {RESULT} not")
        return files

    @property
    def debs(self) -> tuple[ResultFile, ...]:
        """The binary packages."""
        return tuple(file for file in self.files if file.file.endswith(".deb"))

    @property
    def handover(self) -> ResultFile | None:
        """What dependents are given; None if there is nothing."""
        return next((file for file in self.files if file.file == HANDOVER), None)

    @property
    def log(self) -> ResultFile:
        """The build log."""
        return next(file for file in self.files if file.file == LOG)


def describe(folder: Path) -> tuple[ResultFile, ...]:
    """Name, size and sha256 of each file in a folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != RESULT)
    return tuple(ResultFile(file=p.name, size=p.stat().st_size, sha256=sha256_of(p)) for p in files)
