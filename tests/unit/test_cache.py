# SPDX-License-Identifier: Apache-2.0
"""Results are found whole or not at all."""

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from bigtop_builder.cache import ResultCache
from bigtop_builder.changes import changes
from bigtop_builder.errors import BuildError
from bigtop_builder.hashes import sha256_of
from bigtop_builder.result import LOG, RESULT, Result, ResultFile, describe
from bigtop_builder.run import run
from results import DEB, OTHER, STAMP, STEP, put

OLD = time.time() + 3600
"""After all that a test builds."""


@pytest.fixture
def cache(tmp_path: Path) -> ResultCache:
    return ResultCache(tmp_path / "results")


def test_what_was_put_is_found_again(cache: ResultCache) -> None:
    result = put(cache)
    assert cache.get(STEP, STAMP) == result
    assert [file.file for file in result.debs] == ["salute_1.0.0_all.deb"]
    assert result.log.file == LOG
    assert result.log.sha256 == hashlib.sha256(b"a log\n").hexdigest()


def test_an_unknown_step_or_another_serial_has_no_result(cache: ResultCache) -> None:
    assert cache.get(STEP, STAMP) is None
    put(cache)
    assert cache.get(OTHER, STAMP) is None
    assert cache.get(STEP, "1+bt1.0.0.2~deb12") is None


@pytest.mark.parametrize("damage", ["cut off", "gone", "no record", "malformed record", "other format"])
def test_a_damaged_result_is_not_found_and_can_be_made_again(cache: ResultCache, damage: str) -> None:
    result = put(cache)
    folder = cache.folder(STEP, STAMP)
    deb, record = folder / "salute_1.0.0_all.deb", folder / RESULT
    match damage:
        case "cut off":
            deb.write_text("a pack")
        case "gone":
            deb.unlink()
        case "no record":
            record.unlink()
        case "malformed record":
            record.write_text(record.read_text()[:40])
        case "other format":
            record.write_text(record.read_text().replace('"format": 1', '"format": 2'))
    assert cache.get(STEP, STAMP) is None
    assert cache.known(STEP) is None
    assert put(cache) == result
    assert cache.get(STEP, STAMP) == result


def test_the_build_that_ends_first_stands_and_later_ones_are_handed_its_result(cache: ResultCache) -> None:
    first = put(cache)
    assert put(cache, payload="other bytes\n") == first
    assert cache.get(STEP, STAMP) == first
    assert sorted(path.name for path in cache.root.iterdir()) == sorted([".lock", "objects", STEP])


def test_builds_that_end_at_the_same_time_are_all_handed_the_one_that_stands(cache: ResultCache) -> None:
    start = Barrier(8)

    def build(number: int) -> Result:
        start.wait()
        return put(cache, payload=f"bytes of build {number}\n")

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(build, range(8)))
    assert results == [cache.get(STEP, STAMP)] * 8
    deb = cache.folder(STEP, STAMP) / "salute_1.0.0_all.deb"
    assert sha256_of(deb) == results[0].debs[0].sha256


def test_a_build_that_fails_leaves_nothing(cache: ResultCache) -> None:
    def fail() -> None:
        with cache.making() as folder:
            (folder / "half.deb").write_text("half")
            raise BuildError("gradle failed")

    with pytest.raises(BuildError):
        fail()
    assert list(cache.root.iterdir()) == []


def test_what_a_killed_build_left_goes_when_the_next_begins_and_a_living_ones_stays(
    cache: ResultCache,
) -> None:
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom bigtop_builder.cache import ResultCache\n"
        "with ResultCache(Path(sys.argv[1])).making() as folder:\n"
        "    (folder / 'half.deb').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with cache.making() as living:
        run([sys.executable, "-c", script, cache.root], check=False)
        (left,) = set(cache.root.glob(".making.*")) - {living}
        with cache.making():
            assert not left.exists()
            assert living.is_dir()


def test_any_result_of_a_step_is_found_under_whatever_stamp(cache: ResultCache) -> None:
    assert cache.known(STEP) is None
    second = put(cache, stamp="1+bt1.0.0.2~deb12")
    assert cache.known(STEP) == second
    assert cache.known(OTHER) is None


def test_a_description_has_size_and_hash_of_each_file_by_name(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"12")
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / RESULT).write_text("is not described")
    (tmp_path / "folder").mkdir()
    assert [(file.file, file.size, file.sha256) for file in describe(tmp_path)] == [
        ("a", 1, sha256_of(tmp_path / "a")),
        ("b", 2, hashlib.sha256(b"12").hexdigest()),
    ]


def test_changes_say_what_became_of_each_input() -> None:
    before = {"same": "1", "patch old": "2", "image": "3"}
    now = {"same": "1", "patch new": "4", "image": "5"}
    assert changes(now, before) == ["image changed", "patch new is new", "patch old is gone"]
    assert changes(before, before) == []


def test_changes_name_the_parts_of_an_input_that_differ() -> None:
    now, before = {"properties": "1", "packaging": "1"}, {"properties": "2", "packaging": "2"}
    parts = {"properties": {"-Pfast": "yes", "JAVA": "11"}, "packaging": {"deb/x/rules": "a" * 40}}
    old = {"properties": {"-Pfast": "no", "LANG": "C"}, "packaging": {"deb/x/rules": "b" * 40}}
    assert changes(now, before, parts, old) == [
        "packaging changed (deb/x/rules)",
        "properties changed (-Pfast: 'no' became 'yes', JAVA is new, LANG is gone)",
    ]
    many = {"packaging": {str(number): "a" * 40 for number in range(5)}}
    less = {"packaging": {str(number): "b" * 40 for number in range(5)}}
    assert changes({"packaging": "1"}, before, many, less)[0] == "packaging changed (0, 1, 2, 2 more)"
    assert changes(now, before, parts, {}) == ["packaging changed", "properties changed"]


def test_a_file_that_several_results_have_is_stored_once(cache: ResultCache) -> None:
    more = {"salute_1.0.0.orig.tar.gz": "the source\n"}
    first, second = put(cache, more=more), put(cache, step=OTHER, payload="another package\n", more=more)
    folders = [cache.folder(result.step, result.stamp) for result in (first, second)]
    files = {path.stat().st_ino for folder in folders for path in folder.iterdir() if path.name != RESULT}
    assert len(files) == 4
    assert len(list(cache.root.glob("objects/*/*"))) == 4
    assert cache.obtain(STEP, STAMP, hashed=True) == first


def test_a_result_of_before_there_were_objects_is_read_as_it_is(cache: ResultCache) -> None:
    result = put(cache)
    shutil.rmtree(cache.root / "objects")
    text = json.loads((cache.folder(STEP, STAMP) / RESULT).read_text())
    del text["parts"]
    (cache.folder(STEP, STAMP) / RESULT).write_text(json.dumps(text))
    assert cache.obtain(STEP, STAMP, hashed=True) == result


def test_a_file_that_was_altered_is_found_when_it_is_used_and_its_result_built_again(
    cache: ResultCache, caplog: pytest.LogCaptureFixture
) -> None:
    result = put(cache)
    deb = cache.folder(STEP, STAMP) / DEB
    deb.write_text("A package\n")
    assert cache.get(STEP, STAMP) == result, "a plan hashes nothing"
    assert cache.obtain(STEP, STAMP, hashed=True) is None
    assert f"salute: {deb} is not what was built" in caplog.text
    assert put(cache) == result
    assert deb.read_text() == "a package\n"
    assert cache.obtain(STEP, STAMP, hashed=True) == result


class Overtaken(ResultCache):
    """Another process has built a broken result anew between the time it was found broken and is dropped."""

    def _broken(self, result: Result, files: Sequence[ResultFile]) -> list[ResultFile]:
        found = super()._broken(result, files)
        if found and files == result.files:
            other = ResultCache(self.root)
            assert other.obtain(STEP, STAMP, hashed=True) is None
            put(other, payload="another build\n")
        return found


def test_what_another_process_built_in_place_of_a_broken_result_is_not_dropped(cache: ResultCache) -> None:
    put(cache)
    (cache.folder(STEP, STAMP) / DEB).write_text("A package\n")
    found = Overtaken(cache.root).obtain(STEP, STAMP, hashed=True)
    assert found is not None
    assert found == cache.obtain(STEP, STAMP, hashed=True)
    assert (cache.folder(STEP, STAMP) / DEB).read_text() == "another build\n"


def test_a_result_that_is_removed_while_it_is_looked_at_is_none(
    cache: ResultCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(cache)
    read = Path.read_bytes

    def read_and_removed(path: Path) -> bytes:
        data = read(path)
        shutil.rmtree(path.parent)
        return data

    monkeypatch.setattr(Path, "read_bytes", read_and_removed)
    assert cache.get(STEP, STAMP) is None


def test_an_altered_object_is_not_taken_for_another_result(cache: ResultCache) -> None:
    put(cache)
    (cache.folder(STEP, STAMP) / DEB).write_text("A package\n")
    second = put(cache, step=OTHER)
    assert cache.obtain(OTHER, STAMP, hashed=True) == second


def test_trimming_keeps_what_is_named_or_was_used_of_late(cache: ResultCache) -> None:
    more = {"salute_1.0.0.orig.tar.gz": "the source\n"}
    named, old = put(cache, more=more), put(cache, step=OTHER, payload="another package\n", more=more)
    assert cache.trim({STEP}, since=time.time() - 60, dry=False) == ([], 0)
    record = (cache.folder(OTHER, STAMP) / RESULT).stat().st_size
    gone = (["salute 1.0.0-1+bt1.0.0.1~deb12"], len("another package\n") + record)
    assert cache.trim({STEP}, since=OLD, dry=True) == gone
    assert cache.get(OTHER, STAMP) == old
    assert cache.trim({STEP}, since=OLD, dry=False) == gone
    assert cache.get(OTHER, STAMP) is None
    assert cache.obtain(STEP, STAMP, hashed=True) == named
    assert len(list(cache.root.glob("objects/*/*"))) == 3


def test_what_is_used_counts_as_new(cache: ResultCache) -> None:
    put(cache)
    long_ago = time.time() - 1e6
    os.utime(cache.folder(STEP, STAMP), (long_ago, long_ago))
    assert cache.obtain(STEP, STAMP, hashed=False)
    assert cache.trim((), since=long_ago + 1, dry=False) == ([], 0)


def test_an_empty_cache_is_trimmed_in_no_time(cache: ResultCache) -> None:
    assert cache.trim((), since=OLD, dry=False) == ([], 0)
