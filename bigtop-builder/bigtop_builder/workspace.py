# SPDX-License-Identifier: Apache-2.0
"""Every path, in one place.

`Project` is what is committed (recipes, patches, the repository's definition); `Workspace` is what can be
made again: the cache, shared by all releases, and one output folder a release.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.errors import EnvironmentMissing, InputError

PACKAGED = Path(__file__).parent / "_project"


@dataclass(frozen=True)
class Project:
    """The folder that holds `recipes/`, `patches/` and `repo/`.

    Attributes:
        root: That folder.
    """

    root: Path

    @property
    def recipes(self) -> Path:
        """Recipes and their locks."""
        return self.root / "recipes"

    @property
    def patches(self) -> Path:
        """The patch queue: `<target>/<id>/`."""
        return self.root / "patches"

    @property
    def definition(self) -> Path:
        """The repository's definition."""
        return self.root / "repo" / "repository.toml"

    @property
    def fleet(self) -> Path:
        """The fleet's definition, which need not be there."""
        return self.root / "repo" / "fleet.toml"

    @property
    def output(self) -> Path:
        """Parent of the releases' output folders; not committed."""
        return self.root / "build"

    def results_of(self, recipe: Path) -> "Output":
        """The output folder of a recipe's release."""
        return Output(self.output / recipe.stem)

    def lock(self, recipe: Path) -> Path:
        """The lock beside a recipe."""
        return recipe.with_suffix(".lock")


@dataclass(frozen=True)
class Workspace:
    """The cache: everything in it may be deleted at any time.

    Attributes:
        root: `settings.cache_dir`.
    """

    root: Path

    @property
    def mirrors(self) -> Path:
        """Bare git mirrors, one a URL."""
        return self.root / "mirrors"

    @property
    def sources(self) -> Path:
        """Downloads by sha512, and deterministic repacks."""
        return self.root / "sources"

    @property
    def images(self) -> Path:
        """Base tarballs that mmdebstrap made, and build contexts."""
        return self.root / "images"

    @property
    def downloads(self) -> Path:
        """What Maven and Gradle downloaded, by mirror."""
        return self.root / "downloads"

    @property
    def results(self) -> Path:
        """Build results by step id."""
        return self.root / "results"

    @property
    def verdicts(self) -> Path:
        """Verdicts by the hash of what was verified."""
        return self.root / "verdicts"

    @property
    def sboms(self) -> Path:
        """SBOMs by the hash of what they are made of."""
        return self.root / "sboms"

    @property
    def facts(self) -> Path:
        """What hosts keep of a package, by the hash of its .deb."""
        return self.root / "facts"

    @property
    def objects(self) -> Path:
        """Git objects of patched trees."""
        return self.root / "trees"

    @property
    def bases(self) -> Path:
        """What patches lie on, by the hash of what that is made of."""
        return self.root / "bases"

    @property
    def histories(self) -> Path:
        """What the histories of repositories have, one file a repository."""
        return self.root / "histories"

    @property
    def github(self) -> Path:
        """What GitHub answered, by address and who asked."""
        return self.root / "github"

    @property
    def locks(self) -> Path:
        """Lock files that keep two runs apart."""
        return self.root / "locks"

    @property
    def lock_notes(self) -> Path:
        """Which locks name build results, one file a lock of a recipe."""
        return self.root / "lock-notes"

    @property
    def published(self) -> Path:
        """Copies of packages of repositories on S3."""
        return self.root / "published"

    @property
    def folders(self) -> tuple[Path, ...]:
        """The cache and all folders in it."""
        parts = (self.mirrors, self.sources, self.images, self.downloads, self.results, self.verdicts)
        more = (self.sboms, self.facts, self.objects, self.bases, self.histories, self.github, self.locks)
        return (self.root, *parts, *more, self.lock_notes, self.published)


@dataclass(frozen=True)
class Output:
    """What one release left for its user.

    Attributes:
        root: `<project>/build/<recipe>/`.
    """

    root: Path

    @property
    def debs(self) -> Path:
        """The packages of all its components."""
        return self.root / "debs"

    @property
    def logs(self) -> Path:
        """One build log a component, and beside that of a failed build what it failed of."""
        return self.root / "logs"

    @property
    def rebuilt(self) -> Path:
        """What another build of the same made of its packages, where that differs, and its logs."""
        return self.root / "rebuilt"

    @property
    def verdict(self) -> Path:
        """The verdict on `debs`."""
        return self.root / "verdict.json"

    @property
    def smoke(self) -> Path:
        """The verdict of the smokes."""
        return self.root / "smoke.json"

    @property
    def smoke_logs(self) -> Path:
        """All that each smoke printed."""
        return self.root / "smoke"

    @property
    def manifest(self) -> Path:
        """The release manifest."""
        return self.root / "manifest.json"

    def require_writable(self) -> None:
        """Raise before any work is done if nothing could be left here in the end.

        Raises:
            EnvironmentMissing: This user cannot write here.
        """
        for folder in (self.root, self.debs, self.logs):
            require_writable(
                folder,
                why="packages, logs and verdict",
                hint="mend its rights, or name a copy of the project with --project",
            )


def require_writable(path: Path, *, why: str, hint: str) -> None:
    """Raise unless files can be made in a folder, or in the nearest one above it that is there; makes nothing.

    Args:
        path: The folder.
        why: What is written there, for the error.
        hint: The way out.

    Raises:
        EnvironmentMissing: It cannot be written by this user.
    """
    there = next(place for place in (path, *path.parents) if os.path.lexists(place))
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise EnvironmentMissing(f"{there} cannot be written by this user, and {why} go there", hint=hint)


def find_project(start: Path | None = None) -> Project:
    """The project that a folder belongs to: it or the nearest parent that holds `recipes/`.

    There are recipes in it, or `patches/` is beside it: git keeps no empty folder, so a clone of a project without
    a patch has no `patches/`.

    `BIGTOP_BUILDER_PROJECT` names another one. Without any, the recipes that came with the tool are used.

    Raises:
        InputError: `BIGTOP_BUILDER_PROJECT` names no folder, or one without `recipes/`.
    """
    named = os.environ.get("BIGTOP_BUILDER_PROJECT")
    if named:
        return project_at(Path(named), f"BIGTOP_BUILDER_PROJECT={named}")
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        recipes = folder / "recipes"
        if recipes.is_dir() and ((folder / "patches").is_dir() or any(recipes.glob("*.toml"))):
            return Project(folder)
    return bundled_project()


def project_at(folder: Path, named: str) -> Project:
    """The project in this very folder.

    Args:
        folder: The folder.
        named: How the user named it, for the error.

    Raises:
        InputError: There is no such folder, or it has no `recipes/`.
    """
    if not (folder / "recipes").is_dir():
        lacks = "holds no recipes/" if folder.is_dir() else "does not exist"
        raise InputError(
            f"{named} {lacks}",
            hint="a project is a folder with recipes/, patches/ and repo/; without it, the recipes that came "
            "with the tool are used",
        )
    return Project(folder.absolute())


def bundled_project() -> Project:
    """The recipes and patches that came with the tool: in its wheel, or the checkout it runs from."""
    return Project(PACKAGED if PACKAGED.is_dir() else Path(__file__).parents[2])
