# SPDX-License-Identifier: Apache-2.0
"""The keyring package that hosts install as root: what a signed index names, and nothing else of the pool."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from apt_host import write_deb
from bigtop_builder.artifact import read_deb
from bigtop_builder.cli import cli
from bigtop_builder.errors import CheckFailed, InputError, SigningError
from bigtop_builder.fleet.offer import offer_of, offers_of
from bigtop_builder.fleet.trust import trust_of
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.openpgp.armor import unverified_text
from bigtop_builder.repository.keyring_package import KeyringPackage, build
from bigtop_builder.repository.publish import Repository
from bigtop_builder.run import run

OURS, PLANTED = "20261124.1.1", "20991231.1.1"


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    store = KeyStore(tmp_path / "keys")
    store.new("Ann Bee", "ann@bee.example")
    return store


@pytest.fixture
def keyring(store: KeyStore) -> Iterator[Keyring]:
    with store.open() as keyring:
        yield keyring


@pytest.fixture
def public(store: KeyStore, keyring: Keyring) -> bytes:
    return keyring.export_public(store.fingerprints(), armor=False)


def package(folder: Path, public: bytes, version: str) -> Path:
    """A keyring package with the repository's real keys."""
    made = KeyringPackage(
        origin="Ours",
        keys=public,
        url="http://x.example",
        suites=("stable",),
        version=version,
        date=datetime(2026, 11, 24, tzinfo=UTC),
        maintainer="Ann Bee <ann@bee.example>",
    )
    return build(made, folder)


@pytest.fixture
def ours(tmp_path: Path, store: KeyStore, keyring: Keyring, public: bytes) -> Repository:
    """A repository with one keyring package."""
    made = Repository.init(
        tmp_path / "srv", origin="Ours", keyring=keyring, fingerprints=store.fingerprints(), sync=False
    )
    made.add("stable", [read_deb(package(tmp_path, public, OURS))], keyring=keyring)
    return made


def in_pool(repository: Path) -> Path:
    (deb,) = repository.glob(f"pool/main/*/*/*_{OURS}_all.deb")
    return deb


def test_a_newer_file_that_no_index_names_is_not_given_to_hosts(
    ours: Repository, tmp_path: Path, public: bytes
) -> None:
    real = in_pool(tmp_path / "srv")
    planted = package(tmp_path, public, PLANTED)
    (real.parent / planted.name).write_bytes(planted.read_bytes())
    trust = trust_of(ours.state, public, offer_of(ours.state, "stable", public))
    assert (trust.version, trust.file) == (OURS, real.name)
    assert trust.content == real.read_bytes()


def test_a_newer_package_of_a_snapshot_that_a_stranger_signed_is_not_given_to_hosts(
    ours: Repository, tmp_path: Path, public: bytes
) -> None:
    offer = offer_of(ours.state, "stable", public)
    with Keyring() as strange:
        stranger = strange.new_key("Eve", "eve@x.example")
        theirs = Repository.init(
            tmp_path / "eve", origin="Ours", keyring=strange, fingerprints=[stranger], sync=False
        )
        theirs.add("stable", [read_deb(package(tmp_path, public, PLANTED))], keyring=strange)
        (snapshot,) = set(theirs.state.snapshots()) - set(ours.state.snapshots())
    run(["cp", "-an", f"{tmp_path}/eve/.", f"{tmp_path}/srv/"])
    assert snapshot in ours.state.snapshots()
    assert trust_of(ours.state, public, offer).version == OURS


def test_a_package_with_other_bytes_than_the_index_says_is_refused_by_name(
    ours: Repository, tmp_path: Path, public: bytes
) -> None:
    deb = in_pool(tmp_path / "srv")
    content = bytearray(deb.read_bytes())
    content[-1] ^= 1
    deb.unlink()
    deb.write_bytes(content)
    with pytest.raises(CheckFailed, match=f"{deb.name} is not the package that the signed indices name"):
        trust_of(ours.state, public, offer_of(ours.state, "stable", public))


def test_without_a_signed_package_there_is_nothing_to_trust(ours: Repository, public: bytes) -> None:
    with Keyring() as strange:
        other = strange.export_public([strange.new_key("Eve", "eve@x.example")], armor=False)
    with pytest.raises(InputError, match="has no package ours-archive-keyring"):
        trust_of(ours.state, other, offer_of(ours.state, "stable", public))


@pytest.mark.parametrize(("name", "value"), [("origin", "Theirs"), ("label", "Theirs")])
def test_origin_and_label_are_those_that_the_keys_have_signed(
    ours: Repository, tmp_path: Path, public: bytes, name: str, value: str
) -> None:
    settings = tmp_path / "srv/state/repository.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), name: value}))
    with pytest.raises(CheckFailed, match=f"{name.title()} of .* 'Theirs' .* the keys have signed 'Ours'"):
        offer_of(ours.state, "stable", public)


def test_a_word_that_a_host_would_obey_is_no_origin_though_the_keys_had_signed_it(
    ours: Repository, tmp_path: Path, public: bytes
) -> None:
    settings = tmp_path / "srv/state/repository.json"
    settings.write_text(settings.read_text().replace('"Ours"', '"Ours\\ntouch /tmp/x\\n#"'))
    with pytest.raises(InputError, match="is damaged") as caught:
        offer_of(ours.state, "stable", public)
    assert "origin: should be letters, digits" in caught.value.details


@pytest.mark.parametrize(
    ("field", "value"),
    [("version", "1 $(id)"), ("name", "a;b"), ("filename", "pool/../x.deb"), ("architecture", "all\n")],
)
def test_what_has_no_debian_form_is_not_given_to_hosts(
    ours: Repository, public: bytes, field: str, value: str
) -> None:
    offer = offer_of(ours.state, "stable", public)
    (package,) = offer.packages["amd64"].values()
    odd = replace(package, **{field: value})
    with pytest.raises(CheckFailed, match=f"{field} of package") as caught:
        replace(offer, packages={"amd64": {package.name: odd}})
    assert repr(value) in caught.value.brief


def test_an_old_state_of_a_suite_that_was_put_back_is_not_given_to_hosts(
    ours: Repository, keyring: Keyring, tmp_path: Path, public: bytes
) -> None:
    ours.add("stable", [read_deb(write_deb(tmp_path, "zoo", "1"))], keyring=keyring)
    link = tmp_path / "srv/dists/stable"
    link.unlink()
    link.symlink_to("../releases/stable/1")
    with pytest.raises(CheckFailed, match="stands at release 1, and the signed history of stable goes to 2"):
        offers_of(ours.state, "stable", "", public)


def fleet(tmp_path: Path, command: str, *words: str) -> Result:
    given = ["fleet", command, "stable", "--repo", f"{tmp_path}/srv", "--output", f"{tmp_path}/out", *words]
    return CliRunner().invoke(cli, given, env={"BIGTOP_BUILDER_KEYS_DIR": f"{tmp_path}/keys"})


@pytest.mark.usefixtures("ours")
def test_what_the_key_stores_keys_have_signed_is_given_to_hosts(tmp_path: Path) -> None:
    done = fleet(tmp_path, "sources", "--url", "https://x.example")
    assert done.exit_code == 0, done.output
    assert (tmp_path / f"out/ours-archive-keyring_{OURS}_all.deb").read_bytes()


@pytest.mark.parametrize(("command", "words"), [("sources", ["--url", "https://x.example"]), ("lists", [])])
def test_what_a_stranger_signed_is_refused_though_his_key_lies_in_the_repository(
    ours: Repository, tmp_path: Path, public: bytes, command: str, words: list[str]
) -> None:
    in_release = tmp_path / "srv/dists" / offer_of(ours.state, "stable", public).suite / "InRelease"
    with Keyring() as strange:
        stranger = strange.new_key("Eve", "eve@x.example")
        key = strange.export_public([stranger], armor=False)
        signed = strange.clearsign(unverified_text(in_release.read_bytes()), [stranger])
    (tmp_path / f"srv/state/keys/{stranger}.gpg").write_bytes(key)
    in_release.unlink()
    in_release.write_bytes(signed)
    done = fleet(tmp_path, command, *words)
    assert isinstance(done.exception, SigningError), done.output
    assert (
        "hosts would refuse it" not in done.exception.brief
    )  # it is refused here, whatever package hosts have
    assert not (tmp_path / "out").exists()
