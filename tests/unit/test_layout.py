# SPDX-License-Identifier: Apache-2.0
"""Paths of the store and the text of its JSON files: a format that hosts and later versions depend on."""

import json
from datetime import UTC, datetime

import pytest

from bigtop_builder.errors import InputError
from bigtop_builder.repository import layout
from bigtop_builder.repository.layout import Block, Entry, Index, IndexFile, Settings, Snapshot, SuiteSettings

KEY = "0123456789ABCDEF0123456789ABCDEF01234567"


@pytest.mark.parametrize(
    ("name", "version", "path"),
    [
        ("zookeeper", "3.8.4-1", "pool/main/z/zookeeper/zookeeper_3.8.4-1_amd64.deb"),
        ("libhdfs0", "1:3.3.6-1+bt~x", "pool/main/libh/libhdfs0/libhdfs0_3.3.6-1+bt~x_amd64.deb"),
    ],
)
def test_pool_paths_follow_name_and_version_without_epoch(name: str, version: str, path: str) -> None:
    assert layout.pool_file("main", name, version, "amd64") == path


def test_settings_have_this_text() -> None:
    settings = Settings(
        origin="Ours", label="Ours", keys=(KEY,), suites={"stable": SuiteSettings(codename="s")}
    )
    assert json.loads(settings.to_json()) == {
        "format": 1,
        "origin": "Ours",
        "label": "Ours",
        "keys": [KEY],
        "revoked": [],
        "forms": ["", ".gz", ".xz"],
        "contents": False,
        "translations": False,
        "snapshot_days": None,
        "suites": {
            "stable": {
                "codename": "s",
                "description": "",
                "architectures": ["amd64"],
                "valid_days": None,
                "retention": {"keep": None, "keep_days": None, "promoted": True, "rollbacks": 1},
            }
        },
    }


def test_snapshots_have_this_text() -> None:
    block = Block(sha256="a" * 64, first="a", last="b", count=2)
    entry = IndexFile(size=1, sha256="b" * 64, sha512="c" * 128)
    index = Index(blocks=(block,), files={"Packages": entry})
    snapshot = Snapshot(components={"main": {"arm64": index, "amd64": index}}, manifests=("d" * 64,))
    assert snapshot.architectures == ("amd64", "arm64")
    text = json.loads(snapshot.to_json())
    assert list(text) == ["format", "components", "manifests", "sources", "contents", "translations"]
    assert text["components"]["main"]["amd64"] == {
        "blocks": [{"sha256": "a" * 64, "first": "a", "last": "b", "count": 2}],
        "files": {"Packages": {"size": 1, "sha256": "b" * 64, "sha512": "c" * 128}},
    }


def test_history_entries_say_from_and_to() -> None:
    entry = Entry(
        suite="stable",
        serial=2,
        when=datetime(2026, 1, 2, tzinfo=UTC),
        who="ann",
        why="",
        action="rollback",
        before="a" * 64,
        after="b" * 64,
    )
    text = json.loads(entry.to_json())
    assert (text["from"], text["to"], text["when"]) == ("a" * 64, "b" * 64, "2026-01-02T00:00:00Z")
    assert Entry.from_json(entry.to_json(), source="x") == entry


def test_a_format_of_the_future_is_refused() -> None:
    text = Settings(origin="Ours", label="Ours", keys=(KEY,)).to_json().replace('"format": 1', '"format": 2')
    with pytest.raises(InputError, match=r"state/repository\.json is not a valid Settings"):
        Settings.from_json(text, source="state/repository.json")
