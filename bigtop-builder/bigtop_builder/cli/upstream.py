# SPDX-License-Identifier: Apache-2.0
"""`upstream`: from a local patch to a pull request."""

import click

from bigtop_builder.cli.lazy import LazyGroup

VERBS = {
    "prepare": ("upstream_prepare", "Show what upstream would get of patches; nothing is sent."),
    "submit": ("upstream_submit", "Push a branch and open or update the pull request; --yes sends."),
}
"""Verb -> module of this package, and its help in one line."""


@click.group(cls=LazyGroup, verbs=VERBS)
def upstream() -> None:
    """Handing patches over to the projects that they are to."""
