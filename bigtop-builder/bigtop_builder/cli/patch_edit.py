# SPDX-License-Identifier: Apache-2.0
"""`patch edit`, `export` and `refresh`: patches are changed in a work tree, or follow lines that moved."""

import logging
import shlex
from dataclasses import asdict
from pathlib import Path

import click

from bigtop_builder.cli.context import answer, json_option, setting_up
from bigtop_builder.cli.patch_options import apart_option, dir_option, dry_run_option, since_option, written
from bigtop_builder.schema import some
from bigtop_builder.upkeep.edit import edit
from bigtop_builder.upkeep.export import export
from bigtop_builder.upkeep.refresh import refresh

log = logging.getLogger(__name__)


@click.command("edit", epilog="Example: bigtop-builder patch edit 3.5.0 bigtop --dir ~/work/bigtop-3.5.0")
@click.argument("release")
@click.argument("target")
@dir_option
@click.option(
    "--from",
    "since",
    default="",
    metavar="RELEASE",
    help="Carry the patches of this release over: what conflicts is committed with conflict markers. RELEASE itself "
    "mends a series that does not apply any more.",
)
@json_option
@click.pass_context
def edit_(
    context: click.Context, release: str, target: str, folder: Path | None, since: str, *, as_json: bool
) -> None:
    """Make a git work tree of RELEASE's patches to TARGET: the base as first commit, then each patch as one.

    Amend, reword, reorder, add commits; then `patch export` writes them back. The trailer `Patch:` says which
    patch a commit is.
    """
    project, settings = setting_up(context)
    done = edit(release, target, folder, since=since, project=project, settings=settings)
    lines = [str(done.folder)]
    lines += [f"  {one.commit[:12]} {one.id}{_marks(done.conflicts.get(one.id))}" for one in done.patches]
    command = f"bigtop-builder patch export {release} {target}"
    log.info("then: %s", f"{command} --dir {shlex.quote(str(done.folder))}" if folder else command)
    value = {
        "folder": str(done.folder),
        "base": done.base,
        "patches": [one.model_dump() for one in done.patches],
        "conflicts": done.conflicts,
    }
    answer(value, as_json=as_json, text="\n".join(lines))


@click.command("export", epilog="Example: bigtop-builder patch export 3.5.0 bigtop")
@click.argument("release")
@click.argument("target")
@dir_option
@click.option(
    "--drop",
    "dropping",
    is_flag=True,
    help="Take patches whose commits are gone out of the recipe, and out of the queue if no recipe lists them.",
)
@apart_option
@since_option
@dry_run_option
@json_option
@click.pass_context
def export_(
    context: click.Context,
    release: str,
    target: str,
    folder: Path | None,
    *,
    dropping: bool,
    apart: bool,
    since: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Write the commits of `patch edit`'s work tree back: changed, new, reordered and dropped patches.

    What did not really change is not touched: a second export writes nothing.
    """
    project, settings = setting_up(context)
    done = export(
        release,
        target,
        folder,
        drop=dropping,
        apart=apart,
        since=since,
        dry_run=dry_run,
        project=project,
        settings=settings,
    )
    lines = [f"{one.what:9} {one.id}{f'  {one.file}' if one.file else ''}" for one in done.patches]
    if done.reordered:
        lines.append(f"the recipe of {release} has another order now")
    if any(one.what == "left" for one in done.patches):
        lines.append("left: no commit of these is here; --drop takes them out")
    if any(one.what == "new" for one in done.patches):
        lines.append("new: their patch.toml lacks facts that bigtop-builder patch lint names")
    said = written(done.written, dry_run=dry_run, removed=done.removed)
    answer(asdict(done), as_json=as_json, text="\n".join([*lines, *said]))


@click.command("refresh", epilog="Example: bigtop-builder patch refresh 3.5.0 hadoop")
@click.argument("release")
@click.argument("only", nargs=-1, metavar="[TARGET|TARGET/NAME]...")
@apart_option
@dry_run_option
@json_option
@click.pass_context
def refresh_(
    context: click.Context, release: str, only: tuple[str, ...], *, apart: bool, dry_run: bool, as_json: bool
) -> None:
    """Write RELEASE's patches anew where hunks have moved or the form is not the queue's own; touch no other."""
    project, settings = setting_up(context)
    done = refresh(release, only=only, apart=apart, dry_run=dry_run, project=project, settings=settings)
    lines = []
    for one in done:
        lines += [f"{one.id}  {one.file}", *(f"  {moved}" for moved in one.moved)]
        if one.others:
            lines.append(f"  also used by {', '.join(one.others)}, where its hunks may be elsewhere now")
    answer(
        [asdict(one) for one in done], as_json=as_json, text="\n".join(lines) or "all are as they should be"
    )


def _marks(files: tuple[str, ...] | None) -> str:
    return f"  conflicts in {some(files)}" if files else ""
