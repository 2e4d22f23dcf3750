# SPDX-License-Identifier: Apache-2.0
"""What is a repository's own file, held against every path that the layout gives."""

import inspect
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bigtop_builder.repository import layout
from bigtop_builder.repository.layout import Settings
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store.filesystem import FilesystemStore
from bigtop_builder.repository.strays import OURS, forgotten, strays

KEY = "0123456789ABCDEF0123456789ABCDEF01234567"
ID = "0a" * 32
PATHS = {
    "pool_file": [
        layout.pool_file("main", "libx+", "1:2.0~a+b-1", "amd64"),
        layout.pool_file("contrib-a", "x", "1", "all"),
    ],
    "source_folder": [f"{layout.source_folder('main', 'emu')}/emu_1.0.orig.tar.gz"],
    "block_file": [layout.block_file(ID), *(layout.block_file(ID, form) for form in (".xz", ".zst"))],
    "by_hash": [layout.by_hash("SHA256", ID), layout.by_hash("SHA512", 2 * ID)],
    "snapshot_file": [layout.snapshot_file(ID)],
    "snapshot_index": [f"{layout.snapshot_index(ID, 'main/binary-amd64')}/Packages.gz"],
    "release_folder": [f"{layout.release_folder('stable', 12)}/InRelease"],
    "suite_folder": [layout.suite_folder("stable"), f"{layout.suite_folder('stable')}/InRelease"],
    "history_file": [layout.history_file("stable", 12), f"{layout.history_file('stable', 12)}.asc"],
    "sbom_file": [layout.sbom_file(ID)],
    "provenance_file": [layout.provenance_file(ID)],
    "manifest_file": [layout.manifest_file(ID)],
    "record_file": [layout.record_file(ID, ".changes"), layout.record_file(ID, ".buildinfo")],
    "verdict_file": [layout.verdict_file(ID)],
    "collected_file": [
        layout.collected_file(datetime(2026, 1, 2, tzinfo=UTC)),
        f"{layout.collected_file(datetime(2026, 1, 2, tzinfo=UTC))}.asc",
    ],
    "key_file": [layout.key_file(KEY)],
}
"""Function of the layout -> files that it names."""
NO_PATHS = {"contents_name", "form_of", "snapshot_suite"}
"""Functions of the layout that name no file."""


def test_every_path_of_the_layout_is_a_repository_s_own() -> None:
    functions = {
        name
        for name, one in inspect.getmembers(layout, inspect.isfunction)
        if one.__module__ == layout.__name__
    }
    assert functions == {*PATHS, *NO_PATHS}
    fixed = [one for one in vars(layout).values() if isinstance(one, str) and one.startswith("state/")]
    assert {layout.SETTINGS, layout.MIRROR, layout.WITHDRAWN} <= set(fixed)
    every = [*fixed, *(path for paths in PATHS.values() for path in paths)]
    assert [path for path in every if not OURS.fullmatch(path)] == []


@pytest.mark.parametrize(
    "path",
    [
        "index.html",
        "pool/notes.txt",
        "by-hash/SHA256/short",
        "state/blocks/x.gz",
        "state/other.json",
        "apt.key",
    ],
)
def test_other_files_are_not(path: str) -> None:
    assert not OURS.fullmatch(path)


def test_strays_are_named_and_suites_that_no_command_knows(tmp_path: Path) -> None:
    settings = Settings(origin="Ours", label="Ours", keys=(KEY,))
    store = FilesystemStore(tmp_path, sync=False)
    files = ("x.txt", "dists/other/InRelease", "dists/mine/InRelease", layout.history_file("mine", 1))
    store.put({layout.SETTINGS: settings.to_json().encode(), **dict.fromkeys(files, b"")})
    stray, other = strays(State(store))
    assert stray.startswith("x.txt is none of the repository's files: ")
    assert other.startswith("dists/other is none of the repository's suites: ")
    (suite,) = forgotten(State(store))
    assert suite.startswith("dists/mine is a suite that state/repository.json does not have: ")
    assert "bigtop-builder repo refresh mine takes it up" in suite
