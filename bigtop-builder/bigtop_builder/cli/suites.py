# SPDX-License-Identifier: Apache-2.0
"""`repo add|remove|promote|rollback|retire`: what a suite holds, and where it points."""

import logging
from collections.abc import Collection, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from bigtop_builder.artifact import Deb, read_debs
from bigtop_builder.cli.context import answer, json_option
from bigtop_builder.cli.demands import gate_of
from bigtop_builder.cli.place import (
    Command,
    Where,
    accept_option,
    archive_of,
    downgrade_option,
    force_option,
    new_suite_option,
    no_sync_option,
    place_of,
    repo_option,
    signing,
    tell,
    why_option,
)
from bigtop_builder.errors import CheckFailed, InputError, PublishError
from bigtop_builder.repository.authentic import public_keys
from bigtop_builder.repository.pool import recognised
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.removal import remove as remove_packages
from bigtop_builder.repository.retirement import retire as retire_suite
from bigtop_builder.schema import counted
from bigtop_builder.source_package import Beside, sort_out

log = logging.getLogger(__name__)

SMALL = 1 << 20
"""Bytes up to which a package is hashed when it is read: of larger ones each pass over the bytes counts."""

architecture_option = click.option(
    "--architecture", "architectures", multiple=True, help="Only packages of this architecture; repeatable."
)


@click.command(cls=Command, epilog="Example: bigtop-builder repo add testing ./debs --repo /srv/apt")
@click.argument("suite")
@click.argument("debs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@repo_option
@click.option("--component", default="main", show_default=True, help="Component of the suite.")
@click.option(
    "--architecture",
    "architectures",
    multiple=True,
    help="Take only packages of this architecture, and those for all; repeatable.",
)
@click.option(
    "--replace", is_flag=True, help="The component is to hold exactly these packages: others leave it."
)
@accept_option
@downgrade_option
@force_option
@click.option(
    "--no-verify", is_flag=True, help="Do not look into packages that no verdict knows; the history says so."
)
@no_sync_option
@new_suite_option
@why_option
@json_option
@click.pass_context
def add(
    context: click.Context,
    suite: str,
    debs: tuple[Path, ...],
    folder: Where | None,
    component: str,
    architectures: tuple[str, ...],
    why: str,
    *,
    replace: bool,
    accept: bool,
    allow_downgrade: bool,
    force: bool,
    no_verify: bool,
    no_sync: bool,
    new_suite: bool,
    as_json: bool,
) -> None:
    """Bring DEBS, files or folders of them, into SUITE.

    Source packages (.dsc) go in with all their parts, .changes and .buildinfo are kept. A .changes brings in all
    that it names.
    """
    gate = gate_of(
        context, folder, suite, accept=accept, allow_downgrade=allow_downgrade, force=force, why=why
    )
    files, beside = _read(debs)
    _refuse_strange(files, architectures)
    chosen: dict[str, Any] = {
        "component": component,
        "architectures": architectures,
        "replace": replace,
        "beside": beside,
    }
    there = Repository.open(place_of(context, folder))
    files = recognised(there.store, files)
    done = there.settled(suite, files, **chosen)
    if done is None:
        with signing(context, folder, suite, sync=not no_sync) as (repository, keyring):
            _warn_of_others(repository, suite, files, architectures)
            done = repository.add(
                suite,
                files,
                **chosen,
                gate=gate,
                verify=not no_verify,
                keyring=keyring,
                new_suite=new_suite,
                why=why,
            )
    tell(done, as_json=as_json)


@click.command(cls=Command, epilog="Example: bigtop-builder repo remove testing hadoop-kms zookeeper=3.8.4-1")
@click.argument("suite")
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE[=VERSION]...")
@repo_option
@click.option("--component", default="", help="Only from this component [default: from each].")
@architecture_option
@force_option
@no_sync_option
@why_option
@json_option
@click.pass_context
def remove(
    context: click.Context,
    suite: str,
    packages: tuple[str, ...],
    folder: Where | None,
    component: str,
    architectures: tuple[str, ...],
    why: str,
    *,
    force: bool,
    no_sync: bool,
    as_json: bool,
) -> None:
    """Take packages out of SUITE; src:NAME is a source package.

    Their files stay in the pool, for the suite's earlier snapshots.
    """
    gate = gate_of(context, folder, suite, force=force, why=why)
    with signing(context, folder, sync=not no_sync) as (repository, keyring):
        done = remove_packages(
            repository,
            suite,
            packages,
            component=component,
            architectures=architectures,
            gate=gate,
            keyring=keyring,
            why=why,
        )
    tell(done, as_json=as_json)


@click.command(
    cls=Command, epilog="Example: bigtop-builder repo promote testing stable --why 'canary is green'"
)
@click.argument("source", metavar="SUITE|SNAPSHOT")
@click.argument("target")
@repo_option
@accept_option
@downgrade_option
@force_option
@no_sync_option
@new_suite_option
@why_option
@json_option
@click.pass_context
def promote(
    context: click.Context,
    source: str,
    target: str,
    folder: Where | None,
    why: str,
    *,
    accept: bool,
    allow_downgrade: bool,
    force: bool,
    no_sync: bool,
    new_suite: bool,
    as_json: bool,
) -> None:
    """Point suite TARGET to the snapshot that SUITE points to, or to SNAPSHOT.

    A snapshot is named by its id, 6 digits or more from its beginning, its own suite, or the name it is kept under.
    `[promote.TARGET]` in repo/fleet.toml may demand a green rehearsal and green canary hosts first.
    """
    with signing(context, folder, target, sync=not no_sync) as (repository, keyring):
        public = public_keys(repository.state, keyring)
        gate = gate_of(
            context,
            folder,
            target,
            accept=accept,
            allow_downgrade=allow_downgrade,
            force=force,
            why=why,
            public=public,
        )
        done = repository.promote(source, target, keyring=keyring, gate=gate, new_suite=new_suite, why=why)
    tell(done, as_json=as_json)


@click.command(
    cls=Command, epilog="Example: bigtop-builder repo rollback stable --why 'namenode does not start'"
)
@click.argument("suite")
@click.option(
    "--to",
    default=None,
    help="Snapshot: its id, 6 digits or more of it, its own suite, its name [default: the one before].",
)
@repo_option
@no_sync_option
@why_option
@json_option
@click.pass_context
def rollback(
    context: click.Context,
    suite: str,
    to: str | None,
    folder: Where | None,
    why: str,
    *,
    no_sync: bool,
    as_json: bool,
) -> None:
    """Point SUITE to a snapshot that it pointed to before; hosts take it as news."""
    with signing(context, folder, sync=not no_sync) as (repository, keyring):
        done = repository.rollback(suite, to=to, keyring=keyring, why=why)
    tell(done, as_json=as_json)


@click.command(
    cls=Command, epilog="Example: bigtop-builder repo retire testing-deb11 --why 'Debian 11 has ended'"
)
@click.argument("suite")
@repo_option
@no_sync_option
@why_option
@json_option
@click.pass_context
def retire(
    context: click.Context, suite: str, folder: Where | None, why: str, *, no_sync: bool, as_json: bool
) -> None:
    """Remove SUITE: hosts that have it get no updates any more, and apt says that it has no Release file.

    Its history stays, and gc removes what only it had. To go back: repo promote SNAPSHOT SUITE --new-suite.
    """
    with signing(context, folder, sync=not no_sync) as (repository, keyring):
        done = retire_suite(repository, suite, keyring=keyring, why=why)
    if folder is None and suite in archive_of(context).definition.suites:
        log.warning("repo/repository.toml has %s still: take it out there, of `suites` and `hosts`", suite)
    last = f"; its last snapshot is {done.snapshot[:12]}" if done.snapshot else ""
    text = f"{suite} is retired{'' if done.changed else ' already'}{last}"
    answer(asdict(done), as_json=as_json, text=text)


def _warn_of_others(repository: Repository, suite: str, debs: Iterable[Deb], chosen: Collection[str]) -> None:
    """Name architectures that packages bring into a suite and that neither its settings nor a user names."""
    settings = repository.state.settings().suites.get(suite)
    come = {deb.architecture for deb in debs} - {"all"}
    if chosen or settings is None or come <= set(settings.architectures):
        return
    pointer = repository.state.unverified_pointer(suite)
    known = {
        *settings.architectures,
        *(repository.state.snapshot(pointer.snapshot).architectures if pointer else ()),
    }
    if others := ", ".join(sorted(come - known)):
        log.warning(
            "suite %s is for %s and gets packages for %s too: --architecture takes only some, and architectures "
            "in repo/repository.toml says what it is for",
            suite,
            ", ".join(settings.architectures),
            others,
        )


def _refuse_strange(debs: Collection[Deb], chosen: Collection[str]) -> None:
    """See that each architecture that a user names takes something: a misspelt one would leave packages out.

    Raises:
        InputError: No package is for one of them, and some would be left out.
    """
    there = {deb.architecture for deb in debs}
    strange = [name for name in dict.fromkeys(chosen) if name not in there]
    if not strange or not there & {*chosen, "all"}:  # of none at all the suite says so
        return
    told = f"none of {counted(len(debs), 'package')} is for {', '.join(strange)}"
    if there <= {*chosen, "all"}:
        log.warning("%s: those for %s come in", told, ", ".join(sorted(there)))
        return
    raise InputError(told, hint=f"they are for {', '.join(sorted(there))}; those for all come with any other")


def _read(given: Iterable[Path]) -> tuple[tuple[Deb, ...], Beside]:
    """Read packages, and what lies beside them.

    Raises:
        PublishError: One is no regular file, or no package: here that is a package which the repository refuses.
    """
    try:
        paths, beside = sort_out(given)
        return read_debs(paths, hash_up_to=SMALL), beside
    except CheckFailed as error:
        raise PublishError(error.brief, details=error.details, hint=error.hint) from error
