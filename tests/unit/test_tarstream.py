# SPDX-License-Identifier: Apache-2.0
"""Tar streams into and out of rooms."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from bigtop_builder.errors import BuilderError
from bigtop_builder.run import run
from bigtop_builder.tarstream import CHUNK, pack, unpack


def _tar(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    stream.seek(0)
    return stream


def _member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def test_what_is_packed_is_what_is_unpacked(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "deep/er").mkdir(parents=True)
    target.mkdir()
    (source / "deep/program").write_bytes(b"#!/bin/sh\n")
    (source / "deep/program").chmod(0o755)
    (source / "deep/er/link").symlink_to("../program")
    long = "n" * 200
    unpack(pack({"tree": source, f"notes/{long}": b"text", "empty": b""}), target)
    assert (target / "tree/deep/program").stat().st_mode & 0o777 == 0o755
    assert (target / "tree/deep/er/link").read_bytes() == b"#!/bin/sh\n"
    assert (target / f"notes/{long}").read_bytes() == b"text"
    assert (target / "empty").read_bytes() == b""


def test_gnu_tar_reads_what_is_packed(tmp_path: Path) -> None:
    archive = tmp_path / "archive.tar"
    archive.write_bytes(b"".join(pack({"a/b": b"x" * 1000, "c": Path("/etc/hostname")})))
    listed = run(["tar", "--list", "--file", archive, "--numeric-owner", "--verbose"]).text.splitlines()
    assert [line.split()[1] for line in listed] == ["0/0"] * 2


def test_a_large_file_is_packed_piece_by_piece(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(50 * CHUNK)
    assert max(map(len, pack({"large": large}))) == CHUNK


def test_what_is_unpacked_is_this_users_own_without_set_user_id_bits(tmp_path: Path) -> None:
    member, content = _member("program")
    member.mode, member.uid, member.gid = 0o6755, 4711, 4711
    unpack(_tar((member, content)), tmp_path)
    found = (tmp_path / "program").stat()
    assert (found.st_uid, found.st_mode & 0o7777) == (os.getuid(), 0o755)


@pytest.mark.parametrize(
    "members",
    [
        [_member("../out")],
        [_member("/etc/out")],
        [_member("a/../../out")],
        [_member("..")],
        [_member("link", tarfile.SYMTYPE, "/etc")],
        [_member("a/link", tarfile.SYMTYPE, "../../out")],
        [_member("hard", tarfile.LNKTYPE, "../out")],
        [
            _member("a/b/up", tarfile.SYMTYPE, "../.."),
            _member("x", tarfile.SYMTYPE, "a/b/up/.."),
            _member("x/out"),
        ],
    ],
)
def test_a_member_that_leads_out_of_the_folder_is_refused(
    members: list[tuple[tarfile.TarInfo, bytes]], tmp_path: Path
) -> None:
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(BuilderError, match="leads out of its folder"):
        unpack(_tar(*members), into)
    assert list(tmp_path.iterdir()) == [into]


def test_a_device_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuilderError, match="is no file, folder or link"):
        unpack(_tar(_member("null", tarfile.CHRTYPE)), tmp_path)


@pytest.mark.parametrize("kept", [0, 100, 700, 5000])
def test_a_stream_that_is_cut_off_is_an_error(kept: int, tmp_path: Path) -> None:
    whole = b"".join(pack({"file": b"x" * 10_000}))
    with pytest.raises(BuilderError, match="is broken"):
        unpack([whole[:kept]], tmp_path)
