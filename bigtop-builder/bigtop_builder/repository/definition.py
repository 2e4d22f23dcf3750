# SPDX-License-Identifier: Apache-2.0
"""The repository's definition, `repo/repository.toml`: who it is, what it serves, who signs it."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from bigtop_builder.errors import InputError
from bigtop_builder.keys import plain
from bigtop_builder.repository.layout import FORMS, Form, Retention, SuiteSettings
from bigtop_builder.schema import Fingerprint, Name, Title, Value

WrittenFingerprint = Annotated[
    Fingerprint, BeforeValidator(lambda given: plain(given) if isinstance(given, str) else given)
]
"""A fingerprint in any of the forms in which gpg shows it."""


class SuiteDefinition(Value):
    """One suite of the repository."""

    codename: Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-z0-9.+\-]*)?$")] = Field(
        "", description="Codename; the suite's own name if empty. It never changes: apt refuses that"
    )
    description: str = Field("", description="One line for people")
    valid_days: int | None = Field(None, ge=1, description="Days until Valid-Until; none if left out")
    retention: Retention = Field(
        Retention(), description="Which of its snapshots `repo gc` leaves; all if left out"
    )


class Definition(Value):
    """What `repo init` makes a repository from, and where releases are published."""

    format: Literal[1] = Field(description="Version of this format")
    origin: Title = Field(description="Origin: what hosts pin on; never changes")
    label: Title | Literal[""] = Field("", description="Label; the origin if empty; never changes")
    maintainer: str = Field(description="`Name <email>` of the keyring package")
    url: str = Field(description="Address under which hosts reach the repository, for the keyring package")
    storage: str = Field(
        description="Folder (relative to the project) that a web server serves, or `s3://bucket/prefix`"
    )
    keys: tuple[WrittenFingerprint, ...] = Field(
        (), description="Full fingerprints that sign; without one nothing is published"
    )
    architectures: tuple[Name, ...] = Field(("amd64",), description="Debian architectures")
    component: Name = Field("main", description="Component that releases are published into")
    hosts: tuple[str, ...] = Field(
        ("stable",), description="Suites that the keyring package's .sources file names"
    )
    snapshot_days: int | None = Field(
        None, ge=1, description="Days until Valid-Until of snapshots' own suites; none if left out"
    )
    forms: tuple[Form, ...] = Field(
        FORMS,
        description="Forms of Packages, Sources and Translation-en that are written from the next publish to a "
        'suite on: `""` (plain), `.gz`, `.xz`, `.zst`; apt of Debian 11 and later reads each',
    )
    contents: bool = Field(
        False,
        description="Write Contents-<architecture>.gz, for apt-file, from the next publish to a suite on",
    )
    translations: bool = Field(
        False,
        description="Move long descriptions from Packages to Translation-en, from the next publish to a suite on",
    )
    suites: dict[str, SuiteDefinition] = Field(description="Suites by name")

    def settings_of(self, suite: str) -> SuiteSettings:
        """A suite as the repository keeps it.

        Raises:
            InputError: The definition has no such suite.
        """
        if suite not in self.suites:
            raise InputError(
                f"the repository's definition has no suite {suite!r}", hint=f"it has {', '.join(self.suites)}"
            )
        defined = self.suites[suite]
        return SuiteSettings(
            codename=defined.codename or suite,
            description=defined.description,
            architectures=self.architectures,
            valid_days=defined.valid_days,
            retention=defined.retention,
        )

    def require_keys(self, path: Path) -> None:
        """Raise if nobody is named who could sign.

        Raises:
            InputError: `keys` is empty.
        """
        if not self.keys:
            raise InputError(
                f"{path}: `keys` is empty, so nothing can be signed or published",
                hint="bigtop-builder key new prints a fingerprint: write it there",
            )
