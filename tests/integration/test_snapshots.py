# SPDX-License-Identifier: Apache-2.0
"""Snapshots as suites of their own, kept, withdrawn, signed anew; read by the real apt, signed by the real gpg."""

import hashlib
import itertools
import json
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import rooms
from aged_site import AgedSite

from apt_host import AptHost, write_deb
from bigtop_builder import openpgp
from bigtop_builder.artifact import read_deb
from bigtop_builder.errors import CheckFailed, InputError, PublishError, SigningError
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout
from bigtop_builder.repository.authentic import published
from bigtop_builder.repository.catalog import listed
from bigtop_builder.repository.check import Health, examine
from bigtop_builder.repository.export import export
from bigtop_builder.repository.founding import let_snapshots_expire
from bigtop_builder.repository.gate import Gate
from bigtop_builder.repository.gc import Plan, collect, plan
from bigtop_builder.repository.keeping import keep
from bigtop_builder.repository.layout import Notices, Retention, SuiteSettings
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.refresh import refresh
from bigtop_builder.repository.removal import remove
from bigtop_builder.repository.serve import serve
from bigtop_builder.repository.snapshot import links_of
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store import Content
from bigtop_builder.repository.store.filesystem import FilesystemStore
from bigtop_builder.repository.withdraw import withdraw
from bigtop_builder.repository.wrapper import Change
from health import problems

DAY = timedelta(days=1)


@dataclass
class Site(AgedSite):
    """A repository that is being served."""

    keyring: Keyring
    keys: tuple[str, ...]
    url: str = ""
    hosts: list[AptHost] = field(default_factory=list)

    @property
    def public(self) -> bytes:
        return self.keyring.export_public(self.keys, armor=False)

    def add(self, *names: str, suite: str = "stable") -> str:
        """Publish packages, `name_version`, and return the snapshot's id."""
        files = []
        for name, _, version in (one.partition("_") for one in names):
            there = self.folder / f"{name}_{version}_all.deb"
            files.append(there if there.exists() else write_deb(self.folder, name, version))
        debs = [read_deb(file) for file in files]
        return self.repository.add(suite, debs, keyring=self.keyring, new_suite=True).snapshot

    def host(self, suite: str, *, url: str = "") -> AptHost:
        """A host that follows a suite, and has updated without any warning."""
        root = self.folder / f"host{len(self.hosts)}"
        host = AptHost.following(root, url=url or self.url, suite=suite, key=self.public)
        self.hosts.append(host)
        host.update()
        return host

    def plan(self, rules: Retention | None = None) -> Plan:
        return plan(self.repository.state, now=self.now, public=self.public, rules=rules)

    def collect(self, rules: Retention | None = None) -> Plan:
        return collect(
            self.repository.state, keyring=self.keyring, clock=lambda: self.now, rules=rules, why="a test"
        )


@pytest.fixture
def site(tmp_path: Path, store: KeyStore) -> Iterator[Site]:
    with store.open() as keyring:
        site = Site(tmp_path, keyring, tuple(store.fingerprints()))
        Repository.init(site.root, origin="Ours", keyring=keyring, fingerprints=site.keys, sync=False)
        with serve(site.root) as url:
            site.url = url
            yield site


# Snapshots are suites


def test_each_snapshot_is_a_suite_that_apt_installs_from_without_a_warning(site: Site) -> None:
    first, second = site.add("zoo_1"), site.add("zoo_2")
    assert site.host("stable").candidate("zoo") == "2"
    for snapshot, version in ((first, "1"), (second, "2")):
        host = site.host(layout.snapshot_suite(snapshot))
        assert host.candidate("zoo") == version
        assert host.install("zoo") == version
    pointer = site.repository.state.unverified_pointer(layout.snapshot_suite(first))
    assert pointer
    assert pointer.fields["Suite"] == pointer.fields["Codename"] == f"snapshot-{first[:16]}"
    assert (pointer.snapshot, pointer.until) == (first, None)
    assert examine(site.repository.state, now=site.now).warnings == ()
    assert problems(site.repository.state) == ()


def test_a_host_that_has_seen_the_newer_state_gets_the_older_candidate_after_a_rollback(site: Site) -> None:
    site.add("zoo_1")
    site.add("zoo_2")
    host = site.host("stable")
    assert host.candidate("zoo") == "2"
    site.repository.rollback("stable", keyring=site.keyring, why="2 loses data")
    host.update()
    assert host.candidate("zoo") == "1"


def test_promote_and_rollback_write_no_index_and_sign_no_snapshot_again(site: Site) -> None:
    site.add("zoo_1", suite="testing")
    site.add("zoo_2", suite="testing")
    before = {path for path in site.root.rglob("*") if "releases/stable" not in str(path)}
    site.repository.promote("testing", "stable", keyring=site.keyring, new_suite=True)
    site.repository.rollback("testing", keyring=site.keyring)
    fresh = {str(path.relative_to(site.root)) for path in set(site.root.rglob("*")) - before}
    folders = {"/".join(path.split("/")[:3]) for path in fresh}
    assert folders <= {
        "dists/stable",
        "releases/stable",
        "releases/stable/1",
        "releases/testing/3",
        "state/history/stable",
        "state/history/testing",
    }


def test_a_name_that_a_snapshot_may_have_is_no_suite_of_users(site: Site) -> None:
    with pytest.raises(InputError, match="a name that a snapshot may have"):
        site.add("zoo_1", suite="snapshot-0123456789abcdef")


def test_a_rollback_goes_to_nothing_that_the_keys_have_not_signed(site: Site) -> None:
    first = site.add("zoo_1")
    second = site.add("zoo_2")
    suite = layout.snapshot_suite(first)
    (site.root / f"dists/{suite}/InRelease").resolve().write_bytes(
        (site.root / f"dists/{suite}/InRelease").read_bytes().replace(b"Label: Ours", b"Label: Evil")
    )
    with pytest.raises(SigningError, match=f"{suite}/InRelease has no good signature"):
        site.repository.rollback("stable", keyring=site.keyring)
    pointer = site.repository.state.unverified_pointer("stable")
    assert pointer
    assert pointer.snapshot == second


def test_snapshots_are_listed_and_kept_by_name(site: Site) -> None:
    first, second = site.add("zoo_1"), site.add("zoo_2", "yak_1")
    kept = keep(site.repository, "stable", keyring=site.keyring, name="before-upgrade", why="safety")
    assert (kept.snapshot, kept.changed) == (second, True)
    assert not keep(site.repository, "before-upgrade", keyring=site.keyring).changed
    assert not keep(site.repository, first[:8], keyring=site.keyring, undo=True).changed
    found = listed(site.repository.state, site.public)
    assert [(one.snapshot, one.suites, one.kept, dict(one.packages)) for one in found] == [
        (first, (), "", {"amd64": 1}),
        (second, ("stable",), "before-upgrade", {"amd64": 3}),
    ]
    history = site.repository.state.history(layout.snapshot_suite(second))
    assert [(entry.action, entry.why) for entry in history] == [("snapshot", ""), ("keep", "safety")]
    with pytest.raises(InputError, match="is kept as 'before-upgrade' already"):
        keep(site.repository, first, keyring=site.keyring, name="before-upgrade")
    for wrong in ("a b", "stable", "\n", "x" * 65):
        with pytest.raises(InputError, match="cannot be a snapshot's name"):
            keep(site.repository, first, keyring=site.keyring, name=wrong)
    with pytest.raises(InputError, match="no snapshot 'ffff"):
        keep(site.repository, "ffff" * 8, keyring=site.keyring)
    assert keep(site.repository, "before-upgrade", keyring=site.keyring, undo=True).name == ""
    assert problems(site.repository.state) == ()


@pytest.mark.network
@pytest.mark.parametrize("debian", ["bullseye", "bookworm", "trixie"])
def test_the_apt_of_each_debian_follows_a_rollback_and_snapshots_without_a_warning(
    site: Site, debian: str
) -> None:
    first, second = site.add("zoo_1"), site.add("zoo_2")
    suites = ("stable", *map(layout.snapshot_suite, (first, second)))
    sources = "\n".join(f"deb [signed-by=/etc/apt/key.gpg] {site.url} {suite} main" for suite in suites)
    with rooms.debian(debian) as room:

        def said(*which: int) -> str:
            """What apt says with these suites among its sources."""
            lines = "\n".join(sources.splitlines()[number] for number in which)
            script = (
                f"rm -f /etc/apt/sources.list.d/*; echo '{lines}' >/etc/apt/sources.list; "
                f"echo {b64encode(site.public).decode()} | base64 -d >/etc/apt/key.gpg; "
                "apt-get -q -o Acquire::http::Proxy=DIRECT -o APT::Sandbox::User=root update 2>&1; "
                "apt-cache policy zoo"
            )
            text = room.run(["sh", "-ec", script]).text
            assert "W:" not in text, text
            assert "E:" not in text, text
            return text

        assert "Candidate: 2" in said(0)
        site.repository.rollback("stable", keyring=site.keyring)
        withdraw(site.repository, second, keyring=site.keyring, why="bad")
        assert "Candidate: 1" in said(0)
        assert "Candidate: 1" in said(1)
        assert "Candidate: 2" in said(2)
        assert "Candidate: 2" in said(0, 1, 2)


# Withdrawn


def test_a_withdrawn_snapshot_is_named_to_hosts_and_nothing_goes_back_to_it(site: Site) -> None:
    first, second = site.add("zoo_1"), site.add("zoo_2")
    third = site.add("zoo_3")
    done = withdraw(site.repository, second[:12], keyring=site.keyring, why="loses\nedits \x1b[31m")
    assert (done.snapshot, done.changed, done.affected) == (second, True, ())
    assert not withdraw(site.repository, second, keyring=site.keyring, why="again").changed
    signed = (site.root / "state/withdrawn.asc").read_bytes()
    proof = openpgp.verify(signed, keyring=site.public, what="notice")
    assert proof.keys == site.keys
    notices = Notices.from_json(proof.text, source="notice")
    assert [(one.snapshot, one.why) for one in notices.withdrawn] == [(second, "loses edits [31m")]
    host = site.host(layout.snapshot_suite(second))
    assert "X-Withdrawn: loses edits" in next(host.lists.glob("*InRelease")).read_text()
    for attempt in (
        lambda: site.repository.rollback("stable", keyring=site.keyring),
        lambda: site.repository.rollback("stable", to=second, keyring=site.keyring),
    ):
        with pytest.raises(PublishError, match="is withdrawn, and stable must not point to it") as refusal:
            attempt()
        assert "loses edits" in refusal.value.details
    assert site.repository.rollback("stable", to=first, keyring=site.keyring).snapshot == first
    assert problems(site.repository.state) == ()
    assert withdraw(site.repository, second, keyring=site.keyring, why="no", undo=True).changed
    assert site.repository.rollback("stable", to=second, keyring=site.keyring).snapshot == second
    assert third != second
    assert problems(site.repository.state) == ()


def test_who_withdraws_what_suites_point_to_is_told_the_way_back_of_each(site: Site) -> None:
    first = site.add("zoo_1")
    second = site.add("zoo_2")
    site.repository.promote("stable", "canary", keyring=site.keyring, new_suite=True)
    bad = site.add("zoo_3")
    withdraw(site.repository, second, keyring=site.keyring, why="bad")
    done = withdraw(site.repository, bad, keyring=site.keyring, why="worse")
    assert [(one.suite, one.target) for one in done.affected] == [("stable", first)]
    assert done.affected[0].way_out == f"bigtop-builder repo rollback stable --to {first[:16]}"
    done = withdraw(site.repository, second, keyring=site.keyring, why="bad")
    assert [(one.suite, one.target) for one in done.affected] == [("canary", "")]
    assert "promote another suite to it" in done.affected[0].way_out


def test_packages_of_a_withdrawn_snapshot_cannot_come_back_as_the_same_set(site: Site) -> None:
    site.add("zoo_1")
    bad = site.add("zoo_2")
    site.repository.rollback("stable", keyring=site.keyring)
    withdraw(site.repository, bad, keyring=site.keyring, why="bad")
    with pytest.raises(PublishError, match="is withdrawn"):
        site.add("zoo_2")
    assert site.add("zoo_2", "yak_1") != bad


def test_a_withdrawal_that_was_killed_is_completed_by_the_same_command(site: Site) -> None:
    site.add("zoo_1")
    bad = site.add("zoo_2")
    withdraw(site.repository, bad, keyring=site.keyring, why="bad")
    (site.root / "dists" / layout.snapshot_suite(bad)).unlink()
    (site.root / "dists" / layout.snapshot_suite(bad)).symlink_to(
        f"../releases/{layout.snapshot_suite(bad)}/1"
    )
    assert "differ on whether it is withdrawn" in "".join(problems(site.repository.state))
    assert withdraw(site.repository, bad, keyring=site.keyring, why="bad").changed
    (told,) = problems(site.repository.state)
    assert told.startswith("stable points to snapshot")


def test_a_list_of_withdrawn_snapshots_that_was_altered_is_not_believed(site: Site) -> None:
    first, bad = site.add("zoo_1"), site.add("zoo_2")
    withdraw(site.repository, bad, keyring=site.keyring, why="bad")
    path = site.root / "state/withdrawn.asc"
    path.write_bytes(path.read_bytes().replace(bad.encode(), first.encode()))
    assert "withdrawn.asc has no good signature" in "".join(problems(site.repository.state))
    assert site.repository.rollback("stable", keyring=site.keyring).snapshot == first
    with pytest.raises(PublishError, match="is withdrawn"):
        site.repository.promote(bad, "stable", keyring=site.keyring, gate=Gate(accept=True))


@pytest.mark.parametrize("why", ["", " \n", "x" * 501])
def test_a_withdrawal_needs_a_reason_that_people_can_read(site: Site, why: str) -> None:
    bad = site.add("zoo_1")
    with pytest.raises(InputError, match="reason"):
        withdraw(site.repository, bad, keyring=site.keyring, why=why)
    assert not (site.root / "state/withdrawn.asc").exists()


@pytest.mark.parametrize("undo", [False, True])
def test_no_name_is_no_snapshot_s_name(site: Site, undo: bool) -> None:
    withdraw(site.repository, site.add("zoo_1"), keyring=site.keyring, why="bad")
    before = (site.root / layout.WITHDRAWN).read_bytes()
    with pytest.raises(InputError, match="no snapshot ''"):
        withdraw(site.repository, "", keyring=site.keyring, why="good again", undo=undo)
    assert (site.root / layout.WITHDRAWN).read_bytes() == before


# Signed anew


def test_refresh_signs_what_is_due_and_nothing_else(site: Site) -> None:
    site.add("zoo_1", suite="lasting")
    site.repository.define("stable", SuiteSettings(codename="stable", valid_days=9))
    site.gone_by = -5 * DAY
    site.add("zoo_1")
    site.gone_by = -2 * DAY
    assert refresh(site.repository, keyring=site.keyring) == ()
    site.gone_by = 1.5 * DAY
    health = examine(site.repository.state, now=site.now)
    assert health.problems == ()
    assert [line.split(":")[0] for line in health.warnings] == ["stable"]
    assert "repo refresh" in health.warnings[0]
    site.gone_by = timedelta()
    before = site.repository.state.unverified_pointer("lasting")
    done = refresh(site.repository, keyring=site.keyring, why="weekly")
    assert done == ()
    done = refresh(site.repository, ["stable"], keyring=site.keyring, why="weekly")
    assert [(one.suite, one.serial, one.reason) for one in done] == [("stable", 2, "asked for")]
    assert site.repository.state.history("stable")[-1].why == "weekly"
    assert site.repository.state.unverified_pointer("lasting") == before
    everything = refresh(site.repository, keyring=site.keyring, everything=True)
    assert len(everything) == 2 + len(site.repository.state.snapshots())
    assert problems(site.repository.state) == ()
    host = site.host("stable")
    assert host.candidate("zoo") == "1"


def test_snapshots_get_a_valid_until_when_that_is_wanted(site: Site) -> None:
    snapshot = site.add("zoo_1")
    let_snapshots_expire(site.repository.state, 30)
    (done,) = refresh(site.repository, keyring=site.keyring)
    assert (done.suite, done.reason) == (layout.snapshot_suite(snapshot), "it is to be valid 30 days now")
    pointer = site.repository.state.unverified_pointer(done.suite)
    assert pointer
    assert pointer.until == pointer.date + 30 * DAY
    assert refresh(site.repository, keyring=site.keyring) == ()
    site.host(done.suite)


def test_after_a_change_of_keys_all_is_signed_by_exactly_the_present_ones(
    site: Site,
) -> None:
    first = site.add("zoo_1")
    bad = site.add("zoo_2")
    withdraw(site.repository, bad, keyring=site.keyring, why="bad")
    other = site.keyring.new_key("Cid Dee", "cid@dee.example")
    path = site.root / "state/repository.json"
    for keys in ([*site.keys, other], [other]):
        value = json.loads(path.read_text())
        path.write_text(json.dumps({**value, "keys": keys}))
        (site.root / layout.key_file(other)).write_bytes(site.keyring.export_public([other], armor=False))
        done = refresh(site.repository, keyring=site.keyring)
        suites = ["stable", *(layout.snapshot_suite(one) for one in (first, bad)), layout.WITHDRAWN]
        assert sorted(one.suite for one in done) == sorted(suites)
        assert refresh(site.repository, keyring=site.keyring) == ()
        public = site.keyring.export_public([*site.keys, other], armor=False)
        for suite in suites[:-1]:
            pointer = site.repository.state.unverified_pointer(suite)
            assert pointer
            assert set(openpgp.verify(pointer.signed, keyring=public, what=suite).keys) == set(keys)
        (told,) = problems(site.repository.state)
        assert told.startswith("stable points to snapshot")
    pointer = site.repository.state.unverified_pointer(layout.snapshot_suite(bad))
    assert pointer
    assert pointer.fields["X-Withdrawn"] == "bad"


def test_a_snapshot_of_an_older_version_gets_its_suite_and_a_stranger_s_does_not(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    snapshot = site.add("zoo_1")
    suite = layout.snapshot_suite(snapshot)
    for folder in (f"releases/{suite}", f"state/history/{suite}"):
        site.repository.store.clear(folder)
    (site.root / "dists" / suite).unlink()
    model = (site.root / layout.snapshot_file(snapshot)).read_text() + "\n"
    strange = hashlib.sha256(model.encode()).hexdigest()
    site.repository.store.put({layout.snapshot_file(strange): model.encode()})
    assert any(
        "has no suite of its own" in one for one in examine(site.repository.state, now=site.now).warnings
    )
    (done,) = refresh(site.repository, keyring=site.keyring)
    assert (done.suite, done.reason) == (suite, "it has none of its own")
    assert f"no signed history names snapshot {strange}" in caplog.text
    site.host(suite)


def test_a_suite_that_nothing_was_published_to_is_not_refreshed(site: Site) -> None:
    site.add("zoo_1")
    with pytest.raises(InputError, match="nothing was published to suite stabel"):
        refresh(site.repository, ["stabel"], keyring=site.keyring)


# Retention and gc


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir() or path.is_symlink()}


def test_gc_leaves_everything_unless_rules_say_otherwise(site: Site) -> None:
    for version in "1234":
        site.add(f"zoo_{version}")
    site.gone_by = 400 * DAY
    found = site.plan()
    assert (found.snapshots, set(found.files)) == ((), {"wrappers"})
    assert all(one.path.startswith("releases/stable/") for one in found.files["wrappers"])


def test_gc_removes_what_rules_do_not_keep_and_hosts_never_notice(site: Site) -> None:
    ids = [site.add(f"zoo_{version}", f"only{version}_1") for version in "123456"]
    keep(site.repository, ids[0], keyring=site.keyring, name="first")
    site.repository.promote("stable", "production", keyring=site.keyring, new_suite=True)
    rules = Retention(keep=2)
    assert site.plan(rules).count == 0
    host = site.host("stable")
    site.gone_by = 2 * DAY
    before = files(site.root)
    told = site.plan(rules)
    assert files(site.root) == before
    assert told.snapshots == tuple(sorted(ids[1:4]))
    assert told.stays[ids[0]] == ("kept as first",)
    assert "stable points to it" in told.stays[ids[5]]
    done = site.collect(rules)
    assert (done.snapshots, done.count, done.size) == (told.snapshots, told.count, told.size)
    assert {one.path for kind in done.files.values() for one in kind} == before - files(site.root)
    # A package of a snapshot that stays is a package of those after it too: all in all nothing is lost.
    assert sorted(path.name for path in (site.root / "pool").rglob("zoo*.deb")) == [
        f"zoo_{version}_all.deb" for version in "123456"
    ]
    (record,) = [path for path in (site.root / "state/collected").iterdir() if path.suffix == ".json"]
    assert json.loads(record.read_text())["why"] == "a test"
    assert problems(site.repository.state) == ()
    assert site.plan(rules).count == 0
    host.update("-oAcquire::By-Hash=yes")
    assert host.candidate("zoo") == "6"
    site.gone_by = timedelta()
    assert site.repository.rollback("stable", keyring=site.keyring).snapshot == ids[4]
    host.update()
    assert host.candidate("zoo") == "5"
    site.host(layout.snapshot_suite(ids[0]))


def test_packages_that_no_snapshot_names_any_more_go_and_sum_up(site: Site) -> None:
    site.add("zoo_1", "big_1")
    debs = [read_deb(write_deb(site.folder, "zoo", "2"))]
    site.repository.add("stable", debs, keyring=site.keyring, replace=True, gate=Gate(accept=True))
    site.add("zoo_3")
    site.gone_by = 2 * DAY
    size = sum(path.stat().st_size for path in (site.root / "pool").rglob("*_1_all.deb"))
    done = site.collect(Retention(keep=1))
    assert len(done.snapshots) == 1
    assert sum(one.size for one in done.files["packages"]) == size
    assert not list((site.root / "pool").rglob("*_1_all.deb"))
    assert not (site.root / "pool/main/b").exists()
    assert problems(site.repository.state) == ()


def test_what_a_suite_can_go_back_to_stays_though_withdrawn_ones_lie_between(site: Site) -> None:
    first, bad, _ = site.add("zoo_1"), site.add("zoo_2"), site.add("zoo_3")
    withdraw(site.repository, bad, keyring=site.keyring, why="bad")
    site.gone_by = 3 * DAY
    stays = site.plan(Retention(keep=1)).stays
    assert stays[first] == ("stable can go back to it",)
    assert stays[bad] == ("stable can go back to it",)


def test_a_half_done_gc_is_completed_and_hosts_are_served_all_the_while(site: Site) -> None:
    ids = [site.add(f"zoo_{version}") for version in "12345"]
    site.gone_by = 2 * DAY
    rules = Retention(keep=1)
    told = site.plan(rules)
    store = site.repository.store
    for kind, files_of in told.files.items():
        store.remove([one.path for one in files_of[: len(files_of) // 2]])
        assert problems(site.repository.state) == (), kind
        store.remove([one.path for one in files_of])
        assert problems(site.repository.state) == (), kind
    again = site.collect(rules)
    assert (again.snapshots, again.count) == ((), 0)
    assert site.repository.state.snapshots() == tuple(sorted(ids[3:]))


def test_gc_removes_nothing_where_it_cannot_tell(site: Site) -> None:
    ids = [site.add(f"zoo_{version}") for version in "1234"]
    site.gone_by = 2 * DAY
    lost = site.root / layout.history_file("stable", 2)
    text = lost.read_bytes()
    lost.unlink()
    before = files(site.root)
    with pytest.raises(CheckFailed, match="history of stable has 3 entries of 4"):
        site.collect(Retention(keep=1))
    lost.write_bytes(text)
    model = site.root / layout.snapshot_file(ids[-1])
    text = model.read_bytes()
    model.write_bytes(text.replace(b'"count": 4', b'"count": 3'))
    with pytest.raises(CheckFailed, match="was altered"):
        site.collect(Retention(keep=1))
    model.unlink()
    with pytest.raises(CheckFailed, match="is missing, and in use"):
        site.collect(Retention(keep=1))
    model.write_bytes(text)
    assert before - files(site.root) == set()


def test_a_foreign_entry_of_a_history_is_neither_believed_nor_in_the_way(site: Site) -> None:
    first, second = site.add("zoo_1"), site.add("zoo_2")
    state = site.repository.state
    entry = site.root / layout.history_file("stable", 2)
    entry.write_bytes(b"{" + entry.read_bytes())
    assert published(state, {first, second}, site.public) == {first}
    forged = site.root / layout.history_file("stable", 1)
    forged.write_bytes(forged.read_bytes().replace(first.encode(), second.encode()))
    assert published(state, {first, second}, site.public) == set()


def test_check_reads_each_file_once_however_many_paths_lead_to_it(site: Site) -> None:
    site.add("zoo_1", "yak_1")
    site.repository.promote("stable", "testing", new_suite=True, keyring=site.keyring)
    read: list[str] = []

    class Counting(FilesystemStore):
        def sha256(self, path: str) -> str:
            read.append(self.origin(path))
            return super().sha256(path)

    assert examine(State(Counting(site.root)), now=site.now) == Health(problems=(), warnings=())
    hashed = {path for path in site.root.rglob("*") if path.is_file() and not path.is_symlink()}
    indices = {path for path in hashed if path.parent == site.root / "by-hash/SHA256"}
    assert sorted(read) == sorted(str(path) for path in {*indices, *(site.root / "pool").rglob("*.deb")})


def test_check_names_files_that_are_none_of_the_repository_s(site: Site) -> None:
    site.add("zoo_1")
    for path in ("index.html", "pool/notes.txt", "by-hash/SHA256/short", "dists/mine/InRelease"):
        (site.root / path).parent.mkdir(parents=True, exist_ok=True)
        (site.root / path).write_text("hello\n")
    health = examine(site.repository.state, now=site.now)
    assert health.problems == ()
    said = [line.split(" is ")[0] for line in health.warnings]
    assert sorted(said) == ["by-hash/SHA256/short", "dists/mine", "index.html", "pool/notes.txt"]


def test_rules_of_one_run_stand_in_place_of_the_same_of_a_suite_alone(site: Site) -> None:
    rules = Retention(keep=2, rollbacks=3)
    site.gone_by = -9 * DAY
    site.repository.define("stable", SuiteSettings(codename="stable", retention=rules))
    snapshots = []
    for version in "12345":
        snapshots.append(site.add(f"zoo_{version}"))
        site.gone_by += 2 * DAY
    site.gone_by = 2 * DAY

    def stay(given: Retention | None) -> list[str]:
        return [one for one in snapshots if one in site.plan(given).stays]

    assert stay(None) == snapshots[1:]
    assert stay(Retention(keep_days=5)) == snapshots[1:]
    assert stay(Retention(keep=1)) == snapshots[1:], "three rollbacks must stay possible"
    assert stay(Retention(rollbacks=1)) == snapshots[3:]
    assert stay(Retention(rollbacks=1, keep=4)) == snapshots[1:]
    assert stay(Retention(rollbacks=1, keep_days=10)) == snapshots


# Mirrors


def test_an_export_is_a_mirror_that_apt_installs_from_with_the_same_signatures(site: Site) -> None:
    site.add("zoo_1", "other_1", suite="testing")
    snapshot = site.add("zoo_2", "lib+bt_1.0+bt1")
    target = site.folder / "mirror"
    done = export(site.repository.state, FilesystemStore(target, sync=False), suites=["stable"], now=site.now)
    assert done.suites["stable"] == snapshot
    suite = layout.snapshot_suite(snapshot)
    for name in ("InRelease", "Release", "Release.gpg"):
        for one in ("stable", suite):
            assert (target / f"dists/{one}/{name}").read_bytes() == (
                site.root / f"dists/{one}/{name}"
            ).read_bytes()
    assert not list(target.rglob("*other*"))
    mirror = Repository.open(target)
    assert examine(mirror.state, now=site.now) == examine(site.repository.state, now=site.now)
    assert site.host("stable", url=f"file://{target}").install("lib+bt") == "1.0+bt1"
    assert site.host(suite, url=f"file://{target}").candidate("zoo") == "2"
    with serve(target) as url:
        assert site.host("stable", url=url).install("zoo") == "2"


def test_an_export_again_brings_only_what_is_new_and_later_drops_what_is_old(site: Site) -> None:
    first = site.add("zoo_1")
    target = FilesystemStore(site.folder / "mirror", sync=False)
    export(site.repository.state, target, suites=["stable"], now=site.now)
    before = {path: path.lstat().st_mtime_ns for path in target.root.rglob("*") if path.is_file()}
    assert export(site.repository.state, target, suites=["stable"], now=site.now).files == 0
    same = {path: path.lstat().st_mtime_ns for path in before}
    assert [path.name for path in before if before[path] != same[path]] == ["mirror.json"]
    host = site.host("stable", url=f"file://{target.root}")
    site.add("zoo_2")
    export(site.repository.state, target, suites=["stable"], now=site.now)
    host.update()
    assert host.candidate("zoo") == "2"
    assert (target.root / layout.snapshot_file(first)).exists()
    site.gone_by = 2 * DAY
    assert export(site.repository.state, target, suites=["stable"], now=site.now).removed
    assert not (target.root / layout.snapshot_file(first)).exists()
    assert problems(Repository.open(target.root).state) == ()
    host.update()


def test_nothing_is_published_to_a_mirror(site: Site) -> None:
    first = site.add("zoo_1")
    site.add("zoo_2")
    target = site.folder / "mirror"
    export(site.repository.state, FilesystemStore(target, sync=False), suites=["stable"], now=site.now)
    before = files(target)
    mirror = Repository(FilesystemStore(target, sync=False), clock=lambda: site.now)
    package = [read_deb(write_deb(site.folder, "zoo", "3"))]
    commands: list[Callable[[], object]] = [
        lambda: mirror.add("stable", package, keyring=site.keyring),
        lambda: mirror.promote("stable", "testing", new_suite=True, keyring=site.keyring),
        lambda: mirror.rollback("stable", to=first, keyring=site.keyring),
        lambda: mirror.define("testing", SuiteSettings(codename="testing")),
        lambda: remove(mirror, "stable", ["zoo"], keyring=site.keyring),
        lambda: refresh(mirror, keyring=site.keyring),
        lambda: withdraw(mirror, first, keyring=site.keyring, why="bad"),
        lambda: keep(mirror, "stable", keyring=site.keyring),
        lambda: collect(mirror.state, keyring=site.keyring, clock=mirror.clock),
    ]
    for command in commands:
        with pytest.raises(InputError, match=f"is a mirror of {site.root}"):
            command()
    assert files(target) == before


def test_a_snapshot_can_be_exported_and_a_missing_file_of_a_mirror_comes_back(site: Site) -> None:
    first = site.add("zoo_1")
    site.add("zoo_2")
    target = FilesystemStore(site.folder / "mirror", sync=False)
    for _ in range(2):
        export(site.repository.state, target, snapshots=[first[:10]], now=site.now)
        assert site.host(layout.snapshot_suite(first), url=f"file://{target.root}").install("zoo") == "1"
        next((target.root / "pool").rglob("*.deb")).unlink()


def test_a_snapshot_that_an_older_version_wrote_keeps_its_id_in_a_mirror(site: Site) -> None:
    site.add("zoo_1")
    pointer = site.repository.state.unverified_pointer("stable")
    assert pointer
    model = json.loads((site.root / layout.snapshot_file(pointer.snapshot)).read_text())
    text = json.dumps({name: model[name] for name in ("format", "components", "manifests")}).encode()
    older = hashlib.sha256(text).hexdigest()
    site.repository.store.put({layout.snapshot_file(older): text})
    links = links_of(older, site.repository.state.snapshot(older), ("", ".gz", ".xz"))
    site.repository.store.put(links)
    change = Change(suite="stable", snapshot=older, action="add")
    site.repository.switch_to(pointer, change, site.keyring)
    target = FilesystemStore(site.folder / "mirror", sync=False)
    export(site.repository.state, target, suites=["stable"], now=site.now)
    assert problems(Repository(target).state) == ()
    assert site.host("stable", url=f"file://{target.root}").candidate("zoo") == "1"


def test_a_first_export_that_was_killed_is_completed_by_the_same_command(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("zoo_1")
    put = FilesystemStore.put

    def killed(store: FilesystemStore, files: Mapping[str, Content], **words: Any) -> None:
        put(store, files, **words)
        left.append(len(files))
        if len(left) == puts:
            raise KeyboardInterrupt

    for puts in range(1, 30):
        left: list[int] = []
        target = FilesystemStore(site.folder / f"mirror{puts}", sync=False)
        with monkeypatch.context() as patch:
            patch.setattr(FilesystemStore, "put", killed)
            try:
                export(site.repository.state, target, suites=["stable"], now=site.now)
            except KeyboardInterrupt:
                pass
            else:
                break
        export(site.repository.state, target, suites=["stable"], now=site.now)
        assert examine(State(target), now=site.now).problems == ()
    assert puts > 8


def test_an_export_to_a_mirror_that_was_killed_leaves_it_whole_and_is_completed_by_the_same_command(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("zoo_1", suite="testing")
    site.add("zoo_1")
    first = FilesystemStore(site.folder / "first", sync=False)
    both = ["stable", "testing"]
    export(site.repository.state, first, suites=both, now=site.now)
    site.gone_by = 2 * DAY  # so that what is no more shown is removed
    site.add("zoo_2")

    def killed(call: Callable[..., None], left: Iterator[int], *words: Any, **options: Any) -> None:
        if not next(left):
            raise KeyboardInterrupt
        call(*words, **options)

    for calls in range(40):
        target = FilesystemStore(site.folder / f"mirror{calls}", sync=False)
        shutil.copytree(first.root, target.root, symlinks=True)
        left = itertools.count(calls, -1)

        with monkeypatch.context() as patch:
            for name in ("put", "switch", "remove"):
                patch.setattr(target, name, partial(killed, getattr(target, name), left))
            try:
                export(site.repository.state, target, suites=both, now=site.now)
            except KeyboardInterrupt:
                pass
            else:
                break
        assert problems(State(target)) == ()
        export(site.repository.state, target, suites=both, now=site.now)
        assert problems(State(target)) == ()
        assert State(target).unverified_pointer("stable") == site.repository.state.unverified_pointer(
            "stable"
        )
    assert calls > 8


def test_what_a_mirror_shows_stays_whatever_an_export_that_was_killed_has_noted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("ape_1", suite="testing")
    shown = site.add("zoo_1")
    target = FilesystemStore(site.folder / "mirror", sync=False)
    export(site.repository.state, target, suites=["stable", "testing"], now=site.now)
    host = site.host("stable", url=f"file://{target.root}")
    site.add("zoo_2")

    def killed(*_: object, **_words: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(target, "switch", killed)
        with pytest.raises(KeyboardInterrupt):
            export(site.repository.state, target, suites=["stable"], now=site.now)
    site.gone_by = 2 * DAY
    site.add("ape_2", suite="testing")
    export(site.repository.state, target, suites=["testing"], now=site.now)
    assert problems(State(target)) == ()
    host.update()
    assert host.install("zoo") == "1"
    export(site.repository.state, target, suites=["stable"], now=site.now)
    assert (target.root / layout.snapshot_file(shown)).exists(), (
        "hosts that read it just now may still need it"
    )
    site.gone_by = 4 * DAY
    export(site.repository.state, target, suites=["stable"], now=site.now)
    assert not (target.root / layout.snapshot_file(shown)).exists()


def test_a_mirror_follows_another_copy_of_its_repository_and_hosts_can_read_it_all_the_while(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("zoo_1")
    copy = FilesystemStore(site.folder / "copy", sync=False)
    shutil.copytree(site.root, copy.root, symlinks=True)
    site.add("zoo_2")
    target = FilesystemStore(site.folder / "mirror", sync=False)
    export(site.repository.state, target, suites=["stable"], now=site.now)
    host = site.host("stable", url=f"file://{target.root}")
    site.gone_by = timedelta(seconds=3)
    again = Repository(copy, clock=lambda: site.now)
    done = again.add("stable", [read_deb(write_deb(site.folder, "zoo", "3"))], keyring=site.keyring)
    put = target.put

    def killed(files: Mapping[str, Content], **words: Any) -> None:
        if "releases/stable/2/InRelease" in files:
            raise KeyboardInterrupt
        put(files, **words)

    with monkeypatch.context() as patch:
        patch.setattr(target, "put", killed)
        with pytest.raises(KeyboardInterrupt):
            export(again.state, target, suites=["stable"], now=site.now)
    host.update()
    assert host.candidate("zoo") == "2"
    export(again.state, target, suites=["stable"], now=site.now)
    host.update()
    assert host.candidate("zoo") == "3"
    entry = State(target).entry("stable", 2)
    assert entry
    assert entry.after == done.snapshot
    assert problems(State(target)) == ()


def test_an_export_goes_into_no_strange_place_and_not_back_in_time(site: Site) -> None:
    site.add("zoo_1")
    state = site.repository.state
    with pytest.raises(InputError, match="is no mirror of this tool"):
        export(state, FilesystemStore(site.root), suites=["stable"], now=site.now)
    (site.folder / "full").mkdir()
    (site.folder / "full/thesis.txt").touch()
    with pytest.raises(InputError, match=r"holds thesis\.txt and is no mirror"):
        export(state, FilesystemStore(site.folder / "full"), suites=["stable"], now=site.now)
    with pytest.raises(InputError, match="did you mean stable"):
        export(state, FilesystemStore(site.folder / "mirror"), suites=["stabel"], now=site.now)
    with pytest.raises(InputError, match="no snapshot 'beef"):
        export(state, FilesystemStore(site.folder / "mirror"), snapshots=["beef"], now=site.now)
    target = FilesystemStore(site.folder / "mirror", sync=False)
    standing = (site.root / "dists/stable").readlink()
    refresh(site.repository, ["stable"], keyring=site.keyring)
    export(state, target, suites=["stable"], now=site.now)
    (site.root / "dists/stable").unlink()
    (site.root / "dists/stable").symlink_to(standing)
    with pytest.raises(PublishError, match="newer than the repository's"):
        export(state, target, suites=["stable"], now=site.now)
    package = next((site.root / "pool").rglob("*.deb"))
    package.write_bytes(b"!" * package.stat().st_size)
    with pytest.raises(PublishError, match="changed while it was being published"):
        export(state, FilesystemStore(site.folder / "other"), suites=["stable"], now=site.now)
    assert not (site.folder / "other/dists").exists()
