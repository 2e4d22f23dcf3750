# SPDX-License-Identifier: Apache-2.0
"""`doctor` looks at keys, definition and git repositories: one line each, whatever is wrong with them."""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bigtop_builder.__main__ import command as main
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.workspace import Project

DEFINITION = """\
format = 1
origin = "example"
maintainer = "Example <archive@example.org>"
url = "http://localhost"
storage = "build/repository"
keys = [{}]

[suites.stable]
"""

Look = Callable[[], dict[str, tuple[str, str]]]


@pytest.fixture
def look(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Look:
    """Call doctor at a site of its own; what it looked at -> state and way out."""
    for name, value in {
        "HOME": str(tmp_path / "home"),
        "BIGTOP_BUILDER_CACHE_DIR": str(tmp_path / "cache"),
        "BIGTOP_BUILDER_KEYS_DIR": str(tmp_path / "keys"),
        "DOCKER_HOST": "tcp://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["bigtop-builder", "--project", str(project.root), "doctor", "--json"])

    def ask() -> dict[str, tuple[str, str]]:
        with pytest.raises(SystemExit) as end:
            main()
        rows = json.loads(capsys.readouterr().out)
        assert end.value.code == 3, "there is no engine"
        assert not any("\n" in text for row in rows for text in row.values())
        assert all(row["way out"] for row in rows if not row["state"].startswith("there"))
        return {row["what"]: (row["state"], row["way out"]) for row in rows}

    return ask


def define(project: Project, *keys: str) -> Path:
    project.definition.parent.mkdir(exist_ok=True)
    project.definition.write_text(DEFINITION.format(", ".join(f'"{key}"' for key in keys)))
    return project.definition


def test_without_a_key_and_a_definition_it_says_how_to_get_them(look: Look, project: Project) -> None:
    found = look()
    assert found["signing key"][0].startswith("none that can sign in ")
    assert found["signing key"][1].startswith("bigtop-builder key new")
    assert found["repository.toml"][0] == f"{project.definition} does not exist"
    define(project)
    assert look()["repository.toml"][0] == f"{project.definition} names no key in `keys`"


def test_a_definition_that_does_not_fit_is_one_line_with_its_line(look: Look, project: Project) -> None:
    path = define(project)
    path.write_text(path.read_text().replace("origin", "orign").replace("format = 1", "format = 2"))
    state, _ = look()["repository.toml"]
    assert state.startswith(f"{path} does not fit its format: {path}:")


def test_a_key_that_signs_is_there_and_one_that_ends_soon_is_told(
    look: Look, project: Project, tmp_path: Path
) -> None:
    store = KeyStore(tmp_path / "keys")
    soon = f"{datetime.now(UTC) + timedelta(days=9):%Y-%m-%d}"
    long, short = (store.new("A", "a@example.org", expires=expires) for expires in ("2y", soon))
    define(project, long)
    found = look()
    assert found["repository.toml"] == found[f"key {long}"] == ("there", "")
    assert found[f"key {short}"][0].startswith("there, expires ")
    assert "signing key" not in found


def test_keys_that_are_damaged_expired_or_elsewhere_are_told_apart(
    look: Look, project: Project, tmp_path: Path
) -> None:
    store = KeyStore(tmp_path / "keys")
    damaged = store.new("A", "a@example.org")
    (store.folder / f"{damaged}.secret.asc").write_bytes(b"junk")
    with Keyring() as keyring:
        expired = keyring.new_key("B", "b@example.org", expires="seconds=1")
        (store.folder / f"{expired}.secret.asc").write_bytes(keyring.export_secret(expired))
    define(project, expired, "0" * 40)
    time.sleep(2.1)
    found = look()
    assert f"{damaged}.secret.asc is " in found[f"key {damaged}"][0]
    assert found[f"key {expired}"][0].startswith("cannot sign: expired")
    assert found[f"key {'0' * 40}"][0].startswith(f"not in {store.folder}, but in repository.toml")
    assert found["signing key"][0].startswith("none that can sign")


def test_folders_that_cannot_be_used_are_told(look: Look, project: Project, tmp_path: Path) -> None:
    found = look()
    assert found["cache"] == found["output"] == ("there", "")
    (tmp_path / "cache").mkdir()
    for path in (tmp_path / "cache/trees", project.root / "build", tmp_path / "keys"):
        path.write_text("a file where a folder should be")
    found = look()
    assert found["cache"][0].startswith(f"{tmp_path}/cache/trees cannot be written by this user")
    assert found["output"][0].startswith(f"{project.root}/build cannot be written by this user")
    assert found["signing key"][0] == f"{tmp_path}/keys cannot be read: Not a directory"


def test_each_recipes_repository_is_asked_for(
    look: Look, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert look()["git for 1.0.0"] == look()["git for 1.1.0"] == ("there", "")
    recipe = project.recipes / "1.0.0.toml"
    recipe.write_text(recipe.read_text().replace('commit = "86adb7bb', 'commit = "00000000'))
    (project.recipes / "1.1.0.toml").write_bytes(b"\xff")
    found = look()
    assert found["git for 1.0.0"][0].startswith("commit 00000000")
    assert "not UTF-8" in found["recipe 1.1.0"][0]
    url = "http://me:secret@127.0.0.1:9/bigtop.git"
    monkeypatch.setenv("BIGTOP_BUILDER_MIRRORS__GIT", json.dumps({"../bigtop.git": url}))
    state, way_out = look()["http://127.0.0.1:9/bigtop.git"]
    assert state.startswith("fatal: unable to access 'http://127.0.0.1:9/bigtop.git/'")
    assert "mirrors.git" in way_out


def test_the_engines_message_is_one_line(look: Look) -> None:
    state, way_out = look()["docker"]
    assert "tcp://127.0.0.1:9" in state
    assert "--builder host" in way_out
