# SPDX-License-Identifier: Apache-2.0
"""The command line: arguments in, exit code out. Commands are imported when they are called."""

from pathlib import Path

import click

from bigtop_builder import __version__
from bigtop_builder.cli.lazy import LazyGroup

COMMANDS = {
    "build": ("build", "Build a release's packages."),
    "cache": ("cache", "Build results on this machine: gc."),
    "ci": ("ci", "What pipelines ask for: tags."),
    "doctor": ("doctor", "Say what is missing on this machine, and the command that mends it."),
    "fleet": ("fleet", "The hosts of a snapshot: hosts, lists, manifest, sources."),
    "image": ("image", "Builder images: build, list, pin."),
    "key": ("key", "Signing keys: new, import, list, export, package, rotate, revoke."),
    "patch": ("patch", "The patch queue: new, import, edit, export, refresh, rebase, status, lint, drop."),
    "plan": ("plan", "Show what a release takes, and why."),
    "provenance": ("provenance", "Say where a package comes from, by its signed statement."),
    "quickstart": ("quickstart", "The whole road on the miniature Bigtop."),
    "recipe": ("recipe", "Recipes: new, a draft for a release that upstream has tagged."),
    "release": ("release", "Build, verify, sign and publish in one."),
    "repo": (
        "repo",
        (
            "The apt repository: init, add, remove, list, history, check, snapshot, promote, rollback, retire, "
            "refresh, withdraw, gc, export, serve."
        ),
    ),
    "sbom": ("sbom", "The jars in packages: show, find, diff."),
    "source": ("source", "Component sources: fetch, verify, pin."),
    "upstream": ("upstream", "Patches on their way upstream: prepare, submit, sync, status."),
    "verify": ("verify", "Check a release's packages and write the verdict."),
}
"""Command -> module of this package, and its help in one line: `--help` imports none of them."""


@click.group(
    cls=LazyGroup,
    verbs=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
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
    "(repository.toml) [default: BIGTOP_BUILDER_PROJECT, else this folder or a parent with "
    "recipes/*.toml, else what came with the tool].",
)
@click.option("-v", "--verbose", is_flag=True, help="Show each command that is run.")
@click.version_option(__version__, "-V", "--version", prog_name="bigtop-builder")
@click.pass_context
def cli(context: click.Context, settings: Path | None, project: Path | None, *, verbose: bool) -> None:
    """From one Apache Bigtop release and a queue of local patches to a signed apt repository.

    Example: bigtop-builder plan 3.5.0 -c zookeeper

    Exit codes: 0 done, 1 a check failed, 2 bad usage or input, 3 environment missing, 4 tree, 5 source,
    6 image, 7 build, 8 verification could not run, 9 signing, 10 publishing, 11 upstream,
    129, 130 or 143 interrupted.

    Recipes, patches and the repository's definition are the project's: --project names it. A line on stderr says
    which one is taken when it is neither named so nor this folder or a parent.
    """
    context.obj = {"settings": settings, "project": project, "verbose": verbose}
