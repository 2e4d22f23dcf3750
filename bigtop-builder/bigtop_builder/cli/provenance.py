# SPDX-License-Identifier: Apache-2.0
"""`provenance`: where a package comes from, by a signed statement."""

from pathlib import Path
from typing import Any

import click

from bigtop_builder.cli.context import answer, json_option, table
from bigtop_builder.cli.holdings import holdings, one_of, snapshot_option, suite_option
from bigtop_builder.cli.place import Command, Where, place_of, repo_option
from bigtop_builder.errors import InputError, SigningError
from bigtop_builder.holdings import Provenance
from bigtop_builder.openpgp import ClockBehindError, Keyring
from bigtop_builder.repository.authentic import kept_keys
from bigtop_builder.repository.publish import Repository

COLUMNS = ("taken", "digest", "where")
PUBLIC_KEYS = (
    "the public keys of whoever publishes: what `bigtop-builder key export` prints there, or the file of the "
    "archive-keyring package"
)


@click.command(cls=Command, epilog="Example: bigtop-builder provenance zookeeper --suite stable")
@click.argument("package", metavar="DEB|NAME")
@suite_option
@snapshot_option
@click.option(
    "--keyring",
    "keys",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of public keys of which one must have signed [default: what the repository keeps, which tells an "
    "accident, and no forger].",
)
@click.option("--envelope", is_flag=True, help="Print the signed envelope (DSSE) instead, for other tools.")
@repo_option
@json_option
@click.pass_context
def provenance(
    context: click.Context,
    package: str,
    suite: str,
    snapshot: str,
    keys: Path | None,
    folder: Where | None,
    *,
    envelope: bool,
    as_json: bool,
) -> None:
    """Say where a .deb file, or the package NAME (or NAME=VERSION) of a suite, comes from; its signature is verified.

    --json prints the statement: in-toto v1 with SLSA v1 provenance.
    """
    repository = Repository.open(place_of(context, folder))
    public = _public(keys) if keys else b"".join(kept_keys(repository.state).values())
    try:
        found = holdings(context, folder).provenance(package, one_of(suite, snapshot), public=public)
    except SigningError as error:
        if not keys or error.hint:
            raise
        raise SigningError(
            error.brief,
            details=error.details,
            hint=f"none of the keys of {keys} has signed it: take {PUBLIC_KEYS}, from whom you trust",
        ) from error
    if envelope:
        click.echo(found.envelope.to_json(), nl=False)
    else:
        answer(found.statement, as_json=as_json, text=_text(found))


def _public(path: Path) -> bytes:
    """Keys of a file, armored or not.

    Raises:
        InputError: There is none in it.
    """
    with Keyring() as keyring:
        try:
            fingerprints = keyring.import_key(path.read_bytes())
        except ClockBehindError:
            raise
        except SigningError as error:
            raise InputError(
                f"--keyring {path} has no OpenPGP key", details=error.details, hint=f"give {PUBLIC_KEYS}"
            ) from error
        return keyring.export_public(fingerprints, armor=False)


def _text(found: Provenance) -> str:
    said: dict[str, Any] = found.statement["predicate"]
    definition, details = said["buildDefinition"], said["runDetails"]
    asked, ran = definition["externalParameters"], details["metadata"]
    tool = ", ".join(f"{name} {version}" for name, version in details["builder"]["version"].items())
    rows = [
        (one["name"], _digest(one.get("digest", {})), one.get("uri", ""))
        for one in definition["resolvedDependencies"]
    ]
    return "\n".join(
        [
            *(f"{one['name']}  sha256 {one['digest']['sha256']}" for one in found.statement["subject"]),
            f"{asked['component']} {asked['version']} of recipe {asked['recipe']['id']}",
            f"built {ran['startedOn']} to {ran['finishedOn']} by {tool} ({details['builder']['id']})",
            f"step {ran['invocationId']}",
            f"signed by {', '.join(found.signers)}",
            "",
            table(COLUMNS, rows),
        ]
    )


def _digest(digest: dict[str, str]) -> str:
    return ", ".join(f"{algorithm} {value[:16]}" for algorithm, value in digest.items())
