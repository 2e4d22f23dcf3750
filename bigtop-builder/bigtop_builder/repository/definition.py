# SPDX-License-Identifier: Apache-2.0
"""The repository's definition, `repo/repository.toml`: who it is, what it serves, who signs it."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from bigtop_builder.errors import InputError
from bigtop_builder.keys import plain
from bigtop_builder.recipe import Fingerprint, Name
from bigtop_builder.repository.layout import SuiteSettings
from bigtop_builder.schema import Value

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


class Definition(Value):
    """What `repo init` makes a repository from, and where releases are published."""

    format: Literal[1] = Field(description="Version of this format")
    origin: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._\-]*$")] = Field(
        description="Origin: what hosts pin on; never changes"
    )
    label: str = Field("", description="Label; the origin if empty; never changes")
    maintainer: str = Field(description="`Name <email>` of the keyring package")
    url: str = Field(description="Address under which hosts reach the repository, for the keyring package")
    storage: str = Field(description="Folder (relative to the project) that a web server serves")
    keys: tuple[WrittenFingerprint, ...] = Field(
        (), description="Full fingerprints that sign; without one nothing is published"
    )
    architectures: tuple[Name, ...] = Field(("amd64",), description="Debian architectures")
    component: Name = Field("main", description="Component that releases are published into")
    hosts: tuple[str, ...] = Field(
        ("stable",), description="Suites that the keyring package's .sources file names"
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
