# SPDX-License-Identifier: Apache-2.0
"""What commands share: settings and project from the options, and the two forms of an answer."""

import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from bigtop_builder.log import configure
from bigtop_builder.openpgp import PASSPHRASE_VARIABLE
from bigtop_builder.settings import Settings, load_settings
from bigtop_builder.workspace import Project, bundled_project, find_project, project_at

log = logging.getLogger(__name__)

MANY = 1000
"""Rows from which on a table is not fitted to the terminal."""

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


def setting_up(context: click.Context, *, told: bool = True) -> tuple[Project, Settings]:
    """Project and settings as the options before the command name them; starts the story on stderr.

    Args:
        context: The command's.
        told: Whether a project that is neither named by --project nor around this folder is named, once.

    Raises:
        InputError: The project folder has no recipes/, or the settings do not fit.
    """
    options: dict[str, Any] = context.find_root().obj
    if "set up" not in options:
        configure(verbose=options["verbose"])
        named: Path | None = options["project"]
        project = project_at(named, f"--project {named}") if named else find_project()
        if told and not _is_meant(named, project):
            log.info("project: %s", project.root)
        options["set up"] = project, load_settings(options["settings"])
    ready: tuple[Project, Settings] = options["set up"]
    return ready


def is_own(context: click.Context) -> bool:
    """Whether the project is one that the user means: named, or around this folder; not what came with the tool."""
    project = setting_up(context)[0]
    return _is_meant(context.find_root().obj["project"], project) or project != bundled_project()


def _is_meant(named: Path | None, project: Project) -> bool:
    return bool(named) or Path.cwd().is_relative_to(project.root)


def answer(value: Any, *, as_json: bool, text: str) -> None:
    """Print an answer to stdout: as JSON, or as text for people."""
    click.echo(json.dumps(value, indent=2, default=str) if as_json else text)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as text: fits a terminal, and is not cut elsewhere."""
    if len(rows) > MANY or not sys.stdout.isatty():
        return _aligned([columns, *rows])
    from rich.console import Console  # 20 ms that only lists should pay
    from rich.table import Table

    shown = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        shown.add_row(*row)
    console = Console(markup=False, emoji=False, highlight=False)
    with console.capture() as captured:
        console.print(shown)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell: for programs, and for lists that rich would take seconds for."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def passphrase() -> str:
    """The passphrase of the keys, from its variable; empty if there is none."""
    return os.environ.get(PASSPHRASE_VARIABLE, "")
