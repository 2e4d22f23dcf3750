# SPDX-License-Identifier: Apache-2.0
"""The store on S3, against moto's server and a way to it that fails as networks and stores do."""

import hashlib
import io
import json
import logging
import os
import re
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from bigtop_builder import log as story
from bigtop_builder.errors import PublishError
from bigtop_builder.repository.store import Alias, Held, Present, Upload, open_store
from bigtop_builder.repository.store import upload as uploads
from bigtop_builder.repository.store.bucket import IMMUTABLE, PARALLEL, Bucket
from bigtop_builder.repository.store.lease import LEASE, Lease
from bigtop_builder.repository.store.s3 import S3Store
from s3_server import BUCKET, SECRET, URL, Way, free_port, variables


@pytest.fixture
def store(between: Way) -> S3Store:
    assert between
    return S3Store(Bucket(URL, attempts=2, seconds=1.0), lease_seconds=2.0, patience=5.0)


def file(folder: Path, data: bytes) -> Upload:
    path = folder / f"file{len(data)}"
    path.write_bytes(data)
    return Upload(path, hashlib.sha256(data).hexdigest())


def test_files_come_back_as_they_went_with_the_hash_noted(store: S3Store, tmp_path: Path) -> None:
    content = file(tmp_path, b"a package")
    store.put({"pool/main/z/zoo_1+2.deb": content, "state/x.json": b"{}", "link": Alias("state/x.json")})
    store.put({"state/x.json": Present()})
    assert store.read("pool/main/z/zoo_1+2.deb") == b"a package"
    assert store.sha256("pool/main/z/zoo_1+2.deb") == content.sha256
    assert store.held(["pool/main/z/zoo_1+2.deb", "none"]) == {
        "pool/main/z/zoo_1+2.deb": Held(size=9, sha256=content.sha256)
    }
    assert (store.size("state/x.json"), store.size("none"), store.read("none")) == (2, None, None)
    assert store.names("") == ("pool", "state")
    assert store.names("pool/main/z") == ("zoo_1+2.deb",)
    assert store.names("nothing") == ()
    store.remove(["pool/main/z/zoo_1+2.deb", "none"])
    assert store.names("") == ("state",)


def test_a_large_file_goes_in_parts_and_none_stays_behind_if_one_fails(
    store: S3Store, between: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "PART", 5 << 20)
    monkeypatch.setattr(uploads, "LARGE", 10 << 20)
    content = file(tmp_path, bytes(range(256)) * 50_000)
    store.put({"pool/large.deb": content})
    assert store.sha256("pool/large.deb") == content.sha256
    assert store.held(["pool/large.deb"])["pool/large.deb"] == Held(size=12_800_000, sha256=content.sha256)
    between.fault = lambda _method, path: "500" if "partNumber=2" in path else ""
    with pytest.raises(PublishError, match=r"other\.deb: the store answered 500"):
        store.put({"pool/other.deb": content})
    between.fault = lambda _method, _path: ""
    assert store.size("pool/other.deb") is None
    assert Bucket(URL).unfinished() == []


def test_a_file_that_changed_since_it_was_verified_is_refused(
    store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "LARGE", 1 << 20)
    for size in (1000, 2_000_000):
        content = file(tmp_path, b"a" * size)
        content.path.write_bytes(b"b" * size)
        with pytest.raises(PublishError):
            store.put({"pool/x.deb": content})
        assert store.size("pool/x.deb") is None


def test_32_files_go_at_once_and_no_more(store: S3Store, between: Way, tmp_path: Path) -> None:
    together = threading.Barrier(PARALLEL)
    there: list[int] = []
    most = 0

    def fault(method: str, path: str) -> str:
        nonlocal most
        if method == "PUT" and "/pool/" in path:
            there.append(1)
            most = max(most, len(there))
            together.wait(10)  # nobody goes on before all are there
            there.pop()
        return ""

    assert store.abilities
    content = file(tmp_path, b"a package")
    between.fault = fault
    store = S3Store(Bucket(URL, attempts=1, seconds=20.0))
    store.put({f"pool/{number}.deb": content for number in range(2 * PARALLEL)})
    assert most == PARALLEL == 32
    assert len(store.names("pool")) == 64


def test_of_a_long_upload_is_told_how_far_it_is(
    store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    content = file(tmp_path, b"a" * 500_000)
    store.put({"pool/short.deb": content})
    assert "uploading" not in caplog.text
    screen = io.StringIO()
    monkeypatch.setattr(uploads, "LONG", 1_000_000)
    store.put({f"pool/{number}.deb": content for number in range(3)})
    assert f"uploading 3 files, 2 MB, to {URL}" in caplog.text
    monkeypatch.setattr(story, "terminal", lambda: Console(file=screen, force_terminal=True, width=100))
    store.put({f"pool/{number}.deb": content for number in range(3)})
    shown = re.findall(r"([0-9.]+)/([0-9.]+) MB", screen.getvalue())
    assert "main" in screen.getvalue()
    assert shown[-1] == ("1.5", "1.5")


# Switching


FILES = {
    "main/binary-amd64/Packages": "by-hash/SHA256/ab",
    "main/binary-amd64/by-hash/SHA256/ab": "by-hash/SHA256/ab",
}


def release(store: S3Store, serial: int) -> str:
    folder = f"releases/stable/{serial}"
    names = ("Release", "Release.gpg", "InRelease")
    store.put(
        {"by-hash/SHA256/ab": b"packages", **{f"{folder}/{name}": f"{serial}".encode() for name in names}}
    )
    return folder


def test_a_switch_copies_indices_by_hash_first_and_signs_last(store: S3Store, between: Way) -> None:
    folder = release(store, 1)
    between.seen.clear()
    store.switch("stable", folder, files=FILES, before=None)
    written = [one.partition("/dists/stable/")[2] for one in between.seen if one.startswith("PUT")]
    assert [one for one in written if one][:2] == list(FILES)[::-1]
    assert written[-1] == "InRelease"
    assert store.read("dists/stable/main/binary-amd64/Packages") == b"packages"
    found = Bucket(URL).client.head_object(
        Bucket=BUCKET, Key="deb/main/dists/stable/main/binary-amd64/by-hash/SHA256/ab"
    )
    assert found["CacheControl"] == IMMUTABLE


def test_a_publisher_that_was_overtaken_switches_nothing(store: S3Store) -> None:
    store.switch("stable", release(store, 1), files=FILES, before=None)
    store.switch("stable", release(store, 2), files=FILES, before=b"1")
    with pytest.raises(PublishError, match="another publisher switched stable meanwhile"):
        store.switch("stable", release(store, 3), files=FILES, before=b"1")
    with pytest.raises(PublishError, match="another publisher"):
        store.switch("stable", release(store, 3), files=FILES, before=None)
    assert store.read("dists/stable/InRelease") == b"2"


def test_a_switch_whose_answer_was_lost_counts(store: S3Store, between: Way) -> None:
    store.switch("stable", release(store, 1), files=FILES, before=None)
    folder = release(store, 2)
    lost = iter([True])
    between.fault = lambda method, path: (
        "lost" if method == "PUT" and path.endswith("dists/stable/InRelease") and next(lost, False) else ""
    )
    store.switch("stable", folder, files=FILES, before=b"1")
    assert store.read("dists/stable/InRelease") == b"2"


def test_two_switches_are_never_of_one_second(store: S3Store) -> None:
    store.switch("stable", release(store, 1), files=FILES, before=None)
    first = Bucket(URL).head("dists/stable/InRelease")
    store.switch("stable", release(store, 2), files=FILES, before=b"1")
    second = Bucket(URL).head("dists/stable/InRelease")
    assert first
    assert second
    assert second.modified > first.modified


# The lease


def test_one_of_two_publishers_waits_for_the_other(store: S3Store) -> None:
    other = S3Store(Bucket(URL), lease_seconds=2.0, patience=10.0)
    order = []

    def publish() -> None:
        with other.lock():
            order.append("other")

    with store.lock():
        waiting = threading.Thread(target=publish)
        waiting.start()
        time.sleep(2.5)
        order.append("first")
        store.put({"state/x": b"still ours"})
    waiting.join()
    assert order == ["first", "other"]


def test_a_lease_that_is_not_renewed_expires_and_its_holder_notices(store: S3Store, between: Way) -> None:
    patient = S3Store(Bucket(URL), lease_seconds=2.0, patience=10.0)
    with store.lock():
        between.fault = lambda method, path: "500" if method == "PUT" and path.endswith(LEASE) else ""
        time.sleep(2.5)
        with pytest.raises(PublishError, match="could not be renewed in time"):
            store.put({"state/x": b"late"})
        between.fault = lambda _method, _path: ""
        time.sleep(0.6)
        taken = store.read(LEASE)
        assert taken
    with patient.lock():
        pass


def test_the_next_publisher_takes_back_what_a_killed_one_left_half_uploaded(store: S3Store) -> None:
    bucket = Bucket(URL)
    bucket.call("create_multipart_upload", "pool/half.deb")
    assert [path for path, _ in bucket.unfinished()] == ["pool/half.deb"]
    with store.lock():
        assert bucket.unfinished() == []


def test_somebody_who_publishes_for_too_long_is_named(store: S3Store) -> None:
    hasty = S3Store(Bucket(URL), lease_seconds=60.0, patience=0.5)
    with (
        store.lock(),
        pytest.raises(PublishError, match=r"others for 0 s\nnow by .*@.*process"),
        hasty.lock(),
    ):
        pass


def test_of_two_that_take_a_lease_where_conditions_are_ignored_the_later_write_stands(between: Way) -> None:
    between.fault = lambda method, _path: "bare" if method == "PUT" else ""
    slow, quick = (Lease(Bucket(URL), conditional=False, seconds=10.0) for _ in range(2))
    late = iter([True])

    def held_up(method: str, path: str) -> str:
        if method == "PUT" and path.endswith(LEASE) and next(late, False):
            time.sleep(0.2)
        return "bare"

    between.fault = held_up
    said: list[str] = []

    def take(lease: Lease) -> None:
        try:
            with lease.held():
                time.sleep(1)
                lease.confirm()
                said.append("held")
        except PublishError as error:
            said.append(error.brief)

    threads = [threading.Thread(target=take, args=(one,)) for one in (slow, quick)]
    for thread in threads:
        thread.start()
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    assert len(said) == 2
    assert "held" in said
    assert any("is being published to by" in one for one in said)


def test_where_conditions_are_ignored_the_name_in_the_lease_is_read_before_a_switch(between: Way) -> None:
    between.fault = lambda method, _path: "bare" if method == "PUT" else ""
    one, other = (S3Store(Bucket(URL), lease_seconds=20.0) for _ in range(2))
    with one.lock():
        folder = release(one, 1)
        taken = json.dumps({"holder": "somebody else", "token": "other"}).encode()
        Bucket(URL).write(LEASE, taken)
        with pytest.raises(PublishError, match="is being published to by somebody else"):
            one.switch("stable", folder, files=FILES, before=None)
    assert other.read("dists/stable/InRelease") is None
    assert other.read(LEASE) == taken


def test_who_waits_for_a_lease_is_told_once_for_whom(
    store: S3Store, caplog: pytest.LogCaptureFixture
) -> None:
    hasty = S3Store(Bucket(URL), lease_seconds=60.0, patience=2.0)
    with caplog.at_level("INFO"), store.lock(), pytest.raises(PublishError), hasty.lock():
        pass
    (told,) = [one for one in caplog.messages if one.startswith("waiting")]
    assert told.startswith("waiting up to 2 s for ")
    assert told.endswith(f"(process {os.getpid()}), who holds {URL}/{LEASE}")


def test_where_conditions_are_ignored_a_standing_lease_is_an_error(between: Way) -> None:
    between.fault = lambda method, _path: "bare" if method == "PUT" else ""
    one, two = (S3Store(Bucket(URL), lease_seconds=2.0) for _ in range(2))
    assert not one.abilities.conditional
    with one.lock():
        start = time.monotonic()
        with (
            pytest.raises(PublishError, match=r"is being published to by .*\n.*ignores conditional writes"),
            two.lock(),
        ):
            pass
        assert time.monotonic() - start < 2
        one.switch("stable", release(one, 1), files=FILES, before=None)
    with two.lock():
        two.switch("stable", release(two, 2), files=FILES, before=b"1")
    assert two.read("dists/stable/InRelease") == b"2"


def test_where_checksums_are_ignored_all_is_read_back(store: S3Store, between: Way, tmp_path: Path) -> None:
    between.fault = lambda method, _path: "bare" if method == "PUT" else ""
    assert not store.abilities.verifies
    content = file(tmp_path, b"a" * 100)
    content.path.write_bytes(b"b" * 100)
    with pytest.raises(PublishError, match="arrived with other bytes"):
        store.put({"pool/x.deb": content})
    assert store.size("pool/x.deb") is None


# Faults


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("500", r"the store answered 500 \(2 attempts\)"),
        ("503", r"the store answered (SlowDown \()?503\)? \(2 attempts\)"),
        ("slow", "does not answer in time"),
        ("lost", "no whole answer"),
    ],
)
def test_a_store_in_trouble_is_named_with_its_answer(
    store: S3Store, between: Way, fault: str, said: str
) -> None:
    assert store.abilities.verifies in {True, False}
    between.fault = lambda _method, _path: fault
    with pytest.raises(PublishError, match=f"^{URL}/state/x: .*{said}") as caught:
        store.put({"state/x": b"x"})
    assert "nothing was switched" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_an_answer_that_is_cut_off_is_asked_for_again(store: S3Store, between: Way) -> None:
    store.put({"state/x": b"x" * 1000})
    cuts = iter(["cut"])
    between.fault = lambda _method, path: next(cuts, "") if path.endswith("state/x") else ""
    assert store.read("state/x") == b"x" * 1000
    between.fault = lambda _method, _path: "cut"
    with pytest.raises(PublishError, match="no whole answer"):
        store.read("state/x")


def test_a_bucket_that_is_not_there_is_said(between: Way) -> None:
    assert between
    with pytest.raises(
        PublishError, match=r"^s3://nowhere/x/state/x: the store answered NoSuchBucket \(404\)\nhint: make"
    ):
        open_store("s3://nowhere/x").read("state/x")


def test_nobody_listening_and_no_credentials_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables(free_port()).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(PublishError, match=r"no whole answer from the store .*EndpointConnectionError"):
        S3Store(Bucket(URL, attempts=1)).read("x")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(PublishError, match="no usable credentials"):
        S3Store(Bucket(URL)).read("x")
