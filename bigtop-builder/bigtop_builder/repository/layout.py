# SPDX-License-Identifier: Apache-2.0
"""Layout of the store: every path in it, and the models of its JSON files. One of the four fixed formats.

All paths are relative to the root, with `/`. What a hash or a serial names is written once, unless a crash
left it unused; what changes is `dists/<suite>`, the one switch, and in `state/` the settings, the notices, a mirror's
record, public keys whose subkeys or revocation came later, and histories' signatures after a revocation.
"""

import re
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from bigtop_builder.schema import Fingerprint, Name, OptionalSha256, Sha256, Sha512, Title, Value

SETTINGS = "state/repository.json"
MIRROR = "state/mirror.json"
"""Only mirrors have it: `repo export` alone writes there."""
WITHDRAWN = "state/withdrawn.asc"
"""Clear-signed JSON, one object, so that nobody ever reads a text with another one's signature."""
COPY = "bring it back from a copy of the repository"
"""The way out for a file that never changes: it is the same in any copy that has it."""
POOL = "pool"
BY_HASH = "by-hash"
PACKAGES = "Packages"
SOURCES = "Sources"
TRANSLATION = "Translation-en"

SUITE = re.compile(r"[a-z0-9][A-Za-z0-9._\-]*")
OWN_SUITE = re.compile(r"snapshot-[0-9a-f]{16}")
"""Names that only `snapshot_suite` gives."""
Suite = Annotated[str, StringConstraints(pattern=f"^{SUITE.pattern}$")]
"""A suite's name: no slash, so that apt never warns of a conflicting distribution."""
Form = Literal["", ".gz", ".xz", ".zst"]
FORMS: tuple[Form, ...] = ("", ".gz", ".xz")
"""Those that are written unless a repository has others."""
Action = Literal[
    "add",
    "replace",
    "remove",
    "promote",
    "rollback",
    "refresh",
    "snapshot",
    "keep",
    "release",
    "withdraw",
    "restore",
    "retire",
]


class Retention(Value):
    """Which snapshots of a suite stay. Without `keep` and `keep_days` all do."""

    keep: int | None = Field(None, ge=1, description="The last so many different ones that it pointed to")
    keep_days: int | None = Field(None, ge=1, description="Those that it pointed to within so many days")
    promoted: bool = Field(True, description="Those that were promoted from it to another suite")
    rollbacks: int = Field(1, ge=1, description="Rollbacks, one after another, that must stay possible")


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
    retention: Retention = Field(Retention(), description="Which of its snapshots stay")


class Settings(Value):
    """The repository as a whole: `state/repository.json`."""

    format: Literal[1] = 1
    origin: Title = Field(description="Origin in Release; never changes")
    label: Title = Field(description="Label in Release; never changes")
    keys: tuple[Fingerprint, ...] = Field(min_length=1, description="Keys that sign, each of them every time")
    revoked: tuple[Fingerprint, ...] = Field((), description="Keys that were revoked: they never sign again")
    forms: tuple[Form, ...] = Field(
        FORMS,
        description="Forms of Packages, Sources and Translation-en that are written; Release names the plain one "
        "in any case",
    )
    contents: bool = Field(False, description="Write Contents-<architecture>.gz too")
    translations: bool = Field(
        False, description="Long descriptions stand in Translation-en, no more in Packages"
    )
    snapshot_days: int | None = Field(
        None,
        ge=1,
        description="Valid-Until of the snapshots' own suites, in days after Date; none if left out",
    )
    suites: dict[Suite, SuiteSettings] = Field(default_factory=dict)


class Block(Value):
    """A run of neighbouring stanzas or lines of an index. The file is named by the hash of the text."""

    sha256: Sha256 = Field(description="Of the text, unpacked")
    first: str = Field(description="Name of the first package; of Contents the first path")
    last: str = Field(description="Name of the last package; of Contents the last path")
    count: int = Field(ge=1, description="Stanzas; of Contents lines")


class IndexFile(Value):
    """One form of an index."""

    size: int = Field(ge=0, description="Bytes")
    sha256: Sha256
    sha512: Sha512


class Index(Value):
    """One index: the packages of a component for an architecture, its sources, its file lists."""

    blocks: tuple[Block, ...]
    files: dict[str, IndexFile] = Field(
        description="`Packages`, `Packages.gz`, ... -> what Release says of it"
    )

    def written(self, forms: Collection[Form]) -> Iterator[tuple[str, IndexFile]]:
        """Those of the files that are there: of Contents the .gz alone, of others what the settings say."""
        for name, entry in self.files.items():
            if form_of(name) in ({".gz"} if name.startswith("Contents-") else forms):
                yield name, entry


class Snapshot(Value):
    """A package set with its indices: `snapshots/<id>/snapshot.json`; the id is the file's sha256."""

    format: Literal[1] = 1
    components: dict[Name, dict[Name, Index]] = Field(description="Component -> architecture -> index")
    manifests: tuple[Sha256, ...] = Field((), description="Release manifests that its packages came with")
    sources: dict[Name, Index] = Field(default_factory=dict, description="Component -> Sources")
    contents: dict[Name, dict[Name, Index]] = Field(
        default_factory=dict, description="Component -> architecture -> Contents, if they are written"
    )
    translations: dict[Name, Index] = Field(
        default_factory=dict, description="Component -> Translation-en, if it is written"
    )

    def indices(self) -> Iterator[tuple[str, Index]]:
        """Every index of every kind, and its folder below the suite (Debian wiki, RepositoryFormat)."""
        for component, named in self.components.items():
            for architecture, index in named.items():
                yield f"{component}/binary-{architecture}", index
        for component, index in self.sources.items():
            yield f"{component}/source", index
        for component, named in self.contents.items():
            for index in named.values():
                yield component, index
        for component, index in self.translations.items():
            yield f"{component}/i18n", index

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


class Removed(Value):
    """One package that a publish took out of a suite. Its file stays in the pool."""

    component: Name
    name: Name
    version: str
    architecture: Name


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
    after: Sha256 = Field(
        alias="to", description="Snapshot from then on; for `retire` the one that the suite had"
    )
    source: str = Field("", description="For `promote`: suite that the snapshot came from")
    kept: str = Field(
        "", description="Name under which a snapshot is kept from then on; empty if none was given"
    )
    codename: str = Field("", description="For `retire`: codename of the suite, should it ever come back")
    added: tuple[Added, ...] = ()
    removed: tuple[Removed, ...] = ()
    records: dict[str, Sha256] = Field(
        default_factory=dict, description="File name -> hash of .changes and .buildinfo that came along"
    )
    waived: tuple[str, ...] = Field(
        (), description="What the gate warned of and was told to let through: packages that vanish or go down"
    )


class Notice(Value):
    """A snapshot that is out of use."""

    snapshot: Sha256
    suite: Suite = Field(description="The suite of its own that it has")
    when: datetime = Field(description="UTC")
    who: str
    why: str


class Notices(Value):
    """All snapshots that are out of use: `state/withdrawn.asc`, which hosts' checks read."""

    format: Literal[1] = 1
    when: datetime = Field(description="When it was signed, UTC")
    withdrawn: tuple[Notice, ...] = ()


class Collected(Value):
    """What one gc removed: `state/collected/<when>.json`, signed beside it."""

    format: Literal[1] = 1
    when: datetime = Field(description="UTC")
    who: str
    why: str
    snapshots: tuple[Sha256, ...]
    files: int = Field(ge=0)
    size: int = Field(ge=0, description="Bytes")


class Mirrored(Value):
    """A snapshot that a suite of a mirror points to, or did."""

    suite: Suite
    snapshot: Sha256
    replaced: datetime | None = Field(None, description="When the mirror got another one, UTC")


class Mirror(Value):
    """What a mirror holds: `state/mirror.json`. A folder that has it may be written over by an export."""

    format: Literal[1] = 1
    when: datetime = Field(description="Of the last export, UTC")
    why: str = ""
    source: str = Field("", description="Folder or URL of the repository, as the last export had it")
    held: tuple[Mirrored, ...] = ()


def pool_file(component: str, name: str, version: str, architecture: str) -> str:
    """Where a package lies. A function of what identifies it, so that other bytes under it are found at once.

    The epoch is left out, as Debian does; two versions that differ in it alone are refused.
    """
    plain = version.partition(":")[2] or version
    return f"{source_folder(component, name)}/{name}_{plain}_{architecture}.deb"


def source_folder(component: str, name: str) -> str:
    """Where the files of a source package lie, each under its own name."""
    prefix = name[:4] if name.startswith("lib") else name[:1]
    return f"{POOL}/{component}/{prefix}/{name}"


def contents_name(architecture: str) -> str:
    """Plain name of an architecture's file list."""
    return f"Contents-{architecture}"


def form_of(name: str) -> Form:
    """The form of an index that has this file name."""
    return next((form for form in (".gz", ".xz", ".zst") if name.endswith(form)), "")


def block_file(sha256: str, form: Form = ".gz") -> str:
    """A block's text, as the gzip member, .xz stream or .zst frame that this form of an index is joined from."""
    return f"state/blocks/{sha256}{form}"


def by_hash(algorithm: Literal["SHA256", "SHA512"], value: str) -> str:
    """An index by its hash: one folder for the whole repository, reachable under every suite's path."""
    return f"{BY_HASH}/{algorithm}/{value}"


def snapshot_file(snapshot: str) -> str:
    """The model of a snapshot; written after all that it names."""
    return f"snapshots/{snapshot}/snapshot.json"


def snapshot_index(snapshot: str, folder: str) -> str:
    """Folder of one index of a snapshot; `folder` as `Snapshot.indices` has it."""
    return f"snapshots/{snapshot}/{folder}"


def release_folder(suite: str, serial: int) -> str:
    """The signed wrapper that a suite's switch points to."""
    return f"releases/{suite}/{serial}"


def snapshot_suite(snapshot: str) -> str:
    """The suite of its own that a snapshot has, for hosts and machines that are to stay with it."""
    return f"snapshot-{snapshot[:16]}"


def suite_folder(suite: str) -> str:
    """The switch."""
    return f"dists/{suite}"


def history_file(suite: str, serial: int) -> str:
    """Entry of one switch; its signature has `.asc` after it."""
    return f"state/history/{suite}/{serial}.json"


def manifest_file(sha256: str) -> str:
    """A release manifest."""
    return f"state/manifests/{sha256}.json"


def sbom_file(sha256: str) -> str:
    """An SBOM, by its own hash: the manifest says of which package it is."""
    return f"state/sboms/{sha256}.json"


def provenance_file(sha256: str) -> str:
    """A signed statement about packages, by the hash of the statement; the envelope around it may be made anew."""
    return f"state/provenance/{sha256}.json"


def record_file(sha256: str, suffix: str) -> str:
    """A .changes or .buildinfo."""
    return f"state/builds/{sha256}{suffix}"


def verdict_file(sha256: str) -> str:
    """A verdict that let packages in."""
    return f"state/verdicts/{sha256}.json"


def collected_file(when: datetime) -> str:
    """Record of one gc; its signature has `.asc` after it."""
    return f"state/collected/{when:%Y%m%dT%H%M%SZ}.json"


def key_file(fingerprint: str) -> str:
    """Public half of a signing key, binary."""
    return f"state/keys/{fingerprint}.gpg"
