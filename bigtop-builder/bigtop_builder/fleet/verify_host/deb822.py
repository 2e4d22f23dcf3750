# SPDX-License-Identifier: Apache-2.0
"""Paragraphs of fields, which dpkg and apt write."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def stanzas(text: str, wanted: Iterable[str]) -> Iterator[dict[str, str]]:
    """Paragraphs of fields, those that are wanted; a value's further lines follow its first (deb822(5))."""
    keep = frozenset(wanted)
    for block in text.split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in block.split("\n"):
            if line[:1] in {" ", "\t"}:
                if name in keep:
                    fields[name] += f"\n{line}"
            else:
                name, _, value = line.partition(":")
                if name in keep:
                    fields[name] = value.strip()
        if fields:
            yield fields
