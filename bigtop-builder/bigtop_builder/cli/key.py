# SPDX-License-Identifier: Apache-2.0
"""`key new|import|list|export|package|rotate|revoke`: the keys that sign the repository."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from bigtop_builder.cli.context import answer, json_option, passphrase, setting_up, table
from bigtop_builder.cli.place import Where, archive_of, repo_option, why_option
from bigtop_builder.errors import InputError
from bigtop_builder.keys import REVOCATION, RSA, SECRET, VARIABLE, KeyStore
from bigtop_builder.openpgp import PASSPHRASE_VARIABLE, Algorithm
from bigtop_builder.repository.rotation import require_signing

if TYPE_CHECKING:
    from bigtop_builder.succession import Spread, Succession

log = logging.getLogger(__name__)


@click.group(
    help=f"""Signing keys.

    A passphrase is read from {PASSPHRASE_VARIABLE}, and a secret key that is not in the store from {VARIABLE}
    (armored): never from the command line."""
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
@click.option(
    "--offline-primary",
    "offline",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the primary secret key to this file, for the safe; the store keeps a signing subkey only.",
)
@json_option
@click.pass_context
def new(
    context: click.Context,
    name: str,
    email: str,
    algorithm: Algorithm,
    expires: str,
    offline: Path | None,
    *,
    as_json: bool,
) -> None:
    """Make a key and print its full fingerprint, which goes into repo/repository.toml."""
    _, settings = setting_up(context)
    store = KeyStore.of(settings)
    fingerprint = store.new(
        name, email, algorithm=algorithm, expires=expires, passphrase=passphrase(), offline=offline
    )
    revocation = store.folder / f"{fingerprint}{REVOCATION}"
    if offline is not None:
        bare = "" if passphrase() else f"; no passphrase protects it ({PASSPHRASE_VARIABLE} is not set)"
        log.info("the primary secret key is in %s alone: put it into the safe%s", offline, bare)
    value = {
        "fingerprint": fingerprint,
        "store": str(store.folder),
        "revocation": str(revocation),
        "primary": str(offline or store.folder / f"{fingerprint}{SECRET}"),
    }
    answer(value, as_json=as_json, text=fingerprint)


@key.command("import", epilog="Example: bigtop-builder key import hsm-key.asc")
@click.argument("file", type=click.File("rb"))
@json_option
@click.pass_context
def import_(context: click.Context, file: IO[bytes], *, as_json: bool) -> None:
    """Take keys into the store from FILE (- is standard input): secret ones, or the public half of an HSM's."""
    _, settings = setting_up(context)
    taken = KeyStore.of(settings).take(file.read(), passphrase=passphrase())
    answer({"fingerprints": taken}, as_json=as_json, text="\n".join(taken))


@key.command("list", epilog="Example: bigtop-builder key list")
@json_option
@click.pass_context
def list_(context: click.Context, *, as_json: bool) -> None:
    """List the keys of this site's key store."""
    _, settings = setting_up(context)
    keys, problems = KeyStore.of(settings).listing()
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
@json_option
@click.pass_context
def export(context: click.Context, fingerprint: str, *, as_json: bool) -> None:
    """Print a public key, armored."""
    _, settings = setting_up(context)
    store = KeyStore.of(settings)
    full = store.full(fingerprint)
    with store.open([full], passphrase=passphrase()) as keyring:
        public = keyring.export_public([full]).decode()
    answer({"fingerprint": full, "public": public}, as_json=as_json, text=public.rstrip("\n"))


@key.command(epilog="Example: bigtop-builder key package .")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
@json_option
@click.pass_context
def package(context: click.Context, folder: Path, *, as_json: bool) -> None:
    """Build the archive-keyring package of the project's repository into FOLDER, for hosts to begin with.

    Other content always has another, higher version, and keys_dir keeps a record of what was built here.
    """
    project, settings = setting_up(context)
    from bigtop_builder.publishing import hand_out, load_archive  # recipes and manifests: 80 ms

    archive = load_archive(project, folder=None, store=KeyStore.of(settings), passphrase=passphrase())
    with archive.keyring() as keyring:
        made = hand_out(archive, keyring, archive.standing(), folder)
    answer({"package": str(made)}, as_json=as_json, text=str(made))


@key.command(
    epilog="Example: bigtop-builder key rotate FINGERPRINT; weeks later: key rotate FINGERPRINT --finish"
)
@click.argument("old")
@click.option("--to", "successor", default="", help="Key that follows [default: a new one like OLD].")
@click.option("--finish", is_flag=True, help="End the overlap: OLD signs no more.")
@click.option(
    "--hosts-have-new-key",
    "known",
    is_flag=True,
    help="With --finish: you brought the new key or subkey to all hosts, though no keyring package in suites has it.",
)
@click.option("--subkey", is_flag=True, help="Only the signing subkey changes; the key stays.")
@click.option(
    "--primary",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --subkey: the primary secret key, from the safe.",
)
@click.option("--expires", default="2y", show_default=True, help="Of what is made new.")
@repo_option
@why_option
@json_option
@click.pass_context
def rotate(
    context: click.Context,
    old: str,
    successor: str,
    primary: Path | None,
    expires: str,
    folder: Where | None,
    why: str,
    *,
    finish: bool,
    known: bool,
    subkey: bool,
    as_json: bool,
) -> None:
    """Let another key, or subkey, sign beside OLD, and with --finish in its place.

    In the overlap both sign, and hosts get the new key in the keyring package, from suites that have it. Finish when
    all have it. An OLD that cannot sign any more is replaced at once by --finish --to NEW; hosts then need the
    keyring package by hand. A rotation that was cut short is completed by the same command, with the key it made.
    """
    succession = _succession(context, folder)
    store, old = succession.store, succession.store.full(old)
    settings = succession.repository.state.settings()
    if subkey:
        if successor:
            raise InputError("--to names a key, and --subkey keeps it", hint="leave one of them out")
        require_signing(succession.repository, old)
        new = old
        if finish:
            spread = succession.finish_renewal(old, why=why, known=known)
        else:
            store.new_subkey(old, primary, expires=expires, passphrase=passphrase())
            spread = succession.renew(old, why=why)
    elif finish:
        new = store.full(successor) if successor else ""
        spread = succession.finish(old, new=new, why=why, known=known)
    else:
        require_signing(succession.repository, old)
        new = store.full(successor) if successor else _successor(store, old, settings.keys, expires)
        spread = succession.begin(old, new, why=why)
    _tell(succession, spread, new=new, as_json=as_json)


@key.command(epilog="Example: bigtop-builder key revoke FINGERPRINT --why 'the laptop was stolen'")
@click.argument("fingerprint")
@click.option(
    "--certificate",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Revocation certificate [default: the one beside the key in the store, else one made now].",
)
@repo_option
@why_option
@json_option
@click.pass_context
def revoke(
    context: click.Context,
    fingerprint: str,
    certificate: Path | None,
    folder: Where | None,
    why: str,
    *,
    as_json: bool,
) -> None:
    """Take back a key: the repository refuses it, and the other keys sign all that it signed, histories too."""
    succession = _succession(context, folder)
    store, full = succession.store, succession.store.full(fingerprint)
    proof = store.certificate(full, given=certificate, passphrase=passphrase())
    spread = succession.revoke(full, proof, why=why)
    if full in store.fingerprints():
        store.revoke(full, proof, passphrase=passphrase())
    _tell(succession, spread, new="", as_json=as_json)


def _succession(context: click.Context, folder: Where | None) -> "Succession":
    """The repository whose keys are to change."""
    from bigtop_builder.repository.publish import Repository
    from bigtop_builder.succession import Succession

    _, settings = setting_up(context, told=folder is None)
    archive = archive_of(context) if folder is None else None
    return Succession(
        repository=Repository.open(folder or archive_of(context).folder),
        store=KeyStore.of(settings),
        passphrase=passphrase(),
        archive=archive,
    )


def _successor(store: KeyStore, old: str, keys: Sequence[str], expires: str) -> str:
    """The key that a rotation which is under way has put beside another one, or a new one like it."""
    after = keys[keys.index(old) + 1 :]
    if len(after) == 1:
        log.info("%s signs beside %s already: the rotation to it goes on; --finish ends it", after[0], old)
        return after[0]
    if len(keys) > 1:
        beside = after or [key for key in keys if key != old]
        raise InputError(
            f"{', '.join(keys)} sign already: a rotation is under way",
            hint=f"bigtop-builder key rotate {old} --to {beside[-1]} goes on with that key"
            if after
            else f"bigtop-builder key rotate {beside[-1]} --finish ends it first",
        )
    with store.open([old], passphrase=passphrase()) as keyring:
        (before,) = keyring.check([old])  # nothing is made for a key that cannot sign in an overlap
    if waiting := store.awaiting(old):
        log.info("an earlier run made %s to follow %s: this one goes on with it", waiting, old)
        return waiting
    name, _, email = before.user.removesuffix(">").rpartition(" <")
    algorithm: Algorithm = "rsa4096" if before.algorithm == RSA else "ed25519"
    return store.new(name, email, algorithm=algorithm, expires=expires, passphrase=passphrase(), follows=old)


def _tell(succession: "Succession", spread: "Spread", *, new: str, as_json: bool) -> None:
    keys = succession.repository.state.settings().keys
    value = {
        "new": new,
        "keys": keys,
        "keyring_package_in": spread.suites,
        "keyring_package_lacks_key_in": spread.lacking,
        "warnings": [spread.warning] if spread.warning else [],
    }
    there = f"\nthe new keyring package is in {', '.join(spread.suites)}" if spread.suites else ""
    answer(value, as_json=as_json, text=f"signed by {', '.join(keys)}{there}")
