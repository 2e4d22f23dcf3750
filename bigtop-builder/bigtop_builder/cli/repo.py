# SPDX-License-Identifier: Apache-2.0
"""`repo init|add|list|check|promote|rollback|refresh|serve`: the apt repository, for any .deb files."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from bigtop_builder.artifact import read_deb
from bigtop_builder.cli.context import answer, json_option, setting_up, table
from bigtop_builder.cli.key import passphrase
from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.keys import Keyring, KeyStore
from bigtop_builder.publishing import load_archive
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


@click.group()
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
    with store.open(keys, passphrase=passphrase()) as keyring:
        Repository.init(folder, origin=origin, label=label, keyring=keyring, fingerprints=keys)
    click.echo(str(folder))


@repo.command(epilog="Example: bigtop-builder repo add testing ./debs --repo /srv/apt")
@click.argument("suite")
@click.argument("debs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@repo_option
@click.option("--component", default="main", show_default=True, help="Component of the suite.")
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
    as_json: bool,
) -> None:
    """Bring DEBS, files or folders of them, into SUITE."""
    paths = [path for given in debs for path in (sorted(given.glob("*.deb")) if given.is_dir() else [given])]
    files = [read_deb(path) for path in paths]
    if not files:
        raise InputError(f"{', '.join(map(str, debs))} holds no .deb")
    with _signing(context, folder) as (repository, keyring):
        _tell(repository.add(suite, files, component=component, keyring=keyring, why=why), as_json=as_json)


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
@why_option
@json_option
@click.pass_context
def promote(
    context: click.Context, source: str, target: str, folder: Path | None, why: str, *, as_json: bool
) -> None:
    """Point suite TARGET to the snapshot that suite SOURCE points to."""
    with _signing(context, folder) as (repository, keyring):
        _tell(repository.promote(source, target, keyring=keyring, why=why), as_json=as_json)


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
@click.option("--port", default=8080, show_default=True, help="Port; 0 picks a free one.")
@click.pass_context
def serve(context: click.Context, folder: Path | None, host: str, port: int) -> None:
    """Serve the repository over HTTP until Ctrl-C, for trying it out."""
    with serve_folder(_folder(context, folder), host=host, port=port) as url:
        click.echo(url)
        while True:
            time.sleep(3600)


def _folder(context: click.Context, folder: Path | None) -> Path:
    project, settings = setting_up(context)
    return folder or load_archive(project, folder=None, store=KeyStore(settings.keys_dir)).folder


@contextmanager
def _signing(context: click.Context, folder: Path | None) -> Iterator[tuple[Repository, Keyring]]:
    _, settings = setting_up(context)
    repository = Repository.open(_folder(context, folder))
    keys = repository.state.settings().keys
    with KeyStore(settings.keys_dir).open(keys, passphrase=passphrase()) as keyring:
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
