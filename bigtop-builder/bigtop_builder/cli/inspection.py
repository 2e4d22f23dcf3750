# SPDX-License-Identifier: Apache-2.0
"""`repo list|history|check|serve`: a repository is read and served."""

import logging
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bigtop_builder.cli.context import answer, json_option, table
from bigtop_builder.cli.place import Command, Where, place_of, repo_option
from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.log import plain
from bigtop_builder.repository.authentic import kept_keys
from bigtop_builder.repository.check import examine
from bigtop_builder.repository.listing import Move, moves_of, packages_of
from bigtop_builder.repository.publish import Repository
from bigtop_builder.schema import counted

log = logging.getLogger(__name__)

COLUMNS = ("suite", "serial", "snapshot", "component", "package", "version", "architecture")
MOVES = ("serial", "when", "who", "action", "from", "to", "why", "signed by")


@click.command("list", cls=Command, epilog="Example: bigtop-builder repo list --suite stable --repo /srv/apt")
@click.option("--suite", "names", multiple=True, help="Only this suite; repeatable.")
@click.option("--snapshots", "of_snapshots", is_flag=True, help="List the snapshots instead, oldest first.")
@repo_option
@json_option
@click.pass_context
def list_(
    context: click.Context,
    names: tuple[str, ...],
    folder: Where | None,
    *,
    of_snapshots: bool,
    as_json: bool,
) -> None:
    """List suites with the snapshots they point to, and the packages in them."""
    repository = Repository.open(place_of(context, folder))
    if of_snapshots:
        if names:
            raise InputError("--snapshots lists those of all suites", hint="leave out --suite")
        from bigtop_builder.cli.snapshots import tell_snapshots

        tell_snapshots(repository, as_json=as_json)
        return
    listed = packages_of(repository.state, names)
    if not listed and repository.state.snapshots():
        log.info("no suite has anything, and there are snapshots: repo list --snapshots shows them")
    rows = [
        (pointer.suite, str(pointer.serial), pointer.snapshot[:12], *package)
        for pointer, packages in listed
        for package in packages
    ]
    if as_json:
        full = {
            pointer.suite: {"serial": pointer.serial, "snapshot": pointer.snapshot} for pointer, _ in listed
        }
        answer([dict(zip(COLUMNS, row, strict=True)) | full[row[0]] for row in rows], as_json=True, text="")
    else:
        click.echo(table(COLUMNS, rows))


@click.command(cls=Command, epilog="Example: bigtop-builder repo history stable --repo /srv/apt")
@click.argument("suite")
@repo_option
@json_option
@click.pass_context
def history(context: click.Context, suite: str, folder: Where | None, *, as_json: bool) -> None:
    """List what was done to SUITE, newest first: the signed history, each entry verified.

    An entry that nobody signed, or with a key that was revoked, is marked. Signatures are held to the keys in
    state/keys of the repository itself: compare `signed by` with those that you know.
    """
    state = Repository.open(place_of(context, folder)).state
    moves = moves_of(state, suite, b"".join(kept_keys(state).values()))
    for move in moves:
        if move.problem:
            log.warning("serial %d of %s is not to be believed: %s", move.serial, suite, move.problem)
    values = [_value(move) for move in moves]
    if as_json:
        answer(values, as_json=True, text="")
    else:
        click.echo(table(MOVES, [_row(value) for value in values]))


def _value(move: Move) -> dict[str, Any]:
    """One switch, for --json."""
    entry = move.entry
    return {
        "serial": move.serial,
        "when": entry.when if entry else None,
        "who": entry.who if entry else "",
        "action": entry.action if entry else "",
        "from": entry.before if entry else "",
        "to": entry.after if entry else "",
        "why": entry.why if entry else "",
        "source": entry.source if entry else "",
        "kept": entry.kept if entry else "",
        "waived": entry.waived if entry else (),
        "verified": not move.problem,
        "signers": move.signers,
        "problem": move.problem,
    }


def _row(value: dict[str, Any]) -> tuple[str, ...]:
    """One switch, for people: nothing in it that a terminal would obey."""
    action = f"{value['action']}{' of ' if value['source'] else ''}{value['source']}"
    cells = (
        str(value["serial"]),
        f"{value['when']:%Y-%m-%d %H:%M}" if value["when"] else "",
        value["who"],
        action,
        value["from"][:16],
        value["to"][:16],
        value["why"],
        "NOT VERIFIED" if value["problem"] else ", ".join(one[-16:] for one in value["signers"]),
    )
    return tuple(map(plain, cells))


@click.command(cls=Command, epilog="Example: bigtop-builder repo check --repo /srv/apt")
@repo_option
@json_option
@click.pass_context
def check(context: click.Context, folder: Where | None, *, as_json: bool) -> None:
    """Verify every hash, signature and reference, and say what is wrong."""
    place = place_of(context, folder)
    health = examine(Repository.open(place).state, now=datetime.now(UTC))
    problems, warnings = health.problems, health.warnings
    if as_json:
        answer({"repository": str(place), "problems": problems, "warnings": warnings}, as_json=True, text="")
    for warning in warnings:
        log.warning("%s", warning)
    if problems:
        raise CheckFailed(
            f"{place} is not whole: {counted(len(problems), 'problem')}", details="\n".join(problems)
        )
    if not as_json:
        click.echo(f"{place}: every hash, signature and reference holds")


@click.command(cls=Command, epilog="Example: bigtop-builder repo serve --port 8080")
@repo_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port; 0 picks a free one."
)
@json_option
@click.pass_context
def serve(context: click.Context, folder: Where | None, host: str, port: int, *, as_json: bool) -> None:
    """Serve the repository over HTTP until Ctrl-C, for trying it out."""
    place = place_of(context, folder)
    Repository.open(place)
    if isinstance(place, str):
        raise InputError(
            f"{place} is no folder of this machine",
            hint="hosts read it from the store itself: docs/repository.md",
        )
    from bigtop_builder.repository.serve import serve as serve_folder  # 60 ms that no publish should pay

    with serve_folder(Path(place), host=host, port=port) as url, suppress(KeyboardInterrupt):
        answer({"url": url}, as_json=as_json, text=url)
        while True:
            time.sleep(3600)
