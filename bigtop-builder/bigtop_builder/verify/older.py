# SPDX-License-Identifier: Apache-2.0
"""Something to upgrade from: the packages published before, or copies of the set with a lower version."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from debian.debian_support import version_compare

from bigtop_builder.artifact import Deb, read_deb
from bigtop_builder.errors import VerifyError
from bigtop_builder.room import Room
from bigtop_builder.tarstream import pack
from bigtop_builder.verify.shelf import HOME, last_lines, shell

RELATIONS = (
    "Depends",
    "Pre-Depends",
    "Recommends",
    "Suggests",
    "Breaks",
    "Conflicts",
    "Replaces",
    "Provides",
)
UNPACK = f"""
set -e
mkdir -p {HOME}/older {HOME}/made
cd {HOME}/made
for file in "$@"; do dpkg-deb -R {HOME}/set/"$file" "${{file%.deb}}"; done
"""
PACK = f"""
set -e
cd {HOME}/made
for tree in "$@"; do
    if [ -f "$tree/DEBIAN/conffiles" ]; then
        while read -r file; do
            [ ! -f "$tree$file" ] || echo '# an older release' >> "$tree$file"
        done < "$tree/DEBIAN/conffiles"
    fi
    dpkg-deb --root-owner-group -Znone -b "$tree" {HOME}/older/"$tree".deb > /dev/null
    rm -rf "$tree"
done
chmod -R a+rX {HOME}/older
"""


class Versioned(Protocol):
    """A package, as far as choosing among versions needs to know it."""

    @property
    def name(self) -> str:
        """Package."""

    @property
    def version(self) -> str:
        """Version."""


Kind = TypeVar("Kind", bound=Versioned)


@dataclass(frozen=True, kw_only=True)
class Indexed:
    """A package as its repository's index has it: the file is looked at when it is needed.

    Attributes:
        name: Package.
        version: Version.
        sha256: Of the .deb.
        bring: Makes it a file of this machine, and says where.
    """

    name: str
    version: str
    sha256: str
    bring: Callable[[], Path] = field(repr=False, compare=False)

    def deb(self) -> Deb:
        """The file.

        Raises:
            VerifyError: It is not what the index says.
        """
        deb = read_deb(self.bring())
        if deb.sha256 != self.sha256:
            raise VerifyError(
                f"{deb.path} was altered: its sha256 is {deb.sha256}, in the index {self.sha256}",
                hint="bigtop-builder repo check tells what else is",
            )
        return deb


def newest(debs: Iterable[Kind]) -> dict[str, Kind]:
    """Package -> its newest version among these."""
    best: dict[str, Kind] = {}
    for deb in debs:
        if deb.name not in best or version_compare(deb.version, best[deb.name].version) > 0:
            best[deb.name] = deb
    return best


def replaced(debs: Sequence[Deb], previous: Iterable[Kind]) -> list[Kind]:
    """What of the packages published before the set upgrades: the newest lower version of each."""
    versions = {deb.name: deb.version for deb in debs}
    lower = (
        deb
        for deb in previous
        if deb.name in versions and version_compare(deb.version, versions[deb.name]) < 0
    )
    return list(newest(lower).values())


def lay_older(room: Room, debs: Sequence[Deb], previous: Sequence[Deb]) -> tuple[str, str]:
    """Put older packages into a folder of the room: published ones, or else copies made for this test.

    A copy's conffiles differ from the set's, so that dpkg faces both the admin's change and the maintainer's.

    Returns:
        The folder, and a sentence on where its packages are from.

    Raises:
        VerifyError: A copy could not be made.
    """
    if previous:
        room.run(["mkdir", "-p", f"{HOME}/older"])
        room.put(pack({f"older/{deb.path.name}": deb.path for deb in previous}), HOME)
        said = ", ".join(f"{deb.name} {deb.version}" for deb in previous)
        return f"{HOME}/older", f"from the published {said}"
    _make(room, debs)
    return f"{HOME}/older", "from copies of the same packages with a lower version, made for this test"


def lowered(deb: Deb, versions: Mapping[str, str]) -> str:
    """Control file of a copy with a version just below, relations between packages of the set alike."""
    known = "|".join(re.escape(version) for version in sorted(set(versions.values()), key=len, reverse=True))
    exact = re.compile(rf"(\((?:=|<=|>=) *)({known})( *\))")
    lines = []
    for line in re.split(r"\n(?![ \t])", deb.stanza):
        name, _, value = line.partition(":")
        if name.title() == "Version":
            value = f" {deb.version}~"
        elif name.title() in RELATIONS:
            value = exact.sub(r"\1\2~\3", value)
        lines.append(f"{name}:{value}")
    return "\n".join(lines) + "\n"


def _make(room: Room, debs: Sequence[Deb]) -> None:
    versions = {deb.name: deb.version for deb in debs}
    trees = [deb.path.name.removesuffix(".deb") for deb in debs]
    done = shell(room, UNPACK, *(deb.path.name for deb in debs))
    if done.returncode == 0:
        controls = zip(trees, debs, strict=True)
        room.put(
            pack({f"made/{tree}/DEBIAN/control": lowered(deb, versions).encode() for tree, deb in controls}),
            HOME,
        )
        done = shell(room, PACK, *trees)
    if done.returncode != 0:
        raise VerifyError(
            f"older copies of the packages cannot be made in {room.name}", details=last_lines(done)
        )
