# SPDX-License-Identifier: Apache-2.0
"""What a repository says and does after a part of it was lost by accident: links, settings, a key."""

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from apt_host import write_deb
from bigtop_builder.artifact import Deb, read_deb
from bigtop_builder.errors import BuilderError, CheckFailed, InputError, SigningError
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository.catalog import keep
from bigtop_builder.repository.check import examine
from bigtop_builder.repository.gc import collect, plan
from bigtop_builder.repository.layout import Retention
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.refresh import refresh
from bigtop_builder.repository.removal import remove
from health import problems


@pytest.fixture(scope="module")
def keyring() -> Iterator[Keyring]:
    with Keyring() as keyring:
        keyring.new_key("Ann Bee", "ann@bee.example", expires="2y")
        yield keyring


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "apt"


@pytest.fixture
def repository(root: Path, keyring: Keyring) -> Repository:
    return Repository.init(root, origin="Our Site", keyring=keyring, fingerprints=keys(keyring), sync=False)


@pytest.fixture
def deb(tmp_path: Path) -> Callable[[str], Deb]:
    """Makes packages, each once."""
    return cache(lambda name: read_deb(write_deb(tmp_path, name, "1")))


def keys(keyring: Keyring) -> list[str]:
    return [key.fingerprint for key in keyring.keys()]  # noqa: SIM118  # it is no mapping


def serial(repository: Repository) -> int:
    pointer = repository.state.pointer("stable")
    assert pointer
    return pointer.serial


@pytest.mark.parametrize("lost", ["dists/stable", "dists/stable/InRelease"])
def test_a_lost_switch_is_no_new_suite_and_a_refresh_brings_it_back(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb], lost: str
) -> None:
    for name in ("zoo", "yak"):
        repository.add("stable", [deb(name)], keyring=keyring)
    history = (root / "state/history/stable/1.json").read_bytes()
    if lost.endswith("InRelease"):
        shutil.copytree(root / "releases/stable/2", root / "kept", symlinks=True)
    (root / lost).unlink()
    (told,) = problems(repository.state)
    assert "dists/stable/InRelease is missing" in told
    assert "repo refresh stable" in told
    for change in (
        lambda: repository.add("stable", [deb("emu")], keyring=keyring),
        lambda: repository.promote("stable", "testing", keyring=keyring, new_suite=True),
        lambda: remove(repository, "stable", ["zoo"], keyring=keyring),
        lambda: collect(repository.state, keyring=keyring, clock=lambda: datetime.now(UTC)),
    ):
        with pytest.raises(CheckFailed, match="is missing, and stable was switched 2 times") as refused:
            change()
        assert "repo refresh stable" in refused.value.hint
    if lost.endswith("InRelease"):
        (root / "kept/InRelease").rename(root / "releases/stable/2/InRelease")
        shutil.rmtree(root / "kept")
        (root / "dists/stable").unlink()
    (again,) = refresh(repository, ["stable"], keyring=keyring)
    assert again.serial == 3
    assert problems(repository.state) == ()
    assert (root / "state/history/stable/1.json").read_bytes() == history


def names(repository: Repository) -> list[str]:
    pointer = repository.state.pointer("stable")
    assert pointer
    index = repository.state.snapshot(pointer.snapshot).components["main"]["amd64"]
    return [one.name for one in repository.state.packages(index)]


def test_what_was_published_once_and_lost_comes_back_with_what_is_published_next(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb]
) -> None:
    repository.add("stable", [deb("zoo")], keyring=keyring, why="first")
    (root / "dists/stable").unlink()
    health = examine(repository.state, now=datetime.now(UTC))
    assert any("repo refresh stable brings it back" in line for line in health.warnings)
    with pytest.raises(CheckFailed, match="stable was published to"):
        collect(repository.state, keyring=keyring, clock=lambda: datetime.now(UTC))
    done = repository.add("stable", [deb("zoo")], keyring=keyring)
    assert (done.serial, done.changed, [one.name for one in done.added]) == (1, True, ["zoo"])
    (root / "dists/stable").unlink()
    assert repository.add("stable", [deb("emu")], keyring=keyring).serial == 2
    assert names(repository) == ["emu", "zoo"]
    first, _ = repository.state.history("stable")
    assert (first.why, [one.name for one in first.added]) == ("first", ["zoo"])
    assert problems(repository.state) == ()


@pytest.mark.parametrize(
    "left",
    [
        ("InRelease",),
        ("InRelease", "Release", "Release.gpg", "main", "1.json"),
        ("1.json", "1.json.asc"),
        ("Release", "Release.gpg", "InRelease", "main", "1.json", "1.json.asc"),
    ],
)
def test_another_publisher_takes_up_a_very_first_publish_that_was_killed_before_its_switch(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb], left: tuple[str, ...]
) -> None:
    repository.add("stable", [deb("zoo")], keyring=keyring)
    (root / "dists/stable").unlink()
    for path in (*(root / "releases/stable/1").iterdir(), *(root / "state/history/stable").iterdir()):
        if path.name not in left:
            path.unlink()
    assert repository.add("stable", [deb("emu")], keyring=keyring).serial == 2
    assert names(repository) == ["emu", "zoo"]
    assert [[one.name for one in entry.added] for entry in repository.state.history("stable")] == [
        ["zoo"],
        ["emu"],
    ]
    assert problems(repository.state) == ()
    assert collect(repository.state, keyring=keyring, clock=lambda: datetime.now(UTC)).snapshots == ()


def test_a_first_publish_that_left_nothing_signed_is_none(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb]
) -> None:
    repository.add("stable", [deb("zoo")], keyring=keyring)
    (root / "dists/stable").unlink()
    (root / "releases/stable/1/InRelease").unlink()
    (root / "state/history/stable/1.json.asc").unlink()
    assert repository.add("stable", [deb("emu")], keyring=keyring).serial == 1
    assert names(repository) == ["emu"]
    assert problems(repository.state) == ()


def test_a_first_publish_that_somebody_else_signed_is_not_taken_up(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb]
) -> None:
    repository.add("stable", [deb("zoo")], keyring=keyring)
    (root / "dists/stable").unlink()
    with Keyring() as strange:
        eve = strange.new_key("Eve", "eve@bee.example")
        release = (root / "releases/stable/1/Release").read_bytes()
        (root / "releases/stable/1/InRelease").write_bytes(strange.clearsign(release, [eve]))
    with pytest.raises(SigningError, match="no good signature"):
        repository.add("stable", [deb("emu")], keyring=keyring)
    assert not (root / "dists/stable").exists()


def test_the_first_promotion_to_a_suite_is_taken_up_too(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb]
) -> None:
    repository.add("testing", [deb("zoo")], keyring=keyring)
    repository.promote("testing", "stable", keyring=keyring, new_suite=True)
    (root / "dists/stable").unlink()
    repository.add("testing", [deb("emu")], keyring=keyring)
    assert repository.promote("testing", "stable", keyring=keyring).serial == 2
    first, second = repository.state.history("stable")
    assert (first.action, first.source, second.before) == ("promote", "testing", first.after)
    assert problems(repository.state) == ()


@pytest.mark.parametrize("lost", ["switch", "wrapper", "every wrapper"])
@pytest.mark.parametrize("how", ["named", "due", "rollback"])
def test_a_lost_snapshot_suite_has_its_kept_name_again(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb], lost: str, how: str
) -> None:
    first = repository.add("stable", [deb("zoo")], keyring=keyring).snapshot
    repository.add("stable", [deb("yak")], keyring=keyring)
    kept = keep(repository, first, keyring=keyring, name="before-upgrade")
    (root / "dists" / kept.suite).unlink()
    if lost != "switch":
        shutil.rmtree(root / "releases" / kept.suite / "2")
    if lost == "every wrapper":
        shutil.rmtree(root / "releases" / kept.suite)
    rules = Retention(keep=1, rollbacks=1)
    late = datetime.now(UTC) + timedelta(days=9)
    told = plan(
        repository.state, now=late, public=keyring.export_public(keys(keyring), armor=False), rules=rules
    )
    assert "kept as before-upgrade" in told.stays[first]
    if how == "rollback":
        repository.rollback("stable", keyring=keyring)
    refresh(repository, [kept.suite] if how == "named" else [], keyring=keyring)
    assert repository.state.named("before-upgrade") == first
    assert problems(repository.state) == ()
    keep(repository, "before-upgrade", undo=True, keyring=keyring)
    (root / "dists" / kept.suite).unlink()
    refresh(repository, [kept.suite], keyring=keyring)
    with pytest.raises(InputError):
        repository.state.named("before-upgrade")


def test_an_unset_variable_rolls_nothing_back(
    repository: Repository, keyring: Keyring, deb: Callable[[str], Deb]
) -> None:
    for name in ("zoo", "yak"):
        repository.add("stable", [deb(name)], keyring=keyring)
    with pytest.raises(InputError, match="--to is empty"):
        repository.rollback("stable", to="", keyring=keyring)
    assert serial(repository) == 2


def test_lost_settings_come_back_only_with_the_origin_that_hosts_know(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb]
) -> None:
    repository.add("stable", [deb("zoo")], keyring=keyring)
    (root / "state/repository.json").unlink()
    command = f"repo init {root} --key {keys(keyring)[0]} --origin 'Our Site' --label 'Our Site'"
    with pytest.raises(InputError, match=r"repository\.json is missing") as lost:
        Repository.open(root)
    assert command in lost.value.hint
    for words in ({"origin": "bigtop-builder"}, {"origin": "Our Site", "label": "Other"}):
        with pytest.raises(InputError, match="'Our Site', not") as other:
            Repository.init(root, keyring=keyring, fingerprints=keys(keyring), **words)
        assert command in other.value.hint
    assert not (root / "state/repository.json").exists()
    Repository.init(root, origin="Our Site", keyring=keyring, fingerprints=keys(keyring))
    assert problems(repository.state) == ()


def test_a_missing_index_is_named_once_by_the_file_that_mends_all(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb]
) -> None:
    repository.add("stable", [deb("zoo")], keyring=keyring)
    lost = (root / "dists/stable/main/binary-amd64/Packages.gz").resolve()
    kept = lost.read_bytes()
    lost.unlink()
    (told,) = problems(repository.state)
    assert told.startswith(f"{lost.relative_to(root.resolve())} is missing")
    lost.write_bytes(kept)
    assert problems(repository.state) == ()


def test_a_copy_without_links_is_told_before_anything_is_written(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb]
) -> None:
    repository.add("stable", [deb("zoo")], keyring=keyring)
    copy = root.parent / "copy"
    shutil.copytree(root, copy)
    other = Repository.open(copy)
    said = problems(other.state)
    assert said
    assert all("is a folder, not a link" in line for line in said)
    before = sorted(copy.rglob("*"))
    for change in (
        lambda: other.add("stable", [deb("emu")], keyring=keyring),
        lambda: refresh(other, ["stable"], keyring=keyring),
    ):
        with pytest.raises(BuilderError, match="dists/stable is a folder, not a link"):
            change()
    assert [path for path in sorted(copy.rglob("*")) if "state/tmp" not in str(path)] == before


def test_a_missing_signature_is_told_as_missing(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb]
) -> None:
    repository.add("stable", [deb("zoo")], keyring=keyring)
    (root / "dists/stable/Release.gpg").unlink()
    (told,) = problems(repository.state)
    assert told.startswith("dists/stable/Release.gpg is missing: ")
    refresh(repository, ["stable"], keyring=keyring)
    assert problems(repository.state) == ()


def test_of_two_keys_the_healthy_one_is_the_way_out(tmp_path: Path, deb: Callable[[str], Deb]) -> None:
    with Keyring() as early, Keyring() as late:
        old = early.new_key("Old", "old@bee.example", expires="seconds=4")
        other = early.new_key("Other", "other@bee.example", expires="2y")
        repository = Repository.init(
            tmp_path / "two", origin="Ours", keyring=early, fingerprints=[old, other], sync=False
        )
        repository.add("stable", [deb("zoo")], keyring=early)
        time.sleep(5)
        for key in (old, other):
            late.import_key(early.export_secret(key))
        for change in (
            lambda: repository.add("stable", [deb("emu")], keyring=late),
            lambda: repository.rollback("stable", keyring=late),
            lambda: refresh(repository, keyring=late),
        ):
            with pytest.raises(SigningError, match=f"key {old} expired") as ended:
                change()
            assert f"key rotate {old} --finish --to {other}" in ended.value.hint
