# SPDX-License-Identifier: Apache-2.0
"""Whether keys last as long as what they sign."""

from datetime import UTC, datetime, timedelta

import pytest

from bigtop_builder.errors import SigningError
from bigtop_builder.openpgp import Key
from bigtop_builder.repository.key_expiry import require_lasting

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def key(days: float | None) -> Key:
    expires = None if days is None else NOW + timedelta(days=days)
    return Key(fingerprint="A" * 40, user="Ann", created=NOW, expires=expires, secret=True, usable=True)


@pytest.mark.parametrize(
    ("days", "valid_days", "refused"),
    [
        ([None], None, ""),
        ([31], None, ""),
        ([29], None, "within 30 days"),
        ([60], 90, "before Valid-Until"),
        ([91], 90, ""),
        ([10], 5, "within 30 days"),
        ([5, 400], 90, ""),
        ([5, 6], None, "expires on 2026-01-08, within 30 days"),
    ],
)
def test_a_key_must_last_and_of_several_the_one_that_lasts_longest_decides(
    days: list[float | None], valid_days: int | None, refused: str
) -> None:
    def check() -> None:
        require_lasting([key(one) for one in days], now=NOW, valid_days=valid_days)

    if refused:
        with pytest.raises(SigningError, match=refused):
            check()
    else:
        check()
