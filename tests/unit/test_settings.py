# SPDX-License-Identifier: Apache-2.0
"""Settings that do not fit are refused with file or variable, key, value, and what is allowed."""

from pathlib import Path

import pytest

from bigtop_builder.errors import InputError
from bigtop_builder.settings import load_settings


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings file of a site that sets no variables and has no file of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BIGTOP_BUILDER_SETTINGS", raising=False)
    path = tmp_path / "site.toml"
    path.write_text('gradle = "system"\n\n[mirrors]\nmaven = "http://mirror.example"\n')
    return path


def refused(path: Path | None) -> InputError:
    with pytest.raises(InputError) as refusal:
        load_settings(path)
    return refusal.value


def test_a_variable_comes_before_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGTOP_BUILDER_GRADLE", "wrapper")
    monkeypatch.setenv("BIGTOP_BUILDER_MIRRORS__GIT", '{"https://a.example/x.git": "/srv/x.git"}')
    settings = load_settings(file)
    assert settings.gradle == "wrapper"
    assert settings.mirrors.maven == "http://mirror.example"
    assert settings.mirrors.git == {"https://a.example/x.git": "/srv/x.git"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"system"', '"gradel"', "{}:1: gradle: Input should be 'wrapper' or 'system' (is 'gradel')"),
        ("maven =", "mavin =", "{}:4: mirrors.mavin: there is no such key; the nearest is maven"),
        ("[mirrors]", "[mirors]", "{}:3: mirors: there is no such key; the nearest is mirrors"),
        ("gradle =", "check_valid_until =", "{}:1: check_valid_until: should be true or false (is 'system')"),
        ("gradle =", "image =", "{}:1: image: should be a table (is 'system')"),
    ],
)
def test_what_does_not_fit_in_the_file_has_its_line_key_and_value(
    file: Path, old: str, new: str, said: str
) -> None:
    file.write_text(file.read_text().replace(old, new, 1))
    assert said.format(file) in refused(file).details


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("GRADLE", "x", "GRADLE: gradle: Input should be 'wrapper' or 'system' (is 'x')"),
        ("IMAGE__INSECURE_REGISTRY", "x", "image.insecure_registry: should be true or false (is 'x')"),
        ("SOURCES__KINDS", '["x"]', "SOURCES__KINDS: sources.kinds[0]: Input should be 'apache', 'archive'"),
        ("MIRRORS", '{"mavin": "x"}', "MIRRORS: mirrors.mavin: there is no such key; the nearest is maven"),
        ("SOURCES__KINDS", "git", "SOURCES__KINDS holds no JSON list: 'git'"),
        ("MIRRORS__GIT", "https://me:secret@x/", "MIRRORS__GIT holds no JSON table: 'https://x/'"),
        (
            "CACHEDIR",
            "x",
            "CACHEDIR is no variable of bigtop-builder: the nearest is BIGTOP_BUILDER_CACHE_DIR",
        ),
        ("MIRRORS__GITT", "x", "MIRRORS__GITT is no variable of bigtop-builder: the nearest is "),
        ("NEITHER", "x", "NEITHER is no variable of bigtop-builder: there are BIGTOP_BUILDER_CACHE_DIR, "),
    ],
)
def test_a_variable_that_does_not_fit_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"BIGTOP_BUILDER_{name}", value)
    error = str(refused(file))
    assert f"BIGTOP_BUILDER_{name}" in error
    assert said in error
    assert "secret" not in error


@pytest.mark.parametrize("name", ["SETTINGS", "PROJECT", "KEY_PASSPHRASE"])
def test_variables_that_are_no_settings_are_left_alone(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"BIGTOP_BUILDER_{name}", str(file))
    assert load_settings().image.base == "auto"


def test_the_value_of_an_unknown_variable_stays_hidden(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGTOP_BUILDER_KEY_PASSPHRAS", "secret")
    error = str(refused(file))
    assert "the nearest is BIGTOP_BUILDER_KEY_PASSPHRASE" in error
    assert "secret" not in error


def test_a_file_that_is_not_there_has_a_way_out(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = file.with_name("gone.toml")
    error = refused(gone)
    assert error.brief == f"settings file {gone} does not exist"
    assert error.hint.startswith("name another with --settings, or leave that out")
    monkeypatch.setenv("BIGTOP_BUILDER_SETTINGS", str(gone))
    assert "name another with BIGTOP_BUILDER_SETTINGS" in refused(None).hint


def test_a_file_that_is_no_toml_or_not_utf8_is_refused_with_its_line(file: Path) -> None:
    file.write_text("[mirrors]\nmaven =\n")
    assert refused(file).details == f"{file}:2: mirrors.maven: maven ="
    file.write_bytes(b"# caf\xe9\n")
    assert refused(file).brief == f"{file}:1: not UTF-8 at byte 5 (0xe9)"


def test_a_switch_in_quotes_is_none(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text('gpg_agent = "yes"\n[image]\ninsecure_registry = 1\n')
    with pytest.raises(InputError) as refusal:
        load_settings(path)
    assert refusal.value.details.splitlines() == [
        f"{path}:1: gpg_agent: should be true or false (is 'yes')",
        f"{path}:3: image.insecure_registry: should be true or false (is 1)",
    ]
