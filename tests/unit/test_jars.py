# SPDX-License-Identifier: Apache-2.0
"""Jars in packages are found wherever they lie, and known by what tells most surely."""

import hashlib
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.run import run
from bigtop_builder.sbom import fingerprint
from bigtop_builder.sbom.coordinates import NOTHING, Artifacts, Coordinates, Known, artifacts_of, guess
from bigtop_builder.sbom.jars import DEPTH, Jar, jars_in
from jar_forge import jar, package, pom

STRIP = """
$File::StripNondeterminism::canonical_time = 1600000000;
File::StripNondeterminism::init();
File::StripNondeterminism::get_normalizer_for_file($ARGV[0])->($ARGV[0]);
"""
LOG4J = pom("log4j", "log4j", "1.2.17")


def debhelper_can_strip() -> bool:
    return not run(["perl", "-MFile::StripNondeterminism", "-e", "1"], check=False).returncode


def known(jars: tuple[Jar, ...]) -> list[tuple[str, str, str]]:
    """All jars, at any depth: path, coordinates or what is guessed, how."""
    return [
        line
        for one in jars
        for line in [
            (one.path, str(one.coordinates or f"{one.name} {one.version}".strip()), one.how),
            *known(one.inside),
        ]
    ]


def test_a_jar_is_known_by_its_own_record(tmp_path: Path) -> None:
    deb = package(tmp_path, {"usr/lib/a/log4j-1.2.17.jar": jar(LOG4J)})
    assert known(jars_in(deb, NOTHING)) == [
        ("usr/lib/a/log4j-1.2.17.jar", "log4j:log4j:1.2.17", "pom.properties")
    ]


def test_hashes_are_those_of_the_file(tmp_path: Path) -> None:
    content = jar(LOG4J)
    (found,) = jars_in(package(tmp_path, {"usr/lib/log4j.jar": content}), NOTHING)
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    assert found.sha1 == hashlib.sha1(content, usedforsecurity=False).hexdigest()


def test_the_builds_repository_tells_what_the_jar_does_not(tmp_path: Path) -> None:
    content = jar()
    here = Coordinates(group="javax.servlet", artifact="servlet-api", version="2.5")
    deb = package(tmp_path, {"usr/lib/renamed.jar": content})
    built = Known(files={hashlib.sha256(content).hexdigest(): here}, classes={})
    assert known(jars_in(deb, built)) == [
        ("usr/lib/renamed.jar", "javax.servlet:servlet-api:2.5", "build repository")
    ]


def test_a_file_name_alone_gives_no_group(tmp_path: Path) -> None:
    deb = package(tmp_path, {"usr/lib/asm-3.1.jar": jar(), "usr/lib/tools.jar": jar()})
    found = jars_in(deb, NOTHING)
    assert known(found) == [
        ("usr/lib/asm-3.1.jar", "asm 3.1", "file name"),
        ("usr/lib/tools.jar", "tools", "unknown"),
    ]
    assert [one.coordinates for one in found] == [None, None]


def test_what_was_merged_into_a_jar_is_listed_below_it(tmp_path: Path) -> None:
    shaded = jar({**pom("org.apache.hive", "hive-exec", "3.1.3"), **LOG4J, **pom("g", "other", "2")})
    (found,) = jars_in(package(tmp_path, {"usr/lib/hive-exec-3.1.3.jar": shaded}), NOTHING)
    assert str(found.coordinates) == "org.apache.hive:hive-exec:3.1.3"
    assert [(str(one.coordinates), one.merged) for one in found.inside] == [
        ("g:other:2", True),
        ("log4j:log4j:1.2.17", True),
    ]


def test_the_record_of_another_artifact_alone_does_not_name_the_jar(tmp_path: Path) -> None:
    (found,) = jars_in(package(tmp_path, {"usr/lib/mine-1.0.jar": jar(LOG4J)}), NOTHING)
    assert (found.coordinates, found.name, found.how) == (None, "mine", "file name")
    assert [str(one.coordinates) for one in found.inside] == ["log4j:log4j:1.2.17"]


def test_two_records_that_fit_the_name_name_nothing(tmp_path: Path) -> None:
    both = jar({**pom("one", "a", "1"), **pom("two", "a", "1")})
    (found,) = jars_in(package(tmp_path, {"usr/lib/a-1.jar": both}), NOTHING)
    assert found.coordinates is None
    assert len(found.inside) == 2


def test_a_classifier_in_the_name_is_kept(tmp_path: Path) -> None:
    (found,) = jars_in(package(tmp_path, {"usr/lib/log4j-1.2.17-tests.jar": jar(LOG4J)}), NOTHING)
    assert str(found.coordinates) == "log4j:log4j:1.2.17:tests"


def test_wars_fat_jars_and_tarballs_are_looked_into(tmp_path: Path) -> None:
    inner = {"WEB-INF/lib/log4j-1.2.17.jar": jar(LOG4J)}
    sharelib = io.BytesIO()
    with tarfile.open(fileobj=sharelib, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        name = f"share/{'long/' * 40}b.jar"
        info = tarfile.TarInfo(name)
        info.size = len(jar(LOG4J))
        tar.addfile(info, io.BytesIO(jar(LOG4J)))
    deb = package(
        tmp_path,
        {
            "usr/lib/oozie/oozie.war": jar(inner),
            "usr/lib/oozie/share.tar.gz": sharelib.getvalue(),
            "usr/lib/spark/fat.jar": jar({"BOOT-INF/lib/log4j.jar": jar(LOG4J)}),
            "usr/share/data.zip": jar(),
        },
    )
    assert known(jars_in(deb, NOTHING)) == [
        ("usr/lib/oozie/oozie.war", "oozie", "unknown"),
        ("usr/lib/oozie/oozie.war!/WEB-INF/lib/log4j-1.2.17.jar", "log4j:log4j:1.2.17", "pom.properties"),
        ("usr/lib/oozie/share.tar.gz", "share.tar", "unknown"),
        (f"usr/lib/oozie/share.tar.gz!/share/{'long/' * 40}b.jar", "b", "unknown"),
        (
            f"usr/lib/oozie/share.tar.gz!/share/{'long/' * 40}b.jar!/META-INF/maven/log4j/log4j/pom.properties",
            "log4j:log4j:1.2.17",
            "pom.properties",
        ),
        ("usr/lib/spark/fat.jar", "fat", "unknown"),
        ("usr/lib/spark/fat.jar!/BOOT-INF/lib/log4j.jar", "log4j:log4j:1.2.17", "pom.properties"),
    ]


def test_a_name_that_is_twice_in_an_archive_is_two_jars(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a.jar", jar(LOG4J))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.jar", jar())
    (war,) = jars_in(package(tmp_path, {"usr/x.war": made.getvalue()}), NOTHING)
    assert len({one.path for one in war.inside}) == 2


def encrypted() -> bytes:
    """A jar that says of its record that it is encrypted."""
    plain = bytearray(jar(LOG4J))
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = plain.rfind(mark)
        plain[start + at] |= 1
    return bytes(plain)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "no zip archive"),
        (b"no zip at all", "no zip archive"),
        (jar(LOG4J)[:-30], "no zip archive"),
        (jar(LOG4J).replace(b"PK\1\2", b"XX\1\2"), "Bad magic number"),
        (b"PK\5\6" + b"\xff" * 18, "list of its entries"),
        (encrypted(), "encrypted"),
    ],
)
def test_what_cannot_be_read_is_listed_with_the_reason(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    deb = package(tmp_path, {"usr/bad-1.jar": content, "usr/good.war": jar({"lib/log4j.jar": jar(LOG4J)})})
    bad, good = jars_in(deb, NOTHING)
    assert bad.path == "usr/bad-1.jar"
    assert complaint in bad.problem
    assert not good.problem
    assert len(good.inside) == 1


def test_a_broken_jar_in_a_war_hides_none_of_the_others(tmp_path: Path) -> None:
    content = jar({"a.jar": b"rubbish", "b.jar": jar(LOG4J)})
    (war,) = jars_in(package(tmp_path, {"usr/x.war": content}), NOTHING)
    assert [(one.path, bool(one.problem)) for one in war.inside] == [
        ("usr/x.war!/a.jar", True),
        ("usr/x.war!/b.jar", False),
    ]


def test_a_nested_entry_with_damaged_bytes_is_unreadable(tmp_path: Path) -> None:
    inner = jar(LOG4J)
    content = bytearray(jar({"a.jar": inner}, packed=False))
    content[content.find(inner) + 40] ^= 1
    (war,) = jars_in(package(tmp_path, {"usr/x.war": bytes(content)}), NOTHING)
    assert ["Bad CRC" in one.problem for one in war.inside] == [True]


def test_a_bomb_ends_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bigtop_builder.sbom.jars.FLOOR", 1 << 20)
    bomb = jar({f"{number}.jar": bytes(1 << 20) for number in range(4)})
    (found,) = jars_in(package(tmp_path, {"usr/x.war": jar({"b.jar": bomb, "c.jar": jar(LOG4J)})}), NOTHING)
    assert "more than any real archive" in found.problem
    assert found.path == "usr/x.war"


def test_a_nest_without_end_is_left_at_a_depth(tmp_path: Path) -> None:
    content = jar(LOG4J)
    for _ in range(DEPTH + 3):
        content = jar({"a.jar": content})
    (found,) = jars_in(package(tmp_path, {"usr/x.jar": content}), NOTHING)
    for _ in range(DEPTH):
        (found,) = found.inside
    assert "not looked into" in found.problem
    assert not found.inside


def test_names_that_a_terminal_would_obey_are_shown_escaped(tmp_path: Path) -> None:
    (war,) = jars_in(package(tmp_path, {"usr/x.war": jar({"\x1b[2J.jar": jar()})}), NOTHING)
    assert [one.path for one in war.inside] == ["usr/x.war!/\\x1b[2J.jar"]


def test_a_record_with_a_value_that_is_none_is_passed_over(tmp_path: Path) -> None:
    record = {"META-INF/maven/g/a/pom.properties": b"groupId=g\nartifactId=\x1b[2J\nversion=1\n"}
    (found,) = jars_in(package(tmp_path, {"usr/a-1.jar": jar(record)}), NOTHING)
    assert (found.coordinates, found.inside, found.problem) == (None, (), "")


def test_a_file_that_is_no_package_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.deb"
    file.write_bytes(b"!<arch>\n")
    with pytest.raises(CheckFailed, match=r"no whole \.deb"):
        jars_in(file, NOTHING)


def test_local_repositories_name_what_they_hold() -> None:
    digests = [character * 64 for character in "abcdef"]
    paths = [
        "m2/log4j/log4j/1.2.17/log4j-1.2.17.jar",
        "m2/org/apache/hadoop/hadoop-common/3.2.1/hadoop-common-3.2.1-tests.jar",
        "m2/org/x/y/1-SNAPSHOT/y-1-20201010.101010-3-sources.jar",
        "gradle/files-2.1/com.x/z/2.0/0a1b/z-2.0.jar",
        "m2/odd/file.jar",
        "m2/a/b/1/other-1.jar",
    ]
    marks = ["1" * 64, "-", "2" * 64, "3" * 64, "4" * 64, "5" * 64]
    listing = [" ".join(line) for line in zip(digests, marks, paths, strict=True)]
    found = artifacts_of(listing, maven="m2", gradle="gradle")
    assert list(found.artifacts.values()) == [
        "log4j:log4j:1.2.17",
        "org.apache.hadoop:hadoop-common:3.2.1:tests",
        "org.x:y:1-SNAPSHOT:sources",
        "com.x:z:2.0",
    ]
    assert [str(one) for one in found.known.files.values()] == list(found.artifacts.values())
    assert found.classes == {
        "1" * 64: "log4j:log4j:1.2.17",
        "2" * 64: "org.x:y:1-SNAPSHOT:sources",
        "3" * 64: "com.x:z:2.0",
    }


def test_classes_that_two_artifacts_share_name_none() -> None:
    paths = ["m2/a/a/1/a-1.jar", "m2/b/b/1/b-1.jar"]
    listing = [f"{digest * 64} {'9' * 64} {path}" for digest, path in zip("ab", paths, strict=True)]
    found = artifacts_of(listing, maven="m2", gradle="gradle")
    assert found.classes == {}
    assert len(found.artifacts) == 2


def rewritten() -> bytes:
    """A jar as packaging rewrites it: other times, another order, no dates in manifest and properties."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, content in (
            ("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\n"),
            ("org/", b""),
            ("z.xml", b"<z/>"),
            ("org/example/A.class", b"\xca\xfe\xba\xbe"),
            ("version.properties", b"a=1\n"),
        ):
            archive.writestr(zipfile.ZipInfo(name, (2023, 1, 1, 0, 0, 0)), content)
    return made.getvalue()


def test_a_jar_that_packaging_has_rewritten_is_known_by_its_classes(tmp_path: Path) -> None:
    fetched = tmp_path / "m2/org/example/plain/2.0/plain-2.0.jar"
    fetched.parent.mkdir(parents=True)
    manifest = {"META-INF/MANIFEST.MF": b"Built-By: ann\n", "version.properties": b"#Monday\na=1\n"}
    fetched.write_bytes(jar({**manifest, "z.xml": b"<z/>"}))
    (tmp_path / "m2/broken-1.jar").write_bytes(b"rubbish")
    (tmp_path / "m2/odd\nname.jar").write_bytes(b"")
    (tmp_path / "m2/gone.jar").symlink_to("nowhere.jar")
    (tmp_path / "m2" / os.fsdecode(b"b\xff.jar")).write_bytes(b"PK\5\6" + b"\xff" * 18)
    program = Path(fingerprint.__file__).read_text(encoding="utf-8")
    told = run(["python3", "-I", "-c", program, "m2", "none"], cwd=tmp_path).text.splitlines()
    noted = artifacts_of(told, maven="m2", gradle="none")
    deb = package(tmp_path, {"usr/lib/plain.jar": rewritten(), "usr/lib/other.jar": jar({"z.xml": b"<y/>"})})
    assert known(jars_in(deb, noted.known)) == [
        ("usr/lib/other.jar", "other", "unknown"),
        ("usr/lib/plain.jar", "org.example:plain:2.0", "build repository (classes)"),
    ]


@pytest.mark.parametrize("coordinates", ["plain", "a:b", "a:b:", "a:b:1:c:d"])
def test_what_are_no_coordinates_is_refused_where_it_is_read(coordinates: str) -> None:
    text = json.dumps({"artifacts": {"0" * 64: coordinates}})
    with pytest.raises(InputError, match="x is not a valid Artifacts"):
        Artifacts.from_json(text, source="x")


@pytest.mark.skipif(not debhelper_can_strip(), reason="dh-strip-nondeterminism is not installed")
def test_what_debhelper_does_to_jars_changes_no_fingerprint(tmp_path: Path) -> None:
    file = tmp_path / "a.jar"
    manifest = {"META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\r\nBnd-LastModified: 1\r\n"}
    file.write_bytes(jar({**LOG4J, **manifest, "b.html": b"x", "c": b""}))
    before = file.read_bytes(), fingerprint.fingerprint(zipfile.ZipFile(file))
    run(["perl", "-MFile::StripNondeterminism", "-e", STRIP, file])
    assert file.read_bytes() != before[0]
    assert fingerprint.fingerprint(zipfile.ZipFile(file)) == before[1]


@pytest.mark.parametrize(
    ("stem", "guessed"),
    [
        ("log4j-1.2.17", ("log4j", "1.2.17")),
        ("log4j-1.2-api-2.17.1", ("log4j-1.2-api", "2.17.1")),
        ("stax-api-1.0-2", ("stax-api", "1.0-2")),
        ("scala-library", ("scala-library", "")),
        ("spark-core_2.12-3.0.1", ("spark-core_2.12", "3.0.1")),
        ("guava-18", ("guava", "18")),
    ],
)
def test_a_file_name_is_taken_apart_where_its_version_seems_to_begin(
    stem: str, guessed: tuple[str, str]
) -> None:
    assert guess(stem) == guessed
