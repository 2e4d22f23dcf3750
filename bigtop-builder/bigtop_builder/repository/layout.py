# SPDX-License-Identifier: Apache-2.0
"""Layout of the store: every path in it, and the models of its JSON files. One of the four fixed formats.

All paths are relative to the repository's root, with `/`. Everything is immutable once written, but for
`dists/<suite>`, the one switch, and `state/repository.json`, the settings.
"""

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from bigtop_builder.recipe import Fingerprint, Name, OptionalSha256, Sha256, Sha512
from bigtop_builder.schema import Value

SETTINGS = "state/repository.json"
POOL = "pool"
BY_HASH = "by-hash"
PACKAGES = "Packages"

SUITE = re.compile(r"[a-z0-9][A-Za-z0-9._\-]*")
Suite = Annotated[str, StringConstraints(pattern=f"^{SUITE.pattern}$")]
"""A suite's name: no slash, so that apt never warns of a conflicting distribution."""
Form = Literal["", ".gz", ".xz"]
Action = Literal["add", "promote", "rollback", "refresh"]


class SuiteSettings(Value):
    """What is fixed for one suite when it is made."""

    codename: Suite = Field(description="Never changes: apt on the hosts would refuse the suite")
    description: str = Field("", description="One line for people, shown in Release")
    architectures: tuple[Name, ...] = Field(
        ("amd64",), description="Architectures that always have an index; packages bring in further ones"
    )
    valid_days: int | None = Field(
        None, ge=1, description="Valid-Until, in days after Date; none if the state may stand for any time"
    )


class Settings(Value):
    """The repository as a whole: `state/repository.json`."""

    format: Literal[1] = 1
    origin: str = Field(min_length=1, description="Origin in Release; never changes")
    label: str = Field(min_length=1, description="Label in Release; never changes")
    keys: tuple[Fingerprint, ...] = Field(min_length=1, description="Keys that sign, each of them every time")
    forms: tuple[Form, ...] = Field(
        ("", ".gz", ".xz"),
        description="Forms of Packages that are written; Release names the plain one in any case",
    )
    suites: dict[Suite, SuiteSettings] = Field(default_factory=dict)


class Block(Value):
    """A run of neighbouring packages of an index. The file is named by the hash of the text."""

    sha256: Sha256 = Field(description="Of the text, unpacked")
    first: Name = Field(description="Name of the first package")
    last: Name = Field(description="Name of the last package")
    count: int = Field(ge=1, description="Stanzas")


class IndexFile(Value):
    """One form of an index."""

    size: int = Field(ge=0, description="Bytes")
    sha256: Sha256
    sha512: Sha512


class Index(Value):
    """The packages of one component for one architecture."""

    blocks: tuple[Block, ...]
    files: dict[str, IndexFile] = Field(
        description="`Packages`, `Packages.gz`, ... -> what Release says of it"
    )


class Snapshot(Value):
    """A package set with its indices: `snapshots/<id>/snapshot.json`; the id is the file's sha256."""

    format: Literal[1] = 1
    components: dict[Name, dict[Name, Index]] = Field(description="Component -> architecture -> index")
    manifests: tuple[Sha256, ...] = Field((), description="Release manifests that its packages came with")

    @property
    def architectures(self) -> tuple[str, ...]:
        """All architectures that have an index, sorted."""
        return tuple(sorted({name for indices in self.components.values() for name in indices}))


class Added(Value):
    """One package that a publish brought into a suite."""

    name: Name
    version: str
    architecture: Name
    sha256: Sha256
    verified: str = Field(
        description="`verdict:<sha256 of the verdict file>`, `integrity`, `pool`: it was in the repository, "
        "or `no`: it was not"
    )


class Entry(Value):
    """One switch of a suite: `state/history/<suite>/<serial>.json`, signed beside it."""

    format: Literal[1] = 1
    suite: Suite
    serial: int = Field(ge=1)
    when: datetime = Field(description="Date of the Release it made, UTC")
    who: str
    why: str
    action: Action
    before: OptionalSha256 = Field(
        "", alias="from", description="Snapshot until then; empty if the suite is new"
    )
    after: Sha256 = Field(alias="to", description="Snapshot from then on")
    source: str = Field("", description="For `promote`: suite that the snapshot came from")
    added: tuple[Added, ...] = ()


def pool_file(component: str, name: str, version: str, architecture: str) -> str:
    """Where a package lies. A function of what identifies it, so that other bytes under it are found at once.

    The epoch is left out, as Debian does; two versions that differ in it alone are refused.
    """
    prefix = name[:4] if name.startswith("lib") else name[:1]
    plain = version.partition(":")[2] or version
    return f"{POOL}/{component}/{prefix}/{name}/{name}_{plain}_{architecture}.deb"


def block_file(sha256: str, form: Literal[".gz", ".xz"] = ".gz") -> str:
    """A block's text, as the gzip member or the .xz stream that this form of Packages is joined from."""
    return f"state/blocks/{sha256}{form}"


def by_hash(algorithm: Literal["SHA256", "SHA512"], value: str) -> str:
    """An index by its hash: one folder for the whole repository, reachable under every suite's path."""
    return f"{BY_HASH}/{algorithm}/{value}"


def snapshot_file(snapshot: str) -> str:
    """The model of a snapshot; written after all that it names."""
    return f"snapshots/{snapshot}/snapshot.json"


def snapshot_index(snapshot: str, component: str, architecture: str) -> str:
    """Folder of one index of a snapshot."""
    return f"snapshots/{snapshot}/{component}/binary-{architecture}"


def release_folder(suite: str, serial: int) -> str:
    """The signed wrapper that a suite's switch points to."""
    return f"releases/{suite}/{serial}"


def suite_folder(suite: str) -> str:
    """The switch."""
    return f"dists/{suite}"


def history_file(suite: str, serial: int) -> str:
    """Entry of one switch; its signature has `.asc` after it."""
    return f"state/history/{suite}/{serial}.json"


def manifest_file(sha256: str) -> str:
    """A release manifest."""
    return f"state/manifests/{sha256}.json"


def verdict_file(sha256: str) -> str:
    """A verdict that let packages in."""
    return f"state/verdicts/{sha256}.json"


def key_file(fingerprint: str) -> str:
    """Public half of a signing key, binary."""
    return f"state/keys/{fingerprint}.gpg"
