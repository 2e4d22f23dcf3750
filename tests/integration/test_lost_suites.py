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
from bigtop_builder.errors import BuilderError, CheckFailed, InputError, PublishError, SigningError
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout, rotation
from bigtop_builder.repository.authentic import recorded
from bigtop_builder.repository.catalog import named
from bigtop_builder.repository.check import examine
from bigtop_builder.repository.gc import collect, plan
from bigtop_builder.repository.keeping import keep
from bigtop_builder.repository.layout import Retention, SuiteSettings
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.refresh import refresh
from bigtop_builder.repository.removal import remove
from bigtop_builder.repository.withdraw import withdraw
from bigtop_builder.source_package import sort_out
from debian_source import write_source
from health import problems


@pytest.fixture(scope="module")
def keyring() -> Iterator[Keyring]:
    with Keyring() as keyring:
        keyring.new_key("Ann Bee", "ann@bee.example", expires="2y")
        yield keyring


@pytest.fixture
def own_keyring() -> Iterator[Keyring]:
    """For a test whose keys change."""
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
    pointer = repository.state.unverified_pointer("stable")
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
    pointer = repository.state.unverified_pointer("stable")
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


def copied(root: Path, source: str, target: str) -> None:
    """What somebody does who can write to the store, and has no key."""
    place = root / target
    place.parent.mkdir(parents=True, exist_ok=True)
    if (root / source).is_dir():
        shutil.copytree(root / source, place, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy(root / source, place)


def test_a_signed_entry_of_another_suite_is_not_replayed(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb]
) -> None:
    for name in ("zoo", "yak", "gnu"):
        repository.add("testing", [deb(name)], keyring=keyring)
    repository.define("stable", SuiteSettings(codename="stable"))
    for name in ("1.json", "1.json.asc"):
        copied(root, f"state/history/testing/{name}", f"state/history/stable/{name}")
    assert repository.add("stable", [deb("emu")], keyring=keyring).serial == 1
    assert names(repository) == ["emu"]
    testing = repository.state.unverified_pointer("testing")
    assert testing
    assert testing.serial == 3
    assert problems(repository.state) == ()


def test_a_signed_entry_under_another_serial_is_told_and_believed_by_nobody(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb]
) -> None:
    first = repository.add("stable", [deb("zoo")], keyring=keyring).snapshot
    repository.add("stable", [deb("yak")], keyring=keyring)
    public = keyring.export_public(keys(keyring), armor=False)
    for name in ("json", "json.asc"):
        copied(root, f"state/history/stable/1.{name}", f"state/history/stable/2.{name}")
    (told,) = problems(repository.state)
    assert told.startswith("state/history/stable/2.json is what state/history/stable/1.json should be")
    (root / "state/history/stable/1.json").unlink()
    shutil.rmtree(root / "state/history" / layout.snapshot_suite(first))
    assert recorded(repository.state, {first}, public) == set()


@pytest.mark.parametrize("there", ["switch", "wrapper", "own suite"])
def test_a_signed_wrapper_of_another_suite_is_refused(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb], there: str
) -> None:
    done = repository.add("testing", [deb("zoo")], keyring=keyring)
    repository.define("stable", SuiteSettings(codename="stable"))
    source = layout.snapshot_suite(done.snapshot) if there == "own suite" else "testing"
    copied(root, f"releases/{source}/1", "releases/stable/1")
    if there == "switch":
        (root / "dists/stable").symlink_to("../releases/stable/1")
    for change in (
        lambda: repository.add("stable", [deb("emu")], keyring=keyring),
        lambda: repository.promote("testing", "stable", keyring=keyring),
        lambda: refresh(repository, ["stable"], keyring=keyring),
        lambda: collect(repository.state, keyring=keyring, clock=lambda: datetime.now(UTC)),
    ):
        with pytest.raises(CheckFailed, match=f"is release 1 of suite '{source}', and not"):
            change()
    (told,) = problems(repository.state)
    assert f"is release 1 of suite '{source}'" in told
    assert len(list((root / "releases/stable").iterdir())) == 1


@pytest.mark.parametrize("lost", [0, 2])
def test_a_signed_wrapper_under_a_higher_serial_is_refused(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb], lost: int
) -> None:
    for name in ("zoo", "yak"):
        repository.add("stable", [deb(name)], keyring=keyring)
    (root / "dists/stable").unlink()
    copied(root, "releases/stable/1", "releases/stable/9")
    if lost:
        shutil.rmtree(root / f"releases/stable/{lost}")
    with pytest.raises(CheckFailed, match="is release 1 of suite 'stable', and not 9 of stable"):
        refresh(repository, ["stable"], keyring=keyring)
    assert not (root / "dists/stable").exists()


def test_the_newest_wrapper_that_is_left_is_not_taken_for_the_newest_that_was_signed(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb]
) -> None:
    for name in ("zoo", "yak", "gnu"):
        repository.add("stable", [deb(name)], keyring=keyring)
    (root / "dists/stable").unlink()
    for gone in (3, 2):
        shutil.rmtree(root / f"releases/stable/{gone}")
        with pytest.raises(CheckFailed, match=f"release {gone - 1} of stable is not its newest") as told:
            refresh(repository, ["stable"], keyring=keyring)
        assert "bring releases/stable/3 back" in told.value.hint
    assert not (root / "dists/stable").exists()


def test_an_old_state_that_was_put_back_is_refused(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb]
) -> None:
    for name in ("zoo", "yak", "gnu"):
        repository.add("stable", [deb(name)], keyring=keyring)
    repository.promote("stable", "other", keyring=keyring, new_suite=True)
    (root / "dists/stable").unlink()
    (root / "dists/stable").symlink_to("../releases/stable/1")
    for change in (
        lambda: repository.add("stable", [deb("emu")], keyring=keyring),
        lambda: repository.promote("stable", "other", keyring=keyring),
        lambda: repository.promote("other", "stable", keyring=keyring),
        lambda: remove(repository, "stable", ["zoo"], keyring=keyring),
        lambda: refresh(repository, ["stable"], keyring=keyring),
        lambda: refresh(repository, everything=True, keyring=keyring),
    ):
        with pytest.raises(CheckFailed, match="stands at release 1, and the history of stable goes to 3"):
            change()
    (told,) = problems(repository.state)
    assert "an old state was put back" in told
    assert "repo refresh stable brings back the newest" in told
    (root / "dists/stable").unlink()
    refresh(repository, ["stable"], keyring=keyring)
    assert names(repository) == ["gnu", "yak", "zoo"]
    assert problems(repository.state) == ()


def test_what_the_same_keys_have_signed_for_another_repository_is_refused(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb]
) -> None:
    other = Repository.init(
        root.parent / "other", origin="Other", keyring=keyring, fingerprints=keys(keyring), sync=False
    )
    done = other.add("stable", [deb("zoo")], keyring=keyring)
    repository.define("stable", SuiteSettings(codename="stable"))
    for path in ("releases/stable/1", f"snapshots/{done.snapshot}", "by-hash", "pool", "state/blocks"):
        shutil.copytree(root.parent / "other" / path, root / path, symlinks=True)
    for change in (
        lambda: repository.add("stable", [deb("emu")], keyring=keyring),
        lambda: refresh(repository, ["stable"], keyring=keyring),
    ):
        with pytest.raises(CheckFailed, match="of another repository: its Origin is 'Other', not 'Our Site'"):
            change()
    assert not (root / "dists/stable").exists()


def cut_off(repository: Repository, root: Path, *left: str) -> None:
    """Take away the switch of a suite's first publish, and of what was signed all but some files."""
    assert serial(repository) == 1
    (root / "dists/stable").unlink()
    for path in (*(root / "releases/stable/1").iterdir(), *(root / "state/history/stable").iterdir()):
        if left and path.name not in left:
            path.unlink()


def warnings(repository: Repository) -> list[str]:
    found = examine(repository.state, now=datetime.now(UTC)).warnings
    return [one for one in found if "was published to once" in one]


def test_gc_leaves_a_first_publish_of_which_only_the_signed_entry_is_left(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb]
) -> None:
    done = repository.add("stable", [deb("zoo")], keyring=keyring)
    cut_off(repository, root, "1.json", "1.json.asc")
    (root / "dists" / layout.snapshot_suite(done.snapshot)).unlink()
    (told,) = warnings(repository)
    assert (
        "the next publish to it takes that up, and bigtop-builder repo refresh stable brings it back" in told
    )
    with pytest.raises(CheckFailed, match="stable was published to") as refused:
        collect(repository.state, keyring=keyring, clock=lambda: datetime.now(UTC) + timedelta(days=9))
    assert "repo refresh stable" in refused.value.hint
    (again,) = refresh(repository, ["stable"], keyring=keyring)
    assert (again.serial, again.snapshot) == (2, done.snapshot)
    assert problems(repository.state) == ()


@pytest.mark.parametrize("left", [("1.json", "1.json.asc"), ()], ids=["entry", "all"])
def test_a_suite_whose_first_snapshot_is_gone_begins_anew(
    repository: Repository,
    root: Path,
    keyring: Keyring,
    deb: Callable[[str], Deb],
    caplog: pytest.LogCaptureFixture,
    left: tuple[str, ...],
) -> None:
    done = repository.add("stable", [deb("zoo")], keyring=keyring)
    cut_off(repository, root, *left)
    shutil.rmtree(root / "snapshots" / done.snapshot)
    for path in ("dists", "releases"):
        place = root / path / layout.snapshot_suite(done.snapshot)
        place.unlink() if place.is_symlink() else shutil.rmtree(place)
    (told,) = warnings(repository)
    assert f"snapshot {done.snapshot[:16]} is gone: the next publish to it begins anew" in told
    collect(repository.state, keyring=keyring, clock=lambda: datetime.now(UTC))
    assert repository.add("stable", [deb("emu")], keyring=keyring).serial == 1
    assert f"not taken up: snapshot {done.snapshot[:16]} is gone" in caplog.text
    assert names(repository) == ["emu"]
    assert problems(repository.state) == ()


def test_a_first_snapshot_that_was_withdrawn_meanwhile_is_not_taken_up(
    repository: Repository,
    root: Path,
    keyring: Keyring,
    deb: Callable[[str], Deb],
    caplog: pytest.LogCaptureFixture,
) -> None:
    done = repository.add("stable", [deb("zoo")], keyring=keyring)
    cut_off(repository, root)
    withdraw(repository, done.snapshot, keyring=keyring, why="it loses edits")
    (told,) = warnings(repository)
    assert "is withdrawn: it loses edits: the next publish to it begins anew" in told
    with pytest.raises(InputError, match="nothing was published to suite stable"):
        refresh(repository, ["stable"], keyring=keyring)
    collect(repository.state, keyring=keyring, clock=lambda: datetime.now(UTC))
    assert repository.add("stable", [deb("emu")], keyring=keyring).serial == 1
    assert "not taken up: snapshot" in caplog.text
    assert names(repository) == ["emu"]
    assert problems(repository.state) == ()


def test_a_command_that_fails_after_it_took_something_up_says_what_stands(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb]
) -> None:
    repository.add("testing", [deb("emu")], keyring=keyring)
    done = repository.add("stable", [deb("zoo")], keyring=keyring, new_suite=True)
    for change in (
        lambda: repository.promote("testing", "stable", keyring=keyring),
        lambda: repository.add("stable", [deb("emu")], keyring=keyring, replace=True),
    ):
        cut_off(repository, root)
        with pytest.raises(PublishError, match="vanish") as refused:
            change()
        said = (
            f"release 1 of stable, which had been cut off, was completed with snapshot {done.snapshot[:16]}"
        )
        assert said in refused.value.details
        assert (serial(repository), names(repository)) == (1, ["zoo"])
    with pytest.raises(PublishError, match="vanish") as again:
        repository.promote("testing", "stable", keyring=keyring)
    assert "cut off" not in again.value.details
    assert problems(repository.state) == ()


def test_a_publish_of_which_nobody_knows_the_action_is_recorded_with_its_source_packages(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb], tmp_path: Path
) -> None:
    _, beside = sort_out([write_source(tmp_path, "emu", "1.0-1")])
    repository.add("stable", [deb("zoo")], keyring=keyring, beside=beside)
    before = repository.state.entry("stable", 1)
    assert before
    cut_off(repository, root, "InRelease")
    repository.add("stable", [deb("yak")], keyring=keyring)
    first, _ = repository.state.history("stable")
    assert {one.name: (one.architecture, one.sha256) for one in first.added} == {
        one.name: (one.architecture, one.sha256) for one in before.added
    }
    assert "whether it was an add or a promote, and why, is not known" in first.why


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


def rotate(repository: Repository, keyring: Keyring) -> None:
    """Another key takes the place of the one that signs."""
    (old,) = repository.state.settings().keys
    new = keyring.new_key("Ann Bee", "ann@bee.example", expires="2y")
    rotation.begin(repository, old, new, keyring=keyring)
    public = keyring.export_public([old], armor=False)
    rotation.finish(repository, old, keyring=keyring, public=public)


@pytest.mark.parametrize("lost", ["switch", "wrapper", "every wrapper"])
@pytest.mark.parametrize("how", ["named", "due", "rollback"])
@pytest.mark.parametrize("keys_changed", [False, True], ids=["", "other keys"])
def test_a_lost_snapshot_suite_has_its_kept_name_again(
    root: Path, own_keyring: Keyring, deb: Callable[[str], Deb], lost: str, how: str, *, keys_changed: bool
) -> None:
    keyring = own_keyring
    repository = Repository.init(
        root, origin="Our Site", keyring=keyring, fingerprints=keys(keyring), sync=False
    )
    first = repository.add("stable", [deb("zoo")], keyring=keyring).snapshot
    repository.add("stable", [deb("yak")], keyring=keyring)
    kept = keep(repository, first, keyring=keyring, name="before-upgrade")
    if keys_changed:
        rotate(repository, keyring)
    (root / "dists" / kept.suite).unlink()
    if lost != "switch":
        newest = max(int(path.name) for path in (root / "releases" / kept.suite).iterdir())
        shutil.rmtree(root / "releases" / kept.suite / str(newest))
    if lost == "every wrapper":
        shutil.rmtree(root / "releases" / kept.suite)
    repository.clock = lambda: datetime.now(UTC) + timedelta(minutes=1)  # losses are not of the same second
    rules = Retention(keep=1, rollbacks=1)
    late = datetime.now(UTC) + timedelta(days=9)
    public = keyring.export_public(repository.state.settings().keys, armor=False)
    told = plan(repository.state, now=late, public=public, rules=rules)
    assert "kept as before-upgrade" in told.stays[first]
    if how == "rollback":
        repository.rollback("stable", keyring=keyring)
    refresh(repository, [kept.suite] if how == "named" else [], keyring=keyring)
    assert named(repository.state, "before-upgrade") == first
    assert problems(repository.state) == ()
    keep(repository, "before-upgrade", undo=True, keyring=keyring)
    (root / "dists" / kept.suite).unlink()
    refresh(repository, [kept.suite], keyring=keyring)
    with pytest.raises(InputError):
        named(repository.state, "before-upgrade")


def test_nobody_who_can_but_write_to_the_store_chooses_the_name_of_a_lost_snapshot_suite(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb]
) -> None:
    done = repository.add("stable", [deb("zoo")], keyring=keyring)
    suite = layout.snapshot_suite(done.snapshot)
    told = repository.state.entry(suite, 1)
    assert told
    later = told.when + timedelta(days=1)
    forged = told.model_copy(update={"serial": 9, "when": later, "action": "keep", "kept": "x\nOrigin: Eve"})
    with Keyring() as strange:
        eve = strange.new_key("Eve", "eve@bee.example")
        (root / layout.key_file(eve)).write_bytes(strange.export_public([eve], armor=False))
        text = forged.to_json().encode()
        (root / layout.history_file(suite, 9)).write_bytes(text)
        (root / f"{layout.history_file(suite, 9)}.asc").write_bytes(strange.detach_sign(text, [eve]))
    (root / "dists" / suite).unlink()
    refresh(repository, [suite], keyring=keyring)
    assert "Eve" not in (root / "dists" / suite / "Release").read_text()
    own = repository.state.unverified_pointer(suite)
    assert own
    assert own.kept == ""


def test_a_second_line_in_the_settings_becomes_no_field_that_is_signed(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb]
) -> None:
    repository.add("stable", [deb("zoo")], keyring=keyring)
    forged = SuiteSettings(codename="stable", description="x\nSHA256:\n 0 0 main/binary-amd64/Packages")
    repository.define("stable", forged)
    before = (root / "dists/stable/InRelease").read_bytes()
    for change in (
        lambda: repository.add("stable", [deb("emu")], keyring=keyring),
        lambda: refresh(repository, ["stable"], keyring=keyring),
    ):
        with pytest.raises(PublishError, match="a second line would be a field of its own"):
            change()
    assert (root / "dists/stable/InRelease").read_bytes() == before


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
