# SPDX-License-Identifier: Apache-2.0
"""What dpkg knows and what lies on the disk, whole and damaged, held to the manifest."""

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.fleet.verify_host.contents import Contents
from bigtop_builder.fleet.verify_host.dpkg import Installed, dpkg_status, sum_of
from bigtop_builder.fleet.verify_host.finding import Finding, Unable
from bigtop_builder.fleet.verify_host.release import Release
from bigtop_builder.fleet.verify_host.root import Root, shown
from host_files import host

STATUS = """Package: tool
Status: install ok installed
Maintainer: Ann Bee <ann@bee.example>
Architecture: all
Source: tools (1.0)
Version: 1.0-1
Conffiles:
 /etc/tool/a b.conf 0123456789abcdef0123456789abcdef
 /etc/tool/old.conf 0123456789abcdef0123456789abcdef obsolete
Description: tool
 of a test

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 0.9-1

"""


def test_what_dpkg_knows_is_read(tmp_path: Path) -> None:
    tool, gone = dpkg_status(host(tmp_path, {"var/lib/dpkg/status": STATUS}))
    assert tool == Installed(
        name="tool",
        version="1.0-1",
        architecture="all",
        status="install ok installed",
        source="tools",
        maintainer="Ann Bee <ann@bee.example>",
        conffiles={"/etc/tool/a b.conf": "0123456789abcdef0123456789abcdef"},
        obsolete=("/etc/tool/old.conf",),
    )
    assert (tool.present, gone.present) == (True, False)


def test_a_status_that_is_cut_off_is_refused_but_between_two_packages(tmp_path: Path) -> None:
    for at in range(len(STATUS)):
        root = host(tmp_path, {"var/lib/dpkg/status": STATUS[:at]})
        if STATUS[:at].endswith("\n\n"):
            assert len(dpkg_status(root)) == 1
            continue
        with pytest.raises(Unable, match="is cut off") as refused:
            dpkg_status(root)
        assert (refused.value.status, bool(refused.value.way_out)) == (3, True)


@given(data=st.binary(max_size=60), at=st.integers(0, len(STATUS)))
def test_a_damaged_status_is_read_or_refused(tmp_path_factory: Any, data: bytes, at: int) -> None:
    text = STATUS.encode()
    root = host(tmp_path_factory.mktemp("root"), {"var/lib/dpkg/status": text[:at] + data + text[at:]})
    with suppress(Unable):
        dpkg_status(root)


def test_names_with_line_feeds_and_backslashes_are_as_md5sum_writes_them() -> None:
    assert sum_of("0123  usr/a  b") == ("/usr/a  b", "0123")
    assert sum_of("\\0123  usr/a\\nb\\\\c") == ("/usr/a\nb\\c", "0123")


def package(name: str = "tool", version: str = "1.0-1", **conffiles: str) -> Installed:
    return Installed(name, version, "all", "install ok installed", name, "", conffiles, ())


def entry(name: str = "tool", version: str = "1.0-1", **conffiles: str) -> dict[str, Any]:
    hashes: dict[str, Any] = {"md5sums": "0" * 64, "scripts": {}, "conffiles": conffiles}
    return {"name": name, "version": version, "architecture": "all", **hashes}


def findings(root: Root, installed: Installed, known: dict[str, Any]) -> list[Finding]:
    release = Release({"origin": "Test", "packages": [known]}, "", "")
    return list(Contents(root, release, quick=False).findings([installed]))


def levels(root: Root, installed: Installed, known: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(one.check, one.subject, one.level) for one in findings(root, installed, known)}


INFO = "var/lib/dpkg/info"


@given(data=st.binary(max_size=200))
def test_damaged_md5sums_are_another_build_and_end_nothing(tmp_path_factory: Any, data: bytes) -> None:
    root = host(tmp_path_factory.mktemp("root"), {f"{INFO}/tool.md5sums": data, "usr/tool": "x"})
    assert ("package", "tool", "error") in levels(root, package(), entry())


@given(data=st.binary(max_size=200))
def test_a_damaged_list_of_files_ends_nothing(tmp_path_factory: Any, data: bytes) -> None:
    root = host(tmp_path_factory.mktemp("root"), {f"{INFO}/tool.list": b"/usr\n" + data})
    assert ("file", "tool", "error") in levels(root, package(), entry())


def test_newer_keys_than_the_releases_are_told_and_pass(tmp_path: Path) -> None:
    for name, level in {"test-archive-keyring": "note", "tool": "error"}.items():
        root = host(tmp_path, {f"{INFO}/{name}.list": "/.\n"})
        assert levels(root, package(name, "2"), entry(name, "1")) == {("package", name, level)}


CONF = "/etc/tool.conf"
MD5 = "0cc175b9c0f1b6a831c399e269772661"


def configured(folder: Path, name: str = CONF, sums: str = "") -> tuple[Root, Installed, dict[str, Any]]:
    """A package with a conffile, shipped with the content `a`."""
    files = {f"{INFO}/tool.md5sums": sums, f"{INFO}/tool.list": f"/.\n/etc\n{name}\n"}
    known = {**entry(**{shown(name): MD5}), "md5sums": sha256(sums.encode()).hexdigest()}
    return host(folder, {**files, "etc/x": ""}), package(**{name: MD5}), known


def test_an_altered_conffile_that_md5sums_has_too_is_told_and_passes(tmp_path: Path) -> None:
    case = configured(tmp_path, sums=f"{MD5}  {CONF[1:]}\n")
    (tmp_path / CONF[1:]).write_text("b")
    assert levels(*case) == {("conffile", "tool", "note")}
    (tmp_path / CONF[1:]).unlink()
    assert levels(*case) == {("conffile", "tool", "note")}
    (tmp_path / CONF[1:]).write_text("a")
    assert levels(*case) == set()


def test_a_conffile_that_is_a_fifo_or_a_folder_keeps_nobody_waiting(tmp_path: Path) -> None:
    case = configured(tmp_path)
    os.mkfifo(tmp_path / CONF[1:])
    (found,) = findings(*case)
    assert (found.level, found.detail) == ("note", f"{CONF} is no regular file any more")
    (tmp_path / CONF[1:]).unlink()
    (tmp_path / CONF[1:]).mkdir()
    assert levels(*case) == {("conffile", "tool", "note")}


def test_a_conffile_that_cannot_be_read_keeps_the_host_from_passing(tmp_path: Path) -> None:
    case = configured(tmp_path)
    (tmp_path / CONF[1:]).symlink_to("tool.conf")  # root may read everything else
    assert levels(*case) == {("unreadable", "tool", "error")}


def test_a_name_that_is_no_utf8_is_compared_and_told_escaped(tmp_path: Path) -> None:
    name = b"/etc/na\xefve".decode(errors="surrogateescape")
    root, installed, known = configured(tmp_path, name)
    assert list(known["conffiles"]) == ["/etc/na\\xefve"]
    (tmp_path / "etc" / os.fsdecode(b"na\xefve")).write_text("a")
    assert findings(root, installed, known) == []
    (tmp_path / "etc" / os.fsdecode(b"na\xefve")).unlink()
    (found,) = findings(root, installed, known)
    assert shown(found.detail) == "/etc/na\\xefve is deleted"


def test_what_a_host_loses_with_a_reboot_is_not_missed(tmp_path: Path) -> None:
    paths = "/.\n/usr\n/var\n/var/run\n/var/run/tool\n/run/tool\n/var/cache/tool\n"
    root = host(tmp_path, {f"{INFO}/tool.list": paths, f"{INFO}/tool.md5sums": "", "usr/x": "", "var/x": ""})
    (tmp_path / "var/run").symlink_to("/run")
    known = {**entry(), "md5sums": sha256(b"").hexdigest()}
    assert findings(root, package(), known) == []
    (tmp_path / "usr").rename(tmp_path / "usr.old")
    assert [one.detail for one in findings(root, package(), known)] == ["/usr is missing"]


def test_what_lies_below_a_folder_that_is_a_file_now_is_missing(tmp_path: Path) -> None:
    sums = f"{MD5}  usr/tool/data\n"
    listed = "/.\n/usr\n/usr/tool\n/usr/tool/data\n"
    root = host(tmp_path, {f"{INFO}/tool.list": listed, f"{INFO}/tool.md5sums": sums, "usr/tool": ""})
    known = {**entry(), "md5sums": sha256(sums.encode()).hexdigest()}
    assert [one.detail for one in findings(root, package(), known)] == ["/usr/tool/data is missing"]
