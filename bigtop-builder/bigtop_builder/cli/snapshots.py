# SPDX-License-Identifier: Apache-2.0
"""`repo snapshot|refresh|withdraw|export|gc`: snapshots, how long they stand, and where else they go."""

import logging
from dataclasses import asdict
from datetime import UTC, datetime

import click

from bigtop_builder.cli.context import answer, json_option, table
from bigtop_builder.cli.place import (
    Command,
    Place,
    Where,
    archive_of,
    no_sync_option,
    place_of,
    readable,
    repo_option,
    signing,
    why_option,
)
from bigtop_builder.errors import InputError
from bigtop_builder.repository import layout
from bigtop_builder.repository.authentic import kept_keys
from bigtop_builder.repository.catalog import listed
from bigtop_builder.repository.export import export as export_suites
from bigtop_builder.repository.gc import Plan, collect, plan
from bigtop_builder.repository.keeping import keep
from bigtop_builder.repository.layout import Retention
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.refresh import refresh as refresh_suites
from bigtop_builder.repository.store import open_store
from bigtop_builder.repository.withdraw import withdraw as withdraw_snapshot

log = logging.getLogger(__name__)

COLUMNS = ("snapshot", "since", "suites", "kept", "packages", "withdrawn")
SHORT = 16
"""Digits of an id that are shown, as its suite's name has them."""


@click.command(
    cls=Command, epilog="Example: bigtop-builder repo snapshot stable --name before-3.6 --why 'upgrade day'"
)
@click.argument("suite", metavar="SUITE|SNAPSHOT")
@click.option("--name", default="", help="Name to keep it under [default: the suite and the moment].")
@click.option("--undo", is_flag=True, help="Leave it to the rules of retention again.")
@repo_option
@no_sync_option
@why_option
@json_option
@click.pass_context
def snapshot(
    context: click.Context,
    suite: str,
    name: str,
    folder: Where | None,
    why: str,
    *,
    undo: bool,
    no_sync: bool,
    as_json: bool,
) -> None:
    """Keep the snapshot that SUITE points to, or SNAPSHOT, whatever the rules of retention say.

    A snapshot is named by its id, 6 digits or more from its beginning, its own suite, or the name it is kept under.
    """
    with signing(context, folder, sync=not no_sync) as (repository, keyring):
        done = keep(repository, suite, keyring=keyring, name=name, undo=undo, why=why)
    kept = f"is kept as {done.name}" if done.name else "is left to the rules of retention"
    text = f"snapshot {done.snapshot[:SHORT]} {kept}; hosts that are to stay with it take suite {done.suite}"
    answer(asdict(done), as_json=as_json, text=text)


@click.command(cls=Command, epilog="Example: bigtop-builder repo refresh --why 'weekly'")
@click.argument("suites", nargs=-1, metavar="[SUITE]...")
@click.option("--all", "everything", is_flag=True, help="Sign all of them, whether that is due or not.")
@repo_option
@no_sync_option
@why_option
@json_option
@click.pass_context
def refresh(
    context: click.Context,
    suites: tuple[str, ...],
    folder: Where | None,
    why: str,
    *,
    everything: bool,
    no_sync: bool,
    as_json: bool,
) -> None:
    """Sign SUITEs anew, with a new Date and Valid-Until.

    Without SUITE: all suites, and those of snapshots, of whose time a third is left or that not exactly the present
    keys have signed.
    """
    if suites and everything:
        raise InputError("--all stands for all suites", hint="name suites, or give --all")
    with signing(context, folder, sync=not no_sync) as (repository, keyring):
        if folder is None:
            archive_of(context).tune(repository)
        done = refresh_suites(repository, suites, keyring=keyring, everything=everything, why=why)
    lines = [
        f"{one.suite} signed anew{f' (serial {one.serial})' if one.serial else ''}: {one.reason}"
        for one in done
    ]
    answer([asdict(one) for one in done], as_json=as_json, text="\n".join(lines) or "nothing is due")


@click.command(
    cls=Command, epilog="Example: bigtop-builder repo withdraw 1f0c6e2a --why 'namenode loses edits'"
)
@click.argument("wanted", metavar="SNAPSHOT")
@click.option("--undo", is_flag=True, help="Bring it back into use.")
@click.option("--why", required=True, callback=readable, help="Reason: hosts' checks show it.")
@repo_option
@no_sync_option
@json_option
@click.pass_context
def withdraw(
    context: click.Context,
    wanted: str,
    folder: Where | None,
    why: str,
    *,
    undo: bool,
    no_sync: bool,
    as_json: bool,
) -> None:
    """Take a bad SNAPSHOT out of use, and say which suites point to it.

    Nothing is promoted or rolled back to it any more. Suites that point to it stay: the answer has the command for
    each. The notice is state/withdrawn.asc, signed.
    """
    with signing(context, folder, sync=not no_sync) as (repository, keyring):
        done = withdraw_snapshot(repository, wanted, keyring=keyring, why=why, undo=undo)
    place = f" --repo {folder}" if folder else ""
    ways = {
        one.suite: f"{one.way_out}{place if one.target else ''}{one.stays and f' ({one.stays})'}"
        for one in done.affected
    }
    state = "is withdrawn" if done.withdrawn else "is in use"
    head = f"snapshot {done.snapshot[:SHORT]} {state}{'' if done.changed else ' already'}"
    text = [head, *(f"{suite} points to it: {way}" for suite, way in ways.items() if done.withdrawn)]
    suites = [{"suite": suite, "way_out": way if done.withdrawn else ""} for suite, way in ways.items()]
    value = {**asdict(done), "notice": layout.WITHDRAWN, "affected": suites}
    answer(value, as_json=as_json, text="\n".join(text))


@click.command(cls=Command, epilog="Example: bigtop-builder repo export /media/stick/apt --suite stable")
@click.argument("target", type=Place(), metavar="FOLDER|URL")
@click.option("--suite", "suites", multiple=True, help="Suite to export; repeatable.")
@click.option("--snapshot", "snapshots", multiple=True, help="Snapshot to export; repeatable.")
@repo_option
@no_sync_option
@click.option("--why", default="", callback=readable, help="Reason, for the mirror's own record.")
@json_option
@click.pass_context
def export(
    context: click.Context,
    target: Where,
    suites: tuple[str, ...],
    snapshots: tuple[str, ...],
    folder: Where | None,
    why: str,
    *,
    no_sync: bool,
    as_json: bool,
) -> None:
    """Write a mirror of suites or snapshots that needs nothing else, or bring it up to date."""
    if not suites and not snapshots:
        raise InputError("nothing to export is named", hint="--suite SUITE, or --snapshot ID")
    place = place_of(context, folder)
    source = Repository.open(place)
    done = export_suites(
        source.state,
        open_store(target, sync=not no_sync),
        suites=suites,
        snapshots=snapshots,
        now=datetime.now(UTC),
        why=why,
    )
    lines = [f"{suite} is at snapshot {snapshot[:SHORT]}" for suite, snapshot in done.suites.items()]
    lines.append(f"{done.files} files, {_size(done.size)}, came to {done.target}; {done.removed} went")
    answer(asdict(done), as_json=as_json, text="\n".join(lines))


@click.command(cls=Command, epilog="Example: bigtop-builder repo gc --dry-run")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option(
    "--keep", type=click.IntRange(1), help="Snapshots of each suite that stay [default: the suite's rule]."
)
@click.option(
    "--keep-days",
    type=click.IntRange(1),
    help="Days for which what a suite pointed to stays [default: the suite's rule].",
)
@repo_option
@no_sync_option
@why_option
@json_option
@click.pass_context
def gc(
    context: click.Context,
    folder: Where | None,
    keep: int | None,
    keep_days: int | None,
    why: str,
    *,
    dry_run: bool,
    no_sync: bool,
    as_json: bool,
) -> None:
    """Remove snapshots that the rules of retention leave no reason for, and files that nothing names.

    What a suite points to or can go back to, what is kept by name, and what is of the last 24 hours stays.
    Without any rule all snapshots do.
    """
    given = {"keep": keep, "keep_days": keep_days}
    rules = Retention.model_validate({name: value for name, value in given.items() if value is not None})
    if dry_run:
        repository = Repository.open(place_of(context, folder))
        public = b"".join(kept_keys(repository.state).values())
        found = plan(repository.state, now=datetime.now(UTC), public=public, rules=rules)
    else:
        with signing(context, folder, sync=not no_sync) as (repository, keyring):
            if folder is None:
                archive_of(context).tune(repository)
            found = collect(repository.state, keyring=keyring, clock=repository.clock, rules=rules, why=why)
    _tell_of_no_rule(repository, rules)
    value = {
        "removed": not dry_run,
        "snapshots": found.snapshots,
        "stays": found.stays,
        "files": {
            kind: {"files": len(files), "bytes": sum(one.size for one in files)}
            for kind, files in found.files.items()
        },
        "bytes": found.size,
    }
    answer(value, as_json=as_json, text=_collected(found, dry_run=dry_run))


def tell_snapshots(repository: Repository, *, as_json: bool) -> None:
    """Print all snapshots, oldest first."""
    found = listed(repository.state, b"".join(kept_keys(repository.state).values()))
    rows = [
        (
            info.snapshot[:SHORT],
            f"{info.when:%Y-%m-%d %H:%M}" if info.when else "",
            ", ".join(info.suites),
            info.kept,
            ", ".join(f"{count} {architecture}" for architecture, count in info.packages.items()),
            info.withdrawn,
        )
        for info in found
    ]
    if as_json:
        answer([asdict(info) for info in found], as_json=True, text="")
    else:
        click.echo(table(COLUMNS, rows))


def _tell_of_no_rule(repository: Repository, rules: Retention) -> None:
    every = [rules, *(suite.retention for suite in repository.state.settings().suites.values())]
    if not any(one.keep or one.keep_days for one in every):
        log.warning(
            "no suite has a rule of retention, so all snapshots stay: --keep N or --keep-days N lets others go, "
            "and so does keep or keep_days under [suites.NAME.retention] in repo/repository.toml"
        )


def _collected(found: Plan, *, dry_run: bool) -> str:
    verb = "would go" if dry_run else "went"
    lines = [f"snapshot {one[:SHORT]} {verb}" for one in found.snapshots]
    lines += [f"snapshot {one[:SHORT]} stays: {'; '.join(why)}" for one, why in found.stays.items()]
    lines += [
        f"{len(files)} {kind}, {_size(sum(one.size for one in files))}" for kind, files in found.files.items()
    ]
    lines.append(f"{found.count} files, {_size(found.size)} in all, {verb}")
    return "\n".join(lines)


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"  # noqa: PLR2004  # a gigabyte
