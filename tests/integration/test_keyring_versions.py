# SPDX-License-Identifier: Apache-2.0
"""Keyring packages of different content never share a version, and no host that has one by hand is locked out."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import pytest
from keepers_desk import Desk

from apt_host import AptHost, write_deb
from bigtop_builder.artifact import read_deb
from bigtop_builder.publishing import hand_out, load_archive
from bigtop_builder.repository import keyring_package
from bigtop_builder.repository.keyring_package import KeyringPackage, build
from bigtop_builder.repository.serve import serve
from bigtop_builder.run import run
from bigtop_builder.workspace import Project

NAME = "test-archive-keyring"


def version(package: Path) -> str:
    return read_deb(package).version


def higher(one: str, other: str) -> bool:
    return not run(["dpkg", "--compare-versions", one, "gt", other], check=False).returncode


def test_a_host_with_a_package_from_before_the_rotation_takes_the_one_from_after_it(
    desk: Desk, tmp_path: Path
) -> None:
    desk.do("repo", "init")
    with serve(desk.project / "srv", host="127.0.0.1", port=0) as url:
        desk.define(url)
        desk.do("repo", "add", "stable", write_deb(desk.home, "hello", "1.0"))
        first = desk.package()
        before = first.read_bytes()
        host = AptHost.make(tmp_path / "host", first)
        host.update()
        new = json.loads(desk.do("key", "rotate", desk.old, "--json"))["new"]
        second = desk.package()
        assert first.read_bytes() == before
        assert higher(version(second), version(first))
        desk.do("repo", "add", "stable", second)
        host.update()
        assert host.candidate(NAME) == version(second)
        assert higher(host.candidate(NAME), version(first))
        desk.do("key", "rotate", desk.old, "--finish")
        ready = AptHost.make(tmp_path / "ready", second)
        ready.update()
        desk.do("repo", "check")
        with pytest.raises(AssertionError, match="NO_PUBKEY"):
            host.update()
    assert desk.repository.state.settings().keys == (new,)


def test_the_same_content_keeps_its_version_and_a_change_back_is_a_new_one(desk: Desk) -> None:
    first = desk.package()
    assert desk.package() == first
    assert version(desk.package("elsewhere")) == version(first)
    desk.define("http://y.example")
    second = desk.package()
    desk.define()
    third = desk.package()
    assert higher(version(second), version(first))
    assert higher(version(third), version(second)), "a host may have the second one"
    desk.found()
    desk.do("repo", "add", "stable", third)
    assert desk.package("again").read_bytes() == third.read_bytes()


def test_a_clock_that_was_set_back_gives_no_lower_version(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(days=3)

    archive = load_archive(Project(desk.project), folder=None, store=desk.store)
    with monkeypatch.context() as patched, archive.keyring() as keyring:
        patched.setattr("bigtop_builder.publishing.datetime", Ahead)
        first = hand_out(archive, keyring, None, desk.home)
    assert higher(version(first), f"{datetime.now(UTC) + timedelta(days=2):%Y%m%d}")
    desk.define("http://y.example")
    second = desk.package()
    assert higher(version(second), version(first))
    desk.found()
    desk.do("repo", "add", "stable", second)
    said = json.loads(desk.do("key", "rotate", desk.old, "--json"))
    assert said["warnings"] == []
    desk.do("key", "rotate", desk.old, "--finish")


def test_two_machines_in_the_same_second_give_different_versions_and_the_later_one_the_higher(
    desk: Desk,
) -> None:
    with desk.store.open([desk.old]) as keyring:
        package = KeyringPackage(
            origin="Test",
            keys=keyring.export_public([desk.old], armor=False),
            url="http://x.example",
            suites=("stable",),
            version="0",
            date=datetime(2026, 1, 1, tzinfo=UTC),
            maintainer="Ann Bee <ann@bee.example>",
        )
    other = replace(package, url="http://y.example")
    now, later = datetime(2026, 1, 2, 0, 0, 7, tzinfo=UTC), datetime(2026, 1, 2, 0, 0, 8, tzinfo=UTC)
    one, two = package.version_above((), now=now), other.version_above((), now=now)
    assert one.startswith("20260102.000007.")
    assert one != two
    assert one == package.version_above(("7",), now=now)
    assert higher(package.version_above((), now=later), two)
    assert higher(other.version_above((), now=later), one)
    for known in ("20260102.1", "20260102.235959", one, two, "20300101.000001.5"):
        assert higher(package.version_above((known,), now=now), known)
    assert build(replace(package, version=one), desk.home).is_file()


def test_a_package_by_hand_above_that_of_the_suite_and_without_the_new_key_keeps_a_rotation_open(
    founded: Desk,
) -> None:
    founded.do("repo", "add", "stable", founded.package())
    founded.do("key", "rotate", founded.old)
    record = founded.store.folder / f"{NAME}.given"
    torn = record.read_text() + "20990101.000000.1 77"  # a disk was full
    record.write_text(torn + f"\n20990101.000001.1 {'0' * 64} {founded.old}\n")
    said = founded.do("key", "rotate", founded.old, "--finish", status=9)
    assert "or hosts can have a higher one without it" in said
    (way_out,) = re.findall(r"bigtop-builder (key rotate \w+ --to \w+)", said)
    founded.do(*way_out.split())
    founded.do("key", "rotate", founded.old, "--finish")
    assert founded.repository.state.settings().keys != (founded.old,)


def test_a_definition_that_lacks_a_key_of_the_repository_makes_no_package(founded: Desk) -> None:
    stale = founded.definition.read_text()
    new = json.loads(founded.do("key", "rotate", founded.old, "--json"))["new"]
    founded.definition.write_text(stale)
    said = founded.do("key", "package", founded.home / "byhand", status=2)
    assert f"does not name {new}" in said
    assert not (founded.home / "byhand").exists()


def test_a_file_with_other_bytes_is_not_overwritten(desk: Desk) -> None:
    package = desk.package()
    package.write_bytes(b"cut short")
    said = desk.do("key", "package", package.parent, status=10)
    assert f"{package} is there and is another file" in said
    assert package.read_bytes() == b"cut short"
    assert [one.name for one in package.parent.iterdir()] == [package.name]


def test_nothing_is_given_out_that_cannot_be_recorded(desk: Desk) -> None:
    (desk.store.folder / f"{NAME}.given").mkdir()
    said = desk.do("key", "package", desk.home / "byhand", status=3)
    assert "mend the rights of keys_dir" in said
    assert not (desk.home / "byhand").exists()


def test_what_was_given_out_is_recorded_once_with_its_keys(desk: Desk) -> None:
    package = read_deb(desk.package())
    desk.package()
    (one,) = keyring_package.given(desk.store.folder, NAME)
    assert (one.version, one.sha256, one.keys) == (package.version, package.sha256, {desk.old})


def test_a_rotation_that_fails_again_and_again_makes_one_key(founded: Desk) -> None:
    kept, aside = founded.project / "srv/state/keys", founded.home / "aside"
    kept.rename(aside)
    kept.write_text("no folder: nothing can be written here")
    for _ in range(2):
        founded.do("key", "rotate", founded.old, status=10)
        (new,) = set(founded.store.fingerprints()) - {founded.old}
    kept.unlink()
    aside.rename(kept)
    said = founded.do("key", "rotate", founded.old)
    assert f"an earlier run made {new} to follow {founded.old}" in said
    assert founded.repository.state.settings().keys == (founded.old, new)
    assert set(founded.store.fingerprints()) == {founded.old, new}
    assert not list(founded.store.folder.glob("*.follows"))
    founded.do("key", "rotate", new, "--finish", "--hosts-have-new-key")
    third = json.loads(founded.do("key", "rotate", founded.old, "--json"))["new"]
    assert third != new, "a key that was dropped is not taken up again"


def test_a_subkey_rotation_that_is_run_again_goes_on_with_its_subkey(desk: Desk, tmp_path: Path) -> None:
    offline = desk.store.new("Ann Bee", "ann@bee.example", offline=tmp_path / "safe")
    desk.found()
    desk.do("key", "rotate", desk.old, "--to", offline)
    desk.do("key", "rotate", desk.old, "--finish", "--hosts-have-new-key")
    words = ("key", "rotate", offline, "--subkey", "--primary", tmp_path / "safe")
    assert "new subkey" in desk.do(*words)
    with desk.store.open([offline]) as keyring:
        signing = keyring.key(offline).signing
    said = desk.do(*words)
    assert "new subkey" not in said
    assert f"subkey {signing[1]} signs beside {signing[0]} already" in said
    with desk.store.open([offline]) as keyring:
        assert keyring.key(offline).signing == signing


def test_a_repository_that_is_not_there_is_not_to_be_rotated(desk: Desk, tmp_path: Path) -> None:
    desk.store.revoke(desk.old, desk.store.certificate(desk.old))
    said = desk.do("repo", "init", tmp_path / "e2b", "--key", desk.old, "--origin", "E", status=9)
    assert "sign with another key (bigtop-builder key new makes one)" in said
    assert "in a repository that this one signs already" in said


def test_a_revocation_right_after_a_rotation_says_which_hosts_it_locks_out(founded: Desk) -> None:
    founded.do("repo", "add", "stable", founded.package())
    said = founded.do("key", "rotate", founded.old)
    assert said.count("its revocation certificate is ") == 1
    assert said.count(".revocation.asc: keep a copy elsewhere") == 1
    done = json.loads(founded.do("key", "revoke", founded.old, "--why", "stolen", "--json"))
    (warning,) = done["warnings"]
    assert warning.startswith(f"hosts that know {founded.old} alone refuse stable until you bring them")
    assert warning.endswith("bigtop-builder key package .")


def test_a_rotation_that_is_finished_again_signs_nothing(founded: Desk) -> None:
    founded.do("key", "rotate", founded.old)
    founded.do("key", "rotate", founded.old, "--finish", "--hosts-have-new-key")
    before = [one.serial for one in founded.repository.state.history("stable")]
    said = founded.do("key", "rotate", founded.old, "--finish", "--hosts-have-new-key")
    assert "nothing is to be signed anew" in said
    assert [one.serial for one in founded.repository.state.history("stable")] == before


def test_a_definition_with_other_keys_than_the_repository_is_told_of_once(founded: Desk) -> None:
    founded.old = founded.store.new("Eve Bee", "eve@bee.example")
    founded.define()
    (founded.home / "more").mkdir()
    deb = write_deb(founded.home / "more", "yak", "1")
    for words in (
        ("repo", "check"),
        ("repo", "refresh"),
        ("repo", "add", "stable", deb),
    ):
        assert founded.do(*words).count(f"names the keys {founded.old}, and") == 1, words


def test_a_key_store_that_cannot_be_read_is_no_empty_one(desk: Desk) -> None:
    (desk.home / "keys").rename(desk.home / "away")
    (desk.home / "keys").write_text("")
    assert "cannot be read" in desk.do("key", "list", status=3)
