# SPDX-License-Identifier: Apache-2.0
"""Are two builds of a package the same, bit for bit; and if not, which files in them differ, and in what."""

import hashlib
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, BinaryIO

from bigtop_builder.artifact import HEADER, MAGIC, frame
from bigtop_builder.errors import CheckFailed
from bigtop_builder.expand import BrokenStreamError, Window, allowance, expand
from bigtop_builder.hashes import sha256_of
from bigtop_builder.sbom.fingerprint import BROKEN
from bigtop_builder.schema import counted
from bigtop_builder.tarball import Entry, Tarball

ARCHIVES = (".jar", ".war", ".ear", ".zip")
TOLD_OF_A_JAR = 10
"""Differences in one jar that are told."""
KEPT_IN_MEMORY = 16 << 20
"""Bytes of a jar; a larger one goes to the disk."""
CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What may differ of a file in a package; the names are those that are told."""

    kind: str
    mode: str
    owner: str
    time: int
    link: str
    content: str


def differences(first: Path, second: Path) -> list[str]:
    """What differs between two builds of a package, a line a file; none if they are the same bit for bit.

    Raises:
        CheckFailed: One of them is no whole .deb; it is named.
    """
    if sha256_of(first) == sha256_of(second):
        return []
    one, other = _facts(first), _facts(second)
    unlike = [name for name in one.keys() & other.keys() if one[name] != other[name]]
    jars = [name for name in unlike if name.endswith(ARCHIVES) and one[name].content != other[name].content]
    inside = _in_jars(first, second, jars)
    told = {name: _told(one[name], other[name], inside.get(name, ())) for name in unlike}
    told |= dict.fromkeys(one.keys() - other.keys(), "only the first build has it")
    told |= dict.fromkeys(other.keys() - one.keys(), "only the second build has it")
    lines = [f"{name}: {what}" for name, what in sorted(told.items())]
    return lines or [f"the same files, packed differently: {_packing(first, second)}"]


def _told(one: _Facts, other: _Facts, inside: Sequence[str]) -> str:
    pairs = ((name, value, asdict(other)[name]) for name, value in asdict(one).items())
    parts = [
        name if name == "content" else f"{name} {was or '-'} and {now or '-'}"
        for name, was, now in pairs
        if was != now
    ]
    more = [f"and {len(inside) - TOLD_OF_A_JAR} more"] if len(inside) > TOLD_OF_A_JAR else []
    entries = ", ".join([*inside[:TOLD_OF_A_JAR], *more])
    return ", ".join(parts) + (f" ({entries})" if entries else "")


def _facts(deb: Path) -> dict[str, _Facts]:
    """Member and path -> what there is to compare."""
    try:
        return {name: _facts_of(entry, tar) for name, entry, tar in _entries(deb)}
    except BrokenStreamError as error:
        raise CheckFailed(f"{deb} is no whole .deb: {error}", hint="build it again") from error


def _facts_of(entry: Entry, tar: Tarball) -> _Facts:
    return _Facts(
        kind=entry.kind,
        mode=f"{entry.mode:o}",
        owner=entry.owner,
        time=entry.modified,
        link=entry.link,
        content=_digest(tar.content()).hexdigest(),
    )


def _entries(deb: Path) -> Iterator[tuple[str, Entry, Tarball]]:
    """Everything in control.tar and data.tar."""
    with deb.open("rb") as file:
        for member in frame(file):
            file.seek(member.at)
            pieces = expand(Window(file, member.size), member.suffix, limit=allowance(member.size))
            tar = Tarball(pieces)
            for entry in tar:
                name = entry.name.removeprefix("./").rstrip("/") or "."
                yield f"{member.name.partition('.')[0]}: {name}", entry, tar


def _in_jars(first: Path, second: Path, names: Collection[str]) -> Mapping[str, list[str]]:
    """Name of a jar -> what differs in it; nothing of one that is no zip archive."""
    found: dict[str, list[str]] = {}
    if not names:
        return found
    with ExitStack() as stack:
        sides = [_taken_out(deb, names, stack) for deb in (first, second)]
        for name in names:
            try:
                one, other = (_listed(side[name]) for side in sides)
            except BROKEN:
                continue
            found[name] = _in_jar(one, other)
    return found


def _in_jar(one: Mapping[str, tuple[object, ...]], other: Mapping[str, tuple[object, ...]]) -> list[str]:
    """Names that one lacks and those of other content; all whose time alone differs are one line."""
    unlike = sorted(name for name in one.keys() & other.keys() if one[name] != other[name])
    content = [name for name in unlike if one[name][0] != other[name][0]]
    times = [f"time of {counted(late, 'file')}"] if (late := len(unlike) - len(content)) else []
    lines = [*times, *(f"{name} only in one" for name in sorted(one.keys() ^ other.keys())), *content]
    return lines or ["its entries' order or packing"]


def _listed(file: IO[bytes]) -> dict[str, tuple[object, ...]]:
    """Entry of a zip -> checksum with size, and its time."""
    with zipfile.ZipFile(file) as archive:
        return {one.filename: ((one.CRC, one.file_size), one.date_time) for one in archive.infolist()}


def _taken_out(deb: Path, names: Collection[str], stack: ExitStack) -> dict[str, IO[bytes]]:
    files: dict[str, IO[bytes]] = {}
    for name, _, tar in _entries(deb):
        if name in names:
            file = stack.enter_context(tempfile.SpooledTemporaryFile(KEPT_IN_MEMORY))  # noqa: SIM115  # it is one
            for piece in tar.content():
                file.write(piece)
            files[name] = file
    return files


def _packing(first: Path, second: Path) -> str:
    """Which members of the ar archives differ, by their headers or their packed bytes."""
    one, other = _members(first), _members(second)
    return ", ".join(name for name in one if one[name] != other.get(name)) or "their order"


def _members(deb: Path) -> dict[str, tuple[bytes, str]]:
    with deb.open("rb") as file:
        control, data = frame(file)
        ends = {member.name: (member.at, member.size) for member in (control, data)}
        ends["debian-binary"] = (len(MAGIC) + HEADER.size, 4)
        return {name: _member(file, *place) for name, place in ends.items()}


def _member(file: BinaryIO, at: int, size: int) -> tuple[bytes, str]:
    file.seek(at - HEADER.size)
    header, content = file.read(HEADER.size), Window(file, size)
    return header, _digest(iter(lambda: content.read(CHUNK), b"")).hexdigest()


def _digest(pieces: Iterator[bytes]) -> "hashlib._Hash":
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest
