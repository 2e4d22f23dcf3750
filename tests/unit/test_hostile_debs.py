# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S311  # seeded places, no secrets
"""Hostile .debs: each is refused with the file's name and the reason, and the repository stays as it was."""

import lzma
import os
import random
import re
import struct
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from bigtop_builder.artifact import CONTROL_LIMIT, MEMBER_LIMIT, read_deb, read_debs
from bigtop_builder.cores import MANY, on_all_cores
from bigtop_builder.errors import BuilderError, CheckFailed, InputError
from bigtop_builder.expand import FLOOR, RATIO, allowance
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository.publish import Repository
from bigtop_builder.run import run
from bigtop_builder.verify.integrity import ENTRIES_LIMIT, check_integrity
from deb_forge import (
    CONTROL,
    PACKERS,
    VERSION,
    ar,
    boundaries,
    control_tar,
    data_tar,
    deb,
    entry,
    member,
    parts,
    tar,
    write,
    zst_bomb,
)

EXHAUSTIVE = os.environ.get("BIGTOP_FAULTS") == "all"
"""Every place, as `make faults` has it, instead of a sample."""
SEED = int(os.environ.get("BIGTOP_FAULT_SEED", "4"))
SUFFIXES = tuple(PACKERS)
UNPACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda packed: zlib.decompress(packed, wbits=31),
    ".xz": lzma.decompress,
    ".zst": lambda packed: zstandard.ZstdDecompressor().decompressobj().decompress(packed),
}
ESSENCE = b"Package: forged\nVersion: 1\nArchitecture: all\n"
DEVICE = entry("./dev/sda", kind=tarfile.BLKTYPE)


def _control(text: bytes) -> bytes:
    return deb(control=control_tar(text))


def _field(name: str, value: str) -> bytes:
    """A package whose control file says something else in one field."""
    text = re.sub(rf"(?m)^{name}: .*$", lambda _: f"{name}: {value}", CONTROL.decode())
    return _control(text.encode())


def _data(*entries: bytes) -> bytes:
    return deb(data=data_tar(*entries))


BINARY, CONTROL_PART, DATA_PART = parts()
SYMLINK_OUT = entry("./usr/x", kind=tarfile.SYMTYPE, link="../../etc/passwd")

HOSTILE: dict[str, tuple[bytes, str]] = {
    # The archive and its members: deb(5), ar(5)
    "empty": (b"", "it is empty"),
    "no archive": (b"PK\3\4 is a zip file\n", "no ar archive"),
    "only the magic": (b"!<arch>\n", "members are"),
    "two control members": (ar(BINARY, CONTROL_PART, CONTROL_PART, DATA_PART), "members are"),
    "two data members": (ar(BINARY, CONTROL_PART, DATA_PART, DATA_PART), "members are"),
    "two versions": (ar(BINARY, BINARY, CONTROL_PART, DATA_PART), "members are"),
    "data before control": (ar(BINARY, DATA_PART, CONTROL_PART), "members are"),
    "version last": (ar(CONTROL_PART, DATA_PART, BINARY), "members are"),
    "no data": (ar(BINARY, CONTROL_PART), "members are"),
    "no control": (ar(BINARY, DATA_PART), "members are"),
    "another member": (ar(BINARY, CONTROL_PART, DATA_PART, ("extra", b"x")), "members are"),
    "very many members": (ar(*parts(), *[("_x", b"")] * 1000), "more than 16 members"),
    "format 2.1": (ar(("debian-binary", b"2.1\n"), CONTROL_PART, DATA_PART), "debian-binary does not say"),
    "format 3.0": (ar(("debian-binary", b"3.0\n"), CONTROL_PART, DATA_PART), "debian-binary does not say"),
    "more in the format": (
        ar(("debian-binary", VERSION + b"x\n"), CONTROL_PART, DATA_PART),
        "debian-binary does not say",
    ),
    "compressed format": (ar(("debian-binary.gz", VERSION), CONTROL_PART, DATA_PART), "members are"),
    "unknown compression": (ar(BINARY, CONTROL_PART, ("data.tar.lz", b"LZIP")), "compressed as none of"),
    "unknown archive": (ar(BINARY, CONTROL_PART, ("data.zip", b"PK")), "members are"),
    "bytes after the end": (deb() + b"trailing garbage", "no member header at byte"),
    "a newline after the end": (deb() + b"\n", "no member header at byte"),
    "a package after the package": (deb() + deb(), "no member header at byte"),
    "member larger than the file": (
        b"!<arch>\n" + member(*BINARY) + member(*CONTROL_PART) + member(*DATA_PART, size=10**9),
        "it is cut off",
    ),
    "negative size": (b"!<arch>\n" + member("debian-binary", VERSION, size=-4), "no member header at byte 8"),
    # The control archive: deb(5)
    "no control file": (deb(control=tar(entry("./md5sums", b""))), "holds no control file"),
    "nothing in control": (deb(control=tar()), "holds no control file"),
    "two control files": (
        deb(control=control_tar(CONTROL, entry("control", CONTROL))),
        "holds control twice",
    ),
    "a second name for control": (
        deb(control=control_tar(CONTROL, entry("././control", CONTROL))),
        "no plain file at its top",
    ),
    "control by way of a folder": (
        deb(control=tar(entry("./x/../control", CONTROL))),
        "no plain file at its top",
    ),
    "control is a link": (
        deb(control=tar(entry("./control", kind=tarfile.SYMTYPE, link="/etc/passwd"))),
        "no plain file at its top",
    ),
    "control script out of its folder": (
        deb(control=control_tar(CONTROL, entry("../../etc/cron.d/x", b"x"))),
        "no plain file at its top",
    ),
    "control archive cut off": (deb(control=control_tar()[:1500]), "cut off"),
    "control archive without end": (deb(control=control_tar()[:-1024]), "cut off"),
    "control is no archive": (deb(control=b"x" * 1024), "damaged"),
    "control file of 10 MB": (
        _control(ESSENCE + b"Description: " + b"x" * 10_000_000 + b"\n"),
        f"larger than {CONTROL_LIMIT >> 20} MiB",
    ),
    "control bomb": (deb(control=control_tar(CONTROL, entry("./x", bytes(MEMBER_LIMIT)))), "unpacks to more"),
    "control bomb of xz": (
        deb(control=control_tar(CONTROL, entry("./x", bytes(MEMBER_LIMIT))), suffix=".xz"),
        "unpacks to more than",
    ),
    "control bomb of zst": (
        ar(
            BINARY,
            ("control.tar.zst", zst_bomb(entry("./x", size=1 << 40), 1 << 40 >> 10)),
            ("data.tar.zst", b""),
        ),
        "unpacks to more than",
    ),
    # The control file: deb-control(5), deb822(5), Debian policy 5
    "not UTF-8": (_control(ESSENCE + b"Description: caf\xe9\n"), "not UTF-8 at byte 61"),
    "a stanza in another": (_control(CONTROL + b"\nPackage: evil\nVersion: 1\n"), "is no field: ''"),
    "a line of blanks": (_control(CONTROL + b" \t \n more\n"), "is no field: ' "),
    "carriage return": (_control(CONTROL + b"X: a\r\n"), r"character U\+000D"),
    "vertical tab": (_control(CONTROL + b"X: a\x0bPackage: evil\n"), r"character U\+000B"),
    "NUL": (_control(CONTROL + b"X: a\0b\n"), r"character U\+0000"),
    "escape sequence": (_control(CONTROL + b"X: \x1b[2J\n"), r"character U\+001B"),
    "next line of Unicode": (_control(CONTROL + "X: a\x85Package: evil\n".encode()), r"character U\+0085"),
    "line separator of Unicode": (
        _control(CONTROL + "X: a\u2028Package: evil\n".encode()),
        r"character U\+2028",
    ),
    "no newline at the end": (_control(CONTROL + b"X: a"), "no newline at its end"),
    "begins with a continuation": (_control(b" folded\n" + CONTROL), "line 1 is no field"),
    "begins with a byte order mark": (_control(b"\xef\xbb\xbf" + CONTROL), "line 1 is no field"),
    "comment": (_control(b"# comment: x\n" + CONTROL), "line 1 is no field"),
    "signed": (_control(b"-----BEGIN PGP SIGNED MESSAGE-----\n\n" + CONTROL), "line 1 is no field"),
    "field without colon": (_control(CONTROL + b"Depends\n"), "is no field: 'Depends'"),
    "space before the colon": (_control(CONTROL + b"Depends : a\n"), "is no field: 'Depends : a'"),
    "field name of one letter": (_control(CONTROL + b"X: a\n"), "is no field: 'X: a'"),
    "field name not ASCII": (_control(CONTROL + "Näme: a\n".encode()), "is no field"),
    "field twice": (_control(CONTROL + b"Version: 2\n"), "gives Version a second time"),
    "field twice in other letters": (_control(CONTROL + b"pACKAGE: evil\n"), "gives Package a second time"),
    "no Package": (_control(CONTROL.replace(b"Package: forged\n", b"")), "has no Package"),
    "no Version": (_control(CONTROL.replace(b"Version: 1.0-1\n", b"")), "has no Version"),
    "no Architecture": (_control(CONTROL.replace(b"Architecture: all\n", b"")), "has no Architecture"),
    "empty Package": (_field("Package", ""), "has no Package"),
    "name folded": (_field("Package", "forged\n evil"), "is not allowed"),
    "name on the next line": (_field("Package", "\n forged"), "is not allowed"),
    "name with slash": (_field("Package", "../../etc/cron.d/x"), "is not allowed"),
    "name in upper case": (_field("Package", "Forged"), "is not allowed"),
    "name with space": (_field("Package", "forged evil"), "is not allowed"),
    "name with underscore": (_field("Package", "forged_1"), "is not allowed"),
    "name of one letter": (_field("Package", "f"), "is not allowed"),
    "name of dots": (_field("Package", ".."), "is not allowed"),
    "name of an option": (_field("Package", "--force-all"), "is not allowed"),
    "name not ASCII": (_field("Package", "f\u00f6rged"), "is not allowed"),
    "name of 300 letters": (_field("Package", "f" * 300), "file name of 3.. bytes"),
    "version with slash": (_field("Version", "1/../../x"), "is not allowed"),
    "version with space": (_field("Version", "1 2"), "is not allowed"),
    "version with underscore": (_field("Version", "1_2"), "is not allowed"),
    "version without digit": (_field("Version", "one"), "is not allowed"),
    "version with empty revision": (_field("Version", "1-"), "is not allowed"),
    "version with empty epoch": (_field("Version", ":1"), "is not allowed"),
    "version of an epoch alone": (_field("Version", "1:"), "is not allowed"),
    "version with colon in its revision": (_field("Version", "1:2-3:4"), "is not allowed"),
    "version with negative epoch": (_field("Version", "-1:2"), "is not allowed"),
    "version with huge epoch": (_field("Version", f"{2**31}:1"), "is not allowed"),
    "version with endless epoch": (_field("Version", "9" * 9999 + ":1"), "is not allowed"),
    "version not ASCII digits": (_field("Version", "\u0661.0"), "is not allowed"),
    "version of 300 signs": (_field("Version", "1" * 300), "file name of 3.. bytes"),
    "architecture with slash": (_field("Architecture", "../all"), "is not allowed"),
    "architecture source": (_field("Architecture", "source"), "is not allowed"),
    "architecture any": (_field("Architecture", "any"), "is not allowed"),
    "two architectures": (_field("Architecture", "amd64 arm64"), "is not allowed"),
    "source with slash": (_control(CONTROL + b"Source: ../x\n"), "is not allowed"),
    "Depends without comma": (_control(CONTROL + b"Depends: a b\n"), "Depends 'a b' is no list of packages"),
    "Depends on the next line": (_control(b"Depends:\n a\n" + CONTROL), "is no list of packages"),
    "Depends on a path": (_control(CONTROL + b"Depends: ../a\n"), "is no list of packages"),
    "Depends with half a version": (_control(CONTROL + b"Depends: a (>= 1\n"), "is no list of packages"),
    "Conflicts with a choice": (_control(CONTROL + b"Conflicts: a | b\n"), "is no list of packages"),
    "empty field at the end": (_control(CONTROL + b"Depends:\n"), "ends with an empty field"),
    # The data archive: deb(5), tar(5), Debian policy 10
    "path up": (_data(entry("./usr/../../etc/passwd", b"x")), "leads out"),
    "absolute path": (_data(entry("/etc/passwd", b"x")), "leads out"),
    "folder up": (_data(entry("../x", kind=tarfile.DIRTYPE)), "leads out"),
    "symlink up": (_data(SYMLINK_OUT), "leads out"),
    "file through a symlink": (
        _data(entry("./lib", kind=tarfile.SYMTYPE, link="/etc"), entry("./lib/passwd", b"x")),
        "behind a symlink",
    ),
    "hard link out": (_data(entry("./usr/x", kind=tarfile.LNKTYPE, link="/etc/shadow")), "no file before it"),
    "hard link up": (_data(entry("./usr/x", kind=tarfile.LNKTYPE, link="../x")), "no file before it"),
    "hard link through a symlink": (
        _data(
            entry("./x", kind=tarfile.SYMTYPE, link="/etc/shadow"),
            entry("./y", kind=tarfile.LNKTYPE, link="./x"),
        ),
        "no file before it",
    ),
    "device": (_data(DEVICE), "is a device"),
    "file twice": (_data(entry("./usr/good", b"other\n")), "is there twice"),
    "file twice in other words": (_data(entry("usr/./good", b"other\n")), "is there twice"),
    "pax record": (_data(entry("./x", b"30 path=../../../etc/passwd\n", kind=tarfile.XHDTYPE)), "type b'x'"),
    "sparse file": (_data(entry("./x", b"x", kind=tarfile.GNUTYPE_SPARSE)), "type b'S'"),
    "endless name": (_data(entry("x", bytes(8192), kind=tarfile.GNUTYPE_LONGNAME)), "a name of 8192 bytes"),
    "size beyond the end": (_data(entry("./x", b"x", size=1 << 40)), "cut off"),
    "size that is no number": (
        _data(entry("./x", b"x").replace(b"00000000001\0", b"0000000000x\0")),
        "damaged",
    ),
    "bytes after the archive": (deb(data=data_tar() + bytes(512) + b"x" * 512), "after its end"),
    "compressed data after the data": (
        ar(BINARY, CONTROL_PART, (DATA_PART[0], DATA_PART[1] * 2)),
        "bytes follow the end",
    ),
    "bomb of zst": (
        ar(BINARY, CONTROL_PART, ("data.tar.zst", zst_bomb(entry("./x", size=1 << 40), FLOOR))),
        "unpacks to more than 1024 MiB",
    ),
    "terminal codes in a name": (_data(entry("/\x1b[2J", b"x")), r"/\\x1b\[2J leads out"),
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Repository, Keyring]]:
    """A repository with one good package in it."""
    folder = tmp_path_factory.mktemp("hostile")
    store = KeyStore(folder / "keys")
    store.new("Ann Bee", "ann@bee.example")
    with store.open() as keyring:
        root = folder / "repository"
        made = Repository.init(
            root, origin="Test", keyring=keyring, fingerprints=store.fingerprints(), sync=False
        )
        made.add("stable", read_debs([write(folder, _field("Package", "good"))]), keyring=keyring)
        yield made, keyring


def _tree(repository: Repository) -> dict[str, tuple[int, int]]:
    found = Path(repository.store.name).rglob("*")
    return {
        str(path): (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in found if path.name != "lock"
    }


def _refusal(repository: Repository, keyring: Keyring, path: Path) -> BuilderError:
    """What `repo add` does with a file."""
    with pytest.raises(BuilderError) as caught:
        repository.add("stable", read_debs([path]), keyring=keyring)
    return caught.value


@pytest.mark.parametrize(("content", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_package_is_refused_by_name_and_reason_and_nothing_changes(
    repository: tuple[Repository, Keyring], tmp_path: Path, content: bytes, reason: str
) -> None:
    before = _tree(repository[0])
    path = write(tmp_path, content, "hostile_1_all.deb")
    error = _refusal(*repository, path)
    assert str(path) in error.brief
    assert re.search(reason, error.brief)
    assert error.hint
    assert _tree(repository[0]) == before


def test_one_hostile_package_keeps_all_that_came_with_it_out(
    repository: tuple[Repository, Keyring], tmp_path: Path
) -> None:
    before = _tree(repository[0])
    good = write(tmp_path, _field("Package", "another"), "another.deb")
    bad = write(tmp_path, _data(SYMLINK_OUT), "bad.deb")
    with pytest.raises(BuilderError, match=r"bad\.deb"):
        repository[0].add("stable", read_debs([good, bad]), keyring=repository[1])
    assert _tree(repository[0]) == before


def test_what_is_unusual_but_right_passes(tmp_path: Path) -> None:
    long = "usr/share/" + "n" * 200
    path = write(
        tmp_path,
        ar(
            BINARY,
            ("_before", b"x"),
            parts(control=control_tar(b"\n" + CONTROL + b"X-Name: \xc3\xbc\n\n\n"))[1],
            parts(
                data=data_tar(
                    entry("./usr/fifo", kind=tarfile.FIFOTYPE),
                    entry("./usr/hard", kind=tarfile.LNKTYPE, link="./usr/good"),
                    entry("./usr/up/link", kind=tarfile.SYMTYPE, link="../good"),
                    entry("./usr/link", kind=tarfile.SYMTYPE, link="/etc/alternatives/x"),
                    entry(f"./{long}", b"x"),
                    entry("./usr/latin\udce9", b"x"),
                )
            )[2],
            ("_gpgorigin", b"signature"),
        ),
        "name_that_says_something_else_riscv64.deb",
    )
    assert read_deb(path).name == "forged"
    assert check_integrity(path) == []
    assert long in run(["dpkg-deb", "--contents", path]).text


def test_a_long_name_whose_hundredth_byte_is_a_slash_is_still_that_of_a_file(tmp_path: Path) -> None:
    name = "./" + "d" * 97 + "/file"
    path = write(tmp_path, _data(entry(name, b"<html>"), entry("./usr/next", b"x")))
    assert check_integrity(path) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_cut_anywhere_is_found_by_the_frame_alone(tmp_path: Path, suffix: str) -> None:
    whole = deb(suffix=suffix)
    edges = {edge + near for edge in boundaries(whole) for near in (-1, 0, 1)}
    every = set(range(len(whole)))
    within = every if EXHAUSTIVE else random.Random(SEED).sample(sorted(every), 200)
    path = tmp_path / "cut.deb"
    for length in sorted(every & {*edges, *within}):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckFailed, match=r"cut\.deb is no whole \.deb"):
            read_deb(path)
        assert check_integrity(path), f"cut to {length} of {len(whole)} bytes"


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
@pytest.mark.parametrize("part", range(3))
def test_a_flipped_bit_in_any_member_is_found_if_dpkg_would_unpack_something_else(
    tmp_path: Path, suffix: str, part: int
) -> None:
    whole = deb(suffix=suffix)
    start, end = boundaries(whole)[1 + 2 * part], boundaries(whole)[3 + 2 * part]
    places = range(8 * start, 8 * end)
    path = tmp_path / "flipped.deb"
    found = 0
    for place in places if EXHAUSTIVE else random.Random(SEED).sample(places, min(len(places), 150)):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        if check_integrity(path):
            found += 1
        else:
            assert _meaning(bytes(damaged)) == _meaning(whole), f"bit {place} of {8 * len(whole)}"
    assert found


def _meaning(archive: bytes) -> list[tuple[str, bytes]]:
    """Names and plain contents of the members: what dpkg works with."""
    found, at = [], 8
    while at < len(archive):
        name, size = archive[at : at + 16].decode().strip().rstrip("/"), int(archive[at + 48 : at + 58])
        found.append((name, UNPACKERS[name.partition(".tar")[2]](archive[at + 60 : at + 60 + size])))
        at += 60 + size + size % 2
    return found


def test_a_header_with_a_wrong_checksum_is_not_taken_for_the_end(tmp_path: Path) -> None:
    damaged = entry("./usr/lost", b"x").replace(b"lost", b"lust", 1)
    assert "checksum is wrong" in check_integrity(write(tmp_path, _data(damaged)))[0]


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_bomb_ends_at_the_allowance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    monkeypatch.setattr("bigtop_builder.expand.FLOOR", 1 << 20)
    path = write(tmp_path, deb(data=data_tar(entry("./x", bytes(20 << 20))), suffix=suffix))
    assert re.search(r"unpacks to more than \d+ MiB", check_integrity(path)[0])


def test_real_packages_are_far_below_the_allowance() -> None:
    assert allowance(0) == FLOOR
    assert allowance(600 << 20) == RATIO * (600 << 20) > 50 * (2 << 30)


@pytest.mark.parametrize(
    ("data", "problems"),
    [
        (tar(*(entry(f"./{number:0200}") for number in range(60_000))), 0),
        (tar(*[entry("./same")] * 100_000), 21),
        (tar(entry("x", size=1 << 30, kind=tarfile.GNUTYPE_LONGNAME)), 1),
        (tar(entry("./zeros", bytes(200 << 20))), 0),
    ],
    ids=["many entries", "many problems", "long name", "zeros"],
)
def test_bombs_take_little_memory(tmp_path: Path, data: bytes, problems: int) -> None:
    script = (
        "import sys, pathlib, bigtop_builder.verify.integrity as i;"
        "print(len(i.check_integrity(pathlib.Path(sys.argv[1]))));"
        "print(pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    path = write(tmp_path, deb(data=data, suffix=".zst"))
    found, kilobytes = run([sys.executable, "-c", script, path]).text.split()
    assert int(found) == problems
    assert int(kilobytes) < 100 << 10


def test_entries_beyond_count_end_the_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ENTRIES_LIMIT >= 4 * 100_000
    monkeypatch.setattr("bigtop_builder.verify.integrity.ENTRIES_LIMIT", 50)
    path = write(tmp_path, _data(*(entry(f"./usr/{number}") for number in range(60))))
    assert "more than 50 entries" in check_integrity(path)[0]


def test_problems_beyond_count_end_the_reading(tmp_path: Path) -> None:
    path = write(tmp_path, _data(*[entry("./usr/same")] * 5000))
    assert len(check_integrity(path)) == 21


def test_an_xz_member_that_asks_for_much_memory_is_refused(tmp_path: Path) -> None:
    greedy = lzma.compress(
        control_tar(), filters=[{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 20}]
    )
    huge = _with_dictionary(greedy, 37)
    path = write(tmp_path, ar(BINARY, ("control.tar.xz", huge), DATA_PART))
    with pytest.raises(CheckFailed, match="Memory usage limit"):
        read_deb(path)


def _with_dictionary(stream: bytes, code: int) -> bytes:
    """An xz stream whose first block asks for another dictionary (2 GiB is 37; xz file format 5.3.1)."""
    header = bytearray(stream[12 : 12 + 4 * (stream[12] + 1)])
    header[4] = code
    header[-4:] = struct.pack("<I", zlib.crc32(header[:-4]))
    return stream[:12] + bytes(header) + stream[12 + len(header) :]


# Many at once


def test_many_packages_are_read_in_order_by_processes_as_by_one(tmp_path: Path) -> None:
    names = [f"package{number}" for number in range(MANY + 50)]
    paths = [write(tmp_path, _field("Package", name), f"{name}.deb") for name in names]
    read = read_debs(paths, jobs=3)
    assert [one.name for one in read] == names
    assert read == read_debs(paths, jobs=1)
    assert on_all_cores(check_integrity, paths, jobs=3) == [[]] * len(paths)


@pytest.mark.parametrize("count", [3, MANY + 50])
def test_all_broken_packages_of_many_are_named(tmp_path: Path, count: int) -> None:
    paths = [write(tmp_path, deb(), f"{number}.deb") for number in range(count)]
    paths[1].write_bytes(b"")
    paths[2].write_bytes(deb()[:-1])
    with pytest.raises(CheckFailed, match=r"1\.deb is no whole \.deb: it is empty") as caught:
        read_debs(paths, jobs=2)
    assert "2.deb is no whole .deb: it is cut off" in caught.value.details
    assert caught.value.hint


def test_a_missing_package_of_many_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.deb does not exist"):
        read_debs([write(tmp_path, deb()), tmp_path / "none.deb"])


def test_no_packages_are_no_error() -> None:
    assert read_debs([]) == ()


@pytest.mark.parametrize(
    "value", ["a (" + " " * 500_000 + "1_", "a (>= 1-" + "1-" * 250_000, "a, " * 170_000 + "!"]
)
def test_a_relation_that_would_keep_a_slow_parser_busy_for_hours_is_refused_at_once(
    tmp_path: Path, value: str
) -> None:
    with pytest.raises(CheckFailed, match="is no list of packages"):
        read_deb(write(tmp_path, _control(f"Depends: {value}\n".encode() + CONTROL)))
