# SPDX-License-Identifier: Apache-2.0
"""Envelopes are signed as DSSE says it, and verified by gpgv alone."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.dsse import Envelope, pae, sign, signers_of
from bigtop_builder.errors import InputError, SigningError
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.run import run

PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyring]:
    store = KeyStore(tmp_path_factory.mktemp("keys"))
    store.new("Ann Bee", "ann@bee.example")
    store.new("Cid Dee", "cid@dee.example")
    with store.open() as keyring:
        yield keyring


def test_what_is_signed_has_type_and_payload_with_their_lengths() -> None:
    assert pae(b"hello") == b"DSSEv1 28 application/vnd.in-toto+json 5 hello"


def fingerprints(keyring: Keyring) -> list[str]:
    return [key.fingerprint for key in keyring.keys()]  # noqa: SIM118  # it is no mapping


def test_every_key_has_a_signature_of_its_own(keyring: Keyring) -> None:
    keys = fingerprints(keyring)
    envelope = sign(PAYLOAD, keyring, keys)
    assert envelope.content == PAYLOAD
    assert [one.keyid for one in envelope.signatures] == keys
    public = keyring.export_public(keys, armor=False)
    assert signers_of(envelope, public=public, what="it") == tuple(keys)


def test_the_file_has_the_names_that_dsse_gives(keyring: Keyring) -> None:
    said = json.loads(sign(PAYLOAD, keyring, [fingerprints(keyring)[0]]).to_json())
    assert [*said] == ["payloadType", "payload", "signatures"]
    assert said["payloadType"] == "application/vnd.in-toto+json"
    assert base64.b64decode(said["payload"]) == PAYLOAD


def test_gpgv_verifies_it_as_the_manual_says(keyring: Keyring, tmp_path: Path) -> None:
    key = fingerprints(keyring)[0]
    said = json.loads(sign(PAYLOAD, keyring, [key]).to_json())
    statement = base64.b64decode(said["payload"])
    encoded = f"DSSEv1 28 application/vnd.in-toto+json {len(statement)} ".encode() + statement
    (tmp_path / "pae").write_bytes(encoded)
    (tmp_path / "sig").write_bytes(base64.b64decode(said["signatures"][0]["sig"]))
    (tmp_path / "keys.gpg").write_bytes(keyring.export_public([key], armor=False))
    argv = ["gpgv", "--keyring", tmp_path / "keys.gpg", tmp_path / "sig", tmp_path / "pae"]
    assert "Good signature" in run(argv, env={"LC_ALL": "C"}).complaint
    (tmp_path / "pae").write_bytes(encoded.replace(b"v1", b"v2"))
    assert run(argv, check=False).returncode != 0


def test_another_payload_is_refused(keyring: Keyring) -> None:
    key = fingerprints(keyring)[0]
    envelope = sign(PAYLOAD, keyring, [key])
    other = envelope.model_copy(update={"payload": base64.b64encode(b"{}").decode()})
    with pytest.raises(SigningError):
        signers_of(other, public=keyring.export_public([key], armor=False), what="it")


def test_another_key_is_no_signer(keyring: Keyring) -> None:
    one, other = fingerprints(keyring)
    with pytest.raises(SigningError, match="no good signature"):
        signers_of(
            sign(PAYLOAD, keyring, [one]), public=keyring.export_public([other], armor=False), what="it"
        )


def test_an_envelope_of_rubbish_is_refused(keyring: Keyring) -> None:
    said = json.loads(sign(PAYLOAD, keyring, [fingerprints(keyring)[0]]).to_json())
    for field in ("payload", "sig"):
        bad = json.loads(json.dumps(said))
        (bad if field == "payload" else bad["signatures"][0])[field] = "no base64!"
        envelope = Envelope.from_json(json.dumps(bad), source="it")
        with pytest.raises(SigningError, match=r"no good signature|base64"):
            signers_of(envelope, public=b"", what="it")
    with pytest.raises(InputError):
        Envelope.from_json(json.dumps(said | {"payloadType": "text/plain"}), source="it")
