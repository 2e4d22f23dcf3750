# SPDX-License-Identifier: Apache-2.0
"""Build results that machines share on S3, against a real server, versitygw."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.cache import ResultCache
from bigtop_builder.depot import BucketDepot
from bigtop_builder.result import RESULT
from results import DEB, STAMP, STEP, put
from s3_server import BUCKET, SECRET, Server, variables, versitygw, way

URL = f"s3://{BUCKET}/results/of/builds"
LARGE = 40 << 20
"""More than one part of an upload."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with versitygw(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def shared(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of an empty prefix."""
    for name, value in variables(server.port).items():
        monkeypatch.setenv(name, value)
    return f"{URL}/{tmp_path.name}"


def machine(folder: Path, url: str) -> ResultCache:
    return ResultCache(folder, BucketDepot(url))


def test_a_large_result_goes_to_the_bucket_and_comes_to_another_machine(shared: str, tmp_path: Path) -> None:
    payload = bytes(range(256)) * (LARGE // 256)
    built = put(machine(tmp_path / "ours", shared), payload=payload)
    theirs = machine(tmp_path / "theirs", shared)
    assert theirs.remote(STEP, STAMP) == shared
    assert theirs.obtain(STEP, STAMP, hashed=False) == built
    assert (theirs.folder(STEP, STAMP) / DEB).read_bytes() == payload


def test_of_two_builders_at_once_the_first_ones_result_stands(shared: str, tmp_path: Path) -> None:
    first = put(machine(tmp_path / "ours", shared), payload=b"our bytes")
    assert put(machine(tmp_path / "theirs", shared), payload=b"their bytes") == first


def test_an_object_that_was_altered_in_the_bucket_is_refused_and_replaced(
    shared: str, server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    built = put(machine(tmp_path / "ours", shared), payload=b"our bytes")
    place = server.folder / shared.removeprefix("s3://") / f"objects/{built.debs[0].sha256[:2]}"
    (place / built.debs[0].sha256).write_bytes(b"Our bytes")
    theirs = machine(tmp_path / "theirs", shared)
    assert theirs.obtain(STEP, STAMP, hashed=False) is None
    assert "is not what its name says" in caplog.text
    again = put(theirs, payload=b"our bytes")
    assert again.files == built.files
    assert machine(tmp_path / "third", shared).obtain(STEP, STAMP, hashed=True) == again


def test_a_bucket_that_fails_is_told_once_without_a_secret_and_done_without(
    shared: str,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with way(server.port) as between:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{between.port}")
        between.fault = lambda _method, _path: "503"
        ours = machine(tmp_path / "ours", shared)
        assert ours.remote(STEP, STAMP) == ""
        built = put(ours, payload=b"our bytes")
    assert ours.obtain(STEP, STAMP, hashed=True) == built
    assert caplog.text.count("going on without") == 1
    assert SECRET not in caplog.text


def test_a_record_is_written_last(
    shared: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with way(server.port) as between:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{between.port}")
        put(machine(tmp_path / "ours", shared), payload=b"our bytes")
        written = [path for line in between.seen for verb, path in [line.split(" ", 1)] if verb == "PUT"]
    assert len(written) == 3
    assert written[-1].partition("?")[0].endswith(f"/{RESULT}")
