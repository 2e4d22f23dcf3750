# SPDX-License-Identifier: Apache-2.0
"""A clear-signed text is read in one way only, by real gpg, by gpgv and by us."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bigtop_builder.errors import SigningError
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring, canonical, unverified_text, verify
from bigtop_builder.openpgp.armor import _crc24, join_clear
from bigtop_builder.run import run

TEXT = b"Origin: Ours\nX-Snapshot: good\n"
SIGNATURE = b"-----BEGIN PGP SIGNATURE-----\n"

Signer = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyring]:
    store = KeyStore(tmp_path_factory.mktemp("keys"))
    store.new("Ann Bee", "ann@bee.example")
    with store.open() as keyring:
        yield keyring


@pytest.fixture(scope="module")
def key(keyring: Keyring) -> str:
    return keyring.keys()[0].fingerprint


@pytest.fixture
def sign(keyring: Keyring, key: str) -> Signer:
    return lambda text: keyring.clearsign(text, [key])


@pytest.fixture(scope="module")
def public(keyring: Keyring, key: str) -> bytes:
    return keyring.export_public([key], armor=False)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        b"Description: see -----BEGIN PGP SIGNATURE----- there\n",
        b"-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n",
        b"-----BEGIN PGP SIGNED MESSAGE-----\n\n- dash\n-\nFrom me\n",
        b"blanks \t\n\n at ends of lines \nand none at the end",
        b"",
    ],
)
def test_any_text_comes_back_as_it_was_signed(
    text: bytes, sign: Signer, keyring: Keyring, public: bytes, tmp_path: Path
) -> None:
    signed = sign(text)
    joined = join_clear([signed, signed])
    for one in (signed, joined, signed.replace(b"\n", b"\r\n")):
        assert verify(one, keyring=public, what="x").text == canonical(text)
        assert unverified_text(one) == canonical(text)
    (tmp_path / "signed").write_bytes(joined)
    argv = ["gpg", "--homedir", keyring.home, "--batch", "--output", "-", "--verify", tmp_path / "signed"]
    assert canonical(run(argv).stdout) == canonical(text)


def parts(signed: bytes) -> tuple[bytes, bytes, bytes]:
    head, _, rest = signed.partition(b"\n\n")
    body, _, signature = rest.partition(SIGNATURE)
    return head, body, signature


def forged(signed: bytes) -> dict[str, bytes]:
    head, body, signature = parts(signed)
    lie = body.replace(b"good", b"evil")
    fake = head + b"\n\n" + lie + SIGNATURE
    blank = {name: head + line + body + SIGNATURE for name, line in {"a": b"\n \n", "b": b"\n\t\n"}.items()}
    return {
        "a line of blanks ends both heads, and a lie follows": blank["a"]
        + b" \n"
        + signature.lstrip()
        + b"\n"
        + lie,
        "the same with tabs": blank["b"] + b"\t\n" + signature.lstrip() + b"\n" + lie,
        "the same, with the end of a signature": blank["a"]
        + b" \n"
        + signature.lstrip()
        + b"\n"
        + lie
        + SIGNATURE
        + signature,
        "a line of blanks ends the head of the text": head + b"\n \n" + body + SIGNATURE + signature,
        "a line of blanks ends the head of the signature": head
        + b"\n\n"
        + body
        + SIGNATURE
        + b" \n"
        + signature.lstrip(),
        "a lie before": fake + b"\n-----END PGP SIGNATURE-----\n" + signed,
        "a lie before that never ends": head + b"\n\n" + lie + signed,
        "a line before": b"Origin: Evil\n" + signed,
        "an empty line before": b"\n" + signed,
        "a lie after": signed + lie,
        "a second signed text after": signed + signed,
        "another field in the head": signed.replace(b"Hash: ", b"X-Snapshot: evil\nHash: ", 1),
        "blanks after the first line": signed.replace(b"MESSAGE-----", b"MESSAGE----- ", 1),
        "a line that nearly ends the text": signed.replace(
            body, b"-----BEGIN PGP SIGNATURE----- \n" + body, 1
        ),
        "cut off": signed[:-20],
    }


@pytest.mark.parametrize("kind", forged(b"\n\n" + SIGNATURE))
def test_what_could_be_read_in_two_ways_is_not_read_at_all(kind: str, sign: Signer, public: bytes) -> None:
    text = forged(sign(TEXT))[kind]
    with pytest.raises(SigningError, match="x has no good signature"):
        verify(text, keyring=public, what="x")
    with pytest.raises(SigningError, match="what should be a clear-signed text"):
        unverified_text(text)


def test_what_we_would_read_otherwise_than_gpgv_is_not_believed(
    sign: Signer, public: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if our own reading of the frame let one of these pass."""
    signed = sign(TEXT)
    monkeypatch.setattr("bigtop_builder.openpgp.gpgv.unverified_text", lambda _: canonical(TEXT))
    passed = 0
    for text in forged(signed).values():
        try:
            said = verify(text, keyring=public, what="x").text
        except SigningError:
            continue
        passed += 1
        assert said == canonical(TEXT)
    assert passed, "gpgv itself takes some of them"
    monkeypatch.setattr("bigtop_builder.openpgp.gpgv.unverified_text", lambda _: b"X-Snapshot: evil")
    for text in (signed, *forged(signed).values()):
        with pytest.raises(SigningError, match="x has no good signature"):
            verify(text, keyring=public, what="x")


def test_a_whole_signed_message_is_no_signature(
    sign: Signer, keyring: Keyring, key: str, public: bytes
) -> None:
    """What a key has signed stands in the block, with its signature; the text before it is somebody else's."""
    message = run(
        ["gpg", "--homedir", keyring.home, "--batch", "--local-user", key, "--compress-level", "0", "--sign"],
        stdin=TEXT,
    ).stdout
    lie = TEXT.replace(b"good", b"evil")
    with pytest.raises(SigningError, match="x has no good signature"):
        verify(lie, signature=message, keyring=public, what="x")
    armored = base64.encodebytes(message) + b"=" + base64.b64encode(_crc24(message).to_bytes(3, "big"))
    text = (
        parts(sign(TEXT))[0]
        + b"\n\n"
        + lie
        + SIGNATURE
        + b"\n"
        + armored
        + b"\n-----END PGP SIGNATURE-----\n"
    )
    assert unverified_text(text) == canonical(lie)
    with pytest.raises(SigningError, match="x has no good signature"):
        verify(text, keyring=public, what="x")
