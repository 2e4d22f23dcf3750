# SPDX-License-Identifier: Apache-2.0
"""The guard of an upgrade: policy-rc.d."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .finding import Finding, error, note, unread
from .placing import Placing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .root import Root

GUARD = "/usr/sbin/policy-rc.d"
MARK = b"bigtop-builder guard"
"""Stands in the guard that `fleet sources` makes."""
ASIDE = f"{GUARD}.before-guard"
"""Where `guard-on` puts a policy-rc.d of the host's own."""


def guard(root: Root, expected: str) -> Iterator[Finding]:
    """How policy-rc.d stands, which keeps services from starting while packages are installed (invoke-rc.d(8))."""
    try:
        text, runs = root.read(GUARD), bool(root.mode(GUARD) & 0o111)
    except FileNotFoundError:
        text, runs = b"", False
    except OSError as failed:
        yield unread(GUARD, GUARD, failed)
        return
    ours = MARK in text
    on = ours or forbids(text)
    if on and expected == "off":
        way = "guard-off, which `fleet sources` has made" if ours else f"rm {GUARD}"
        yield error("guard", GUARD, detail="it is on: no package starts a service", way_out=way)
    elif expected == "on" and not (on and runs):
        why = "it is not executable" if on else "it is off"
        way = "guard-on, which `fleet sources` has made"
        way = f"guard-off, then {way}" if ours else way
        yield error("guard", GUARD, detail=f"{why}: packages start their services", way_out=way)
    elif text and not on:
        yield note("guard", GUARD, detail="the host has one of its own")
    if not ours and (root.has(ASIDE) or Placing(root).diversions.get(GUARD, ("", ""))[1] == ASIDE):
        detail = "guard-on or guard-off was broken off: here lies, or will lie, a policy of the host's own"
        yield error("guard", ASIDE, detail=detail, way_out="guard-off, which `fleet sources` has made")


def forbids(policy: bytes) -> bool:
    """Whether a policy-rc.d does nothing but to forbid: one that was made by hand for an upgrade."""
    lines = [re.sub(rb"(^|\s)#.*", b"", line).strip(b" \t\r;") for line in policy.split(b"\n")]
    *others, last = list(filter(None, lines)) or [b""]
    return last == b"exit 101" and not any(re.search(rb"\b(exit|exec|return)\b", line) for line in others)
