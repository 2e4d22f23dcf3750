# SPDX-License-Identifier: Apache-2.0
"""`upstream sync`: what became of patches upstream."""

import logging
from collections.abc import Iterator
from typing import Any

import click

from bigtop_builder.cli.context import answer, json_option, setting_up
from bigtop_builder.cli.patch_options import chosen, dry_run_option, written
from bigtop_builder.errors import CheckFailed
from bigtop_builder.log import plain
from bigtop_builder.schema import counted
from bigtop_builder.upkeep.change import mend
from bigtop_builder.upstreaming.jira import Ticket
from bigtop_builder.upstreaming.pull_state import Remark
from bigtop_builder.upstreaming.sync import Report, Synced, sync

log = logging.getLogger(__name__)

NAMED = 5
"""Patches that the summary names."""


@click.command(name="sync", epilog="Example: bigtop-builder upstream sync --dry-run")
@click.argument("words", nargs=-1, metavar="[TARGET|TARGET/NAME]...")
@dry_run_option
@json_option
@click.pass_context
def sync_(context: click.Context, words: tuple[str, ...], *, dry_run: bool, as_json: bool) -> None:
    """Look up what became of patches, all by default, upstream, and write it into patch.toml.

    Pull requests are read from GitHub, and each patch that is not local only is looked for on the base branch of its
    project, by content. It is merged if a commit there has it that was not taken back. Only what is proved is
    written.

    Patches that changed are told, and those that are named, with what reviewers ask for. Exit code 1 if something
    could not be read: the other patches are written all the same.
    """
    project, settings = setting_up(context)
    mend(project)
    ids = chosen(words, project)
    report = sync(project, settings, patches=ids, dry_run=dry_run)
    text = _text(report, dry_run=dry_run, all_of_them=bool(words))
    if as_json or text:
        answer(_plain(report, dry_run=dry_run), as_json=as_json, text=text)
    log.info("%s", _summary(report, dry_run=dry_run))
    _require_read(report)


def _require_read(report: Report) -> None:
    failed = [row for row in report.rows if row.unread]
    if failed:
        raise CheckFailed(
            f"of {counted(len(failed), 'patch')} not all could be read",
            details="\n".join(f"{row.id}: {plain(why)}" for row in failed for why in row.unread),
            hint="mend what is named, and run it again: what was proved is written",
        )


def _summary(report: Report, *, dry_run: bool) -> str:
    changed = [row for row in report.rows if row.changes]
    seen = [row.id for row in report.rows if (row.notes or row.remarks) and not row.changes]
    more = f" and {len(seen) - NAMED} more" if len(seen) > NAMED else ""
    notes = f"; with notes, which naming them shows: {', '.join(seen[:NAMED])}{more}" if seen else ""
    verb = "would change" if dry_run else "changed"
    return f"{counted(len(report.rows), 'patch')} looked up: {len(changed)} {verb}{notes}"


def _text(report: Report, *, dry_run: bool, all_of_them: bool) -> str:
    lines = [line for row in report.rows if row.changes or all_of_them for line in _told(row)]
    return "\n".join([*lines, *(written(report.files, dry_run=dry_run) if report.files else [])])


def _told(row: Synced) -> Iterator[str]:
    if row.was is None or row.now is None:
        return
    was, now = row.was.state, row.now.state
    yield f"{row.id}  {was if was == now else f'{was} -> {now}'}"
    yield from (f'  {key} = "{plain(value)}"' for key, value in row.changes.items() if key != "state")
    yield from (f"  {plain(note)}" for note in row.notes)
    if row.ticket:
        yield f"  {_ticket(row.ticket)}"
    yield from (f"  {_remark(remark)}" for remark in row.remarks)


def _ticket(ticket: Ticket) -> str:
    if ticket.unread:
        return plain(f"ticket {ticket.key}: {ticket.unread}")
    resolution = f" ({ticket.resolution})" if ticket.resolution else ""
    versions = f", fix version {', '.join(ticket.fix_versions)}" if ticket.fix_versions else ""
    return plain(f"ticket {ticket.key}: {ticket.status}{resolution}{versions}")


def _remark(remark: Remark) -> str:
    place = (
        f"{remark.path}:{remark.line or '?'}{' (outdated)' if remark.outdated else ''}: "
        if remark.path
        else ""
    )
    return plain(f"{place}{remark.by}: {' '.join(remark.text.split())}")


def _plain(report: Report, *, dry_run: bool) -> dict[str, Any]:
    return {
        "patches": [_row(row) for row in report.rows],
        "written": [] if dry_run else list(report.files),
        "dry_run": dry_run,
    }


def _row(row: Synced) -> dict[str, Any]:
    ticket = row.ticket
    return {
        "id": row.id,
        "state": row.now.state if row.now else "",
        "was": row.was.state if row.was else "",
        "changes": dict(row.changes),
        "notes": list(row.notes),
        "remarks": [vars(remark) for remark in row.remarks],
        "ticket": vars(ticket) if ticket else None,
        "unread": list(row.unread),
    }
