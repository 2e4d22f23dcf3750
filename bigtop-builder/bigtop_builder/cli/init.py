# SPDX-License-Identifier: Apache-2.0
"""`repo init`: a repository is made, and its indices are chosen."""

from collections.abc import Collection
from typing import Any, get_args

import click

from bigtop_builder.cli.context import answer, json_option, passphrase, setting_up
from bigtop_builder.cli.place import Command, Place, Where, no_sync_option
from bigtop_builder.errors import InputError
from bigtop_builder.keys import KeyStore
from bigtop_builder.repository.layout import SETTINGS, Form, Settings
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store import open_store
from bigtop_builder.workspace import Project

ORIGIN = "bigtop-builder"
"""Of a repository that is made without a word on it."""
PLAIN = "plain"
"""What the uncompressed form is called here; in the settings it is empty."""


@click.command(
    cls=Command, epilog="Example: bigtop-builder repo init /srv/apt --key FINGERPRINT --origin Example"
)
@click.argument("folder", type=Place(), required=False)
@click.option("--key", "keys", multiple=True, help="Full fingerprint that signs; repeatable.")
@click.option("--origin", default="", help=f"Origin in Release; never changes [default: {ORIGIN}].")
@click.option("--label", default="", help="Label in Release; never changes [default: the origin].")
@click.option(
    "--form",
    "forms",
    multiple=True,
    type=click.Choice([form or PLAIN for form in get_args(Form)]),
    help=f"Form in which Packages, Sources and Translation-en are written; repeatable "
    f"[default: {PLAIN}, .gz and .xz].",
)
@click.option("--contents/--no-contents", default=None, help="Write Contents, for apt-file [default: no].")
@click.option(
    "--translations/--no-translations",
    default=None,
    help="Move long descriptions from Packages to Translation-en [default: no].",
)
@no_sync_option
@json_option
@click.pass_context
def init(
    context: click.Context,
    folder: Where | None,
    keys: tuple[str, ...],
    origin: str,
    label: str,
    forms: tuple[str, ...],
    *,
    contents: bool | None,
    translations: bool | None,
    no_sync: bool,
    as_json: bool,
) -> None:
    """Make a repository in FOLDER, or the one that repo/repository.toml defines.

    In a FOLDER that has one, --form, --contents and --translations change these, from the next publish on, and all
    that is not given stays. Origin, label and keys never change by it.
    """
    project, settings = setting_up(context, told=folder is None)
    store = KeyStore.of(settings)
    if folder is None:
        if forms or contents is not None or translations is not None:
            raise InputError(
                f"{project.definition} says which indices the project's repository has",
                hint="write forms, contents or translations there; these options are for another FOLDER",
            )
        where, before, repository = _defined(project, store)
    else:
        before = _standing(folder)
        full = [store.full(key) for key in keys] or list(before.keys if before else ())
        if not full:
            raise InputError(
                "a repository needs a key", hint="--key FINGERPRINT; bigtop-builder key new makes one"
            )
        with store.open(full, passphrase=passphrase()) as keyring:
            repository = Repository.init(
                folder,
                origin=origin or (before.origin if before else ORIGIN),
                label=label or (before.label if before else ""),
                keyring=keyring,
                fingerprints=full,
                forms=_forms(forms),
                contents=contents,
                translations=translations,
                sync=not no_sync,
            )
        where = folder
    changed = _changed(before, repository.state.settings()) if before else {}
    answer({"repository": str(where), "changed": changed}, as_json=as_json, text=f"{where}{_told(changed)}")


def _defined(project: Project, store: KeyStore) -> tuple[Where, Settings | None, Repository]:
    """Place of the project's repository, its settings until now, and the repository as it is to be."""
    from bigtop_builder.publishing import load_archive  # recipes and manifests: 80 ms

    archive = load_archive(project, folder=None, store=store, passphrase=passphrase())
    before = _standing(archive.folder)
    with archive.keyring() as keyring:
        return archive.folder, before, archive.open(keyring)


def _standing(folder: Where) -> Settings | None:
    """Settings of a repository that is there; None if there is none."""
    store = open_store(folder)
    return State(store).settings() if store.size(SETTINGS) is not None else None


def _forms(names: Collection[str]) -> tuple[Form, ...] | None:
    """Forms by what they are called here, in the one order of all; None if none is named."""
    every: tuple[Form, ...] = get_args(Form)
    return tuple(form for form in every if (form or PLAIN) in names) or None


def _changed(before: Settings, after: Settings) -> dict[str, Any]:
    """Settings that have another value now; forms as they are called here."""
    changed = {
        name: getattr(after, name)
        for name in ("forms", "contents", "translations")
        if getattr(before, name) != getattr(after, name)
    }
    if "forms" in changed:
        changed["forms"] = [form or PLAIN for form in after.forms]
    return changed


def _told(changed: dict[str, Any]) -> str:
    lines = [
        f"  {name}: {', '.join(value) if isinstance(value, list) else 'yes' if value else 'no'}"
        for name, value in changed.items()
    ]
    return "\n".join(["\nfrom the next publish to a suite on, it has", *lines]) if lines else ""
