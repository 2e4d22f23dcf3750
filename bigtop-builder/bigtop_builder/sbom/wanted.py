# SPDX-License-Identifier: Apache-2.0
"""What `sbom find` is asked for: coordinates as people write them, or a package URL."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Self

from bigtop_builder.errors import InputError
from bigtop_builder.sbom.inventory import Part
from bigtop_builder.sbom.jars import How

GUESSED: How = "file name"
PATTERN = re.compile(r"[A-Za-z0-9_.+~$*?\-]*")
"""What coordinates are made of (`coordinates.WORD`), with the two wildcards."""
HINT = "[group:]artifact[@version], as in log4j:log4j@1.2*; * and ? stand for what does not matter, ranges are none"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is looked for; in each, `*` and `?` stand for what does not matter. Case does not matter either."""

    group: str
    name: str
    version: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `[group:]artifact[@version]`, or a package URL of Maven, of which no qualifier matters.

        Raises:
            InputError: It has no artifact, or says something else: that must not pass for what is nowhere.
        """
        group, name, version = _of_url(text) if text.startswith("pkg:") else _of_coordinates(text)
        if not name:
            raise InputError(f"{text!r} names no artifact", hint=HINT)
        for word in (group, name, version):
            if not PATTERN.fullmatch(word):
                raise InputError(
                    f"{text!r}: {word!r} is no name or version, and no pattern of one", hint=HINT
                )
        return cls(group=group or "*", name=name, version=version or "*")

    def __contains__(self, part: object) -> bool:
        """Whether it may be it: what is not known of a part is no reason to leave it out."""
        if not isinstance(part, Part):
            return False
        versions = [self.version, *([f"{self.version}-*"] if part.how == GUESSED else [])]
        return (
            _matches(part.group, self.group)
            and _matches(part.name, self.name)
            and any(_matches(part.version, version) for version in versions)
        )


def _matches(said: str, pattern: str) -> bool:
    return not said or fnmatchcase(said.lower(), pattern.lower())


def _of_coordinates(text: str) -> tuple[str, str, str]:
    coordinates, _, version = text.partition("@")
    *group, name = coordinates.replace("/", ":").split(":")
    if len(group) > 1:
        raise InputError(f"{text!r} has more than a group and an artifact", hint=HINT)
    return "".join(group), name, version


def _of_url(text: str) -> tuple[str, str, str]:
    """Group, artifact and version (package-url specification, type maven)."""
    from packageurl import PackageURL  # 40 ms that other questions should not pay

    try:
        url = PackageURL.from_string(text)
    except ValueError as error:
        raise InputError(f"{text!r} is no package URL: {error}", hint=HINT) from error
    if url.type != "maven":
        raise InputError(
            f"{text!r}: what is known of jars are Maven's coordinates", hint="pkg:maven/group/artifact"
        )
    if "?" in text and not url.qualifiers:
        raise InputError(
            f"{text!r}: ? begins the qualifiers of a package URL", hint="write * or %3F for a wildcard"
        )
    return url.namespace or "", url.name, url.version or ""
