# SPDX-License-Identifier: Apache-2.0
"""The lock gives each build its serial, and only grows."""

from pathlib import Path

import pytest

from bigtop_builder.errors import InputError
from bigtop_builder.lock import Lock, load_lock

FIRST, SECOND = "a" * 64, "b" * 64


def _lock() -> Lock:
    return Lock(release="1.0.0", target="deb12")


def test_the_serial_is_the_position_of_the_newest_id() -> None:
    lock = _lock().bumped({"salute": FIRST}).bumped({"salute": SECOND})
    assert lock.serial("salute", SECOND) == 2


def test_an_older_id_has_no_serial_because_hosts_may_have_the_newer_one() -> None:
    lock = _lock().bumped({"salute": FIRST}).bumped({"salute": SECOND})
    assert lock.serial("salute", FIRST) is None


def test_an_id_that_comes_back_is_a_new_build() -> None:
    lock = _lock().bumped({"salute": FIRST}).bumped({"salute": SECOND}).bumped({"salute": FIRST})
    assert lock.serial("salute", FIRST) == 3


def test_bumping_what_is_current_changes_nothing() -> None:
    lock = _lock().bumped({"salute": FIRST})
    assert lock.bumped({"salute": FIRST}) == lock


def test_a_lock_is_written_and_read_back_the_same(tmp_path: Path) -> None:
    lock = _lock().bumped({"salute": FIRST, "bigtop-utils": SECOND})
    path = tmp_path / "1.0.0.lock"
    path.write_text(lock.to_toml())
    assert load_lock(path, release="1.0.0", target="deb12") == lock
    assert path.read_text().count(FIRST) == 1


def test_a_lock_of_another_recipe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    path.write_text(_lock().to_toml())
    with pytest.raises(InputError, match=r"belongs to 1\.0\.0 for deb12, not to 1\.1\.0 for deb12"):
        load_lock(path, release="1.1.0", target="deb12")


def test_no_lock_is_an_empty_lock(tmp_path: Path) -> None:
    assert load_lock(tmp_path / "none.lock", release="1.0.0", target="deb12") == _lock()


def test_a_lock_with_a_merge_conflict_or_bytes_of_another_encoding_is_refused_with_its_line(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.lock"
    path.write_text(_lock().to_toml() + "<<<<<<< ours\n")
    with pytest.raises(InputError, match="malformed TOML") as refusal:
        load_lock(path, release="1.0.0", target="deb12")
    assert f"{path}:6: " in refusal.value.details
    assert "<<<<<<< ours" in refusal.value.details
    path.write_bytes(b"format = 1\n# \xff\n")
    with pytest.raises(InputError, match=r"x\.lock:2: not UTF-8 at byte 13"):
        load_lock(path, release="1.0.0", target="deb12")
