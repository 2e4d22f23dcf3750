# SPDX-License-Identifier: Apache-2.0
"""The verdict: what was checked on which bytes, and what came out. One of the four fixed formats."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from bigtop_builder.schema import Sha256, Value

Outcome = Literal["passed", "failed", "waived", "skipped"]


class Finding(Value):
    """What one check said of one thing."""

    check: str = Field(description="Name of the check: `integrity`, `control`, `closure`, `lintian`, ...")
    subject: str = Field(
        description="Package file, package, role or service it is about; `*` for the whole set"
    )
    outcome: Outcome = Field(
        description="`waived`: failed, and the recipe lets it pass; `skipped`: did not run, the detail says why"
    )
    detail: str = Field("", description="What was found; for `waived` the recipe's reason too")


class JudgedPackage(Value):
    """One .deb that was judged."""

    file: str = Field(description="File name")
    name: str = Field(description="Package")
    version: str = Field(description="Version")
    architecture: str = Field(description="Architecture")
    component: str = Field(description="Component it was built from")
    size: int = Field(description="Bytes")
    sha256: Sha256 = Field(description="Sha256 of the file")
    not_published: str = Field("", description="Why it stays out of the repository; empty if it goes in")


class Verdict(Value):
    """The outcome of one `verify` run over the packages of a release."""

    format: Literal[1] = 1
    id: Sha256 = Field(description="Hash of all that was judged and how: the same id needs no second run")
    tool: str = Field(description="Name and version of the tool")
    created: datetime = Field(description="When, UTC")
    release: str = Field(description="Bigtop release")
    target: str = Field(description="Target tag, as in `deb12`")
    passed: bool = Field(description="No finding is `failed`")
    packages: tuple[JudgedPackage, ...]
    findings: tuple[Finding, ...]
