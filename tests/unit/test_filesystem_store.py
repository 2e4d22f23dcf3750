# SPDX-License-Identifier: Apache-2.0
"""The store on disk: many files at once, in processes of their own, and one publisher at a time."""

import errno
import hashlib
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.cores import MANY
from bigtop_builder.errors import PublishError
from bigtop_builder.repository.layout import COPY
from bigtop_builder.repository.store import Alias, Content, Held, Present, Upload
from bigtop_builder.repository.store import filesystem as module
from bigtop_builder.repository.store.filesystem import FilesystemStore

HOLD = """
import sys, time
from pathlib import Path
from bigtop_builder.repository.store.filesystem import FilesystemStore
with FilesystemStore(Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(60)
"""


def uploads(folder: Path, number: int) -> dict[str, Content]:
    folder.mkdir()
    found: dict[str, Content] = {}
    for one in range(number):
        path = folder / f"{one}"
        path.write_bytes(b"%d" % one * 1000)
        found[f"pool/{one % 7}/{one}"] = Upload(path, hashlib.sha256(path.read_bytes()).hexdigest())
    return found


@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize("number", [3, MANY + 10])
def test_few_and_many_files_come_in_whole(tmp_path: Path, number: int, *, sync: bool) -> None:
    store = FilesystemStore(tmp_path / "store", sync=sync)
    with store.lock():
        store.put({**uploads(tmp_path / "files", number), "a/text": b"text", "a/link": Alias("a/text")})
        store.put({"a/text": Present(), "empty": b""})
    assert [store.read(f"pool/{one % 7}/{one}") for one in range(number)] == [
        b"%d" % one * 1000 for one in range(number)
    ]
    assert store.read("a/link") == store.read("a/text") == b"text"
    assert store.size("empty") == 0
    assert not (tmp_path / "store" / module.TEMPORARY).exists()


@pytest.mark.parametrize("number", [3, MANY + 10])
def test_a_file_that_is_not_what_its_hash_says_is_named_and_not_in_place(tmp_path: Path, number: int) -> None:
    files = uploads(tmp_path / "files", number)
    files["pool/other"] = Upload(tmp_path / "files/1", "0" * 64)
    store = FilesystemStore(tmp_path / "store", sync=False)
    with pytest.raises(PublishError, match=r"files/1 changed while it was being published") as raised:
        store.put(files)
    assert raised.value.hint
    assert store.size("pool/other") is None


def test_a_file_that_programs_are_to_read_is_refused_when_it_is_missing_or_cut_off(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    store.put({"pool/zoo.deb": b"whole"})
    assert store.local({"pool/zoo.deb": Held(size=5)}, tmp_path) == [tmp_path / "pool/zoo.deb"]
    with pytest.raises(PublishError, match=r"pool/zoo.deb has 5 bytes, not 6") as raised:
        store.local({"pool/zoo.deb": Held(size=6)}, tmp_path)
    assert raised.value.hint == COPY
    with pytest.raises(PublishError, match=r"pool/none.deb is missing") as raised:
        store.local({"pool/none.deb": Held(size=6)}, tmp_path)
    assert raised.value.hint == COPY


def test_a_large_set_that_does_not_fit_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store/pool").write_text("in the way")
    with pytest.raises(PublishError, match="store/pool") as raised:
        FilesystemStore(tmp_path / "store").put(uploads(tmp_path / "files", MANY))
    assert "nothing was switched" in raised.value.hint


def test_one_publisher_keeps_another_out_until_it_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.2)
    reading, writing = os.pipe()
    words = [sys.executable, "-c", HOLD, str(tmp_path)]
    pid = os.posix_spawn(words[0], words, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1)])
    os.close(writing)
    try:
        assert os.read(reading, 4) == b"held"
        store = FilesystemStore(tmp_path)
        start = time.monotonic()
        with pytest.raises(PublishError, match=f"by process {pid} "), store.lock():
            pass
        assert time.monotonic() - start < 5
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reading)
    with store.lock():
        store.put({"now": b"ours"})
    assert store.read("now") == b"ours"


@pytest.mark.parametrize("end", [PublishError, KeyboardInterrupt], ids=["gives up", "is interrupted"])
def test_who_only_waits_for_a_lock_leaves_its_holders_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: type[BaseException]
) -> None:
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.1)
    store = FilesystemStore(tmp_path)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    with store.lock(), store.scratch() as scratch:
        (scratch / "Packages").write_text("half\n")
        if end is KeyboardInterrupt:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(end), FilesystemStore(tmp_path).lock():
            pass
        assert (scratch / "Packages").read_text() == "half\n"
    signal.signal(signal.SIGALRM, before)


def test_who_waits_for_a_lock_is_told_once_for_whom_and_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "LOCK_SECONDS", 1.0)
    monkeypatch.setattr(module, "LOCK_TOLD", 0.1)
    store = FilesystemStore(tmp_path)
    with (
        caplog.at_level("INFO"),
        store.lock(),
        pytest.raises(PublishError, match=f"by process {os.getpid()} "),
        FilesystemStore(tmp_path).lock(),
    ):
        pass
    (told,) = caplog.messages
    assert told.startswith(f"waiting up to 1 s for process {os.getpid()} (")
    assert told.endswith(f"who holds {tmp_path}/state/lock")


def _full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace", "symlink"])
def test_an_error_names_the_file_that_was_to_be_not_a_temporary_one(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FilesystemStore(tmp_path / "store")
    real = getattr(os, call)

    def full(*words: Any, **more: Any) -> Any:
        there = [one for one in words if isinstance(one, str) and module.TEMPORARY in one]
        if there or call in {"write", "fsync"}:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *(there[:1] or ()))
        return real(*words, **more)

    def locked() -> None:
        with monkeypatch.context() as patch, store.lock():
            patch.setattr(os, call, full)
            store.put({"a/text": Alias("b") if call == "symlink" else b"text"})

    with pytest.raises(PublishError) as caught:
        locked()
    assert caught.value.brief == f"{tmp_path}/store/a/text: No space left on device"
    assert caught.value.hint.startswith("nothing was switched or removed: make room")


def test_an_error_says_what_was_done_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FilesystemStore(tmp_path / "store", sync=False)

    def locked(*deeds: Callable[[], None]) -> None:
        with monkeypatch.context() as patch, store.lock():
            for deed in deeds:
                deed()
            patch.setattr(os, "write", _full)
            store.put({"more": b"more"})

    def fail_after(*deeds: Callable[[], None]) -> str:
        with pytest.raises(PublishError) as caught:
            locked(*deeds)
        return caught.value.hint

    with store.lock():
        store.put({"a": b"a", "b": b"b", "releases/stable/1/InRelease": b""})
    switch = partial(store.switch, "stable", "releases/stable/1", files={}, before=None)
    assert fail_after().startswith("nothing was switched or removed: ")
    assert fail_after(partial(store.remove, ["a", "c"])).startswith("not all was done (files removed: 1): ")
    both = fail_after(switch, partial(store.remove, ["b"]))
    assert both.startswith("not all was done (suites switched: stable; files removed: 1): make room")


def test_where_a_switch_cannot_be_made_durable_nobody_says_that_there_was_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FilesystemStore(tmp_path / "store")
    with store.lock():
        store.put({"releases/stable/1/InRelease": b""})
        store.switch("stable", "releases/stable/1", files={}, before=None)
    (tmp_path / "store" / module.TEMPORARY).mkdir()
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(PublishError, match="No space left") as caught:
        store.read("dists/stable/InRelease")
    assert "nothing was switched" not in caught.value.hint
