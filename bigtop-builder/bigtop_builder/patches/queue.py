# SPDX-License-Identifier: Apache-2.0
"""Reading the queue: `patches/<target>/<id>/patch.toml` and `default.patch`."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field

from bigtop_builder.errors import InputError
from bigtop_builder.recipe import Recipe
from bigtop_builder.schema import Value

TREE = "bigtop"
"""The target of patches to Bigtop itself; any other target is a component."""


class Upstream(Value):
    """Where a patch stands upstream."""

    state: Literal["local-only", "to-forward", "ticket", "pr-open", "merged", "closed"]
    why: str = Field("", description="Reason, needed for `local-only` and `closed`")
    commit: str = Field("", description="Upstream commit, for `merged`")
    url: str = Field("", description="Pull request")


class PatchFacts(Value):
    """`patch.toml`: what the diff itself does not say."""

    kind: Literal["tree", "component"] = Field(
        description="`tree`: to Bigtop itself; `component`: to a source"
    )
    title: str
    why: str = Field(description="Why the fleet needs it")
    ticket: str = Field("", description="Ticket id, as in `BIGTOP-4032`")
    drop_when: str = Field("", alias="drop-when", description="When it can go")
    releases: tuple[str, ...] = Field((), description="Recipes it is meant for")
    upstream: Upstream
    ai_disclosure: str = Field("", description="Whether generative AI was used, as upstream's forms ask")


@dataclass(frozen=True, kw_only=True)
class Patch:
    """One local patch.

    Attributes:
        id: `target/name`.
        path: File of the diff, in mail format.
        diff: Its bytes, read once: what is hashed is what is applied.
        facts: Its `patch.toml`.
    """

    id: str
    path: Path
    diff: bytes = field(repr=False)
    facts: PatchFacts

    @property
    def target(self) -> str:
        """`bigtop` or a component."""
        return self.id.partition("/")[0]

    @property
    def name(self) -> str:
        """The id without its target."""
        return self.id.partition("/")[2]

    @property
    def sha256(self) -> str:
        """Hash of the diff."""
        return hashlib.sha256(self.diff).hexdigest()


def load_patch(patches: Path, patch_id: str) -> Patch:
    """Read one patch of the queue.

    Raises:
        InputError: It is not there, or its kind does not fit its target: a patch is either to the Bigtop tree
            or to a component's source, never both.
    """
    folder = patches / patch_id
    facts_file, diff = folder / "patch.toml", folder / "default.patch"
    for file in (facts_file, diff):
        if not file.is_file():
            raise InputError(
                f"patch {patch_id!r} has no {file}",
                hint=f"patches there are: {', '.join(known(patches)) or 'none'}",
            )
    facts = PatchFacts.from_toml(facts_file)
    if (facts.kind == "tree") != (patch_id.partition("/")[0] == TREE):
        raise InputError(
            f"{facts_file}: kind {facts.kind!r} does not fit the target of {patch_id!r}",
            hint=f"patches to Bigtop itself live in {patches / TREE}, those to a component in its folder",
        )
    return Patch(id=patch_id, path=diff, diff=diff.read_bytes(), facts=facts)


def load_patches(patches: Path, recipe: Recipe) -> tuple[Patch, ...]:
    """The patches of a recipe, in its order.

    Raises:
        InputError: One is missing, or is to a component that the recipe does not build.
    """
    loaded = tuple(load_patch(patches, patch_id) for patch_id in recipe.patches)
    names = {component.name for component in recipe.components}
    for patch in loaded:
        if patch.target != TREE and patch.target not in names:
            raise InputError(
                f"patch {patch.id!r} is to a component that recipe {recipe.release} does not build",
                hint=f"it builds {', '.join(sorted(names))}",
            )
    return loaded


def known(patches: Path) -> list[str]:
    """Ids of all patches in the queue."""
    return sorted(str(file.parent.relative_to(patches)) for file in patches.glob("*/*/patch.toml"))
