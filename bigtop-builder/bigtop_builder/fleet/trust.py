# SPDX-License-Identifier: Apache-2.0
"""What hosts trust a snapshot by: the newest keyring package of all signed snapshots, held to their indices."""

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from debian.debian_support import NativeVersion

from bigtop_builder import openpgp
from bigtop_builder.errors import CheckFailed, InputError, SigningError
from bigtop_builder.fleet.offer import Offer, require_stanza
from bigtop_builder.fleet.way_back import own_suite
from bigtop_builder.repository import layout
from bigtop_builder.repository.index.packages import Stanza
from bigtop_builder.repository.keyring_package import keys_of
from bigtop_builder.repository.layout import COPY
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


def trust_of(state: State, public: bytes, *offers: Offer) -> Trust:
    """The keyring package, whose keys have signed the snapshots' own suites.

    It is the newest of all signed snapshots: an older one may lack a key that signs by now. Hosts install it as root
    before they trust anything, so no file of the pool counts that no signed index names, nor one of another hash.

    Args:
        state: The repository.
        public: The repository's keys, binary.
        offers: The snapshots that hosts are given.

    Raises:
        InputError: No signed snapshot has one.
        CheckFailed: A snapshot has no suite of its own, or the package is not what the index says.
        SigningError: None of its keys has signed one of the suites.
    """
    name = offers[0].keyring_package
    newest = max(_signed(state, name, public), key=lambda one: NativeVersion(one.version), default=None)
    if newest is None:
        raise InputError(f"{state.store.name} has no package {name}, which hosts trust it by", hint=MAKE)
    require_stanza(newest)
    with tempfile.TemporaryDirectory(prefix="bb-keyring-") as scratch:
        content = _content(state, newest, Path(scratch))
        deb = Path(scratch) / "held" / newest.filename.rpartition("/")[2]
        deb.parent.mkdir()
        deb.write_bytes(content)  # its keys are read of the very bytes that were hashed
        keys = keys_of(deb, Path(scratch))
    for offer in offers:
        _require_signed(state, offer, keys, deb.name)
    return Trust(name=name, version=newest.version, path=newest.filename, content=content)


def _content(state: State, package: Stanza, scratch: Path) -> bytes:
    held = Held(size=package.size, sha256=package.sha256)
    (deb,) = state.store.local({package.filename: held}, scratch)
    content = deb.read_bytes()
    if hashlib.sha256(content).hexdigest() != package.sha256:
        raise CheckFailed(
            f"{state.store.name}/{package.filename} is not the package that the signed indices name: "
            f"its sha256 is not {package.sha256}",
            hint=f"bigtop-builder repo check names what mends it; or {COPY}",
        )
    return content


def _signed(state: State, name: str, public: bytes) -> Iterator[Stanza]:
    """The packages of a name in all snapshots whose own suites the keys have signed."""
    for snapshot in state.snapshots():
        try:
            own_suite(state, snapshot, public)
        except (CheckFailed, SigningError):
            continue  # somebody else's, or not published yet
        for indices in state.snapshot(snapshot).components.values():
            for index in indices.values():
                yield from (one for one in state.find(index, [name]) if one.name == name)


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
