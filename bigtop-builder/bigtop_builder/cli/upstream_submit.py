# SPDX-License-Identifier: Apache-2.0
"""`upstream submit`: patches are sent, or what that would do is said."""

from dataclasses import asdict

import click

from bigtop_builder.cli.context import answer, json_option, setting_up
from bigtop_builder.cli.upstream_options import each, patches_argument, release_option
from bigtop_builder.upkeep.change import mend
from bigtop_builder.upstreaming.prepare import prepare
from bigtop_builder.upstreaming.sending import Submitted
from bigtop_builder.upstreaming.submit import submit


@click.command("submit", epilog="Example: bigtop-builder upstream submit bigtop/my-mend --yes")
@patches_argument
@release_option
@click.option("--yes", is_flag=True, help="Send it. Without it, nothing is written, here or at GitHub.")
@click.option(
    "--attached", is_flag=True, help="Say with --yes that you have attached the patch to its ticket (Oozie)."
)
@click.option(
    "--despite-findings",
    is_flag=True,
    help="Send patches though checks find errors in them, or there is no such ticket.",
)
@json_option
@click.pass_context
def submit_(
    context: click.Context,
    words: tuple[str, ...],
    release: str,
    *,
    yes: bool,
    attached: bool,
    despite_findings: bool,
    as_json: bool,
) -> None:
    """Push PATCHes to branches of your fork, and open their pull requests, or update those that are open.

    Says what it would do; --yes does it. What is there is looked at first: run again, it does what is left. A branch
    that somebody else pushed to is left alone. What was proved is recorded in patch.toml.
    """
    project, settings = setting_up(context)
    mend(project)

    def one(patch_id: str) -> Submitted:
        prepared = prepare(patch_id, release=release, reuse=True, project=project, settings=settings)
        return submit(
            prepared,
            send=yes,
            attached=attached,
            despite=despite_findings,
            project=project,
            settings=settings,
        )

    done, failed = each(words, one, project)
    if done or as_json:
        answer([asdict(one) for one in done], as_json=as_json, text="\n\n".join(map(_text, done)))
    failed.require_none()


def _text(one: Submitted) -> str:
    steps = [f"  {number}. {step}" for number, step in enumerate(one.steps, 1)]
    what = "done" if one.sent else "to do; --yes does it" if not one.notes else "to do"
    head = f"{one.patch}: {one.url or 'not sent yet'}"
    return "\n".join(
        [head, *([f"  {what}:"] if steps else ["  nothing is left to do"]), *steps, *map(_note, one.notes)]
    )


def _note(note: str) -> str:
    return f"  note: {note}"
