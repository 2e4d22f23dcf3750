# SPDX-License-Identifier: Apache-2.0
"""Results are found whole or not at all."""

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from bigtop_builder.cache import LOG, RESULT, Result, ResultCache, changes, describe, sha256_of
from bigtop_builder.errors import BuildError
from bigtop_builder.manifest import ImageRecord
from bigtop_builder.run import run

STEP, OTHER = "a" * 64, "b" * 64
STAMP = "1+bt1.0.0.1~deb12"


@pytest.fixture
def cache(tmp_path: Path) -> ResultCache:
    return ResultCache(tmp_path / "results")


def put(cache: ResultCache, *, step: str = STEP, stamp: str = STAMP, payload: str = "a package\n") -> Result:
    with cache.making() as folder:
        (folder / "salute_1.0.0_all.deb").write_text(payload)
        (folder / LOG).write_text("a log\n")
        result = Result(
            recipe="1.0.0-deb12",
            component="salute",
            version="1.0.0",
            stamp=stamp,
            step=step,
            inputs={"packaging": "1"},
            source=None,
            image=ImageRecord(name="an image"),
            seconds=1.5,
            files=describe(folder),
        )
        return cache.put(folder, result)


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
    assert cache.newest("1.0.0-deb12", "salute") is None
    assert put(cache) == result
    assert cache.get(STEP, STAMP) == result


def test_the_build_that_ends_first_stands_and_later_ones_are_handed_its_result(cache: ResultCache) -> None:
    first = put(cache)
    assert put(cache, payload="other bytes\n") == first
    assert cache.get(STEP, STAMP) == first
    assert sorted(path.name for path in cache.root.iterdir()) == sorted([".lock", "newest", STEP])


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
    assert [path.name for path in cache.root.iterdir()] == [".lock"]


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
        (left,) = set(cache.root.glob(".making-*")) - {living}
        with cache.making():
            assert not left.exists()
            assert living.is_dir()


def test_the_newest_result_is_the_one_put_last(cache: ResultCache) -> None:
    assert cache.newest("1.0.0-deb12", "salute") is None
    put(cache)
    second = put(cache, step=OTHER)
    assert cache.newest("1.0.0-deb12", "salute") == second
    assert cache.newest("1.1.0-deb12", "salute") is None
    assert cache.newest("1.0.0-deb12", "herald") is None


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
