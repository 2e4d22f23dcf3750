# SPDX-License-Identifier: Apache-2.0
"""Synthetic packages for benchmarks: written by this module itself, because dpkg-deb takes 10 ms for each."""

import gzip
import hashlib
import io
import lzma
import os
import tarfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

DAY = 1_700_000_000
"""Modification time of all members, seconds since 1970."""


def small(folder: Path, start: int, count: int) -> list[Path]:
    """Make packages of some 1.5 kB each, numbered from `start` on, and return them in order."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        numbers = range(start, start + count)
        return list(processes.map(partial(_small, folder), numbers, chunksize=500))


def large(folder: Path, count: int, size: int) -> list[Path]:
    """Make packages of `size` bytes of noise each."""
    folder.mkdir(parents=True, exist_ok=True)
    noise = os.urandom(size)
    data = lzma.compress(_tar({"usr/share/noise/noise": noise}), preset=0)
    sums = f"{hashlib.md5(noise, usedforsecurity=False).hexdigest()}  usr/share/noise/noise\n"
    return [_write(folder, f"large{number:03}", sums, ("data.tar.xz", data)) for number in range(count)]


def _small(folder: Path, number: int) -> Path:
    name = f"{'lib' if number % 3 else ''}{hashlib.sha256(b'%d' % number).hexdigest()[:8]}-{number}"
    text = f"{name}\n".encode()
    data = gzip.compress(_tar({f"usr/share/{name}": text}), 1, mtime=DAY)
    sums = f"{hashlib.md5(text, usedforsecurity=False).hexdigest()}  usr/share/{name}\n"
    return _write(folder, name, sums, ("data.tar.gz", data))


def _write(folder: Path, name: str, sums: str, data: tuple[str, bytes]) -> Path:
    control = (
        f"Package: {name}\nVersion: 1.{len(name)}.0-1+bt3.5.0.2~deb12\nArchitecture: amd64\n"
        "Maintainer: Benchmark <benchmark@example.org>\nInstalled-Size: 20\n"
        "Depends: libc6 (>= 2.36), adduser, lsb-base (>= 3.0-6), zlib1g (>= 1:1.2.0), python3:any\n"
        f"Section: misc\nPriority: optional\nHomepage: https://example.org/{name}\n"
        f"Description: package {name} of a benchmark\n"
        f" As long as descriptions are: {name} has some lines of text that say what\n"
        " it is for, whom it helps, and what else must be installed besides it.\n .\n"
        f" This package is number {name.rpartition('-')[2]}.\n"
    )
    packed = gzip.compress(_tar({"control": control.encode(), "md5sums": sums.encode()}), 6, mtime=DAY)
    path = folder / f"{name}_1_amd64.deb"
    with path.open("wb") as file:
        file.write(b"!<arch>\n")
        for member, content in (("debian-binary", b"2.0\n"), ("control.tar.gz", packed), data):
            file.write(f"{member:<16}{DAY:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode())
            file.write(content + b"\n" * (len(content) % 2))
    return path


def _tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for folder in dict.fromkeys(str(parent) for name in files for parent in reversed(Path(name).parents)):
            tar.addfile(_header("./" if folder == "." else f"./{folder}/", tarfile.DIRTYPE, 0o755))
        for name, content in files.items():
            header = _header(f"./{name}", tarfile.REGTYPE, 0o644)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return out.getvalue()


def _header(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.mode, header.mtime = kind, mode, DAY
    header.uname = header.gname = "root"
    return header
