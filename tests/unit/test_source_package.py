# SPDX-License-Identifier: Apache-2.0
"""A .dsc, .changes or .buildinfo that no tool would write is refused, by its name and with the reason."""

import contextlib
import hashlib
import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bigtop_builder.artifact import read_debs
from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.repository.index.sources import parse_sources, source_stanza
from bigtop_builder.source_package import read_dsc, read_record, sort_out
from debian_source import write_record, write_source

if TYPE_CHECKING:
    from collections.abc import Callable

PART = b"an upstream tarball\n"


def dsc(folder: Path, *, name: str = "emu", version: str = "1.0-1", part: str = "", extra: str = "") -> Path:
    """A .dsc with one part."""
    part = part or f"{name}_1.0.orig.tar.gz"
    if "/" not in part:
        (folder / part).write_bytes(PART)
    md5, sha256 = hashlib.md5(PART).hexdigest(), hashlib.sha256(PART).hexdigest()  # noqa: S324  # the format's
    path = folder / "emu_1.0-1.dsc"
    path.write_text(
        f"Format: 3.0 (quilt)\nSource: {name}\nVersion: {version}\nChecksums-Sha256:\n"
        f" {sha256} {len(PART)} {part}\n{extra}Files:\n {md5} {len(PART)} {part}\n"
    )
    return path


def test_a_source_package_is_in_the_index_as_it_is_read_back(tmp_path: Path) -> None:
    source = read_dsc(write_source(tmp_path, "libemu", "1:1.0-1"))
    stanza = source_stanza(source, "main")
    assert stanza.filename == "pool/main/libe/libemu/libemu_1.0-1.dsc"
    assert stanza.key == ("libemu", "1:1.0-1", "source")
    assert list(parse_sources(stanza.text + "\n")) == [stanza]
    assert [file.filename.rpartition("/")[2] for file in stanza.files] == [
        "libemu_1.0-1.dsc",
        "libemu_1.0.orig.tar.gz",
        "libemu_1.0-1.debian.tar.xz",
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "../emu"}, "Source '../emu' is not allowed"),
        ({"version": "1/0"}, "Version '1/0' is not allowed"),
        ({"part": "../../emu_1.0.orig.tar.gz"}, "has the line"),
        ({"part": "emu_1.0-1_amd64.deb"}, "is no name of a file of source package emu"),
        ({"part": "other_1.0.orig.tar.gz"}, "is no name of a file of source package emu"),
        ({"part": "emu_1.0-1.dsc"}, "is no name of a file of source package emu"),
        ({"extra": "Checksums-Sha1:\n"}, "name the same files"),
        ({"extra": "Version: 2\n"}, "gives Version a second time"),
        ({"extra": "X-Bell: \a\n"}, "has the character U+0007"),
        ({"extra": "\nSource: other\n"}, "is no field"),
    ],
)
def test_a_hostile_dsc_is_refused(tmp_path: Path, changes: dict[str, str], reason: str) -> None:
    with pytest.raises(CheckFailed) as caught:
        read_dsc(dsc(tmp_path, **changes))
    assert "emu_1.0-1.dsc" in caught.value.brief
    assert reason in caught.value.brief


def test_a_good_one_of_the_same_kind_is_taken(tmp_path: Path) -> None:
    assert read_dsc(dsc(tmp_path)).parts[0].sha256 == hashlib.sha256(PART).hexdigest()


def test_every_hash_counts_not_only_sha256(tmp_path: Path) -> None:
    path = dsc(tmp_path)
    md5 = hashlib.md5(PART).hexdigest()  # noqa: S324  # the format's
    path.write_text(path.read_text().replace(md5, "0" * 32))
    with pytest.raises(CheckFailed, match=r"is not the file that emu_1\.0-1\.dsc names: md5"):
        read_dsc(path)


def test_a_dsc_that_is_no_text_or_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "emu_1.0-1.dsc"
    path.write_bytes(b"Source: \xff\n")
    with pytest.raises(CheckFailed, match="is not UTF-8 at byte 8"):
        read_dsc(path)
    path.write_bytes(b"a" * (9 << 20))
    with pytest.raises(CheckFailed, match="is larger than 8 MiB"):
        read_dsc(path)
    path.write_bytes(b"-----BEGIN PGP SIGNED MESSAGE-----\n\ncut off")
    with pytest.raises(CheckFailed):
        read_dsc(path)


def test_a_changes_brings_in_what_it_names_and_says_what_is_missing(tmp_path: Path) -> None:
    source = write_source(tmp_path, "emu", "1.0-1")
    info = write_record(tmp_path / "emu.buildinfo", [])
    deb = tmp_path / "emu_1.0-1_all.deb"
    deb.write_bytes(b"deb")
    changes = write_record(tmp_path / "emu.changes", [source, info, deb, tmp_path / "emu_1.0.orig.tar.gz"])
    debs, beside = sort_out([changes])
    assert debs == [deb]
    assert [one.path for one in beside.sources] == [source]
    assert [one.path for one in beside.records] == [changes, info]
    assert beside.records[0].files[deb.name] == (hashlib.sha256(b"deb").hexdigest(), 3)
    deb.unlink()
    with pytest.raises(InputError, match=r"emu_1.0-1_all.deb, which emu.changes names, does not exist"):
        sort_out([changes])


def test_a_record_without_checksums_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "emu.changes"
    path.write_text("Format: 1.8\nSource: emu\n")
    with pytest.raises(CheckFailed, match="has no Checksums-Sha256"):
        read_record(path)


@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "folder"])
@pytest.mark.parametrize("which", ["part", "dsc", "changes", "named", "deb"])
def test_what_has_no_end_is_refused_and_never_waited_for(tmp_path: Path, kind: str, which: str) -> None:
    path = dsc(tmp_path)
    record = write_record(tmp_path / "emu_1.0-1_amd64.changes", [path])
    place = {
        "part": tmp_path / "emu_1.0.orig.tar.gz",
        "dsc": path,
        "changes": record,
        "named": path,
        "deb": tmp_path / "emu_1.deb",
    }[which]
    place.unlink(missing_ok=True)
    put(kind, place)
    read: Callable[[], object] = {
        "part": lambda: read_dsc(path),
        "dsc": lambda: read_dsc(path),
        "changes": lambda: read_record(record),
        "named": lambda: sort_out([record]),
        "deb": lambda: read_debs([place]),
    }[which]
    with pytest.raises(CheckFailed, match=f"{re.escape(str(place))}.* is no regular file"):
        read()


def put(kind: str, place: Path) -> None:
    """Make something at a place that is no file."""
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "device":
        place.symlink_to("/dev/zero")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as one, contextlib.chdir(place.parent):
            one.bind(place.name)
    else:
        place.mkdir()
