# SPDX-License-Identifier: Apache-2.0
"""What the commands of `upstream` share: their options, and one patch after another past those that fail."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import click

from bigtop_builder.cli.patch_options import chosen
from bigtop_builder.errors import BuilderError, CheckFailed
from bigtop_builder.workspace import Project

Done = TypeVar("Done")

patches_argument = click.argument("words", nargs=-1, required=True, metavar="TARGET/NAME...")
release_option = click.option(
    "--release", default="", help="Take the diff for this release [default: the newest that lists the patch]."
)


@dataclass(frozen=True)
class Failed:
    """What could not be done.

    Attributes:
        errors: Patch -> why.
    """

    errors: dict[str, BuilderError]

    def require_none(self) -> None:
        """Raise the error of the one patch that failed, or one for all of them.

        Raises:
            BuilderError: One failed.
        """
        if len(self.errors) == 1:
            raise next(iter(self.errors.values()))
        if self.errors:
            raise CheckFailed(
                f"{len(self.errors)} patches failed: {', '.join(self.errors)}",
                details="\n\n".join(map(str, self.errors.values())),
            )


def each(words: Sequence[str], act: Callable[[str], Done], project: Project) -> tuple[list[Done], Failed]:
    """Do it for all patches that are named, one after another, past those that fail."""
    done: list[Done] = []
    errors: dict[str, BuilderError] = {}
    for patch_id in chosen(words, project):
        try:
            done.append(act(patch_id))
        except BuilderError as error:
            errors[patch_id] = error
    return done, Failed(errors)
