# SPDX-License-Identifier: Apache-2.0
"""`patch`: the queue of local patches, from a changed work tree to the release that has it upstream."""

import click

from bigtop_builder.cli.lazy import LazyGroup

VERBS = {
    "drop": ("patch_rebase", "Take a patch out of a release that has it upstream."),
    "edit": ("patch_edit", "Make a git work tree of a release's patches to one target."),
    "export": ("patch_edit", "Write the commits of such a work tree back into the queue."),
    "import": ("patch_import", "Bring in patches from files, a git range, a quilt series or another queue."),
    "lint": ("patch_lint", "Say what is wrong with patches, by file and line."),
    "new": ("patch_import", "Make a patch of the changes in a work tree."),
    "rebase": ("patch_rebase", "Carry a release's patches over to another one, and report each."),
    "refresh": ("patch_edit", "Write patches anew where hunks have moved or the form is not the queue's."),
    "status": ("patch_status", "Show what each patch is on each release."),
}
"""Verb -> module of this package, and its help in one line."""


@click.group(cls=LazyGroup, verbs=VERBS)
def patch() -> None:
    """The patch queue: every patch has one home and a provable state on every release."""
