# SPDX-License-Identifier: Apache-2.0
"""`ci`: what pipelines ask for."""

import click

from bigtop_builder.cli.lazy import LazyGroup

VERBS = {"tags": ("ci_tags", "Releases that upstream has tagged, and no recipe is for.")}
"""Verb -> module of this package, and its help in one line."""


@click.group(cls=LazyGroup, verbs=VERBS)
def ci() -> None:
    """What pipelines ask for."""
