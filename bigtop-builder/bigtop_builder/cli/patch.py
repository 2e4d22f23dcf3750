# SPDX-License-Identifier: Apache-2.0
"""`patch`: the queue of local patches, from a changed work tree to the release that has it upstream."""

import click

from bigtop_builder.cli.patch_edit import edit_, export_, refresh_
from bigtop_builder.cli.patch_import import import_, new_
from bigtop_builder.cli.patch_lint import lint
from bigtop_builder.cli.patch_rebase import drop_, rebase_
from bigtop_builder.cli.patch_status import status


@click.group()
def patch() -> None:
    """The patch queue: every patch has one home and a provable state on every release."""


for command in (new_, import_, edit_, export_, refresh_, rebase_, status, lint, drop_):
    patch.add_command(command)
