# SPDX-License-Identifier: Apache-2.0
"""The SBOM of a package: the same bytes each time, in a form that others read, and what people ask of it."""

import json
import sys
from pathlib import Path

import pytest

from bigtop_builder.errors import InputError
from bigtop_builder.hashes import sha256_of
from bigtop_builder.run import run
from bigtop_builder.sbom.coordinates import NOTHING, Coordinates, Known
from bigtop_builder.sbom.document import sbom_of
from bigtop_builder.sbom.inventory import Change, Part, changes, parts_of
from bigtop_builder.sbom.wanted import Wanted
from jar_forge import jar, package, pom

LOG4J = jar(pom("log4j", "log4j", "1.2.17"))
FILES = {
    "usr/lib/a/log4j-1.2.17.jar": LOG4J,
    "usr/lib/a/asm-3.1.jar": jar(),
    "usr/lib/a/x.war": jar({"WEB-INF/lib/log4j-1.2.17.jar": LOG4J, "bad.jar": b"rubbish"}),
}


def test_the_same_package_has_the_same_sbom(tmp_path: Path) -> None:
    deb = package(tmp_path, FILES)
    assert sbom_of(deb, NOTHING) == sbom_of(deb, NOTHING)


def test_it_is_the_same_in_another_process(tmp_path: Path) -> None:
    deb = package(tmp_path, FILES)
    ask = "import sys; from pathlib import Path; from bigtop_builder.sbom.document import sbom_of; "
    ask += "sys.stdout.buffer.write(sbom_of(Path(sys.argv[1])))"
    for seed in ("1", "2"):
        told = run([sys.executable, "-c", ask, deb], env={"PYTHONHASHSEED": seed}).stdout
        assert told == sbom_of(deb, NOTHING)


def test_its_serial_number_is_that_of_its_content(tmp_path: Path) -> None:
    here = Coordinates(group="asm", artifact="asm", version="3.1")
    deb = package(tmp_path, FILES)
    known = Known(files={parts(deb)["usr/lib/a/asm-3.1.jar"].sha256: here}, classes={})
    one, other = (json.loads(sbom_of(deb, each))["serialNumber"] for each in (NOTHING, known))
    assert one != other


def parts(deb: Path) -> dict[str, Part]:
    return {one.path: one for one in parts_of(sbom_of(deb, NOTHING))}


def test_it_says_of_which_package_it_is_and_when_that_was_made(tmp_path: Path) -> None:
    deb = package(tmp_path, FILES)
    said = json.loads(sbom_of(deb, NOTHING))
    assert (said["bomFormat"], said["specVersion"]) == ("CycloneDX", "1.6")
    about = said["metadata"]["component"]
    assert about["purl"] == "pkg:deb/salute@1.0-1?arch=all"
    assert about["hashes"] == [{"alg": "SHA-256", "content": sha256_of(deb)}]
    assert said["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00", "not SOURCE_DATE_EPOCH"


def test_only_what_is_known_has_a_package_url(tmp_path: Path) -> None:
    said = json.loads(sbom_of(package(tmp_path, FILES), NOTHING))
    by_path = {one["bom-ref"]: one for one in said["components"]}
    assert by_path["usr/lib/a/log4j-1.2.17.jar"]["purl"] == "pkg:maven/log4j/log4j@1.2.17"
    guessed = by_path["usr/lib/a/asm-3.1.jar"]
    assert "purl" not in guessed
    assert "group" not in guessed
    (identity,) = guessed["evidence"]["identity"]
    assert (identity["field"], identity["methods"][0]["technique"]) == ("name", "filename")
    assert identity["confidence"] < 0.5


def test_dependencies_say_what_lies_in_what(tmp_path: Path) -> None:
    said = json.loads(sbom_of(package(tmp_path, FILES), NOTHING))
    graph = {one["ref"]: sorted(one.get("dependsOn", ())) for one in said["dependencies"]}
    assert graph["salute_1.0-1_all"] == sorted(FILES)
    assert graph["usr/lib/a/x.war"] == [
        "usr/lib/a/x.war!/WEB-INF/lib/log4j-1.2.17.jar",
        "usr/lib/a/x.war!/bad.jar",
    ]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    found = parts(package(tmp_path, FILES))
    war = "usr/lib/a/x.war"
    assert [*found] == [
        "usr/lib/a/asm-3.1.jar",
        "usr/lib/a/log4j-1.2.17.jar",
        war,
        f"{war}!/WEB-INF/lib/log4j-1.2.17.jar",
        f"{war}!/bad.jar",
    ]
    nested = found[f"{war}!/WEB-INF/lib/log4j-1.2.17.jar"]
    assert (nested.package, nested.artifact, nested.version) == ("salute", "log4j:log4j", "1.2.17")
    assert nested.how == "pom.properties"
    assert "no zip archive" in found[f"{war}!/bad.jar"].unreadable


def part(artifact: str, version: str, *, package: str = "hive", how: str = "pom.properties") -> Part:
    group, _, name = artifact.rpartition(":")
    return Part(
        package=package,
        package_version="1",
        path=f"usr/lib/{name}.jar",
        group=group,
        name=name,
        version=version,
        how=how,
        merged=False,
        unreadable="",
        sha256="",
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("log4j", True),
        ("log4j@1.2.17", True),
        ("log4j@1.2*", True),
        ("log4j:log4j@1.2*", True),
        ("pkg:maven/log4j/log4j@1.2.17", True),
        ("pkg:maven/log4j/log4j@1.2*", True),
        ("pkg:maven/log4j/log4j?type=jar", True),
        ("pkg:maven/log4j/log4j@1.2.17?classifier=sources", True),
        ("pkg:maven/log4j/log4j@1.2.17#sub", True),
        ("pkg:maven/log4j/log4%6A@1.2%2E17", True),
        ("pkg:maven/log4j", True),
        ("pkg:maven/log4j/log4j@1.2", False),
        ("pkg:maven/org.apache/log4j", False),
        ("Log4j", True),
        ("LOG4J:log4J@1.2*", True),
        ("log4*", True),
        ("log4j-core", False),
        ("log4j@1.2.1", False),
        ("org.apache:log4j", False),
    ],
)
def test_an_artifact_is_found_by_what_is_said_of_it(text: str, found: bool) -> None:
    assert (part("log4j:log4j", "1.2.17") in Wanted.parse(text)) is found


def test_what_is_not_known_of_a_jar_hides_it_from_nobody() -> None:
    wanted = Wanted.parse("log4j:log4j@1.2*")
    assert part("log4j", "1.2.17") in wanted
    assert part("log4j", "") in wanted
    assert part("log4j", "2.0") not in wanted


def test_a_version_that_a_file_name_seems_to_have_may_be_one_with_a_classifier() -> None:
    tests = part("hadoop-hdfs", "3.2.1-tests", how="file name")
    assert tests in Wanted.parse("hadoop-hdfs@3.2.1")
    assert tests in Wanted.parse("org.apache.hadoop:hadoop-hdfs@3.2*")
    assert tests not in Wanted.parse("hadoop-hdfs@3.2")
    assert part("hadoop-hdfs", "3.2.1-tests") not in Wanted.parse("hadoop-hdfs@3.2.1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no artifact"),
        ("@1.2", "names no artifact"),
        ("log4j:@1", "names no artifact"),
        ("log4j:log4j:1.2.17", "has more than a group and an artifact"),
        ("log4j@[1.2,1.3)", r"'\[1.2,1.3\)' is no name or version"),
        ("log4j@>=1.2", "'>=1.2' is no name or version"),
        ("log4j@1.2 || 1.3", "is no name or version"),
        ("log4j@1.2.17@x", "'1.2.17@x' is no name or version"),
        ("pkg:maven/log4j/log4j@[1.2,1.3)", "is no name or version"),
        ("pkg:maven/log4j/log4j@1.2.?", "begins the qualifiers"),
        ("pkg:maven/", "is no package URL"),
        ("pkg:npm/left-pad@1.0", "Maven's coordinates"),
    ],
)
def test_what_is_not_understood_is_refused_and_not_looked_for(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Wanted.parse(text)


def test_a_difference_is_told_package_by_package() -> None:
    before = [part("g:same", "1"), part("g:up", "1"), part("g:gone", "1"), part("g:up", "1", package="oozie")]
    after = [part("g:same", "1"), part("g:up", "2"), part("g:new", "1"), part("g:up", "1", package="oozie")]
    assert [
        (one.package, one.verb, one.artifact, one.before, one.after) for one in changes(before, after)
    ] == [
        ("hive", "went", "g:gone", ("1",), ()),
        ("hive", "came", "g:new", (), ("1",)),
        ("hive", "changed", "g:up", ("1",), ("2",)),
    ]


def test_a_jar_of_which_one_side_knows_the_group_is_the_same() -> None:
    assert changes([part("asm", "3.1")], [part("asm:asm", "3.1")]) == []
    assert changes([part("asm", "3.1")], [part("asm:asm", "3.2")]) == [
        Change(package="hive", verb="changed", artifact="asm:asm", before=("3.1",), after=("3.2",))
    ]


def test_a_second_version_beside_the_first_is_a_change() -> None:
    found = changes([part("g:a", "1")], [part("g:a", "1"), part("g:a", "2")])
    assert [(one.before, one.after) for one in found] == [(("1",), ("1", "2"))]


def test_the_library_that_writes_sboms_is_loaded_where_one_is_made_alone() -> None:
    ask = "import sys; import bigtop_builder.cli.release, bigtop_builder.cli.parts; "
    told = run([sys.executable, "-c", f"{ask}print([m for m in sys.modules if m.startswith('cyclonedx')])"])
    assert told.text == "[]"
