# SPDX-License-Identifier: Apache-2.0
"""Jars in a .deb, and jars in those: read as a stream, in bounded memory, whoever made the package.

Nothing is unpacked onto the disk but an archive that is being looked into, which has no name there. What cannot be
read is listed as such, with the reason: a jar that was overlooked would be worse.
"""

import errno
import hashlib
import lzma
import re
import struct
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Literal

from bigtop_builder.artifact import AGAIN, frame
from bigtop_builder.errors import CheckFailed, EnvironmentMissing, InputError
from bigtop_builder.expand import BrokenStreamError, Window, allowance, expand
from bigtop_builder.sbom.coordinates import Coordinates, Known, guess
from bigtop_builder.sbom.fingerprint import BROKEN, fingerprint
from bigtop_builder.tarball import Tarball

How = Literal["build repository", "build repository (classes)", "pom.properties", "file name", "unknown"]
"""From where coordinates are known, the surest first: by the same bytes, by the same classes, by what it says of
itself, by its name, which has no group."""

JARS = (".jar", ".war", ".ear")
TARS = {".tar": "", ".tar.gz": ".gz", ".tgz": ".gz", ".tar.xz": ".xz", ".tar.zst": ".zst"}
"""Ending -> compression."""
BOXES = (".zip", *TARS)
"""Listed only for what is in them: Oozie's share library is such a one."""
POM = re.compile(r"META-INF/maven/[^/]+/[^/]+/pom\.properties")
POM_LIMIT = 1 << 16
DEPTH = 4
"""Archives in one another that are looked into: a jar in a war in a tarball is the third."""
MEMORY = 16 << 20
"""Bytes of an archive that stay in memory; larger ones go into a file without a name."""
DIRECTORY_LIMIT = 32 << 20
"""Bytes of a zip's central directory, which zipfile reads at once: some 300,000 entries."""
RATIO = 20
FLOOR = 64 << 20
"""Archives in an archive may unpack to FLOOR bytes or RATIO times its size, in all."""
CHUNK = 1 << 18
END = struct.Struct("<12xI")
"""Of the record at the end of a zip: the size of its list of entries."""
END_MARK = b"PK\5\6"
END_SEARCHED = (1 << 16) + 22
"""Bytes that the record may take, with the longest comment."""
NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
UNREADABLE = (*BROKEN, BrokenStreamError, zlib.error, lzma.LZMAError)
"""What reading the entries of an archive raises besides."""


@dataclass(frozen=True, kw_only=True)
class Jar:
    """One archive in a package, or a component that was merged into one.

    Attributes:
        path: Below the root; `!/` stands between an archive and what is in it.
        merged: It is a shaded component: its classes are among those of the jar around it.
        sha1: Hash of its bytes; empty for what was merged, or could not be read.
        sha256: Likewise.
        coordinates: Where it comes from; None if nothing but the file name tells.
        name: The artifact, as known or as the file name has it.
        version: Likewise; empty if nothing tells.
        how: From where that is known.
        problem: Why it could not be looked into, or not to its end; empty if it could.
        inside: What is in it.
    """

    path: str
    merged: bool = False
    sha1: str = ""
    sha256: str = ""
    coordinates: Coordinates | None = None
    name: str
    version: str
    how: How
    problem: str = ""
    inside: tuple["Jar", ...] = ()


class _TooMuchError(Exception):
    """Archives in an archive unpack to more than any real ones do."""


@dataclass(kw_only=True)
class _Found:
    """What looking into an archive brought to light.

    Attributes:
        poms: Path -> coordinates that stand there.
        marks: Its fingerprint; empty if it has none.
        inside: Archives in it.
        problem: Why that is not all.
    """

    poms: dict[str, Coordinates] = field(default_factory=dict)
    marks: str = ""
    inside: list[Jar] = field(default_factory=list)
    problem: str = ""


def jars_in(deb: Path, known: Known) -> tuple[Jar, ...]:
    """All jars of a package, those in wars, fat jars and tarballs too, in the order of their paths.

    Args:
        deb: The package.
        known: What its build had.

    Raises:
        InputError: There is no such file.
        CheckFailed: It is no whole .deb.
    """
    try:
        with deb.open("rb") as file:
            _, data = frame(file)
            file.seek(data.at)
            pieces = expand(Window(file, data.size), data.suffix, limit=allowance(data.size))
            found = list(_of_package(Tarball(pieces), known))
    except FileNotFoundError as error:
        raise InputError(f"{deb} does not exist") from error
    except BrokenStreamError as error:
        raise CheckFailed(f"{deb} is no whole .deb: {error}", hint=AGAIN) from error
    return _in_order(found)


def _of_package(tar: Tarball, known: Known) -> Iterator[Jar]:
    for entry in tar:
        name = entry.name.removeprefix("./")
        if entry.kind == "file" and _is_archive(name):
            jar = _Look(known, entry.size).read(tar.content(), _shown(name), depth=1)
            if jar:
                yield jar


class _Look:
    """Looks into one archive of a package and into those in it.

    Args:
        known: What the build had.
        size: Bytes of the archive: what is in it may unpack to so many times more.
    """

    def __init__(self, known: Known, size: int) -> None:
        self._known = known
        self._left = max(FLOOR, RATIO * size)

    def read(self, pieces: Iterable[bytes], path: str, *, depth: int) -> Jar | None:
        """An archive whose bytes come in pieces; None for a box with no jar in it."""
        sha1, sha256 = hashlib.sha1(usedforsecurity=False), hashlib.sha256()
        with tempfile.SpooledTemporaryFile(MEMORY) as file:
            for piece in pieces:
                sha1.update(piece)
                sha256.update(piece)
                file.write(piece)
            file.seek(0)
            found = self._look(file, path, depth)
        if path.lower().endswith(BOXES) and not (found.inside or found.problem):
            return None
        jar = _identified(path, found, self._known, sha256.hexdigest())
        return replace(jar, sha1=sha1.hexdigest(), sha256=sha256.hexdigest())

    def _look(self, file: IO[bytes], path: str, depth: int) -> _Found:
        found = _Found()
        if depth > DEPTH:
            found.problem = f"not looked into: it lies in {depth - 1} others"
            return found
        suffix = next((TARS[end] for end in TARS if path.lower().endswith(end)), None)
        try:
            if suffix is None:
                self._zip(file, path, depth, found)
            else:
                self._tar(file, suffix, path, depth, found)
        except _TooMuchError:
            found.problem = "what is in it unpacks to more than any real archive does"
        except UNREADABLE as error:
            found.problem = _complaint(error)
        return found

    def _zip(self, file: IO[bytes], path: str, depth: int, found: _Found) -> None:
        _require_small_directory(file)
        with zipfile.ZipFile(file) as archive:
            found.marks = fingerprint(archive)
            for info in archive.infolist():
                if POM.fullmatch(info.filename):
                    with archive.open(info) as stream:
                        (text,) = self._taken([stream.read(POM_LIMIT)])
                    if pom := Coordinates.of_properties(text):
                        found.poms[info.filename] = pom
                elif _is_archive(info.filename):
                    self._nested(_entry(archive, info), info.filename, path, depth, found)

    def _tar(self, file: IO[bytes], suffix: str, path: str, depth: int, found: _Found) -> None:
        tar = Tarball(self._taken(expand(file, suffix, limit=self._left)), pax=True)
        for entry in tar:
            if entry.kind == "file" and _is_archive(entry.name):
                self._nested(tar.content(), entry.name.removeprefix("./"), path, depth, found)

    def _nested(self, pieces: Iterable[bytes], name: str, path: str, depth: int, found: _Found) -> None:
        """An archive in an archive: where it is broken, the others are not."""
        place = f"{path}!/{_shown(name)}"
        try:
            jar = self.read(self._taken(pieces), place, depth=depth + 1)
        except UNREADABLE as error:
            jar = replace(_identified(place, _Found(), self._known), problem=_complaint(error))
        found.inside += [jar] if jar else []

    def _taken(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces, counted."""
        for piece in pieces:
            self._left -= len(piece)
            if self._left < 0:
                raise _TooMuchError
            yield piece


def _identified(path: str, found: _Found, known: Known, sha256: str = "") -> Jar:
    """An archive by its coordinates, and the components that were merged into it.

    Args:
        path: Where it lies.
        found: What is in it.
        known: What the build had.
        sha256: Of its bytes; empty if they cannot be read.
    """
    stem = path.rpartition("/")[2].rpartition(".")[0]
    name, version = guess(stem)
    named = {pom for one in found.poms.values() if (pom := one.named(stem))}
    how: How = "file name" if version else "unknown"
    own = None
    if sha256 in known.files:
        own, how = known.files[sha256], "build repository"
    elif found.marks in known.classes:
        own, how = known.classes[found.marks], "build repository (classes)"
    elif len(named) == 1:
        own, how = named.pop(), "pom.properties"
    others = {pom: place for place, pom in sorted(found.poms.items(), reverse=True) if not _same(pom, own)}
    merged = (_merged(pom, f"{path}!/{_shown(place)}") for pom, place in others.items())
    return Jar(
        path=path,
        coordinates=own,
        name=own.artifact if own else name,
        version=own.version if own else version,
        how=how,
        problem=found.problem,
        inside=_in_order([*merged, *found.inside]),
    )


def _same(one: Coordinates, other: Coordinates | None) -> bool:
    return other is not None and (one.group, one.artifact) == (other.group, other.artifact)


def _merged(pom: Coordinates, path: str) -> Jar:
    return Jar(
        path=path, merged=True, coordinates=pom, name=pom.artifact, version=pom.version, how="pom.properties"
    )


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(info) as stream:
        yield from iter(lambda: stream.read(CHUNK), b"")


def _require_small_directory(file: IO[bytes]) -> None:
    """See that the list of a zip's entries is one that can be read at once (APPNOTE.TXT, 4.3.16).

    Raises:
        BadZipFile: It is not, or there is none.
    """
    end = file.seek(0, 2)
    file.seek(max(0, end - END_SEARCHED))
    tail = file.read()
    at = tail.rfind(END_MARK)
    if at < 0 or len(tail) < at + END.size:
        raise zipfile.BadZipFile("it is no zip archive, or its end is missing")
    size = END.unpack_from(tail, at)[0]
    if size > DIRECTORY_LIMIT:
        raise zipfile.BadZipFile(f"the list of its entries has {size} bytes")
    file.seek(0)


def _is_archive(name: str) -> bool:
    return name.lower().endswith((*JARS, *BOXES))


def _in_order(jars: Iterable[Jar]) -> tuple[Jar, ...]:
    """By path, with a number behind a path that is there more than once: a zip may have a name twice."""
    seen: Counter[str] = Counter()
    ordered = []
    for jar in sorted(jars, key=lambda one: (one.path, one.sha256)):
        seen[jar.path] += 1
        again = seen[jar.path] > 1
        ordered.append(replace(jar, path=f"{jar.path}#{seen[jar.path]}") if again else jar)
    return tuple(ordered)


def _complaint(error: Exception) -> str:
    """Why an archive cannot be read; a full disk is no fault of it.

    Raises:
        EnvironmentMissing: The disk is full.
    """
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        raise EnvironmentMissing(
            f"the disk of {tempfile.gettempdir()} is full", hint="free space there, or set TMPDIR"
        ) from error
    return _shown(str(error) or type(error).__name__)[:200]


def _shown(text: str) -> str:
    """A text with what a terminal would obey, and what is no Unicode, escaped."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
