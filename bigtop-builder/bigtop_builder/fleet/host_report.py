# SPDX-License-Identifier: Apache-2.0
"""What `verify-host --json` says of a host. `verify_host.py` writes it, and cannot import this."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from bigtop_builder.schema import Name, OptionalSha256, Sha256, Value


class HostFinding(Value):
    """What was found on a host."""

    check: Literal[
        "package",
        "file",
        "conffile",
        "candidate",
        "extra",
        "missing",
        "state",
        "held",
        "origin",
        "pin",
        "key",
        "lists",
        "guard",
        "unreadable",
        "withdrawn",
    ]
    subject: str = Field(description="Package, or the thing that it is about")
    level: Literal["error", "note"] = Field(description="`note`: told, and the host passes")
    detail: str
    way_out: str = ""


class HostPackage(Value):
    """A package of the manifest that dpkg knows on the host."""

    version: str
    state: str = Field(description="Wanted, flag and state, as dpkg has them")
    sha256_md5sums: OptionalSha256 = Field(
        "", description="Of the md5sums that dpkg keeps; empty if it has none"
    )


class HostReport(Value):
    """A host, held against the manifest of a snapshot."""

    format: Literal[1]
    host: str
    time: datetime = Field(description="UTC")
    snapshot: Sha256 = Field(description="Of the manifest")
    manifest: Sha256 = Field(description="Of the manifest's file")
    roles: tuple[Name, ...] = Field(description="Roles whose packages had to be there")
    findings: tuple[HostFinding, ...]
    packages: dict[Name, HostPackage]
    seconds: float = Field(ge=0)
    quick: bool = Field(description="Whether the content of files was left out")

    @property
    def errors(self) -> int:
        """How many findings fail the host."""
        return sum(one.level == "error" for one in self.findings)
