# SPDX-License-Identifier: Apache-2.0
"""`sbom`: which jars are in which packages."""

import click

from bigtop_builder.cli.lazy import LazyGroup

VERBS = {
    "diff": ("parts", "Say which jars came, went or changed their version."),
    "find": ("parts", "Find an artifact in all packages of a suite or snapshot."),
    "show": ("parts", "List the jars of a package, and how each is known."),
}
"""Verb -> module of this package, and its help in one line."""


@click.group(cls=LazyGroup, verbs=VERBS)
def sbom() -> None:
    """Which jars are in which packages: CycloneDX SBOMs, made with each release."""
