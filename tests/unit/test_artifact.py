# SPDX-License-Identifier: Apache-2.0
"""What is taken from a .deb, and which files are refused with which reason."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from bigtop_builder.artifact import canonical, parse_control, read_deb
from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.run import run

CONTROL = """Package: hadoop-hdfs
Source: hadoop (3.3.6-1)
Version: 1:3.3.6-1+bt3.5.0.2~deb12
Architecture: amd64
Maintainer: Ann Bee <ann@bee.example>
pre-depends: adduser
Description: distributed file system
 Of several lines.
 .
 And a paragraph.
"""


def make_deb(folder: Path, control: str = CONTROL, *, compression: str = "xz") -> Path:
    root = folder / "root"
    (root / "DEBIAN").mkdir(parents=True, exist_ok=True)
    (root / "DEBIAN" / "control").write_text(control)
    (root / "usr" / "share").mkdir(parents=True, exist_ok=True)
    (root / "usr" / "share" / "thing").write_text("content\n")
    target = folder / "made.deb"
    run(["dpkg-deb", "--root-owner-group", f"-Z{compression}", "--build", root, target])
    return target


def control_tar(*files: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def ar(*members: tuple[str, bytes]) -> bytes:
    data = b"!<arch>\n"
    for name, content in members:
        data += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content
        data += b"\n" * (len(content) % 2)
    return data


def hand_made(path: Path, control: bytes) -> Path:
    tar = control_tar(("./control", control))
    path.write_bytes(ar(("debian-binary", b"2.0\n"), ("control.tar", tar), ("data.tar", control_tar())))
    return path


@pytest.mark.parametrize("compression", ["gzip", "xz", "zstd", "none"])
def test_reads_what_dpkg_deb_writes(tmp_path: Path, compression: str) -> None:
    path = make_deb(tmp_path, compression=compression)
    deb = read_deb(path)
    assert (deb.name, deb.version, deb.architecture) == ("hadoop-hdfs", "1:3.3.6-1+bt3.5.0.2~deb12", "amd64")
    assert deb.source == "hadoop"
    assert deb.control["Pre-Depends"] == "adduser"
    assert deb.control["Description"].splitlines()[1:] == [" Of several lines.", " .", " And a paragraph."]
    assert deb.stanza == CONTROL.rstrip("\n")
    assert deb.size == path.stat().st_size
    assert deb.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_package_without_source_field_is_its_own_source(tmp_path: Path) -> None:
    control = "".join(line for line in CONTROL.splitlines(keepends=True) if "Source" not in line)
    assert read_deb(make_deb(tmp_path, control)).source == "hadoop-hdfs"


def test_a_missing_file_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_deb(tmp_path / "none.deb")


def test_a_cut_at_any_place_is_found(tmp_path: Path) -> None:
    path = make_deb(tmp_path)
    whole = path.read_bytes()
    cut = tmp_path / "cut.deb"
    for length in range(0, len(whole) - 1, 7):
        cut.write_bytes(whole[:length])
        with pytest.raises(CheckFailed, match=r"cut\.deb is no whole \.deb"):
            read_deb(cut)


@pytest.mark.parametrize(
    ("control", "reason"),
    [
        (b"Package: ../../etc\nVersion: 1\nArchitecture: all\n", "Package '../../etc' is not allowed"),
        (b"Package: aa\nVersion: 1/2\nArchitecture: all\n", "Version '1/2' is not allowed"),
        (b"Package: aa\nVersion: 1:2-\nArchitecture: all\n", "Version '1:2-' is not allowed"),
        (b"Package: aa\nVersion: 1\nArchitecture: all/x\n", "Architecture 'all/x' is not allowed"),
        (b"Package: aa\nVersion: 1\nSource: a b c\nArchitecture: all\n", "Source 'a b c' is not allowed"),
        (b"Package: aa\nVersion: 1\n", "has no Architecture"),
        (b"Package: aa\nVersion: 1\n\nPackage: bb\n", "control line 3 is no field"),
        (b"Package: aa\nPackage: bb\n", "a second time"),
        (b"Package: \xff\nVersion: 1\n", "not UTF-8 at byte 9"),
        (b"Package: aa\nVersion: 1\nArchitecture: all\nX: " + b"x" * (1 << 20) + b"\n", "larger than 1 MiB"),
        (b"", "no newline at its end"),
    ],
)
def test_hostile_control_files_are_refused(tmp_path: Path, control: bytes, reason: str) -> None:
    with pytest.raises(CheckFailed) as caught:
        read_deb(hand_made(tmp_path / "hostile.deb", control))
    assert reason in caught.value.brief
    assert "hostile.deb" in caught.value.brief


def test_two_control_members_are_refused(tmp_path: Path) -> None:
    tar = control_tar(("control", CONTROL.encode()))
    path = tmp_path / "two.deb"
    path.write_bytes(
        ar(("debian-binary", b"2.0\n"), ("control.tar", tar), ("control.tar", tar), ("data.tar", b""))
    )
    with pytest.raises(
        CheckFailed, match=r"its members are debian-binary, control\.tar, control\.tar, data\.tar"
    ):
        read_deb(path)


def test_two_control_files_are_refused(tmp_path: Path) -> None:
    tar = control_tar(("./control", CONTROL.encode()), ("control", CONTROL.encode()))
    path = tmp_path / "two.deb"
    path.write_bytes(ar(("debian-binary", b"2.0\n"), ("control.tar", tar), ("data.tar", b"")))
    with pytest.raises(CheckFailed, match="holds control twice"):
        read_deb(path)


def test_a_bomb_in_the_control_member_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    bomb = run(["sh", "-c", "head -c 200000000 /dev/zero | gzip -9"]).stdout
    path = tmp_path / "bomb.deb"
    path.write_bytes(ar(("debian-binary", b"2.0\n"), ("control.tar.gz", bomb), ("data.tar", b"")))
    with pytest.raises(CheckFailed, match="unpacks to more than 32 MiB"):
        read_deb(path)


def test_signature_members_are_let_be(tmp_path: Path) -> None:
    path = make_deb(tmp_path)
    path.write_bytes(path.read_bytes() + ar(("_gpgorigin", b"sig\n"))[8:])
    assert read_deb(path).name == "hadoop-hdfs"


def test_field_names_have_one_spelling() -> None:
    assert canonical("PRE-depends") == "Pre-Depends"
    assert parse_control("package: a\nVERSION: 2", source="x") == {"Package": "a", "Version": "2"}
