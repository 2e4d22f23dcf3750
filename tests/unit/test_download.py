# SPDX-License-Identifier: Apache-2.0
"""Downloads over real HTTP: whole, resumed, tried again, refused."""

import hashlib
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from website import Website, serving

from bigtop_builder import download as module
from bigtop_builder.download import NotThere, download, read
from bigtop_builder.errors import SourceError
from bigtop_builder.settings import Settings

BODY = hashlib.shake_256(b"body").digest(1_000_000)
SHA512 = hashlib.sha512(BODY).hexdigest()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF", 0.001)


@pytest.fixture
def site() -> Iterator[Website]:
    with serving() as site:
        site.files["/a.tar.gz"] = BODY
        yield site


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache_dir=tmp_path / "cache")


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "new" / "a.part"


def test_a_file_is_fetched_hashed_and_reported(site: Website, part: Path, settings: Settings) -> None:
    told: list[tuple[str, int, int | None]] = []

    got = download(f"{site.url}/a.tar.gz", part, settings=settings, progress=lambda *now: told.append(now))

    assert got == SHA512
    assert part.read_bytes() == BODY
    assert told[-1] == (f"{site.url}/a.tar.gz", len(BODY), len(BODY))


def test_a_download_that_breaks_off_goes_on_where_it_was(
    site: Website, part: Path, settings: Settings
) -> None:
    site.etags["/a.tar.gz"] = '"one"'
    site.cuts["/a.tar.gz"] = [400_000, 300_000]

    assert download(f"{site.url}/a.tar.gz", part, settings=settings) == SHA512

    asked = site.last("/a.tar.gz")
    assert (asked["Range"], asked["If-Range"]) == ("bytes=700000-", '"one"')
    assert list(part.parent.iterdir()) == [part]


def test_the_next_run_goes_on_where_the_last_gave_up(site: Website, part: Path, settings: Settings) -> None:
    site.etags["/a.tar.gz"] = '"one"'
    site.cuts["/a.tar.gz"] = [100_000] * module.ATTEMPTS
    with pytest.raises(SourceError, match=r"/a\.tar\.gz cannot be fetched") as caught:
        download(f"{site.url}/a.tar.gz", part, settings=settings)
    assert part.stat().st_size == 400_000
    assert "attempt 4" in caught.value.details

    assert download(f"{site.url}/a.tar.gz", part, settings=settings) == SHA512
    assert site.last("/a.tar.gz")["Range"] == "bytes=400000-"


def test_a_file_that_changed_in_between_is_fetched_from_the_start(
    site: Website, part: Path, settings: Settings
) -> None:
    site.etags["/a.tar.gz"] = '"one"'
    site.cuts["/a.tar.gz"] = [100_000] * module.ATTEMPTS
    with pytest.raises(SourceError):
        download(f"{site.url}/a.tar.gz", part, settings=settings)
    site.cuts.clear()
    site.files["/a.tar.gz"], site.etags["/a.tar.gz"] = BODY[::-1], '"two"'

    assert download(f"{site.url}/a.tar.gz", part, settings=settings) == hashlib.sha512(BODY[::-1]).hexdigest()


def test_without_validator_or_pin_nothing_is_resumed(site: Website, part: Path, settings: Settings) -> None:
    site.cuts["/a.tar.gz"] = [400_000]

    assert download(f"{site.url}/a.tar.gz", part, settings=settings) == SHA512
    assert "Range" not in site.last("/a.tar.gz")


def test_with_a_pin_a_server_without_validator_is_resumed(
    site: Website, part: Path, settings: Settings
) -> None:
    site.cuts["/a.tar.gz"] = [400_000]

    assert download(f"{site.url}/a.tar.gz", part, settings=settings, sha512=SHA512) == SHA512
    assert site.last("/a.tar.gz")["Range"] == "bytes=400000-"


def test_a_mixture_is_noticed_and_fetched_once_more(site: Website, part: Path, settings: Settings) -> None:
    part.parent.mkdir()
    part.write_bytes(b"the beginning of something else")

    assert download(f"{site.url}/a.tar.gz", part, settings=settings, sha512=SHA512) == SHA512
    assert site.count("/a.tar.gz") == 2


def test_a_part_that_was_whole_is_not_fetched_again(site: Website, part: Path, settings: Settings) -> None:
    part.parent.mkdir()
    part.write_bytes(BODY)

    assert download(f"{site.url}/a.tar.gz", part, settings=settings, sha512=SHA512) == SHA512
    assert part.read_bytes() == BODY


def test_a_server_without_ranges_sends_it_whole_again(site: Website, part: Path, settings: Settings) -> None:
    site.ranges = False
    site.cuts["/a.tar.gz"] = [400_000]

    assert download(f"{site.url}/a.tar.gz", part, settings=settings, sha512=SHA512) == SHA512


def test_wrong_bytes_are_removed_and_the_error_says_all(
    site: Website, part: Path, settings: Settings
) -> None:
    expected = hashlib.sha512(b"other").hexdigest()

    with pytest.raises(SourceError, match=r"/a\.tar\.gz is not what its pin says") as caught:
        download(f"{site.url}/a.tar.gz", part, settings=settings, sha512=expected)

    assert expected in caught.value.details
    assert SHA512 in caught.value.details
    assert list(part.parent.iterdir()) == []


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_busy_server_is_asked_again(site: Website, part: Path, settings: Settings, status: int) -> None:
    site.statuses["/a.tar.gz"] = [status, status]

    assert download(f"{site.url}/a.tar.gz", part, settings=settings) == SHA512


def test_a_missing_file_is_not_asked_for_again(site: Website, part: Path, settings: Settings) -> None:
    with pytest.raises(NotThere, match=r"/none cannot be fetched: the server says 404 Not Found"):
        download(f"{site.url}/none", part, settings=settings)

    assert site.count("/none") == 1


def test_a_host_that_is_not_there_is_named(part: Path, settings: Settings) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/x"
        with pytest.raises(SourceError, match=f"{url} cannot be fetched") as caught:
            download(url, part, settings=settings)

    assert "mirror or proxy" in caught.value.hint


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "nothing", "http://[::1/x"])
def test_what_is_no_http_url_is_refused(part: Path, settings: Settings, url: str) -> None:
    with pytest.raises(SourceError, match="is no "):
        download(url, part, settings=settings)


def test_redirects_are_followed(site: Website, part: Path, settings: Settings) -> None:
    site.redirects["/latest"] = "/a.tar.gz"

    assert download(f"{site.url}/latest", part, settings=settings) == SHA512


def test_a_password_in_a_url_reaches_the_server_and_no_log(
    site: Website, part: Path, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = site.url.replace("//", "//user:secret-word@")

    download(f"{url}/a.tar.gz", part, settings=settings)
    with pytest.raises(NotThere) as caught:
        download(f"{url}/none", part, settings=settings)

    assert site.last("/a.tar.gz")["Authorization"].startswith("Basic ")
    assert "secret-word" not in caplog.text + str(caught.value)


def test_a_proxy_of_the_settings_is_used_except_for_its_exceptions(site: Website, tmp_path: Path) -> None:
    site.files["http://example.invalid/x"] = b"by proxy"
    through = Settings(cache_dir=tmp_path, proxy=site.url)
    around = Settings(cache_dir=tmp_path, proxy="http://127.0.0.1:9", no_proxy="127.0.0.1")

    assert read("http://example.invalid/x", settings=through) == b"by proxy"
    assert read(f"{site.url}/a.tar.gz", settings=around) == BODY


def test_a_small_file_may_not_be_large(site: Website, settings: Settings) -> None:
    with pytest.raises(SourceError, match="longer than 10 bytes"):
        read(f"{site.url}/a.tar.gz", settings=settings, limit=10)
