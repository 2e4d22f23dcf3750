# SPDX-License-Identifier: Apache-2.0
"""`fleet verify-host`: a host held against the manifest, here or by a file that goes there."""

import sys
from pathlib import Path
from typing import Any

import click

from bigtop_builder.cli.place import Command
from bigtop_builder.errors import InputError
from bigtop_builder.fleet.host_program import program
from bigtop_builder.fleet.verify_host.asked import AGE, Asked
from bigtop_builder.fleet.verify_host.command import act

file_option = click.Path(dir_okay=False, path_type=Path)


@click.command(
    cls=Command,
    epilog="Example: bigtop-builder fleet verify-host --write verify-host, then on each host: ./verify-host "
    "fleet-manifest.json --role worker --json",
)
@click.argument("manifest", type=file_option, required=False)
@click.option(
    "--write", "target", type=file_option, help="Write the file that does this on hosts, and do no more."
)
@click.option("--signature", type=file_option, help="Signature of MANIFEST [default: MANIFEST.asc].")
@click.option(
    "--keyring",
    type=file_option,
    help="Public keys, binary [default: those of the keyring package that is installed for MANIFEST's origin].",
)
@click.option(
    "--role", "roles", multiple=True, help="Role of the host, whose packages must be there; repeatable."
)
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default="/",
    show_default=True,
    help="Folder that the host lies in: an image that is unpacked.",
)
@click.option(
    "--withdrawn",
    type=file_option,
    help="state/withdrawn.asc of the repository: snapshots that are out of use.",
)
@click.option(
    "--guard",
    type=click.Choice(["off", "on"]),
    default="off",
    show_default=True,
    help="How policy-rc.d is to stand, which keeps packages from starting services.",
)
@click.option(
    "--max-age",
    type=click.IntRange(min=0),
    default=AGE,
    show_default=True,
    metavar="DAYS",
    help="Days without `apt-get update` from which apt's lists are stale; 0 for never.",
)
@click.option(
    "--origin", default="", help="Origin that MANIFEST must have [default: any; it names the keyring]."
)
@click.option("--host", default="", help="Name of the host in the report [default: its own].")
@click.option("--quick", is_flag=True, help="Leave out the content of files.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def verify_host(manifest: Path | None, target: Path | None, **how: Any) -> None:
    """Hold this host against MANIFEST, the signed manifest of a snapshot; nothing is changed.

    Installed packages are compared by version and hash, their files by md5sums, and what apt would install by its
    SHA256. Exit codes: 0 as the manifest says, 1 differs, 2 wrong use or a manifest that is not to be trusted,
    3 nothing differs and something could not be read.
    """
    if target:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(program())
        target.chmod(0o755)
        click.echo(target)
    elif manifest is None:
        raise InputError("no manifest is named", hint="name fleet-manifest.json, or give --write FILE")
    else:
        sys.exit(act(Asked(manifest=manifest, **how)))
