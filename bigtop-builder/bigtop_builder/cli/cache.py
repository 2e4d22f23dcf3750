# SPDX-License-Identifier: Apache-2.0
"""`cache gc`: what is kept on this machine."""

import stat
import time
from contextlib import suppress
from pathlib import Path

import click

from bigtop_builder.cli.context import answer, is_own, json_option, setting_up
from bigtop_builder.disused import forget
from bigtop_builder.errors import InputError
from bigtop_builder.local_results import LocalResults
from bigtop_builder.lock_notes import noted_locks, notes_of_lost_locks, steps_named
from bigtop_builder.schema import counted
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
    """Remove build results that no lock names, and answers of GitHub and SBOMs, that were not used of late.

    Every build that a lock names stays, the older ones too: a lock of this project, or of any other whose builds used
    this cache and which is still there. Of all else it only says how large it is: downloads, sources and the rest may
    be deleted by hand while nothing runs, and are fetched or made again. What machines share (`shared_cache` in the
    settings) stays: a bucket's lifecycle rule, or find(1) on a folder, trims that. A result of which something is
    missing is built again.
    """
    project, settings = setting_up(context)
    if not is_own(context):
        raise InputError(
            f"cache gc: no project is named, and there is none around {Path.cwd()}",
            details="The locks of your project say which results must stay.",
            hint="run it in the project's folder, or name that with --project or BIGTOP_BUILDER_PROJECT",
        )
    workspace, since = Workspace(settings.cache_dir), time.time() - days * DAY
    notes = workspace.lock_notes
    locks = {path.absolute() for path in project.recipes.glob("*.lock")} | set(noted_locks(notes))
    named = steps_named(sorted(locks), notes=notes)
    gone, freed = LocalResults(workspace.results).trim(named, since=since, dry=dry_run)
    answers = forget(workspace.github.glob("*.json"), since=since, dry=dry_run)
    sboms = forget(workspace.sboms.glob("*.json"), since=since, dry=dry_run)
    # Of a hundred bytes each: not worth a line.
    forget(workspace.bases.glob("*.fit.json"), since=since, dry=dry_run)
    forget(notes_of_lost_locks(notes), since=since, dry=dry_run)
    folders = sorted(workspace.root.glob("*/"))
    left = {folder.name: size for folder in folders if (size := _bytes(folder))}
    verb = "would be removed" if dry_run else "removed"
    lines = [*gone, f"{counted(len(gone), 'result')} {verb}, {freed / 1e6:.1f} MB"]
    lines += [f"{counted(answers, 'answer')} of GitHub {verb}"] if answers else []
    lines += [f"{counted(sboms, 'SBOM')} {verb}"] if sboms else []
    told = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in left.items())
    lines += [f"in {workspace.root} are now: {told}"] if left else []
    value = {
        "results": gone,
        "bytes": freed,
        "answers": answers,
        "sboms": sboms,
        "left": left,
        "dry_run": dry_run,
    }
    answer(value, as_json=as_json, text="\n".join(lines))


def _bytes(folder: Path) -> int:
    """Bytes of all files in a folder, those with several names once."""
    sizes = {}
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # another run is at work
            if stat.S_ISREG((status := path.lstat()).st_mode):
                sizes[status.st_ino] = status.st_size
    return sum(sizes.values())
