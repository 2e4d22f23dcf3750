# SPDX-License-Identifier: Apache-2.0
"""Where things lie in a Bigtop tree."""

from typing import Final

BOM: Final = "bigtop.bom"
"""The bill of materials."""
PACKAGES_SCRIPT: Final = "packages.gradle"
"""The Gradle script that makes the packages."""
PACKAGING: Final = "bigtop-packages/src"
"""Folder of all packaging."""
KINDS: Final = ("common", "deb", "rpm", "charm")
"""Folders in it that have one for each component."""


def owner_of(path: str) -> str:
    """Component whose packaging a path is in, for whatever system; empty if it is in none's."""
    kind, _, rest = path.removeprefix(f"{PACKAGING}/").partition("/")
    owner, _, inner = rest.partition("/")
    return owner if inner and kind in KINDS and path.startswith(f"{PACKAGING}/") else ""


def folders_of(component: str) -> tuple[str, str]:
    """The folders of a component's packaging for Debian: what all kinds of packages share, and Debian's own."""
    return f"{PACKAGING}/common/{component}", f"{PACKAGING}/deb/{component}"
