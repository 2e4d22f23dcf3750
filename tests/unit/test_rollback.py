# SPDX-License-Identifier: Apache-2.0
"""Where a suite goes back to, and how much of its history is read for it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bigtop_builder.errors import InputError, SigningError
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout
from bigtop_builder.repository.layout import Action, Entry, Settings
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


def no_keys() -> bytes:
    raise AssertionError("no key is asked for where nothing is withdrawn")


@pytest.fixture(scope="module")
def keyring() -> Iterator[Keyring]:
    with Keyring() as keyring:
        keyring.new_key("Ann Bee", "ann@bee.example")
        yield keyring


@pytest.fixture(scope="module")
def public(keyring: Keyring) -> bytes:
    return keyring.export_public([keyring.keys()[0].fingerprint], armor=False)


def sign(store: FilesystemStore, keyring: Keyring, *serials: int) -> None:
    for serial in serials:
        path = layout.history_file("stable", serial)
        store.put(
            {f"{path}.asc": keyring.detach_sign(store.read(path) or b"", [keyring.keys()[0].fingerprint])}
        )


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
        files[layout.snapshot_file(before)] = b"{}"
    files[layout.SETTINGS] = Settings(origin="Ours", label="Ours", keys=("A" * 40,)).to_json().encode()
    store.put(files)
    return Pointer(suite="stable", serial=len(moves), snapshot=before, date=DAY, fields={}, signed=b"")


def test_a_rollback_reads_the_end_of_a_history_alone(tmp_path: Path, keyring: Keyring, public: bytes) -> None:
    store = Counting(tmp_path, sync=False)
    pointer = standing(store, [("add", number) for number in range(200)])
    sign(store, keyring, 200)
    store.reads = 0
    assert earlier(State(store), pointer, public=lambda: public) == ident(198)
    assert store.reads <= store.readers + 2, "the entry that decides is read again, with its signature"


@pytest.mark.parametrize("forged", ["unsigned", "altered", "another's"])
def test_a_rollback_goes_only_where_a_signed_entry_says(
    tmp_path: Path, keyring: Keyring, public: bytes, forged: str
) -> None:
    store = FilesystemStore(tmp_path, sync=False)
    pointer = standing(store, [("add", 1), ("add", 2), ("add", 3), ("refresh", 3)])
    sign(store, keyring, 1, 2, 3, 4)
    path = layout.history_file("stable", 3)
    text = store.read(path) or b""
    if forged == "unsigned":
        store.remove([f"{path}.asc"])
    elif forged == "altered":
        store.put({path: text.replace(ident(2).encode(), ident(1).encode())})
    else:
        with Keyring() as other:
            other.new_key("Eve", "eve@bee.example")
            sign(store, other, 3)
    with pytest.raises(SigningError, match="is signed by none of the repository's keys") as caught:
        earlier(State(store), pointer, public=lambda: public)
    assert "repo rollback stable --to" in caught.value.hint


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
    moves: list[tuple[Action, int]], target: int, tmp_path: Path, keyring: Keyring, public: bytes
) -> None:
    store = FilesystemStore(tmp_path, sync=False)
    pointer = standing(store, moves)
    sign(store, keyring, *(serial for serial, (action, _) in enumerate(moves, 1) if action != "refresh"))
    assert earlier(State(store), pointer, public=lambda: public) == ident(target)


def test_a_suite_with_one_snapshot_cannot_go_back(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path, sync=False)
    with pytest.raises(InputError, match="no snapshot before the present one") as caught:
        earlier(State(store), standing(store, [("add", 1), ("refresh", 1)]), public=no_keys)
    assert caught.value.details == f"it points to {ident(1)}, and has no other that is there and in use"


def test_where_a_suite_can_go_is_one_line_a_snapshot_newest_first_and_not_where_it_stands(
    tmp_path: Path,
) -> None:
    store = FilesystemStore(tmp_path, sync=False)
    moves: list[tuple[Action, int]] = [("add", 1), ("refresh", 1), ("promote", 2), ("add", 3), ("refresh", 3)]
    pointer = standing(store, [*moves, ("rollback", 1), ("add", 4), ("add", 5), ("refresh", 5)])
    store.remove([layout.snapshot_file(ident(4))])
    with pytest.raises(InputError, match="--to is empty") as caught:
        earlier(State(store), pointer, "", public=no_keys)
    short = "0" * 16
    assert caught.value.details.splitlines() == [
        "it can go to",
        f"{short}  2026-11-23 00:04 UTC  add by ann",
        f"{short}  2026-11-23 00:03 UTC  promote by ann",
        f"{short}  2026-11-23 00:01 UTC  add by ann",
    ]


def test_a_serial_is_no_id(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path, sync=False)
    pointer = standing(store, [("add", 0x7F << 240), ("add", 0x99 << 240)])
    with pytest.raises(InputError, match=f"^2 is a serial: {ident(0x99 << 240)}") as caught:
        earlier(State(store), pointer, "2", public=no_keys)
    assert caught.value.hint == f"name the snapshot by its id: {ident(0x99 << 240)[:16]}"


@pytest.mark.parametrize("wanted", ["00001", "0"])
def test_a_few_digits_are_no_id(tmp_path: Path, wanted: str) -> None:
    store = FilesystemStore(tmp_path, sync=False)
    pointer = standing(store, [("add", 1 << 236), ("add", 2 << 236)])
    with pytest.raises(InputError, match=f"'{wanted}' is too short for the id of a snapshot") as caught:
        earlier(State(store), pointer, wanted, public=no_keys)
    assert ident(1 << 236) in caught.value.details
    assert "give 6 digits of it at least" in caught.value.hint
    assert earlier(State(store), pointer, ident(1 << 236)[:6], public=no_keys) == ident(1 << 236)


def test_six_digits_that_two_ids_begin_with_are_refused_with_both(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path, sync=False)
    pointer = standing(store, [("add", 1), ("add", 2)])
    with pytest.raises(InputError, match="'000000' is more than one snapshot") as caught:
        earlier(State(store), pointer, "000000", public=no_keys)
    assert caught.value.details == f"{ident(1)}\n{ident(2)}"


def test_entries_come_newest_first_and_missing_ones_are_passed_over(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path, sync=False)
    pointer = standing(store, [("add", number) for number in range(60)])
    store.remove([layout.history_file("stable", 5)])
    serials = [entry.serial for entry in State(store).backwards(pointer)]
    assert serials == [one for one in range(60, 0, -1) if one != 5]
