# SPDX-License-Identifier: Apache-2.0
"""What gpg says of a key."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from bigtop_builder.errors import SigningError

UNUSABLE = frozenset("erind")
"""Validities of a key that cannot sign: expired, revoked, invalid, not valid, disabled (gnupg's doc/DETAILS,
field 2)."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """One key of a keyring.

    Attributes:
        fingerprint: Of the primary key, 40 digits.
        user: `Name <email>`.
        created: When its newest part that signs was made, UTC.
        expires: When its signatures stop being accepted, UTC: the end of the primary key, or the last day of
            any part of it that can sign, what comes first; None for never.
        secret: A secret part that signs is here.
        usable: It, or a subkey of it, can sign today: neither expired nor revoked.
        algorithm: Of the primary key, in gpg's number (RFC 4880, 9.1): 1 is RSA, 22 EdDSA.
        signing: Fingerprints of the parts that sign today and are here, oldest first; in the rotation of a
            subkey there are two.
        taken: Fingerprints of the parts whose signatures hosts take today, whether their secret half is here or not.
        offline: Of the primary key only a stub is here: its secret half is in the safe.
        revoked: Its owner took it back.
    """

    fingerprint: str
    user: str
    created: datetime
    expires: datetime | None
    secret: bool
    usable: bool
    algorithm: int = 0
    signing: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    offline: bool = False
    revoked: bool = False


class ClockBehindError(SigningError):
    """A key was made later than this machine says it is: its clock is behind, and the key is whole."""

    def __init__(self, key: str, *, made: str, details: str = "") -> None:
        super().__init__(
            f"the clock of this machine is behind: it says {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, and {key} was "
            f"made {made}",
            details=details,
            hint="set the clock (timedatectl status shows it); the key is not damaged",
        )


def missing(fingerprint: str, *, where: str = "") -> SigningError:
    """The error that a key is not where it should be."""
    return SigningError(
        f"key {fingerprint} is not here{where}",
        hint=f"bigtop-builder key import FILE takes it in from a backup; if it is lost: {instead(fingerprint)}",
    )


def instead(fingerprint: str) -> str:
    """The way out where a key cannot sign any more, whether it signs a repository or was to sign a new one."""
    return (
        "sign with another key (bigtop-builder key new makes one); in a repository that this one signs already, "
        f"bigtop-builder key rotate {fingerprint} --finish --to NEW puts that in its place"
    )


def read_keys(listing: str) -> Iterator[Key]:
    """The keys of a colon listing (gnupg's doc/DETAILS)."""
    rows = [line.split(":") for line in listing.splitlines()]
    starts = [number for number, row in enumerate(rows) if row[0] == "pub"]
    for start, end in pairwise([*starts, len(rows)]):
        yield _key(rows[start:end])


def _key(group: list[list[str]]) -> Key:
    primary, numbers = group[0], [row[9] for row in group if row[0] == "fpr"]
    parts = [row for row in group if row[0] in {"pub", "sub"}]
    named = [(row, number) for row, number in zip(parts, numbers, strict=True) if "s" in row[11]]
    able = [(row, number) for row, number in named if row[1] not in UNUSABLE]
    ends = [_moment(row[6]) for row, _ in able or named]
    last = None if None in ends else max((end for end in ends if end), default=None)
    here = [(int(row[5]), number) for row, number in able if row[14] not in {"", "#"}]
    here.sort(key=lambda part: part[0])  # of two of one second, gpg lists the newer one last
    return Key(
        fingerprint=numbers[0],
        user=next((row[9] for row in group if row[0] == "uid"), ""),
        created=datetime.fromtimestamp(max(int(row[5]) for row, _ in named or [(primary, "")]), UTC),
        expires=min((end for end in (_moment(primary[6]), last) if end), default=None),
        secret=any(row[14] not in {"", "#"} for row, _ in named),
        usable=bool(able) and primary[1] not in UNUSABLE,
        algorithm=int(primary[3]),
        signing=tuple(number for _, number in here),
        taken=tuple(number for _, number in able),
        offline=primary[14] == "#",
        revoked=primary[1] == "r",
    )


def _moment(text: str) -> datetime | None:
    return datetime.fromtimestamp(int(text), UTC) if text else None


def require_usable(key: Key | None, fingerprint: str, *, lent: bool) -> Key:
    """A key that can sign.

    Args:
        key: The key; None if it is not here.
        fingerprint: Its fingerprint.
        lent: Its secret half is with somebody else, who signs.

    Raises:
        SigningError: It is missing, public only, expired or revoked, or no part of it can sign.
        ClockBehindError: It, or a subkey of it, is made only later, by this machine's clock.
    """
    if key is None:
        raise missing(fingerprint)
    if key.created > datetime.now(UTC):
        raise ClockBehindError(f"key {fingerprint}", made=f"on {key.created:%Y-%m-%d at %H:%M:%S}")
    if not key.usable:
        raise SigningError(
            _why_unusable(key),
            hint=instead(fingerprint),
        )
    if not key.secret and not lent:
        raise SigningError(
            f"of key {fingerprint} only the public half is here", hint="import the secret key and try again"
        )
    if not key.signing and not lent:
        raise SigningError(
            f"the part of key {fingerprint} that signs today is not here", hint="import it and try again"
        )
    return key


def _why_unusable(key: Key) -> str:
    if key.revoked:
        return f"key {key.fingerprint} is revoked"
    if key.expires is not None and key.expires <= datetime.now(UTC):
        return f"key {key.fingerprint} expired on {key.expires:%Y-%m-%d}"
    return f"no part of key {key.fingerprint} can sign"
