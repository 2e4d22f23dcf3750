# SPDX-License-Identifier: Apache-2.0
"""What `verify-host --json` says of a host. `verify_host.py` writes it, and cannot import this."""

from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from bigtop_builder.fleet.host_pattern import NAME
from bigtop_builder.schema import Name, OptionalSha256, Sha256, Value


def printable(text: str) -> str:
    """Text of a host with nothing in it that a terminal obeys, on one line: it is read beside other hosts'."""
    if text.isprintable():
        return text
    line = " ".join(text.split("\n"))
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in line)


Shown = Annotated[str, AfterValidator(printable)]
OptionalFingerprint = Annotated[str, StringConstraints(pattern=r"^([0-9A-F]{40,64})?$")]
Host = Annotated[str, StringConstraints(pattern=f"^(?:{NAME.pattern})$", max_length=253)]


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
    subject: Shown = Field(description="Package, or the thing that it is about")
    level: Literal["error", "note"] = Field(description="`note`: told, and the host passes")
    detail: Shown
    way_out: Shown = ""


class HostPackage(Value):
    """A package of the manifest that dpkg knows on the host."""

    version: Shown
    state: Shown = Field(description="Wanted, flag and state, as dpkg has them")
    sha256_md5sums: OptionalSha256 = Field(
        "", description="Of the md5sums that dpkg keeps; empty if it has none"
    )


class HostReport(Value):
    """A host, held against the manifest of a snapshot."""

    format: Literal[1]
    host: Host
    time: AwareDatetime = Field(description="UTC, by the host's clock")
    snapshot: Sha256 = Field(description="Of the manifest")
    manifest: Sha256 = Field(description="Of the manifest's file")
    origin: Shown = Field(description="Of the manifest: its keyring on the host counted")
    signer: OptionalFingerprint = Field(
        "", description="Key that signed the manifest; empty if the host's verifier does not tell"
    )
    roles: tuple[Name, ...] = Field(description="Roles whose packages had to be there")
    findings: tuple[HostFinding, ...]
    packages: dict[Name, HostPackage]
    seconds: float = Field(ge=0)
    quick: bool = Field(description="Whether the content of files was left out")
    guard: Literal["off", "on"] = Field(description="How policy-rc.d was meant to stand")

    @property
    def errors(self) -> int:
        """How many findings fail the host."""
        return sum(one.level == "error" for one in self.findings)
