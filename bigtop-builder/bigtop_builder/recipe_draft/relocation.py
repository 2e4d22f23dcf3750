# SPDX-License-Identifier: Apache-2.0
"""A recipe in another folder: the paths in it that are relative to it."""

from collections.abc import Callable
from typing import Any

import tomlkit

from bigtop_builder.mirror import is_path


def relocated(text: str, moved: Callable[[str], str]) -> str:
    """The text of a recipe with each path that is relative to it changed.

    Args:
        text: The recipe.
        moved: Path -> new path.
    """
    document: Any = tomlkit.parse(text)
    tables = [
        document["bigtop"],
        *(one for part in document["components"] for one in part.get("sources", ())),
    ]
    changed = False
    for table in tables:
        for key in ("repository", "file", "keys"):
            value = table.get(key, "")
            if value and is_path(value) and moved(value) != value:
                table[key] = moved(value)
                changed = True
    return tomlkit.dumps(document) if changed else text
