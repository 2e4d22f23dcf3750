# SPDX-License-Identifier: Apache-2.0
"""Entry point: the one place where errors become text on stderr and an exit code."""

import errno
import sys

from bigtop_builder.errors import BuilderError, EnvironmentMissing

INTERRUPTED = 130
"""Exit status of a command ended by Ctrl-C: 128 + SIGINT (bash(1), EXIT STATUS)."""


def main() -> None:
    """Run the command line."""
    import click

    from bigtop_builder.cli import cli

    try:
        sys.exit(cli.main(prog_name="bigtop-builder", standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BuilderError as error:
        complain(error)
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("interrupted: what was finished is kept; the same command goes on from there\n")
        sys.exit(INTERRUPTED)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        complain(
            EnvironmentMissing(
                f"the disk is full: {error.filename or error}",
                hint="free space, then run the same command again",
            )
        )


def complain(error: BuilderError) -> None:
    """Print an error the way people read it, and leave with its exit code."""
    sys.stderr.write(f"error: {error.brief}\n")
    for line in error.details.rstrip().splitlines():
        sys.stderr.write(f"  {line}\n")
    if error.hint:
        sys.stderr.write(f"way out: {error.hint}\n")
    sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
