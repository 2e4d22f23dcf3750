# SPDX-License-Identifier: Apache-2.0
"""Which inputs of a build differ from those of the build before, in words."""

import re
from collections.abc import Mapping

from bigtop_builder.inputs import Parts

TOLD = 3
"""Changed parts of an input that are named."""
HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def changes(
    inputs: Mapping[str, str],
    before: Mapping[str, str],
    parts: Parts | None = None,
    parts_before: Parts | None = None,
) -> list[str]:
    """Names of the inputs that differ, with what became of them, and which of their parts if that is known."""
    words = []
    for name in sorted(inputs.keys() | before.keys()):
        if name not in before:
            words.append(f"{name} is new")
        elif name not in inputs:
            words.append(f"{name} is gone")
        elif inputs[name] != before[name]:
            which = _which((parts or {}).get(name, {}), (parts_before or {}).get(name, {}))
            words.append(f"{name} changed{which}")
    return words


def causes(
    inputs: Mapping[str, str], before: Mapping[str, str], parts: Parts, parts_before: Parts
) -> list[str]:
    """What changed, without the packaging if a local patch did and Bigtop's commit did not.

    A component's patches lie in its packaging, which therefore changes with each of them. What is not told is a
    change to `omit_patches` or `exclude` in the recipe that came with a patch.
    """
    changed = changes(inputs, before, parts, parts_before)
    patched = any(word.startswith("patch ") for word in changed) and "commit time changed" not in changed
    return [word for word in changed if not (patched and word.startswith("packaging changed"))]


def _which(now: Mapping[str, str], before: Mapping[str, str]) -> str:
    """Which parts differ, in brackets; nothing if that is not known."""
    words = []
    for part in sorted(now.keys() | before.keys()) if now and before else ():
        old, new = before.get(part), now.get(part)
        if old is None:
            words.append(f"{part} is new")
        elif new is None:
            words.append(f"{part} is gone")
        elif old != new:
            words.append(part if HASH.fullmatch(new) else f"{part}: {old!r} became {new!r}")
    more = [f"{len(words) - TOLD} more"] if len(words) > TOLD else []
    return f" ({', '.join([*words[:TOLD], *more])})" if words else ""
