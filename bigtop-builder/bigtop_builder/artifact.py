# SPDX-License-Identifier: Apache-2.0
"""Binary packages: what a .deb says of itself, read as a stream (deb(5), Debian policy 5)."""

import gzip
import hashlib
import io
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

from bigtop_builder.errors import CheckFailed, InputError

MAGIC = b"!<arch>\n"
HEADER = 60
CONTROL_LIMIT = 1 << 20
"""Bytes of a control file: the longest in Debian has some 10 kB."""
MEMBER_LIMIT = 32 << 20
"""Bytes that a control member may unpack to: md5sums of large packages are there too."""

UNREADABLE = (EOFError, gzip.BadGzipFile, lzma.LZMAError, tarfile.TarError, zlib.error)

FIELD = re.compile(r"([!-9;-~]+):[ \t]*(.*)")
NAME = re.compile(r"[a-z0-9][a-z0-9+.\-]+")
VERSION = re.compile(r"(?:[0-9]+:[0-9][A-Za-z0-9.+~:\-]*|[0-9][A-Za-z0-9.+~\-]*)(?<!-)")
ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9\-]*")
SOURCE = re.compile(r"([a-z0-9][a-z0-9+.\-]+)(?: \(\S+\))?")


@dataclass(frozen=True, kw_only=True)
class Deb:
    """One .deb file.

    Attributes:
        path: The file.
        control: Field -> value of the control file; names in the one spelling of `canonical`, values of
            several lines with their line breaks.
        stanza: Text of the control file, without newlines at its end.
        size: Bytes.
        sha256: Hash of the file.
    """

    path: Path
    control: Mapping[str, str]
    stanza: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """Package name."""
        return self.control["Package"]

    @property
    def version(self) -> str:
        """Full version, with epoch and revision."""
        return self.control["Version"]

    @property
    def architecture(self) -> str:
        """Architecture; `all` for packages that fit any."""
        return self.control["Architecture"]

    @property
    def source(self) -> str:
        """Name of the source package; the version some Source fields carry is left out (policy 5.6.1)."""
        return self.control.get("Source", self.name).partition(" ")[0]

    @cached_property
    def sha512(self) -> str:
        """Sha512 of the file; read when asked for, because it costs three times what sha256 does."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha512").hexdigest()


def canonical(field: str) -> str:
    """The one spelling of a field name: `pre-depends` and `Pre-Depends` are the same field (policy 5.1)."""
    return "-".join(part.capitalize() for part in field.split("-"))


def read_deb(path: Path) -> Deb:
    """Read a .deb: its members' frame, its control file and its hash.

    What `data.tar` holds is not looked at: that is `verify.integrity`'s work.

    Raises:
        InputError: There is no such file.
        CheckFailed: It is no whole .deb; file and reason are named.
    """
    try:
        with path.open("rb") as file:
            stanza = _control(file, path)
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except UNREADABLE as error:
        raise _broken(path, f"its control member cannot be read: {error}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    fields = parse_control(stanza, source=str(path))
    _check_fields(fields, path)
    return Deb(path=path, control=fields, stanza=stanza, size=size, sha256=sha256)


def parse_control(text: str, *, source: str) -> dict[str, str]:
    """Fields of one stanza, as dpkg takes them: no comment, no blank line within, no field twice.

    Raises:
        CheckFailed: The text is no single stanza; `source` and the line are named.
    """
    fields: dict[str, str] = {}
    name = ""
    for number, line in enumerate(text.split("\n"), 1):
        if line[:1] in {" ", "\t"} and name and line.strip():
            fields[name] += "\n" + line
            continue
        found = FIELD.fullmatch(line)
        if found is None or found[1].startswith(("-", "#")):
            raise CheckFailed(f"{source}: control line {number} is no field: {line[:80]!r}")
        name = canonical(found[1])
        if name in fields:
            raise CheckFailed(f"{source}: control line {number} gives {name} a second time")
        fields[name] = found[2].rstrip()
    return fields


def members(file: IO[bytes], path: Path) -> Iterator[tuple[str, int]]:
    """Names and sizes of an ar archive's members; the file stands at a member's first byte when it is given.

    Raises:
        CheckFailed: The archive is cut off or no ar archive.
    """
    end = file.seek(0, 2)
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        raise _broken(path, "it is no ar archive" if end else "it is empty")
    at = len(MAGIC)
    while at < end:
        file.seek(at)
        header = file.read(HEADER)
        digits = header[48:58].strip()
        if len(header) < HEADER or header[58:] != b"`\n" or not digits.isdigit():
            raise _broken(path, f"no member header at byte {at}")
        size = int(digits)
        if at + HEADER + size > end:
            raise _broken(path, f"it is cut off: {at + HEADER + size - end} bytes are missing")
        yield header[:16].rstrip(b" ").decode("latin-1").removesuffix("/"), size
        at += HEADER + size + size % 2


def _control(file: IO[bytes], path: Path) -> str:
    """Text of the control file, after the order of members was checked (deb(5))."""
    names: list[str] = []
    stanza = ""
    for name, size in members(file, path):
        names.append(name)
        if len(names) == 1 and (name != "debian-binary" or not file.read(min(size, 16)).startswith(b"2.")):
            raise _broken(path, "it does not begin with debian-binary of version 2")
        if name.startswith("control.tar"):
            if size > MEMBER_LIMIT:
                raise _broken(path, f"{name} has {size >> 20} MB")
            stanza = _control_file(file.read(size), name, path)
    parts = [name for name in names[1:] if not name.startswith("_")]
    if [part.split(".tar")[0] for part in parts] != ["control", "data"]:
        raise _broken(
            path, f"its members are {', '.join(names)}, not debian-binary, control.tar and data.tar"
        )
    return stanza


def _control_file(packed: bytes, name: str, path: Path) -> str:
    plain = _unpacked(packed, name, path)
    if len(plain) > MEMBER_LIMIT:
        raise _broken(path, f"{name} unpacks to more than {MEMBER_LIMIT >> 20} MB")
    found: list[str] = []
    with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as tar:
        for entry in tar:
            if entry.name.removeprefix("./") != "control":
                continue
            member = tar.extractfile(entry) if entry.isfile() else None
            if member is None or entry.size > CONTROL_LIMIT:
                raise _broken(path, f"its control file is no file or larger than {CONTROL_LIMIT >> 20} MB")
            found.append(_text(member.read(), path))
    if len(found) != 1:
        raise _broken(path, f"{name} holds {len(found)} control files")
    return found[0].rstrip("\n")


def _text(data: bytes, path: Path) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _broken(path, f"its control file is not UTF-8 at byte {error.start}") from error
    if "\r" in text or "\0" in text:
        raise _broken(path, "its control file has carriage returns or NUL bytes")
    return text


def _unpacked(packed: bytes, name: str, path: Path) -> bytes:
    """What a member unpacks to, up to one byte more than the limit."""
    raw = io.BytesIO(packed)
    match name.removeprefix("control.tar"):
        case "":
            return packed
        case ".gz":
            return gzip.GzipFile(fileobj=raw).read(MEMBER_LIMIT + 1)
        case ".xz":
            return lzma.LZMAFile(raw).read(MEMBER_LIMIT + 1)
        case ".zst":
            return _unpacked_zst(raw)
    raise _broken(path, f"{name} is compressed in a way that dpkg does not know")


def _unpacked_zst(raw: io.BytesIO) -> bytes:
    import zstandard  # few packages need it, and it takes 26 ms to load

    try:
        return zstandard.ZstdDecompressor().stream_reader(raw).read(MEMBER_LIMIT + 1)
    except zstandard.ZstdError as error:
        raise EOFError(str(error)) from error


def _check_fields(fields: Mapping[str, str], path: Path) -> None:
    """Hold the fields that become part of paths and indices to policy 5.6."""
    rules = {"Package": NAME, "Version": VERSION, "Architecture": ARCHITECTURE, "Source": SOURCE}
    for field, rule in rules.items():
        value = fields.get(field)
        if value is None and field == "Source":
            continue
        if value is None:
            raise _broken(path, f"its control file has no {field}")
        if rule.fullmatch(value) is None:
            raise _broken(path, f"{field} {value[:80]!r} is not allowed (Debian policy 5.6)")


def _broken(path: Path, reason: str) -> CheckFailed:
    return CheckFailed(f"{path} is no whole .deb: {reason}", hint="build or fetch the file again")
