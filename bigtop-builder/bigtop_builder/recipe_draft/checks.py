# SPDX-License-Identifier: Apache-2.0
"""What of an earlier recipe may not hold on another release: packages, Gradle, packaging that has changed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from bigtop_builder.errors import BuilderError
from bigtop_builder.gradle import WRAPPER
from bigtop_builder.mirror import Mirror
from bigtop_builder.packaging import folders_of
from bigtop_builder.recipe import Recipe
from bigtop_builder.tree import Tree


@dataclass(frozen=True, kw_only=True)
class Open:
    """Something that a human must decide or mend before the recipe is done.

    Attributes:
        what: What is the matter: it names the thing and its value.
        way: What to do about it.
        table: Table of the recipe that it is about; empty for none.
    """

    what: str
    way: str
    table: str = ""


def lost_packages(recipe: Recipe, before: Tree, now: Tree) -> Iterator[Open]:
    """Packages that the recipe counts on, that its own release builds, and this one does not.

    Args:
        recipe: The earlier recipe.
        before: Its tree.
        now: The draft's.
    """
    there = {name for component in now.bom.components for name in now.packages_of(component)}
    builders = {
        name: component.name for component in recipe.components for name in before.packages_of(component.name)
    }
    for name, places in _users(recipe).items():
        if name in builders and name not in there:
            yield Open(
                what=f"{', '.join(places)}: no component builds {name} any more ({builders[name]} did)",
                way=f"name another package there, or take {name} out",
                table=places[0].partition(".")[0].partition(" ")[0],
            )


def gradle(recipe: Recipe, tree: Tree) -> Iterator[Open]:
    """The wrapper asks for another Gradle than the recipe pins; nobody has vouched for its checksum yet."""
    text = (tree.read(WRAPPER) or b"").decode(errors="replace")
    found = re.search(r"^distributionUrl\s*=\s*\S*/gradle-(\S+)-bin\.zip", text, re.MULTILINE)
    if found and found[1] != recipe.gradle.version:
        yield Open(
            what=f"the release's wrapper asks for Gradle {found[1]}, the recipe pins {recipe.gradle.version}",
            way="set [gradle] version and sha256; gradle.org publishes the checksum of each distribution",
        )


def clash(draft: Recipe, others: Mapping[str, Recipe]) -> Iterator[Open]:
    """Another recipe has this release for this target: both would make packages of one version."""
    for name, other in others.items():
        if other.id == draft.id:
            yield Open(
                what=f"{name}.toml is for {draft.release} and target tag {draft.target.tag!r} too",
                way="give the draft's `target` a `tag` of its own: it is part of each package's version",
                table="target",
            )


def changed_packaging(mirror: Mirror, before: str, now: str, components: Sequence[str]) -> dict[str, int]:
    """Component -> how many files of its packaging differ between two commits; those without any are left out."""
    found = {}
    for name in components:
        words = ("diff", "--no-renames", "--name-only", before, now, "--", *folders_of(name))
        if files := mirror.git(*words).text.splitlines():
            found[name] = len(files)
    return found


def wording(error: BuilderError) -> str:
    """What an error says, less its way out, on one line; what attempt after attempt came to is said once."""
    return ": ".join(filter(None, [error.brief, details(error)]))


def details(error: BuilderError) -> str:
    """What is known besides, as `wording` has it."""
    lines = (re.sub(r"^attempt \d+: ", "", line.strip()) for line in error.details.splitlines())
    said = [line for line in lines if line and not line.startswith("hint: ")]
    return "; ".join(line for line, _ in groupby(said))


def _users(recipe: Recipe) -> dict[str, list[str]]:
    """Package -> where the recipe names it."""
    found: dict[str, list[str]] = {}
    rows = [
        *((name, f"roles.{role}") for role, names in recipe.roles.items() for name in names),
        *((name, f"smoke {smoke.name}") for smoke in recipe.smoke for name in smoke.packages),
        *(
            (service.package, f"components.services of {component.name}")
            for component in recipe.components
            for service in component.services
        ),
    ]
    for name, place in rows:
        found.setdefault(name, []).append(place)
    return found
