# SPDX-License-Identifier: Apache-2.0
"""A forge of .debs, byte by byte: whole ones, and those that no tool would make."""

import gzip
import lzma
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import zstandard

CONTROL = b"""Package: forged
Version: 1.0-1
Architecture: all
Maintainer: Test <test@example.org>
Description: package of a test
"""
VERSION = b"2.0\n"
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda plain: gzip.compress(plain, mtime=0),
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}
"""How a member may be compressed (deb(5))."""

Part = tuple[str, bytes]


def entry(
    name: str, content: bytes = b"", *, kind: bytes = tarfile.REGTYPE, link: str = "", size: int | None = None
) -> bytes:
    """An entry of a tar archive, padded; `size` is what its header says if that is not true."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = len(content) if size is None else size
    return info.tobuf(tarfile.GNU_FORMAT, errors="surrogateescape") + content + bytes(-len(content) % 512)


def tar(*entries: bytes, end: bytes = bytes(1024)) -> bytes:
    """A tar archive."""
    return b"".join(entries) + end


def control_tar(control: bytes = CONTROL, *more: bytes) -> bytes:
    """The control archive."""
    return tar(entry("./", kind=tarfile.DIRTYPE), entry("./control", control), *more)


def data_tar(*entries: bytes) -> bytes:
    """The data archive, with one good file besides what is given."""
    return tar(
        entry("./", kind=tarfile.DIRTYPE),
        entry("./usr/", kind=tarfile.DIRTYPE),
        entry("./usr/good", b"good\n"),
        *entries,
    )


def member(name: str, content: bytes, *, size: int | None = None) -> bytes:
    """A member of an ar archive, padded (ar(5))."""
    said = len(content) if size is None else size
    header = struct.pack(
        "16s12s6s6s8s10s2s",
        *(text.ljust(16).encode() for text in (name, "0", "0", "0", "100644", str(said))),
        b"`\n",
    )
    return header + content + b"\n" * (len(content) % 2)


def ar(*members: Part) -> bytes:
    """An ar archive."""
    return b"!<arch>\n" + b"".join(member(name, content) for name, content in members)


def parts(*, control: bytes = b"", data: bytes = b"", suffix: str = ".gz") -> tuple[Part, Part, Part]:
    """The members of a .deb: of a whole one, but for the plain archives that are given."""
    pack = PACKERS[suffix]
    return (
        ("debian-binary", VERSION),
        (f"control.tar{suffix}", pack(control or control_tar())),
        (f"data.tar{suffix}", pack(data or data_tar())),
    )


def deb(*, control: bytes = b"", data: bytes = b"", suffix: str = ".gz") -> bytes:
    """A .deb: a whole one, but for the plain archives that are given."""
    return ar(*parts(control=control, data=data, suffix=suffix))


def boundaries(archive: bytes) -> list[int]:
    """Where the headers and the contents of an ar archive's members begin and end."""
    at, found = 8, [0, 8]
    while at < len(archive):
        size = int(archive[at + 48 : at + 58])
        found += [at + 60, at + 60 + size]
        at += 60 + size + size % 2
    return sorted({*found, at})


def zst_bomb(head: bytes, size: int) -> bytes:
    """A zstd frame of some bytes and then zeros, which stand in it as four bytes for 128 KiB (RFC 8878, 3.1.1)."""
    block = 128 << 10

    def header(kind: int, length: int, *, last: bool = False) -> bytes:
        return (length << 3 | kind << 1 | last).to_bytes(3, "little")

    raw = header(0, len(head)) + head
    zeros = (header(1, block) + b"\0") * (size // block)
    return b"\x28\xb5\x2f\xfd\x00\x58" + raw + zeros + header(0, 0, last=True)


def write(folder: Path, content: bytes, name: str = "forged.deb") -> Path:
    """Put it into a file."""
    path = folder / name
    path.write_bytes(content)
    return path
