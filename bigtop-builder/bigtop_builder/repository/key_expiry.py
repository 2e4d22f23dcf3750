# SPDX-License-Identifier: Apache-2.0
"""Whether keys last as long as what they sign."""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from bigtop_builder.errors import SigningError
from bigtop_builder.openpgp import Key, Keyring
from bigtop_builder.openpgp.key import instead

log = logging.getLogger(__name__)

LASTING = timedelta(days=30)
"""How long a key must sign yet: time to make another one and to bring it to all hosts."""


def require_lasting(keys: Sequence[Key], *, now: datetime, valid_days: int | None) -> None:
    """See that what is signed now can be read as long as it is meant to be.

    The key that lasts longest decides, for hosts take a Release that one of them signed; in a rotation the old
    one may be about to expire.

    Args:
        keys: Keys that sign.
        now: The time, UTC.
        valid_days: Days until Valid-Until; None if there is none.

    Raises:
        SigningError: All keys expire before Valid-Until, or within 30 days.
    """
    until = now + max(LASTING, timedelta(days=valid_days or 0))
    ending = [(key.expires, key.fingerprint) for key in keys if key.expires and key.expires < until]
    for expires, fingerprint in ending:
        log.warning("key %s expires on %s", fingerprint, f"{expires:%Y-%m-%d}")
    if len(ending) < len(keys):
        return
    expires, fingerprint = max(ending)
    reason = "before Valid-Until" if valid_days and expires < now + timedelta(days=valid_days) else ""
    said = (
        f"expired on {expires:%Y-%m-%d}"
        if expires <= now
        else f"expires on {expires:%Y-%m-%d}, {reason or f'within {LASTING.days} days'}"
    )
    raise SigningError(f"key {fingerprint} {said}", hint=following(fingerprint, expires, now))


def following(fingerprint: str, expires: datetime, now: datetime) -> str:
    """What makes another key follow one that ends, or has ended."""
    if expires <= now:
        return instead(fingerprint)
    return (
        f"bigtop-builder key rotate {fingerprint} puts a new key beside it; "
        "bring its keyring package to all hosts"
    )


def ending_keys(public: bytes, now: datetime) -> Iterator[str]:
    """Keys that hosts will soon accept no more."""
    with Keyring() as keyring:
        if public:
            keyring.import_key(public)
        for key in keyring.keys():  # noqa: SIM118  # it is no mapping
            if key.expires and key.expires < now + LASTING:
                ends = "expired" if key.expires <= now else "expires"
                yield (
                    f"key {key.fingerprint} {ends} on {key.expires:%Y-%m-%d}: "
                    f"{following(key.fingerprint, key.expires, now)}"
                )


def all_expired(public: bytes, now: datetime) -> bool:
    """Whether no key signs any more: `ending_keys` has the way out, and a refresh is none."""
    with Keyring() as keyring:
        if public:
            keyring.import_key(public)
        keys = keyring.keys()
        return bool(keys) and all(key.expires and key.expires <= now for key in keys)
