# SPDX-License-Identifier: Apache-2.0
"""What one machine built another one takes from the depot, if it is what was built; and goes on without one."""

import errno
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from bigtop_builder.cache import ResultCache
from bigtop_builder.depot import BucketDepot, FolderDepot, open_depot
from bigtop_builder.errors import EnvironmentMissing, InputError
from bigtop_builder.hashes import sha256_of
from bigtop_builder.result import LOG, RESULT
from bigtop_builder.schema import digest
from results import DEB, OTHER, STAMP, STEP, put

RECORD = f"results/{STEP}/{STAMP}/{RESULT}"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


@pytest.fixture
def ours(tmp_path: Path, shared: Path) -> ResultCache:
    return ResultCache(tmp_path / "ours", FolderDepot(shared))


@pytest.fixture
def theirs(tmp_path: Path, shared: Path) -> ResultCache:
    return ResultCache(tmp_path / "theirs", FolderDepot(shared))


def object_of(shared: Path, text: str) -> Path:
    (found,) = [path for path in shared.glob("objects/*/*") if path.read_text() == text]
    return found


def test_what_others_built_is_found_and_brought(ours: ResultCache, theirs: ResultCache, shared: Path) -> None:
    built = put(theirs)
    assert ours.remote(OTHER, STAMP) == ""
    assert ours.get(STEP, STAMP) is None
    assert ours.remote(STEP, STAMP) == str(shared)
    assert ours.obtain(STEP, STAMP, hashed=False) == built
    assert ours.get(STEP, STAMP) == built
    assert (ours.folder(STEP, STAMP) / DEB).read_text() == "a package\n"
    assert {path.name for path in ours.folder(STEP, STAMP).glob(".*")} == {
        f".shared-{digest(str(shared))[:16]}"
    }


def test_whether_the_depot_has_a_result_is_asked_once(tmp_path: Path, shared: Path) -> None:
    asked = []

    class Counted(FolderDepot):
        def size(self, path: str) -> int | None:
            asked.append(path)
            return super().size(path)

    cache = ResultCache(tmp_path / "ours", Counted(shared))
    assert [cache.remote(step, STAMP) for step in (STEP, OTHER, STEP)] == ["", "", ""]
    assert len(asked) == 2


def test_only_what_is_missing_is_brought(ours: ResultCache, theirs: ResultCache, shared: Path) -> None:
    more = {"salute_1.0.0.orig.tar.gz": "the source\n"}
    put(ours, more=more)
    built = put(theirs, step=OTHER, payload="another package\n", more=more)
    object_of(shared, "the source\n").unlink()
    assert ours.obtain(OTHER, STAMP, hashed=False) == built


def test_the_first_result_stands_for_all_machines(ours: ResultCache, theirs: ResultCache) -> None:
    first = put(theirs, payload="their bytes\n")
    assert put(ours, payload="our bytes\n") == first
    assert ours.obtain(STEP, STAMP, hashed=True) == first
    assert (ours.folder(STEP, STAMP) / DEB).read_text() == "their bytes\n"


def test_altered_bytes_are_refused_told_and_replaced_by_the_next_build(
    ours: ResultCache, theirs: ResultCache, shared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(theirs)
    object_of(shared, "a package\n").write_text("A package\n")
    assert ours.obtain(STEP, STAMP, hashed=False) is None
    assert f"({DEB}) is not what its name says" in caplog.text
    assert not list(ours.root.glob(".making.*"))
    built = put(ours)
    assert object_of(shared, "a package\n")
    assert (
        ResultCache(ours.root.with_name("third"), FolderDepot(shared)).obtain(STEP, STAMP, hashed=False)
        == built
    )


def test_a_record_without_its_objects_is_no_result(
    ours: ResultCache, theirs: ResultCache, shared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(theirs)
    shutil.rmtree(shared / "objects")
    assert ours.obtain(STEP, STAMP, hashed=False) is None
    assert "is missing" in caplog.text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (DEB, "../../victim.deb"),
        (DEB, RESULT),
        (DEB, ".lock"),
        (DEB, ""),
        (DEB, LOG),
        (LOG, "other.log"),
        (f'"step": "{STEP}"', f'"step": "{OTHER}"'),
        ('"format": 1', '"format": 7'),
        ("{", "["),
    ],
)
def test_a_record_that_is_not_what_it_should_be_is_refused(
    ours: ResultCache, theirs: ResultCache, shared: Path, old: str, new: str, caplog: pytest.LogCaptureFixture
) -> None:
    put(theirs)
    record = shared / RECORD
    record.write_text(record.read_text().replace(old, new, 1))
    assert ours.obtain(STEP, STAMP, hashed=False) is None
    assert "not taken" in caplog.text
    assert {path.name for path in shared.parent.iterdir()} <= {"ours", "shared", "theirs"}
    result = put(ours)
    assert shared.joinpath(RECORD).read_text() == result.to_json()


def test_a_broken_local_result_is_replaced_by_the_shared_one(ours: ResultCache) -> None:
    built = put(ours)
    (ours.folder(STEP, STAMP) / DEB).write_text("A package\n")
    assert ours.obtain(STEP, STAMP, hashed=True) == built
    assert sha256_of(ours.folder(STEP, STAMP) / DEB) == built.debs[0].sha256


def test_a_depot_that_is_gone_is_told_once_and_done_without(
    ours: ResultCache, shared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shared.rmdir()
    assert ours.remote(STEP, STAMP) == ""
    result = put(ours)
    assert ours.obtain(STEP, STAMP, hashed=True) == result
    assert caplog.text.count("going on without") == 1
    assert not shared.exists()


class LostToAll(FolderDepot):
    """Fails when as many threads as there are have asked it."""

    together = Barrier(4)

    def read(self, path: str) -> bytes | None:  # noqa: ARG002
        self.together.wait(timeout=30)
        raise EnvironmentMissing("connection reset", hint="")

    def size(self, path: str) -> int | None:
        self.read(path)
        return None


def test_a_depot_that_is_lost_to_several_threads_at_once_costs_no_build_and_is_told_once(
    tmp_path: Path, shared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = ResultCache(tmp_path / "ours", LostToAll(shared))
    steps = [letter * 64 for letter in "cdef"]
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(cache.obtain, step, STAMP, hashed=True) for step in steps[:2]]
        built = [pool.submit(put, cache, step=step) for step in steps[2:]]
        assert [one.result() for one in asked] == [None, None]
        assert [one.result() for one in built] == [cache.get(step, STAMP) for step in steps[2:]]
    assert caplog.text.count("going on without") == 1


class TooLarge(FolderDepot):
    """What it has is too large for this machine's disk."""

    def bring(self, path: str, into: Path) -> bool:  # noqa: ARG002
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_build_is_kept_if_the_one_that_stands_cannot_be_stored_here(
    theirs: ResultCache, tmp_path: Path, shared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(theirs, payload="their bytes\n")
    cache = ResultCache(tmp_path / "ours", TooLarge(shared))
    built = put(cache, payload="our bytes\n")
    assert cache.get(STEP, STAMP) == built
    assert "No space left" in caplog.text
    cache.share_late([STEP])
    assert f"{shared} has another build of it" in caplog.text


def test_a_full_disk_of_this_machine_is_not_laid_at_the_depots_door(
    theirs: ResultCache, tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(theirs)

    def full(source: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(source))  # as shutil says it

    monkeypatch.setattr("bigtop_builder.depot.shutil.copyfile", full)
    cache = ResultCache(tmp_path / "ours", FolderDepot(shared))
    with pytest.raises(OSError, match="No space left on device") as raised:
        cache.obtain(STEP, STAMP, hashed=True)
    assert str(raised.value.filename).startswith(str(cache.root))
    assert cache.depot is not None


class Slow(FolderDepot):
    """Gives small files in time, and large ones never."""

    def bring(self, path: str, into: Path) -> bool:
        raise EnvironmentMissing(f"{path}: no answer for {into.name}", hint="")


def test_a_result_that_stands_and_cannot_be_read_now_is_not_overwritten(
    theirs: ResultCache, tmp_path: Path, shared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = put(theirs, payload="their bytes\n")
    cache = ResultCache(tmp_path / "ours", Slow(shared))
    built = put(cache, payload="our bytes\n")
    assert cache.get(STEP, STAMP) == built, "an hour's build is not lost"
    assert (shared / RECORD).read_text() == first.to_json()
    ResultCache(cache.root, FolderDepot(shared)).share_late([STEP])
    assert f"{shared} has another build of it" in caplog.text


def test_a_result_that_another_machine_mended_meanwhile_stands(
    ours: ResultCache, theirs: ResultCache, shared: Path
) -> None:
    put(theirs)
    (shared / RECORD).write_text("{")
    assert ours.obtain(STEP, STAMP, hashed=False) is None
    mended = put(ResultCache(ours.root.with_name("third"), FolderDepot(shared)), payload="third's bytes\n")
    assert put(ours, payload="our bytes\n") == mended
    assert (shared / RECORD).read_text() == mended.to_json()


def test_what_was_built_while_the_depot_was_away_is_brought_later(
    ours: ResultCache, theirs: ResultCache, shared: Path
) -> None:
    shared.rmdir()
    built = put(ours)
    shared.mkdir()
    again = ResultCache(ours.root, FolderDepot(shared))
    again.share_late([STEP])
    assert theirs.obtain(STEP, STAMP, hashed=True) == built
    (shared / RECORD).unlink()
    again.share_late([STEP])
    assert theirs.remote(STEP, STAMP) == "", "it is brought once"


def test_what_was_built_before_a_depot_was_named_is_brought_late_if_it_is_asked_for(
    ours: ResultCache, theirs: ResultCache
) -> None:
    alone = ResultCache(ours.root)
    built, _ = put(alone), put(alone, step=OTHER)
    alone.share_late([STEP, OTHER])
    ours.share_late([STEP])
    assert theirs.obtain(STEP, STAMP, hashed=True) == built
    assert theirs.obtain(OTHER, STAMP, hashed=True) is None


def test_another_depot_gets_what_the_one_before_has(
    ours: ResultCache, theirs: ResultCache, tmp_path: Path
) -> None:
    (tmp_path / "next").mkdir()
    built = put(theirs)
    assert ours.obtain(STEP, STAMP, hashed=False) == built
    moved = ResultCache(ours.root, FolderDepot(tmp_path / "next"))
    moved.share_late([STEP])
    third = ResultCache(tmp_path / "third", moved.depot)
    assert third.obtain(STEP, STAMP, hashed=True) == built


def test_what_is_in_the_depot_already_is_not_asked_for_again(
    ours: ResultCache, theirs: ResultCache, shared: Path
) -> None:
    put(theirs)
    assert ours.obtain(STEP, STAMP, hashed=False)
    shutil.rmtree(shared)
    for cache in (ours, theirs):
        cache.share_late([STEP])
        assert cache.depot, "it would be told to be away"


def test_a_result_that_is_built_anew_without_the_depot_is_held_against_the_depots(
    ours: ResultCache, shared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(ours)
    (ours.folder(STEP, STAMP) / DEB).write_text("A package\n")
    alone = ResultCache(ours.root)
    assert alone.obtain(STEP, STAMP, hashed=True) is None
    put(alone, payload="other bytes\n")
    ours.share_late([STEP])
    assert f"{shared} has another build of it" in caplog.text
    assert f"remove {ours.folder(STEP, STAMP)} to take that one" in caplog.text


def test_a_depot_that_is_away_is_told_when_it_is_to_get_something(
    ours: ResultCache, shared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(ResultCache(ours.root))
    shared.rmdir()
    ours.share_late([STEP])
    assert f"going on without {shared}" in caplog.text


def test_a_result_that_another_machine_shared_meanwhile_stands_and_this_one_keeps_its_own(
    ours: ResultCache, theirs: ResultCache, shared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shared.rmdir()
    built = put(ours, payload="our bytes\n")
    shared.mkdir()
    put(theirs, payload="their bytes\n")
    record = (shared / RECORD).read_bytes()
    again = ResultCache(ours.root, FolderDepot(shared))
    for _ in range(2):
        again.share_late([STEP])
    assert (shared / RECORD).read_bytes() == record
    assert again.obtain(STEP, STAMP, hashed=True) == built
    assert caplog.text.count("has another build of it") == 1


def test_a_depot_that_takes_nothing_late_is_no_failure_and_is_asked_again(
    ours: ResultCache, theirs: ResultCache, shared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shared.rmdir()
    built = put(ours)
    shared.mkdir()
    (shared / "objects").write_text("no folder")
    again = ResultCache(ours.root, FolderDepot(shared))
    caplog.clear()
    with caplog.at_level("INFO"):
        again.share_late([STEP])
    assert again.depot
    assert caplog.text == ""
    (shared / "objects").unlink()
    again.share_late([STEP])
    assert theirs.obtain(STEP, STAMP, hashed=True) == built


def test_a_record_in_the_depot_that_nobody_can_read_is_replaced_late(
    ours: ResultCache, theirs: ResultCache, shared: Path
) -> None:
    shared.rmdir()
    built = put(ours)
    (shared / RECORD).parent.mkdir(parents=True)
    (shared / RECORD).write_text("{")
    ResultCache(ours.root, FolderDepot(shared)).share_late([STEP])
    assert theirs.obtain(STEP, STAMP, hashed=True) == built


@pytest.mark.parametrize("harm", ["altered", "trimmed"])
def test_a_result_that_is_not_what_was_built_any_more_is_not_brought(
    ours: ResultCache, shared: Path, harm: str
) -> None:
    shared.rmdir()
    put(ours)
    shared.mkdir()
    if harm == "altered":
        (ours.folder(STEP, STAMP) / DEB).write_text("A package\n")
    else:
        shutil.rmtree(ours.folder(STEP, STAMP))
    ResultCache(ours.root, FolderDepot(shared)).share_late([STEP])
    assert list(shared.rglob("*")) == []


def test_nothing_half_written_is_left_beside_what_is_shared(theirs: ResultCache, shared: Path) -> None:
    put(theirs)
    put(theirs, step=OTHER)
    assert not [path for path in shared.rglob(".*") if path.is_file()]


def test_a_depot_is_a_folder_a_bucket_or_none(tmp_path: Path) -> None:
    assert open_depot("") is None
    assert isinstance(open_depot(str(tmp_path)), FolderDepot)
    assert isinstance(open_depot("s3://bucket/prefix"), BucketDepot)
    with pytest.raises(InputError, match="names no bucket"):
        open_depot("ftp://host/folder")
