# SPDX-License-Identifier: Apache-2.0
"""`repo init|add|list|check|promote|rollback|refresh|serve`: the apt repository, for any .deb files."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from bigtop_builder.artifact import Deb, read_deb
from bigtop_builder.cli.context import answer, json_option, setting_up, table
from bigtop_builder.cli.key import passphrase
from bigtop_builder.errors import CheckFailed, InputError, PublishError
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.publishing import Archive, load_archive
from bigtop_builder.repository.check import check as check_state
from bigtop_builder.repository.publish import Published, Repository
from bigtop_builder.repository.serve import serve as serve_folder

repo_option = click.option(
    "--repo",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the repository [default: `storage` in repo/repository.toml].",
)
why_option = click.option("--why", default="", help="Reason, for the signed history.")
new_suite_option = click.option(
    "--new-suite", is_flag=True, help="Make the suite if the repository has none of that name."
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


class Group(click.Group):
    """The commands of a repository."""

    command_class = Command


@click.group(cls=Group)
def repo() -> None:
    """The apt repository. It stands on its own: any .deb files may go in."""


@repo.command(epilog="Example: bigtop-builder repo init /srv/apt --key FINGERPRINT --origin Example")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), required=False)
@click.option("--key", "keys", multiple=True, help="Full fingerprint that signs; repeatable.")
@click.option(
    "--origin", default="bigtop-builder", show_default=True, help="Origin in Release; never changes."
)
@click.option("--label", default="", help="Label in Release; never changes [default: the origin].")
@click.pass_context
def init(context: click.Context, folder: Path | None, keys: tuple[str, ...], origin: str, label: str) -> None:
    """Make a repository in FOLDER, or the one that repo/repository.toml defines."""
    project, settings = setting_up(context)
    store = KeyStore(settings.keys_dir)
    if folder is None:
        archive = load_archive(project, folder=None, store=store, passphrase=passphrase())
        with archive.keyring() as keyring:
            archive.open(keyring)
        click.echo(str(archive.folder))
        return
    if not keys:
        raise InputError(
            "a repository needs a key", hint="--key FINGERPRINT; bigtop-builder key new makes one"
        )
    full = [store.full(key) for key in keys]
    with store.open(full, passphrase=passphrase()) as keyring:
        Repository.init(folder, origin=origin, label=label, keyring=keyring, fingerprints=full)
    click.echo(str(folder))


@repo.command(epilog="Example: bigtop-builder repo add testing ./debs --repo /srv/apt")
@click.argument("suite")
@click.argument("debs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@repo_option
@click.option("--component", default="main", show_default=True, help="Component of the suite.")
@new_suite_option
@why_option
@json_option
@click.pass_context
def add(
    context: click.Context,
    suite: str,
    debs: tuple[Path, ...],
    folder: Path | None,
    component: str,
    why: str,
    *,
    new_suite: bool,
    as_json: bool,
) -> None:
    """Bring DEBS, files or folders of them, into SUITE."""
    files = [_deb(path) for given in debs for path in _paths(given)]
    with _signing(context, folder, suite) as (repository, keyring):
        done = repository.add(
            suite, files, component=component, keyring=keyring, new_suite=new_suite, why=why
        )
    _tell(done, as_json=as_json)


@repo.command("list", epilog="Example: bigtop-builder repo list --repo /srv/apt")
@repo_option
@json_option
@click.pass_context
def list_(context: click.Context, folder: Path | None, *, as_json: bool) -> None:
    """List suites with the snapshots they point to, and the packages in them."""
    repository = Repository.open(_folder(context, folder))
    rows = []
    for suite in repository.state.settings().suites:
        pointer = repository.state.pointer(suite)
        if pointer is None:
            continue
        snapshot = repository.state.snapshot(pointer.snapshot)
        stanzas = {
            (stanza.name, stanza.version, stanza.architecture)
            for indices in snapshot.components.values()
            for index in indices.values()
            for stanza in repository.state.packages(index)
        }
        rows += [(suite, str(pointer.serial), pointer.snapshot[:12], *stanza) for stanza in sorted(stanzas)]
    columns = ("suite", "serial", "snapshot", "package", "version", "architecture")
    answer([dict(zip(columns, row, strict=True)) for row in rows], as_json=as_json, text=table(columns, rows))


@repo.command(epilog="Example: bigtop-builder repo check --repo /srv/apt")
@repo_option
@click.pass_context
def check(context: click.Context, folder: Path | None) -> None:
    """Verify every hash, signature and reference, and say what is wrong."""
    place = _folder(context, folder)
    if problems := check_state(Repository.open(place).state):
        raise CheckFailed(f"{place} is not whole: {len(problems)} problems", details="\n".join(problems))
    click.echo(f"{place}: every hash, signature and reference holds")


@repo.command(epilog="Example: bigtop-builder repo promote testing stable --why 'canary is green'")
@click.argument("source")
@click.argument("target")
@repo_option
@new_suite_option
@why_option
@json_option
@click.pass_context
def promote(
    context: click.Context,
    source: str,
    target: str,
    folder: Path | None,
    why: str,
    *,
    new_suite: bool,
    as_json: bool,
) -> None:
    """Point suite TARGET to the snapshot that suite SOURCE points to."""
    with _signing(context, folder, target) as (repository, keyring):
        done = repository.promote(source, target, keyring=keyring, new_suite=new_suite, why=why)
    _tell(done, as_json=as_json)


@repo.command(epilog="Example: bigtop-builder repo rollback stable --why 'namenode does not start'")
@click.argument("suite")
@click.option("--to", default="", help="Snapshot id, or its beginning [default: the one before].")
@repo_option
@why_option
@json_option
@click.pass_context
def rollback(
    context: click.Context, suite: str, to: str, folder: Path | None, why: str, *, as_json: bool
) -> None:
    """Point SUITE to a snapshot that it pointed to before; hosts take it as news."""
    with _signing(context, folder) as (repository, keyring):
        _tell(repository.rollback(suite, to=to, keyring=keyring, why=why), as_json=as_json)


@repo.command(epilog="Example: bigtop-builder repo refresh stable")
@click.argument("suite")
@repo_option
@json_option
@click.pass_context
def refresh(context: click.Context, suite: str, folder: Path | None, *, as_json: bool) -> None:
    """Sign SUITE anew, with a new Date and Valid-Until."""
    with _signing(context, folder) as (repository, keyring):
        _tell(repository.refresh(suite, keyring=keyring), as_json=as_json)


@repo.command(epilog="Example: bigtop-builder repo serve --port 8080")
@repo_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port; 0 picks a free one."
)
@click.pass_context
def serve(context: click.Context, folder: Path | None, host: str, port: int) -> None:
    """Serve the repository over HTTP until Ctrl-C, for trying it out."""
    place = _folder(context, folder)
    Repository.open(place)
    with serve_folder(place, host=host, port=port) as url, suppress(KeyboardInterrupt):
        click.echo(url)
        while True:
            time.sleep(3600)


def _archive(context: click.Context) -> Archive:
    project, settings = setting_up(context)
    return load_archive(project, folder=None, store=KeyStore(settings.keys_dir))


def _folder(context: click.Context, folder: Path | None) -> Path:
    setting_up(context)
    return folder or _archive(context).folder


def _paths(given: Path) -> list[Path]:
    """A file, or the packages in a folder."""
    if not given.is_dir():
        return [given]
    if found := sorted(given.glob("*.deb")):
        return found
    raise InputError(
        f"{given} holds no .deb", hint="name .deb files or the folder that they lie in, as build/RELEASE/debs"
    )


def _deb(path: Path) -> Deb:
    """Read a package.

    Raises:
        PublishError: It is none: here that is a package which the repository refuses.
    """
    try:
        return read_deb(path)
    except CheckFailed as error:
        raise PublishError(error.brief, details=error.details, hint=error.hint) from error


@contextmanager
def _signing(
    context: click.Context, folder: Path | None, suite: str = ""
) -> Iterator[tuple[Repository, Keyring]]:
    """The repository and its keys; a suite that the project's definition has is made known to it."""
    _, settings = setting_up(context)
    repository = Repository.open(_folder(context, folder))
    there = repository.state.settings()
    with KeyStore(settings.keys_dir).open(there.keys, passphrase=passphrase()) as keyring:
        if folder is None and suite and suite not in there.suites:
            definition = _archive(context).definition
            if suite in definition.suites:
                repository.define(suite, definition.settings_of(suite))
        yield repository, keyring


def _tell(published: Published, *, as_json: bool) -> None:
    answer(published_value(published), as_json=as_json, text=published_text(published))


def published_value(published: Published) -> dict[str, Any]:
    """What a publish did, for --json."""
    value = {name: getattr(published, name) for name in ("suite", "serial", "snapshot", "changed")}
    return {**value, "added": [one.model_dump(mode="json") for one in published.added]}


def published_text(published: Published) -> str:
    """What a publish did, for people."""
    what = "now points to" if published.changed else "points already to"
    added = [f"  added {one.name} {one.version} {one.architecture}" for one in published.added]
    head = f"{published.suite} {what} snapshot {published.snapshot[:12]} (serial {published.serial})"
    return "\n".join([head, *added])
