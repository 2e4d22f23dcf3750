# SPDX-License-Identifier: Apache-2.0
"""Signed envelopes: DSSE 1.0, as in-toto's tools read them, signed by OpenPGP keys as apt's Release is.

What is signed is not the payload but its pre-authentication encoding, so that nobody takes a signature on one kind of
payload for one on another. Each key has a signature of its own; its `keyid` is the fingerprint.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from bigtop_builder.errors import SigningError
from bigtop_builder.openpgp import Keyring, dearmored, verify
from bigtop_builder.schema import Fingerprint, Value

IN_TOTO = "application/vnd.in-toto+json"


class Signature(Value):
    """A signature by one key."""

    keyid: Fingerprint = Field(description="Fingerprint of the OpenPGP key")
    sig: str = Field(description="OpenPGP signature packets of the pre-authentication encoding, base64")


class Envelope(Value):
    """A signed payload."""

    payload_type: Literal["application/vnd.in-toto+json"] = Field(alias="payloadType")
    payload: str = Field(description="The in-toto statement, base64")
    signatures: tuple[Signature, ...] = Field(min_length=1)

    @property
    def content(self) -> bytes:
        """The payload's bytes.

        Raises:
            SigningError: They are no base64.
        """
        return _decoded(self.payload)


def sign(payload: bytes, keyring: Keyring, fingerprints: Sequence[str]) -> Envelope:
    """Sign an in-toto statement, with each key.

    Raises:
        SigningError: A key cannot sign.
    """
    text = pae(payload)
    return Envelope(
        payload_type=IN_TOTO,
        payload=base64.b64encode(payload).decode(),
        signatures=tuple(
            Signature(keyid=key, sig=base64.b64encode(dearmored(keyring.detach_sign(text, [key]))).decode())
            for key in fingerprints
        ),
    )


def signers_of(envelope: Envelope, *, public: bytes, what: str, expired: bool = False) -> tuple[str, ...]:
    """Verify an envelope.

    Args:
        envelope: The envelope.
        public: Public keys, binary.
        what: Name for the error.
        expired: Keys that have expired since count too.

    Returns:
        Fingerprints of the keys whose signatures are good.

    Raises:
        SigningError: No key of these has signed it, or a signature does not fit.
    """
    packets = b"".join(_decoded(one.sig) for one in envelope.signatures)
    return verify(pae(envelope.content), keyring=public, signature=packets, what=what, expired=expired).keys


def pae(payload: bytes) -> bytes:
    """What is signed: type and payload, each with its length (DSSE 1.0, protocol)."""
    return b"DSSEv1 %d %s %d %s" % (len(IN_TOTO), IN_TOTO.encode(), len(payload), payload)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise SigningError("what should be base64 in an envelope is none") from error
