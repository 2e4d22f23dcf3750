# SPDX-License-Identifier: Apache-2.0
"""What commands share: settings and project from the options, and the two forms of an answer."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path  # noqa: TC003  # click and this module look at it when they run
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from bigtop_builder.log import configure
from bigtop_builder.settings import Settings, load_settings
from bigtop_builder.workspace import Project, find_project, project_at

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
component_option = click.option(
    "-c",
    "--component",
    "components",
    multiple=True,
    help="Only this component and what it depends on; repeatable.",
)
builder_option = click.option(
    "--builder",
    type=click.Choice(["docker", "host"]),
    default="docker",
    show_default=True,
    help="Build in containers, or on this very machine with install checks in a chroot.",
)


def setting_up(context: click.Context) -> tuple[Project, Settings]:
    """Project and settings as the options before the command name them; starts the story on stderr.

    Raises:
        InputError: The project folder has no recipes/, or the settings do not fit.
    """
    options: Mapping[str, Any] = context.find_root().obj
    configure(verbose=options["verbose"])
    named: Path | None = options["project"]
    project = project_at(named, f"--project {named}") if named else find_project()
    return project, load_settings(options["settings"])


def answer(value: Any, *, as_json: bool, text: str) -> None:
    """Print an answer to stdout: as JSON, or as text for people."""
    click.echo(json.dumps(value, indent=2, default=str) if as_json else text)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as text: fits a terminal, and is not cut elsewhere."""
    shown = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        shown.add_row(*row)
    console = Console(
        width=None if Console().is_terminal else 240, markup=False, emoji=False, highlight=False
    )
    with console.capture() as captured:
        console.print(shown)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())
