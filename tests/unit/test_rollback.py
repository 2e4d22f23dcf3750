# SPDX-License-Identifier: Apache-2.0
"""Where a suite goes back to, and how much of its history is read for it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bigtop_builder.errors import InputError
from bigtop_builder.repository import layout
from bigtop_builder.repository.layout import Action, Entry
from bigtop_builder.repository.pointer import Pointer
from bigtop_builder.repository.rollback import earlier
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store.filesystem import FilesystemStore

DAY = datetime(2026, 11, 23, tzinfo=UTC)


class Counting(FilesystemStore):
    """A store that counts what is read."""

    reads = 0

    def read(self, path: str) -> bytes | None:
        self.reads += 1
        return super().read(path)


def ident(number: int) -> str:
    return f"{number:064x}"


def standing(store: FilesystemStore, moves: list[tuple[Action, int]]) -> Pointer:
    """A suite with a history: what each switch was, and the number of the snapshot it led to."""
    files = {}
    before = ""
    for serial, (action, number) in enumerate(moves, start=1):
        entry = Entry(
            suite="stable",
            serial=serial,
            when=DAY + timedelta(minutes=serial),
            who="ann",
            why="",
            action=action,
            before=before,
            after=(before := ident(number)),
        )
        files[layout.history_file("stable", serial)] = entry.to_json().encode()
    store.put(files)
    return Pointer(suite="stable", serial=len(moves), snapshot=before, date=DAY, fields={}, signed=b"")


def test_a_rollback_reads_the_end_of_a_history_alone(tmp_path: Path) -> None:
    store = Counting(tmp_path, sync=False)
    pointer = standing(store, [("add", number) for number in range(200)])
    store.reads = 0
    assert earlier(State(store), pointer) == ident(198)
    assert store.reads <= store.readers


@pytest.mark.parametrize(
    ("moves", "target"),
    [
        ([("add", 1), ("add", 2), ("refresh", 2)], 1),
        ([("add", 1), ("add", 2), ("add", 3), ("rollback", 2), ("refresh", 2)], 2),
        ([("add", 1), ("add", 2), ("rollback", 1), ("promote", 2)], 1),
        ([("add", 1), ("add", 2), *[("refresh", 2)] * 40], 1),
    ],
)
def test_a_suite_goes_back_to_what_was_there_before_and_not_twice(
    moves: list[tuple[Action, int]], target: int, tmp_path: Path
) -> None:
    store = FilesystemStore(tmp_path, sync=False)
    assert earlier(State(store), standing(store, moves)) == ident(target)


def test_a_suite_with_one_snapshot_cannot_go_back(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path, sync=False)
    with pytest.raises(InputError, match="no snapshot before the present one") as caught:
        earlier(State(store), standing(store, [("add", 1), ("refresh", 1)]))
    assert caught.value.details == "it pointed to" + "".join(
        f"\n{serial}: {ident(1)} (2026-11-23 00:0{serial} UTC)" for serial in (1, 2)
    )


def test_entries_come_newest_first_and_missing_ones_are_passed_over(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path, sync=False)
    pointer = standing(store, [("add", number) for number in range(60)])
    store.remove([layout.history_file("stable", 5)])
    serials = [entry.serial for entry in State(store).backwards(pointer)]
    assert serials == [one for one in range(60, 0, -1) if one != 5]
