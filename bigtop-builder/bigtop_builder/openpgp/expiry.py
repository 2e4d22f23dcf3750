# SPDX-License-Identifier: Apache-2.0
"""When a new key may end."""

import re
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Final

from bigtop_builder.errors import InputError

PERIOD: Final = re.compile(r"([1-9][0-9]{0,4})([dwmy])")
DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
DAYS: Final = {"d": 1, "w": 7, "m": 30, "y": 365}
LONGEST: Final = 50 * 365
"""Days that a key may live: OpenPGP counts 136 years of seconds from 1970 on (RFC 4880, 3.5)."""


def check_expiry(text: str) -> None:
    """Raise unless a new key may end then.

    Raises:
        InputError: It is none of the forms, a day that is over, or too far ahead.
    """
    today = datetime.now(UTC).date()
    days = 0
    if period := PERIOD.fullmatch(text):
        days = int(period[1]) * DAYS[period[2]]
    elif DAY.fullmatch(text):
        with suppress(ValueError):  # there is no 31 February
            days = (date.fromisoformat(text) - today).days
    if text != "never" and not 0 < days <= LONGEST:
        raise InputError(
            f"{text!r} is no time at which a key can expire",
            hint=f"90d, 6w, 18m, 2y, a day to come as {today.year + 2}-01-31, or never; at most 50 years",
        )
