# SPDX-License-Identifier: Apache-2.0
"""`fleet sources`: what hosts are given to take one snapshot."""

from pathlib import Path

import click

from bigtop_builder.cli.context import answer, json_option
from bigtop_builder.cli.place import Command, Where, archive_of, repo_option, trusted
from bigtop_builder.errors import InputError
from bigtop_builder.fleet.emitted import Sources
from bigtop_builder.fleet.offer import offers_of
from bigtop_builder.fleet.output import lay_out
from bigtop_builder.fleet.trust import trust_of

rollback_option = click.option(
    "--rollback-to",
    default="",
    metavar="SNAPSHOT|SUITE",
    help="Where hosts go back to [default: what the suites that point to SNAPSHOT had before].",
)
output_option = click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder for the files: new, empty, or of an earlier run of this command.",
)


@click.command(
    cls=Command, epilog="Example: bigtop-builder fleet sources stable --output build/fleet/sources"
)
@click.argument("wanted", metavar="SNAPSHOT|SUITE")
@rollback_option
@click.option(
    "--url", default="", help="Address under which hosts reach the repository [default: the definition's]."
)
@output_option
@repo_option
@json_option
@click.pass_context
def sources(
    context: click.Context,
    wanted: str,
    rollback_to: str,
    url: str,
    output: Path,
    folder: Where | None,
    *,
    as_json: bool,
) -> None:
    """Write source, pins, keyring package and service guard for hosts that are to take one snapshot.

    Of a suite it is the snapshot that it points to now: hosts stay with it when the suite goes on.
    """
    state, public = trusted(context, folder)
    now, back = offers_of(state, wanted, rollback_to, public)
    made = Sources(
        upgrade=now,
        rollback=back,
        trust=trust_of(state, public, now, *([back] if back else [])),
        url=(url or _url(context, folder)).rstrip("/"),
    )
    files = made.files()
    ways = f"back to {back.suite}" if back else "no way back"
    lay_out(files, output, record="sources.json")
    answer(
        {**made.summary(), "files": sorted(files)},
        as_json=as_json,
        text=f"{now.suite}, {ways}\n{output}",
    )


def _url(context: click.Context, folder: Where | None) -> str:
    if folder:
        raise InputError(f"--repo {folder} does not say how hosts reach it", hint="say it with --url")
    return archive_of(context).definition.url
