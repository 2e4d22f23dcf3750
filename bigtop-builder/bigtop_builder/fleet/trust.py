# SPDX-License-Identifier: Apache-2.0
"""What hosts trust a snapshot by: the newest keyring package that the repository has, held to the signature."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder import openpgp
from bigtop_builder.errors import CheckFailed, InputError, SigningError
from bigtop_builder.fleet.offer import Offer
from bigtop_builder.repository import layout
from bigtop_builder.repository.keyring_package import keys_of, versions_among
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store import Held

MAKE = "bigtop-builder key package . makes one, and bigtop-builder repo add SUITE FILE brings it in"


@dataclass(frozen=True, kw_only=True)
class Trust:
    """The keyring package.

    Attributes:
        name: Name of the package.
        version: Its version.
        path: Where it lies in the pool.
        content: The .deb.
    """

    name: str
    version: str
    path: str
    content: bytes

    @property
    def file(self) -> str:
        """Its file name."""
        return self.path.rpartition("/")[2]

    @property
    def keyring(self) -> str:
        """Where it puts the keys on hosts (`KeyringPackage.keyring`)."""
        return f"/usr/share/keyrings/{self.name}.gpg"


def trust_of(state: State, *offers: Offer) -> Trust:
    """The keyring package, whose keys have signed the snapshots' own suites.

    It is the newest in the pool whichever snapshot has it: one that is older may lack a key that signs by now.

    Raises:
        InputError: The repository has none.
        CheckFailed: A snapshot has no suite of its own.
        SigningError: None of its keys has signed one of the suites.
    """
    name = offers[0].keyring_package
    found = {
        version: layout.pool_file(component, name, version, "all")
        for component in dict.fromkeys(one for offer in offers for one in offer.components)
        for version in _versions(state, component, name)
    }
    versions = versions_among((path.rpartition("/")[2] for path in found.values()), name)
    if not versions:
        raise InputError(f"{state.store.name} has no package {name}, which hosts trust it by", hint=MAKE)
    path = found[versions[-1]]
    held = Held(size=state.store.size(path) or 0, sha256=state.store.sha256(path))
    with tempfile.TemporaryDirectory(prefix="bb-keyring-") as scratch:
        (deb,) = state.store.local({path: held}, Path(scratch))
        keys = keys_of(deb, Path(scratch))
        for offer in offers:
            _require_signed(state, offer, keys, deb.name)
        return Trust(name=name, version=versions[-1], path=path, content=deb.read_bytes())


def _versions(state: State, component: str, name: str) -> tuple[str, ...]:
    return versions_among(state.store.names(layout.source_folder(component, name)), name)


def _require_signed(state: State, offer: Offer, keys: bytes, package: str) -> None:
    path = f"{layout.suite_folder(offer.suite)}/InRelease"
    where = f"{state.store.name}/{path}"
    if (signed := state.store.read(path)) is None:
        raise CheckFailed(f"{where} is missing", hint="bigtop-builder repo refresh makes it")
    try:
        openpgp.verify(signed, keyring=keys, what=where)
    except SigningError as error:
        raise SigningError(
            f"{where} has no good signature by a key in {package}: hosts would refuse it",
            details=error.details or error.brief,
            hint=f"{MAKE}; bigtop-builder repo check says whether the repository is whole",
        ) from error
