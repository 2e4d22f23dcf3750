# SPDX-License-Identifier: Apache-2.0
"""What dpkg-buildpackage leaves besides .debs: source packages (dsc(5)), .changes and .buildinfo.

Nothing here looks at OpenPGP signatures in these files: whoever may publish answers for them.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.artifact import NAME, READABLE, UNPRINTABLE, VERSION, open_regular, parse_control
from bigtop_builder.errors import BuilderError, CheckFailed, InputError
from bigtop_builder.expand import CHUNK
from bigtop_builder.openpgp import unverified_text

AGAIN = "build the source package again: dpkg-source --build"
LIMIT = 8 << 20
"""Bytes of a .dsc, .changes or .buildinfo: the largest in Debian have some hundred kB."""
SIGNED = b"-----BEGIN PGP SIGNED MESSAGE-----"
PART = re.compile(r"_[A-Za-z0-9.+~\-]+\.(?:tar\.(?:gz|xz|bz2|lzma|zst)|diff\.gz)(?:\.asc)?")
"""What follows the source's name in the name of a part (dpkg-source(1))."""
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.~:_\-]*")
SHA256 = re.compile(r"[0-9a-f]{64}")
SIZE = re.compile(r"[0-9]{1,15}")
ALGORITHMS = {"Files": "md5", "Checksums-Sha1": "sha1", "Checksums-Sha256": "sha256"}
"""Field of a .dsc -> hash in it. dpkg-source refuses a file that differs from any of them."""
PACKAGES = (".deb", ".ddeb")
ARCHIVE = b"!<arch>\n"
"""What a .deb begins with (deb(5))."""
RECORDS = (".changes", ".buildinfo")


@dataclass(frozen=True, kw_only=True)
class Part:
    """A file of a source package.

    Attributes:
        path: The file.
        name: Its name, as the .dsc has it.
        size: Bytes.
        sha256: Its hash.
        md5: Its hash, without which apt before 1.1 and dpkg-source take nothing.
    """

    path: Path
    name: str
    size: int
    sha256: str
    md5: str


@dataclass(frozen=True, kw_only=True)
class SourcePackage:
    """A .dsc, and the files beside it that it names; all of them have the hashes that it says.

    Attributes:
        control: Field -> value, without its signature.
        dsc: The file itself, under its one name: source and version without epoch.
        parts: The others.
    """

    control: Mapping[str, str]
    dsc: Part
    parts: tuple[Part, ...]

    @property
    def path(self) -> Path:
        """The .dsc."""
        return self.dsc.path

    @property
    def name(self) -> str:
        """Name of the source package."""
        return self.control["Source"]

    @property
    def version(self) -> str:
        """Full version."""
        return self.control["Version"]

    @property
    def files(self) -> tuple[Part, ...]:
        """All files, the .dsc first."""
        return (self.dsc, *self.parts)


@dataclass(frozen=True, kw_only=True)
class BuildRecord:
    """A .changes or .buildinfo: what a build was made from, and the hashes of what it made.

    Attributes:
        path: The file.
        content: Its bytes.
        sha256: Their hash.
        files: Name -> sha256 and bytes of what it says was made.
    """

    path: Path
    content: bytes
    sha256: str
    files: Mapping[str, tuple[str, int]]


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What comes along with .debs.

    Attributes:
        sources: Source packages.
        records: .changes and .buildinfo.
    """

    sources: tuple[SourcePackage, ...] = ()
    records: tuple[BuildRecord, ...] = ()


def sort_out(given: Iterable[Path]) -> tuple[list[Path], Beside]:
    """.debs among files and folders, and what lies beside them. A .changes brings in all that it names.

    Raises:
        InputError: A file is none of these, or a folder has no package.
        CheckFailed: A .dsc, .changes or .buildinfo is malformed, or a file is not what it says.
    """
    files: dict[Path, None] = {}
    for path in given:
        _require_package(path)
        files |= dict.fromkeys(_packages_in(path) if path.is_dir() else _with_named(path))
    debs = [path for path in files if not path.name.endswith((".dsc", *RECORDS))]
    return debs, Beside(
        sources=tuple(read_dsc(path) for path in files if path.suffix == ".dsc"),
        records=tuple(read_record(path) for path in files if path.suffix in RECORDS),
    )


def read_dsc(path: Path) -> SourcePackage:
    """Read a .dsc, and hold each file that it names to each of the hashes in it.

    Raises:
        InputError: A file is missing or cannot be read.
        CheckFailed: The .dsc is malformed, or a file is not what it says.
    """
    content, control = _read(path)
    for field, rule in (("Source", NAME), ("Version", VERSION)):
        if rule.fullmatch(control.get(field, "")) is None:
            raise CheckFailed(f"{path}: {field} {control.get(field, '')[:80]!r} is not allowed", hint=AGAIN)
    said = {field: _table(control, field, path) for field in ALGORITHMS if field in control}
    if {"Files", "Checksums-Sha256"} - said.keys() or len({frozenset(one) for one in said.values()}) != 1:
        raise CheckFailed(
            f"{path}: Files and Checksums-Sha256 must be there and name the same files", hint=AGAIN
        )
    name = control["Source"]
    for part in said["Files"]:
        if not part.startswith(f"{name}_") or PART.fullmatch(part.removeprefix(name)) is None:
            raise CheckFailed(f"{path}: {part[:80]!r} is no name of a file of source package {name}")
    version = control["Version"]
    dsc = Part(
        path=path,
        name=f"{name}_{version.partition(':')[2] or version}.dsc",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
    )
    parts = tuple(
        _part(path, part, {ALGORITHMS[field]: table[part] for field, table in said.items()})
        for part in said["Files"]
    )
    return SourcePackage(control=control, dsc=dsc, parts=parts)


def read_record(path: Path) -> BuildRecord:
    """Read a .changes (deb-changes(5)) or .buildinfo (deb-buildinfo(5)).

    Raises:
        InputError: It cannot be read.
        CheckFailed: It is malformed.
    """
    content, control = _read(path)
    if "Checksums-Sha256" not in control:
        raise CheckFailed(f"{path} has no Checksums-Sha256", hint="build again with a dpkg of this decade")
    return BuildRecord(
        path=path,
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        files=_table(control, "Checksums-Sha256", path),
    )


def _packages_in(folder: Path) -> Iterator[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix in {*PACKAGES, ".dsc", *RECORDS})
    if all(path.suffix in RECORDS for path in found):
        raise InputError(
            f"{folder} holds no .deb and no .dsc",
            hint="name .deb files or the folder that they lie in, as build/RELEASE/debs",
        )
    yield from found


def _require_package(path: Path) -> None:
    """See that a file is one of those that a repository takes, by its name or by what it begins with.

    Raises:
        CheckFailed: It is not.
    """
    if path.is_dir() or path.suffix in {*PACKAGES, ".dsc", *RECORDS}:
        return
    with suppress(OSError), open_regular(path) as file:
        if file.read(len(ARCHIVE)) != ARCHIVE:
            raise CheckFailed(
                f"{path} is no package",
                hint="give .deb, .ddeb, .dsc, .changes and .buildinfo files, or folders of them",
            )


def _with_named(path: Path) -> Iterator[Path]:
    """A file, and if it is a .changes, what it names of packages and records."""
    yield path
    if path.suffix == ".changes":
        named = [path.with_name(name) for name in read_record(path).files]
        for one in named:
            if one.suffix in {*PACKAGES, ".dsc", ".buildinfo"}:
                if not one.exists():
                    raise InputError(f"{one}, which {path.name} names, does not exist")
                yield one


def _read(path: Path) -> tuple[bytes, dict[str, str]]:
    """Bytes and fields of a file that may be clear-signed."""
    try:
        with open_regular(path) as file:
            content = file.read(LIMIT + 1)
        if len(content) > LIMIT:
            raise CheckFailed(f"{path} is larger than {LIMIT >> 20} MiB")
        text = (unverified_text(content) if content.startswith(SIGNED) else content).decode().strip("\n")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", hint=READABLE) from error
    except UnicodeDecodeError as error:
        raise CheckFailed(f"{path} is not UTF-8 at byte {error.start}") from error
    except BuilderError as error:
        raise CheckFailed(error.brief, details=error.details, hint=error.hint) from error
    if found := UNPRINTABLE.search(text):
        raise CheckFailed(f"{path} has the character U+{ord(found[0]):04X}")
    return content, parse_control(text, source=str(path))


def _table(control: Mapping[str, str], field: str, path: Path) -> dict[str, tuple[str, int]]:
    """Name -> hash and bytes, of a field with a line for each file."""
    table: dict[str, tuple[str, int]] = {}
    for line in control[field].split("\n")[1:]:
        words = line.split()
        known = words and FILE_NAME.fullmatch(words[-1]) and words[-1] not in table
        # Files of .changes has section and priority too; it is never asked for here.
        if not known or len(words) != 3 or SIZE.fullmatch(words[1]) is None:  # noqa: PLR2004  # hash, size, name
            raise CheckFailed(f"{path}: {field} has the line {line[:80]!r}")
        table[words[2]] = words[0].lower(), int(words[1])
    return table


def _part(dsc: Path, name: str, said: Mapping[str, tuple[str, int]]) -> Part:
    """A file beside a .dsc, after it was hashed in one reading."""
    path = dsc.with_name(name)
    digests = {one: hashlib.new(one, usedforsecurity=one == "sha256") for one in said}
    size = 0
    try:
        with open_regular(path, f", which {dsc.name} names,") as file:
            while piece := file.read(CHUNK):
                size += len(piece)
                for digest in digests.values():
                    digest.update(piece)
    except OSError as error:
        raise InputError(
            f"{path}, which {dsc.name} names, cannot be read: {error.strerror}", hint=READABLE
        ) from error
    for algorithm, digest in digests.items():
        if (digest.hexdigest(), size) != said[algorithm]:
            raise CheckFailed(
                f"{path} is not the file that {dsc.name} names: {algorithm} {digest.hexdigest()}, {size} bytes",
                details=f"{dsc.name} says {said[algorithm][0]}, {said[algorithm][1]} bytes",
                hint=AGAIN,
            )
    return Part(
        path=path,
        name=name,
        size=size,
        sha256=digests["sha256"].hexdigest(),
        md5=digests["md5"].hexdigest(),
    )
