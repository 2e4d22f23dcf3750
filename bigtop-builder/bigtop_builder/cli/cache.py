# SPDX-License-Identifier: Apache-2.0
"""`cache gc`: what is kept on this machine."""

import stat
import time
from contextlib import suppress
from pathlib import Path

import click

from bigtop_builder.cli.context import answer, is_own, json_option, setting_up
from bigtop_builder.errors import InputError
from bigtop_builder.local_results import LocalResults
from bigtop_builder.lock import Lock
from bigtop_builder.schema import counted
from bigtop_builder.upstreaming.kept_answers import forget
from bigtop_builder.workspace import Workspace

DAY = 86400.0


@click.group()
def cache() -> None:
    """What is kept on this machine."""


@cache.command(epilog="Example: bigtop-builder cache gc --days 90 --dry-run")
@click.option(
    "--days",
    type=click.IntRange(0),
    default=30,
    show_default=True,
    help="Keep what was built, had or used within so many days, for whichever project.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@json_option
@click.pass_context
def gc(context: click.Context, days: int, *, dry_run: bool, as_json: bool) -> None:
    """Remove build results that no lock of this project names, and answers of GitHub, that were not used of late.

    Every build that a lock names stays, the older ones too. Of all else it only says how large it is: downloads,
    sources and the rest may be deleted by hand while nothing runs, and are fetched or made again. What machines share
    (`shared_cache` in the settings) stays: a bucket's lifecycle rule, or find(1) on a folder, trims that. A result of
    which something is missing is built again.
    """
    project, settings = setting_up(context)
    if not is_own(context):
        raise InputError(
            f"cache gc: no project is named, and there is none around {Path.cwd()}",
            details="The locks of your project say which results must stay.",
            hint="run it in the project's folder, or name that with --project or BIGTOP_BUILDER_PROJECT",
        )
    locks = [Lock.from_toml(path) for path in sorted(project.recipes.glob("*.lock"))]
    named = {step for lock in locks for steps in lock.components.values() for step in steps}
    workspace, since = Workspace(settings.cache_dir), time.time() - days * DAY
    gone, freed = LocalResults(workspace.results).trim(named, since=since, dry=dry_run)
    answers = forget(workspace.github, since=since, dry=dry_run)
    left = {
        folder.name: size
        for folder in workspace.folders
        if folder != workspace.root and (size := _bytes(folder))
    }
    verb = "would be removed" if dry_run else "removed"
    lines = [*gone, f"{counted(len(gone), 'result')} {verb}, {freed / 1e6:.1f} MB"]
    lines += [f"{counted(answers, 'answer')} of GitHub {verb}"] if answers else []
    told = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in left.items())
    lines += [f"in {workspace.root} are now: {told}"] if left else []
    value = {"results": gone, "bytes": freed, "answers": answers, "left": left, "dry_run": dry_run}
    answer(value, as_json=as_json, text="\n".join(lines))


def _bytes(folder: Path) -> int:
    """Bytes of all files in a folder, those with several names once."""
    sizes = {}
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # another run is at work
            if stat.S_ISREG((status := path.lstat()).st_mode):
                sizes[status.st_ino] = status.st_size
    return sum(sizes.values())
