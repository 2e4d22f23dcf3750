# SPDX-License-Identifier: Apache-2.0
"""Indices joined of kept blocks, read by the apt of each Debian release that hosts may run."""

import hashlib
import shutil
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from rooms import debian

from bigtop_builder.artifact import Deb
from bigtop_builder.keys import KeyStore
from bigtop_builder.repository.layout import Form
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.serve import serve
from bigtop_builder.run import run
from health import problems

NUMBER = 1200


def debs(folder: Path, start: int, count: int) -> list[Deb]:
    """Packages that are good enough to be indexed."""
    found = []
    for number in range(start, start + count):
        path = folder / f"{number}.deb"
        path.write_bytes(f"package {number}\n".encode() * 9)
        control = {
            "Package": f"package{number}",
            "Version": f"1.{number}-1",
            "Architecture": "all",
            "Maintainer": "Ann Bee <ann@bee.example>",
            "Description": f"package of a test\n Its number is {number}.",
        }
        found.append(
            Deb(
                path=path,
                control=control,
                stanza="",
                size=path.stat().st_size,
                sha256=sha256_of(path),
            )
        )
    return found


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def publish(folder: Path, store: KeyStore, forms: tuple[Form, ...]) -> Repository:
    """A repository of many blocks, to which one package came later."""
    (folder / "debs").mkdir()
    with store.open() as keyring:
        repository = Repository.init(
            folder / "repository",
            origin="Test",
            keyring=keyring,
            fingerprints=store.fingerprints(),
            forms=forms,
            sync=False,
        )
        repository.add("stable", debs(folder / "debs", 0, NUMBER), keyring=keyring, verify=False)
        repository.add("stable", debs(folder / "debs", NUMBER, 1), keyring=keyring, verify=False)
    return repository


def kept(root: Path, form: str) -> dict[str, tuple[int, int]]:
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in (root / "state/blocks").glob(f"*{form}")
    }


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory, store: KeyStore) -> Iterator[dict[Form, str]]:
    """URLs of repositories with their indices in one form each."""
    forms: tuple[Form, ...] = (".gz", ".xz", ".zst")
    with ExitStack() as stack:
        made = {form: publish(tmp_path_factory.mktemp(form[1:]), store, (form,)) for form in forms}
        yield {form: stack.enter_context(serve(Path(one.store.name))) for form, one in made.items()}


@pytest.mark.network
@pytest.mark.parametrize("suite", ["bullseye", "bookworm", "trixie"])
def test_the_apt_of_each_debian_reads_joined_gz_xz_and_zst(
    suite: str, store: KeyStore, addresses: dict[Form, str]
) -> None:
    with store.open() as keyring:
        key = keyring.export_public(store.fingerprints(), armor=False)
    with debian(suite) as room:
        for url in addresses.values():
            script = (
                f"rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /var/lib/apt/lists/*; "
                f"echo {b64encode(key).decode()} | base64 -d >/etc/apt/key.gpg; "
                f"echo 'deb [signed-by=/etc/apt/key.gpg] {url} stable main' >/etc/apt/sources.list; "
                "apt-get -q -o Acquire::http::Proxy=DIRECT -o APT::Sandbox::User=root update 2>&1; "
                "apt-cache pkgnames | grep -c ^package; apt-cache policy package0 "
                f"package{NUMBER}; apt-cache show package{NUMBER}"
            )
            said = room.run(["sh", "-ec", script]).text
            assert "W:" not in said, said
            assert "E:" not in said, said
            assert f"\n{NUMBER + 1}\n" in said, said
            assert f"Candidate: 1.{NUMBER}-1" in said, said
            assert f"Its number is {NUMBER}." in said, said


def indices(repository: Repository) -> Path:
    return Path(repository.store.name) / "dists/stable/main/binary-amd64"


def test_xz_and_gzip_themselves_read_joined_indices(tmp_path: Path, store: KeyStore) -> None:
    repository = publish(tmp_path, store, ("", ".gz", ".xz"))
    plain = (indices(repository) / "Packages").read_bytes()
    assert plain.count(b"\nPackage: ") + 1 == NUMBER + 1
    for program, name in (("gzip", "Packages.gz"), ("xz", "Packages.xz")):
        file = (indices(repository) / name).resolve()
        assert run([program, "--decompress", "--stdout"], stdin=file.read_bytes()).stdout == plain
    assert problems(repository.state) == ()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, store: KeyStore) -> Path:
    """Folder of a repository with its indices in two forms, to be copied, and of its packages."""
    folder = tmp_path_factory.mktemp("made")
    publish(folder, store, (".gz", ".xz"))
    return folder


@pytest.fixture
def two_forms(tmp_path: Path, made: Path) -> Repository:
    shutil.copytree(made, tmp_path, symlinks=True, dirs_exist_ok=True)
    return Repository.open(tmp_path / "repository", sync=False)


def test_one_more_package_writes_one_block_in_each_form(
    two_forms: Repository, tmp_path: Path, store: KeyStore
) -> None:
    root = Path(two_forms.store.name)
    before = {form: kept(root, form) for form in (".gz", ".xz")}
    with store.open() as keyring:
        more = debs(tmp_path / "debs", NUMBER + 1, 1)
        assert two_forms.add("stable", more, keyring=keyring, verify=False).changed
    for form, blocks in before.items():
        after = kept(root, form)
        assert len(after.keys() - blocks.keys()) == 1
        assert blocks.items() <= after.items()


def test_a_repository_from_before_xz_was_kept_gets_its_blocks_on_the_way(
    two_forms: Repository, tmp_path: Path, store: KeyStore
) -> None:
    root = Path(two_forms.store.name)
    before = kept(root, ".xz").keys()
    whole = {path.name: path.read_bytes() for path in (root / "state/blocks").glob("*.xz")}
    for path in (root / "state/blocks").glob("*.xz"):
        path.unlink()
    with store.open() as keyring:
        two_forms.add("stable", debs(tmp_path / "debs", NUMBER + 1, 1), keyring=keyring, verify=False)
    now = {path.name: path.read_bytes() for path in (root / "state/blocks").glob("*.xz")}
    shared = before & now.keys()
    assert len(shared) >= len(before) - 3
    assert all(now[name] == whole[name] for name in shared)
    assert problems(two_forms.state) == ()
