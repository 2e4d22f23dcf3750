# SPDX-License-Identifier: Apache-2.0
"""Reading the queue: `patches/<target>/<id>/`, with `patch.toml` and the diffs.

`default.patch` is the diff. Where it really differs between Bigtop releases, a file named after a range has it:
`3.3.0.patch`, `3.1.0..3.2.1.patch` (both ends are in), `until-3.2.1.patch`, `since-3.5.0.patch`.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bigtop_builder.errors import InputError
from bigtop_builder.patches.facts import TREE, PatchFacts
from bigtop_builder.patches.naming import Named, target_of
from bigtop_builder.recipe import Recipe
from bigtop_builder.schema import nearest

FACTS = "patch.toml"
SUFFIX = ".patch"
DEFAULT = f"default{SUFFIX}"
RELEASE = r"\d+(?:\.\d+)*(?:-[A-Za-z0-9.]+?)?"
RANGE = re.compile(
    rf"(?P<only>{RELEASE})|(?P<first>{RELEASE})\.\.(?P<last>{RELEASE})|since-(?P<since>{RELEASE})|until-(?P<until>{RELEASE})"
)


@dataclass(frozen=True, kw_only=True)
class Patch(Named):
    """One local patch, as it is for one release.

    Attributes:
        id: `target/name`.
        path: File of the diff, in mail format.
        diff: Its bytes, read once: what is hashed is what is applied.
        facts: Its `patch.toml`.
    """

    path: Path
    diff: bytes = field(repr=False)
    facts: PatchFacts

    @property
    def sha256(self) -> str:
        """Hash of the diff."""
        return hashlib.sha256(self.diff).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Diff:
    """One diff of a patch, and the releases that it is for.

    Attributes:
        path: Its file.
        data: Its bytes.
        first: First release; empty for any before.
        last: Last release; empty for any after.
    """

    path: Path
    data: bytes = field(repr=False)
    first: str = ""
    last: str = ""

    @property
    def is_default(self) -> bool:
        """Whether it is for all releases that no other diff is for."""
        return not self.first and not self.last

    def holds(self, release: str) -> bool:
        """Whether a release lies in its range."""
        order = release_order(release)
        return (not self.first or release_order(self.first) <= order) and (
            not self.last or order <= release_order(self.last)
        )

    def overlaps(self, other: "Diff") -> bool:
        """Whether a release can lie in both ranges."""
        return not (_ends_before(self, other) or _ends_before(other, self))


@dataclass(frozen=True, kw_only=True)
class Entry(Named):
    """One patch with all its diffs.

    Attributes:
        id: `target/name`.
        folder: Its home.
        facts: Its `patch.toml`.
        diffs: In the order of their releases, the default last.
    """

    folder: Path
    facts: PatchFacts
    diffs: tuple[Diff, ...]

    def diff_for(self, release: str) -> Diff | None:
        """The diff that a release gets: that of its range, else the default; None if there is neither."""
        ranged = (diff for diff in self.diffs if not diff.is_default and diff.holds(release))
        return next(ranged, next((diff for diff in self.diffs if diff.is_default), None))

    def at(self, release: str) -> Patch:
        """The patch as it is for one release.

        Raises:
            InputError: No diff is for that release.
        """
        diff = self.diff_for(release)
        if diff is None:
            raise InputError(
                f"patch {self.id!r} has no diff for {release}: {self.folder} has "
                f"{', '.join(one.path.name for one in self.diffs)}",
                hint=f"write {self.folder / f'{release}.patch'} or {self.folder / DEFAULT}; "
                f"bigtop-builder patch rebase --onto {release} makes it from another",
            )
        return self.form(diff)

    def form(self, diff: Diff) -> Patch:
        """The patch with one of its diffs."""
        return Patch(id=self.id, path=diff.path, diff=diff.data, facts=self.facts)


def release_order(release: str) -> tuple[tuple[int, ...], int, str]:
    """What Bigtop releases are sorted by: `3.6.0-RC0` comes before `3.6.0`, `3.10.0` after `3.9.0`."""
    numbers, _, rest = release.partition("-")
    candidate = re.sub(r"\d+", lambda digits: digits[0].zfill(6), rest.lower())
    return tuple(int(part) if part.isdecimal() else 0 for part in numbers.split(".")), not rest, candidate


def load_entry(patches: Path, patch_id: str) -> Entry:
    """Read one patch of the queue with all its diffs.

    Raises:
        InputError: It is not there, a file's name is no range, two ranges overlap, or its kind does not fit its
            target: a patch is either to the Bigtop tree or to a component's source, never both.
    """
    folder = patches / patch_id
    facts_file = folder / FACTS
    files = sorted(folder.glob(f"*{SUFFIX}"))
    for file, there in ((facts_file, facts_file.is_file()), (folder / DEFAULT, bool(files))):
        if not there:
            raise InputError(
                f"patch {patch_id!r} has no {file}",
                hint=nearest(patch_id, known(patches)),
            )
    facts = PatchFacts.from_toml(facts_file)
    if (facts.kind == "tree") != (target_of(patch_id) == TREE):
        raise InputError(
            f"{facts_file}: kind {facts.kind!r} does not fit the target of {patch_id!r}",
            hint=f"patches to Bigtop itself live in {patches / TREE}, those to a component in its folder",
        )
    diffs = sorted(
        (_diff(file) for file in files), key=lambda diff: (diff.is_default, release_order(diff.first or "0"))
    )
    _require_apart([diff for diff in diffs if not diff.is_default])
    return Entry(id=patch_id, folder=folder, facts=facts, diffs=tuple(diffs))


def load_patches(patches: Path, recipe: Recipe) -> tuple[Patch, ...]:
    """The patches of a recipe, in its order.

    Raises:
        InputError: One is missing, or is to a component that the recipe does not build.
    """
    loaded = tuple(load_entry(patches, patch_id).at(recipe.release) for patch_id in recipe.patches)
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


def own_path(entry: Entry, release: str, *, since: bool = False) -> Path:
    """The file of a diff that is for one release alone, or for it and all later ones."""
    return entry.folder / f"{'since-' if since else ''}{release}{SUFFIX}"


def in_the_way(entry: Entry, release: str, *, since: bool = False) -> Diff | None:
    """A diff of the patch, other than the one in `own_path`, that is for some of the same releases."""
    own = own_path(entry, release, since=since)
    planned = Diff(path=own, data=b"", first=release, last="" if since else release)
    others = (diff for diff in entry.diffs if not diff.is_default and diff.path != own)
    return next((diff for diff in others if diff.overlaps(planned)), None)


def own_file(entry: Entry, release: str, *, since: bool = False) -> Path:
    """As `own_path`, where it can stand.

    Raises:
        InputError: Another diff is for some of the same releases.
    """
    own = own_path(entry, release, since=since)
    if other := in_the_way(entry, release, since=since):
        way = f"leaves {release}{' and what comes after it' if since else ''} out"
        raise InputError(
            f"{own.name} cannot stand beside {other.path}: both would be for some release",
            hint=f"rename the latter to {own.name}, or so that its range {way}",
        )
    return own


def _diff(file: Path) -> Diff:
    name = file.name.removesuffix(SUFFIX)
    if file.name == DEFAULT:
        return Diff(path=file, data=file.read_bytes())
    match = RANGE.fullmatch(name)
    if match is None:
        raise InputError(
            f"{file}: {name!r} names no range of releases",
            hint=f"{DEFAULT}, 3.3.0{SUFFIX}, 3.1.0..3.2.1{SUFFIX}, until-3.2.1{SUFFIX} or since-3.5.0{SUFFIX}",
        )
    first = match["only"] or match["first"] or match["since"] or ""
    last = match["only"] or match["last"] or match["until"] or ""
    if first and last and release_order(last) < release_order(first):
        raise InputError(f"{file}: {last} comes before {first}", hint=f"rename it {last}..{first}{SUFFIX}")
    return Diff(path=file, data=file.read_bytes(), first=first, last=last)


def _require_apart(diffs: Iterable[Diff]) -> None:
    seen: list[Diff] = []
    for diff in diffs:
        for other in seen:
            if diff.overlaps(other):
                raise InputError(
                    f"{other.path} and {diff.path} are both for some release",
                    hint="rename one of them: each release has one diff",
                )
        seen.append(diff)


def _ends_before(one: Diff, other: Diff) -> bool:
    return bool(one.last and other.first) and release_order(one.last) < release_order(other.first)
