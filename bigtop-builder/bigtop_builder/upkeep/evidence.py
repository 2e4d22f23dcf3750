# SPDX-License-Identifier: Apache-2.0
"""Evidence: what `patch status` found of a patch on each release, in `evidence.json` beside its `patch.toml`.

It is committed. A finding holds for one diff on one tree; when either has changed it is stale.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from bigtop_builder.atomic import write_whole
from bigtop_builder.errors import InputError
from bigtop_builder.patches.queue import release_order
from bigtop_builder.schema import Commit, OptionalSha256, Sha256, Value

FILE = "evidence.json"
State = Literal["clean", "offset", "conflict", "already-upstream"]


class Finding(Value):
    """What was found of a patch on one release."""

    patch: Sha256 = Field(description="Sha256 of the diff")
    base: Commit = Field(description="Git tree that it was tried on")
    made_of: OptionalSha256 = Field(
        "", description="Sha256 of the recipe's commits, pins and earlier patches that make this tree"
    )
    state: State
    commit: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40})?$")] = Field(
        "", description="Upstream commit that has it"
    )
    by: str = Field("", description="How that was found")
    since: str = Field("", description="First tag that has that commit")
    detail: str = Field("", description="Hunks that moved, the place of the conflict, a later revert, a hint")

    def fits(self, patch: str, base: str, made_of: str) -> bool:
        """Whether it is about this diff on this tree, made of the same."""
        return (self.patch, self.base, self.made_of) == (patch, base, made_of)


class Evidence(Value):
    """`evidence.json`."""

    format: Literal[1] = 1
    releases: dict[str, Finding] = Field(default_factory=dict, description="Recipe -> what was found")


def load_evidence(folder: Path) -> Evidence:
    """Read the evidence of a patch; empty if there is none yet.

    Raises:
        InputError: The file does not fit the format.
    """
    path = folder / FILE
    try:
        return Evidence.from_json(path.read_bytes(), source=str(path)) if path.is_file() else Evidence()
    except InputError as error:
        hint = f"rm {path}: bigtop-builder patch status writes it anew"
        raise InputError(error.brief, details=error.details, hint=hint) from error


def write_evidence(folder: Path, evidence: Evidence) -> bool:
    """Write the evidence of a patch, releases in their order; False if the file holds just that already."""
    releases = {name: evidence.releases[name] for name in sorted(evidence.releases, key=by_release)}
    text = evidence.model_copy(update={"releases": releases}).to_json()
    path = folder / FILE
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    write_whole(path, text)
    return True


def by_release(name: str) -> tuple[object, str]:
    """What names of recipes are sorted by."""
    return release_order(name), name
