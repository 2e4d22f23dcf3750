# SPDX-License-Identifier: Apache-2.0
"""Binary packages: what a .deb says of itself, read as a stream (deb(5), Debian policy 5)."""

import hashlib
import os
import re
import stat
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from bigtop_builder.cores import on_all_cores
from bigtop_builder.errors import CheckFailed, InputError, PublishError
from bigtop_builder.expand import CHUNK, BrokenStreamError, Window, expand
from bigtop_builder.tarball import Entry, Tarball

MAGIC = b"!<arch>\n"
HEADER = struct.Struct("16s12s6s6s8s10s2s")
"""Name, time, owner, group, mode, size and end mark of a member header (ar(5))."""
READABLE = "name files that this user may read, in folders that it may enter"
AGAIN = "build or fetch the file again"
FORMAT = b"2.0\n"
PARTS = ("debian-binary", "control.tar", "data.tar")
"""Members in their order (deb(5))."""
COMPRESSIONS = (".gz", ".xz", ".zst", "")
MEMBERS_LIMIT = 16
HEAD = 1 << 16
"""Bytes that are read at once: all of a small package, and what comes before data.tar of most."""
CONTROL_LIMIT = 1 << 20
"""Bytes of a control file: the longest in Debian has some 10 kB."""
MEMBER_LIMIT = 32 << 20
"""Bytes that a control member may unpack to: md5sums of large packages are there too."""
FILE_NAME_LIMIT = 255
"""Bytes of a file name on Linux (NAME_MAX in limits.h)."""

FIELD = re.compile(r"([!-9;-~]{2,}):[ \t]*(.*)")
NAME = re.compile(r"[a-z0-9][a-z0-9+.\-]+")
VERSION = re.compile(
    r"(?:[0-9]{1,9}:[0-9](?:[A-Za-z0-9.+~:\-]*-[A-Za-z0-9.+~]+|[A-Za-z0-9.+~:]*)"
    r"|[0-9](?:[A-Za-z0-9.+~\-]*-[A-Za-z0-9.+~]+|[A-Za-z0-9.+~]*))"
)
"""Policy 5.6.12, with at most nine digits of an epoch: dpkg keeps it in an int."""
ARCHITECTURE = re.compile(r"(?!(?:any|source|any-.*|.*-any)$)[a-z0-9][a-z0-9\-]*")
SOURCE = re.compile(rf"([a-z0-9][a-z0-9+.\-]+)(?: \((?:{VERSION.pattern})\))?")
RULES = {"Package": NAME, "Version": VERSION, "Architecture": ARCHITECTURE, "Source": SOURCE}

RELATION = (
    r"[A-Za-z0-9][A-Za-z0-9+._-]*(?::[a-z0-9][a-z0-9-]*)?\s*"
    rf"(?:\(\s*(?:(?:<<|<=|>=|>>|[<=>])\s*)?(?:{VERSION.pattern})\s*\)\s*)?"
)
ONE_OF_MANY = re.compile(rf"(?:{RELATION}(?:[,|]\s*{RELATION})*)?", re.ASCII)
ALL_OF_MANY = re.compile(rf"(?:{RELATION}(?:,\s*{RELATION})*)?", re.ASCII)
RELATIONS = dict.fromkeys(
    ("Depends", "Pre-Depends", "Recommends", "Suggests", "Enhances"), ONE_OF_MANY
) | dict.fromkeys(("Breaks", "Conflicts", "Provides", "Replaces"), ALL_OF_MANY)
"""Fields whose syntax dpkg insists on. apt gives up a whole repository for one that it cannot parse."""

MEMBER = re.compile(rb"[!-.0-~]+")
CONTROL_FILE = re.compile(r"(?:\./)?([A-Za-z0-9][A-Za-z0-9+._\-]*)")
EMPTY_END = re.compile(r"[^\s:]+:[ \t]*\n")
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")
"""What no control file has a use for, and what some program or other takes for the end of a line."""


@dataclass(slots=True)
class Member:
    """A tar archive in a .deb: its full name, its compression (as in `.xz`), where it begins, its bytes."""

    name: str
    suffix: str
    at: int
    size: int


@dataclass(frozen=True, kw_only=True)
class Deb:
    """One .deb file.

    Attributes:
        path: The file.
        control: Field -> value of the control file; names in the one spelling of `canonical`, values of
            several lines with their line breaks.
        stanza: Text of the control file, without newlines at its end.
        size: Bytes.
        sha256: Hash of the file; empty if it was not read yet: see `read_deb` and `whole`.
        copy: A copy that nobody else writes to, which `sha256` is of; None if there is none.
    """

    path: Path
    control: Mapping[str, str]
    stanza: str
    size: int
    sha256: str = ""
    copy: Path | None = None

    @property
    def content(self) -> Path:
        """Where its bytes are to be read."""
        return self.copy or self.path

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


@lru_cache(256)
def canonical(field: str) -> str:
    """The one spelling of a field name: `pre-depends` and `Pre-Depends` are the same field (policy 5.1)."""
    return "-".join(part.capitalize() for part in field.split("-"))


def read_deb(path: Path, *, hash_up_to: int | None = None) -> Deb:
    """Read a .deb: its members' frame, its control file and its hash.

    What `data.tar` holds is not looked at: that is `verify.integrity`'s work.

    Args:
        path: The file.
        hash_up_to: Leave the hash of a file with more bytes for later: who copies it hashes it on the way.

    Raises:
        InputError: There is no such file.
        CheckFailed: It is no whole .deb; file and reason are named.
    """
    try:
        with open_regular(path) as file:
            control, _ = frame(file)
            stanza = _stanza(file, control)
            fields = parse_control(stanza, source=str(path))
            _check_fields(fields)
            size = os.fstat(file.fileno()).st_size
            file.seek(0)
            sha256 = _sha256(file) if hash_up_to is None or size <= hash_up_to else ""
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except BrokenStreamError as error:
        raise CheckFailed(f"{path} is no whole .deb: {error}", hint=AGAIN) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", hint=READABLE) from error
    return Deb(path=path, control=fields, stanza=stanza, size=size, sha256=sha256)


def open_regular(path: Path, what: str = "") -> BinaryIO:
    """Open a file to be read: a pipe or a device may have no end, and is not even waited for.

    Args:
        path: The file.
        what: For the error, after the path: who names it.

    Raises:
        CheckFailed: It is no regular file.
        OSError: It cannot be opened.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise CheckFailed(
            f"{path}{what} is no regular file", hint="name a file, and no pipe, device or folder"
        )
    return path.open("rb", HEAD)


def read_debs(
    paths: Iterable[Path], *, hash_up_to: int | None = None, jobs: int | None = None
) -> tuple[Deb, ...]:
    """Read many .debs on all cores, and give them in the order of their paths.

    Args:
        paths: The files.
        hash_up_to: As for `read_deb`.
        jobs: At most so many at once; as many as there are cores if None.

    Raises:
        InputError: One cannot be read.
        CheckFailed: Some are no whole .debs; each is named with its reason.
    """
    debs: list[Deb] = []
    broken: list[CheckFailed] = []
    for read in on_all_cores(partial(_attempt, hash_up_to=hash_up_to), list(paths), jobs=jobs):
        if isinstance(read, Deb):
            debs.append(read)
        else:
            broken.append(read)
    if broken:
        details = "\n".join(error.brief for error in broken[1:])
        raise CheckFailed(broken[0].brief, details=details, hint=AGAIN)
    return tuple(debs)


def whole(debs: Sequence[Deb]) -> tuple[Deb, ...]:
    """The same with all their hashes, on all cores: each file without one is read again, control file and all.

    Raises:
        InputError: A file cannot be read any more.
        PublishError: One is not what was read of it before.
    """
    unread = [deb for deb in debs if not deb.sha256]
    found = (
        dict(zip([deb.path for deb in unread], on_all_cores(_again, unread), strict=True)) if unread else {}
    )
    return tuple(deb if deb.sha256 else replace(deb, sha256=found[deb.path]) for deb in debs)


def require_same(deb: Deb, file: Path, *, hash_up_to: int | None = None) -> Deb:
    """What a file holds, which must be the package that was read before.

    Raises:
        PublishError: It is not.
    """
    try:
        again = read_deb(file, hash_up_to=hash_up_to)
    except CheckFailed as error:
        raise changed(deb.path) from error
    if (again.stanza, again.size) != (deb.stanza, deb.size):
        raise changed(deb.path)
    return again


def changed(path: Path) -> PublishError:
    """The error that somebody writes to a file while it is being published."""
    return PublishError(
        f"{path} changed while it was being published",
        hint="run the command again when nothing writes to it any more",
    )


def _again(deb: Deb) -> str:
    return require_same(deb, deb.path).sha256


def _attempt(path: Path, *, hash_up_to: int | None) -> Deb | CheckFailed:
    try:
        return read_deb(path, hash_up_to=hash_up_to)
    except CheckFailed as error:
        return error


def parse_control(text: str, *, source: str) -> dict[str, str]:
    """Fields of one stanza, as dpkg takes them: no comment, no blank line, no field twice or of one letter.

    Raises:
        CheckFailed: The text is no single stanza; `source` and the line are named.
    """
    fields: dict[str, str] = {}
    name = ""
    for number, line in enumerate(text.split("\n"), 1):
        if line[:1] in {" ", "\t"} and name and line.strip(" \t"):
            fields[name] += "\n" + line
            continue
        found = FIELD.fullmatch(line)
        if found is None or found[1].startswith(("-", "#")):
            raise CheckFailed(f"{source}: control line {number} is no field: {line[:80]!r}")
        name = canonical(found[1])
        if name in fields:
            raise CheckFailed(f"{source}: control line {number} gives {name} a second time")
        fields[name] = found[2].rstrip(" \t")
    return fields


def frame(file: BinaryIO) -> tuple[Member, Member]:
    """Control and data member, after the whole ar archive was held to deb(5).

    Members whose names begin with `_` are let be, as deb(5) has it: signatures, say.

    Raises:
        BrokenStreamError: The archive is cut off, or no archive, or its members are not those of a .deb.
    """
    found = list(islice(_members(file), MEMBERS_LIMIT + 1))
    if len(found) > MEMBERS_LIMIT:
        raise BrokenStreamError(f"it has more than {MEMBERS_LIMIT} members")
    parts = [member for member in found if not member.name.startswith("_")]
    if [part.name.removesuffix(part.suffix) for part in parts] != list(PARTS) or parts[0].suffix:
        said = ", ".join(member.name for member in found)
        raise BrokenStreamError(f"its members are {said}, not debian-binary, control.tar, data.tar (deb(5))")
    version, control, data = parts
    for member in (control, data):
        if member.suffix not in COMPRESSIONS:
            raise BrokenStreamError(f"{member.name} is compressed as none of {', '.join(COMPRESSIONS)}")
    file.seek(version.at)
    if version.size != len(FORMAT) or file.read(len(FORMAT)) != FORMAT:
        raise BrokenStreamError(f"debian-binary does not say that the format is {FORMAT.decode().strip()}")
    return control, data


def control_files(control: Tarball) -> Iterator[tuple[str, Entry]]:
    """Names of the files in a control archive, and their entries.

    Raises:
        BrokenStreamError: The archive is damaged, has a name twice, or something besides plain files at its top
            (deb(5)).
    """
    seen = set()
    for entry in control:
        if entry.kind == "folder" and entry.name in {".", "./"}:
            continue
        named = CONTROL_FILE.fullmatch(entry.name)
        if named is None or entry.kind != "file":
            raise BrokenStreamError(f"{entry.name!r} ({entry.kind}) is no plain file at its top")
        if named[1] in seen:
            raise BrokenStreamError(f"it holds {named[1]} twice")
        seen.add(named[1])
        yield named[1], entry


def _members(file: BinaryIO) -> Iterator[Member]:
    """Members of an ar archive that fill the file to its last byte."""
    end = os.fstat(file.fileno()).st_size
    if file.read(len(MAGIC)) != MAGIC:
        raise BrokenStreamError("it is no ar archive" if end else "it is empty")
    at = len(MAGIC)
    while at < end:
        file.seek(at)
        name, size = _header(file.read(HEADER.size), at)
        at += HEADER.size
        yield Member(name, name.partition(".tar")[2], at, size)
        at += size
        if at + size % 2 > end:
            raise BrokenStreamError(f"it is cut off: {at + size % 2 - end} bytes are missing")
        if size % 2:
            file.seek(at)
            if file.read(1) != b"\n":
                raise BrokenStreamError(f"the padding after {name} is wrong")
            at += 1


def _header(header: bytes, at: int) -> tuple[str, int]:
    """Name and size in a member header; dpkg takes some slack in the other columns, which no tool makes."""
    if len(header) == HEADER.size:
        name, *numbers, mark = HEADER.unpack(header)
        name = name.rstrip(b" ").removesuffix(b"/")
        if mark == b"`\n" and MEMBER.fullmatch(name) and all(n.rstrip(b" ").isdigit() for n in numbers):
            return name.decode(), int(numbers[-1])
    raise BrokenStreamError(f"it has no member header at byte {at}: it is cut off, or damaged there")


def _stanza(file: BinaryIO, control: Member) -> str:
    file.seek(control.at)
    pieces = expand(Window(file, control.size), control.suffix, limit=MEMBER_LIMIT)
    try:
        found = list(_control_texts(Tarball(pieces)))
        if not found:
            raise BrokenStreamError("it holds no control file")  # noqa: TRY301  # named as all others are, below
        return _text(found[0])
    except BrokenStreamError as error:
        raise BrokenStreamError(f"{control.name}: {error}") from error


def _control_texts(tar: Tarball) -> Iterator[bytes]:
    for name, entry in control_files(tar):
        if name == "control":
            if entry.size > CONTROL_LIMIT:
                raise BrokenStreamError(f"the control file is larger than {CONTROL_LIMIT >> 20} MiB")
            yield tar.read()


def _text(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise BrokenStreamError(f"the control file is not UTF-8 at byte {error.start}") from error
    if found := UNPRINTABLE.search(text):
        raise BrokenStreamError(f"the control file has the character U+{ord(found[0]):04X}")
    if not text.endswith("\n"):
        raise BrokenStreamError("the control file has no newline at its end, without which dpkg refuses it")
    if EMPTY_END.fullmatch(text[text.rfind("\n", 0, -1) + 1 :]):
        raise BrokenStreamError("the control file ends with an empty field, at which dpkg refuses it")
    return text.strip("\n")


def _check_fields(fields: Mapping[str, str]) -> None:
    """Hold the fields that become part of paths and indices to policy 5.6."""
    for field, rule in RULES.items():
        value = fields.get(field)
        if value is None and field == "Source":
            continue
        if not value:
            raise BrokenStreamError(f"its control file has no {field}")
        if rule.fullmatch(value) is None:
            raise BrokenStreamError(f"{field} {value[:80]!r} is not allowed (Debian policy 5.6)")
    for field, rule in RELATIONS.items():
        if rule.fullmatch(fields.get(field, "")) is None:
            said = " ".join(fields[field].split())
            raise BrokenStreamError(f"{field} {said[:80]!r} is no list of packages (Debian policy 7.1)")
    length = len(fields["Package"]) + len(fields["Version"]) + len(fields["Architecture"]) + len("__.deb")
    if length > FILE_NAME_LIMIT:
        raise BrokenStreamError(f"its name, version and architecture make a file name of {length} bytes")


def _sha256(file: BinaryIO) -> str:
    """Hash of a file from where it stands."""
    digest = hashlib.sha256()
    piece = file.read(HEAD)
    while piece:
        digest.update(piece)
        piece = file.read(CHUNK)
    return digest.hexdigest()
