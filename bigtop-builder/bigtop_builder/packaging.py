# SPDX-License-Identifier: Apache-2.0
"""Where things lie in a Bigtop tree."""

from typing import Final

BOM: Final = "bigtop.bom"
"""The bill of materials."""
PACKAGES_SCRIPT: Final = "packages.gradle"
"""The Gradle script that makes the packages."""
PACKAGING: Final = "bigtop-packages/src"
"""Folder of all packaging."""


def folders_of(component: str) -> tuple[str, str]:
    """The folders of a component's packaging for Debian: what all kinds of packages share, and Debian's own."""
    return f"{PACKAGING}/common/{component}", f"{PACKAGING}/deb/{component}"
