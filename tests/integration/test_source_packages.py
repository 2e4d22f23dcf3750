# SPDX-License-Identifier: Apache-2.0
"""Source packages, and what a build leaves beside its packages: `repo add`, and what the real apt makes of it."""

import gzip
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from apt_host import AptHost, write_deb
from bigtop_builder.artifact import read_debs
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository.check import examine
from bigtop_builder.repository.export import export
from bigtop_builder.repository.founding import choose_indices
from bigtop_builder.repository.gc import collect
from bigtop_builder.repository.layout import Retention
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.store import open_store
from bigtop_builder.repository.store.bucket import Bucket
from bigtop_builder.run import Completed, run
from bigtop_builder.source_package import read_dsc, sort_out
from debian_source import write_record, write_source
from health import problems
from s3_server import BUCKET, free_port, variables

Tool = Callable[..., Completed]


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """What a build left: two packages, of which one is for debugging, source, .changes and .buildinfo."""
    folder = tmp_path / "build"
    folder.mkdir()
    dsc = write_source(folder, "emu", "1.0-1")
    debs = [write_deb(folder, "emu", "1.0-1"), write_deb(folder, "emu-dbgsym", "1.0-1", architecture="amd64")]
    info = write_record(folder / "emu_1.0-1_amd64.buildinfo", debs)
    write_record(folder / "emu_1.0-1_amd64.changes", [dsc, *debs, info])
    return folder


def answer(done: Completed) -> Any:
    assert done.returncode == 0, done.complaint
    return json.loads(done.text)


def host_of(tmp_path: Path, repository: Repository, store: KeyStore, suite: str = "stable") -> AptHost:
    """A host with deb and deb-src lines."""
    with store.open() as keyring:
        key = keyring.export_public(store.fingerprints(), armor=False)
    host = AptHost.following(tmp_path, url=f"file:{repository.store.name}", suite=suite, key=key)
    sources = tmp_path / "etc/apt/sources.list.d/test.sources"
    sources.write_text(sources.read_text().replace("Types: deb\n", "Types: deb deb-src\n"))
    return host


def fetched(host: AptHost, package: str, folder: Path) -> list[str]:
    """Names of what `apt-get source` brings, unpacked."""
    folder.mkdir()
    done = run(
        ["apt-get", "-q", "source", package],
        env={"APT_CONFIG": str(host.root / "apt.conf")},
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.text + done.complaint
    return sorted(path.name for path in folder.iterdir())


def test_apt_get_source_fetches_and_unpacks_what_was_added_as_a_folder(
    tmp_path: Path, tool: Tool, repository: Repository, store: KeyStore, build: Path
) -> None:
    done = answer(tool("add", "stable", build, "--json"))
    assert {(one["name"], one["architecture"], one["verified"]) for one in done["added"]} == {
        ("emu", "all", "integrity"),
        ("emu-dbgsym", "amd64", "integrity"),
        ("emu", "source", "checksums"),
    }
    host = host_of(tmp_path / "host", repository, store)
    host.update()
    assert fetched(host, "emu", tmp_path / "got") == [
        "emu-1.0",
        "emu_1.0-1.debian.tar.xz",
        "emu_1.0-1.dsc",
        "emu_1.0.orig.tar.gz",
    ]
    assert (tmp_path / "got/emu-1.0/README").read_text() == "emu 1.0\n"
    assert host.candidate("emu-dbgsym") == "1.0-1"
    assert health(repository) == ((), ())


def health(repository: Repository) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found = examine(repository.state, now=datetime.now(UTC))
    return found.problems, found.warnings


def test_sources_lie_in_the_pool_and_release_names_their_index_but_no_architecture(
    tool: Tool, repository: Repository, build: Path
) -> None:
    answer(tool("add", "stable", build / "emu_1.0-1.dsc", "--json"))
    root = Path(repository.store.name)
    assert sorted(path.name for path in (root / "pool/main/e/emu").iterdir()) == [
        "emu_1.0-1.debian.tar.xz",
        "emu_1.0-1.dsc",
        "emu_1.0.orig.tar.gz",
    ]
    release = (root / "dists/stable/Release").read_text()
    assert "\nArchitectures: amd64\n" in release
    for name in ("Sources", "Sources.gz", "Sources.xz"):
        assert f" main/source/{name}\n" in release
    sources = root / "dists/stable/main/source"
    plain = (sources / "Sources").read_bytes()
    assert gzip.decompress((sources / "Sources.gz").read_bytes()) == plain
    assert run(["xz", "-dc", sources / "Sources.xz"]).stdout == plain
    assert b"\nDirectory: pool/main/e/emu\n" in plain
    assert b"Format: 3.0 (quilt)\n" in plain
    (pointer,) = [repository.state.unverified_pointer("stable")]
    assert pointer
    index = repository.state.snapshot(pointer.snapshot).sources["main"].files["Sources.xz"]
    assert (sources / "by-hash/SHA256" / index.sha256).is_file()
    assert (sources / "by-hash/SHA512" / index.sha512).is_file()


def test_adding_the_same_again_writes_nothing_and_a_new_revision_shares_the_upstream_tarball(
    tmp_path: Path, tool: Tool, repository: Repository, store: KeyStore, build: Path
) -> None:
    answer(tool("add", "stable", build, "--json"))
    assert answer(tool("add", "stable", build, "--json"))["changed"] is False
    second = write_source(build, "emu", "1.0-2")
    added = answer(tool("add", "stable", second, "--json"))["added"]
    assert [(one["name"], one["version"]) for one in added] == [("emu", "1.0-2")]
    host = host_of(tmp_path / "host", repository, store)
    host.update()
    assert "emu_1.0-2.dsc" in fetched(host, "emu", tmp_path / "new")
    assert "emu_1.0-1.dsc" in fetched(host, "emu=1.0-1", tmp_path / "old")


def test_a_source_of_other_bytes_is_refused_and_nothing_changes(
    tmp_path: Path, tool: Tool, repository: Repository, build: Path
) -> None:
    answer(tool("add", "stable", build, "--json"))
    before = repository.state.unverified_pointer("stable")
    dsc = build / "emu_1.0-1.dsc"
    dsc.write_text(dsc.read_text().replace("Standards-Version: 4.6.2", "Standards-Version: 4.6.1"))
    refused = tool("add", "stable", dsc)
    assert refused.returncode == 10
    assert "emu_1.0-1.dsc is in the repository with other bytes" in refused.complaint
    other = tmp_path / "other"
    other.mkdir()
    (other / "emu_1.0.orig.tar.gz").write_bytes(gzip.compress(b""))
    again = tool("add", "stable", write_source_on(other, build))
    assert again.returncode == 10
    assert "emu_1.0.orig.tar.gz is in the repository with other bytes" in again.complaint
    assert repository.state.unverified_pointer("stable") == before


def write_source_on(folder: Path, build: Path) -> Path:
    """A source package of another revision, upon another upstream tarball of the same name."""
    (folder / "emu_1.0.orig.tar.gz").unlink()
    fresh = build.parent / "fresh"
    fresh.mkdir()
    dsc = write_source(fresh, "emu", "1.0-3")
    orig = fresh / "emu_1.0.orig.tar.gz"
    orig.write_bytes(gzip.compress(gzip.decompress(orig.read_bytes()), 1, mtime=7))
    text = dsc.read_text()
    for algorithm in ("md5", "sha1", "sha256"):
        digest = hashlib.new(algorithm, orig.read_bytes(), usedforsecurity=False).hexdigest()
        length = len(digest)
        text = "\n".join(
            f" {digest} {orig.stat().st_size} {orig.name}"
            if line.endswith(f" {orig.name}") and len(line.split()[0]) == length
            else line
            for line in text.split("\n")
        )
    dsc.write_text(text)
    return dsc


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing"])
def test_a_part_that_is_not_what_the_dsc_says_is_refused_by_name(
    tool: Tool, repository: Repository, build: Path, damage: str
) -> None:
    part = build / "emu_1.0-1.debian.tar.xz"
    whole = part.read_bytes()
    if damage == "missing":
        part.unlink()
    else:
        part.write_bytes(whole[:-1] if damage == "cut" else whole[:-1] + bytes([whole[-1] ^ 1]))
    refused = tool("add", "stable", build)
    assert refused.returncode in {2, 10}
    assert "emu_1.0-1.debian.tar.xz" in refused.complaint
    assert repository.state.unverified_pointer("stable") is None


def test_changes_and_buildinfo_are_kept_and_the_history_names_them(
    tool: Tool, repository: Repository, build: Path
) -> None:
    answer(tool("add", "stable", build / "emu_1.0-1_amd64.changes", "--json"))
    (entry,) = repository.state.history("stable")
    assert set(entry.records) == {"emu_1.0-1_amd64.buildinfo", "emu_1.0-1_amd64.changes"}
    assert {one.architecture for one in entry.added} == {"all", "amd64", "source"}
    for name, sha256 in entry.records.items():
        kept = repository.store.read(f"state/builds/{sha256}{Path(name).suffix}")
        assert kept == (build / name).read_bytes()


def test_check_names_records_that_were_altered_or_are_gone(
    tool: Tool, repository: Repository, build: Path
) -> None:
    answer(tool("add", "stable", build / "emu_1.0-1_amd64.changes", "--json"))
    assert problems(repository.state) == ()
    info, changes = sorted(
        (Path(repository.store.name) / "state/builds").iterdir(), key=lambda one: one.suffix
    )
    changes.write_bytes(b"other")
    info.unlink()
    found = problems(repository.state)
    assert {line.partition(": ")[0] for line in found} == {
        f"state/builds/{changes.name} was altered",
        f"state/builds/{info.name} is missing",
    }


def test_a_buildinfo_that_does_not_fit_its_package_is_refused(
    tool: Tool, repository: Repository, build: Path
) -> None:
    info = build / "emu_1.0-1_amd64.buildinfo"
    info.write_text(info.read_text().replace(" emu_1.0-1_all.deb", " other.deb"))
    deb = build / "emu_1.0-1_all.deb"
    info.write_text(info.read_text() + f" {'0' * 64} {deb.stat().st_size} {deb.name}\n")
    refused = tool("add", "stable", deb, info)
    assert refused.returncode == 10
    assert "emu_1.0-1_all.deb is not the file that" in refused.complaint
    assert repository.state.unverified_pointer("stable") is None


def test_sources_follow_their_snapshot_through_promote_rollback_gc_and_export(
    tmp_path: Path, tool: Tool, repository: Repository, keyring: Keyring, store: KeyStore, build: Path
) -> None:
    answer(tool("add", "stable", build, "--json"))
    answer(tool("add", "stable", write_source(build, "emu", "1.0-2"), "--json"))
    answer(tool("promote", "stable", "next", "--new-suite", "--json"))
    found = collect(repository.state, keyring=keyring, clock=repository.clock, rules=Retention(keep=1))
    assert not {"packages", "indices", "blocks"} & {kind for kind, files in found.files.items() if files}
    mirror = open_store(tmp_path / "mirror", sync=False)
    export(repository.state, mirror, suites=["next"], now=datetime.now(UTC))
    there = Repository.open(tmp_path / "mirror")
    assert problems(there.state) == ()
    host = host_of(tmp_path / "host", there, store, "next")
    host.update()
    assert "emu_1.0-2.dsc" in fetched(host, "emu", tmp_path / "got")
    answer(tool("rollback", "stable", "--json"))
    old = host_of(tmp_path / "old", repository, store)
    old.update()
    assert "emu_1.0-1.dsc" in fetched(old, "emu", tmp_path / "older")


def test_sources_leave_by_name_and_when_others_replace_them(
    tool: Tool, repository: Repository, build: Path
) -> None:
    answer(tool("add", "stable", build, "--json"))
    gone = answer(tool("remove", "stable", "src:emu", "--json"))["removed"]
    assert [(one["name"], one["architecture"]) for one in gone] == [("emu", "source")]
    answer(tool("add", "stable", build, "--json"))
    deb = build / "emu_1.0-1_all.deb"
    gone = answer(tool("add", "stable", deb, "--replace", "--accept", "--json"))["removed"]
    assert {(one["name"], one["architecture"]) for one in gone} == {
        ("emu", "source"),
        ("emu-dbgsym", "amd64"),
    }
    pointer = repository.state.unverified_pointer("stable")
    assert pointer
    assert repository.state.snapshot(pointer.snapshot).sources == {}
    assert health(repository) == ((), ())


def test_check_names_a_part_that_was_altered(tool: Tool, repository: Repository, build: Path) -> None:
    answer(tool("add", "stable", build, "--json"))
    orig = Path(repository.store.name) / "pool/main/e/emu/emu_1.0.orig.tar.gz"
    orig.chmod(0o644)
    orig.write_bytes(orig.read_bytes()[:-1] + b"x")
    assert any("emu_1.0.orig.tar.gz was altered" in line for line in problems(repository.state))


def test_a_signed_dsc_is_read_as_what_was_signed(tmp_path: Path, keyring: Keyring, store: KeyStore) -> None:
    dsc = write_source(tmp_path, "emu", "1:2.0-1")
    plain = read_dsc(dsc)
    dsc.write_bytes(keyring.clearsign(dsc.read_bytes(), store.fingerprints()))
    signed = read_dsc(dsc)
    assert (signed.name, signed.version, signed.parts) == ("emu", "1:2.0-1", plain.parts)
    assert signed.dsc.sha256 != plain.dsc.sha256
    assert signed.dsc.name == "emu_2.0-1.dsc"


def test_on_s3_too_and_a_mirror_of_it_serves_all_kinds_of_indices(
    tmp_path: Path, keyring: Keyring, store: KeyStore, build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    try:
        for name, value in variables(server.get_host_and_port()[1]).items():
            monkeypatch.setenv(name, value)
        url = f"s3://{BUCKET}/deb"
        Bucket(url).client.create_bucket(Bucket=BUCKET)
        repository = Repository.init(url, origin="Ours", keyring=keyring, fingerprints=store.fingerprints())
        with repository.store.lock():
            choose_indices(
                repository.state, forms=("", ".gz", ".xz", ".zst"), contents=True, translations=True
            )
        paths, beside = sort_out([build])
        repository.add("stable", read_debs(paths), keyring=keyring, beside=beside)
        assert health(repository) == ((), ())
        assert repository.settled("stable", read_debs(paths), beside=beside)
        mirror = open_store(tmp_path / "mirror", sync=False)
        export(repository.state, mirror, suites=["stable"], now=datetime.now(UTC))
    finally:
        server.stop()
    there = Repository.open(tmp_path / "mirror")
    assert health(there) == ((), ())
    main = tmp_path / "mirror/dists/stable/main"
    assert gzip.decompress((main / "Contents-amd64.gz").read_bytes()).startswith(b"usr/share/emu emu\n")
    assert {path.name for path in (main / "i18n").iterdir()} == {
        "Translation-en",
        "Translation-en.gz",
        "Translation-en.xz",
        "Translation-en.zst",
        "by-hash",
    }
    host = host_of(tmp_path / "host", there, store)
    host.update()
    assert "emu_1.0-1.dsc" in fetched(host, "emu", tmp_path / "got")
