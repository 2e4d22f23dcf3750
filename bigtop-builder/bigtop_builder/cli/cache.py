# SPDX-License-Identifier: Apache-2.0
"""`cache gc`: build results on this machine."""

import time

import click

from bigtop_builder.cli.context import answer, json_option, setting_up
from bigtop_builder.local_results import LocalResults
from bigtop_builder.lock import Lock
from bigtop_builder.workspace import Workspace

DAY = 86400.0


@click.group()
def cache() -> None:
    """Build results on this machine."""


@cache.command(epilog="Example: bigtop-builder cache gc --days 90 --dry-run")
@click.option(
    "--days",
    type=click.IntRange(0),
    default=30,
    show_default=True,
    help="Keep what was built or used within so many days, for whichever project.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@json_option
@click.pass_context
def gc(context: click.Context, days: int, *, dry_run: bool, as_json: bool) -> None:
    """Remove results that no lock of this project names, and that were not used of late.

    What machines share (`shared_cache` in the settings) stays: a bucket's lifecycle rule, or find(1) on a folder,
    trims that. A result of which something is missing is built again.
    """
    project, settings = setting_up(context)
    locks = [Lock.from_toml(path) for path in sorted(project.recipes.glob("*.lock"))]
    named = {step for lock in locks for steps in lock.components.values() for step in steps}
    results = LocalResults(Workspace(settings.cache_dir).results)
    gone, freed = results.trim(named, since=time.time() - days * DAY, dry=dry_run)
    verb = "would be removed" if dry_run else "removed"
    text = "\n".join([*gone, f"{len(gone)} results {verb}, {freed / 1e6:.1f} MB"])
    answer({"results": gone, "bytes": freed, "dry_run": dry_run}, as_json=as_json, text=text)
