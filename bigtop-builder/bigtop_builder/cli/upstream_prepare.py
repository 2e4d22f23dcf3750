# SPDX-License-Identifier: Apache-2.0
"""`upstream prepare`: what upstream would get of patches."""

from typing import Any

import click

from bigtop_builder.cli.context import answer, json_option, setting_up
from bigtop_builder.cli.upstream_options import each, patches_argument, release_option
from bigtop_builder.errors import CheckFailed
from bigtop_builder.schema import counted
from bigtop_builder.upkeep.change import mend
from bigtop_builder.upstreaming.outcome import SHORT
from bigtop_builder.upstreaming.prepare import Prepared, prepare


@click.command("prepare", epilog="Example: bigtop-builder upstream prepare bigtop/my-mend")
@patches_argument
@release_option
@click.option(
    "--run-commands",
    is_flag=True,
    help="Also run the project's own programs (commands in upstream.toml), in a work tree below build/upstream. They "
    "are upstream's code, and run as you.",
)
@click.option("--offline", is_flag=True, help="Fetch nothing: take the base branch as it was seen last.")
@json_option
@click.pass_context
def prepare_(
    context: click.Context,
    words: tuple[str, ...],
    release: str,
    *,
    run_commands: bool,
    offline: bool,
    as_json: bool,
) -> None:
    """Show what upstream would get of PATCHes: commit, branch, title, text, diff, and what its checks say.

    A patch is put on the newest commit of the project's base branch, and refused where upstream has it already or it
    conflicts. All is kept in build/upstream/<target>/<name>/. Nothing leaves this machine.
    """
    project, settings = setting_up(context)
    settings = settings.model_copy(update={"offline": settings.offline or offline})
    mend(project)
    done, failed = each(
        words,
        lambda one: prepare(
            one, release=release, with_commands=run_commands, project=project, settings=settings
        ),
        project,
    )
    values = [value_of(one) for one in done]
    if done or as_json:
        answer(values, as_json=as_json, text="\n\n".join(map(text_of, done)))
    failed.require_none()
    if errors := sum(len(one.proposal.errors) for one in done):
        raise CheckFailed(f"checks found {counted(errors, 'error')}", hint="mend what is named above")


def value_of(one: Prepared) -> dict[str, Any]:
    """For --json."""
    return {
        **one.proposal.model_dump(mode="json"),
        "folder": str(one.folder),
        "seen": one.seen,
        "moved_from": one.moved_from,
        "mail": one.mail.decode(errors="replace"),
    }


def text_of(one: Prepared) -> str:
    """For people."""
    proposal = one.proposal
    moved = f"\n  it has moved since the last time, from {one.moved_from[:SHORT]}" if one.moved_from else ""
    head = [
        f"{proposal.patch} ({proposal.file}) for {proposal.repository}",
        f"  onto     {proposal.base} at {proposal.base_commit[:SHORT]}, {one.seen}: {proposal.applied}{moved}",
        f"  commit   {proposal.commit}",
    ]
    head += [] if proposal.by_ticket else [f"  branch   {proposal.branch}", f"  title    {proposal.title}"]
    head += [f"  kept in  {one.folder}"]
    steps = [f"{number}. {step}" for number, step in enumerate(proposal.steps, 1)]
    said = [str(finding) for finding in proposal.findings] or ["the checks find nothing"]
    parts = ["\n".join(head), proposal.body.rstrip("\n"), "\n".join(steps), _mail(one.mail), "\n".join(said)]
    return "\n\n".join(part for part in parts if part)


def _mail(mail: bytes) -> str:
    return mail.decode(errors="replace").rstrip("\n")
