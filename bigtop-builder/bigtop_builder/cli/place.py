# SPDX-License-Identifier: Apache-2.0
"""What the commands of a repository share: where it lies, who signs, and what they say when they are done."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bigtop_builder.cli.context import answer, passphrase, setting_up
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository.authentic import public_keys
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.published import Published
from bigtop_builder.repository.state import State

if TYPE_CHECKING:
    from bigtop_builder.publishing import Archive

log = logging.getLogger(__name__)

SHOWN = 40
"""Packages that an answer for people lists; --json has all."""

Where = str | Path
"""A folder, or the URL of a bucket."""


class Place(click.Path):
    """A folder, or `s3://bucket/prefix`."""

    def __init__(self) -> None:
        super().__init__(file_okay=False, path_type=Path)

    def convert(
        self,
        value: Any,  # click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """Tell a URL from a folder."""
        return value if "://" in str(value) else super().convert(value, param, ctx)


repo_option = click.option(
    "--repo",
    "folder",
    type=Place(),
    metavar="FOLDER|URL",
    help="Folder of the repository, or s3://bucket/prefix [default: `storage` in repo/repository.toml].",
)


def readable(context: click.Context, parameter: click.Parameter, text: str) -> str:  # noqa: ARG001  # click's signature
    """What was typed, as text that a record can hold: bytes that are no UTF-8 become question marks."""
    return text.encode(errors="replace").decode()


why_option = click.option("--why", default="", callback=readable, help="Reason, for the signed history.")
new_suite_option = click.option(
    "--new-suite", is_flag=True, help="Make the suite if the repository has none of that name."
)
no_sync_option = click.option(
    "--no-sync", is_flag=True, help="Do not wait for the disk: for repositories that nobody would miss."
)


accept_option = click.option(
    "--accept", is_flag=True, help="Let packages vanish from the suite, or be renamed; the history says so."
)
downgrade_option = click.option(
    "--allow-downgrade",
    is_flag=True,
    help="Let the newest version of a package go down; the history says so.",
)


force_option = click.option(
    "--force",
    is_flag=True,
    help="Go on without what `promote` in repo/fleet.toml demands; --why says why, and the history names it.",
)


class Command(click.Command):
    """A command that says how a repository is named when its folder was given as one word too many."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the words of the command line; a word too many is bad usage."""
        ctx.allow_extra_args = True
        extra = super().parse_args(ctx, args)
        if extra and not ctx.resilient_parsing:
            named = any("--repo" in parameter.opts for parameter in self.params)
            way = f": a repository's folder goes after --repo, as in --repo {extra[-1]}" if named else ""
            ctx.fail(f"Got unexpected extra argument {' '.join(extra)}{way}")
        return extra


def archive_of(context: click.Context) -> "Archive":
    """The repository that the project defines."""
    from bigtop_builder.publishing import load_archive  # recipes and manifests: 80 ms

    project, settings = setting_up(context)
    return load_archive(project, folder=None, store=KeyStore.of(settings))


def place_of(context: click.Context, folder: Where | None) -> Where:
    """Where the repository lies: as --repo says it, or the project's definition."""
    setting_up(context, told=folder is None)
    if folder:
        return folder
    archive = archive_of(context)
    there = archive.standing()
    if there and (other := other_keys(archive, there)) and not context.meta.setdefault(__name__, False):
        log.warning("%s", other)
        context.meta[__name__] = True  # a command may ask again
    return archive.folder


def other_keys(archive: "Archive", repository: Repository) -> str:
    """What is to be said of a definition that names other keys than its repository has; empty if it does not."""
    named, there = archive.definition.keys, repository.state.settings().keys
    if not named or set(named) == set(there):
        return ""
    return (
        f"{archive.path} names the keys {', '.join(named)}, and {repository.store.name} is signed by "
        f"{', '.join(there)}\n  way out: write those there, or bigtop-builder key rotate changes the repository's; "
        "one that was cut short is completed by the same command"
    )


@contextmanager
def signing(
    context: click.Context, folder: Where | None, suite: str = "", *, sync: bool = True
) -> Iterator[tuple[Repository, Keyring]]:
    """The repository and its keys; a suite that the project's definition has is made known to it."""
    _, settings = setting_up(context, told=folder is None)
    repository = Repository.open(place_of(context, folder), sync=sync)
    there = repository.state.settings()
    with KeyStore.of(settings).open(there.keys, passphrase=passphrase()) as keyring:
        if folder is None and suite and suite not in there.suites:
            definition = archive_of(context).definition
            if suite in definition.suites:
                repository.define(suite, definition.settings_of(suite))
        yield repository, keyring


def trusted(context: click.Context, folder: Where | None) -> tuple[State, bytes]:
    """The state of the repository, and its public keys, binary, as the key store here has them.

    Never those that lie in the repository: whoever can write there can put a key of his own beside them.

    Raises:
        SigningError: A key of the repository is not in the key store.
    """
    with signing(context, folder) as (repository, keyring):
        return repository.state, public_keys(repository.state, keyring)


def tell(published: Published, *, as_json: bool) -> None:
    """Print what a command did to a suite."""
    answer(published_value(published), as_json=as_json, text=published_text(published))


def published_value(published: Published) -> dict[str, Any]:
    """What a publish did, for --json."""
    value = {name: getattr(published, name) for name in ("suite", "serial", "snapshot", "changed", "mended")}
    for name in ("added", "removed"):
        value[name] = [one.model_dump(mode="json") for one in getattr(published, name)]
    for name in ("vanished", "lowered"):
        value[name] = [asdict(one) for one in getattr(published, name)]
    return value


def published_text(published: Published) -> str:
    """What a publish did, for people."""
    what = "now points to" if published.changed else "points already to"
    head = f"{published.suite} {what} snapshot {published.snapshot[:12]} (serial {published.serial})"
    lines = [
        f"  {verb} {one.name} {one.version} {one.architecture}"
        for verb, packages in (("added", published.added), ("removed", published.removed))
        for one in packages
    ]
    more = [f"  and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    mended = [f"  put back {path}" for path in published.mended]
    return "\n".join([head, *mended, *lines[:SHOWN], *more])
