# SPDX-License-Identifier: Apache-2.0
"""`quickstart`: the whole road on the miniature Bigtop, command by command."""

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from bigtop_builder.cli.context import builder_option, passphrase, setting_up
from bigtop_builder.keys import KeyStore
from bigtop_builder.miniature import RELEASES
from bigtop_builder.place import Place
from bigtop_builder.publishing import load_archive
from bigtop_builder.quickstart import (
    HOST,
    define,
    found,
    free_port,
    live,
    next_commands,
    own_settings,
    prepare,
    settings_of,
    show_queue,
)
from bigtop_builder.settings import load_settings, settings_file
from bigtop_builder.survey import survey
from bigtop_builder.workspace import Project, bundled_project


class Player:
    """Runs commands of the tool in this process, showing each as a user would type it."""

    def __init__(self, project: Project, *, builder: str, verbose: bool, unset: Sequence[str] = ()) -> None:
        # Out of a checkout the tool is not on PATH, and what is shown should work as it stands.
        program = "bigtop-builder" if shutil.which("bigtop-builder") else sys.argv[0]
        self._options = [f"--settings={settings_of(project)}", f"--project={project.root}"]
        without = ["env", *(f"--unset={name}" for name in unset)] if unset else []
        self.words = [*without, program, *self._options]
        self._builder = [f"--builder={builder}"] if builder != "docker" else []
        self._verbose = ["--verbose"] if verbose else []

    def __call__(self, *words: str) -> None:
        """Run one command.

        Raises:
            BuilderError: What the command raised.
        """
        from bigtop_builder.cli import cli

        building = self._builder if words[0] in {"plan", "release"} else []
        click.echo(f"\n$ {shlex.join([*self.words, *words, *building])}")
        sys.stdout.flush()
        line = [*self._verbose, *self._options, *words, *building]
        cli.main(line, prog_name="bigtop-builder", standalone_mode=False)


@click.command(epilog="Example: bigtop-builder quickstart --dir /tmp/bigtop")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default="quickstart",
    show_default=True,
    help="Folder for the project; an earlier quickstart's is made anew.",
)
@builder_option
@click.option(
    "--only-project",
    is_flag=True,
    help="Lay out the miniature as a project of your own in --dir, and stop there: no key, nothing built.",
)
@click.pass_context
def quickstart(context: click.Context, folder: Path, builder: str, *, only_project: bool) -> None:
    """Walk the whole road on the miniature Bigtop.

    First a patch of its queue, and what each patch is on each release. Then two releases are built, verified,
    signed and published; a clean host that trusts only the keyring package installs the first over HTTP, upgrades
    to the second and goes back. In the end the same is rehearsed as a fleet's upgrade day, in short.
    """
    with own_settings() as unset:
        setting_up(context, told=False)
        if only_project:
            _only_project(found(bundled_project(), folder))
        else:
            _walk(context, folder, builder, unset)


def _only_project(project: Project) -> None:
    root = shlex.quote(str(project.root))
    for line in (
        f"{project.root} holds the miniature's recipes, sources, patches, git repository and definition.",
        "Next: make a key, write its fingerprint into `keys` of repo/repository.toml, and build.",
        f"  cd {root}",
        "  bigtop-builder key new NAME EMAIL",
        f"  bigtop-builder plan {RELEASES[0]} --bump",
        f"  bigtop-builder release {RELEASES[0]} --suite testing",
    ):
        click.echo(line)


def _walk(context: click.Context, folder: Path, builder: str, unset: Sequence[str]) -> None:
    project = prepare(bundled_project(), folder, settings_file(context.find_root().obj["settings"]))
    do = Player(project, builder=builder, verbose=context.find_root().obj["verbose"], unset=unset)
    settings = load_settings(settings_of(project))
    port = free_port()
    click.echo("The miniature Bigtop has two releases, and a queue of three local patches. One of them, and")
    click.echo("what each is on each release:")
    show_queue(project, do=do, say=click.echo)
    click.echo("\nNow a key, and the first release.")
    store = KeyStore.of(settings)
    before = set(store.fingerprints())
    do("key", "new", "Quickstart", "quickstart@example.org")
    (key,) = set(store.fingerprints()) - before
    define(project, key=key, url=f"http://{HOST}:{port}")
    do("repo", "init")
    do("plan", RELEASES[0], "--bump")
    do("release", RELEASES[0], "--suite", "testing")
    do("repo", "promote", "testing", "stable", "--why", f"{RELEASES[0]} is the first")
    archive = load_archive(project, folder=None, store=store, passphrase=passphrase())
    click.echo("\nThe repository:")
    click.echo("\n".join(_listing(archive.on_disk)))
    road = survey(RELEASES[0], project=project, settings=settings, host=builder == "host")
    click.echo("\nA clean host that trusts only the keyring package, and what it does:")
    with Place(road) as place:
        live(archive, place.targets, port=port, do=do, say=click.echo)
    if builder == "docker":
        click.echo(
            "\nWhat that host did by hand is an upgrade day for a fleet. In short, for one role and without"
        )
        click.echo("faults, it is rehearsed in a container: there, and back.")
        do("fleet", "rehearse", "stable", "testing", "--role", "client", "--no-faults")
    click.echo(f"\n{next_commands(do.words, port=port)}")


def _listing(folder: Path) -> list[str]:
    """The repository as clients see it: dists/ and pool/."""
    found = [path for part in ("dists", "pool") for path in sorted((folder / part).rglob("*"))]
    shown = [path for path in found if path.is_file() or path.is_symlink()]
    return [
        f"  {path.relative_to(folder)}{f' -> {path.readlink()}' if path.is_symlink() else ''}"
        for path in shown
    ]
