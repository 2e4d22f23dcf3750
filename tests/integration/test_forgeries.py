# SPDX-License-Identifier: Apache-2.0
"""Who can write to the store and has no key has nothing signed that the keys' holders did not publish."""

import logging
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from apt_host import write_deb
from bigtop_builder.artifact import read_deb
from bigtop_builder.errors import SigningError
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout, rotation
from bigtop_builder.repository.check import examine
from bigtop_builder.repository.keeping import keep
from bigtop_builder.repository.layout import SuiteSettings, snapshot_suite
from bigtop_builder.repository.pointer import DamagedError
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.refresh import refresh
from bigtop_builder.repository.removal import remove
from bigtop_builder.repository.retirement import retire
from bigtop_builder.repository.withdraw import withdraw
from bigtop_builder.run import Completed

Tool = Callable[..., Completed]
DebMaker = Callable[..., Path]
BEGIN = b"-----BEGIN PGP SIGNATURE-----\n"


@pytest.fixture(scope="module")
def mallory(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A repository of somebody else with a newer zoo, and its snapshot."""
    folder = tmp_path_factory.mktemp("mallory")
    store = KeyStore(folder / "keys")
    store.new("Mallory", "m@mallory.example")
    with store.open() as keyring:
        other = Repository.init(
            folder / "apt", origin="Ours", keyring=keyring, fingerprints=store.fingerprints(), sync=False
        )
        evil = other.add("stable", [read_deb(write_deb(folder, "zoo", "99"))], keyring=keyring)
    return folder / "apt", evil.snapshot


def forge(file: Path, evil: str) -> None:
    """What gpgv takes for signed, with another text behind it."""
    head, _, rest = file.read_bytes().partition(b"\n\n")
    body, _, signature = rest.partition(BEGIN)
    lie = re.sub(rb"X-Snapshot: [0-9a-f]+", b"X-Snapshot: " + evil.encode(), body)
    file.write_bytes(head + b"\n \n" + body + BEGIN + b" \n" + signature.lstrip(b"\n") + b"\n" + lie)


@pytest.mark.parametrize("command", ["add", "remove", "promote", "rollback", "refresh", "keep"])
def test_no_command_signs_what_was_put_behind_a_signed_text(
    command: str,
    repository: Repository,
    keyring: Keyring,
    deb: DebMaker,
    mallory: tuple[Path, str],
) -> None:
    root, evil = Path(repository.store.name), mallory[1]
    for version in ("1", "2"):
        ours = repository.add("stable", [read_deb(deb("zoo", version))], keyring=keyring).snapshot
    for folder in ("pool", "by-hash", "snapshots", "state/blocks"):
        shutil.copytree(mallory[0] / folder, root / folder, dirs_exist_ok=True, symlinks=True)
    forge((root / "dists/stable/InRelease").resolve(), evil)
    assert any(
        "dists/stable/InRelease is damaged" in one
        for one in examine(repository.state, now=datetime.now(UTC)).problems
    )
    attempt = {
        "add": lambda: repository.add("stable", [read_deb(deb("ape"))], keyring=keyring),
        "remove": lambda: remove(repository, "stable", ["zoo=2"], keyring=keyring),
        "promote": lambda: repository.promote("stable", "next", new_suite=True, keyring=keyring),
        "rollback": lambda: repository.rollback("stable", keyring=keyring),
        "refresh": lambda: refresh(repository, everything=True, keyring=keyring),
        "keep": lambda: keep(repository, "stable", keyring=keyring),
    }[command]
    with pytest.raises(DamagedError, match="dists/stable/InRelease is damaged") as caught:
        attempt()
    assert caught.value.hint.startswith("bigtop-builder repo refresh stable brings it back")
    (again,) = refresh(repository, ["stable"], keyring=keyring)
    assert again.snapshot == ours
    assert signed_names(root, evil) == []
    assert examine(repository.state, now=datetime.now(UTC)).problems == ()


def signed_names(root: Path, evil: str) -> list[Path]:
    """What names a snapshot in a wrapper that is switched to."""
    return [path for path in root.glob("dists/*/InRelease") if evil.encode() in path.read_bytes()]


def test_a_reason_and_a_description_may_hold_what_begins_a_signature(
    repository: Repository, keyring: Keyring, deb: DebMaker, tool: Tool
) -> None:
    words = "see -----BEGIN PGP SIGNATURE----- missing, -----BEGIN PGP SIGNED MESSAGE----- too"
    repository.define("stable", SuiteSettings(codename="stable", description=words))
    bad = repository.add("stable", [read_deb(deb("zoo", "1"))], keyring=keyring).snapshot
    repository.add("stable", [read_deb(deb("zoo", "2"))], keyring=keyring, why=words)
    withdraw(repository, bad, keyring=keyring, why=words)
    repository.add("stable", [read_deb(deb("zoo", "3"))], keyring=keyring)
    refresh(repository, ["stable"], keyring=keyring)
    for words_ in (["list"], ["list", "--snapshots"], ["history", "stable"], ["check"]):
        done = tool(*words_)
        assert done.returncode == 0, done.complaint
    standing = repository.state.unverified_pointer("stable")
    assert standing
    assert standing.fields["Description"] == words
    assert withdraw(repository, bad, keyring=keyring, why="fine again", undo=True).changed
    assert snapshot_suite(bad) in repository.state.unverified_pointers([snapshot_suite(bad)])


def test_a_suite_comes_back_only_where_the_keys_say_that_it_was_retired(
    tmp_path: Path, deb: DebMaker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    keys = KeyStore(tmp_path / "two")
    old, new = (keys.new("Ann Bee", f"ann{number}@bee.example") for number in range(2))
    with keys.open() as keyring:
        repository = Repository.init(
            tmp_path / "apt", origin="Ours", keyring=keyring, fingerprints=[old], sync=False
        )
        for suite in ("stable", "testing"):
            repository.define(suite, SuiteSettings(codename=f"{suite}-codename"))
            snapshot = repository.add(suite, [read_deb(deb("zoo"))], keyring=keyring).snapshot
        serial = retire(repository, "testing", keyring=keyring).serial
        rotation.begin(repository, old, new, keyring=keyring)
        rotation.finish(repository, old, keyring=keyring, public=keys.public(old))
        path = layout.history_file("testing", serial)
        told = repository.state.entry("testing", serial)
        assert told
        ours = repository.store.read(path)
        forged = told.model_copy(update={"codename": "evil"}).to_json().encode()
        repository.store.put({path: forged})
        with pytest.raises(SigningError, match="none of the present keys has signed it"):
            repository.promote(snapshot, "testing", new_suite=True, keyring=keyring)
        assert ours
        repository.store.put({path: ours})
        repository.store.put({layout.SETTINGS: without(repository, "testing")})
        assert repository.promote(snapshot, "testing", new_suite=True, keyring=keyring).serial == serial + 1
    standing = repository.state.unverified_pointer("testing")
    assert standing
    assert standing.fields["Codename"] == "testing-codename"


def without(repository: Repository, suite: str) -> bytes:
    """Settings that have a suite no more."""
    settings = repository.state.settings()
    suites = {name: one for name, one in settings.suites.items() if name != suite}
    return settings.model_copy(update={"suites": suites}).to_json().encode()
