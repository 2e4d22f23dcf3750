# SPDX-License-Identifier: Apache-2.0
"""Two builds of a package are held against each other bit by bit, and what differs is named."""

import io
import shutil
import zipfile
from pathlib import Path

import pytest

from bigtop_builder.errors import CheckFailed
from bigtop_builder.run import run
from bigtop_builder.verify.sameness import TOLD_OF_A_JAR, differences
from jar_forge import jar, package

FILES = {"usr/lib/a.jar": jar({"B.class": b"b"}), "usr/bin/a": b"#!/bin/sh\n"}


def pair(tmp_path: Path, files: dict[str, bytes]) -> list[str]:
    """What differs when the second build has these files."""
    for side in ("first", "second"):
        (tmp_path / side).mkdir()
    return differences(package(tmp_path / "first", FILES), package(tmp_path / "second", files))


def test_the_same_bytes_do_not_differ(tmp_path: Path) -> None:
    assert pair(tmp_path, FILES) == []


def test_files_that_one_build_alone_has_are_named(tmp_path: Path) -> None:
    found = pair(tmp_path, {"usr/lib/a.jar": FILES["usr/lib/a.jar"], "usr/bin/b": b""})
    assert "data: usr/bin/a: only the first build has it" in found
    assert "data: usr/bin/b: only the second build has it" in found


def test_content_that_differs_is_named(tmp_path: Path) -> None:
    assert "data: usr/bin/a: content" in pair(tmp_path, FILES | {"usr/bin/a": b"#!/bin/ash\n"})


def test_of_a_jar_the_entries_that_differ_are_named(tmp_path: Path) -> None:
    other = jar({"B.class": b"other", "C.class": b"c"})
    assert "data: usr/lib/a.jar: content (C.class only in one, B.class)" in pair(
        tmp_path, FILES | {"usr/lib/a.jar": other}
    )


def timed(year: int, entries: int, content: bytes = b"") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for number in range(entries):
            archive.writestr(zipfile.ZipInfo(f"{number:02}.class", (year, 1, 1, 0, 0, 0)), content)
        archive.writestr(zipfile.ZipInfo("Same.class", (year, 1, 1, 0, 0, 0)), b"")
    return made.getvalue()


@pytest.mark.parametrize(
    ("contents", "told"),
    [
        ((b"", b""), f"(time of {TOLD_OF_A_JAR + 4} files)"),
        (
            (b"a", b"b"),
            f"(time of 1 file, {', '.join(f'{number:02}.class' for number in range(TOLD_OF_A_JAR - 1))}, and 4 more)",
        ),
    ],
)
def test_of_a_jar_of_another_day_times_are_counted_and_not_all_contents_named(
    tmp_path: Path, contents: tuple[bytes, bytes], told: str
) -> None:
    for side, year, content in zip(("first", "second"), (2020, 2021), contents, strict=True):
        (tmp_path / side).mkdir()
        package(tmp_path / side, {"usr/a.jar": timed(year, TOLD_OF_A_JAR + 3, content)})
    (found,) = [
        line
        for line in differences(*(next((tmp_path / side).glob("*.deb")) for side in ("first", "second")))
        if "usr/a.jar" in line
    ]
    assert found == f"data: usr/a.jar: content {told}"


def test_a_jar_that_is_none_differs_all_the_same(tmp_path: Path) -> None:
    assert "data: usr/lib/a.jar: content" in pair(tmp_path, FILES | {"usr/lib/a.jar": b"rubbish"})


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["chmod", "0700", "usr/bin/a"], "data: usr/bin/a: mode 644 and 700"),
        (["touch", "-d", "@1600000000", "usr/bin/a"], "data: usr/bin/a: time 1700000000 and 1600000000"),
        (["ln", "-sf", "b", "usr/bin/a"], "data: usr/bin/a: kind file and symlink"),
    ],
)
def test_rights_times_and_kinds_are_compared(tmp_path: Path, command: list[str], said: str) -> None:
    for side in ("first", "second"):
        (tmp_path / side).mkdir()
    first = package(tmp_path / "first", FILES)
    package(tmp_path / "second", FILES)
    tree, second = tmp_path / "second/salute-1.0-1", tmp_path / "second/salute_1.0-1_all.deb"
    run(command, cwd=tree)
    run(
        ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", tree, second],
        env={"SOURCE_DATE_EPOCH": "1700000000"},
    )
    assert any(line.startswith(said) for line in differences(first, second))


def test_the_same_files_packed_differently_are_told_so(tmp_path: Path) -> None:
    first = package(tmp_path, FILES)
    shutil.copy(first, tmp_path / "first.deb")
    again = tmp_path / "salute-1.0-1"
    run(
        ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", again, tmp_path / "second.deb"],
        env={"SOURCE_DATE_EPOCH": "1700000000"},
    )
    (found,) = differences(tmp_path / "first.deb", tmp_path / "second.deb")
    assert found.startswith("the same files, packed differently")


def test_a_package_that_is_cut_off_is_named(tmp_path: Path) -> None:
    first = package(tmp_path, FILES)
    torn = tmp_path / "torn.deb"
    torn.write_bytes(first.read_bytes()[:-8])
    with pytest.raises(CheckFailed, match=r"torn\.deb is no whole \.deb: it is cut off"):
        differences(first, torn)
