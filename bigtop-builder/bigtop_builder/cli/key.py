# SPDX-License-Identifier: Apache-2.0
"""`key new|list|export|package`: the keys that sign the repository."""

import logging
import os
from pathlib import Path
from typing import Any, Literal

import click

from bigtop_builder.cli.context import answer, json_option, setting_up, table
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import PASSPHRASE_VARIABLE
from bigtop_builder.publishing import keyring_deb, load_archive

log = logging.getLogger(__name__)


@click.group(
    help=f"Signing keys. A passphrase is read from {PASSPHRASE_VARIABLE}, never from the command line."
)
def key() -> None:
    """Group of the commands below."""


@key.command(epilog='Example: bigtop-builder key new "Example Archive" archive@example.org')
@click.argument("name")
@click.argument("email")
@click.option("--algorithm", type=click.Choice(["ed25519", "rsa4096"]), default="ed25519", show_default=True)
@click.option(
    "--expires", default="2y", show_default=True, help="90d, 6w, 18m, 2y, a day as 2030-12-31, or never."
)
@json_option
@click.pass_context
def new(
    context: click.Context,
    name: str,
    email: str,
    algorithm: Literal["ed25519", "rsa4096"],
    expires: str,
    *,
    as_json: bool,
) -> None:
    """Make a key and print its full fingerprint, which goes into repo/repository.toml."""
    _, settings = setting_up(context)
    store = KeyStore(settings.keys_dir)
    fingerprint = store.new(name, email, algorithm=algorithm, expires=expires, passphrase=passphrase())
    answer({"fingerprint": fingerprint, "store": str(store.folder)}, as_json=as_json, text=fingerprint)


@key.command("list", epilog="Example: bigtop-builder key list")
@json_option
@click.pass_context
def list_(context: click.Context, *, as_json: bool) -> None:
    """List the keys of this site's key store."""
    _, settings = setting_up(context)
    keys, problems = KeyStore(settings.keys_dir).listing()
    for problem in problems:
        log.warning("left out: %s\n  way out: %s", problem.brief, problem.hint)
    rows: list[dict[str, Any]] = [
        {
            "fingerprint": one.fingerprint,
            "user": one.user,
            "created": f"{one.created:%Y-%m-%d}",
            "expires": f"{one.expires:%Y-%m-%d}" if one.expires else "never",
            "usable": "yes" if one.usable else "no",
        }
        for one in keys
    ]
    columns = ("fingerprint", "user", "created", "expires", "usable")
    answer(rows, as_json=as_json, text=table(columns, [[row[name] for name in columns] for row in rows]))


@key.command(epilog="Example: bigtop-builder key export FINGERPRINT > repo/FINGERPRINT.asc")
@click.argument("fingerprint")
@click.pass_context
def export(context: click.Context, fingerprint: str) -> None:
    """Print a public key, armored."""
    _, settings = setting_up(context)
    store = KeyStore(settings.keys_dir)
    full = store.full(fingerprint)
    with store.open([full], passphrase=passphrase()) as keyring:
        click.echo(keyring.export_public([full]), nl=False)


@key.command(epilog="Example: bigtop-builder key package .")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.pass_context
def package(context: click.Context, folder: Path) -> None:
    """Build the archive-keyring package of the project's repository into FOLDER, for hosts to begin with."""
    project, settings = setting_up(context)
    archive = load_archive(project, folder=None, store=KeyStore(settings.keys_dir), passphrase=passphrase())
    folder.mkdir(parents=True, exist_ok=True)
    with archive.keyring() as keyring:
        click.echo(str(keyring_deb(archive, keyring, archive.standing(), folder).path))


def passphrase() -> str:
    """The passphrase of the keys, from its variable; empty if there is none."""
    return os.environ.get(PASSPHRASE_VARIABLE, "")
