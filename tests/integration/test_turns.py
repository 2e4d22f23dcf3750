# SPDX-License-Identifier: Apache-2.0
"""A command decides when its turn at the lock has come: others may have changed what it saw before."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import pytest

from bigtop_builder.artifact import read_deb
from bigtop_builder.errors import BuilderError, InputError
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import rotation
from bigtop_builder.repository.layout import SuiteSettings
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.store.filesystem import FilesystemStore

Act = Callable[[], object]


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> "Turns":
    return Turns(monkeypatch)


class Turns:
    """Holds commands up where they would wait for the lock, and lets them go one after another."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._local = threading.local()
        lock = FilesystemStore.lock

        @contextmanager
        def held_up(store: FilesystemStore) -> Iterator[None]:
            if (gate := getattr(self._local, "gate", None)) and not self._local.arrived.is_set():
                self._local.arrived.set()
                gate.wait()
            with lock(store):
                yield

        monkeypatch.setattr(FilesystemStore, "lock", held_up)

    def started(self, act: Act) -> Act:
        """Start a command up to the lock; what is returned lets it go, waits for its end, and raises its error."""
        arrived, gate = threading.Event(), threading.Event()
        ended: SimpleQueue[BuilderError | None] = SimpleQueue()

        def go() -> None:
            self._local.gate, self._local.arrived = gate, arrived
            try:
                act()
            except BuilderError as error:
                ended.put(error)
            else:
                ended.put(None)

        thread = threading.Thread(target=go)
        thread.start()
        assert arrived.wait(30)

        def finish() -> None:
            gate.set()
            thread.join()
            if error := ended.get():
                raise error

        return finish


def test_the_second_of_two_inits_at_once_does_not_replace_the_first(
    tmp_path: Path, store: KeyStore, keyring: Keyring, turns: Turns
) -> None:
    def init(origin: str) -> Repository:
        return Repository.init(
            tmp_path / "new", origin=origin, keyring=keyring, fingerprints=store.fingerprints(), sync=False
        )

    second = turns.started(lambda: init("Two"))
    same = turns.started(lambda: init("One"))
    init("One").define("stable", SuiteSettings(codename="stable"))
    with pytest.raises(InputError, match="is a repository with other settings: origin, label"):
        second()
    same()
    settings = Repository.open(tmp_path / "new").state.settings()
    assert (settings.origin, [*settings.suites]) == ("One", ["stable"])


def test_a_rotation_that_waited_for_a_revocation_does_not_bring_the_key_back(
    tmp_path: Path, turns: Turns, deb: Callable[..., Path]
) -> None:
    keys = KeyStore(tmp_path / "three")
    one, two, three = (keys.new("Ann Bee", f"ann{number}@bee.example") for number in range(3))
    with keys.open() as keyring:
        repository = Repository.init(
            tmp_path / "apt", origin="Ours", keyring=keyring, fingerprints=[one, two], sync=False
        )
        repository.add("stable", [read_deb(deb("zoo"))], keyring=keyring)

        def again() -> Repository:
            return Repository.open(tmp_path / "apt", sync=False)

        waiting = [
            turns.started(lambda: rotation.begin(again(), two, three, keyring=keyring)),
            turns.started(lambda: rotation.begin(again(), one, three, keyring=keyring)),
            turns.started(lambda: rotation.finish(again(), two, new=one, keyring=keyring)),
            turns.started(lambda: rotation.renew(again(), one, keyring=keyring)),
        ]
        public = keys.public(one)
        rotation.revoke(repository, one, keyring=keyring, public=public, revoked=public)
        waiting[0]()
        for finish, said in zip(waiting[1:], ["does not sign", "was revoked", "does not sign"], strict=True):
            with pytest.raises(InputError, match=said):
                finish()
    settings = repository.state.settings()
    assert (settings.keys, settings.revoked) == ((two, three), (one,))
    pointer = repository.state.unverified_pointer("stable")
    assert pointer
    assert pointer.fields["Signed-By"] == f"{two}, {three}"
