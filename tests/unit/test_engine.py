# SPDX-License-Identifier: Apache-2.0
"""What is said when there is no engine, and whose a leftover container is. No engine is used here."""

import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from website import serving

from bigtop_builder.container import Engine
from bigtop_builder.docker_sdk import _unreachable
from bigtop_builder.engine_images import _cleaned
from bigtop_builder.errors import EnvironmentMissing, ImageError
from bigtop_builder.owner import Owner
from bigtop_builder.run import run


def _refusal(monkeypatch: pytest.MonkeyPatch, where: str) -> EnvironmentMissing:
    monkeypatch.setenv("DOCKER_HOST", where)
    with pytest.raises(EnvironmentMissing) as raised:
        Engine.connect()
    return raised.value


def test_a_missing_socket_is_named_with_the_package_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    refusal = _unreachable("unix:///var/run/docker.sock", FileNotFoundError())
    assert refusal.hint.startswith("apt-get install docker.io, ")


def test_a_missing_socket_that_docker_host_names_is_a_mistake_in_docker_host(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refusal = _refusal(monkeypatch, f"unix://{tmp_path}/docker.sock")
    assert refusal.brief == f"there is no Docker engine at unix://{tmp_path}/docker.sock: no such socket"
    assert refusal.hint.startswith("correct DOCKER_HOST, or unset it, ")
    assert "--builder host" in refusal.hint
    assert refusal.exit_code == 3


def test_a_socket_without_a_daemon_is_told_from_a_missing_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert "is not running" in _refusal(monkeypatch, f"unix://{path}").brief


def test_a_host_that_is_no_engine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "DOCKER_HOST" in _refusal(monkeypatch, "nonsense://nowhere").hint


def test_a_cleanup_that_fails_does_not_hide_why_the_build_did(caplog: pytest.LogCaptureFixture) -> None:
    from docker import DockerClient

    with serving() as nobody, Engine(DockerClient(base_url=nobody.url, version="1.41")) as engine:
        with pytest.raises(ImageError, match="the build failed"), _cleaned(engine, "0"):
            raise ImageError("the build failed")
        with _cleaned(engine, "0"):
            pass
    assert caplog.text.count("images without a name cannot be listed") == 2


def test_a_user_without_permission_is_told_which_group_has_it() -> None:
    assert "group docker" in _unreachable("unix:///run/docker.sock", PermissionError(13, "denied")).hint


def test_this_process_is_not_dead() -> None:
    assert not Owner.me().is_dead()


def test_a_process_that_ended_is_dead_and_so_is_one_whose_number_was_given_away() -> None:
    gone = run([sys.executable, "-c", "import os; print(os.getpid())"]).text
    assert replace(Owner.me(), pid=gone).is_dead()
    assert replace(Owner.me(), started="1").is_dead()


def test_every_process_of_an_earlier_boot_is_dead() -> None:
    assert replace(Owner.me(), boot="earlier").is_dead()


def test_of_processes_on_other_hosts_nothing_is_known() -> None:
    assert not replace(Owner.me(), host="elsewhere/1", boot="other", pid="1").is_dead()


def test_labels_name_their_owner_and_strangers_have_none() -> None:
    assert Owner.of(Owner.me().labels) == Owner.me()
    assert Owner.of({"bigtop-builder": "1", "bigtop-builder.pid": str(os.getpid())}) is None
