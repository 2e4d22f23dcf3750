# SPDX-License-Identifier: Apache-2.0
"""Entry point: the one place where errors become text on stderr and an exit code."""

import logging
import signal
import sys
from contextlib import suppress
from typing import NoReturn

from bigtop_builder.errors import BuilderError, InputError
from bigtop_builder.interrupt import Interruption, Signals
from bigtop_builder.machine import refusal_of

log = logging.getLogger(__name__)

KEPT = "what was finished is kept; the same command goes on from there"
"""Said of a command that was interrupted, unless it left a note of its own on the interruption."""
INTERRUPTED = 130
"""Exit status of a command ended by Ctrl-C: 128 + SIGINT (bash(1), EXIT STATUS)."""


def main() -> NoReturn:
    """Run the command line as this process, and end it by an exit status whatever signal comes."""
    signals = Signals()
    try:
        command()
    except SystemExit as end:
        signals.leave(end.code if isinstance(end.code, int) else int(end.code is not None))
        raise


def command() -> NoReturn:
    """Run the command line; signals are the caller's."""
    import click

    from bigtop_builder.cli import cli

    try:
        sys.exit(cli.main(prog_name="bigtop-builder", standalone_mode=False))
    except click.UsageError as error:
        usage = error.ctx.get_usage() if error.ctx else ""
        if usage and error.format_message().startswith(usage):  # a group alone: click answers with its help
            sys.stderr.write(f"{error.format_message()}\n")
            sys.exit(error.exit_code)
        sys.stderr.write(f"{usage}\n" if usage else "")
        way_out = f"{error.ctx.command_path} --help" if error.ctx else "bigtop-builder --help"
        if isinstance(error, click.NoSuchOption) and error.ctx:
            name, words = error.option_name, error.ctx.command_path.split(" ", 1)
            if any(name in option.opts for option in cli.params):
                way_out = f"{name} goes before the command: {f' {name} … '.join(words)}"
        complain(InputError(error.format_message(), hint=way_out))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BuilderError as error:
        complain(error)
    except (click.Abort, KeyboardInterrupt, Interruption) as error:
        interrupted(error)
    except OSError as error:
        told = refusal_of(error)
        if told is None:
            raise
        log.debug("where it happened:", exc_info=error)
        complain(told)


def interrupted(error: BaseException) -> NoReturn:
    """Say that a signal ended the command, if there is still a terminal to say it to, and leave with its status."""
    status = error.code if isinstance(error, Interruption) and isinstance(error.code, int) else INTERRUPTED
    said = getattr(error.__cause__ or error, "__notes__", [KEPT])  # click lets Ctrl-C be the cause of its own
    by = "" if status == INTERRUPTED else f" by {signal.Signals(status - 128).name}"
    with suppress(OSError):
        sys.stderr.write(f"interrupted{by}: {'; '.join(said)}\n")
    sys.exit(status)


def complain(error: BuilderError) -> NoReturn:
    """Print an error the way people read it, and leave with its exit code."""
    sys.stderr.write(f"error: {error.brief}\n")
    for line in error.details.rstrip().splitlines():
        sys.stderr.write(f"  {line}\n")
    if error.hint:
        sys.stderr.write(f"way out: {error.hint}\n")
    sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
