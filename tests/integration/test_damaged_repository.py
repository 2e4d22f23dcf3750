# SPDX-License-Identifier: Apache-2.0
"""What a damaged repository says and does: files that are gone, cut off or altered, a full disk, a strict umask."""

import errno
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from past import Past

from apt_host import AptHost, write_deb
from bigtop_builder.artifact import Deb, read_deb
from bigtop_builder.errors import CheckFailed, SigningError
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout
from bigtop_builder.repository.check import Health, examine
from bigtop_builder.repository.gc import Plan, collect
from bigtop_builder.repository.keeping import keep
from bigtop_builder.repository.layout import Retention
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.refresh import refresh
from bigtop_builder.repository.serve import serve
from bigtop_builder.repository.store import Content
from bigtop_builder.repository.store.filesystem import FilesystemStore
from bigtop_builder.repository.withdraw import withdraw
from bigtop_builder.run import Completed
from s3_server import BUCKET, variables, versitygw

Tool = Callable[..., Completed]
LATE = timedelta(days=9)
IN_RELEASE = "dists/stable/InRelease"


@pytest.fixture
def root(repository: Repository) -> Path:
    return Path(repository.store.name)


@pytest.fixture(scope="module")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Deb]:
    """Makes packages, each once."""
    folder = tmp_path_factory.mktemp("debs")
    return cache(lambda version: read_deb(write_deb(folder, "zoo", version)))


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, store: KeyStore, keyring: Keyring, deb: Callable[[str], Deb]
) -> Past:
    root = tmp_path_factory.mktemp("made") / "apt"
    return Past.of(root, store, keyring, "stable", [deb(one) for one in "1234"])


@pytest.fixture
def ids(repository: Repository, made: Past) -> list[str]:
    """Snapshots of `stable`, oldest first; it points to the last one."""
    return made.into(repository)


def health(repository: Repository) -> Health:
    return examine(repository.state, now=datetime.now(UTC))


def removed(repository: Repository, keyring: Keyring) -> Plan:
    """What a gc removes in nine days that keeps but the last snapshot, and what a rollback goes to."""
    return collect(
        repository.state,
        keyring=keyring,
        clock=lambda: datetime.now(UTC) + LATE,
        rules=Retention(keep=1),
    )


def files(root: Path) -> Mapping[str, bytes]:
    every = (path for path in root.rglob("*") if path.is_file() and "state/lock" not in str(path))
    return {str(path.relative_to(root)): path.read_bytes() for path in every if not path.is_symlink()}


def snapshot(repository: Repository) -> str:
    pointer = repository.state.unverified_pointer("stable")
    assert pointer
    return pointer.snapshot


# Snapshots that are gone


@pytest.mark.parametrize("switch", ["stands", "is lost too"])
def test_a_kept_snapshot_that_is_missing_is_told_and_nothing_is_removed(
    repository: Repository, root: Path, keyring: Keyring, ids: list[str], switch: str
) -> None:
    own = keep(repository, ids[0], keyring=keyring, name="before-upgrade").suite
    shutil.rmtree(root / "snapshots" / ids[0])
    if switch == "is lost too":
        (root / "dists" / own).unlink()
    before = files(root)
    (told,) = health(repository).problems
    assert told.startswith(f"snapshots/{ids[0]}/snapshot.json is missing")
    assert "kept as before-upgrade" in told
    with pytest.raises(
        CheckFailed, match=f"{layout.snapshot_file(ids[0])} is missing, and in use"
    ) as refused:
        removed(repository, keyring)
    assert "kept as before-upgrade" in refused.value.details
    assert files(root) == before


@pytest.mark.parametrize("alone", [False, True], ids=["", "without a suite of its own"])
def test_what_a_rollback_goes_to_is_missed_and_nothing_is_removed(
    repository: Repository, root: Path, keyring: Keyring, ids: list[str], *, alone: bool
) -> None:
    (root / layout.snapshot_file(ids[2])).unlink()
    if alone:
        own = layout.snapshot_suite(ids[2])
        (root / "dists" / own).unlink()
        for folder in ("releases", "state/history"):
            shutil.rmtree(root / folder / own)
    before = files(root)
    (told,) = health(repository).problems
    assert told.startswith(f"snapshots/{ids[2]}/snapshot.json is missing")
    assert "stable goes back to it" in told
    with pytest.raises(CheckFailed, match="is missing, and in use") as refused:
        removed(repository, keyring)
    assert "stable can go back to it" in refused.value.details
    assert files(root) == before


def test_the_snapshot_that_suites_point_to_is_missed_once(
    repository: Repository, root: Path, keyring: Keyring, ids: list[str]
) -> None:
    repository.promote("stable", "testing", keyring=keyring, new_suite=True)
    (root / layout.snapshot_file(ids[3])).unlink()
    (told,) = health(repository).problems
    assert all(f"{suite} points to it" in told for suite in ("stable", "testing"))


def test_a_missing_snapshot_that_the_rules_would_remove_holds_up_no_gc(
    repository: Repository, root: Path, keyring: Keyring, ids: list[str]
) -> None:
    shutil.rmtree(root / "snapshots" / ids[0])
    assert set(removed(repository, keyring).snapshots) == {ids[0], ids[1]}
    assert health(repository) == Health(problems=(), warnings=())
    assert not (root / "dists" / layout.snapshot_suite(ids[0])).exists()


def test_what_a_gc_has_removed_is_not_missed_under_other_rules(
    repository: Repository, root: Path, keyring: Keyring, ids: list[str]
) -> None:
    assert set(removed(repository, keyring).snapshots) == {ids[0], ids[1]}
    late = datetime.now(UTC) + LATE
    assert collect(repository.state, keyring=keyring, clock=lambda: late, rules=Retention()).snapshots == ()
    repository.rollback("stable", keyring=keyring)
    assert health(repository) == Health(problems=(), warnings=())
    for path in (root / "state/collected").iterdir():
        path.unlink()
    with pytest.raises(CheckFailed, match="is missing, and in use"):
        collect(repository.state, keyring=keyring, clock=lambda: late, rules=Retention())


# A suite whose InRelease is gone or spoilt


def spoil(path: Path, how: str) -> None:
    signed = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "with a line before it":
        path.write_bytes(b"x\n" + signed)
    else:
        cut = {
            "empty": 0,
            "cut off": len(signed) // 2,
            "cut in its fields": 90,
            "cut before its hashes": signed.index(b"SHA256:"),
            "cut in its signature": -100,
        }
        path.write_bytes(signed[: cut[how]] if how in cut else signed.replace(b"Origin: O", b"Origin: 0"))


SPOILT = [
    "missing",
    "empty",
    "cut off",
    "cut in its fields",
    "cut before its hashes",
    "cut in its signature",
    "altered",
    "with a line before it",
]


@pytest.mark.parametrize("how", SPOILT)
@pytest.mark.parametrize("left", ["all else", "the signed Release", "the signed entry", "the link alone"])
def test_a_spoilt_in_release_is_told_and_a_refresh_stays_at_the_snapshot_that_it_had(
    repository: Repository, root: Path, keyring: Keyring, ids: list[str], how: str, left: str
) -> None:
    spoil(root / IN_RELEASE, how)
    (told,) = health(repository).problems
    assert "repo refresh stable brings it back" in told
    for change in (
        lambda: repository.rollback("stable", keyring=keyring),
        lambda: refresh(repository, keyring=keyring),
    ):
        with pytest.raises((CheckFailed, SigningError)) as refused:
            change()
        assert "repo refresh stable" in refused.value.hint
    if left == "the signed Release":
        (root / "state/history/stable/4.json.asc").unlink()
    if left in {"the signed entry", "the link alone"}:
        (root / "dists/stable/Release.gpg").unlink()
    if left == "the link alone":
        (root / "state/history/stable/4.json.asc").unlink()
    before = files(root / "state/history/stable")
    if left == "the link alone":
        with pytest.raises(CheckFailed, match="nothing that is signed says where stable stood"):
            refresh(repository, ["stable"], keyring=keyring)
        assert files(root / "state/history/stable") == before
        return
    (again,) = refresh(repository, ["stable"], keyring=keyring)
    assert (again.serial, again.snapshot) == (5, ids[3])
    assert f"it has snapshot {ids[3][:12]} as before, of its release 4" in again.reason
    assert before.items() <= files(root / "state/history/stable").items()
    if left != "the signed Release":
        assert health(repository) == Health(problems=(), warnings=())


@pytest.mark.parametrize("how", SPOILT)
def test_a_suite_whose_link_is_lost_too_has_its_newest_signed_release_again(
    repository: Repository, root: Path, keyring: Keyring, ids: list[str], how: str
) -> None:
    spoil(root / IN_RELEASE, how)
    (root / "dists/stable").unlink()
    before = files(root / "state/history/stable")
    (again,) = refresh(repository, ["stable"], keyring=keyring)
    assert (again.serial, again.snapshot) == (5, ids[3])
    assert before.items() <= files(root / "state/history/stable").items()
    assert health(repository) == Health(problems=(), warnings=())


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_snapshot_suite_comes_back_with_its_name(
    repository: Repository, root: Path, keyring: Keyring, ids: list[str], how: str
) -> None:
    own = keep(repository, ids[0], keyring=keyring, name="before-upgrade").suite
    spoil(root / "dists" / own / "InRelease", how)
    before = files(root / "state/history" / own)
    (again,) = refresh(repository, [own], keyring=keyring)
    assert (again.serial, again.snapshot) == (3, ids[0])
    assert before.items() <= files(root / "state/history" / own).items()
    pointer = repository.state.unverified_pointer(own)
    assert pointer
    assert pointer.kept == "before-upgrade"
    assert health(repository) == Health(problems=(), warnings=())


@pytest.mark.parametrize("how", ["empty", "cut off"])
def test_a_suite_that_was_published_to_once_and_is_spoilt_comes_back(
    repository: Repository, root: Path, keyring: Keyring, deb: Callable[[str], Deb], how: str
) -> None:
    first = repository.add("stable", [deb("1")], keyring=keyring).snapshot
    spoil(root / IN_RELEASE, how)
    (again,) = refresh(repository, ["stable"], keyring=keyring)
    assert (again.serial, again.snapshot) == (2, first)
    assert health(repository) == Health(problems=(), warnings=())


def test_a_spoilt_in_release_comes_back_on_s3(
    tmp_path: Path, keyring: Keyring, deb: Callable[[str], Deb], monkeypatch: pytest.MonkeyPatch
) -> None:
    with versitygw(tmp_path / "versitygw") as server:
        for name, value in variables(server.port).items():
            monkeypatch.setenv(name, value)
        fingerprints = [key.fingerprint for key in keyring.keys()]  # noqa: SIM118  # it is no mapping
        far = Repository.init(f"s3://{BUCKET}/apt", origin="Ours", keyring=keyring, fingerprints=fingerprints)
        first, last = (far.add("stable", [deb(one)], keyring=keyring).snapshot for one in "12")
        store = far.store
        for suite, snapshot in (("stable", last), (layout.snapshot_suite(first), first)):
            path = f"dists/{suite}/InRelease"
            signed = store.read(path) or b""
            for spoilt in (
                b"",
                signed[:90],
                signed[: len(signed) // 2],
                signed.replace(b"Ours", b"0urs"),
                None,
            ):
                store.remove([path])
                if spoilt is not None:
                    store.put({path: spoilt})
                (again,) = refresh(far, [suite], keyring=keyring)
                assert again.snapshot == snapshot
            assert again.serial >= 6
        assert health(far) == Health(problems=(), warnings=())


def test_the_answer_of_a_refresh_names_what_the_suite_stays_at(
    tool: Tool, root: Path, ids: list[str]
) -> None:
    (root / IN_RELEASE).write_bytes(b"")
    listed = tool("list")
    assert listed.returncode == CheckFailed.exit_code
    assert "repo refresh stable brings it back" in listed.complaint
    done = tool("refresh", "stable")
    assert done.returncode == 0, done.complaint
    assert f"snapshot {ids[3][:12]} as before" in done.text


# What check overlooked


@pytest.mark.parametrize("where", ["after", "before"])
def test_bytes_around_what_is_signed_are_told_as_apt_refuses_them(
    repository: Repository, root: Path, keyring: Keyring, ids: list[str], tmp_path: Path, where: str
) -> None:
    assert ids
    path = root / IN_RELEASE
    signed = path.read_bytes()
    path.write_bytes(signed + b"x\n" if where == "after" else b"x\n" + signed)
    (told,) = health(repository).problems
    assert IN_RELEASE in told
    assert "repo refresh stable" in told
    public = keyring.export_public(repository.state.settings().keys, armor=False)
    with serve(root) as url:
        host = AptHost.following(tmp_path / "host", url=url, suite="stable", key=public)
        with pytest.raises(AssertionError):
            host.update()
        refresh(repository, ["stable"], keyring=keyring)
        host.update()
    assert health(repository) == Health(problems=(), warnings=())


def test_a_release_that_in_release_does_not_sign_is_told(
    repository: Repository, root: Path, keyring: Keyring, ids: list[str]
) -> None:
    assert ids
    path = root / "dists/stable/Release"
    text = path.read_bytes() + b"Note: other\n"
    path.write_bytes(text)
    keys = repository.state.settings().keys
    (root / "dists/stable/Release.gpg").write_bytes(keyring.detach_sign(text, keys))
    (told,) = health(repository).problems
    assert "Release and InRelease differ" in told


def test_a_suite_that_points_to_a_withdrawn_snapshot_is_told_of(
    repository: Repository, keyring: Keyring, ids: list[str]
) -> None:
    withdraw(repository, ids[3], keyring=keyring, why="loses edits")
    (told,) = health(repository).problems
    assert told.startswith(f"stable points to snapshot {ids[3][:16]}, which is withdrawn: loses edits")
    assert f"repo rollback stable --to {ids[2][:16]}" in told


def test_files_that_only_their_owner_can_read_are_warned_of_once_with_what_mends_it(
    tmp_path: Path, keyring: Keyring, deb: Callable[[str], Deb], repository: Repository
) -> None:
    root, zoo = tmp_path / "private", deb("1")
    before = os.umask(0o077)
    try:
        private = Repository.init(
            root, origin="Ours", keyring=keyring, fingerprints=repository.state.settings().keys, sync=False
        )
        private.add("stable", [zoo], keyring=keyring)
    finally:
        os.umask(before)
    (told,) = health(private).warnings
    assert f"chmod -R go+rX {root}" in told
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
    assert health(private) == Health(problems=(), warnings=())


def test_a_lost_public_key_is_told_in_one_line_and_a_refresh_writes_it(
    repository: Repository, root: Path, keyring: Keyring, ids: list[str]
) -> None:
    assert ids
    (fingerprint,) = repository.state.settings().keys
    path = root / layout.key_file(fingerprint)
    public = path.read_bytes()
    path.unlink()
    found = health(repository)
    (told,) = found.problems
    assert told.startswith(f"{layout.key_file(fingerprint)} is missing")
    assert "bigtop-builder repo refresh" in told
    assert found.warnings == ()
    assert refresh(repository, keyring=keyring) == ()
    assert path.read_bytes() == public
    assert health(repository) == Health(problems=(), warnings=())


# A full disk


class Full(FilesystemStore):
    """A disk that has no room before something was removed.

    Attributes:
        models: Snapshots that were there when something was written.
    """

    room = False
    models = 0

    def put(self, files: Mapping[str, Content], *, modified: datetime | None = None) -> None:
        if not self.room:
            with self._complaints():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"{self.root}/{next(iter(files))}")
        super().put(files, modified=modified)
        self.models = len(list((self.root / "snapshots").glob("*/snapshot.json")))

    def remove(self, paths: Collection[str]) -> None:
        super().remove(paths)
        self.room = True


def test_gc_makes_room_on_a_full_disk_and_its_record_is_there_before_a_snapshot_goes(
    repository: Repository, root: Path, keyring: Keyring, ids: list[str]
) -> None:
    store = Full(root, sync=False)
    full = Repository(store)
    assert set(removed(full, keyring).snapshots) == {ids[0], ids[1]}
    assert len(list((root / "state/collected").glob("*.json"))) == 1
    assert store.models == len(ids)
    assert health(repository) == Health(problems=(), warnings=())
    assert removed(repository, keyring).count == 0
