# SPDX-License-Identifier: Apache-2.0
"""The site's proxy in the words of each program, and that its password is in none that people read."""

import logging
from pathlib import Path

import pytest

from bigtop_builder.errors import InputError
from bigtop_builder.host import HostRooms
from bigtop_builder.proxy import Proxy, proxy_environment
from bigtop_builder.settings import Settings

LOGIN = "http://user:secret@proxy.example:3128"


def _site(proxy: str, no_proxy: str = "") -> Settings:
    return Settings(ca_certificates=None, check_valid_until=True, proxy=proxy, no_proxy=no_proxy)


def _proxy(url: str = LOGIN, no_proxy: str = "") -> Proxy:
    found = Proxy.of(_site(url, no_proxy))
    assert found
    return found


def test_a_site_without_a_proxy_has_none() -> None:
    assert Proxy.of(_site("", "localhost")) is None
    assert proxy_environment(_site("", "localhost")) == {}


@pytest.mark.parametrize(
    ("no_proxy", "java"),
    [
        ("", ""),
        ("localhost", "localhost"),
        ("localhost,.example", "localhost|*.example"),
        (" localhost , .a.example,,b.example, ", "localhost|*.a.example|b.example"),
        ("10.0.0.1,*", "10.0.0.1|*"),
    ],
)
def test_exceptions_are_translated_for_java(no_proxy: str, java: str) -> None:
    assert _proxy(no_proxy=no_proxy).non_proxy_hosts == java


def test_gradle_is_told_the_exceptions_once_because_java_uses_them_for_https_too() -> None:
    assert _proxy(no_proxy="localhost,.example").gradle_properties.splitlines() == [
        "systemProp.http.proxyHost=proxy.example",
        "systemProp.http.proxyPort=3128",
        "systemProp.https.proxyHost=proxy.example",
        "systemProp.https.proxyPort=3128",
        "systemProp.http.nonProxyHosts=localhost|*.example",
    ]
    assert "nonProxyHosts" not in _proxy().gradle_properties


def test_variables_hold_the_url_and_the_exceptions_without_spaces() -> None:
    assert _proxy(no_proxy="localhost, .example").environment == {
        "http_proxy": LOGIN,
        "https_proxy": LOGIN,
        "no_proxy": "localhost,.example",
    }
    assert "no_proxy" not in _proxy().environment


@pytest.mark.parametrize(
    "url",
    [
        "http://user:secret@proxy.example",
        "http://user:secret@proxy.example:port",
        "http://user:secret@proxy.example:99999",
        "http://user:secret@[proxy.example:3128",
        "http://user:secret/@proxy.example:3128",
        "http://user:se@secret\n@:3128",
        "user:secret@proxy.example:3128",
        "socks5://user:secret@proxy.example:3128",
    ],
)
def test_a_proxy_that_is_no_url_is_refused_without_telling_its_password(url: str) -> None:
    with pytest.raises(InputError, match="is no URL with host and port") as raised:
        Proxy.of(_site(url))
    assert "secret" not in str(raised.value)
    assert "user:" not in raised.value.brief


def test_the_password_is_not_in_a_proxys_text() -> None:
    assert "secret" not in repr(_proxy())


def test_a_rooms_variables_are_in_no_command_line_and_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("bigtop_builder"), "propagate", True)
    with (
        caplog.at_level(logging.DEBUG, logger="bigtop_builder"),
        HostRooms(tmp_path).open(purpose="secret", env=_proxy().environment) as room,
    ):
        said = room.run(["env"], env={"OWN": "1"}).text.splitlines()
        lines: list[bytes] = []
        room.run(["env"], on_line=lines.append)
    assert {f"http_proxy={LOGIN}", "OWN=1", f"HOME={room.workdir}/home"} <= set(said)
    assert f"http_proxy={LOGIN}\n".encode() in lines
    assert "PYTEST_CURRENT_TEST" not in "".join(said)
    assert "env" in caplog.text
    assert "user:secret" not in caplog.text
