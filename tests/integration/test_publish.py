# SPDX-License-Identifier: Apache-2.0
"""Publishing with real gpg and dpkg-deb, read by the real apt over HTTP; and what is refused."""

import hashlib
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from apt_host import AptHost, write_deb
from bigtop_builder.artifact import Deb, read_deb
from bigtop_builder.errors import CheckFailed, InputError, PublishError, SigningError
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository.index.blocks import begins_block
from bigtop_builder.repository.keyring_package import KeyringPackage, build
from bigtop_builder.repository.layout import COPY, SuiteSettings
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.refresh import refresh
from bigtop_builder.repository.removal import remove
from bigtop_builder.repository.serve import serve
from bigtop_builder.repository.store import Staged
from bigtop_builder.repository.store.filesystem import FilesystemStore
from bigtop_builder.run import run
from bigtop_builder.verify.verdict import JudgedPackage, Verdict
from health import problems

NAMES = ("aa", *[name for number in range(999) if begins_block(name := f"package{number}")][:4], "zz")
"""Packages of several blocks."""
DAY = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Site:
    """A repository that is being served, its keys, and a folder for what tests make."""

    folder: Path
    repository: Repository
    keyring: Keyring
    fingerprint: str
    url: str

    @property
    def root(self) -> Path:
        return self.folder / "repository"

    def deb(self, name: str, version: str = "1.0-1", content: str = "", architecture: str = "all") -> Deb:
        """A package made by dpkg-deb."""
        root = self.folder / "trees" / f"{name}-{version}-{len(content)}"
        (root / "DEBIAN").mkdir(parents=True)
        (root / "usr/share").mkdir(parents=True)
        data = (content or f"{name} {version}\n").encode()
        (root / "usr/share" / name).write_bytes(data)
        (root / "DEBIAN/control").write_text(
            f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
            f"Maintainer: Ann Bee <ann@bee.example>\nDescription: {name}\n A test's package.\n"
        )
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        (root / "DEBIAN/md5sums").write_text(f"{digest}  usr/share/{name}\n")
        target = self.folder / f"{name}_{version.replace(':', '%3a')}_{len(content)}.deb"
        run(["dpkg-deb", "--root-owner-group", "--build", root, target])
        return read_deb(target)

    def add(self, *debs: Deb, suite: str = "stable") -> None:
        assert self.repository.add(suite, debs, keyring=self.keyring).changed

    def host(self, name: str = "host", suite: str = "stable") -> AptHost:
        """A host that trusts the keyring package only."""
        package = KeyringPackage(
            origin="Test Origin",
            keys=self.keyring.export_public([self.fingerprint], armor=False),
            url=self.url,
            suites=[suite],
            version="1",
            date=DAY,
            maintainer="Ann Bee <ann@bee.example>",
        )
        return AptHost.make(self.folder / name, build(package, self.folder))


@pytest.fixture
def site(tmp_path: Path, store: KeyStore) -> Iterator[Site]:
    with store.open() as keyring:
        (fingerprint,) = store.fingerprints()
        root = tmp_path / "repository"
        repository = Repository.init(root, origin="Test Origin", keyring=keyring, fingerprints=[fingerprint])
        with serve(root) as url:
            yield Site(tmp_path, repository, keyring, fingerprint, url)


def tree(root: Path) -> dict[str, tuple[int, int]]:
    """All files of a folder with their inode and modification time."""
    return {str(path): (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in root.rglob("*")}


# What hosts see


def test_a_host_updates_verified_and_installs_what_was_published(site: Site) -> None:
    site.add(site.deb("zoo"), site.deb("libzoo", "1:2.0+bt1~deb12", architecture="amd64"))
    host = site.host()
    host.update()
    assert host.candidate("zoo") == "1.0-1"
    assert host.candidate("libzoo") == "1:2.0+bt1~deb12"
    fetched = host.download("libzoo", site.folder / "host")
    assert read_deb(fetched).name == "libzoo"
    assert problems(site.repository.state) == ()


@pytest.mark.parametrize("form", ["Packages.gz", "Packages.xz"])
def test_indices_read_in_each_form_by_hash_and_by_name(site: Site, form: str) -> None:
    site.add(*(site.deb(name) for name in NAMES))
    packages = run(
        ["sh", "-c", f"{'zcat' if form.endswith('gz') else 'xzcat'} {form}"], cwd=indices(site)
    ).stdout
    assert packages == (indices(site) / "Packages").read_bytes()
    assert len(site.repository.store.names("state/blocks")) > 1
    host = site.host()
    order = f"-oAcquire::CompressionTypes::Order::={form.rpartition('.')[2]}"
    for by_hash in ("yes", "no"):
        host.update(order, f"-oAcquire::By-Hash={by_hash}", "-oAcquire::GzipIndexes=true")
        assert host.candidate(NAMES[-1]) == "1.0-1"


def indices(site: Site) -> Path:
    return site.root / "dists/stable/main/binary-amd64"


def test_a_rollback_reaches_a_host_that_has_the_newer_state(site: Site) -> None:
    site.add(site.deb("zoo", "1.0-1"))
    site.add(site.deb("zoo", "2.0-1"))
    host = site.host()
    host.update()
    assert host.candidate("zoo") == "2.0-1"
    assert site.repository.rollback("stable", keyring=site.keyring, why="2.0 loses data").changed
    host.update()
    assert host.candidate("zoo") == "1.0-1"
    last = site.repository.state.history("stable")[-1]
    assert (last.action, last.why, last.serial) == ("rollback", "2.0 loses data", 3)
    assert problems(site.repository.state) == ()


def test_an_update_sees_each_of_two_publishes_within_one_second(site: Site) -> None:
    host: AptHost | None = None
    for version in ("1", "2", "3"):
        site.add(site.deb("zoo", version))
        host = host or site.host()
        host.update()
        assert host.candidate("zoo") == version


def test_indices_of_the_state_before_are_there_by_hash_after_a_switch(site: Site) -> None:
    site.add(site.deb("zoo"))
    old = site.repository.state.snapshot(site.repository.state.snapshots()[0])
    site.add(site.deb("yak"))
    for entry in old.components["main"]["amd64"].files.values():
        for algorithm, value in (("SHA256", entry.sha256), ("SHA512", entry.sha512)):
            answer = httpx.get(f"{site.url}/dists/stable/main/binary-amd64/by-hash/{algorithm}/{value}")
            assert hashlib.new(algorithm.lower(), answer.content).hexdigest() == value


def test_promotion_is_a_new_wrapper_over_the_same_snapshot(site: Site) -> None:
    site.add(site.deb("zoo"), suite="testing")
    site.repository.define("stable", SuiteSettings(codename="rock", valid_days=30, description="for all"))
    before = tree(site.root / "snapshots") | tree(site.root / "by-hash") | tree(site.root / "pool")
    assert site.repository.promote("testing", "stable", keyring=site.keyring).changed
    assert not site.repository.promote("testing", "stable", keyring=site.keyring).changed
    assert before == tree(site.root / "snapshots") | tree(site.root / "by-hash") | tree(site.root / "pool")
    host = site.host()
    host.update()
    assert host.candidate("zoo") == "1.0-1"
    pointer = site.repository.state.unverified_pointer("stable")
    assert pointer
    assert (pointer.fields["Suite"], pointer.fields["Codename"]) == ("stable", "rock")
    assert "Valid-Until" in pointer.fields
    refresh(site.repository, ["stable"], keyring=site.keyring)
    host.update()
    assert problems(site.repository.state) == ()


def test_several_versions_components_and_architectures_are_kept(site: Site) -> None:
    site.add(site.deb("zoo", "1"), site.deb("zoo", "2"), site.deb("bin", architecture="amd64"))
    site.repository.add("stable", [site.deb("extra")], component="contrib", keyring=site.keyring)
    site.add(site.deb("arm", architecture="arm64"))
    snapshot = site.repository.state.snapshot(site.repository.state.unverified_pointer("stable").snapshot)  # type: ignore[union-attr]
    found = {
        (component, architecture): [(one.name, one.version) for one in site.repository.state.packages(index)]
        for component, indices in snapshot.components.items()
        for architecture, index in indices.items()
    }
    assert found == {
        ("contrib", "amd64"): [("extra", "1.0-1")],
        ("contrib", "arm64"): [("extra", "1.0-1")],
        ("main", "amd64"): [("bin", "1.0-1"), ("zoo", "1"), ("zoo", "2")],
        ("main", "arm64"): [("arm", "1.0-1"), ("zoo", "1"), ("zoo", "2")],
    }
    assert problems(site.repository.state) == ()
    host = site.host()
    host.update()


def test_the_order_in_which_packages_came_does_not_show(site: Site, tmp_path: Path) -> None:
    debs = [site.deb(name) for name in NAMES]
    for deb in debs[::-1]:
        site.add(deb)
    other = Repository.init(
        tmp_path / "other", origin="Else", keyring=site.keyring, fingerprints=[site.fingerprint], sync=False
    )
    published = other.add("unstable", debs, keyring=site.keyring)
    assert published.snapshot == site.repository.state.unverified_pointer("stable").snapshot  # type: ignore[union-attr]


def test_an_index_that_was_altered_is_mended_when_it_is_made_again(site: Site) -> None:
    site.add(site.deb("zoo"))
    for path in (site.root / "by-hash/SHA256").iterdir():
        path.write_bytes(b"!" * path.stat().st_size)
    assert len(problems(site.repository.state)) >= 2
    site.add(site.deb("ape"))
    remove(site.repository, "stable", ["ape"], keyring=site.keyring)
    assert problems(site.repository.state) == ()


# The keyring package and the server


def test_the_keyring_package_is_reproducible_and_lintian_has_nothing_to_say(
    site: Site, tmp_path: Path
) -> None:
    package = KeyringPackage(
        origin="Test Origin",
        keys=site.keyring.export_public([site.fingerprint], armor=False),
        url="https://repo.example/apt",
        suites=["stable"],
        version="2026.1",
        date=DAY,
        maintainer="Ann Bee <ann@bee.example>",
    )
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = build(package, tmp_path / "one")
    time.sleep(1.1)
    assert one.read_bytes() == build(package, tmp_path / "two").read_bytes()
    assert one.name == "test-origin-archive-keyring_2026.1_all.deb"
    assert run(["lintian", "--allow-root", "--fail-on=info", "-I", one], check=False).text == ""
    with pytest.raises(InputError, match="white space"):
        build(replace(package, url="https://repo.example/\nTrusted: yes"), tmp_path)


def test_the_server_sends_text_with_gzip_to_who_takes_it_and_nothing_that_is_packed_already(
    site: Site,
) -> None:
    site.add(*(site.deb(f"zoo{number}") for number in range(5)))
    taking = {"Accept-Encoding": "gzip"}
    with httpx.Client(base_url=site.url) as client:
        indices = "/dists/stable/main/binary-amd64"
        for path in ("/dists/stable/InRelease", "/dists/stable/Release", f"{indices}/Packages"):
            answer = client.get(path, headers=taking)
            assert answer.headers["Content-Encoding"] == "gzip"
            assert "Accept-Encoding" in answer.headers["Vary"]
            assert answer.content == (site.root / path[1:]).read_bytes()
            assert "Content-Encoding" not in client.get(path, headers={"Accept-Encoding": "identity"}).headers
        by_hash = next((site.root / f"{indices[1:]}/by-hash/SHA256").iterdir()).name
        package = next((site.root / "pool").rglob("*.deb")).relative_to(site.root)
        packed = [f"{indices}/{name}" for name in ("Packages.gz", "Packages.xz", f"by-hash/SHA256/{by_hash}")]
        for path in (*packed, package):
            assert "Content-Encoding" not in client.get(str(path), headers=taking).headers


def test_the_server_answers_ranges_and_conditions_and_stays_in_its_folder(site: Site) -> None:
    site.add(site.deb("zoo"))
    (site.folder / "secret").write_text("secret")
    (site.root / "out").symlink_to(site.folder / "secret")
    with httpx.Client(base_url=site.url) as client:
        whole = client.get("/dists/stable/InRelease")
        assert whole.http_version == "HTTP/1.1"
        part = client.get("/dists/stable/InRelease", headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, whole.content[10:20])
        since = {"If-Modified-Since": whole.headers["Last-Modified"]}
        assert client.get("/dists/stable/InRelease", headers=since).status_code == 304
        refresh(site.repository, ["stable"], keyring=site.keyring)
        assert client.get("/dists/stable/InRelease", headers=since).status_code == 200
        for path in ("/none", "/out", "/..%2fsecret", "/dists/stable", "/%2e%2e/secret"):
            assert client.get(path).status_code == 404


# What is refused, and what is left alone


def test_the_same_version_with_other_bytes_is_refused(site: Site) -> None:
    site.add(site.deb("zoo", "1.0-1"))
    before = tree(site.root)
    other = site.deb("zoo", "1.0-1", content="other")
    for suite, component in (("stable", "main"), ("stable", "contrib"), ("testing", "main")):
        with pytest.raises(
            PublishError, match=r"zoo 1\.0-1 all is in the repository with other bytes"
        ) as caught:
            site.repository.add(suite, [other], component=component, keyring=site.keyring, new_suite=True)
        assert str(other.path) in caught.value.brief
        assert "plan RELEASE --bump" in caught.value.hint
    with pytest.raises(PublishError, match="other bytes"):
        site.add(site.deb("zoo", "1:1.0-1", content="epoch"))
    published = {path: state for path, state in tree(site.root).items() if "/state" not in path}
    assert published == {path: state for path, state in before.items() if "/state" not in path}


@pytest.mark.parametrize("suite", ["stable", "testing"])
def test_a_damaged_copy_of_a_published_package_is_told_to_be_damaged_first(site: Site, suite: str) -> None:
    deb = read_deb(write_deb(site.folder, "zoo", "1.0-1", data=b"x" * 3000))
    site.add(deb)
    data = deb.path.read_bytes()
    deb.path.write_bytes(data.replace(b"xxxx", b"xxyx", 1))
    damaged = read_deb(deb.path)
    assert damaged.sha256 != deb.sha256
    for verify in (True, False):
        with pytest.raises(PublishError, match="md5sums") as caught:
            site.repository.add(suite, [damaged], keyring=site.keyring, new_suite=True, verify=verify)
        assert str(deb.path) in caught.value.brief
        assert "is in the repository with other bytes" in caught.value.details
        assert "fetch the file again" in caught.value.hint
        assert "--bump" not in caught.value.hint


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_broken_package_is_refused_with_its_name_and_nothing_is_published(site: Site, damage: str) -> None:
    site.add(site.deb("zoo"))
    good, bad = site.deb("good"), site.deb("bad", content="x" * 3000)
    data = bytearray(bad.path.read_bytes())
    if damage == "flipped":
        data[-20] ^= 1
    bad.path.write_bytes(bytes(data[:-40] if damage == "cut" else b"" if damage == "empty" else data))
    with pytest.raises((PublishError, CheckFailed)) as caught:
        site.add(good, read_deb(bad.path))
    assert bad.path.name in caught.value.brief
    assert not list(site.root.glob("pool/main/*/good"))
    assert problems(site.repository.state) == ()


def test_a_file_that_changes_while_it_is_published_is_refused(site: Site) -> None:
    def meddle(path: Path) -> list[str]:
        path.write_bytes(b"!")
        return []

    deb = site.deb("zoo")
    repository = Repository(site.repository.store, integrity=meddle)
    with pytest.raises(PublishError, match="changed while it was being published"):
        repository.add("stable", [deb], keyring=site.keyring)
    assert not list(site.root.glob("pool/**/*.deb"))
    assert not list(site.root.glob("state/tmp/*"))


@pytest.mark.parametrize("origin", ["Ex\nam", " Ours", "Ours\t", 'Ann: "Bob" #x', "$(id)", ""])
def test_an_origin_that_no_release_can_have_is_refused(tmp_path: Path, site: Site, origin: str) -> None:
    with pytest.raises(InputError, match="cannot be the origin of a repository"):
        Repository.init(
            tmp_path / "new", origin=origin, keyring=site.keyring, fingerprints=[site.fingerprint]
        )
    assert not (tmp_path / "new").exists()


def late(deb: Deb) -> Deb:
    """A package as `repo add` reads a large one: its hash is still to come."""
    return read_deb(deb.path, hash_up_to=0)


def test_a_large_file_is_hashed_while_it_is_copied_and_is_the_same_package(site: Site) -> None:
    deb = site.deb("zoo")
    done = site.repository.add("stable", [late(deb)], keyring=site.keyring)
    assert [one.sha256 for one in done.added] == [deb.sha256]
    assert problems(site.repository.state) == ()
    assert not site.repository.add("stable", [late(deb)], keyring=site.keyring).changed
    assert not list(site.root.glob("state/tmp/*"))


def test_a_large_file_that_changes_after_it_was_read_is_refused(site: Site) -> None:
    deb, other = late(site.deb("zoo")), site.deb("zoo", "2.0-1")
    deb.path.write_bytes(other.path.read_bytes())
    with pytest.raises(PublishError, match=f"{deb.path.name} changed while it was being published"):
        site.repository.add("stable", [deb], keyring=site.keyring)
    assert not list(site.root.glob("pool/**/*.deb"))
    assert not list(site.root.glob("state/tmp/*"))


class Remote(FilesystemStore):
    """A store without a disk of its own, as S3 is one: nothing is staged."""

    def stage(self, files: Mapping[str, Path]) -> Mapping[str, Staged]:  # noqa: ARG002  # the store's signature
        return {}


@pytest.mark.parametrize("kind", [FilesystemStore, Remote], ids=["staged", "not staged"])
@pytest.mark.parametrize("how", ["longer", "another version", "cut"])
def test_a_large_file_that_is_not_what_was_read_is_refused_by_its_name(
    site: Site, kind: type[FilesystemStore], how: str
) -> None:
    deb = late(site.deb("zoo"))
    more = "".join(hashlib.sha256(b"%d" % number).hexdigest() for number in range(99))
    other = site.deb("zoo", "2.0-1") if how == "another version" else site.deb("zoo", content=more)
    whole = deb.path.read_bytes()[:-40] if how == "cut" else other.path.read_bytes()
    deb.path.write_bytes(whole)
    with pytest.raises(PublishError, match=f"{deb.path.name} changed while it was being published"):
        Repository(kind(site.root, sync=False)).add("stable", [deb], keyring=site.keyring)
    assert not list(site.root.glob("pool/**/*.deb"))


def test_each_large_file_is_opened_once_more_whether_the_pool_has_it_or_not(site: Site) -> None:
    known, new = site.deb("ant"), site.deb("bee")
    site.add(known)
    debs = [late(known), late(new)]
    opened: list[str] = []
    sys.addaudithook(lambda event, words: opened.append(str(words[0])) if event == "open" else None)
    site.repository.add("stable", debs, keyring=site.keyring)
    assert [opened.count(str(deb.path)) for deb in debs] == [1, 1]


def test_what_is_verified_of_a_large_file_is_the_copy_that_goes_in(site: Site) -> None:
    def meddle(path: Path) -> list[str]:
        assert path.is_relative_to(site.root)
        deb.path.write_bytes(b"!")
        return []

    deb = late(site.deb("zoo"))
    whole = deb.path.read_bytes()
    Repository(site.repository.store, integrity=meddle).add("stable", [deb], keyring=site.keyring)
    assert [path.read_bytes() for path in site.root.glob("pool/**/*.deb")] == [whole]
    assert problems(site.repository.state) == ()


def test_a_broken_large_file_is_refused_by_its_own_name(site: Site) -> None:
    deb = late(site.deb("zoo"))
    with pytest.raises(PublishError) as caught:
        Repository(site.repository.store, integrity=lambda _: ["it is torn"]).add(
            "stable", [deb], keyring=site.keyring
        )
    assert caught.value.brief == f"{deb.path}: it is torn"
    assert not list(site.root.glob("state/tmp/*"))


def test_a_large_file_with_other_bytes_than_the_pools_is_refused(site: Site) -> None:
    site.add(site.deb("zoo"))
    with pytest.raises(PublishError, match="is in the repository with other bytes"):
        site.repository.add("stable", [late(site.deb("zoo", content="other"))], keyring=site.keyring)
    with pytest.raises(PublishError, match="is in the repository with other bytes"):
        site.repository.add(
            "other", [late(site.deb("zoo", content="others"))], keyring=site.keyring, new_suite=True
        )


def test_the_users_file_is_copied_not_linked(site: Site) -> None:
    deb = site.deb("zoo")
    site.add(deb)
    deb.path.write_bytes(b"overwritten")
    assert problems(site.repository.state) == ()


def test_verdicts_are_kept_and_obeyed(site: Site) -> None:
    deb, out = site.deb("zoo"), site.deb("out")

    def verdict(*, passed: bool = True) -> Verdict:
        judged = [
            JudgedPackage(
                file=one.path.name,
                name=one.name,
                version=one.version,
                architecture=one.architecture,
                component="zoo",
                size=one.size,
                sha256=one.sha256,
                not_published="needs python" if one is out else "",
            )
            for one in (deb, out)
        ]
        return Verdict(
            id="a" * 64,
            tool="t 1",
            created=DAY,
            release="1.0",
            target="deb12",
            passed=passed,
            packages=tuple(judged),
            findings=(),
        )

    repository = Repository(site.repository.store, integrity=lambda _: ["was not to be looked at"])
    with pytest.raises(PublishError, match=r"the verdict on 1\.0 did not pass"):
        repository.add("stable", [deb], verdicts=[verdict(passed=False)], keyring=site.keyring)
    with pytest.raises(
        PublishError, match=r"out_.* stays out of the repository by its verdict: needs python"
    ):
        repository.add("stable", [deb, out], verdicts=[verdict()], keyring=site.keyring)
    published = repository.add(
        "stable", [deb], verdicts=[verdict()], manifest=b"{}\n", keyring=site.keyring, who="ann", why="first"
    )
    (kept,) = (site.root / "state/verdicts").iterdir()
    assert published.added[0].verified == f"verdict:{kept.stem}"
    assert Verdict.from_json(kept.read_bytes(), source="x") == verdict()
    (manifest,) = (site.root / "state/manifests").iterdir()
    assert repository.state.snapshot(published.snapshot).manifests == (manifest.stem,)
    assert manifest.stem == hashlib.sha256(b"{}\n").hexdigest()
    assert problems(repository.state) == ()
    kept.write_bytes(b"{}")
    manifest.unlink()
    told = {line.partition(": ")[0] for line in problems(repository.state)}
    assert told == {f"state/verdicts/{kept.name} was altered", f"state/manifests/{manifest.name} is missing"}


def test_nothing_new_writes_nothing_and_is_fast(site: Site) -> None:
    debs = [site.deb(f"package{number}") for number in range(20)]
    site.add(*debs)
    before = tree(site.root)
    start = time.perf_counter()
    assert not site.repository.add("stable", debs, keyring=site.keyring).changed
    assert time.perf_counter() - start < 0.3
    assert tree(site.root) == before


def test_without_a_usable_key_nothing_is_published(site: Site, tmp_path: Path) -> None:
    deb = site.deb("zoo")
    before = tree(site.root)
    with Keyring() as strange:
        wrong = strange.new_key("Eve", "eve@bee.example")
        with pytest.raises(SigningError, match=f"key {site.fingerprint} is not here"):
            site.repository.add("stable", [deb], keyring=strange)
        with pytest.raises(SigningError, match="no signing key is named"):
            Repository.init(tmp_path / "r", origin="Ours", keyring=strange, fingerprints=[])
        short = strange.new_key("Ann", "ann@bee.example", expires="seconds=2")
        other = Repository.init(tmp_path / "s", origin="Ours", keyring=strange, fingerprints=[short])
        time.sleep(3)
        with pytest.raises(SigningError, match=f"key {short} expired on"):
            other.add("stable", [deb], keyring=strange)
        assert wrong != short
    assert tree(site.root) == before
    assert not (tmp_path / "r").exists()
    assert not (tmp_path / "s/dists").exists()


def test_a_suite_that_someone_else_signed_is_not_built_on(site: Site) -> None:
    site.add(site.deb("zoo"))
    path = site.root / "dists/stable/InRelease"
    release = (site.root / "dists/stable/Release").read_bytes()
    with Keyring() as strange:
        eve = strange.new_key("Eve", "eve@bee.example")
        path.write_bytes(strange.clearsign(release, [eve]))
    with pytest.raises(SigningError, match="dists/stable/InRelease has no good signature"):
        site.add(site.deb("yak"))
    host = site.host()
    assert host.apt("update", "-eany", check=False).returncode != 0
    assert any("InRelease has no good signature" in line for line in problems(site.repository.state))


def test_what_is_fixed_for_a_suite_stays(site: Site, tmp_path: Path) -> None:
    site.add(site.deb("zoo"))
    with pytest.raises(InputError, match="codename of stable is stable and cannot become rock"):
        site.repository.define("stable", SuiteSettings(codename="rock"))
    with pytest.raises(
        InputError, match=f"{site.root} is a repository with other settings: origin, label"
    ) as other:
        Repository.init(site.root, origin="Else", keyring=site.keyring, fingerprints=[site.fingerprint])
    assert "origin is 'Test Origin', not 'Else'" in other.value.details
    assert "name another folder" in other.value.hint
    settings = site.root / "state/repository.json"
    settings.write_text(settings.read_text().replace('"origin": "Test Origin"', '"origin": "Else"'))
    with pytest.raises(PublishError, match="Origin of stable is 'Test Origin' and cannot become 'Else'"):
        site.add(site.deb("yak"))
    with pytest.raises(InputError, match="cannot be a suite's name"):
        site.add(site.deb("emu"), suite="a/b")
    (tmp_path / "foreign/dists").mkdir(parents=True)
    with pytest.raises(InputError, match="holds dists and is no repository of this tool"):
        Repository.init(
            tmp_path / "foreign", origin="Ours", keyring=site.keyring, fingerprints=[site.fingerprint]
        )
    with pytest.raises(InputError, match="is no repository"):
        Repository.open(tmp_path / "foreign")


def test_a_clock_that_is_behind_is_refused(site: Site) -> None:
    site.add(site.deb("zoo"))
    slow = Repository(site.repository.store, clock=lambda: datetime.now(UTC) - timedelta(seconds=20))
    with pytest.raises(PublishError, match=r"(19|20|21) s ahead of this machine's clock"):
        slow.add("stable", [site.deb("yak")], keyring=site.keyring)


def test_a_rollback_that_is_run_again_goes_back_no_further(site: Site) -> None:
    ids = []
    for version in "123":
        site.add(site.deb("zoo", version))
        pointer = site.repository.state.unverified_pointer("stable")
        assert pointer
        ids.append(pointer.snapshot)
    assert site.repository.rollback("stable", keyring=site.keyring).snapshot == ids[1]
    again = site.repository.rollback("stable", keyring=site.keyring)
    assert (again.snapshot, again.changed) == (ids[1], False)
    refresh(site.repository, ["stable"], keyring=site.keyring)
    assert not site.repository.rollback("stable", keyring=site.keyring).changed
    assert site.repository.rollback("stable", to=ids[0], keyring=site.keyring).snapshot == ids[0]


def test_rollback_goes_where_the_suite_has_been(site: Site) -> None:
    site.add(site.deb("zoo", "1"))
    first = site.repository.state.unverified_pointer("stable")
    assert first
    with pytest.raises(InputError, match="no snapshot before the present one") as nothing:
        site.repository.rollback("stable", keyring=site.keyring)
    assert first.snapshot in nothing.value.details
    assert "--to ID" in nothing.value.hint
    site.add(site.deb("zoo", "2"))
    site.add(site.deb("zoo", "3"))
    assert (
        site.repository.rollback("stable", to=first.snapshot[:8], keyring=site.keyring).snapshot
        == first.snapshot
    )
    assert not site.repository.rollback("stable", keyring=site.keyring).changed
    with pytest.raises(InputError, match="ffff is no snapshot that stable pointed to"):
        site.repository.rollback("stable", to="ffff", keyring=site.keyring)
    with pytest.raises(InputError, match="nothing was published to suite stabel") as unknown:
        site.repository.rollback("stabel", keyring=site.keyring)
    assert "did you mean stable?" in unknown.value.hint


@pytest.mark.parametrize(
    ("path", "problem", "mend"),
    [
        ("pool/main/z/zoo/zoo_1.0-1_all.deb", "was altered", COPY),
        ("dists/stable/main/binary-amd64/Packages.gz", "was altered", COPY),
        ("dists/stable/Release", "has no good signature", "repo refresh stable signs it anew"),
        ("state/history/stable/1.json", "has no good signature", COPY),
        ("snapshots/*/snapshot.json", "was altered", COPY),
    ],
)
def test_check_finds_one_flipped_bit_and_says_what_mends_it(
    site: Site, path: str, problem: str, mend: str
) -> None:
    site.add(site.deb("zoo"))
    (file,) = site.root.glob(path)
    data = bytearray(file.read_bytes())
    data[30] ^= 1
    file.write_bytes(bytes(data))
    found = problems(site.repository.state)
    assert any(problem in line and line.endswith(mend) for line in found), found


def test_a_refresh_mends_a_release_that_check_complains_of(site: Site) -> None:
    site.add(site.deb("zoo"))
    (site.root / "dists/stable/Release").write_text("Date: never\n")
    assert problems(site.repository.state)
    refresh(site.repository, ["stable"], keyring=site.keyring)
    assert problems(site.repository.state) == ()


def test_a_lost_key_of_a_repository_is_named(site: Site) -> None:
    site.add(site.deb("zoo"))
    (site.root / f"state/keys/{site.fingerprint}.gpg").unlink()
    (told,) = problems(site.repository.state)
    assert told.startswith(f"state/keys/{site.fingerprint}.gpg is missing")
    assert told.endswith(COPY)


# Suites that nobody meant, and settings that were lost


def test_a_mistyped_suite_is_not_made(site: Site) -> None:
    site.add(site.deb("zoo"), suite="testing")
    before = tree(site.root)
    with pytest.raises(InputError, match="has no suite 'testng'") as caught:
        site.add(site.deb("yak"), suite="testng")
    assert caught.value.hint == "did you mean testing? its suites: testing; --new-suite makes a new one"
    with pytest.raises(InputError, match="has no suite 'stabel'"):
        site.repository.promote("testing", "stabel", keyring=site.keyring)
    assert {path for path in before if "/state" not in path} == {
        path for path in tree(site.root) if "/state" not in path
    }
    assert list(site.repository.state.settings().suites) == ["testing"]


def test_a_new_suite_is_made_when_it_is_asked_for(site: Site) -> None:
    site.add(site.deb("zoo"), suite="testing")
    assert site.repository.promote("testing", "stable", keyring=site.keyring, new_suite=True).changed
    site.repository.add("unstable", [site.deb("yak")], keyring=site.keyring, new_suite=True)
    assert list(site.repository.state.settings().suites) == ["testing", "stable", "unstable"]
    assert problems(site.repository.state) == ()


def test_lost_settings_are_made_anew_from_what_the_suites_say(site: Site) -> None:
    site.repository.define("stable", SuiteSettings(codename="rock", valid_days=30, description="for all"))
    site.add(site.deb("zoo"))
    settings = site.root / "state/repository.json"
    before = settings.read_bytes()
    settings.write_bytes(before[:-40])
    with pytest.raises(InputError, match=r"state/repository\.json is damaged") as caught:
        Repository.open(site.root)
    assert "repo init with the same origin, label and keys" in caught.value.hint
    settings.unlink()
    made = Repository.init(
        site.root, origin="Test Origin", keyring=site.keyring, fingerprints=[site.fingerprint]
    )
    assert settings.read_bytes() == before
    assert made.add("stable", [site.deb("yak")], keyring=site.keyring).serial == 2
    assert problems(made.state) == ()


def test_a_store_that_cannot_be_written_is_said_and_the_old_state_stands(site: Site) -> None:
    site.add(site.deb("zoo"))
    (site.root / "by-hash/SHA512").rename(site.root / "by-hash/kept")
    (site.root / "by-hash/SHA512").write_text("in the way")
    with pytest.raises(PublishError, match="by-hash/SHA512"):
        site.add(site.deb("yak"))
    (site.root / "by-hash/SHA512").unlink()
    (site.root / "by-hash/kept").rename(site.root / "by-hash/SHA512")
    assert problems(site.repository.state) == ()
    site.add(site.deb("emu"))


# Crashes


@pytest.mark.parametrize("component", ["../x", "Main", "a/b", ""])
def test_a_component_that_is_no_name_is_refused_and_nothing_is_written(site: Site, component: str) -> None:
    site.add(site.deb("zoo"))
    before = sorted(site.root.rglob("*"))
    with pytest.raises(InputError, match="cannot be a component's name"):
        site.repository.add("stable", [site.deb("later")], keyring=site.keyring, component=component)
    assert sorted(site.root.rglob("*")) == before
