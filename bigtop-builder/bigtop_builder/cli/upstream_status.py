# SPDX-License-Identifier: Apache-2.0
"""`upstream status`: where each patch stands upstream."""

from collections.abc import Iterator, Sequence
from typing import Any

import click

from bigtop_builder.cli.context import answer, json_option, setting_up, table
from bigtop_builder.cli.patch_options import chosen
from bigtop_builder.log import plain
from bigtop_builder.patches.queue import known
from bigtop_builder.schema import counted
from bigtop_builder.upkeep.change import mend
from bigtop_builder.upstreaming.outcome import SHORT
from bigtop_builder.upstreaming.overview import Row, overview


@click.command(epilog="Example: bigtop-builder upstream status hadoop")
@click.argument("words", nargs=-1, metavar="[TARGET|TARGET/NAME]...")
@json_option
@click.pass_context
def status(context: click.Context, words: tuple[str, ...], *, as_json: bool) -> None:
    """Show where patches, all by default, stand upstream: what asks for action comes first.

    Nothing is asked of anybody: patch.toml says it, as `upstream sync` wrote it last. That a patch can be dropped
    from a release is said by its evidence, or because its upstream commit is in the history of that release.
    """
    project, settings = setting_up(context)
    mend(project)
    rows = overview(project, settings, patches=chosen(words, project) or known(project.patches))
    answer({"patches": [_plain(row) for row in rows]}, as_json=as_json, text=_text(rows))


def _text(rows: Sequence[Row]) -> str:
    if not rows:
        return "no patches"
    shown = table(["patch", "upstream", "more"], [[row.id, row.standing, plain(_more(row))] for row in rows])
    return "\n\n".join(filter(None, [shown, "\n".join(_hints(rows))]))


def _hints(rows: Sequence[Row]) -> Iterator[str]:
    """The next command for the first patch of each standing."""
    for standing in dict.fromkeys(row.standing for row in rows):
        commands = [row.next for row in rows if row.standing == standing and row.next]
        if commands:
            more = f"   (and {len(commands) - 1} more)" if commands[1:] else ""
            yield f"{standing}: {commands[0]}{more}"


def _more(row: Row) -> str:
    """What is worth knowing of a patch, by its standing."""
    one = row.upstream
    age = f"{counted(row.days, 'day')}, " if row.days is not None else ""
    since = f"in {one.since}" if one.since else "in no release yet"
    commit = f" ({one.commit[:SHORT]})" if one.commit else ""
    merged = f"{since}{commit}" if one.state == "merged" else ""
    drops = f"from {', '.join(drop.release for drop in row.drops)}" if row.drops else ""
    waiting = f"{age}{one.url}" if one.state == "pr-open" else ""
    ticket = row.ticket if one.state in {"ticket", "to-forward"} else ""
    return "; ".join(filter(None, [drops, merged, waiting, ticket, one.why if one.state != "merged" else ""]))


def _plain(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "title": row.title,
        "ticket": row.ticket,
        "standing": row.standing,
        "days": row.days,
        "can_be_dropped": [vars(drop) for drop in row.drops],
        "next": row.next,
        **row.upstream.model_dump(mode="json"),
    }
