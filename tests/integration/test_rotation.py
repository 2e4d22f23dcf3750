# SPDX-License-Identifier: Apache-2.0
"""Keys that follow each other, seen by real apt hosts: none is lost in the overlap, none trusts the old one after."""

import json
import re
import shutil
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from keepers_desk import Desk
from rooms import debian

from apt_host import AptHost, write_deb
from bigtop_builder.artifact import read_deb
from bigtop_builder.errors import InputError, SigningError
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring, verify
from bigtop_builder.repository import layout
from bigtop_builder.repository.check import examine
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.rotation import begin
from bigtop_builder.repository.serve import serve
from bigtop_builder.repository.withdraw import withdraw
from bigtop_builder.succession import Succession
from forked import program


@dataclass
class Site:
    """A repository with one package in `testing` and `stable`, served, and hosts."""

    folder: Path
    store: KeyStore
    old: str
    url: str
    hosts: Path

    @property
    def repository(self) -> Repository:
        return Repository.open(self.folder, sync=False)

    @property
    def succession(self) -> Succession:
        return Succession(repository=self.repository, store=self.store)

    @property
    def keys(self) -> tuple[str, ...]:
        return self.repository.state.settings().keys

    def public(self, *fingerprints: str) -> bytes:
        return b"".join(self.store.public(one) for one in fingerprints)

    def host(self, *fingerprints: str, suite: str = "stable", name: str = "") -> AptHost:
        root = self.hosts / (
            name or f"{suite}-{'-'.join(one[:4] for one in fingerprints)}-{len(list(self.hosts.iterdir()))}"
        )
        return AptHost.following(root, url=self.url, suite=suite, key=self.public(*fingerprints))

    def refuses(self, host: AptHost) -> None:
        done = host.apt("update", "-eany", check=False)
        assert done.returncode != 0
        assert re.search("NO_PUBKEY|REVKEYSIG|not signed|EXPKEYSIG", done.text + done.complaint)

    def whole(self) -> None:
        health = examine(self.repository.state, now=self.repository.clock())
        assert health.problems == ()
        assert health.warnings == ()

    def names(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "dists").iterdir())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys, and the repository that they sign, to be copied."""
    place = tmp_path_factory.mktemp("made")
    store = KeyStore(place / "keys")
    old = store.new("Ann Bee", "ann@bee.example")
    with store.open([old]) as keyring:
        repository = Repository.init(
            place / "srv", origin="Test", keyring=keyring, fingerprints=[old], sync=False
        )
        deb = read_deb(write_deb(place, "hello", "1.0"))
        repository.add("testing", [deb], keyring=keyring)
        repository.promote("testing", "stable", keyring=keyring, new_suite=True)
    return place


@pytest.fixture
def site(tmp_path: Path, made: Path) -> Iterator[Site]:
    shutil.copytree(made, tmp_path, symlinks=True, dirs_exist_ok=True)
    store, folder = KeyStore(tmp_path / "keys"), tmp_path / "srv"
    (old,) = store.fingerprints()
    (tmp_path / "hosts").mkdir()
    with serve(folder, host="127.0.0.1", port=0) as url:
        yield Site(folder=folder, store=store, old=old, url=url, hosts=tmp_path / "hosts")


def test_hosts_with_either_key_follow_in_the_overlap_and_with_the_new_one_after_it(site: Site) -> None:
    only_old = site.host(site.old)
    only_old.update()
    new = site.store.new("Ann Bee", "ann@bee.example")
    site.succession.begin(site.old, new)
    assert site.keys == (site.old, new)
    site.whole()
    snapshot = next(name for name in site.names() if name.startswith("snapshot-"))
    only_old.update()
    for suite in ("testing", "stable", snapshot):
        for keys in ((site.old,), (new,), (site.old, new)):
            host = site.host(*keys, suite=suite)
            host.update()
            assert host.candidate("hello") == "1.0"
    ready = site.host(site.old, new)
    ready.update()
    site.succession.finish(site.old, known=True)
    assert site.keys == (new,)
    site.whole()
    ready.update()
    for suite in ("testing", "stable", snapshot):
        site.host(new, suite=suite).update()
        site.refuses(site.host(site.old, suite=suite))


def test_a_rotation_that_was_cut_short_is_completed_by_the_same_steps(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = site.store.new("Ann Bee", "ann@bee.example")

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for step in ("begin", "finish"):
        words = (site.old, new) if step == "begin" else (site.old,)
        options = {} if step == "begin" else {"known": True}
        with monkeypatch.context() as patched:
            patched.setattr("bigtop_builder.repository.rotation.refresh_locked", stopped)
            with pytest.raises(KeyboardInterrupt):
                getattr(site.succession, step)(*words, **options)
        getattr(site.succession, step)(*words)
        site.whole()
    assert site.keys == (new,)
    site.host(new).update()


def test_a_lost_key_is_replaced_at_once(site: Site, tmp_path: Path) -> None:
    new = site.store.new("Ann Bee", "ann@bee.example")
    secret = site.store.folder / f"{site.old}.secret.asc"
    secret.rename(tmp_path / "lost")
    with pytest.raises(SigningError, match="is not here"):
        site.succession.begin(site.old, new)
    site.succession.finish(site.old, new=new)
    assert site.keys == (new,)
    site.whole()
    site.host(new).update()


@pytest.mark.parametrize("left", ["all", "entry"])
@pytest.mark.parametrize("how", ["in two steps", "at once", "revoked"])
def test_a_first_publish_that_was_cut_off_is_completed_while_its_key_still_counts(
    site: Site, tmp_path: Path, how: str, left: str
) -> None:
    bad, zoo, emu = (read_deb(write_deb(tmp_path, name, "1.0")) for name in ("bad", "zoo", "emu"))
    with site.store.open([site.old]) as keyring:
        site.repository.add("later", [zoo], keyring=keyring, new_suite=True, why="first")
        done = site.repository.add("spoilt", [bad], keyring=keyring, new_suite=True)
        withdraw(site.repository, done.snapshot, keyring=keyring, why="bad")
    for suite in ("later", "spoilt"):
        (site.folder / "dists" / suite).unlink()
    if left == "entry":
        shutil.rmtree(site.folder / "releases/later")
    new = site.store.new("Ann Bee", "ann@bee.example")
    if how == "at once":
        (site.store.folder / f"{site.old}.secret.asc").rename(tmp_path / "lost")
        site.succession.finish(site.old, new=new)
    else:
        site.succession.begin(site.old, new)
    if how == "in two steps":
        site.succession.finish(site.old, known=True)
    elif how == "revoked":
        site.succession.revoke(site.old, site.store.certificate(site.old))
    assert site.keys == (new,)
    with site.store.open([new]) as keyring:
        for suite in ("later", "spoilt"):
            site.repository.add(suite, [emu], keyring=keyring)
    first, *_ = site.repository.state.history("later")
    assert (first.why, [one.name for one in first.added]) == ("first", ["zoo"])
    site.whole()
    for suite, packages in (("later", ["zoo", "emu"]), ("spoilt", ["emu"])):
        host = site.host(new, suite=suite)
        host.update()
        assert [one for one in ("bad", "zoo", "emu") if host.candidate(one) == "1.0"] == packages


def test_a_first_publish_that_somebody_else_signed_holds_up_no_rotation_and_says_how_it_goes(
    site: Site, tmp_path: Path
) -> None:
    zoo = read_deb(write_deb(tmp_path, "zoo", "1.0"))
    with site.store.open([site.old]) as keyring:
        site.repository.add("later", [zoo], keyring=keyring, new_suite=True)
    (site.folder / "dists/later").unlink()
    release = (site.folder / "releases/later/1/Release").read_bytes()
    with Keyring() as strange:
        eve = strange.new_key("Eve", "eve@bee.example")
        (site.folder / "releases/later/1/InRelease").write_bytes(strange.clearsign(release, [eve]))
    new = site.store.new("Ann Bee", "ann@bee.example")
    site.succession.begin(site.old, new)
    site.succession.finish(site.old, known=True)
    assert site.keys == (new,)
    with site.store.open([new]) as keyring:
        with pytest.raises(SigningError, match="no good signature") as refused:
            site.repository.add("later", [zoo], keyring=keyring)
        assert f"remove {site.folder}/releases/later/1" in refused.value.hint
        shutil.rmtree(site.folder / "releases/later/1")
        assert site.repository.add("later", [zoo], keyring=keyring).serial == 1
    site.whole()


def test_a_key_that_expired_before_anyone_looked_is_replaced_at_once(site: Site) -> None:
    with Keyring() as keyring:
        short = keyring.new_key("Ann Bee", "ann@bee.example", expires="seconds=8")
        site.store.take(keyring.export_secret(short))
    site.succession.begin(site.old, short)
    site.succession.finish(site.old, known=True)
    host = site.host(short)
    host.update()
    (warning,) = examine(site.repository.state, now=site.repository.clock()).warnings
    assert f"key {short} expires on" in warning
    while site.repository.clock() <= keys_end(site, short) + timedelta(seconds=1):
        time.sleep(0.5)
    site.refuses(site.host(short))
    new = site.store.new("Ann Bee", "ann@bee.example")
    with pytest.raises(SigningError, match=f"key {short} expired on") as caught:
        site.succession.begin(short, new)
    assert f"key rotate {short} --finish --to" in caught.value.hint
    site.succession.finish(short, new=new)
    site.whole()
    site.host(new).update()


def keys_end(site: Site, fingerprint: str) -> datetime:
    with site.store.open([fingerprint]) as keyring:
        end = keyring.key(fingerprint).expires
    assert end
    return end


def test_the_only_key_cannot_go(site: Site) -> None:
    with pytest.raises(InputError, match="the only key") as caught:
        site.succession.finish(site.old)
    assert f"key rotate {site.old}" in caught.value.hint
    with pytest.raises(InputError, match="the only key"):
        site.succession.revoke(site.old, site.store.certificate(site.old))
    site.whole()


def test_what_another_key_has_signed_is_not_taken_over(site: Site, tmp_path: Path) -> None:
    evil = KeyStore(tmp_path / "evil")
    stranger = evil.new("Eve", "eve@bee.example")
    pointer = site.repository.state.unverified_pointer("stable")
    assert pointer
    release = (site.folder / "dists/stable/Release").read_bytes()
    with evil.open([stranger]) as keyring:
        (site.folder / "dists/stable/InRelease").write_bytes(keyring.clearsign(release, [stranger]))
    new = site.store.new("Ann Bee", "ann@bee.example")
    with pytest.raises(SigningError, match="no good signature"):
        site.succession.begin(site.old, new)


def test_a_subkey_follows_without_a_change_of_the_fingerprint(site: Site, tmp_path: Path) -> None:
    offline = site.store.new("Ann Bee", "ann@bee.example", offline=tmp_path / "safe")
    site.succession.begin(site.old, offline)
    site.succession.finish(site.old, known=True)
    before = site.public(offline)
    knows_first = site.host(offline)
    knows_first.update()
    site.store.new_subkey(offline, tmp_path / "safe")
    site.succession.renew(offline)
    assert site.public(offline) != before
    assert (site.folder / layout.key_file(offline)).read_bytes() == site.public(offline)
    knows_first.update()
    knows_both = site.host(offline)
    knows_both.update()
    with pytest.raises(
        SigningError, match="nothing here tells whether hosts of testing, stable have"
    ) as caught:
        site.succession.finish_renewal(offline)
    assert f"key export {offline}" in caught.value.hint
    assert "--hosts-have-new-key" in caught.value.hint
    knows_first.update()
    site.succession.finish_renewal(offline, known=True)
    site.whole()
    knows_both.update()
    site.refuses(knows_first)
    assert site.keys == (offline,)


def test_a_subkey_that_was_made_where_the_key_is_kept_signs_after_a_rotation_to_the_same_key(
    site: Site, tmp_path: Path
) -> None:
    elsewhere = KeyStore(tmp_path / "elsewhere")
    key = elsewhere.new("Ann Bee", "ann@bee.example", offline=tmp_path / "safe")

    def succession() -> Succession:
        secret = (elsewhere.folder / f"{key}.secret.asc").read_text()
        return Succession(repository=site.repository, store=KeyStore(site.store.folder, armored=secret))

    succession().begin(site.old, key)
    succession().finish(site.old, known=True)
    elsewhere.new_subkey(key, tmp_path / "safe")
    with pytest.raises(InputError, match="its subkeys cannot be changed here") as caught:
        succession().store.new_subkey(key, tmp_path / "safe")
    assert f"key rotate {key} --to {key}" in caught.value.hint
    succession().begin(key, key)
    assert (site.folder / layout.key_file(key)).read_bytes() == elsewhere.public(key)
    elsewhere.drop_subkeys(key)
    succession().begin(key, key)
    site.whole()


def test_a_revoked_key_is_refused_and_its_histories_are_signed_by_the_others(site: Site) -> None:
    new = site.store.new("Ann Bee", "ann@bee.example")
    site.succession.begin(site.old, new)
    proof = site.store.certificate(site.old)
    site.succession.revoke(site.old, proof)
    site.store.revoke(site.old, proof)
    assert site.keys == (new,)
    site.whole()
    first = site.folder / layout.history_file("stable", 1)
    signature = Path(f"{first}.asc").read_bytes()
    assert verify(first.read_bytes(), signature=signature, keyring=site.public(new), what="x").keys == (new,)
    with pytest.raises(InputError, match="was revoked in this repository"):
        site.succession.begin(new, site.old)
    site.host(new).update()
    site.refuses(site.host(site.old))


def test_the_commands_rotate_a_projects_repository_with_its_keyring_package(
    tmp_path: Path,
) -> None:
    project = tmp_path / "project"
    for folder in ("recipes", "patches", "repo"):
        (project / folder).mkdir(parents=True)
    env = {
        "HOME": str(tmp_path),
        "BIGTOP_BUILDER_KEYS_DIR": str(tmp_path / "keys"),
        "BIGTOP_BUILDER_PROJECT": str(project),
    }

    def do(*words: str, status: int = 0) -> dict[str, object]:
        done = program(*words, env=env)
        assert done.returncode == status, done.complaint
        found: dict[str, object] = json.loads(done.text) if "--json" in words and not status else {}
        return found

    old = str(do("key", "new", "Ann Bee", "ann@bee.example", "--json")["fingerprint"])
    definition = project / "repo/repository.toml"
    definition.write_text(
        'format = 1\norigin = "Test"  # kept\nmaintainer = "Ann Bee <ann@bee.example>"\nurl = "http://x.example"\n'
        f'storage = "srv"\nkeys = ["{old}"]\n[suites.stable]\ndescription = "x"\n'
    )
    do("key", "package", str(tmp_path / "first"))
    do("repo", "init")
    (package,) = (tmp_path / "first").iterdir()
    do("repo", "add", "stable", str(package), "--json")
    done = do("key", "rotate", old, "--json")
    assert done["keyring_package_in"] == ["stable"]
    new = str(done["new"])
    assert done["keys"] == [old, new]
    assert new in definition.read_text()
    assert "# kept" in definition.read_text()
    assert done["warnings"] == []
    done = do("key", "rotate", old, "--json")
    assert (done["new"], done["keys"]) == (new, [old, new]), (
        "what is under way goes on, and no third key is made"
    )
    do("key", "rotate", new, status=2)
    done = do("key", "rotate", old, "--finish", "--json")
    assert done["keys"] == [new]
    assert old not in definition.read_text()
    do("key", "rotate", new, "--json")
    third = next(key for key in Repository.open(project / "srv").state.settings().keys if key != new)
    done = do("key", "revoke", third, "--why", "a test", "--json")
    assert done["keys"] == [new]
    state = Repository.open(project / "srv").state
    pointer = state.unverified_pointer("stable")
    assert pointer
    (index,) = state.snapshot(pointer.snapshot).components["main"].values()
    versions = [one.version for one in state.packages(index)]
    newest = max(versions, key=lambda text: tuple(map(int, text.split("."))))
    host = AptHost.make(
        tmp_path / "host", project / "srv" / layout.pool_file("main", "test-archive-keyring", newest, "all")
    )
    keys = next((host.root / "usr/share/keyrings").iterdir()).read_bytes()
    assert keys == KeyStore(tmp_path / "keys").public(new), (
        "the newest package has the key that is left, alone"
    )
    do("repo", "check")


def test_a_rotation_that_no_keyring_package_brings_to_hosts_says_so_and_does_not_end(
    founded: Desk, tmp_path: Path
) -> None:
    done = json.loads(founded.do("key", "rotate", founded.old, "--json"))
    (warning,) = done["warnings"]
    assert done["keyring_package_lacks_key_in"] == ["stable"]
    assert f"stable has no keyring package with {done['new']}" in warning
    assert "bigtop-builder key package ., then repo add stable" in warning
    said = founded.do("key", "rotate", founded.old, "--finish", status=9)
    assert "hosts that know" in said
    assert "--hosts-have-new-key" in said
    assert founded.repository.state.settings().keys == (founded.old, done["new"])
    founded.do("key", "package", str(tmp_path / "package"))
    founded.do("repo", "add", "stable", *map(str, (tmp_path / "package").iterdir()))
    done = json.loads(founded.do("key", "rotate", founded.old, "--finish", "--json"))
    assert done["warnings"] == []
    founded.do("repo", "check")


def test_an_old_keyring_package_does_not_end_a_rotation_and_the_word_of_its_keeper_does(
    founded: Desk, tmp_path: Path
) -> None:
    founded.do("key", "package", str(tmp_path / "package"))
    founded.do("repo", "add", "stable", *map(str, (tmp_path / "package").iterdir()))
    new = founded.store.new("Ann Bee", "ann@bee.example")
    with founded.store.open([founded.old, new]) as keyring:  # a rotation that was killed before its last step
        begin(founded.repository, founded.old, new, keyring=keyring)
    said = founded.do("key", "rotate", founded.old, "--finish", status=9)
    assert f"key rotate {founded.old} --to {new}" in said
    done = json.loads(founded.do("key", "rotate", founded.old, "--finish", "--hosts-have-new-key", "--json"))
    assert done["keys"] == [new]
    assert done["keyring_package_in"] == ["stable"]


def test_a_rotation_of_a_repository_without_a_definition_ends_by_the_word_of_its_keeper_alone(
    site: Site,
) -> None:
    new = site.store.new("Ann Bee", "ann@bee.example")
    site.succession.begin(site.old, new)
    host = site.host(site.old)
    with pytest.raises(
        SigningError, match="nothing here tells whether hosts of testing, stable have"
    ) as caught:
        site.succession.finish(site.old)
    assert f"key export {new}" in caught.value.hint
    assert site.keys == (site.old, new)
    host.update()


def test_a_subkey_does_not_go_before_a_keyring_package_has_brought_its_successor(
    founded: Desk, tmp_path: Path
) -> None:
    offline = founded.store.new("Ann Bee", "ann@bee.example", offline=tmp_path / "safe")
    founded.do("key", "rotate", founded.old, "--to", offline)
    founded.do("key", "rotate", founded.old, "--finish", "--hosts-have-new-key")

    def subkey(*words: str, status: int = 0) -> str:
        return founded.do("key", "rotate", offline, "--subkey", *words, status=status)

    subkey("--primary", str(tmp_path / "safe"))
    said = subkey("--finish", status=9)
    assert "the keyring package in stable has not" in said
    assert "--hosts-have-new-key" in said
    founded.do("key", "package", str(tmp_path / "package"))
    founded.do("repo", "add", "stable", *map(str, (tmp_path / "package").iterdir()))
    subkey("--finish")
    with founded.store.open([offline]) as keyring:
        assert len(keyring.key(offline).signing) == 1
    subkey("--finish")
    subkey("--primary", str(tmp_path / "safe"))
    subkey("--finish")
    founded.do("repo", "check")


def test_check_names_the_command_that_completes_a_change_of_keys(
    founded: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = founded.store.new("Ann Bee", "ann@bee.example")

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, founded.store.open([founded.old, new]) as keyring:
        patched.setattr("bigtop_builder.repository.rotation.refresh_locked", stopped)
        with pytest.raises(KeyboardInterrupt):
            begin(founded.repository, founded.old, new, keyring=keyring)
    said = founded.do("repo", "check", status=1)
    assert f"bigtop-builder key rotate {founded.old} --to {new} completes it" in said
    done = json.loads(founded.do("key", "rotate", founded.old, "--json"))
    assert (done["new"], done["keys"]) == (new, [founded.old, new])
    assert len(founded.store.fingerprints()) == 2
    founded.do("repo", "check")


def test_check_takes_no_command_from_a_release_that_somebody_else_signed(site: Site) -> None:
    path = site.folder / "dists/stable/InRelease"
    release = (site.folder / "dists/stable/Release").read_text()
    with Keyring() as strange:
        eve = strange.new_key("Eve", "eve@bee.example")
        forged = release.replace(f"Signed-By: {site.old}", f"Signed-By: {eve}")
        assert forged != release
        path.write_bytes(strange.clearsign(forged.encode(), [eve]))
    health = examine(site.repository.state, now=site.repository.clock())
    assert any("InRelease has no good signature" in one for one in health.problems)
    assert not any(f"key rotate {eve}" in one for one in (*health.problems, *health.warnings))


def test_a_key_that_expired_is_followed_by_one_command_and_no_orphan_is_made(founded: Desk) -> None:
    with Keyring() as keyring:
        short = keyring.new_key("Ann Bee", "ann@bee.example", expires="1d")
        founded.store.take(keyring.export_secret(short))
    founded.do("key", "rotate", founded.old, "--to", short)
    founded.do("key", "rotate", founded.old, "--finish", "--hosts-have-new-key")
    ahead = "+2d"
    way_out = f"key rotate {short} --finish --to NEW"
    before = founded.store.fingerprints()
    assert way_out in founded.do("key", "rotate", short, status=9, ahead=ahead)
    assert founded.store.fingerprints() == before
    said = founded.do("repo", "check", status=1, ahead=ahead)
    assert way_out in said
    assert f"only one by the expired key {short}" in said
    assert "repo refresh" not in said
    assert "bring it back" not in said
    new = founded.store.new("Ann Bee", "ann@bee.example")
    done = json.loads(founded.do("key", "rotate", short, "--finish", "--to", new, "--json", ahead=ahead))
    assert "by hand" in done["warnings"][0]
    founded.do("repo", "check", ahead=ahead)


SIGNER = """import subprocess, sys
sys.exit(subprocess.run(["gpg", "--homedir", {home!r}, "--batch", "--quiet", "--trust-model", "always",
    "--digest-algo", "SHA512", "--local-user", sys.argv[2], "--armor", "--" + sys.argv[1]]).returncode)
"""


@pytest.mark.network
@pytest.mark.parametrize("suite", ["bullseye", "bookworm", "trixie"])
def test_the_apt_of_each_debian_takes_two_signatures_of_which_it_knows_one(
    site: Site, tmp_path: Path, suite: str
) -> None:
    """The second key is an HSM's, so that the joined block is read too."""
    with Keyring() as hsm:
        new = hsm.new_key("Ann Bee", "ann@bee.example")
        (tmp_path / "hsm.py").write_text(SIGNER.format(home=str(hsm.home)))
        site.store = KeyStore(site.store.folder, signer=[sys.executable, str(tmp_path / "hsm.py")])
        site.store.take(hsm.export_public([new]))
        site.succession.begin(site.old, new)
        said = []
        with debian(suite) as room:
            for _ in ("InRelease", "Release.gpg"):
                said += [room.run(["sh", "-ec", updating(site, key)]).text for key in (site.old, new)]
                (site.folder / "dists/stable/InRelease").unlink(missing_ok=True)
    for one in said:
        assert "W:" not in one, one
        assert "E:" not in one, one
        assert "Candidate: 1.0" in one, one


def updating(site: Site, key: str) -> str:
    return (
        f"rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /var/lib/apt/lists/*; "
        f"echo {b64encode(site.public(key)).decode()} | base64 -d >/etc/apt/key.gpg; "
        f"echo 'deb [signed-by=/etc/apt/key.gpg] {site.url} stable main' >/etc/apt/sources.list; "
        "apt-get -q -o Acquire::http::Proxy=DIRECT -o APT::Sandbox::User=root update 2>&1; apt-cache policy hello"
    )
