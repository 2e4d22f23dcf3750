# SPDX-License-Identifier: Apache-2.0
"""`upstream`: a patch on its way to the project that it is to, and back."""

import click

from bigtop_builder.cli.lazy import LazyGroup

VERBS = {
    "prepare": ("upstream_prepare", "Show what upstream would get of patches; nothing is sent."),
    "submit": ("upstream_submit", "Push a branch and open or update the pull request; --yes sends."),
    "status": ("upstream_status", "Show where each patch stands upstream, and what to do next."),
    "sync": ("upstream_sync", "Look up what became of patches upstream, and write it into patch.toml."),
}
"""Verb -> module of this package, and its help in one line."""


@click.group(cls=LazyGroup, verbs=VERBS)
def upstream() -> None:
    """Patches on their way upstream: where each stands, until a release has it."""
