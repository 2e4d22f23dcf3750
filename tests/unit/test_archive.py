# SPDX-License-Identifier: Apache-2.0
"""Archives: what is refused, what is kept, and that equal contents give equal bytes."""

import hashlib
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from bigtop_builder.archive import read_folder, repack
from bigtop_builder.contents import Contents, Form
from bigtop_builder.errors import SourceError
from bigtop_builder.hashes import hash_of
from bigtop_builder.run import run

FILES = {
    "configure": (b"#!/bin/sh\n", 0o755),
    "README": (b"read me\n", 0o644),
    "src/main.c": (b"int main;\n", 0o600),
    "src/" + "deep/" * 30 + "long-name.txt": (b"x" * 70000, 0o664),
    "\u00e4\u00f6.txt": (b"", 0o640),
}
FORMS: tuple[Form, ...] = ("tar", "tar.gz", "zip")


def make_tar(
    path: Path, files: Iterable[tuple[str, tuple[bytes, int]]], *, mode: str, top: str, mtime: int
) -> Path:
    with tarfile.open(path, mode) as tar:
        for name, (data, bits) in files:
            info = tarfile.TarInfo(f"{top}{name}")
            info.size, info.mode, info.mtime = len(data), bits, mtime
            info.uid, info.uname = mtime % 1000, "someone"
            tar.addfile(info, io.BytesIO(data))
    return path


def make_zip(path: Path, files: Iterable[tuple[str, tuple[bytes, int]]], *, top: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (data, bits) in files:
            info = zipfile.ZipInfo(f"{top}{name}", date_time=(2011, 1, 1, 1, 1, 2))
            info.create_system, info.external_attr = 3, (stat.S_IFREG | bits) << 16
            archive.writestr(info, data)
    return path


def members(path: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(path) as tar:
        return {info.name: info for info in tar}


def packed(tmp_path: Path, archive: Path, *, top: str = "thing-1.0", form: Form = "tar.gz") -> Path:
    out = tmp_path / f"out-{archive.name}.{form}"
    repack(archive, out, top=top, form=form)
    return out


def one_member(tmp_path: Path, info: tarfile.TarInfo, data: bytes = b"") -> Path:
    path = tmp_path / "hostile.tar"
    with tarfile.open(path, "w") as tar:
        first = tarfile.TarInfo("top/fine")
        first.size = 4
        tar.addfile(first, io.BytesIO(b"fine"))
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("form", FORMS)
def test_same_contents_in_other_order_time_owner_and_compression_give_the_same_bytes(
    tmp_path: Path, form: Form
) -> None:
    items = list(FILES.items())
    origins = [
        make_tar(tmp_path / "a.tar.gz", items, mode="w:gz", top="thing-1.0-src/", mtime=1),
        make_tar(tmp_path / "b.tar.xz", items[::-1], mode="w:xz", top="./other/", mtime=1700000000),
        make_tar(tmp_path / "c.tar.bz2", items[2:] + items[:2], mode="w:bz2", top="third/", mtime=99),
        make_tar(tmp_path / "d.tar", items, mode="w", top="", mtime=5),
        make_zip(tmp_path / "e.zip", items[::-1], top="thing-src/"),
    ]
    folder = tmp_path / "folder"
    for name, (data, bits) in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        file.chmod(bits)
    from_folder = tmp_path / "from-folder"
    with Contents("folder", tmp_path) as contents:
        read_folder(contents, folder)
        contents.write(from_folder, top="thing-1.0", form=form)

    hashes = {hash_of(packed(tmp_path, origin, form=form), "sha256") for origin in origins}

    assert hashes == {hash_of(from_folder, "sha256")}


def test_the_plain_tar_has_the_same_bytes_on_every_machine(tmp_path: Path) -> None:
    """Pins of git commits and folders are this hash: another one here would break every recipe that has one."""
    archive = make_tar(tmp_path / "a.tar", FILES.items(), mode="w", top="x/", mtime=1)

    assert hash_of(packed(tmp_path, archive, form="tar"), "sha256") == GOLDEN_TAR
    assert hash_of(packed(tmp_path, archive, form="zip"), "sha256") == GOLDEN_ZIP


def test_entries_are_normalised(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "a.tar.gz", FILES.items(), mode="w:gz", top="old/", mtime=1)

    found = members(packed(tmp_path, archive))

    assert list(found)[:2] == ["thing-1.0", "thing-1.0/README"]
    assert found["thing-1.0/configure"].mode == 0o755
    assert found["thing-1.0/src/main.c"].mode == 0o644
    assert found["thing-1.0/src"].isdir()
    assert {(info.uid, info.gid, info.uname, info.gname, info.mtime) for info in found.values()} == {
        (0, 0, "", "", 946684800)
    }


def test_the_result_is_what_tar_and_unzip_read(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "a.tar", FILES.items(), mode="w", top="old/", mtime=1)
    for form, command in (("tar.gz", ["tar", "-xzf"]), ("zip", ["unzip", "-q"])):
        room = tmp_path / form
        room.mkdir()
        out = packed(tmp_path, archive, form=form)  # type: ignore[arg-type]  # mypy sees str
        run([*command, out], cwd=room, env={"LC_ALL": "C.UTF-8"})
        for name, (data, bits) in FILES.items():
            assert (room / "thing-1.0" / name).read_bytes() == data
            assert os.access(room / "thing-1.0" / name, os.X_OK) == bool(bits & 0o100)


def test_without_a_single_top_folder_everything_goes_below_the_new_one(tmp_path: Path) -> None:
    archive = make_tar(
        tmp_path / "a.tar", [("a/x", (b"1", 0o644)), ("b", (b"2", 0o644))], mode="w", top="", mtime=1
    )

    assert set(members(packed(tmp_path, archive))) == {
        "thing-1.0",
        "thing-1.0/a",
        "thing-1.0/a/x",
        "thing-1.0/b",
    }


def test_a_single_file_is_no_top_folder(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "a.tar", [("only", (b"1", 0o644))], mode="w", top="", mtime=1)

    assert set(members(packed(tmp_path, archive))) == {"thing-1.0", "thing-1.0/only"}


def test_links_inside_are_kept_and_hard_links_become_files(tmp_path: Path) -> None:
    path = tmp_path / "links.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        run_me = tarfile.TarInfo("top/bin/run")
        run_me.size, run_me.mode = 3, 0o755
        tar.addfile(run_me, io.BytesIO(b"run"))
        for name, kind, target in (
            ("top/bin/again", tarfile.LNKTYPE, "top/bin/run"),
            ("top/run", tarfile.SYMTYPE, "bin/run"),
            ("top/lib/up", tarfile.SYMTYPE, "../bin/../bin"),
            ("top/loop", tarfile.SYMTYPE, "loop"),
            ("top/nowhere", tarfile.SYMTYPE, "not/there"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)

    found = members(packed(tmp_path, path))

    assert found["thing-1.0/bin/again"].isreg()
    assert found["thing-1.0/bin/again"].mode == 0o755
    assert found["thing-1.0/run"].linkname == "bin/run"
    assert found["thing-1.0/lib/up"].linkname == "../bin/../bin"
    assert found["thing-1.0/nowhere"].linkname == "not/there"


def test_a_link_is_kept_in_a_zip_too(tmp_path: Path) -> None:
    path = tmp_path / "links.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("top/file", "text")
        info = zipfile.ZipInfo("top/link")
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "file")
        archive.writestr("top/empty/", "")

    out = packed(tmp_path, path, form="zip")

    run(["unzip", "-q", out], cwd=tmp_path)
    assert os.readlink(tmp_path / "thing-1.0/link") == "file"  # noqa: PTH115  # exactly as stored
    assert (tmp_path / "thing-1.0/empty").is_dir()


def _link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def _device(kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo("top/evil")
    info.type = kind
    return info


@pytest.mark.parametrize(
    ("info", "named", "why"),
    [
        (tarfile.TarInfo("../evil"), "../evil", "`..`"),
        (tarfile.TarInfo("top/../../evil"), "top/../../evil", "`..`"),
        (tarfile.TarInfo("/etc/evil"), "/etc/evil", "absolute"),
        (_link("top/evil", "/etc/passwd"), "top/evil", "link out"),
        (_link("top/evil", "../other"), "top/evil", "link out"),
        (_link("top/a/evil", "../../x"), "top/a/evil", "link out"),
        (_link("top/evil", "/etc/passwd", tarfile.LNKTYPE), "top/evil", "hard link"),
        (_link("top/evil", "top/missing", tarfile.LNKTYPE), "top/evil", "hard link"),
        (_link("top/evil", "../x", tarfile.LNKTYPE), "top/evil", "hard link"),
        (tarfile.TarInfo("top/fine/evil"), "top/fine/evil", "below"),
        (_device(tarfile.CHRTYPE), "top/evil", "device"),
        (_device(tarfile.BLKTYPE), "top/evil", "device"),
        (_device(tarfile.FIFOTYPE), "top/evil", "device"),
    ],
)
def test_a_hostile_entry_is_refused_and_named(
    tmp_path: Path, info: tarfile.TarInfo, named: str, why: str
) -> None:
    archive = one_member(tmp_path, info)

    with pytest.raises(SourceError) as caught:
        packed(tmp_path, archive)

    assert "hostile.tar" in caught.value.brief
    assert f"entry {named!r}" in caught.value.brief
    assert why in str(caught.value)


def test_a_link_that_leads_out_by_way_of_another_is_refused(tmp_path: Path) -> None:
    """As text, a/b/c/d/.. stays inside; followed, d is the top folder and `..` lies above it."""
    path = tmp_path / "chain.tar"
    with tarfile.open(path, "w") as tar:
        tar.addfile(_link("top/a/b/c/d", "../../.."))
        tar.addfile(_link("top/x", "a/b/c/d/../etc"))

    with pytest.raises(SourceError, match=r"entry 'top/x' is a link out of the archive"):
        packed(tmp_path, path)


def test_a_file_below_a_link_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "below.tar"
    with tarfile.open(path, "w") as tar:
        tar.addfile(_link("top/dir", "real"))
        tar.addfile(tarfile.TarInfo("top/dir/evil"))

    with pytest.raises(SourceError, match=r"'top/dir/evil' lies below 'top/dir', a link"):
        packed(tmp_path, path)


@pytest.mark.parametrize("name", ["../evil", "/evil", "top\\..\\evil"])
def test_a_hostile_zip_entry_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "hostile.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("top/fine", "")
        archive.writestr(name, "evil")

    with pytest.raises(SourceError, match=r"hostile\.zip: entry"):
        packed(tmp_path, path)


def _cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def _flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _without_end(data: bytes) -> bytes:
    return data[:-5]


@pytest.mark.parametrize("damage", [_cut, _flip, _without_end])
@pytest.mark.parametrize("kind", ["gz", "xz", "bz2", "zip"])
def test_a_damaged_archive_is_refused(tmp_path: Path, kind: str, damage: Callable[[bytes], bytes]) -> None:
    noise = [("n", (hashlib.shake_256(b"noise").digest(100_000), 0o644))]
    path = tmp_path / f"damaged.{kind}"
    if kind == "zip":
        make_zip(path, noise, top="top/")
    else:
        make_tar(path, noise, mode=f"w:{kind}", top="top/", mtime=1)
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(SourceError, match="damaged"):
        packed(tmp_path, path)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "page.tar.gz"
    path.write_text("<html>not found</html>" * 100)

    with pytest.raises(SourceError, match=r"page\.tar\.gz is damaged or no archive"):
        packed(tmp_path, path)


def test_a_pipe_in_a_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    os.mkfifo(folder / "pipe")

    with Contents("folder", tmp_path) as contents, pytest.raises(SourceError, match="pipe is no file"):
        read_folder(contents, folder)


GOLDEN_TAR = "d0695480d884a7b6695e954617e87ae00a593e0d393c7ea3c5edd5b2f7794f19"
GOLDEN_ZIP = "7916e0229c3fd34593ad8cc0b373f82a59cbda3cd1dd089e735051895f9ffcaa"
