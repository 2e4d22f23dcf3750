# SPDX-License-Identifier: Apache-2.0
"""Something to upgrade from: the packages published before, or copies of the set with a lower version."""

import re
from collections.abc import Iterable, Mapping, Sequence

from debian.debian_support import version_compare

from bigtop_builder.artifact import Deb
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


def newest(debs: Iterable[Deb]) -> dict[str, Deb]:
    """Package -> its newest version among these."""
    best: dict[str, Deb] = {}
    for deb in debs:
        if deb.name not in best or version_compare(deb.version, best[deb.name].version) > 0:
            best[deb.name] = deb
    return best


def replaced(debs: Sequence[Deb], previous: Iterable[Deb]) -> list[Deb]:
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
