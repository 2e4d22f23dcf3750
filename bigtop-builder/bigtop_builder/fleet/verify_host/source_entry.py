# SPDX-License-Identifier: Apache-2.0
"""Sources of apt: whose signature counts there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from .finding import Finding, error, unread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .release import Release


def weak(entry: str, release: Release) -> Iterator[Finding]:
    """A source for which more than the repository's keys may sign (sources.list(5)).

    Args:
        entry: Its file and, after a colon, its line, or the number of its paragraph.
        release: The manifest.
    """
    path, _, number = entry.rpartition(":")
    if not number.isdigit():
        return
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as failed:
        yield unread("apt", path, failed)
        return
    said = source_options(text, int(number) - 1, paragraphs=path.endswith(".sources"))
    if re.search(r"^trusted[:=]\s*(yes|true|with|on|enable|1)$", said, re.MULTILINE):
        detail = f"{path} says `trusted`: apt takes what nobody has signed"
        yield error("origin", "apt", detail=detail, way_out=f"take that out of {path}, then apt-get update")
    if not re.search(r"^signed-by[:=]", said, re.MULTILINE):
        detail = f"{path} has no Signed-By: every key that apt trusts may sign for {release.origin}"
        yield error("origin", "apt", detail=detail, way_out=f"Signed-By: {release.keyring} in {path}")


def source_options(text: str, number: int, *, paragraphs: bool) -> str:
    """Options of a source, a line each in small letters: `name=value`, or `name: value` where it is a paragraph."""
    if paragraphs:
        lines = re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE).lower()
        every = [one.strip("\n") for one in re.split(r"\n\s*\n", lines) if one.strip()]
    else:
        every = [re.sub(r"[^\[]*(\[([^\]]*)\])?.*", r"\2", line).strip() for line in text.lower().split("\n")]
        every = [re.sub(r"\s+", "\n", one) for one in every]
    return "\n".join(line.rstrip() for line in every[number].split("\n")) if number < len(every) else ""
