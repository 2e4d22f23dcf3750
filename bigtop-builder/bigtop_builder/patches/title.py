# SPDX-License-Identifier: Apache-2.0
"""The title of a patch: a ticket and what it does."""

import re
from typing import Final

TICKET: Final = r"[A-Z][A-Z0-9]+-\d+"
"""How Jira names a ticket."""
NAMED: Final = re.compile(rf"\b(?!CVE-){TICKET}\b")
PREFIX: Final = re.compile(
    rf"^(?:\[[A-Za-z][A-Za-z0-9]*-\d+\]\s*|{TICKET}[.:]?\s+)+(?:\[[A-Z][A-Z0-9, -]*\]\s*)*"
)


def without_ticket(subject: str) -> str:
    """A subject without the tickets and components that it begins with."""
    return PREFIX.sub("", subject)


def ticket_in(subject: str) -> str:
    """The first ticket that a subject names; empty if it names none."""
    found = NAMED.search(subject)
    return found[0] if found else ""
