# SPDX-License-Identifier: Apache-2.0
"""Whom a record names."""

import os
import socket

import pytest

from bigtop_builder.owner import whoever


def test_a_user_without_a_name_is_called_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert whoever() == f"uid 12345@{socket.gethostname()}"


def test_a_user_is_called_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ann")
    assert whoever() == f"ann@{socket.gethostname()}"
