# SPDX-License-Identifier: Apache-2.0
"""Keys with real gpg: made, kept, used; and each way they can be wrong."""

import stat
import sys
import time
from pathlib import Path

import pytest

from bigtop_builder.errors import EnvironmentMissing, InputError, SigningError
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring, signers, verify
from bigtop_builder.repository.publish import Repository
from bigtop_builder.run import run

RIGHT = "open sesame ✓"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    return KeyStore(tmp_path_factory.mktemp("keys") / "a" / ("long" * 30) / "store")


@pytest.fixture(scope="module")
def fingerprint(store: KeyStore) -> str:
    return store.new("Ann Bee", "ann@bee.example")


def test_a_key_signs_and_its_signature_verifies(store: KeyStore, fingerprint: str) -> None:
    with store.open([fingerprint]) as keyring:
        public = keyring.export_public([fingerprint], armor=False)
        signed = keyring.clearsign(b"text\n", [fingerprint])
        detached = keyring.detach_sign(b"text\n", [fingerprint])
    assert verify(signed, keyring=public, what="x").keys == (fingerprint,)
    assert verify(b"text\n", signature=detached, keyring=public, what="x").keys == (fingerprint,)
    with pytest.raises(SigningError, match="x has no good signature"):
        verify(b"other\n", signature=detached, keyring=public, what="x")


def test_only_the_owner_can_read_a_store(store: KeyStore, fingerprint: str) -> None:
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in store.folder.glob(f"{fingerprint}*")
    } == {f"{fingerprint}.{kind}.asc": 0o600 for kind in ("public", "revocation", "secret")}


def test_nothing_is_left_of_an_open_keyring(store: KeyStore, fingerprint: str) -> None:
    with store.open([fingerprint]) as keyring:
        home = keyring.home
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        keyring.detach_sign(b"text", [fingerprint])
    assert not home.exists()
    with pytest.raises(SigningError, match="closed"):
        _ = keyring.home


def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    script = (
        "import os, signal\nfrom bigtop_builder.openpgp import Keyring\nkeyring = Keyring().__enter__()\n"
        "keyring.new_key('Ann Bee', 'ann@bee.example')\nprint(keyring.home, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with Keyring() as living:
        left = Path(run([sys.executable, "-c", script], check=False, cwd=tmp_path).text)
        assert left.is_dir()
        with Keyring():
            assert not left.exists()
            assert living.home.is_dir()


def test_two_keys_sign_side_by_side_and_one_of_them_suffices(store: KeyStore, fingerprint: str) -> None:
    with store.open([fingerprint]) as keyring:
        other = keyring.new_key("Cee", "c@bee.example", algorithm="ed25519", expires="30d")
        signed = keyring.clearsign(b"text\n", [fingerprint, other])
        both = keyring.export_public([fingerprint, other], armor=False)
        one = keyring.export_public([other], armor=False)
    assert set(verify(signed, keyring=both, what="x").keys) == {fingerprint, other}
    assert verify(signed, keyring=one, what="x").keys == (other,)


def test_a_signature_by_a_stranger_is_refused(store: KeyStore, fingerprint: str) -> None:
    with store.open([fingerprint]) as keyring, Keyring() as strangers:
        stranger = strangers.new_key("Eve", "eve@bee.example")
        signed = strangers.clearsign(b"text\n", [stranger])
        with pytest.raises(SigningError, match="no good signature"):
            verify(signed, keyring=keyring.export_public([fingerprint], armor=False), what="x")


def test_a_passphrase_protects_the_key_and_a_wrong_one_is_said(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys")
    fingerprint = store.new("Ann Bee", "ann@bee.example", passphrase=RIGHT)
    with store.open(passphrase=RIGHT) as keyring:
        assert keyring.detach_sign(b"text", [fingerprint])
    with (
        store.open(passphrase=RIGHT + "!") as keyring,
        pytest.raises(SigningError, match=f"gpg did not sign with {fingerprint}"),
    ):
        keyring.detach_sign(b"text", [fingerprint])


def test_an_expired_key_is_named_with_its_day() -> None:
    with Keyring() as keyring:
        fingerprint = keyring.new_key("Ann Bee", "ann@bee.example", expires="seconds=1")
        time.sleep(2)
        with pytest.raises(SigningError, match=f"key {fingerprint} expired on 20") as caught:
            keyring.clearsign(b"text", [fingerprint])
    assert "key rotate" in caught.value.hint
    assert caught.value.exit_code == 9


def test_a_missing_key_is_named(store: KeyStore, fingerprint: str) -> None:
    absent = "0" * 40
    with store.open([fingerprint]) as keyring, pytest.raises(SigningError, match=f"key {absent} is not here"):
        keyring.check([absent])
    with pytest.raises(SigningError, match=f"key {absent} is not here in "), store.open([absent]):
        pass
    with Keyring() as keyring, pytest.raises(SigningError, match="no signing key is named"):
        keyring.check([])


def test_a_public_half_does_not_sign(store: KeyStore, fingerprint: str) -> None:
    with store.open([fingerprint]) as keyring:
        public = keyring.export_public([fingerprint])
    with Keyring() as keyring:
        assert keyring.import_key(public) == (fingerprint,)
        with pytest.raises(SigningError, match=f"of key {fingerprint} only the public half is here"):
            keyring.clearsign(b"text", [fingerprint])


def test_a_revoked_key_does_not_sign() -> None:
    with Keyring() as keyring:
        revoked = keyring.new_key("Ann Bee", "ann@bee.example")
        # gpg puts a colon before the armor, so that nobody revokes a key by mistake.
        keyring._gpg(["--import"], stdin=keyring.revocation(revoked).replace(b"\n:---", b"\n---"))
        with pytest.raises(SigningError, match=f"key {revoked} is revoked"):
            keyring.check([revoked])


def test_what_is_no_key_is_refused() -> None:
    with Keyring() as keyring, pytest.raises(SigningError, match="no OpenPGP key to import"):
        keyring.import_key(b"hello")
    with Keyring() as keyring, pytest.raises(InputError, match="is no user id"):
        keyring.new_key("Eve <root@x>", "eve@bee.example")


def test_neither_secret_nor_passphrase_is_an_argument(
    store: KeyStore, fingerprint: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"), store.open([fingerprint], passphrase=RIGHT) as keyring:
        keyring.detach_sign(b"text", [fingerprint])
    assert "--detach-sign" in caplog.text
    assert RIGHT not in caplog.text
    assert "PRIVATE KEY" not in caplog.text


@pytest.mark.parametrize("form", ["small", "spaced", "prefixed"])
def test_a_fingerprint_is_taken_in_the_forms_that_gpg_shows(
    store: KeyStore, fingerprint: str, form: str
) -> None:
    pairs = [fingerprint[at : at + 4] for at in range(0, 40, 4)]
    written = {
        "small": fingerprint.lower(),
        "spaced": f"{' '.join(pairs[:5])}  {' '.join(pairs[5:])}",
        "prefixed": f"0x{fingerprint}",
    }
    assert store.full(written[form]) == fingerprint


@pytest.mark.parametrize("digits", [8, 16])
def test_a_key_id_is_refused_with_the_key_it_is_the_end_of(
    store: KeyStore, fingerprint: str, digits: int
) -> None:
    with pytest.raises(InputError, match="all 40 digits are needed") as caught:
        store.full(f"0x{fingerprint[-digits:].lower()}")
    assert fingerprint in caught.value.hint


@pytest.mark.parametrize("given", ["", "0x", "nonsense", "0123456789ABCDE!", "0" * 41])
def test_what_is_the_end_of_no_key_is_refused_with_the_way_to_the_keys(
    store: KeyStore, fingerprint: str, given: str
) -> None:
    with pytest.raises(InputError, match="no full fingerprint") as caught:
        store.full(given)
    assert "key list" in caught.value.hint
    assert fingerprint not in caught.value.hint


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "another", "folder"])
def test_a_damaged_key_file_is_named_and_the_others_are_listed(
    tmp_path: Path, store: KeyStore, fingerprint: str, damage: str
) -> None:
    whole = (store.folder / f"{fingerprint}.secret.asc").read_bytes()
    (tmp_path / f"{fingerprint}.secret.asc").write_bytes(whole)
    bad = tmp_path / f"{'0' * 40}.secret.asc"
    if damage == "folder":
        bad.mkdir()
    else:
        bad.write_bytes({"cut": whole[:200], "text": b"hello", "empty": b"", "another": whole}[damage])
    keys, (problem,) = KeyStore(tmp_path).listing()
    assert [key.fingerprint for key in keys] == [fingerprint]
    assert str(bad) in problem.brief
    assert "backup" in problem.hint
    with (
        pytest.raises(SigningError, match=str(bad) if damage != "folder" else "0000 is not here"),
        KeyStore(tmp_path).open(["0" * 40]),
    ):
        pass


@pytest.mark.parametrize(
    "expires", ["nonsense", "", "0", "2x", "-1y", "2020-01-01", "2027-02-30", "99999y", "2y; rm", "20300101"]
)
def test_a_time_at_which_no_key_can_expire_is_refused_with_the_forms(tmp_path: Path, expires: str) -> None:
    with pytest.raises(InputError, match="is no time at which a key can expire") as caught:
        KeyStore(tmp_path).new("Ann Bee", "ann@bee.example", expires=expires)
    assert "90d, 6w, 18m, 2y" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("expires", "days"), [("90d", 90), ("6w", 42), ("18m", 540), ("50y", 18250), ("never", None)]
)
def test_a_key_expires_when_it_was_told_to(tmp_path: Path, expires: str, days: int | None) -> None:
    store = KeyStore(tmp_path)
    store.new("Ann Bee", "ann@bee.example", expires=expires)
    ((key,), _) = store.listing()
    assert (key.expires and (key.expires - key.created).days) == days


def test_a_key_expires_on_the_day_that_was_named(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    store.new("Ann Bee", "ann@bee.example", expires="2040-12-31")
    ((key,), _) = store.listing()
    assert key.expires
    assert f"{key.expires:%Y-%m-%d}" == "2040-12-31"


def test_who_signed_a_file_is_known_also_when_the_key_has_expired_since(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"text" * 1000)
    with Keyring() as keyring:
        short = keyring.new_key("Ann Bee", "ann@bee.example", expires="seconds=2")
        signature = keyring.detach_sign(file.read_bytes(), [short])
        public = keyring.export_public([short], armor=False)
        time.sleep(3)
    assert set(signers(file, keyring=public, signature=signature)) == {short}
    file.write_bytes(b"other")
    assert signers(file, keyring=public, signature=signature) == ()


def test_a_missing_key_is_taken_in_or_replaced() -> None:
    absent = "0" * 40
    with Keyring() as keyring, pytest.raises(SigningError) as caught:
        keyring.check([absent])
    assert "key import FILE" in caught.value.hint
    assert f"key rotate {absent} --finish --to NEW" in caught.value.hint


def test_a_store_that_cannot_be_written_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentMissing, match="cannot be written") as caught:
        KeyStore(tmp_path / "file/keys").new("Ann Bee", "ann@bee.example")
    assert "keys_dir" in caught.value.hint


def test_a_repository_that_begins_with_a_key_that_ends_soon_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Keyring() as keyring:
        short = keyring.new_key("Ann Bee", "ann@bee.example", expires="10d")
        Repository.init(tmp_path / "srv", origin="Test", keyring=keyring, fingerprints=[short], sync=False)
    assert f"key {short} expires on" in caplog.text
    assert "nothing can be added" in caplog.text
    assert f"key rotate {short}" in caplog.text


def test_a_signature_by_an_expired_key_is_called_so() -> None:
    with Keyring() as keyring:
        short = keyring.new_key("Ann Bee", "ann@bee.example", expires="seconds=2")
        signed, public = keyring.clearsign(b"hello\n", [short]), keyring.export_public([short], armor=False)
        time.sleep(3)
    with pytest.raises(
        SigningError, match=f"no good signature, only one by the expired key {short}"
    ) as caught:
        verify(signed, keyring=public, what="x")
    assert f"key rotate {short} --finish --to NEW" in caught.value.hint
