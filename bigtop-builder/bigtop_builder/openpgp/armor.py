# SPDX-License-Identifier: Apache-2.0
"""Armored signatures and clear-signed texts (RFC 4880, 6 and 7).

Those of several signers are put into one block, because apt reads one, not several. A clear-signed text is one only
if no two programs can read it in two ways: nothing stands before or after it, and no line that ends a part of it is
nearly one. gpgv is less strict: it takes a line of blanks for an empty one.
"""

import base64
import binascii
import re
from collections.abc import Sequence

from bigtop_builder.errors import SigningError

CLEAR = b"-----BEGIN PGP SIGNED MESSAGE-----"
BEGIN = b"-----BEGIN PGP SIGNATURE-----"
END = b"-----END PGP SIGNATURE-----"
BLOCK = re.compile(
    BEGIN
    + rb"\r?\n(?:[A-Za-z-]+: [^\r\n]*\r?\n)*\r?\n([A-Za-z0-9+/=\s]*?)(?:\n=[A-Za-z0-9+/]{4}\s*)?\r?\n"
    + END
)
HASH = re.compile(rb"^Hash: ([A-Za-z0-9, -]+)$")
WIDTH = 64


def join(signatures: Sequence[bytes]) -> bytes:
    """One armored block with all signatures of the given ones, detached or clear-signed.

    Raises:
        SigningError: One of them is no armored signature.
    """
    packets = b"".join(map(_packets, signatures))
    text = base64.b64encode(packets)
    lines = [text[at : at + WIDTH] for at in range(0, len(text), WIDTH)]
    checksum = base64.b64encode(_crc24(packets).to_bytes(3, "big"))
    return b"\n".join([BEGIN, b"", *lines, b"=" + checksum, END, b""])


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


def unverified_text(signed: bytes) -> bytes:
    """What a clear-signed text says, as `canonical` gives it, whoever signed it: `verify` is for what is believed.

    Raises:
        SigningError: It is no clear-signed text, or there is something before or after it.
    """
    lines = _clear(signed)[1].split(b"\n")
    return canonical(b"\n".join(line.removeprefix(b"- ") for line in lines))


def canonical(text: bytes) -> bytes:
    """A text as a clear signature sees it: neither white space at the ends of lines nor empty lines at its end."""
    return b"\n".join(line.rstrip(b" \t\r") for line in text.split(b"\n")).rstrip(b"\n")


def _clear(text: bytes) -> tuple[bytes, bytes]:
    """Names of the hashes, and the text up to the signature, dash-escaped."""
    head, _, rest = text.replace(b"\r\n", b"\n").partition(b"\n\n")
    body, _, signature = (b"\n" + rest).partition(b"\n" + BEGIN + b"\n")
    first, *headers = head.split(b"\n")
    names = [match[1] for header in headers if (match := HASH.match(header))]
    block = BEGIN + b"\n" + signature.rstrip(b"\n")
    # A dash at the beginning of a line is escaped (7.1), or the line would end the text for some.
    escaped = all(line[:1] != b"-" or line[:2] == b"- " for line in body.split(b"\n"))
    if first != CLEAR or len(names) != len(headers) or not escaped or not BLOCK.fullmatch(block):
        raise SigningError("what should be a clear-signed text, with nothing around it, is none")
    return b",".join(names) or b"MD5", body[1:] + b"\n"


def _packets(signature: bytes) -> bytes:
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
