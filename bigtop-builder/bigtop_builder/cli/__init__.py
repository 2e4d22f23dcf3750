# SPDX-License-Identifier: Apache-2.0
"""The command line: arguments in, exit code out. Commands are imported when they are called."""

import importlib
from pathlib import Path
from typing import cast

import click

from bigtop_builder import __version__

COMMANDS = {
    "build": ("release", "Build a release's packages."),
    "doctor": ("doctor", "Say what is missing on this machine, and the command that mends it."),
    "image": ("image", "Builder images: build, list, pin."),
    "key": ("key", "Signing keys: new, import, list, export, package, rotate, revoke."),
    "patch": ("patch", "The patch queue: new, import, edit, export, refresh, rebase, status, lint, drop."),
    "plan": ("release", "Show what a release takes, and why."),
    "quickstart": ("quickstart", "The whole road on the miniature Bigtop."),
    "release": ("release", "Build, verify, sign and publish in one."),
    "repo": (
        "repo",
        (
            "The apt repository: init, add, remove, list, check, snapshot, promote, rollback, refresh, withdraw, gc, "
            "export, serve."
        ),
    ),
    "source": ("source", "Component sources: fetch, verify, pin."),
    "verify": ("release", "Check a release's packages and write the verdict."),
}
"""Command -> module of this package, and its help in one line: `--help` imports none of them."""


class Commands(click.Group):
    """A group whose commands live in modules of their own."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """All commands, by name."""
        return sorted(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; of a misspelt one the nearest is named."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib  # 10 ms that only a mistake should pay

            close = difflib.get_close_matches(args[0], COMMANDS, 1)
            ctx.fail(f"No such command {args[0]!r}{f'; did you mean {close[0]}?' if close else '.'}")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"bigtop_builder.cli.{COMMANDS[cmd_name][0]}")
        return cast("click.Command", getattr(module, cmd_name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(COMMANDS.items())])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--settings",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Settings file of this site [default: BIGTOP_BUILDER_SETTINGS, else "
    "~/.config/bigtop-builder/settings.toml].",
)
@click.option(
    "--project",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that holds recipes/ (<release>.toml and .lock), patches/ (local patches) and repo/ "
    "(repository.toml) [default: BIGTOP_BUILDER_PROJECT, else this folder or a parent with recipes/ and "
    "patches/, else what came with the tool].",
)
@click.option("-v", "--verbose", is_flag=True, help="Show each command that is run.")
@click.version_option(__version__, "-V", "--version", prog_name="bigtop-builder")
@click.pass_context
def cli(context: click.Context, settings: Path | None, project: Path | None, *, verbose: bool) -> None:
    """From one Apache Bigtop release and a queue of local patches to a signed apt repository.

    Example: bigtop-builder plan 3.5.0 -c zookeeper

    Exit codes: 0 done, 1 a check failed, 2 bad usage or input, 3 environment missing, 4 tree, 5 source,
    6 image, 7 build, 8 verification could not run, 9 signing, 10 publishing, 129, 130 or 143 interrupted.

    Recipes, patches and the repository's definition are the project's: --project names it. A line on stderr says
    which one is taken when it is neither named so nor this folder or a parent.
    """
    context.obj = {"settings": settings, "project": project, "verbose": verbose}
