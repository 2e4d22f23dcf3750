# SPDX-License-Identifier: Apache-2.0
"""Options and answers that the commands of the queue share."""

from collections.abc import Sequence
from pathlib import Path

import click

from bigtop_builder.errors import InputError
from bigtop_builder.patches.listed import is_chosen, targets_of
from bigtop_builder.patches.queue import known
from bigtop_builder.schema import counted, nearest
from bigtop_builder.workspace import Project

dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
dir_option = click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="The work tree [default: build/patches/<release>/<target> in the project].",
)
apart_option = click.option(
    "--apart",
    is_flag=True,
    help="Write changed diffs to <release>.patch where other releases use the same file.",
)

since_option = click.option(
    "--since", is_flag=True, help="Let new diffs be for all later releases too: since-<release>.patch."
)


def chosen(words: Sequence[str], project: Project) -> tuple[str, ...]:
    """The patches of the queue that are named by id or target; none if nothing is named.

    Raises:
        InputError: A word names none.
    """
    ids = known(project.patches)
    targets = targets_of(ids)
    if unknown := [one for one in words if one not in ids and one not in targets]:
        raise InputError(f"no patch {unknown[0]!r} in {project.patches}", hint=nearest(unknown[0], ids))
    return tuple(one for one in ids if is_chosen(one, words)) if words else ()


SHOWN = 10
"""Files or patches that an answer for people names; --json has all."""


def written(files: Sequence[str], *, dry_run: bool, removed: Sequence[str] = ()) -> list[str]:
    """Lines that say which files were written, and which were removed."""
    verbs = ("would write", "would remove") if dry_run else ("wrote", "removed")
    lines: list[str] = []
    for verb, some in zip(verbs, (files, removed), strict=True):
        if some:
            more = [f"  and {len(some) - SHOWN} more, which --json names"] if len(some) > SHOWN else []
            lines += [f"{verb} {counted(len(some), 'file')}:", *(f"  {one}" for one in some[:SHOWN]), *more]
    return lines or ["nothing to write"]
