# SPDX-License-Identifier: Apache-2.0
"""Checks that need no room: control fields, version policy, conflicts; and how apt and lintian are read."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bigtop_builder.artifact import Deb, read_deb
from bigtop_builder.errors import VerifyError
from bigtop_builder.recipe import LintianException, Recipe
from bigtop_builder.verify.conflicts import check_conflicts
from bigtop_builder.verify.control import check_control
from bigtop_builder.verify.integrity import Contents, inspect
from bigtop_builder.verify.lintian import judge
from bigtop_builder.verify.lintian import parse as parse_lintian
from bigtop_builder.verify.older import Indexed, lowered, newest, replaced
from bigtop_builder.verify.packages import Built
from bigtop_builder.verify.run import verdict_id, verify
from bigtop_builder.verify.simulate import parse as parse_apt
from bigtop_builder.verify.verdict import Verdict
from bigtop_builder.verify.versions import check_version
from verify_debs import STAMP, VERSION, make_deb

RECIPE = Recipe.model_validate(
    {
        "format": 1,
        "release": "3.5.0",
        "bigtop": {"repository": "bigtop", "commit": "0" * 40},
        "target": {"distribution": "debian", "suite": "bookworm", "tag": "deb12"},
        "image": {"jdk": {"package": "openjdk-17-jdk", "version": "17"}},
        "components": [{"name": "part"}],
        "roles": {"host": ["part"]},
    }
)


def _deb(folder: Path, name: str = "part", **fields: str) -> Deb:
    spelled = {key.replace("_", "-"): value for key, value in fields.items()}
    return read_deb(make_deb(folder, name, fields=spelled))


def test_a_well_formed_control_file_passes(tmp_path: Path) -> None:
    assert check_control(_deb(tmp_path), architecture="amd64") == []
    assert check_control(_deb(tmp_path, "native", Architecture="amd64"), architecture="amd64") == []


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"Maintainer": ""}, "Maintainer is missing"),
        ({"Description": ""}, "Description is missing"),
        ({"Maintainer": "nobody"}, "no `Name <address>`"),
        ({"Installed_Size": "big"}, "Installed-Size 'big' is no number"),
        ({"Architecture": "arm64"}, "Architecture is arm64: the target's is amd64"),
        ({"Essential": "yes"}, "only the distribution"),
    ],
)
def test_control_fields_that_are_wrong_are_named(
    tmp_path: Path, fields: dict[str, str], problem: str
) -> None:
    (said,) = check_control(_deb(tmp_path, **fields), architecture="amd64")
    assert problem in said


def test_a_file_whose_name_is_another_package_s_is_named(tmp_path: Path) -> None:
    path = make_deb(tmp_path, "part")
    renamed = path.rename(path.with_name("other_1_all.deb"))
    (said,) = check_control(read_deb(renamed), architecture="amd64")
    assert "other_1_all.deb" in said
    assert f"part_{VERSION}_all.deb" in said


def test_an_epoch_is_not_part_of_the_file_name(tmp_path: Path) -> None:
    deb = read_deb(make_deb(tmp_path, "part", version=f"2:{VERSION}"))
    assert check_control(deb, architecture="amd64") == []
    assert check_version(deb, component="part", expected={"part": STAMP}) == []


@pytest.mark.parametrize(
    ("version", "problem"),
    [
        ("1.0-1", "revision of 1.0-1 is 1, the plan gave"),
        (f"1.0-2-{STAMP}", "characters outside"),
        ("1.0", "has no revision"),
    ],
)
def test_a_version_that_the_plan_did_not_give_is_named(tmp_path: Path, version: str, problem: str) -> None:
    deb = read_deb(make_deb(tmp_path, "part", version=version))
    (said,) = check_version(deb, component="part", expected={"part": STAMP})
    assert problem in said
    assert check_version(deb, component="stray", expected={}) == ["component stray has no stamp in the plan"]


def _pair(
    folder: Path, one: dict[str, str], other: dict[str, str], preinst: str = ""
) -> dict[str, tuple[Deb, Contents]]:
    shared = {"usr/bin/tool": "#!/bin/sh\n"}
    scripts = {"preinst": preinst} if preinst else None
    paths = [
        make_deb(folder, "one", files=shared, fields=one, scripts=scripts),
        make_deb(folder, "other", files={"bin/tool": "#!/bin/sh\n", "usr/share/x": ""}, fields=other),
    ]
    return {deb.name: (deb, inspect(deb.path)) for deb in map(read_deb, paths)}


def test_two_packages_with_one_file_clash_also_across_the_merged_usr(tmp_path: Path) -> None:
    assert check_conflicts(_pair(tmp_path, {}, {})) == {("one", "other"): ["usr/bin/tool"]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"Conflicts": "other"}, {}),
        ({}, {"Replaces": "one (<< 2)", "Breaks": "one (<< 2)"}),
        ({"Conflicts": "tool-provider"}, {"Provides": "tool-provider"}),
    ],
)
def test_packages_that_make_way_for_one_another_do_not_clash(
    tmp_path: Path, one: dict[str, str], other: dict[str, str]
) -> None:
    assert check_conflicts(_pair(tmp_path, one, other)) == {}


def test_a_relation_to_another_version_settles_nothing(tmp_path: Path) -> None:
    assert check_conflicts(_pair(tmp_path, {"Replaces": "other (<< 0.5)"}, {}))


def test_a_diversion_settles_the_clash(tmp_path: Path) -> None:
    divert = "dpkg-divert --package one --add --rename --divert /usr/bin/tool.orig /usr/bin/tool"
    assert check_conflicts(_pair(tmp_path, {}, {}, preinst=divert)) == {}


LINTIAN = """\
running with root privileges is not recommended!
E: one: dir-or-file-in-opt opt/one/
E: one: dir-or-file-in-opt [opt/one/bin]
W: one: no-manual-page [usr/bin/one]
E: two source: source-is-missing lib/x.js
N: a note
P: two: pedantic-thing
I: two: info-thing
W: two changes: bad-distribution-in-changes-file bigtop
"""


def test_lintian_of_debian_11_and_12_is_read_alike() -> None:
    hints = parse_lintian(LINTIAN.splitlines())
    assert [(hint.level, hint.package, hint.tag, hint.context) for hint in hints] == [
        ("E", "one", "dir-or-file-in-opt", "opt/one/"),
        ("E", "one", "dir-or-file-in-opt", "[opt/one/bin]"),
        ("W", "one", "no-manual-page", "[usr/bin/one]"),
        ("E", "two", "source-is-missing", "lib/x.js"),
        ("W", "two", "bad-distribution-in-changes-file", "bigtop"),
    ]


def test_lintian_errors_fail_and_warnings_are_counted() -> None:
    findings = judge(parse_lintian(LINTIAN.splitlines()), ["one", "three"], [])
    assert [(f.subject, f.outcome) for f in findings] == [
        ("one", "failed"),
        ("two", "failed"),
        ("three", "passed"),
    ]
    assert findings[0].detail == "dir-or-file-in-opt\nopt/one/\n[opt/one/bin]"
    assert findings[2].detail == "0 warnings"


def test_a_lintian_error_that_the_recipe_lists_is_waived_in_its_packages_only() -> None:
    exceptions = [
        LintianException(tag="dir-or-file-in-opt", packages=("one",), reason="the vendor wants it there"),
        LintianException(tag="source-is-missing", packages=("one",), reason="it is in another package"),
    ]
    one, two = judge(parse_lintian(LINTIAN.splitlines()), [], exceptions)
    assert one.outcome == "waived"
    assert one.detail.endswith("waived: the vendor wants it there")
    assert two.outcome == "failed"


UNMET = """\
Some packages could not be installed.
The following packages have unmet dependencies:
 hive : Depends: python but it is not installable
        Depends: hadoop (>= 3) but 2.10 is to be installed
 hive-jdbc : Depends: hive-base but it is not going to be installed
E: Unable to correct problems, you have held broken packages.
"""


def test_apt_s_reasons_are_read() -> None:
    said = parse_apt(UNMET, 100)
    assert said.reasons == (
        "hive: Depends: python but it is not installable",
        "hive: Depends: hadoop (>= 3) but 2.10 is to be installed",
        "hive-jdbc: Depends: hive-base but it is not going to be installed",
    )
    assert said.missing == {"python", "hadoop"}
    assert said.deeper == ("hive-base",)


@pytest.mark.parametrize(
    "text",
    [
        "E: Unable to locate package gone",
        "E: Package 'gone' has no installation candidate",
        "E: Unable to locate package gone\nE: Couldn't find any package by glob 'gone'",
    ],
)
def test_a_package_that_apt_does_not_know_is_named(text: str) -> None:
    said = parse_apt(text, 100)
    assert said.reasons == ("gone is neither in the set nor in the target distribution",)
    assert said.missing == {"gone"}


def test_what_apt_would_install_is_read() -> None:
    text = "Inst one (1.0-1 localhost [all])\nInst two:i386 [1] (2:2.0 Debian:12/stable [i386])\nConf one (1.0-1)"
    assert parse_apt(text, 0).installs == {"one": "1.0-1", "two": "2:2.0"}


def test_a_refusal_without_known_words_is_a_refusal() -> None:
    assert not parse_apt("E: Something new", 100).works
    assert not parse_apt("", 1).works


def test_a_lowered_copy_and_its_relations_sort_just_below_the_set(tmp_path: Path) -> None:
    deb = _deb(
        tmp_path, Depends=f"other (= {VERSION}), third (>= {VERSION}), libc6 (>= 2.3)", Breaks="x (<< 1)"
    )
    text = lowered(deb, {"part": VERSION, "other": VERSION, "third": VERSION})
    assert f"\nVersion: {VERSION}~\n" in text
    assert f"Depends: other (= {VERSION}~), third (>= {VERSION}~), libc6 (>= 2.3)\n" in text
    assert "Breaks: x (<< 1)\n" in text


def test_the_upgrade_starts_from_the_newest_lower_version_that_was_published(tmp_path: Path) -> None:
    old, lower, same = (
        read_deb(make_deb(tmp_path, "part", version=version)) for version in ("0.9-1", "0.10-1", VERSION)
    )
    stranger = _deb(tmp_path, "stranger")
    assert replaced([same], [old, lower, same, stranger]) == [lower]
    assert replaced([old], [lower, same]) == []
    assert newest([old, same, lower])["part"] == same


def test_the_id_of_a_verdict_is_the_same_until_something_that_matters_changes(tmp_path: Path) -> None:
    built = [Built(path=make_deb(tmp_path, "part"), component="part")]
    stamps = {"part": STAMP}
    first = verdict_id(built, recipe=RECIPE, stamps=stamps, target_image="a")
    longer = RECIPE.model_copy(update={"maven": RECIPE.maven.model_copy(update={"options": ("-T2",)})})
    assert verdict_id(built, recipe=longer, stamps={**stamps, "x": "1"}, target_image="a") == first
    others = [
        verdict_id(built, recipe=RECIPE, stamps=stamps, target_image="b"),
        verdict_id(built, recipe=RECIPE, stamps={"part": "1"}, target_image="a"),
        verdict_id(built, recipe=RECIPE.model_copy(update={"roles": {}}), stamps=stamps, target_image="a"),
        verdict_id(built, recipe=RECIPE, stamps=stamps, target_image="a", unselected={"x": "y"}),
    ]
    built[0].path.write_bytes(built[0].path.read_bytes() + b"x")
    others.append(verdict_id(built, recipe=RECIPE, stamps=stamps, target_image="a"))
    assert len({first, *others}) == 6


def known(*debs: Path) -> list[Indexed]:
    """Packages as an index has them; a file that is asked for fails the test."""

    def bring() -> Path:
        raise AssertionError("no file is needed")

    read = [read_deb(path) for path in debs]
    return [Indexed(name=d.name, version=d.version, sha256=d.sha256, bring=bring) for d in read]


def test_a_published_package_that_is_not_what_its_index_says_is_refused(tmp_path: Path) -> None:
    path = make_deb(tmp_path, "part")
    whole = Indexed(name="part", version=VERSION, sha256=read_deb(path).sha256, bring=lambda: path)
    assert whole.deb() == read_deb(path)
    with pytest.raises(VerifyError, match="was altered"):
        replace(whole, sha256="0" * 64).deb()


def test_another_upgrade_is_another_verdict(tmp_path: Path) -> None:
    """The repository's own package, and the set itself once it is published, change nothing."""
    built = [Built(path=make_deb(tmp_path, "part"), component="part")]

    def made(name: str, version: str, *, text: str = "") -> Path:
        folder = tmp_path / f"{name}{version}{text}"
        folder.mkdir()
        return make_deb(folder, name, version=version, fields={"Homepage": text})

    def verdict(*previous: Path) -> str:
        return verdict_id(
            built, recipe=RECIPE, stamps={"part": STAMP}, target_image="a", previous=known(*previous)
        )

    old, older, other = made("part", "0.9-1"), made("part", "0.8-1"), made("other", "1-1")
    keyring = made("example-archive-keyring", "20261101.1")
    assert verdict(keyring, built[0].path) == verdict()
    assert verdict(older, old, keyring, built[0].path) == verdict(old)
    remade = made("part", "0.9-1", text="elsewhere")
    assert len({verdict(*given) for given in [(), (old,), (older,), (remade,), (other,), (old, other)]}) == 6


def test_a_broken_package_has_an_id_too(tmp_path: Path) -> None:
    path, old = make_deb(tmp_path, "part"), make_deb(tmp_path, "old")
    path.write_bytes(path.read_bytes()[:100])
    built = [Built(path=path, component="part")]
    assert verdict_id(built, recipe=RECIPE, stamps={"part": STAMP}, target_image="a", previous=known(old))


class _NoRooms:
    def open(self, **_: object) -> object:
        raise AssertionError("no room is needed")


def _verify(*built: Built) -> Verdict:
    return verify(
        built,
        identity="0" * 64,
        recipe=RECIPE,
        stamps={"part": STAMP},
        target_rooms=_NoRooms(),
        builder_rooms=_NoRooms(),
        tool="test",
        clock=lambda: datetime.now(UTC),
    )


def test_a_broken_package_fails_and_what_needs_it_is_skipped_never_passed(tmp_path: Path) -> None:
    good, bad = make_deb(tmp_path, "part"), make_deb(tmp_path, "second")
    bad.write_bytes(bad.read_bytes()[:-100])
    verdict = _verify(Built(path=good, component="part"), Built(path=bad, component="part"))
    outcomes = {(f.check, f.subject): f.outcome for f in verdict.findings}
    assert not verdict.passed
    assert outcomes["integrity", good.name] == "passed"
    assert outcomes["integrity", bad.name] == "failed"
    for check in ("conflicts", "lintian", "closure", "install", "upgrade", "remove", "purge", "service"):
        assert outcomes[check, "*"] == "skipped"
    assert {package.file for package in verdict.packages} == {good.name, bad.name}
    assert verdict.packages[1].name == "second"


def test_nothing_at_all_does_not_pass() -> None:
    verdict = _verify()
    assert not verdict.passed
    assert verdict.findings[0].detail == "there are no packages"


def test_a_package_whose_files_have_no_md5sums_does_not_pass(tmp_path: Path) -> None:
    path = make_deb(tmp_path, "part", md5sums={})
    broken = make_deb(tmp_path, "broken")
    broken.write_bytes(b"")
    verdict = _verify(Built(path=path, component="part"), Built(path=broken, component="part"))
    assert verdict.findings[0].detail == "md5sums is missing: usr/share/part/data"
