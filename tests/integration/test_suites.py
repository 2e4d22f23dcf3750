# SPDX-License-Identifier: Apache-2.0
"""What a suite may lose, packages that replace or leave it, and what the history says: `repo` as a shell sees it."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apt_host import write_deb
from bigtop_builder.artifact import read_deb, read_debs
from bigtop_builder.errors import PublishError, SigningError
from bigtop_builder.manifest import Manifest
from bigtop_builder.openpgp import Keyring
from bigtop_builder.publishing import _expected
from bigtop_builder.repository.gate import Gate
from bigtop_builder.repository.layout import SuiteSettings
from bigtop_builder.repository.listing import packages_of
from bigtop_builder.repository.publish import CLOSED, Repository
from bigtop_builder.repository.published import Published
from bigtop_builder.repository.removal import remove
from bigtop_builder.run import Completed
from health import problems
from manifests import manifest

Tool = Callable[..., Completed]


def held(repository: Repository, suite: str = "stable", component: str = "main") -> list[str]:
    ((_, packages),) = packages_of(repository.state, [suite])
    return [f"{name}={version}" for where, name, version, _ in packages if where == component]


def answer(done: Completed) -> Any:
    assert done.returncode == 0, done.complaint
    return json.loads(done.text)


def tree(root: Path) -> dict[str, tuple[int, int]]:
    """All files of a folder with their inode and modification time, but for the lock's."""
    paths = (path for path in root.rglob("*") if "state" not in path.relative_to(root).parts[:1])
    return {str(path): (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in paths}


# A version that goes down


def test_an_older_version_is_refused_unless_it_is_allowed_and_then_stands_beside(
    tool: Tool, repository: Repository, deb: Callable[..., Path]
) -> None:
    assert tool("add", "stable", deb("zoo", "2"), deb("zoo", "0")).returncode == 0
    before = tree(Path(repository.store.name))
    refused = tool("add", "stable", deb("zoo", "1"), deb("emu"))
    assert refused.returncode == 10
    assert "error: zoo goes down from 2 to 1 in suite stable" in refused.complaint
    assert "--allow-downgrade" in refused.complaint
    assert tree(Path(repository.store.name)) == before
    allowed = answer(
        tool("add", "stable", deb("zoo", "1"), "--allow-downgrade", "--why", "for one host", "--json")
    )
    assert allowed["lowered"] == [{"name": "zoo", "architecture": "amd64", "before": "2", "after": "1"}]
    assert held(repository) == ["zoo=0", "zoo=1", "zoo=2"]
    last = repository.state.history("stable")[-1]
    assert (last.waived, last.why) == (("goes down: zoo 2 -> 1 (amd64)",), "for one host")
    assert answer(tool("add", "stable", deb("zoo", "1"), "--json"))["changed"] is False


def test_a_promotion_that_goes_down_is_refused_and_a_rollback_is_not(
    tool: Tool, repository: Repository, deb: Callable[..., Path]
) -> None:
    for version in ("1", "2"):
        assert tool("add", "testing", deb("zoo", version), "--replace").returncode == 0
        assert tool("promote", "testing", "stable", "--new-suite").returncode == 0
    assert tool("rollback", "testing").returncode == 0
    refused = tool("promote", "testing", "stable")
    assert (refused.returncode, refused.text) == (10, "")
    assert "zoo goes down from 2 to 1 in suite stable" in refused.complaint
    assert held(repository) == ["zoo=2"]
    assert answer(tool("promote", "testing", "stable", "--allow-downgrade", "--json"))["lowered"]
    assert answer(tool("rollback", "stable", "--json"))["changed"] is True
    assert held(repository) == ["zoo=2"]
    assert problems(repository.state) == ()


# A package that vanishes, and a set that replaces


def test_a_set_that_replaces_must_not_lose_packages_unless_that_is_accepted(
    tool: Tool, repository: Repository, deb: Callable[..., Path]
) -> None:
    tool("add", "stable", deb("zoo"), deb("yak"), deb("emu"))
    tool("add", "stable", deb("other"), "--component", "contrib")
    refused = tool("add", "stable", deb("zoo", "2"), deb("yak"), "--replace")
    assert refused.returncode == 10
    assert "error: emu would vanish from suite stable" in refused.complaint
    assert "--accept" in refused.complaint
    assert held(repository) == ["emu=1", "yak=1", "zoo=1"]
    done = tool("add", "stable", deb("zoo", "2"), deb("yak"), "--replace", "--accept", "--json")
    assert "vanishes: emu 1 (amd64)" in done.complaint
    value = answer(done)
    assert value["vanished"] == [
        {"name": "emu", "version": "1", "architectures": ["amd64"], "successors": []}
    ]
    assert [one["name"] for one in value["added"]] == ["zoo"]
    assert [(one["name"], one["version"]) for one in value["removed"]] == [("emu", "1"), ("zoo", "1")]
    assert held(repository) == ["yak=1", "zoo=2"]
    assert held(repository, component="contrib") == ["other=1"]
    last = repository.state.history("stable")[-1]
    assert (last.action, [one.name for one in last.removed]) == ("replace", ["emu", "zoo"])
    assert last.waived == ("vanishes: emu 1 (amd64)",)
    assert problems(repository.state) == ()


def test_the_same_set_once_more_replaces_nothing_and_writes_nothing(
    repository: Repository, keyring: Keyring, deb: Callable[..., Path]
) -> None:
    debs = read_debs([deb("zoo"), deb("yak"), deb("bin", "1", "amd64")])
    assert repository.add("stable", debs, keyring=keyring, replace=True).changed
    before = tree(Path(repository.store.name))
    start = time.perf_counter()
    assert not repository.add("stable", debs, keyring=keyring, replace=True).changed
    assert time.perf_counter() - start < 0.3
    assert tree(Path(repository.store.name)) == before


def test_a_replaced_suite_is_the_snapshot_that_a_new_one_of_the_same_packages_is(
    repository: Repository, keyring: Keyring, deb: Callable[..., Path]
) -> None:
    first = read_debs([deb("zoo"), deb("yak"), deb("bin", "1", "amd64")])
    repository.add("stable", first[1:], keyring=keyring)
    replaced = repository.add("stable", first, keyring=keyring, replace=True)
    anew = repository.add("other", first, keyring=keyring, new_suite=True)
    assert replaced.snapshot == anew.snapshot
    assert repository.rollback("stable", keyring=keyring).changed
    assert held(repository) == ["bin=1", "yak=1"]


def test_a_promotion_that_loses_packages_is_refused_with_their_names(
    tool: Tool, repository: Repository, deb: Callable[..., Path]
) -> None:
    tool("add", "stable", deb("zoo"), deb("yak"))
    tool("add", "testing", deb("zoo"), "--new-suite")
    before = tree(Path(repository.store.name))
    refused = tool("promote", "testing", "stable")
    assert refused.returncode == 10
    assert "error: yak would vanish from suite stable" in refused.complaint
    assert tree(Path(repository.store.name)) == before
    assert answer(tool("promote", "testing", "stable", "--accept", "--json"))["vanished"][0]["name"] == "yak"
    assert repository.state.history("stable")[-1].waived == ("vanishes: yak 1 (amd64)",)


def released(*names: str, target: str = "deb12", component: str = "park") -> Manifest:
    """The manifest of a release with one component that has these packages."""
    shape = {"version": "1", "architecture": "all", "size": 1, "sha256": "1" * 64}
    return manifest(
        component, [{"file": f"{name}.deb", "name": name, **shape} for name in names], target=target
    )


def test_a_component_that_lost_a_package_since_it_was_last_released_is_refused(
    repository: Repository, keyring: Keyring, deb: Callable[..., Path]
) -> None:
    def publish(made: Manifest, *files: Path, gate: Gate = CLOSED) -> Published:
        return repository.add(
            "stable",
            read_debs(files),
            keyring=keyring,
            manifest=made.to_json().encode(),
            expected=_expected(repository.state, "stable", made),
            gate=gate,
        )

    first = released("zoo", "yak")
    assert publish(first, deb("zoo"), deb("yak")).changed
    publish(released("emu", component="birds"), deb("emu"))
    assert _expected(repository.state, "stable", released("zoo", target="deb13")) == set()
    with pytest.raises(PublishError, match="yak did not come, but would stay in suite stable"):
        publish(released("zoo"), deb("zoo", "2"))
    done = publish(released("zoo"), deb("zoo", "2"), gate=Gate(accept=True))
    assert [one.name for one in done.vanished] == ["yak"]
    assert held(repository) == ["emu=1", "yak=1", "zoo=1", "zoo=2"]
    assert publish(released("zoo"), deb("zoo", "3")).vanished == ()


# Removal


def test_packages_leave_a_suite_by_name_and_version_and_stay_in_the_pool(
    tool: Tool, repository: Repository, deb: Callable[..., Path]
) -> None:
    tool("add", "stable", deb("zoo", "1"), deb("zoo", "2"), deb("yak"), deb("emu"))
    whole = repository.state.unverified_pointer("stable")
    done = tool("remove", "stable", "zoo=2", "yak", "--why", "2 loses data", "--json")
    assert "stable: goes down: zoo 2 -> 1 (amd64); hosts that have it keep it" in done.complaint
    value = answer(done)
    assert [(one["name"], one["version"]) for one in value["removed"]] == [("yak", "1"), ("zoo", "2")]
    assert held(repository) == ["emu=1", "zoo=1"]
    assert (Path(repository.store.name) / "pool/main/z/zoo/zoo_2_all.deb").is_file()
    last = repository.state.history("stable")[-1]
    assert (last.action, last.why, len(last.removed)) == ("remove", "2 loses data", 2)
    assert problems(repository.state) == ()
    again = answer(tool("remove", "stable", "zoo=2", "yak", "--json"))
    assert (again["changed"], again["snapshot"]) == (False, value["snapshot"])
    assert answer(tool("rollback", "stable", "--json"))["snapshot"] == whole.snapshot  # type: ignore[union-attr]


def test_only_packages_of_an_architecture_or_component_leave(
    repository: Repository, keyring: Keyring, deb: Callable[..., Path]
) -> None:
    both = read_debs([deb("bin", "1", "amd64"), deb("bin", "1", "arm64"), deb("doc")])
    repository.add("stable", both, keyring=keyring)
    repository.add("stable", both[2:], component="contrib", keyring=keyring)
    remove(repository, "stable", ["bin"], architectures=["arm64"], keyring=keyring)
    remove(repository, "stable", ["doc"], component="contrib", keyring=keyring)
    ((pointer, packages),) = packages_of(repository.state)
    assert packages == [("main", "bin", "1", "amd64"), ("main", "doc", "1", "all")]
    snapshot = repository.state.snapshot(pointer.snapshot)
    assert snapshot.architectures == ("amd64", "arm64")
    assert problems(repository.state) == ()
    remove(repository, "stable", ["bin", "doc"], keyring=keyring)
    assert packages_of(repository.state)[0][1] == []
    assert problems(repository.state) == ()


@pytest.mark.parametrize(
    ("words", "brief", "hint"),
    [
        (("stable", "zooo"), "suite stable has no zooo to remove", "did you mean zoo?"),
        (("stable", "zoo", "zoo=9"), "suite stable has no zoo=9 to remove", "it has zoo=1 (all)"),
        (("stable", "zoo", "--architecture", "amd64"), "suite stable has no zoo", "it has zoo=1 (all)"),
        (
            ("stable", "zoo", "--architecture", "arm64"),
            "suite stable has no architecture arm64",
            "it has all, amd64",
        ),
        (("stable", "zoo", "--component", "mian"), "suite stable has no component mian", "it has main"),
        (("stable", "qqqqqq"), "suite stable has no qqqqqq to remove", "repo list --suite stable"),
        (("stable", "=1"), "'=1' names no package", "PACKAGE=VERSION"),
        (("stable", "zoo="), "'zoo=' names no package", "PACKAGE=VERSION"),
        (("stabel", "zoo"), "nothing was published to suite stabel", "did you mean stable?"),
    ],
)
def test_what_is_not_there_cannot_be_removed_and_nothing_changes(
    tool: Tool,
    repository: Repository,
    deb: Callable[..., Path],
    words: tuple[str, ...],
    brief: str,
    hint: str,
) -> None:
    tool("add", "stable", deb("zoo"))
    before = tree(Path(repository.store.name))
    done = tool("remove", *words)
    assert (done.returncode, done.text) == (2, "")
    assert f"error: {brief}" in done.complaint
    assert hint in done.complaint
    assert tree(Path(repository.store.name)) == before


# What comes in


def test_an_architecture_that_a_suite_is_not_for_is_told_once(tool: Tool, deb: Callable[..., Path]) -> None:
    told = "suite stable is for amd64 and gets packages for arm64 too"
    tool("add", "stable", deb("doc"))
    assert told in tool("add", "stable", deb("bin", "1", "arm64")).complaint
    assert told not in tool("add", "stable", deb("bin", "2", "arm64")).complaint


def test_other_bytes_of_the_same_version_are_told_to_get_a_new_one(
    tool: Tool, deb: Callable[..., Path], tmp_path: Path
) -> None:
    tool("add", "stable", deb("zoo"))
    (tmp_path / "other").mkdir()
    other = write_deb(tmp_path / "other", "zoo", "1", data=b"other")
    refused = tool("add", "stable", other)
    assert refused.returncode == 10
    assert "way out: give it a new version; a package of a release gets one by" in refused.complaint


def test_only_packages_of_an_architecture_come_in_and_those_for_all(
    tool: Tool, repository: Repository, deb: Callable[..., Path]
) -> None:
    files = [deb("bin", "1", "amd64"), deb("bin", "1", "arm64"), deb("doc")]
    assert tool("add", "stable", *files, "--architecture", "arm64").returncode == 0
    ((_, packages),) = packages_of(repository.state)
    assert packages == [("main", "bin", "1", "arm64"), ("main", "doc", "1", "all")]
    none = tool("add", "stable", files[0], "--architecture", "riscv64")
    assert none.returncode == 2
    assert "error: none of 1 package is for riscv64 or all" in none.complaint
    assert "way out: they are for amd64" in none.complaint


def test_what_was_not_verified_is_recorded_and_verified_when_it_comes_again(
    tool: Tool, repository: Repository, deb: Callable[..., Path], keyring: Keyring
) -> None:
    broken = read_deb(deb("zoo"))
    good = read_deb(deb("yak"))
    blind = answer(tool("add", "stable", good.path, "--no-verify", "--no-sync", "--json"))
    assert [one["verified"] for one in blind["added"]] == ["no"]
    assert repository.state.history("stable")[-1].added[0].verified == "no"
    seen = answer(tool("add", "testing", good.path, "--new-suite", "--json"))
    assert [one["verified"] for one in seen["added"]] == ["integrity"]
    strict = Repository(repository.store, integrity=lambda path: [f"{path.name} is bad"])
    strict.add("stable", [broken], keyring=keyring, verify=False)
    with pytest.raises(PublishError, match=r"zoo_1_all\.deb is bad"):
        strict.add("testing", [broken], keyring=keyring)
    assert held(repository, "testing") == ["yak=1"]


def test_a_key_that_ends_soon_publishes_nothing_new_and_still_goes_back(
    tmp_path: Path, deb: Callable[..., Path]
) -> None:
    old, new = read_debs([deb("zoo", "1"), deb("zoo", "2")])
    with Keyring() as short:
        fingerprint = short.new_key("Ann", "ann@bee.example", expires="40d")
        repository = Repository.init(
            tmp_path / "short", origin="Ours", keyring=short, fingerprints=[fingerprint], sync=False
        )
        repository.add("stable", [old], keyring=short)
        repository.add("stable", [new], keyring=short)
        repository.define("stable", SuiteSettings(codename="stable", valid_days=60))
        for change in (
            lambda: repository.add("stable", read_debs([deb("emu")]), keyring=short),
            lambda: repository.promote("stable", "stable", keyring=short),
        ):
            with pytest.raises(
                SigningError, match=f"key {fingerprint} expires on .*, before Valid-Until"
            ) as soon:
                change()
            assert "key rotate" in soon.value.hint
        assert not repository.add("stable", [new], keyring=short).changed
        assert repository.rollback("stable", keyring=short).changed
        ending = short.new_key("Bo", "bo@bee.example", expires="20d")
        other = Repository.init(
            tmp_path / "ending", origin="Ours", keyring=short, fingerprints=[ending], sync=False
        )
        with pytest.raises(SigningError, match="within 30 days"):
            other.add("stable", [old], keyring=short)
        assert not (tmp_path / "ending/dists").exists()


# Listing


def test_a_list_is_of_one_suite_or_all_and_names_components(tool: Tool, deb: Callable[..., Path]) -> None:
    tool("add", "stable", deb("zoo"))
    tool("add", "testing", deb("yak"), "--component", "contrib", "--new-suite")
    (only,) = answer(tool("list", "--suite", "testing", "--json"))
    assert (only["suite"], only["component"], only["package"], only["version"]) == (
        "testing",
        "contrib",
        "yak",
        "1",
    )
    assert len(answer(tool("list", "--json"))) == 2
    assert "contrib    yak" in tool("list").text
    unknown = tool("list", "--suite", "testng")
    assert unknown.returncode == 2
    assert "did you mean testing?" in unknown.complaint


def test_a_gate_is_shut_unless_it_is_opened() -> None:
    assert Gate() == Gate(accept=False, allow_downgrade=False)


def test_a_program_gets_serials_as_numbers_and_whole_ids(
    tool: Tool, repository: Repository, deb: Callable[..., Path]
) -> None:
    for version in "12":
        tool("add", "stable", deb("zoo", version))
    (first, _) = json.loads(tool("list", "--json").text)
    pointer = repository.state.unverified_pointer("stable")
    assert pointer
    assert (first["serial"], first["snapshot"]) == (2, pointer.snapshot)


def test_an_unset_variable_names_no_snapshot_to_go_back_to(tool: Tool, deb: Callable[..., Path]) -> None:
    for version in "12":
        tool("add", "stable", deb("zoo", version))
    done = tool("rollback", "stable", "--to", "")
    assert done.returncode == 2
    assert "--to is empty" in done.complaint
