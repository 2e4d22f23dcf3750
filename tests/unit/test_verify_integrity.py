# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S311  # seeded noise, no secrets
"""Integrity: whole packages pass, and none that is cut, flipped or forged."""

import io
import lzma
import os
import random
import sys
import tarfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import zstandard

from bigtop_builder.run import run
from bigtop_builder.verify.integrity import check_integrity, inspect
from verify_debs import make_deb

COMPRESSIONS = ("gzip", "xz", "zstd", "none")
HEADER = 60
PLAIN: dict[str, Callable[[bytes], bytes]] = {
    ".gz": partial(zlib.decompress, wbits=31),
    ".xz": lzma.decompress,
    ".zst": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}


@pytest.fixture(params=["gzip", "xz", "zstd"])
def deb(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    noise = random.Random(7).randbytes(20_000)
    return make_deb(
        tmp_path,
        "whole",
        files={"usr/lib/whole/noise": noise, "usr/bin/whole": "#!/bin/sh\nexit 0\n"},
        conffiles={"etc/whole.conf": "a = 1\n"},
        links={"usr/bin/also": "whole", "etc/alternatives/x": "/usr/bin/whole"},
        scripts={"postinst": "true"},
        options=(f"-Z{request.param}",),
    )


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_package_is_whole_however_it_is_compressed(tmp_path: Path, compression: str) -> None:
    path = make_deb(tmp_path, "fine", conffiles={"etc/fine": "x\n"}, options=(f"-Z{compression}",))
    contents = inspect(path)
    assert contents.problems == []
    assert contents.files == {"usr/share/fine/data", "etc/fine"}
    assert contents.conffiles == ("etc/fine",)
    assert contents.unsummed == []


def test_a_package_with_nothing_in_it_is_whole(tmp_path: Path) -> None:
    assert check_integrity(make_deb(tmp_path, "meta", files={})) == []


def test_a_package_without_md5sums_is_whole_but_has_unsummed_files(tmp_path: Path) -> None:
    contents = inspect(make_deb(tmp_path, "bare", md5sums={}))
    assert contents.problems == []
    assert contents.unsummed == ["usr/share/bare/data"]


def test_a_file_cut_off_at_any_byte_is_found(deb: Path, tmp_path: Path) -> None:
    data = deb.read_bytes()
    edges = [*range(200), *range(len(data) - 200, len(data))]
    cut = tmp_path / "cut.deb"
    for length in sorted({*edges, *random.Random(1).sample(range(len(data)), 200)}):
        cut.write_bytes(data[:length])
        assert check_integrity(cut), f"cut to {length} of {len(data)} bytes"


def test_one_flipped_bit_is_found_unless_nothing_that_dpkg_reads_depends_on_it(
    deb: Path, tmp_path: Path
) -> None:
    data = deb.read_bytes()
    flipped = tmp_path / "flipped.deb"
    positions = {*range(8 * 300), *random.Random(2).sample(range(8 * len(data)), 600)}
    for position in sorted(positions):
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << position % 8
        flipped.write_bytes(damaged)
        if not check_integrity(flipped):
            assert _meaning(bytes(damaged)) == _meaning(data), f"bit {position} of {len(data) * 8}"


def _meaning(data: bytes) -> list[tuple[str, bytes]]:
    """Names and plain contents of the members: what dpkg works with."""
    members, at = [], 8
    while at < len(data):
        name, size = data[at : at + 16].decode().strip(), int(data[at + 48 : at + 58])
        members.append((name, PLAIN.get(Path(name).suffix, bytes)(data[at + HEADER : at + HEADER + size])))
        at += HEADER + size + size % 2
    return members


def test_bytes_after_the_end_are_found(deb: Path) -> None:
    deb.write_bytes(deb.read_bytes() + b"more")
    assert "no member header" in check_integrity(deb)[0]


def test_another_member_is_found(deb: Path, tmp_path: Path) -> None:
    (tmp_path / "extra").write_text("x")
    run(["ar", "r", deb, tmp_path / "extra"])
    assert "extra" in check_integrity(deb)[0]


def test_bytes_after_the_end_of_a_compressed_member_are_found(tmp_path: Path) -> None:
    path = make_deb(tmp_path, "tail", options=("-Zgzip",))
    run(["ar", "x", path], cwd=tmp_path)
    with (tmp_path / "data.tar.gz").open("ab") as file:
        file.write(b"tail")
    forged = _assemble(tmp_path, "debian-binary", "control.tar.gz", "data.tar.gz")
    assert check_integrity(forged) == ["data.tar.gz: bytes follow the end of the compressed stream"]


@pytest.mark.parametrize("compression", ["gzip", "xz", "zstd"])
def test_a_compressed_member_that_ends_early_is_found(tmp_path: Path, compression: str) -> None:
    path = make_deb(tmp_path, "early", options=(f"-Z{compression}",))
    run(["ar", "x", path], cwd=tmp_path)
    names = run(["ar", "t", path]).text.splitlines()
    data = tmp_path / names[2]
    data.write_bytes(data.read_bytes()[:-1])
    assert "ends before its end mark" in check_integrity(_assemble(tmp_path, *names))[0]


@pytest.mark.parametrize(
    "order",
    [
        ("control.tar.gz", "debian-binary", "data.tar.gz"),
        ("debian-binary", "data.tar.gz", "control.tar.gz"),
        ("debian-binary", "control.tar.gz"),
        ("debian-binary",),
    ],
)
def test_members_in_another_order_or_number_are_found(tmp_path: Path, order: tuple[str, ...]) -> None:
    run(["ar", "x", make_deb(tmp_path, "order")], cwd=tmp_path)
    assert "members are" in check_integrity(_assemble(tmp_path, *order))[0]


def test_another_format_version_is_found(tmp_path: Path) -> None:
    run(["ar", "x", make_deb(tmp_path, "older")], cwd=tmp_path)
    (tmp_path / "debian-binary").write_text("2.1\n")
    assert (
        "debian-binary"
        in check_integrity(_assemble(tmp_path, "debian-binary", "control.tar.gz", "data.tar.gz"))[0]
    )


def test_a_file_that_md5sums_describes_otherwise_is_found(tmp_path: Path) -> None:
    path = make_deb(tmp_path, "other", md5sums={"usr/share/other/data": "0" * 32, "usr/gone": "1" * 32})
    assert check_integrity(path) == [
        "usr/share/other/data is not what md5sums says",
        "usr/gone is in md5sums, but no regular file of data.tar",
    ]


def _regular(name: str) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = 1
    return member, b"x"


def _link(name: str, target: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ([_regular("/etc/passwd")], "leads out"),
        ([_regular("./usr/../../etc/passwd")], "leads out"),
        ([_link("./usr/x", "../../etc/passwd", tarfile.SYMTYPE)], "leads out"),
        ([_link("./usr/x", "./etc/passwd", tarfile.LNKTYPE)], "has no file before it"),
        ([_link("./usr", "/etc", tarfile.SYMTYPE), _regular("./usr/x")], "behind a symlink"),
        ([_regular("./usr/x"), _regular("./usr/x")], "there twice"),
        ([_link("./dev/null", "", tarfile.CHRTYPE)], "device"),
    ],
)
def test_what_would_write_elsewhere_is_found(
    tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]], problem: str
) -> None:
    path = _with_data(tmp_path, lambda tar: [tar.addfile(m, io.BytesIO(d)) for m, d in members])
    assert any(problem in said for said in check_integrity(path))


def test_hard_links_within_the_package_are_fine(tmp_path: Path) -> None:
    members = [_regular("./usr/x"), _link("./usr/y", "./usr/x", tarfile.LNKTYPE)]
    path = _with_data(tmp_path, lambda tar: [tar.addfile(m, io.BytesIO(d)) for m, d in members])
    assert check_integrity(path) == []


def test_a_tar_archive_without_its_end_is_found(tmp_path: Path) -> None:
    path = _with_data(tmp_path, lambda tar: tar.addfile(*_opened(_regular("./usr/x"))), end=1024)
    assert "damaged or cut off" in check_integrity(path)[0]


def test_a_file_that_is_no_package_is_told_and_not_raised(tmp_path: Path) -> None:
    path = tmp_path / "no.deb"
    path.write_bytes(b"no package\n")
    assert len(check_integrity(path)) == 1
    path.write_bytes(b"")
    assert len(check_integrity(path)) == 1
    assert len(check_integrity(tmp_path / "missing.deb")) == 1


@pytest.mark.parametrize("compression", ["gzip", "xz", "zstd"])
def test_memory_stays_bounded_whatever_the_size(tmp_path: Path, compression: str) -> None:
    big = tmp_path / "tree-big/usr/big"
    big.parent.mkdir(parents=True)
    with big.open("wb") as file:
        os.truncate(file.fileno(), 120 << 20)
    (tmp_path / "tree-big/DEBIAN").mkdir()
    (tmp_path / "tree-big/DEBIAN/control").write_text(
        "Package: big\nVersion: 1\nArchitecture: all\nMaintainer: T <t@example.org>\nDescription: big\n"
    )
    path = tmp_path / "big.deb"
    run(["dpkg-deb", f"-Z{compression}", "-z1", "-b", tmp_path / "tree-big", path])
    script = (
        "import sys, pathlib, bigtop_builder.verify.integrity as i;"
        "assert i.check_integrity(pathlib.Path(sys.argv[1])) == [];"
        "print(pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    kilobytes = int(run([sys.executable, "-c", script, path]).text)
    assert kilobytes < 100 << 10


def _opened(member: tuple[tarfile.TarInfo, bytes]) -> tuple[tarfile.TarInfo, io.BytesIO]:
    return member[0], io.BytesIO(member[1])


def _with_data(folder: Path, fill: Callable[[tarfile.TarFile], object], *, end: int = 0) -> Path:
    """A package with a data.tar of our making; `end` keeps only so many bytes of it."""
    run(["ar", "x", make_deb(folder, "forged", files={}, options=("-Znone",))], cwd=folder)
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        fill(tar)
    (folder / "data.tar").write_bytes(plain.getvalue()[: end or None])
    return _assemble(folder, "debian-binary", "control.tar", "data.tar")


def _assemble(folder: Path, *names: str) -> Path:
    forged = folder / "assembled.deb"
    forged.unlink(missing_ok=True)
    run(["ar", "rcD", forged, *(folder / name for name in names)])
    return forged
