# SPDX-License-Identifier: Apache-2.0
"""Signatures of several signers put into one block (RFC 4880, 6 and 7): apt reads one block, not several."""

import base64
import binascii
import re
from collections.abc import Sequence

from bigtop_builder.errors import SigningError

BLOCK = re.compile(
    rb"-----BEGIN PGP SIGNATURE-----\r?\n(?:[^\r\n]+\r?\n)*\r?\n([A-Za-z0-9+/=\s]*?)(?:\n=[A-Za-z0-9+/]{4}\s*)?"
    rb"\r?\n-----END PGP SIGNATURE-----"
)
CLEAR = b"-----BEGIN PGP SIGNED MESSAGE-----"
HASH = re.compile(rb"^Hash: (.+)$")
WIDTH = 64


def join(signatures: Sequence[bytes]) -> bytes:
    """One armored block with all signatures of the given ones, detached or clear-signed.

    Raises:
        SigningError: One of them is no armored signature.
    """
    packets = b"".join(map(dearmored, signatures))
    text = base64.b64encode(packets)
    lines = [text[at : at + WIDTH] for at in range(0, len(text), WIDTH)]
    checksum = base64.b64encode(_crc24(packets).to_bytes(3, "big"))
    return b"\n".join(
        [b"-----BEGIN PGP SIGNATURE-----", b"", *lines, b"=" + checksum, b"-----END PGP SIGNATURE-----", b""]
    )


def join_clear(texts: Sequence[bytes]) -> bytes:
    """One clear-signed text with all signatures of the given ones, which must be of the same text.

    Raises:
        SigningError: One of them is no clear-signed text, or of another text.
    """
    heads, bodies = zip(*map(_clear, texts), strict=True)
    if len(set(bodies)) != 1:
        raise SigningError("the signers did not sign the same text")
    hashes = dict.fromkeys(name.strip() for head in heads for name in head.split(b","))
    return b"%s\nHash: %s\n\n%s%s" % (CLEAR, b", ".join(hashes), bodies[0], join(texts))


def signed_text(text: bytes) -> bytes:
    """What a clear-signed text says, dashes unescaped (RFC 4880, 7.1); the last line end is not part of it.

    Raises:
        SigningError: It is no clear-signed text.
    """
    lines = _clear(text)[1].split(b"\n")
    return b"\n".join(line.removeprefix(b"- ") for line in lines)[:-1]


def _clear(text: bytes) -> tuple[bytes, bytes]:
    """Names of the hashes, and the text up to the signature, dash-escaped."""
    head, _, rest = text.replace(b"\r\n", b"\n").partition(b"\n\n")
    body, found, _ = rest.partition(b"-----BEGIN PGP SIGNATURE-----")
    first, *headers = head.split(b"\n")
    names = [match[1] for header in headers if (match := HASH.match(header))]
    if first != CLEAR or not found or len(names) != len(headers):
        raise SigningError("what should be a clear-signed text is none")
    return b",".join(names) or b"MD5", body


def dearmored(signature: bytes) -> bytes:
    """The packets of an armored signature, binary.

    Raises:
        SigningError: It is none.
    """
    blocks = BLOCK.findall(signature)
    try:
        (block,) = blocks
        return base64.b64decode(b"".join(block.split()), validate=True)
    except (ValueError, binascii.Error) as error:
        raise SigningError("what should be an armored signature is none") from error


def _crc24(data: bytes) -> int:
    """The armor's checksum (RFC 4880, 6.1)."""
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = (crc << 1) ^ (0x1864CFB if crc & 0x800000 else 0)
        crc &= 0xFFFFFF
    return crc
