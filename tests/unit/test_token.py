# SPDX-License-Identifier: Apache-2.0
"""The token for GitHub: where it is looked for, who may read it, and that nothing shows it."""

import base64
import logging
import os
from pathlib import Path

import pytest
from website import serving

from bigtop_builder.errors import InputError, UpstreamError
from bigtop_builder.run import require, run
from bigtop_builder.settings import Settings
from bigtop_builder.upstreaming.token import SECRET_VARIABLES, Token, find_token, require_token

SECRET = "ghp_0123456789abcdefSECRET"  # noqa: S105  # of nobody
HOST = "git.example.org"


@pytest.fixture(autouse=True)
def _without_tokens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with git, and without gh and any token."""
    for name in SECRET_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "git").symlink_to(require("git", why="test"))
    monkeypatch.setenv("PATH", str(programs))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"# mine\n{SECRET}\n\n{HOST} other-word\n")
    path.chmod(0o600)
    return path


def with_gh(tmp_path: Path, script: str) -> None:
    program = tmp_path / "bin/gh"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def found(host: str = "github.com", settings: Settings | None = None) -> Token:
    token = find_token(host, settings or Settings())
    assert token
    return token


def test_the_first_variable_that_is_set_wins(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "second")
    assert found(settings=Settings(github_token_file=file)).origin == "the variable GITHUB_TOKEN"
    monkeypatch.setenv("GH_TOKEN", SECRET)
    assert found().secret == SECRET
    monkeypatch.setenv("GH_TOKEN", " ")
    assert found().secret.startswith("sec")


def test_the_public_token_is_not_sent_to_a_server_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GH_TOKEN", SECRET)
    assert find_token(HOST, Settings()) is None
    assert found("acme.ghe.com").secret == SECRET
    monkeypatch.setenv("GITHUB_ENTERPRISE_TOKEN", "own")
    assert found(HOST).origin == "the variable GITHUB_ENTERPRISE_TOKEN"
    assert found(HOST).host == HOST


def test_a_file_has_a_token_for_each_host(file: Path) -> None:
    settings = Settings(github_token_file=file)
    assert found(settings=settings).secret == SECRET
    assert found(HOST, settings).secret.startswith("other-")
    assert found(settings=settings).origin == f"the file {file}"
    assert find_token("third.example.org", settings) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_that_others_can_read_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(InputError, match="others can read") as caught:
        find_token("github.com", Settings(github_token_file=file))
    assert caught.value.hint == f"chmod 600 {file}"


@pytest.mark.parametrize("text", [f"github.com {SECRET} more", f"github.com {SECRET}é", f"{SECRET}\x01"])
def test_a_malformed_file_is_named_and_its_token_is_not(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=r"words|white space") as caught:
        find_token("github.com", Settings(github_token_file=file))
    assert str(file) in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_a_file_that_is_no_text_is_not_shown(file: Path) -> None:
    file.write_bytes(SECRET.encode() + b"\xff")
    with pytest.raises(InputError, match="cannot be read") as caught:
        find_token("github.com", Settings(github_token_file=file))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_ghs_store_is_asked_last(tmp_path: Path) -> None:
    with_gh(tmp_path, f'test "$*" = "auth token --hostname {HOST}" && echo {SECRET}')
    assert found(HOST).origin == "gh's store"
    assert found(HOST).secret == SECRET
    assert find_token("github.com", Settings()) is None


def test_without_a_token_the_places_and_the_way_out_are_named() -> None:
    with pytest.raises(UpstreamError, match=r"there is no token for github\.com") as caught:
        require_token("github.com", Settings())
    assert caught.value.exit_code == 11
    assert "GH_TOKEN" in caught.value.hint
    assert "docs/upstreaming.md" in caught.value.hint


def test_no_text_and_no_log_shows_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with_gh(tmp_path, f"echo {SECRET}")
    token = found()
    assert SECRET not in f"{token} {token!r} {token.identity} {caplog.text}"
    assert token.hidden_in(f"Bad token {SECRET}!") == "Bad token ***!"
    assert token.identity != found("other.example.org").identity


def test_git_sends_it_to_its_own_url_alone_and_without_an_argument(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.name")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "Someone")
    token = Token(secret=SECRET, host="github.com", origin="a test")
    with serving() as site:
        env = token.git_environment(f"{site.url}/own")
        said = [
            run(["git", "ls-remote", f"{site.url}/{path}/x.git"], env=env, check=False).complaint
            for path in ("own", "other")
        ]
        headers = {path.split("/")[1]: asked.get("Authorization", "") for path, asked in site.asked}
    assert base64.b64decode(headers["own"].removeprefix("Basic ")).decode() == f"x-access-token:{SECRET}"
    assert headers["other"] == ""
    assert run(["git", "config", "user.name"], env=env).text == "Someone"
    encoded = headers["own"].removeprefix("Basic ")
    assert not [text for text in (*said, caplog.text) if SECRET in text or encoded in text]
    assert "GIT_CONFIG_KEY_1" not in os.environ
