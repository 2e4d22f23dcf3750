# SPDX-License-Identifier: Apache-2.0
"""Recipes: which Bigtop commit is built for which distribution, from which sources, with which patches.

A recipe holds what is the same at every site; mirrors, base images and certificates are `settings`.
"""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from bigtop_builder.errors import InputError
from bigtop_builder.schema import Commit, Fingerprint, Name, OptionalSha256, OptionalSha512, Value, nearest
from bigtop_builder.settings import SourceKind

PatchId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.+\-]*/[A-Za-z0-9][A-Za-z0-9._+\-]*$")]
Tag = Annotated[str, StringConstraints(pattern=r"^[a-z0-9.+]+$")]

EXCLUDED = (
    "bigtop-tests/smoke-tests",
    "bigtop-data-generators",
    "bigtop-bigpetstore",
    "bigtop-deploy",
    "bigtop-packages/src/charm",
    "bigtop-packages/src/rpm",
    "docker",
    "docs",
    "provisioner",
    "src",
)

LOCATIONS = ("path", "coordinates", "repository", "file", "url")
"""Keys of a source each of which says where it is."""


class Bigtop(Value):
    """The Bigtop tree that is built."""

    repository: str = Field(description="Git URL of Bigtop, or a path relative to the recipe")
    commit: Commit = Field(description="Commit id; a branch or tag moves, so it is not taken")
    ref: str = Field("", description="Tag or branch that has the commit: shown to people, and fetched first")
    exclude: tuple[str, ...] = Field(
        EXCLUDED,
        description="Paths left out of the checkout: no build of a package reads them, and Gradle configures "
        "some of them from hosts that are gone",
    )


class Target(Value):
    """The distribution that the packages are for."""

    distribution: Literal["debian", "ubuntu"] = Field(description="`debian` or `ubuntu`")
    suite: Name = Field(description="Its suite, as in `bookworm`")
    architecture: Literal["amd64", "arm64"] = Field("amd64", description="Debian architecture")
    tag: Tag = Field(description="Version suffix, as in `deb12`; two targets of one release differ in it")


class Jdk(Value):
    """The JDK of the builder image."""

    package: Name = Field(description="Package, as in `openjdk-11-jdk`")
    version: str = Field(description="What Bigtop calls it: BIGTOP_JDK, as in `8` or `11`")
    suite: str = Field("", description="Suite it comes from if not the target's; pinned to this one package")


class Image(Value):
    """The builder image."""

    registry: str = Field(
        "", description="Base image in a registry, as in `docker.io/library/debian:11-slim`"
    )
    digest: Annotated[str, StringConstraints(pattern=r"^(sha256:[0-9a-f]{64})?$")] = Field(
        "", description="Digest of that image; `image pin` writes it. Without it mmdebstrap makes the base"
    )
    suite: str = Field("", description="Suite of the base image if not the target's")
    jdk: Jdk = Field(description="JDK to build with")
    packages: tuple[Name, ...] = Field((), description="Debian packages beyond the tool's own list")
    environment: dict[str, str] = Field(default_factory=dict, description="Variables set during builds")


class Gradle(Value):
    """The Gradle that runs Bigtop's build."""

    version: str = Field("5.6.4", description="Version that Bigtop's wrapper asks for")
    sha256: OptionalSha256 = Field(
        "1f3067073041bc44554d0efe5d402a33bc3d3c93cc39ab684f308586d732a80d",
        description="Sha256 of gradle-<version>-bin.zip; a wrapper without it is refused",
    )
    properties: dict[str, str] = Field(default_factory=dict, description="`-P` properties of every build")


class Maven(Value):
    """Maven settings of every build."""

    properties: dict[str, str] = Field(
        default_factory=dict, description="User properties, written into settings.xml as an active profile"
    )
    options: tuple[str, ...] = Field((), description="Further words of MAVEN_OPTS")
    mirror_of: str = Field(
        "*",
        description="Which repositories the site's Maven mirror stands in for (Maven's `mirrorOf`). All of them "
        "by default: component poms name hosts that are gone",
    )


class Source(Value):
    """One place a component's source can be had from.

    Exactly one location is given by kind: `path` below Apache's dist (`apache`) or archive (`archive`)
    server, `coordinates` on Maven Central, `repository` and `commit`, a `file` (archive or folder) relative
    to the recipe, or a `url`.
    """

    kind: SourceKind = Field(description="`apache`, `archive`, `maven`, `git`, `file` or `url`")
    path: str = Field(
        "", description="Path below the Apache server, as in `hadoop/common/hadoop-3.3.6/x.tar.gz`"
    )
    coordinates: str = Field(
        "", description="`group:artifact:version:classifier:extension`, as Maven names an artifact"
    )
    repository: str = Field("", description="Git URL, or path relative to the recipe")
    commit: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40})?$")] = Field(
        "", description="Commit of the git repository"
    )
    ref: str = Field("", description="Tag or branch that has the commit")
    file: str = Field("", description="Archive or folder, relative to the recipe")
    url: str = Field("", description="Any other address")
    sha512: OptionalSha512 = Field(
        "",
        description="Pin: sha512 of the download, or for `git` and a folder of our deterministic repack. "
        "Empty: unpinned, shown by `plan` and refused by `build` until `source fetch --pin` wrote it",
    )
    checked: str = Field("", description="What `source fetch --pin` verified the bytes with")
    signed_by: tuple[Fingerprint, ...] = Field((), description="Fingerprints one of which must have signed")
    keys: str = Field("", description="File (relative to the recipe) or URL with these public keys")

    @model_validator(mode="after")
    def _has_its_location(self) -> Self:
        needed = {"apache": "path", "archive": "path", "maven": "coordinates", "git": "repository"}
        key = needed.get(self.kind, self.kind)
        given = [name for name in LOCATIONS if getattr(self, name)]
        if key not in given:
            instead = f", not `{given[0]}`" if given else ""
            raise ValueError(f"kind {self.kind!r} needs `{key}`{instead}")
        if len(given) > 1:
            both = " and ".join(f"`{name}`" for name in given)
            raise ValueError(f"{both} are {len(given)} locations: kind {self.kind!r} takes `{key}` alone")
        if self.kind != "git" and (self.commit or self.ref):
            raise ValueError(f"kind {self.kind!r} takes no `{'commit' if self.commit else 'ref'}`")
        if self.kind == "git" and not self.commit:
            raise ValueError("kind 'git' needs `commit`: tags and branches move")
        if self.kind == "maven" and self.coordinates.count(":") != 4:  # noqa: PLR2004
            raise ValueError("`coordinates` are group:artifact:version:classifier:extension")
        return self

    @property
    def where(self) -> str:
        """The location in one word, for people."""
        at = f"@{self.commit[:12]}" if self.commit else ""
        return f"{self.kind}:{self.path or self.coordinates or self.repository or self.file or self.url}{at}"

    @property
    def kept_as(self) -> str:
        """What the cache keeps it under: its pin, and with that its commit, whose files the pin is to be of."""
        return "-".join(filter(None, (self.sha512, self.commit)))


class Service(Value):
    """A daemon whose start `verify` sees with its own eyes after the install."""

    package: Name = Field(description="Package that installs it")
    prepare: tuple[str, ...] = Field((), description="Shell lines before the start, as root")
    start: str = Field(description="Command that starts it, as root")
    process: str = Field(description="Text that its command line holds (pgrep -f)")
    port: int = Field(ge=1, le=65535, description="TCP port it listens on")
    probe: str = Field("", description="Shell line that must succeed once the port is open")
    stop: str = Field("", description="Command that stops it")
    seconds: int = Field(60, ge=1, description="How long it may take to listen")


class Component(Value):
    """One component of the release that is built."""

    name: Name = Field(description="Its name in bigtop.bom")
    version: str = Field("", description="Version in place of the bom's")
    sources: tuple[Source, ...] = Field((), description="Candidates, first pinned one is taken")
    omit_patches: tuple[str, ...] = Field(
        (), description="File names of upstream's own component patches that do not fit this version"
    )
    gradle_properties: dict[str, str] = Field(default_factory=dict, description="`-P` properties")
    maven_properties: dict[str, str] = Field(default_factory=dict, description="Maven user properties")
    environment: dict[str, str] = Field(default_factory=dict, description="Variables of this build")
    memory_mb: int = Field(4096, ge=256, description="Memory limit of its container, MiB")
    cpus: int = Field(2, ge=1, description="CPU limit of its container")
    services: tuple[Service, ...] = Field((), description="Daemons to start after the install")


class Carry(Value):
    """A component that this Bigtop lacks: its packaging and its block of bigtop.bom come from another commit.

    What it needs and this Bigtop lacks too comes with it.
    """

    component: Name = Field(
        description="Its name in that commit's bigtop.bom; one of the recipe's components"
    )
    commit: Commit = Field(
        alias="from", description="Commit id of Bigtop that has it, in the same repository"
    )
    ref: str = Field("", description="Tag or branch that has the commit: shown to people, and fetched first")

    @property
    def where(self) -> str:
        """The commit in one word, for people."""
        return self.ref or self.commit[:12]


AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/[^/].*[^/]$")]


class Smoke(Value):
    """What packages do together on one host; `verify --smoke` runs all of them in order, in one room."""

    name: Name = Field(description="Its name")
    packages: tuple[Name, ...] = Field((), description="Packages that are installed first, of any component")
    files: dict[AbsolutePath, str] = Field(
        default_factory=dict, description="Files written after the install: path -> text"
    )
    prepare: tuple[str, ...] = Field((), description="Shell lines (bash) before it, as root")
    run: str = Field(description="Shell line (bash) that is looked at, as root")
    expect: Annotated[str, StringConstraints(min_length=1)] = Field(
        description="Text that its output must have; its exit status must be 0"
    )
    seconds: int = Field(300, ge=1, description="How long each line may take")


class LintianException(Value):
    """A lintian error that is let pass, with the reason that a reviewer reads."""

    tag: str = Field(description="Lintian tag")
    packages: tuple[str, ...] = Field((), description="Packages it is let pass in; empty for all")
    reason: Annotated[str, StringConstraints(min_length=10)] = Field(description="Why it is let pass")


class Recipe(Value):
    """One Bigtop release for one target distribution."""

    format: Literal[1] = Field(description="Version of this format")
    release: Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)*(-RC[0-9]+|-[a-z0-9.]+)?$")] = (
        Field(description="Bigtop release, as in `3.5.0` or `3.6.0-RC0`")
    )
    bigtop: Bigtop
    target: Target
    image: Image
    gradle: Gradle = Gradle()
    maven: Maven = Maven()
    patches: tuple[PatchId, ...] = Field(
        (), description="Local patches `target/id`, in the order of application"
    )
    carry: tuple[Carry, ...] = Field(
        (), description="Components whose packaging comes from another commit of Bigtop"
    )
    components: tuple[Component, ...] = Field(min_length=1, description="Components to build")
    roles: dict[str, tuple[Name, ...]] = Field(
        default_factory=dict,
        description="What a host of each role installs: closure is judged, and published, per role",
    )
    lintian: tuple[LintianException, ...] = Field((), description="Lintian errors let pass")
    smoke: tuple[Smoke, ...] = Field((), description="What `verify --smoke` runs, in order")

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        components, carried = [c.name for c in self.components], [c.component for c in self.carry]
        listed = (("component", components), ("patch", list(self.patches)), ("carried component", carried))
        for kind, names in listed:
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{kind} {twice[0]!r} is listed twice")
        if missing := [name for name in carried if name not in components]:
            raise ValueError(f"carried component {missing[0]!r} is not built: add it to `components`")
        return self

    @property
    def id(self) -> str:
        """Release and target in one word, as in `3.5.0-deb11`."""
        return f"{self.release}-{self.target.tag}"

    def component(self, name: str) -> Component:
        """The component of this name.

        Raises:
            InputError: The recipe has none.
        """
        for component in self.components:
            if component.name == name:
                return component
        names = [component.name for component in self.components]
        close = nearest(name, names)
        said = f"it has {', '.join(names)}"
        raise InputError(
            f"recipe {self.release} has no component {name!r}",
            hint=said if close.startswith("there are") else f"{close}; {said}",
        )

    def stamp(self, *, bom_release: str, serial: int) -> str:
        """Debian revision of the N-th build of a component: BIGTOP_BUILD_STAMP.

        `<bom release>+bt<Bigtop release>.<N>~<target>`: it rises with the Bigtop release and with each local
        change, and differs between distributions (docs/decisions/0002-versions.md).
        """
        release = re.sub(r"-rc", "~rc", self.release.lower()).replace("-", ".")
        return f"{bom_release}+bt{release}.{serial}~{self.target.tag}"


def load_recipe(name: str, recipes: Path) -> tuple[Recipe, Path]:
    """Read a recipe by name (`3.5.0`) or path, and return it with the path it was read from.

    Raises:
        InputError: There is no such recipe, or the file is none; the recipes there are are named.
    """
    path = recipes / f"{name}.toml"
    if name.endswith(".toml") or "/" in name or (not path.is_file() and Path(name).exists()):
        path = Path(name)
    known = ", ".join(sorted(p.stem for p in recipes.glob("*.toml"))) or "none"
    hint = f"recipes in {recipes}: {known}"
    if not path.exists():
        raise InputError(f"no recipe {name!r} ({path})", hint=hint)
    if path.suffix != ".toml" or not path.is_file():
        what = "a folder" if path.is_dir() else "not a .toml file"
        raise InputError(f"{name} is no recipe: it is {what}", hint=hint)
    return Recipe.from_toml(path), path.parent.resolve() / path.name
