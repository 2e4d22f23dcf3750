# SPDX-License-Identifier: Apache-2.0
"""Making a fleet manifest of a snapshot, and signing it with the repository's keys."""

import hashlib
import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigtop_builder.atomic import write_whole
from bigtop_builder.fleet.facts import Facts, facts_of
from bigtop_builder.fleet.fleet_manifest import FILE, SIGNATURE, FleetManifest, FleetPackage
from bigtop_builder.fleet.offer import newest, require_stanza
from bigtop_builder.fleet.way_back import own_suite, pointing, require_whole, titles, way_back
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository.attested import release_manifest
from bigtop_builder.repository.authentic import check_signers, public_keys
from bigtop_builder.repository.catalog import named
from bigtop_builder.repository.index.packages import Stanza
from bigtop_builder.repository.layout import Snapshot
from bigtop_builder.repository.notices import notice_of
from bigtop_builder.repository.state import State

log = logging.getLogger(__name__)

SOURCE = re.compile(r"^Source: (\S+)(?: \((\S+)\))?$", re.MULTILINE)

Roles = Callable[[Collection[str], tuple[str, ...]], Mapping[str, tuple[str, ...]]]
"""Names of a snapshot's packages, and its releases -> packages of each role."""


@dataclass(frozen=True, kw_only=True)
class _Built:
    """What a release manifest says of where a package comes from."""

    release: str
    commit: str
    tree: str
    patches: str
    step: str


NOWHERE = _Built(release="", commit="", tree="", patches="", step="")


def manifest_of(
    state: State,
    wanted: str,
    *,
    keyring: Keyring,
    kept: Path,
    roles: Roles,
    url: str = "",
    back: str = "",
) -> FleetManifest:
    """The fleet manifest of a snapshot.

    Args:
        state: The repository.
        wanted: The snapshot, or a suite for the one that it points to, as `catalog.named` takes it.
        keyring: Holds the repository's keys.
        kept: Folder where facts of packages are kept.
        roles: Says what each role installs.
        url: Address under which hosts reach the repository.
        back: Snapshot or suite that hosts go back to; if empty, the one that the suites had before.

    Raises:
        InputError: There is no such snapshot.
        SigningError: The repository's keys have not signed what it is made of, or one cannot sign.
        CheckFailed: A package, manifest or index is missing or was altered.
    """
    keys, public = state.settings().keys, public_keys(state, keyring)
    check_signers(keyring, keys)
    snapshot = named(state, wanted)
    own = own_suite(state, snapshot, public)
    origin, label = titles(state, own)
    model = state.snapshot(snapshot)
    suites = pointing(state, snapshot, public)
    notice = notice_of(state, snapshot, lambda: public)
    if notice:
        log.warning("snapshot %s is withdrawn: %s", snapshot[:16], notice.why)
    target = way_back(state, snapshot, suites, wanted, back, public)
    stanzas = _packages(state, model)
    built = _built(state, model)
    releases = tuple(dict.fromkeys(built[one.sha256].release for one in stanzas if one.sha256 in built))
    asked = roles({one.name for one in stanzas}, releases)
    for one in filter(None, (snapshot, target)):
        require_whole(state, one)
    facts = facts_of(stanzas, state.store, kept)
    return FleetManifest(
        origin=origin,
        label=label,
        url=url,
        keys=keys,
        snapshot=snapshot,
        suite=own.suite,
        suites=tuple(one.suite for one in suites),
        date=own.date,
        withdrawn=notice.why if notice else "",
        rollback_to=target,
        releases=releases,
        roles=dict(asked),
        indices=_indices(model),
        packages=tuple(_package(one, facts[one.sha256], built.get(one.sha256, NOWHERE)) for one in stanzas),
    )


def write_signed(manifest: FleetManifest, keyring: Keyring, folder: Path) -> tuple[Path, Path]:
    """Write a manifest and its detached signature; where they are.

    Raises:
        SigningError: A key cannot sign.
    """
    text = manifest.to_json()
    signature = keyring.detach_sign(text.encode(), manifest.keys).decode()
    places = folder / FILE, folder / SIGNATURE
    places[1].unlink(missing_ok=True)  # a signature of another text would be taken for an altered manifest
    write_whole(places[0], text)
    write_whole(places[1], signature)
    return places


def _packages(state: State, model: Snapshot) -> list[Stanza]:
    """What hosts of any architecture take, by name."""
    found = {one.filename: one for there in newest(state, model).values() for one in there.values()}
    for one in found.values():
        require_stanza(one)
    return sorted(found.values(), key=lambda one: (one.name, one.architecture, one.version))


def _indices(model: Snapshot) -> dict[str, str]:
    return {
        f"{folder}/{name}": file.sha256
        for folder, index in model.indices()
        if "/binary-" in folder
        for name, file in index.files.items()
    }


def _package(stanza: Stanza, facts: Facts, built: _Built) -> FleetPackage:
    said = SOURCE.search(stanza.text)
    return FleetPackage(
        name=stanza.name,
        version=stanza.version,
        architecture=stanza.architecture,
        component=stanza.filename.split("/")[1],
        file=stanza.filename,
        size=stanza.size,
        sha256=stanza.sha256,
        md5sums=facts.md5sums,
        conffiles=facts.conffiles,
        scripts=facts.scripts,
        source=said[1] if said else stanza.name,
        source_version=(said[2] if said else "") or stanza.version,
        release=built.release,
        commit=built.commit,
        tree=built.tree,
        patches=built.patches,
        step=built.step,
    )


def _built(state: State, model: Snapshot) -> dict[str, _Built]:
    """Sha256 of a package -> where it comes from, by the release manifests; the newest that has it counts."""
    return {sha256: one for name in model.manifests for sha256, one in _of(release_manifest(state, name))}


def _of(said: Mapping[str, Any]) -> Iterator[tuple[str, _Built]]:
    tree = said["tree"]
    lines = "".join(f"{patch['sha256']}  {patch['id']}\n" for patch in tree["patches"])
    for component in said["components"]:
        built = _Built(
            release=f"{said['release']}-{said['target']}",
            commit=tree["commit"],
            tree=tree["tree"],
            patches=hashlib.sha256(lines.encode()).hexdigest(),
            step=component["step"],
        )
        for package in component["packages"]:
            yield package["sha256"], built
