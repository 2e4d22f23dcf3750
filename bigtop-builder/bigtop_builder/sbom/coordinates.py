# SPDX-License-Identifier: Apache-2.0
"""Maven coordinates, and the places they are read from: a local repository, a jar's own record, a file name."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints

from bigtop_builder.schema import Sha256, Value

ARTIFACTS = "maven-artifacts.json"
"""In a build's result: what its local Maven and Gradle repositories held."""
LISTED = re.compile(r"([0-9a-f]{64}) ([0-9a-f]{64}|-) (.+)")
WORD = re.compile(r"[A-Za-z0-9_.+~$\-]{1,200}")
"""A part of coordinates. Maven's own rule for ids is narrower, for versions wider (Model Builder, validation)."""
NAMED = tuple(re.compile(rf"(.+)[-_](\d+{dot}[A-Za-z0-9_.+\-]*)") for dot in (r"\.", ""))
"""A name and its version: from the last number with a dot on, or the last number."""

Text = Annotated[str, StringConstraints(pattern=r"^[^:]+:[^:]+:[^:]+(:[^:]+)?$")]
"""Coordinates as `str` writes them."""


@dataclass(frozen=True, kw_only=True, order=True)
class Coordinates:
    """Where Maven finds an artifact."""

    group: str
    artifact: str
    version: str
    classifier: str = ""

    def __str__(self) -> str:
        return ":".join(filter(None, (self.group, self.artifact, self.version, self.classifier)))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote."""
        group, artifact, version, *classifier = text.split(":")
        return cls(group=group, artifact=artifact, version=version, classifier="".join(classifier))

    @classmethod
    def of_properties(cls, text: bytes) -> Self | None:
        """What a pom.properties says (Maven Archiver); None if it does not say all."""
        lines = (line.partition("=") for line in text.decode("latin-1").splitlines() if line[:1] != "#")
        said = {key.strip(): value.strip() for key, _, value in lines}
        words = [said.get(key, "") for key in ("groupId", "artifactId", "version")]
        if not all(map(WORD.fullmatch, words)):
            return None
        return cls(group=words[0], artifact=words[1], version=words[2])

    def named(self, stem: str) -> Self | None:
        """These with the classifier that a file name without its ending has; None if it is another artifact's.

        The name may be bare, or have the version and a classifier.
        """
        begin = f"{self.artifact}-{self.version}"
        if stem in {self.artifact, begin}:
            return self
        classifier = stem.removeprefix(f"{begin}-")
        return (
            replace(self, classifier=classifier)
            if classifier != stem and WORD.fullmatch(classifier)
            else None
        )


class Artifacts(Value):
    """Jars that a build's local repositories held at its end: `maven-artifacts.json` in its result.

    Coordinates are `group:artifact:version`, and `:classifier` if there is one.
    """

    format: Literal[1] = 1
    artifacts: dict[Sha256, Text] = Field(
        default_factory=dict, description="Sha256 of a file -> its coordinates"
    )
    classes: dict[Sha256, Text] = Field(
        default_factory=dict,
        description="Fingerprint of a jar, which packaging leaves as it is, -> its coordinates; none that two "
        "artifacts share",
    )

    @cached_property
    def known(self) -> "Known":
        """The same, read."""
        return Known(
            files={sha256: Coordinates.parse(text) for sha256, text in self.artifacts.items()},
            classes={sha256: Coordinates.parse(text) for sha256, text in self.classes.items()},
        )


@dataclass(frozen=True, kw_only=True)
class Known:
    """Coordinates of jars that a build had.

    Attributes:
        files: By the sha256 of the file.
        classes: By the fingerprint.
    """

    files: Mapping[str, Coordinates]
    classes: Mapping[str, Coordinates]


NOTHING = Known(files={}, classes={})


def artifacts_of(listing: Iterable[str], *, maven: str, gradle: str) -> Artifacts:
    """Read what `fingerprint` said of the files in local repositories.

    Args:
        listing: Its lines, with paths that begin with one of the two folders.
        maven: Folder of the Maven repository.
        gradle: Folder of Gradle's module cache.
    """
    files: dict[str, str] = {}
    classes: dict[str, set[str]] = {}
    for sha256, marks, path in sorted(found.groups() for found in map(LISTED.fullmatch, listing) if found):
        inside = path.partition("/files-2.1/")[2] if path.startswith(f"{gradle}/") else ""
        known = _gradle(inside) if inside else _maven(path.removeprefix(f"{maven}/"))
        if known:
            files.setdefault(sha256, str(known))
            classes.setdefault(marks, set()).add(str(known))
    return Artifacts(
        artifacts=dict(sorted(files.items())),
        classes={
            marks: names.pop() for marks, names in sorted(classes.items()) if marks != "-" and len(names) == 1
        },
    )


def guess(stem: str) -> tuple[str, str]:
    """Name and version that a file name seems to have; the version is empty if it has none."""
    found = next((match for pattern in NAMED if (match := pattern.fullmatch(stem))), None)
    return (found[1], found[2]) if found else (stem, "")


def _maven(path: str) -> Coordinates | None:
    """group/in/parts/artifact/version/artifact-version[-classifier].ending (Maven Repository Layout)."""
    *group, artifact, version, file = ["", "", "", *path.split("/")]
    return _known(".".join(filter(None, group)), artifact, version, file)


def _gradle(path: str) -> Coordinates | None:
    """group/artifact/version/sha1/file, below files-2.1."""
    match path.split("/"):
        case [group, artifact, version, _, file]:
            return _known(group, artifact, version, file)
    return None


def _known(group: str, artifact: str, version: str, file: str) -> Coordinates | None:
    """Coordinates of a file; of a snapshot with a time in its name the time is no classifier."""
    stem = file.rpartition(".")[0]
    begin = f"{artifact}-{version}"
    base = f"{artifact}-{version.removesuffix('-SNAPSHOT')}-"
    timed = re.compile(rf"{re.escape(base)}\d{{8}}\.\d{{6}}-\d+") if version.endswith("-SNAPSHOT") else None
    if timed and (found := timed.match(stem)):
        begin = found[0]
    rest = stem.removeprefix(begin)
    if not stem.startswith(begin) or (rest and rest[0] != "-"):
        return None
    classifier = rest[1:]
    if not all(map(WORD.fullmatch, (group, artifact, version, *filter(None, [classifier])))):
        return None
    return Coordinates(group=group, artifact=artifact, version=version, classifier=classifier)
