# SPDX-License-Identifier: Apache-2.0
"""The archive-keyring package: the one .deb that makes a host trust and use a repository.

It installs the public keys below /usr/share/keyrings and a deb822 .sources file, a conffile that the admin
may change, whose Signed-By names them. The keys are binary and named .gpg: apt before 2.4 takes no armored
keys and no other suffix (sources.list(5), apt-key(8) of Debian 11).

Its version is `DAY.TIME.CONTENT`: the moment, UTC, at which this content was first built, and 32 bits of a hash of
the content in decimal. Two contents never share one, though two machines that know nothing of each other build them
in the same second; and what is built later is higher, though what was built before was never published. A machine
whose clock is behind still goes above all versions that it can see: those in the repository, and those that it gave
out by hand, of which a file beside the keys is the record. What remains is a clock that is behind that of another
machine, for a package that the other one gave out by hand only: no record here has it.
"""

import gzip
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from os import utime
from pathlib import Path

from debian.debian_support import NativeVersion

from bigtop_builder.artifact import VERSION
from bigtop_builder.errors import EnvironmentMissing, InputError, PublishError
from bigtop_builder.run import run

DATED = re.compile(r"([0-9]{8})\.([0-9]+)(?:\.[0-9]+)?")
"""Versions as `version_above` makes them, or as they were before they had the content: `DAY.NUMBER`."""
GIVEN = re.compile(
    r"^([0-9]{8}\.[0-9]+\.[0-9]+) ([0-9a-f]{64}) ([0-9A-F]{40}(?:,[0-9A-F]{40})*)\n", re.MULTILINE
)
"""A line of the record: version, sha256 of the .deb, fingerprints of keys and subkeys with commas between."""
RECORD = ".given"
"""End of the record's name."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """A package that was given out by hand.

    Attributes:
        version: Its version.
        sha256: Of the .deb.
        keys: Fingerprints of the keys in it, and of their parts whose signatures hosts take.
    """

    version: str
    sha256: str
    keys: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class KeyringPackage:
    """What goes into an archive-keyring package.

    Attributes:
        origin: Origin of the repository; its lower-case letters and digits name the package.
        keys: Public keys, binary.
        url: URL of the repository, as hosts reach it.
        suites: Suites that hosts take.
        components: Components of the suites.
        version: Version of the package: it must grow when anything here changes (`version_above`).
        date: Date of changelog and files, UTC.
        maintainer: `Name <email>`.
    """

    origin: str
    keys: bytes
    url: str
    suites: Sequence[str]
    components: Sequence[str] = ("main",)
    version: str
    date: datetime
    maintainer: str

    @property
    def slug(self) -> str:
        """The origin as part of file names."""
        return _slug(self.origin)

    @property
    def name(self) -> str:
        """Name of the package."""
        return package_name(self.origin)

    @property
    def keyring(self) -> str:
        """Path of the keys on hosts."""
        return f"/usr/share/keyrings/{self.name}.gpg"

    @property
    def sources(self) -> str:
        """Path of the .sources file on hosts."""
        return f"/etc/apt/sources.list.d/{self.slug}.sources"

    def sources_text(self) -> str:
        """The deb822 entry (sources.list(5))."""
        return (
            f"Types: deb\nURIs: {self.url}\nSuites: {' '.join(self.suites)}\n"
            f"Components: {' '.join(self.components)}\nSigned-By: {self.keyring}\n"
        )

    def version_above(self, known: Iterable[str], *, now: datetime) -> str:
        """A version that no other content has, above all that are known.

        Args:
            known: Versions; those of another form than the package's own are not looked at.
            now: The time, UTC.
        """
        past = [(found[1], int(found[2])) for one in known if (found := DATED.fullmatch(one))]
        day, number = max([(f"{now:%Y%m%d}", int(f"{now:%H%M%S}")), *((day, n + 1) for day, n in past)])
        digest = hashlib.sha256()
        for name, content in _files(replace(self, version="0")):
            digest.update(f"{name} {len(content)}\n".encode() + content)
        return f"{day}.{number:06}.{int.from_bytes(digest.digest()[:4], 'big')}"


def build(package: KeyringPackage, folder: Path) -> Path:
    """Build the package into an existing folder; the same input gives the same bytes.

    Raises:
        InputError: The origin has no letter or digit, the version is none, or keys or URL are missing.
        PublishError: dpkg-deb refused.
    """
    _check(package)
    target = folder / f"{package.name}_{package.version.partition(':')[2] or package.version}_all.deb"
    with tempfile.TemporaryDirectory(prefix="bb-keyring-") as scratch:
        root = Path(scratch, "root")
        for name, content in _files(package):
            path = root / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o644)
        stamp = int(package.date.timestamp())
        for path in (*root.rglob("*"), root):
            if path.is_dir():
                path.chmod(0o755)
            utime(path, (stamp, stamp))
        run(
            ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, target],
            env={"SOURCE_DATE_EPOCH": str(stamp)},
            error=PublishError,
        )
    return target


def package_name(origin: str) -> str:
    """Name of the package of a repository of this origin."""
    return f"{_slug(origin)}-archive-keyring"


def versions_among(names: Iterable[str], package: str) -> tuple[str, ...]:
    """Versions of the packages among file names, lowest first; those of another form are left out."""
    versions = (
        name.removeprefix(f"{package}_").removesuffix("_all.deb")
        for name in names
        if name.startswith(f"{package}_")
    )
    return tuple(sorted(filter(DATED.fullmatch, versions), key=NativeVersion))


def given(folder: Path, package: str) -> tuple[Given, ...]:
    """The record of what was given out by hand.

    Args:
        folder: Where it is: the keys' folder.
        package: Name of the package.

    Raises:
        EnvironmentMissing: It cannot be read.
    """
    path = folder / f"{package}{RECORD}"
    try:
        # A line that was cut short is no package's: it is written before the package is given out.
        lines = GIVEN.findall(path.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise _unrecorded(path, "read", error) from error
    return tuple(
        Given(version=version, sha256=sha256, keys=frozenset(keys.split(",")))
        for version, sha256, keys in lines
    )


def record(folder: Path, package: str, one: Given) -> None:
    """Add to the record what is about to be given out; what it has already is not written again.

    Raises:
        EnvironmentMissing: It cannot be written.
    """
    if one in given(folder, package):
        return
    path = folder / f"{package}{RECORD}"
    # The first line feed ends what was cut short.
    line = f"\n{one.version} {one.sha256} {','.join(sorted(one.keys))}\n"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _unrecorded(path, "written", error) from error


def _unrecorded(path: Path, what: str, error: OSError) -> EnvironmentMissing:
    return EnvironmentMissing(
        f"{path} cannot be {what}: {error.strerror}",
        hint="no later keyring package may have a version that was given out: mend the rights of keys_dir",
    )


def keys_of(package: Path, scratch: Path) -> bytes:
    """The public keys in a package, binary.

    Args:
        package: The .deb.
        scratch: Folder that it may be unpacked in.

    Raises:
        PublishError: dpkg-deb cannot unpack it.
    """
    root = scratch / "unpacked"
    run(["dpkg-deb", "--extract", package, root], error=PublishError)
    return b"".join(path.read_bytes() for path in sorted((root / "usr/share/keyrings").glob("*.gpg")))


def _slug(origin: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", origin.lower()).strip("-")


def _check(package: KeyringPackage) -> None:
    if len(package.slug) < 2:  # noqa: PLR2004  # Debian policy 5.6.1: names have two characters or more
        raise InputError(f"origin {package.origin!r} makes no package name", hint="use letters and digits")
    if VERSION.fullmatch(package.version) is None:
        raise InputError(f"{package.version!r} is no version (Debian policy 5.6.12)", hint="digits first")
    if not package.keys or package.keys.startswith(b"-----"):
        raise InputError(
            "the keyring package takes public keys in binary, at least one", hint="export them without armor"
        )
    for value in (package.url, *package.suites, *package.components):
        if not value or re.search(r"\s", value):
            raise InputError(
                f"{value!r} cannot stand in a .sources file: it is empty or has white space",
                hint="mend url, hosts or component in repo/repository.toml",
            )
    if not package.suites or not package.components:
        raise InputError(
            "the keyring package names no suite or no component",
            hint="name suites under hosts in repo/repository.toml",
        )
    if re.fullmatch(r"[^<>\n]+ <[^<>\s]+@[^<>\s]+>", package.maintainer) is None:
        raise InputError(
            f"maintainer {package.maintainer!r} is not of the form `Name <email>`",
            hint="mend maintainer in repo/repository.toml",
        )


def _files(package: KeyringPackage) -> Iterator[tuple[str, bytes]]:
    """All files of the package, the control ones below DEBIAN."""
    docs = f"/usr/share/doc/{package.name}"
    content = {
        package.keyring: package.keys,
        package.sources: package.sources_text().encode(),
        f"{docs}/changelog.gz": gzip.compress(_changelog(package).encode(), 9, mtime=0),
        f"{docs}/copyright": _copyright(package).encode(),
        f"/usr/share/lintian/overrides/{package.name}": _overrides(package).encode(),
    }
    yield from content.items()
    sums = (
        f"{hashlib.md5(data, usedforsecurity=False).hexdigest()}  {path[1:]}\n"
        for path, data in content.items()
        if path != package.sources
    )
    size = sum(-(-len(data) // 1024) for data in content.values())
    yield "DEBIAN/md5sums", "".join(sums).encode()
    yield "DEBIAN/conffiles", f"{package.sources}\n".encode()
    yield "DEBIAN/control", _control(package, size).encode()


def _control(package: KeyringPackage, size: int) -> str:
    return f"""Package: {package.name}
Version: {package.version}
Architecture: all
Maintainer: {package.maintainer}
Installed-Size: {size}
Section: misc
Priority: optional
Multi-Arch: foreign
Description: keys and apt source of the {package.origin} repository
 This package makes apt use the {package.origin} package repository:
 it brings the public keys that the repository is signed with, and
 an apt source that trusts these keys for that repository alone.
"""


def _changelog(package: KeyringPackage) -> str:
    date = format_datetime(package.date.astimezone(UTC))
    return (
        f"{package.name} ({package.version}) unstable; urgency=medium\n\n"
        f"  * Keys and source of the {package.origin} repository.\n\n"
        f" -- {package.maintainer}  {date}\n"
    )


def _copyright(package: KeyringPackage) -> str:
    return (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        f"Upstream-Name: {package.name}\n\n"
        "Files: *\n"
        f"Copyright: {package.date:%Y} {package.maintainer}\n"
        "License: public-domain\n"
        " Public keys and the address of a package repository: facts, to be used by anyone.\n"
    )


def _overrides(package: KeyringPackage) -> str:
    return (
        "# Bringing the source with its key is what this package is for.\n"
        f"{package.name}: package-installs-apt-sources\n"
    )
