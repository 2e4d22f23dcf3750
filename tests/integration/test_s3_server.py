# SPDX-License-Identifier: Apache-2.0
"""Publishing to a real S3 server, versitygw: what its clients get, publishers at once, and kills."""

import hashlib
import json
import os
import random
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from killed_publisher import act, main, publisher

from apt_host import AptHost
from bigtop_builder.artifact import Deb, read_deb
from bigtop_builder.errors import BuilderError, PublishError
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository.export import export
from bigtop_builder.repository.gc import collect
from bigtop_builder.repository.layout import Retention
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.refresh import refresh
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store import Held, Upload, open_store
from bigtop_builder.repository.store.bucket import IMMUTABLE, Bucket
from bigtop_builder.repository.store.lease import LEASE
from bigtop_builder.repository.store.s3 import Abilities, S3Store
from bigtop_builder.run import Completed, run
from forked import program, ran
from health import problems
from s3_server import ACCESS, BUCKET, SECRET, Server, nginx, variables, versitygw, way
from verify_debs import make_deb

KILLS = 2
"""Kills of each command."""
REQUESTS = 80
"""About as many as a command makes; one that is through before it is killed is done."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """A repository on the server."""

    folder: Path
    url: str
    repository: Repository
    keyring: Keyring
    fingerprint: str
    server: Server

    def deb(self, name: str, version: str = "1.0-1") -> Deb:
        return read_deb(make_deb(self.folder, name, version=version))

    def add(self, *debs: Deb) -> None:
        assert self.repository.add("stable", debs, keyring=self.keyring).changed

    def host(self, url: str, name: str = "host") -> AptHost:
        """A host that reads the repository at a URL."""
        key = self.keyring.export_public([self.fingerprint], armor=False)
        return AptHost.following(self.folder / name, url=url, suite="stable", key=key)

    def versions(self) -> set[str]:
        """Names of all packages in the suite."""
        pointer = self.repository.state.unverified_pointer("stable")
        assert pointer
        index = self.repository.state.snapshot(pointer.snapshot).components["main"]["amd64"]
        return {f"{one.name} {one.version}" for one in self.repository.state.packages(index)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with versitygw(tmp_path_factory.mktemp("versitygw")) as server:
        yield server


@pytest.fixture
def environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    values = variables(server.port)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


@pytest.fixture
def site(tmp_path: Path, store: KeyStore, server: Server, environment: dict[str, str]) -> Iterator[Site]:
    assert environment
    url = f"s3://{BUCKET}/{tmp_path.name}"
    with store.open() as keyring:
        (fingerprint,) = store.fingerprints()
        repository = Repository.init(url, origin="Test Origin", keyring=keyring, fingerprints=[fingerprint])
        yield Site(
            folder=tmp_path,
            url=url,
            repository=repository,
            keyring=keyring,
            fingerprint=fingerprint,
            server=server,
        )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, store: KeyStore, server: Server) -> Path:
    """Where the server keeps a repository that had zoo 1 and has zoo 2, to be copied."""
    debs = tmp_path_factory.mktemp("debs")
    with store.open() as keyring, pytest.MonkeyPatch.context() as patch:
        for name, value in variables(server.port).items():
            patch.setenv(name, value)
        repository = Repository.init(
            f"s3://{BUCKET}/made", origin="Test Origin", keyring=keyring, fingerprints=store.fingerprints()
        )
        for version in ("1", "2"):
            repository.add("stable", [read_deb(make_deb(debs, "zoo", version=version))], keyring=keyring)
    return server.folder / BUCKET / "made"


@pytest.fixture
def two(site: Site, made: Path) -> Site:
    """A repository that had zoo 1 and has zoo 2."""
    shutil.copytree(made, made.with_name(site.folder.name), dirs_exist_ok=True)
    assert site.versions() == {"zoo 1", "zoo 2"}
    return site


@pytest.fixture
def public(tmp_path: Path, environment: dict[str, str]) -> None:
    """Let anybody read what hosts need, and make the bucket a website."""
    assert environment
    resource = f"arn:aws:s3:::{BUCKET}/{tmp_path.name}"
    client = Bucket(f"s3://{BUCKET}").client
    reading = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject"],
        "Resource": [f"{resource}/dists/*", f"{resource}/pool/*"],
    }
    client.put_bucket_policy(
        Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [reading]})
    )
    client.put_bucket_website(Bucket=BUCKET, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})


# What hosts see


def test_this_server_honours_conditions_and_checksums(site: Site) -> None:
    store = S3Store(Bucket(site.url))
    assert store.abilities == Abilities(conditional=True, verifies=True)


def ways(site: Site) -> dict[str, str]:
    """URLs under which hosts can read the repository."""
    return {
        "bucket": f"http://127.0.0.1:{site.server.port}/{BUCKET}/{site.folder.name}",
        "website": f"http://{BUCKET}:{site.server.website}/{site.folder.name}",
    }


@pytest.mark.usefixtures("public")
def test_apt_installs_a_version_with_a_plus_from_what_is_public(site: Site) -> None:
    site.add(site.deb("zoo", "1:2.0+dfsg-1+bt3.5.0.2~deb12"), site.deb("yak"))
    hosts = [
        (site.host(url, f"{read_from}-{by_hash}"), f"-oAcquire::By-Hash={by_hash}")
        for read_from, url in ways(site).items()
        for by_hash in ("yes", "no")
    ]
    for host, option in hosts:
        host.update(option)
    site.add(site.deb("zoo", "1:3.0+bt1"))
    for host, option in hosts:
        host.update(option)
        assert host.candidate("zoo") == "1:3.0+bt1"
    assert site.repository.rollback("stable", keyring=site.keyring).changed
    for host, option in hosts:
        host.update(option)
        assert host.install("zoo") == "1:2.0+dfsg-1+bt3.5.0.2~deb12"
    assert problems(site.repository.state) == ()


@pytest.mark.usefixtures("public")
@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_apt_reads_through_nginx_in_front_of_the_bucket(site: Site) -> None:
    site.add(site.deb("zoo", "2.0+bt1"))
    with way(site.server.port) as between:
        bucket = f"http://127.0.0.1:{between.port}/{BUCKET}/{site.folder.name}"
        with nginx(site.folder / "nginx", bucket) as url:
            host = site.host(url)
            host.update()
            assert host.install("zoo") == "2.0+bt1"
        (fetched,) = [one for one in between.seen if "/pool/" in one]
    assert "zoo_2.0%2bbt1_all.deb" in fetched, "S3 itself takes a bare + for a space"


@pytest.mark.usefixtures("public")
def test_indices_are_fetched_anew_and_packages_are_kept_by_caches(site: Site) -> None:
    site.add(site.deb("zoo", "2.0+bt1"))
    with httpx.Client(base_url=ways(site)["bucket"]) as client:
        package = client.get("/pool/main/z/zoo/zoo_2.0%2Bbt1_all.deb")
        assert package.headers["Cache-Control"] == IMMUTABLE
        assert package.headers["Content-Type"] == "application/vnd.debian.binary-package"
        signed = client.get("/dists/stable/InRelease")
        assert signed.headers["Cache-Control"] == "no-cache"
        since = {"If-Modified-Since": signed.headers["Last-Modified"]}
        refresh(site.repository, ["stable"], keyring=site.keyring)
        assert client.get("/dists/stable/InRelease", headers=since).status_code == 200
        release = client.get("/dists/stable/Release").text
        listed = next(line for line in release.splitlines() if line.endswith("binary-amd64/Packages.gz"))
        by_hash = client.get(f"/dists/stable/main/binary-amd64/by-hash/SHA256/{listed.split()[0]}")
        assert by_hash.headers["Cache-Control"] == IMMUTABLE


def test_a_large_package_goes_in_parts_that_the_server_verifies(site: Site) -> None:
    data = os.urandom(1 << 20) * 40
    path = site.folder / "large"
    path.write_bytes(data)
    content = Upload(path, hashlib.sha256(data).hexdigest())
    store = site.repository.store
    with store.lock():
        store.put({"pool/large.deb": content})
    assert store.held(["pool/large.deb"])["pool/large.deb"] == Held(size=len(data), sha256=content.sha256)
    assert store.sha256("pool/large.deb") == content.sha256
    path.write_bytes(data[:-1] + b"x")
    with store.lock(), pytest.raises(PublishError, match="changed while it was being published"):
        store.put({"pool/other.deb": content})


def test_what_is_there_costs_no_write_and_no_package_is_read_back(site: Site, server: Server) -> None:
    debs = [site.deb(f"package{number}") for number in range(3)]
    site.add(*debs)
    with way(server.port) as between:
        os.environ["AWS_ENDPOINT_URL_S3"] = f"http://127.0.0.1:{between.port}"
        again = Repository.open(site.url)
        assert not again.add("stable", debs, keyring=site.keyring).changed
        assert [one for one in between.seen if not one.startswith(("GET", "HEAD"))] == []
        assert again.add("other", debs, keyring=site.keyring, new_suite=True).changed
        assert [one for one in between.seen if "/pool/" in one and not one.startswith("HEAD")] == []


# Publishers at once, and killed ones


def publish(keys: KeyStore, url: str, *words: str | Path, **options: Any) -> Completed:
    """Run the publisher, from a process that has its modules loaded."""
    return ran(main, *publisher(keys, url, *words, **options)[2:])


@pytest.mark.parametrize("count", [2, 8])
def test_publishers_at_once_all_land(site: Site, store: KeyStore, count: int) -> None:
    site.add(site.deb("first"))
    debs = [site.deb(f"package{number}") for number in range(count)]
    with ThreadPoolExecutor(count) as pool:
        for done in pool.map(partial(publish, store, site.url), (deb.path for deb in debs)):
            assert done.returncode == 0, done.complaint
    assert site.versions() == {"first 1.0-1", *(f"{deb.name} 1.0-1" for deb in debs)}
    pointer = site.repository.state.unverified_pointer("stable")
    assert pointer
    assert pointer.serial == count + 1
    assert len(site.repository.state.history("stable")) == count + 1
    assert problems(site.repository.state) == ()


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize("command", ["add", "promote", "rollback", "gc"])
def test_a_kill_at_a_request_leaves_the_old_or_the_new_state_and_a_rerun_completes_it(
    two: Site, store: KeyStore, command: str
) -> None:
    site = two
    patient = Repository(S3Store(Bucket(site.url), lease_seconds=1))
    host = site.host(ways(site)["bucket"])
    for part in range(KILLS):
        version = str(3 + part)
        before, after, word = "2", version, command
        if command == "add":
            before, word = str(2 + part), str(site.deb("zoo", version).path)
        elif command == "promote":
            before = str(2 + part)
            patient.add("testing", [site.deb("zoo", version)], keyring=site.keyring, new_suite=True)
        else:
            site.add(site.deb("zoo", version))
            before, after = version, ("2" if command == "rollback" else version)
        point = random.randrange(REQUESTS * part // KILLS, REQUESTS * (part + 1) // KILLS)  # noqa: S311  # no secret
        done = publish(store, site.url, word, requests=point, lease=1)
        assert done.returncode in {-9, 0}, f"{point}: {done.complaint}"
        host.update()
        assert host.candidate("zoo") in {before, after}, point
        # Without by-hash an update may fail until the command is run again; it never takes a mixture.
        if not host.apt("update", "-oAcquire::By-Hash=no", "-eany", check=False).returncode:
            assert host.candidate("zoo") in {before, after}, point
        act(patient, site.keyring, word)
        for by_hash in ("no", "yes"):
            host.update(f"-oAcquire::By-Hash={by_hash}")
            assert host.candidate("zoo") == after, point
        assert problems(site.repository.state) == (), point


def test_publishers_whose_clock_is_off_are_refused_or_waited_for_and_nothing_is_lost(
    site: Site, tmp_path: Path
) -> None:
    words = [
        "faketime",
        "-f",
        "-1d",
        sys.executable,
        "-m",
        "bigtop_builder",
    ]  # both must be able to use the key
    run([*words, "key", "new", "Ann", "a@b.example"], env={"BIGTOP_BUILDER_KEYS_DIR": str(tmp_path / "keys")})
    store = KeyStore(tmp_path / "keys")
    url = f"{site.url}-clock"

    def with_clock_off(seconds: str, deb: Deb) -> Completed:
        argv = ["faketime", "-f", seconds, *publisher(store, url, deb.path)]
        return run(argv, check=False, env={"TZ": "UTC"})

    with store.open() as keyring:
        right = Repository.init(url, origin="Ours", keyring=keyring, fingerprints=store.fingerprints())
        right.add("stable", [site.deb("zoo")], keyring=keyring)
        behind = with_clock_off("-20s", site.deb("late"))
        assert behind.returncode
        assert "s ahead of this machine's clock" in behind.complaint
        ahead = with_clock_off("+20s", site.deb("early"))
        assert ahead.returncode == 0, ahead.complaint
        ape = site.deb("ape")
        with pytest.raises(PublishError, match="s ahead of this machine's clock"):
            right.add("stable", [ape], keyring=keyring)
        right.clock = lambda: datetime.now(UTC) + timedelta(seconds=20)
        assert right.add("stable", [ape], keyring=keyring).serial == 3
        pointer = right.state.unverified_pointer("stable")
        assert pointer
        index = right.state.snapshot(pointer.snapshot).components["main"]["amd64"]
        assert {one.name for one in right.state.packages(index)} == {"zoo", "early", "ape"}
        assert problems(right.state) == ()


# A server in trouble


@pytest.mark.parametrize("fault", ["500", "503", "lost"])
def test_a_server_in_trouble_changes_nothing_and_is_named(site: Site, server: Server, fault: str) -> None:
    site.add(site.deb("zoo", "1"))
    with way(server.port) as between:
        os.environ["AWS_ENDPOINT_URL_S3"] = f"http://127.0.0.1:{between.port}"
        failing = Repository(S3Store(Bucket(site.url, attempts=2)))
        between.fault = lambda method, path: fault if method == "PUT" and "/pool/" in path else ""
        with pytest.raises(PublishError, match=r"pool/main/z/zoo/zoo_2_all\.deb: ") as caught:
            failing.add("stable", [site.deb("zoo", "2")], keyring=site.keyring)
        assert SECRET not in str(caught.value)
        assert ACCESS not in str(caught.value)
    os.environ["AWS_ENDPOINT_URL_S3"] = f"http://127.0.0.1:{server.port}"
    assert site.versions() == {"zoo 1"}
    site.add(read_deb(site.folder / "zoo_2_all.deb"))
    assert site.versions() == {"zoo 1", "zoo 2"}


def test_wrong_credentials_are_denied_and_not_shown(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    with pytest.raises(PublishError, match=r"SignatureDoesNotMatch \(403\)\nhint: check the cred") as caught:
        Repository.open(site.url)
    assert "another-secret" not in str(caught.value)
    assert ACCESS not in str(caught.value)


def test_a_lease_is_free_after_a_publish(site: Site) -> None:
    site.add(site.deb("zoo"))
    lease = site.repository.store.read(LEASE)
    assert lease
    assert json.loads(lease)["holder"] == ""


# What stays, and mirrors


@pytest.mark.usefixtures("public")
def test_gc_removes_what_no_snapshot_needs_and_its_copies_under_the_suites_path(two: Site) -> None:
    site = two
    for version in ("3", "4"):
        site.add(site.deb("zoo", version))
    copies = "dists/stable/main/binary-amd64/by-hash/SHA512"
    before = site.repository.store.names(copies)
    found = collect(
        site.repository.state,
        keyring=site.keyring,
        clock=lambda: datetime.now(UTC) + timedelta(days=9),
        rules=Retention(keep=1),
    )
    assert len(found.snapshots) == 2
    assert len(site.repository.store.names(copies)) < len(before)
    assert problems(site.repository.state) == ()
    host = site.host(ways(site)["bucket"])
    host.update()
    assert host.install("zoo") == "4"


def test_a_mirror_on_disk_is_made_of_a_repository_on_s3_and_the_other_way_round(site: Site) -> None:
    site.add(site.deb("zoo", "2.0+bt1"))
    disk = open_store(site.folder / "mirror", sync=False)
    again = open_store(f"{site.url}-mirror")
    export(site.repository.state, disk, suites=["stable"], now=datetime.now(UTC))
    assert problems(State(disk)) == ()
    export(State(disk), again, suites=["stable"], now=datetime.now(UTC))
    assert problems(State(again)) == ()


# The command line


def test_the_command_line_takes_a_url_where_it_takes_a_folder(
    site: Site, store: KeyStore, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "debs").mkdir()
    make_deb(tmp_path / "debs", "zoo", version="2.0+bt1")
    url = f"s3://{BUCKET}/{tmp_path.name}-other"
    env = {**environment, "BIGTOP_BUILDER_KEYS_DIR": str(store.folder)}

    def tool(*words: str) -> Completed:
        done = program("repo", *words, env=env).checked(BuilderError)
        assert SECRET not in done.text + done.complaint
        return done

    tool("init", url, "--key", site.fingerprint)
    tool("add", "testing", str(tmp_path / "debs"), "--repo", url)
    tool("promote", "testing", "stable", "--repo", url, "--new-suite")
    assert "zoo" in tool("list", "--repo", url).text
    assert "holds" in tool("check", "--repo", url).text
    refused = run(
        [sys.executable, "-m", "bigtop_builder", "repo", "serve", "--repo", url], env=env, check=False
    )
    assert refused.returncode == 2
    assert "is no folder" in refused.complaint


def test_programs_get_copies_of_packages_that_are_kept_by_their_hash(site: Site) -> None:
    deb = site.deb("zoo")
    site.add(deb)
    files = {"pool/main/z/zoo/zoo_1.0-1_all.deb": Held(size=deb.size, sha256=deb.sha256)}
    (copy,) = site.repository.store.local(files, site.folder / "copies")
    assert copy.read_bytes() == deb.path.read_bytes()
    made = copy.stat().st_ino
    assert site.repository.store.local(files, site.folder / "copies")[0].stat().st_ino == made
    copy.write_bytes(b"other")
    assert read_deb(site.repository.store.local(files, site.folder / "copies")[0]).sha256 == deb.sha256
    with pytest.raises(PublishError, match="was altered"):
        site.repository.store.local(
            dict.fromkeys(files, Held(size=deb.size, sha256="0" * 64)), site.folder / "copies"
        )
