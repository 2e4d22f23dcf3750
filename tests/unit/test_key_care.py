# SPDX-License-Identifier: Apache-2.0
"""A key's life with real gpg: a primary in the safe, subkeys that follow each other, revocation, other signers."""

import errno
import os
import sys
from pathlib import Path

import pytest

from bigtop_builder.errors import EnvironmentMissing, InputError, SigningError
from bigtop_builder.keys import VARIABLE, KeyStore
from bigtop_builder.openpgp import Command, Keyring, UserHome, armor, verify
from bigtop_builder.openpgp.key import read_keys
from bigtop_builder.run import run
from bigtop_builder.settings import Settings, load_settings

ANN = ("Ann Bee", "ann@bee.example")
RIGHT = "open sesame"
TEXT = b"Origin: x\n- a dash\nFrom here\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    return KeyStore(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("safe") / "primary.asc"


@pytest.fixture(scope="module")
def offline(store: KeyStore, safe: Path) -> str:
    return store.new(*ANN, offline=safe, expires="90d")


def both(keyring: Keyring, fingerprint: str) -> bytes:
    return keyring.export_public([fingerprint], armor=False)


def test_the_store_has_no_primary_key_when_that_is_in_the_safe(
    store: KeyStore, safe: Path, offline: str
) -> None:
    with store.open([offline]) as keyring:
        key = keyring.key(offline)
        assert key.offline
        assert key.signing != (offline,)
        assert key.expires
        assert (key.expires - key.created).days == 90
        assert verify(keyring.clearsign(TEXT, [offline]), keyring=both(keyring, offline), what="x").keys == (
            offline,
        )
        with pytest.raises(SigningError, match="made no new subkey"):
            keyring.new_subkey(offline, algorithm="ed25519", expires="1y")
    with Keyring() as keyring:
        keyring.import_key(safe.read_bytes())
        assert not keyring.key(offline).offline
    assert safe.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_there_is_not_overwritten_by_a_primary_key(tmp_path: Path) -> None:
    (tmp_path / "safe").write_text("precious")
    with pytest.raises(SigningError, match="cannot be written"):
        KeyStore(tmp_path / "keys").new(*ANN, offline=tmp_path / "safe")
    assert (tmp_path / "safe").read_text() == "precious"
    assert KeyStore(tmp_path / "keys").fingerprints() == ()


def test_a_new_subkey_signs_beside_the_old_one_and_then_alone(tmp_path: Path) -> None:
    store, safe = KeyStore(tmp_path / "keys"), tmp_path / "safe"
    key = store.new(*ANN, offline=safe)
    with store.open([key]) as keyring:
        known = both(keyring, key)
    with pytest.raises(InputError, match=r"primary secret key .* is not here"):
        store.new_subkey(key, None)
    store.new_subkey(key, safe)
    with store.open([key]) as keyring:
        assert keyring.key(key).offline
        assert len(keyring.key(key).signing) == 2
        signed = keyring.clearsign(TEXT, [key])
        now = both(keyring, key)
    assert verify(signed, keyring=known, what="x").keys == (key,), "hosts know the first subkey only"
    assert verify(signed, keyring=now, what="x").keys == (key,)
    assert store.drop_subkeys(key) == 1
    assert store.drop_subkeys(key) == 0
    with store.open([key]) as keyring:
        signed = keyring.clearsign(TEXT, [key])
    assert verify(signed, keyring=now, what="x").keys == (key,)
    with pytest.raises(SigningError, match="no good signature"):
        verify(signed, keyring=known, what="x")


@pytest.mark.parametrize("order", [("A", "F"), ("F", "A")])
def test_of_two_subkeys_of_one_second_the_one_listed_last_is_newer(order: tuple[str, str]) -> None:
    def row(kind: str, uses: str) -> str:
        return f"{kind}:u:255:22:{'0' * 16}:1700000000:::u:::{uses}:::+::ed25519:::0:"

    primary, *subkeys = (f"fpr:::::::::{digit * 40}:" for digit in ("C", *order))
    subrows = [line for subkey in subkeys for line in (row("sub", "s"), subkey)]
    (key,) = read_keys("\n".join([row("pub", "cSC"), primary, *subrows]))
    assert key.signing == tuple(digit * 40 for digit in order)


def test_subkeys_of_a_key_that_the_store_does_not_keep_are_not_changed(
    tmp_path: Path, store: KeyStore, safe: Path, offline: str
) -> None:
    secret = (store.folder / f"{offline}.secret.asc").read_text()
    with Keyring() as keyring:
        keyring.import_key(secret.encode())
        for site in (
            KeyStore(tmp_path, armored=secret),
            KeyStore(tmp_path, agent=UserHome(keyring.home)),
            KeyStore(tmp_path, signer=["false"]),
        ):
            with pytest.raises(InputError, match=f"the secret half of {offline} is not in {tmp_path}"):
                site.new_subkey(offline, safe)
            with pytest.raises(InputError, match=f"the secret half of {offline} is not in {tmp_path}"):
                site.drop_subkeys(offline)
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_is_in_the_store_is_not_taken_again(store: KeyStore, offline: str) -> None:
    before = {path.name: path.read_bytes() for path in store.folder.iterdir()}
    with Keyring() as keyring:
        keyring.import_key(before[f"{offline}.secret.asc"])
        other = keyring.new_key(*ANN)
        both_keys = keyring.export_secret(other) + before[f"{offline}.secret.asc"]
    with pytest.raises(SigningError, match=f"key {offline} is in the store already"):
        store.take(both_keys)
    assert {path.name: path.read_bytes() for path in store.folder.iterdir()} == before


def test_a_key_whose_parts_cannot_sign_is_neither_called_public_nor_revoked() -> None:
    with Keyring() as keyring:
        keyring._gpg(["--quick-generate-key", "Ann Bee <ann@bee.example>", "ed25519", "cert", "never"])
        (key,) = keyring.keys()
        with pytest.raises(SigningError, match=f"no part of key {key.fingerprint} can sign"):
            keyring.check([key.fingerprint])


def test_a_key_that_signs_itself_gets_no_subkey(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    with pytest.raises(InputError, match="signs itself"):
        store.new_subkey(store.new(*ANN), None)


def test_a_revoked_key_signs_no_more(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    key = store.new(*ANN)
    store.revoke(key, store.certificate(key))
    with store.open([key]) as keyring, pytest.raises(SigningError, match="is revoked"):
        keyring.check([key])


def test_a_lost_certificate_is_made_anew_with_the_primary_key(
    tmp_path: Path, store: KeyStore, offline: str
) -> None:
    own = KeyStore(tmp_path)
    key = own.new(*ANN, passphrase=RIGHT)
    (tmp_path / f"{key}.revocation.asc").unlink()
    with Keyring() as keyring:
        keyring.import_key(own.public(key))
        keyring.revoke(key, own.certificate(key, passphrase=RIGHT))
        assert keyring.key(key).revoked
    (tmp_path / f"{offline}.secret.asc").write_bytes((store.folder / f"{offline}.secret.asc").read_bytes())
    with pytest.raises(SigningError, match="nor its primary secret key is here"):
        own.certificate(offline)


def test_a_certificate_of_another_key_revokes_nothing(store: KeyStore, offline: str) -> None:
    other = store.new(*ANN)
    with pytest.raises(SigningError, match="no revocation certificate of"):
        store.revoke(offline, store.certificate(other))
    with store.open([offline]) as keyring:
        keyring.check([offline])


def test_a_key_comes_from_the_variable_and_from_nowhere_else(
    tmp_path: Path,
    store: KeyStore,
    offline: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    secret = (store.folder / f"{offline}.secret.asc").read_text()
    monkeypatch.setenv(VARIABLE, secret)
    here = KeyStore.of(Settings(keys_dir=tmp_path / "none"))
    with caplog.at_level("DEBUG"), here.open([offline]) as keyring:
        assert keyring.detach_sign(TEXT, [offline])
    assert "PRIVATE KEY" not in caplog.text
    with pytest.raises(SigningError, match="0000 is not here"), here.open(["0" * 40]):
        pass
    monkeypatch.setenv(VARIABLE, "hello")
    with (
        pytest.raises(SigningError, match=f"{VARIABLE} holds no armored secret key"),
        KeyStore.of(Settings(keys_dir=tmp_path / "none")).open([offline]),
    ):
        pass


@pytest.fixture
def elsewhere(store: KeyStore, offline: str) -> str:
    """A gpg home besides, as the user's or an HSM's, that has the key."""
    with Keyring() as keyring:
        keyring.import_key((store.folder / f"{offline}.secret.asc").read_bytes())
        yield str(keyring.home)  # type: ignore[misc]


def test_the_users_agent_signs_with_keys_that_the_store_has_not(
    tmp_path: Path, offline: str, elsewhere: str
) -> None:
    home = UserHome(Path(elsewhere))
    assert home.fingerprints() == (offline,)
    with KeyStore(tmp_path, agent=home).open([offline]) as keyring:
        signed = keyring.clearsign(TEXT, [offline])
        assert verify(signed, keyring=both(keyring, offline), what="x").keys == (offline,)
        assert not keyring.key(offline).secret


SIGNER = """import subprocess, sys
form, key = sys.argv[-2:]
done = subprocess.run(["gpg", "--homedir", {home!r}, "--batch", "--quiet", "--trust-model", "always",
    "--local-user", key, "--armor", "--" + form], input={data}, stdout=subprocess.PIPE)
sys.stdout.buffer.write(done.stdout{change})
"""


def hsm(tmp_path: Path, home: str, *, data: str = "sys.stdin.buffer.read()", change: str = "") -> list[str]:
    script = tmp_path / "hsm.py"
    script.write_text(SIGNER.format(home=home, data=data, change=change))
    return [sys.executable, str(script)]


def test_a_command_signs_for_an_hsm_beside_a_key_of_the_store(
    tmp_path: Path, store: KeyStore, offline: str, elsewhere: str
) -> None:
    site = KeyStore(tmp_path / "keys", signer=hsm(tmp_path, elsewhere))
    own = site.new(*ANN)
    with store.open([offline]) as keyring:
        assert site.take(keyring.export_public([offline])) == (offline,)
    with site.open([own, offline]) as keyring:
        public = keyring.export_public([own, offline], armor=False)
        signed = keyring.clearsign(TEXT, [own, offline])
        detached = keyring.detach_sign(TEXT, [own, offline])
        for one in (own, offline):
            alone = both(keyring, one)
            assert verify(signed, keyring=alone, what="x").keys == (one,)
            assert verify(TEXT, signature=detached, keyring=alone, what="x").keys == (one,)
    assert set(verify(signed, keyring=public, what="x").keys) == {own, offline}
    assert set(verify(TEXT, signature=detached, keyring=public, what="x").keys) == {own, offline}
    assert detached.count(b"BEGIN PGP SIGNATURE") == 1, "apt reads one block"
    assert armor.unverified_text(signed) == TEXT.removesuffix(b"\n")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"data": "b'other'"}, "no good signature|is not the data signed"),
        ({"change": "[:60]"}, "none|no good signature"),
        ({"change": ".replace(b'a', b'b')"}, "none|no good signature|is not the data"),
        ({"change": "[:0]"}, "did not sign with"),
    ],
)
@pytest.mark.parametrize("form", ["clearsign", "detach_sign"])
def test_what_a_signer_answers_is_verified_before_it_is_used(
    tmp_path: Path, store: KeyStore, offline: str, elsewhere: str, form: str, wrong: dict[str, str], said: str
) -> None:
    signer = Command(hsm(tmp_path, elsewhere, **wrong))
    with store.open([offline]) as keyring:
        public = keyring.export_public([offline])
    with Keyring() as keyring:
        keyring.lend(public, signer)
        with pytest.raises(SigningError, match=said):
            getattr(keyring, form)(TEXT, [offline])


def test_a_command_that_is_not_there_or_fails_is_named(store: KeyStore, offline: str) -> None:
    with store.open([offline]) as keyring:
        public = keyring.export_public([offline])
    with Keyring() as keyring:
        keyring.lend(public, Command(["sh", "-c", "echo token is locked >&2; exit 3"]))
        with pytest.raises(SigningError, match=r"sh did not sign with .* exit status 3") as caught:
            keyring.detach_sign(TEXT, [offline])
    assert "token is locked" in caught.value.details


def test_joined_armor_is_what_gpg_reads(store: KeyStore, offline: str, tmp_path: Path) -> None:
    with store.open([offline]) as keyring:
        one = keyring.detach_sign(TEXT, [offline])
        (tmp_path / "two.asc").write_bytes(armor.join([one, one]))
    said = run(["gpg", "--homedir", tmp_path, "--list-packets", tmp_path / "two.asc"]).text
    assert said.count(":signature packet:") == 2
    with pytest.raises(SigningError, match="what should be an armored signature is none"):
        armor.join([b"hello"])


def test_the_settings_say_who_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGTOP_BUILDER_SIGNER", '["hsm-sign", "--slot", "1"]')
    monkeypatch.setenv(VARIABLE, "no setting, and so no misspelt one")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_settings().signer == ("hsm-sign", "--slot", "1")


def made_later(store: KeyStore, tmp_path: Path, *, subkey: bool = False) -> str:
    """A key, or the only subkey of one that signs, which is made in 2090 by this machine's clock."""
    home = tmp_path / "later"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", home, "--batch", "--passphrase", "", "--pinentry-mode", "loopback"]
    future = ["--faked-system-time", "20900101T000000"]
    try:
        uses = ["cert"] if subkey else ["sign"]
        run(
            [
                *gpg,
                *(() if subkey else future),
                "--quick-generate-key",
                "Ann Bee <a@b.example>",
                "ed25519",
                *uses,
            ]
        )
        listing = run([*gpg, *future, "--with-colons", "--list-keys"]).text
        fingerprint = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr"))
        if subkey:
            run([*gpg, *future, "--quick-add-key", fingerprint, "ed25519", "sign"])
        secret = run([*gpg, *future, "--armor", "--export-secret-keys", fingerprint]).stdout
    finally:
        run(["gpgconf", "--homedir", home, "--kill", "all"])
    store.folder.mkdir(exist_ok=True)
    (store.folder / f"{fingerprint}.secret.asc").write_bytes(secret)
    return fingerprint


@pytest.mark.parametrize("subkey", [False, True])
def test_a_clock_that_is_behind_is_named_and_not_the_key(tmp_path: Path, *, subkey: bool) -> None:
    store = KeyStore(tmp_path / "keys")
    key = made_later(store, tmp_path, subkey=subkey)
    secret = (store.folder / f"{key}.secret.asc").read_text()
    for site in (store, KeyStore(tmp_path / "none", armored=secret)):
        with (
            pytest.raises(SigningError, match="the clock of this machine is behind") as caught,
            site.open([key]) as keyring,
        ):
            keyring.check([key])
        assert "in the future" in caught.value.brief or "2090-01-01" in caught.value.brief
        assert "set the clock" in caught.value.hint
    if not subkey:
        (problem,) = store.listing()[1]
        assert "damaged" not in problem.brief
        assert "backup" not in problem.hint


def test_a_key_that_cannot_be_kept_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = KeyStore(tmp_path / "keys")
    whole = os.fsync

    def full(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name.endswith(".secret.asc"):
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(EnvironmentMissing, match="No space left"):
            store.new(*ANN, offline=tmp_path / "safe", follows="0" * 40)
    assert list(store.folder.iterdir()) == []
    assert not (tmp_path / "safe").exists()
    key = store.new(*ANN, offline=tmp_path / "safe", follows="0" * 40)
    assert store.awaiting("0" * 40) == key
    assert store.awaiting("1" * 40) == ""
    store.settle(key)
    store.settle(key)
    assert store.awaiting("0" * 40) == ""
