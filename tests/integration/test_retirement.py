# SPDX-License-Identifier: Apache-2.0
"""A suite that is retired: what hosts, the history and later commands say of it, and how it comes back."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apt_host import AptHost
from bigtop_builder.artifact import read_deb
from bigtop_builder.errors import InputError
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout
from bigtop_builder.repository.check import examine
from bigtop_builder.repository.gc import collect
from bigtop_builder.repository.layout import Retention, SuiteSettings
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.retirement import retire
from bigtop_builder.repository.serve import serve
from bigtop_builder.repository.store.filesystem import FilesystemStore
from bigtop_builder.run import Completed

Tool = Callable[..., Completed]
Made = Callable[..., Path]


@pytest.fixture
def suites(repository: Repository, keyring: Keyring, deb: Made) -> dict[str, str]:
    """The last snapshots of `stable`, which has zoo, and of `testing`, which had 1 and has 2 of emu."""
    for name in ("stable", "testing"):
        repository.define(name, SuiteSettings(codename=f"{name}-codename"))
    done = {
        (suite, version): repository.add(suite, [read_deb(deb(name, version))], keyring=keyring).snapshot
        for suite, name, version in (("stable", "zoo", "1"), ("testing", "emu", "1"), ("testing", "emu", "2"))
    }
    return {"stable": done["stable", "1"], "testing": done["testing", "2"], "before": done["testing", "1"]}


def whole(repository: Repository) -> bool:
    health = examine(repository.state, now=datetime.now(UTC))
    return (health.problems, health.warnings) == ((), ())


def answer(done: Completed) -> Any:
    assert done.returncode == 0, done.complaint
    return json.loads(done.text)


def test_hosts_find_a_retired_suite_no_more_and_others_stay(
    tool: Tool,
    repository: Repository,
    keyring: Keyring,
    store: KeyStore,
    suites: dict[str, str],
    tmp_path: Path,
) -> None:
    public = keyring.export_public(store.fingerprints(), armor=False)
    root = Path(repository.store.name)
    with serve(root) as url:
        hosts = {
            suite: AptHost.following(tmp_path / suite, url=url, suite=suite, key=public)
            for suite in ("stable", "testing")
        }
        for host in hosts.values():
            host.update()
        said = answer(tool("retire", "testing", "--why", "nobody tests", "--json"))
        assert said == {"suite": "testing", "serial": 3, "snapshot": suites["testing"], "changed": True}
        hosts["stable"].update()
        refused = hosts["testing"].apt("update", "-eany", check=False)
    assert refused.returncode
    assert "404" in refused.complaint + refused.text
    assert "no longer has a Release file" in refused.complaint
    assert "not signed" not in refused.complaint
    assert "GPG error" not in refused.complaint
    assert not (root / "dists/testing").is_symlink()
    assert "testing" not in repository.state.settings().suites
    assert whole(repository)
    again = answer(tool("retire", "testing", "--json"))
    assert again == {**said, "changed": False}


def test_the_history_tells_of_it_and_other_commands_name_it(
    tool: Tool, suites: dict[str, str], deb: Made
) -> None:
    assert tool("retire", "testing", "--why", "nobody tests").returncode == 0
    newest, *_ = answer(tool("history", "testing", "--json"))
    assert (newest["action"], newest["why"], newest["to"]) == ("retire", "nobody tests", suites["testing"])
    assert newest["verified"]
    for words in (
        ("rollback", "testing"),
        ("list", "--suite", "testing"),
        ("remove", "testing", "emu"),
        ("refresh", "testing"),
        ("promote", "testing", "stable"),
        ("add", "testing", deb("ape")),
    ):
        refused = tool(*words)
        assert refused.returncode == InputError.exit_code, words
        assert "testing of" in refused.complaint
        assert "was retired at" in refused.complaint
        assert ": nobody tests" in refused.complaint
        assert f"promote {suites['testing'][:16]} testing --new-suite" in refused.complaint


def test_it_comes_back_with_its_codename_and_its_serials_go_on(
    tool: Tool,
    repository: Repository,
    keyring: Keyring,
    store: KeyStore,
    suites: dict[str, str],
    tmp_path: Path,
) -> None:
    host = AptHost.following(
        tmp_path / "host",
        url=f"file://{repository.store.name}",
        suite="testing",
        key=keyring.export_public(store.fingerprints(), armor=False),
    )
    host.update()
    retire(repository, "testing", keyring=keyring)
    assert tool("promote", suites["testing"], "testing", "--new-suite").returncode == 0
    host.update()
    assert host.candidate("emu") == "2"
    pointer = repository.state.unverified_pointer("testing")
    assert pointer
    assert (pointer.serial, pointer.fields["Codename"]) == (4, "testing-codename")
    assert len(answer(tool("history", "testing", "--json"))) == 4
    assert tool("rollback", "testing").returncode == InputError.exit_code
    assert tool("rollback", "testing", "--to", suites["before"]).returncode == 0
    assert whole(repository)


def test_a_comeback_that_was_cut_off_is_completed_by_the_same_command(
    repository: Repository,
    keyring: Keyring,
    suites: dict[str, str],
    deb: Made,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def killed(store: FilesystemStore, suite: str, *words: Any, **more: Any) -> None:
        if suite == "testing":
            raise KeyboardInterrupt
        switch(store, suite, *words, **more)

    retire(repository, "testing", keyring=keyring)
    switch = FilesystemStore.switch
    with monkeypatch.context() as patch:
        patch.setattr(FilesystemStore, "switch", killed)
        with pytest.raises(KeyboardInterrupt):
            repository.add("testing", [read_deb(deb("ape"))], keyring=keyring, new_suite=True)
    done = repository.add("testing", [read_deb(deb("ape"))], keyring=keyring, new_suite=True)
    assert (done.serial, [one.name for one in done.added]) == (4, ["ape"])
    assert suites["testing"] != done.snapshot
    assert whole(repository)


def test_gc_takes_what_only_it_held_after_a_day_and_the_rest_holds(
    repository: Repository, keyring: Keyring, suites: dict[str, str]
) -> None:
    retire(repository, "testing", keyring=keyring)
    tomorrow = datetime.now(UTC) + timedelta(days=1, minutes=1)
    rules = Retention(keep=1)
    soon = collect(repository.state, keyring=keyring, clock=lambda: datetime.now(UTC), rules=rules)
    assert soon.snapshots == ()
    done = collect(repository.state, keyring=keyring, clock=lambda: tomorrow, rules=rules)
    assert set(done.snapshots) == {suites["testing"], suites["before"]}
    pool = [one.path for one in repository.store.walk("pool")]
    assert [Path(one).name for one in pool] == ["zoo_1_all.deb"]
    assert not list(repository.store.walk("releases/testing"))
    assert whole(repository)
    with pytest.raises(InputError, match="no suite and no snapshot"):
        repository.promote(suites["testing"], "testing", keyring=keyring, new_suite=True)


def test_what_only_looks_retired_is_told(
    repository: Repository, keyring: Keyring, suites: dict[str, str]
) -> None:
    retire(repository, "testing", keyring=keyring)
    path = Path(repository.store.name) / layout.history_file("testing", 3)
    path.write_text(path.read_text().replace('"retire"', '"retire" '))
    problems = examine(repository.state, now=datetime.now(UTC)).problems
    assert [one for one in problems if layout.history_file("testing", 3) in one]
    assert suites


def test_one_that_was_cut_short_is_whole_and_told(
    repository: Repository, keyring: Keyring, suites: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FilesystemStore, "take_down", killed)
        with pytest.raises(KeyboardInterrupt):
            retire(repository, "testing", keyring=keyring)
    health = examine(repository.state, now=datetime.now(UTC))
    assert health.problems == ()
    assert [one for one in health.warnings if "repo retire testing completes it" in one]
    assert retire(repository, "testing", keyring=keyring).snapshot == suites["testing"]
    assert whole(repository)


def test_a_suite_that_nothing_was_published_to_goes_from_the_settings(
    repository: Repository, keyring: Keyring
) -> None:
    repository.define("empty", SuiteSettings(codename="empty"))
    assert retire(repository, "empty", keyring=keyring).changed
    assert not repository.state.settings().suites
    with pytest.raises(InputError, match="nothing was published to suite empty"):
        retire(repository, "empty", keyring=keyring)


def test_a_definition_does_not_bring_it_back_nor_lost_settings(
    repository: Repository, keyring: Keyring, store: KeyStore, suites: dict[str, str]
) -> None:
    retire(repository, "testing", keyring=keyring)
    repository.define("testing", SuiteSettings(codename="testing-codename"))
    assert set(repository.state.settings().suites) == {"stable"}
    root = Path(repository.store.name)
    (root / layout.SETTINGS).unlink()
    anew = Repository.init(
        root, origin="Ours", keyring=keyring, fingerprints=store.fingerprints(), sync=False
    )
    assert set(anew.state.settings().suites) == {"stable"}
    assert suites
    assert whole(repository)


def test_a_snapshots_own_suite_is_not_retired(
    repository: Repository, keyring: Keyring, suites: dict[str, str]
) -> None:
    with pytest.raises(InputError, match="own suite"):
        retire(repository, layout.snapshot_suite(suites["stable"]), keyring=keyring)
