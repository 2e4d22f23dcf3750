# SPDX-License-Identifier: Apache-2.0
"""What `repo check` and errors name as a mend does mend: each is done here, and all is as it was."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from past import Past

from apt_host import write_deb
from bigtop_builder.artifact import Deb, read_deb
from bigtop_builder.errors import CheckFailed, InputError, PublishError
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout, rotation
from bigtop_builder.repository.catalog import listed
from bigtop_builder.repository.check import examine
from bigtop_builder.repository.gate import Gate
from bigtop_builder.repository.layout import SuiteSettings
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.refresh import refresh
from bigtop_builder.repository.withdraw import withdraw
from health import problems

KEYRING = "ours-archive-keyring"


@pytest.fixture
def root(repository: Repository) -> Path:
    return Path(repository.store.name)


@pytest.fixture(scope="module")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Deb]:
    """Makes packages, each once."""
    folder = tmp_path_factory.mktemp("debs")
    return cache(lambda version, name="zoo": read_deb(write_deb(folder, name, version)))


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, store: KeyStore, keyring: Keyring, deb: Callable[..., Deb]
) -> Past:
    root = tmp_path_factory.mktemp("made") / "apt"
    return Past.of(root, store, keyring, "testing", [deb(one) for one in "123"])


@pytest.fixture
def ids(repository: Repository, made: Past) -> list[str]:
    """Snapshots of `testing`, oldest first; it points to the last one, and `stable` to none."""
    found = made.into(repository)
    repository.define("stable", SuiteSettings(codename="stable"))
    return found


def standing(repository: Repository, suite: str) -> str:
    pointer = repository.state.unverified_pointer(suite)
    assert pointer
    return pointer.snapshot


def public(repository: Repository, keyring: Keyring) -> bytes:
    return keyring.export_public(repository.state.settings().keys, armor=False)


# The list of withdrawn snapshots

SPOILT = {
    "altered": lambda path: path.write_bytes(path.read_bytes().replace(b"loses", b"keeps")),
    "empty": lambda path: path.write_bytes(b""),
    "lost": Path.unlink,
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_list_of_the_withdrawn_stops_nobody_and_a_refresh_makes_it_anew(
    repository: Repository,
    root: Path,
    keyring: Keyring,
    deb: Callable[..., Deb],
    ids: list[str],
    caplog: pytest.LogCaptureFixture,
    how: str,
) -> None:
    withdraw(repository, ids[1], keyring=keyring, why="it loses edits")
    SPOILT[how](root / layout.WITHDRAWN)
    (told,) = [
        one for one in problems(repository.state) if one.count(layout.WITHDRAWN) and "differ" not in one
    ]
    assert "bigtop-builder repo refresh makes it anew" in told
    assert [one.withdrawn for one in listed(repository.state, public(repository, keyring)) if one.withdrawn]
    for refused in (
        lambda: repository.promote(ids[1], "stable", keyring=keyring),
        lambda: repository.rollback("testing", keyring=keyring),
    ):
        with pytest.raises(PublishError, match="is withdrawn, and"):
            refused()
    assert repository.rollback("testing", to=ids[0], keyring=keyring).snapshot == ids[0]
    assert repository.promote("testing", "stable", keyring=keyring).snapshot == ids[0]
    repository.add("stable", [deb("4")], keyring=keyring)
    assert ("snapshots' own suites say which" in caplog.text) is (how != "lost")
    (done,) = refresh(repository, keyring=keyring)
    assert (done.suite, done.serial) == (layout.WITHDRAWN, 0)
    assert problems(repository.state) == ()
    (notice,) = repository.state.notices(public(repository, keyring)).values()
    assert (notice.snapshot, notice.why) == (ids[1], "it loses edits")


def test_withdrawing_again_mends_a_lost_list_and_check_names_both_directions(
    repository: Repository, root: Path, keyring: Keyring, ids: list[str]
) -> None:
    withdraw(repository, ids[0], keyring=keyring, why="it's bad")
    (root / layout.WITHDRAWN).unlink()
    (told,) = [one for one in problems(repository.state) if "differ" in one]
    again = f"bigtop-builder repo withdraw {ids[0][:16]} --why 'it'\"'\"'s bad' takes it out of use"
    assert f"{again}; with --undo too it is in use again" in told
    assert withdraw(repository, ids[0], keyring=keyring, why="it's bad").changed
    assert problems(repository.state) == ()


def test_a_change_of_keys_goes_through_with_a_spoilt_list(
    repository: Repository, root: Path, ids: list[str], keyring: Keyring
) -> None:
    withdraw(repository, ids[0], keyring=keyring, why="bad")
    (root / layout.WITHDRAWN).write_bytes(b"")
    (old,) = repository.state.settings().keys
    with Keyring() as both:
        both.import_key(keyring.export_secret(old))
        new = both.new_key("Ann Bee", "ann@bee.example")
        rotation.begin(repository, old, new, keyring=both)
    assert problems(repository.state) == ()


# Where a suite goes back to


def test_no_way_back_is_named_that_leaves_the_bad_package_in_place(
    repository: Repository, keyring: Keyring, deb: Callable[..., Deb], ids: list[str]
) -> None:
    last = repository.add("testing", [deb("1", KEYRING)], keyring=keyring).snapshot
    (affected,) = withdraw(repository, last, keyring=keyring, why="zoo 3 is bad").affected
    assert affected.target == ids[1]
    assert affected.stays == ""
    (told,) = problems(repository.state)
    assert f"bigtop-builder repo rollback testing --to {ids[1][:16]}" in told


def test_a_way_back_that_leaves_the_bad_package_in_place_says_so_where_there_is_no_other(
    repository: Repository, keyring: Keyring, deb: Callable[..., Deb]
) -> None:
    first = repository.add("testing", [deb("1")], keyring=keyring).snapshot
    last = repository.add("testing", [deb("1", KEYRING)], keyring=keyring).snapshot
    (affected,) = withdraw(repository, last, keyring=keyring, why="zoo 1 is bad").affected
    assert affected.target == first
    assert "by the keyring package alone" in affected.stays
    (told,) = problems(repository.state)
    assert affected.stays in told


def test_a_named_way_back_by_the_keyring_package_alone_is_warned_of(
    repository: Repository,
    keyring: Keyring,
    deb: Callable[..., Deb],
    ids: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    repository.add("testing", [deb("1", KEYRING)], keyring=keyring)
    repository.rollback("testing", to=ids[2], keyring=keyring)
    assert "testing: only the keyring package changes; --to ID goes further back" in caplog.text


def test_a_lost_history_is_named_by_a_rollback(
    repository: Repository, root: Path, keyring: Keyring, ids: list[str]
) -> None:
    shutil.rmtree(root / "state/history/testing")
    with pytest.raises(CheckFailed, match="3 of the 3 entries in state/history/testing") as refused:
        repository.rollback("testing", keyring=keyring)
    assert "repo promote ID testing" in refused.value.hint
    gate = Gate(allow_downgrade=True)
    assert repository.promote(ids[1], "testing", keyring=keyring, gate=gate).snapshot == ids[1]


# What hosts refuse


def test_check_fails_where_hosts_refuse_a_suite(
    repository: Repository, keyring: Keyring, ids: list[str]
) -> None:
    repository.define("testing", SuiteSettings(codename="testing", valid_days=7))
    refresh(repository, ["testing"], keyring=keyring)
    late = examine(repository.state, now=datetime.now(UTC) + timedelta(days=6))
    assert late.problems == ()
    assert "it expires on" in late.warnings[0]
    over = examine(repository.state, now=datetime.now(UTC) + timedelta(days=8))
    assert "testing: it is expired since" in over.problems[0]
    withdraw(repository, ids[2], keyring=keyring, why="bad")
    (told,) = problems(repository.state)
    assert "testing points to snapshot" in told


def test_check_fails_where_a_change_of_keys_was_cut_short(
    repository: Repository, keyring: Keyring, deb: Callable[..., Deb], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.add("testing", [deb("1")], keyring=keyring)
    (old,) = repository.state.settings().keys
    with Keyring() as both:
        both.import_key(keyring.export_secret(old))
        new = both.new_key("Ann Bee", "ann@bee.example")
        monkeypatch.setattr(rotation, "refresh_locked", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            rotation.begin(repository, old, new, keyring=both)
    assert f"testing: a change of keys was cut short: bigtop-builder key rotate {old}" in " ".join(
        problems(repository.state)
    )


# Files that were lost or altered


def test_a_suite_whose_old_snapshot_is_lost_is_promoted_to_another_one(
    repository: Repository, root: Path, keyring: Keyring, ids: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    repository.promote(ids[0], "stable", keyring=keyring)
    (root / layout.snapshot_file(ids[0])).unlink()
    assert repository.promote("testing", "stable", keyring=keyring).snapshot == ids[2]
    assert "stable: not compared with what hosts have: there is no snapshot" in caplog.text
    assert "not compared" in repository.state.history("stable")[-1].waived[0]


def pool_file(root: Path, version: str) -> Path:
    return root / layout.pool_file("main", "zoo", version, "all")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "lost": Path.unlink,
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "altered": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"?"),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_the_recorded_bytes_mend_a_file_of_the_pool_that_the_suite_has(
    repository: Repository,
    root: Path,
    keyring: Keyring,
    deb: Callable[..., Deb],
    ids: list[str],
    how: str,
) -> None:
    path = pool_file(root, "2")
    DAMAGE[how](path)
    (told,) = problems(repository.state)
    assert f"repo add testing FILE puts back the same bytes, of sha256 {deb('2').sha256}" in told
    done = repository.add("testing", [deb("2")], keyring=keyring)
    assert (done.changed, done.snapshot) == (False, ids[2])
    assert done.mended == (str(path.relative_to(root)),)
    assert problems(repository.state) == ()
    assert repository.add("testing", [deb("2")], keyring=keyring).mended == ()


@pytest.mark.parametrize("how", ["cut off", "altered"])
def test_the_recorded_bytes_mend_a_file_of_the_pool_that_only_another_suite_has(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[..., Deb], ids: list[str], how: str
) -> None:
    DAMAGE[how](pool_file(root, "2"))
    done = repository.add("stable", [deb("2")], keyring=keyring)
    assert (done.changed, len(done.mended)) == (True, 1)
    assert ids[2] == standing(repository, "testing")
    assert problems(repository.state) == ()


def test_other_bytes_than_the_recorded_ones_mend_nothing(
    repository: Repository, root: Path, keyring: Keyring, tmp_path: Path, ids: list[str]
) -> None:
    pool_file(root, "2").write_bytes(b"?")
    other = read_deb(write_deb(tmp_path / "other", "zoo", "2", data=b"other"))
    for suite in ("testing", "stable"):
        with pytest.raises(PublishError, match="with other bytes"):
            repository.add(suite, [other], keyring=keyring)
    assert standing(repository, "testing") == ids[2]
    assert pool_file(root, "2").read_bytes() == b"?"


@pytest.mark.parametrize("how", DAMAGE)
def test_a_spoilt_index_is_named_with_its_suites_and_joined_anew_from_its_blocks(
    repository: Repository, root: Path, keyring: Keyring, ids: list[str], how: str
) -> None:
    path = (root / f"dists/testing/main/binary-{'amd64'}/Packages.xz").resolve()
    before = path.read_bytes()
    DAMAGE[how](path)
    (told,) = problems(repository.state)
    own = layout.snapshot_suite(ids[2])
    assert f"by-hash/SHA256/{path.name} " in told
    assert f"(of testing, {own}): bigtop-builder repo refresh testing joins it anew" in told
    if how != "altered":
        with pytest.raises(CheckFailed, match=f"hosts would refuse stable: .*/{path.name}") as refused:
            repository.promote("testing", "stable", keyring=keyring)
        assert f"bigtop-builder repo refresh {own} joins" in refused.value.hint
        refresh(repository, [own], keyring=keyring)
    else:
        refresh(repository, ["testing"], keyring=keyring)
    assert path.read_bytes() == before
    assert problems(repository.state) == ()
    assert repository.promote("testing", "stable", keyring=keyring).snapshot == ids[2]


@pytest.mark.parametrize("lost", ["snapshots/{}/main/binary-amd64/Packages.gz", "by-hash/SHA512"])
def test_lost_links_to_indices_are_made_anew(
    repository: Repository, root: Path, keyring: Keyring, ids: list[str], lost: str
) -> None:
    path = root / lost.format(ids[2])
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert problems(repository.state)
    for one in ids:
        refresh(repository, [layout.snapshot_suite(one)], keyring=keyring)
    assert problems(repository.state) == ()


@pytest.mark.parametrize("count", [1, 3])
def test_a_suite_whose_link_and_wrappers_are_lost_comes_back_by_its_history(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[..., Deb], count: int
) -> None:
    for version in "123"[:count]:
        last = repository.add("testing", [deb(version)], keyring=keyring).snapshot
    (root / "dists/testing").unlink()
    shutil.rmtree(root / "releases/testing")
    refresh(repository, ["testing"], keyring=keyring)
    assert standing(repository, "testing") == last
    assert problems(repository.state) == ()


def test_a_repository_without_its_state_says_what_to_bring_back(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[..., Deb]
) -> None:
    repository.add("testing", [deb("1")], keyring=keyring)
    shutil.rmtree(root / "state")
    with pytest.raises(InputError) as told:
        problems(repository.state)
    assert "bring that folder back from a copy" in told.value.hint
    with pytest.raises(InputError, match="was a repository, and its state is gone") as refused:
        Repository.init(root, origin="Ours", keyring=keyring, fingerprints=[keyring.keys()[0].fingerprint])
    assert refused.value.hint == told.value.hint


def test_no_new_suite_has_a_name_as_snapshots_have_them(
    repository: Repository, keyring: Keyring, deb: Callable[..., Deb]
) -> None:
    with pytest.raises(InputError, match="is a name that a snapshot may have"):
        repository.add("snapshot-foo", [deb("1")], keyring=keyring, new_suite=True)
