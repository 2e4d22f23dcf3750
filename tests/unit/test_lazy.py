# SPDX-License-Identifier: Apache-2.0
"""Groups that import their commands when they are called."""

import sys

import click
import pytest

from bigtop_builder.cli import COMMANDS, cli
from bigtop_builder.cli.fleet import VERBS as FLEET_VERBS
from bigtop_builder.cli.fleet import fleet
from bigtop_builder.cli.lazy import LazyGroup
from bigtop_builder.cli.patch import VERBS as PATCH_VERBS
from bigtop_builder.cli.patch import patch
from bigtop_builder.cli.repo import VERBS, repo
from bigtop_builder.run import run


@pytest.mark.parametrize(
    ("group", "verbs"),
    [(cli, COMMANDS), (repo, VERBS), (patch, PATCH_VERBS), (fleet, FLEET_VERBS)],
    ids=["tool", "repo", "patch", "fleet"],
)
def test_every_verb_that_help_lists_is_there_under_its_name(
    group: LazyGroup, verbs: dict[str, tuple[str, str]]
) -> None:
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in verbs}
    assert [name for name, command in found.items() if command is None or command.name != name] == []


def test_the_help_of_a_group_imports_none_of_its_verbs() -> None:
    ask = "import sys; from bigtop_builder.cli import cli; cli(['patch', '--help'], standalone_mode=False); "
    told = run([sys.executable, "-c", f"{ask}print([m for m in sys.modules if 'cli.patch_' in m])"]).text
    assert all(f"  {verb} " in told for verb in PATCH_VERBS)
    assert told.endswith("[]")


def test_a_misspelt_verb_is_answered_with_the_nearest() -> None:
    with pytest.raises(click.UsageError, match="did you mean rollback"):
        repo.main(["rolback"], standalone_mode=False)
