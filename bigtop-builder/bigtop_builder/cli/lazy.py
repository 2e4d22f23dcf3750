# SPDX-License-Identifier: Apache-2.0
"""Groups whose commands are imported when they are called: a publish does not pay for what it does not use."""

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """A group whose commands live in modules of their own.

    Args:
        verbs: Command -> module of this package that has it, under its own name (`_` for `-`) or with `_` after
            it, and its help in one line: `--help` imports none of them.
        kwargs: What click's groups take.
    """

    def __init__(self, *, verbs: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """All commands, by name."""
        return sorted(self._verbs)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; of a misspelt one the nearest is named."""
        mistaken = args and args[0] not in self._verbs and not args[0].startswith("-")
        if mistaken and not ctx.resilient_parsing:  # a shell that completes a word wants no usage
            import difflib  # 10 ms that only a mistake should pay

            close = difflib.get_close_matches(args[0], self._verbs, 1)
            ctx.fail(f"No such command {args[0]!r}{f'; did you mean {close[0]}?' if close else '.'}")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        """Import a command."""
        if cmd_name not in self._verbs:
            return None
        module = importlib.import_module(f"bigtop_builder.cli.{self._verbs[cmd_name][0]}")
        own = cmd_name.replace("-", "_")
        named = (getattr(module, name, None) for name in (own, f"{own}_"))
        return next(found for found in named if isinstance(found, click.Command))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(self._verbs.items())])
