# SPDX-License-Identifier: Apache-2.0
"""What the packages of a repository hold, and where they come from: SBOMs and statements of a suite or snapshot.

A package that came without an SBOM, as with `repo add`, gets one on the spot, from its file in the pool.
"""

import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from debian.debian_support import NativeVersion

from bigtop_builder.artifact import read_deb
from bigtop_builder.cores import on_all_cores
from bigtop_builder.dsse import Envelope, signers_of
from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.repository import attested, layout
from bigtop_builder.repository.attested import Attested
from bigtop_builder.repository.catalog import named
from bigtop_builder.repository.index.packages import Stanza
from bigtop_builder.repository.layout import Snapshot
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store import Held
from bigtop_builder.sbom.inventory import Part, parts_of
from bigtop_builder.sbom.kept import kept_sbom
from bigtop_builder.schema import counted

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """A statement that was verified.

    Attributes:
        statement: What it says: in-toto v1 with SLSA v1 provenance.
        envelope: As it was signed.
        signers: Fingerprints of the keys that have signed it.
    """

    statement: dict[str, Any]
    envelope: Envelope
    signers: tuple[str, ...]


class Holdings:
    """Packages of a repository, with what is known of them.

    Args:
        state: The repository.
        cache: SBOMs that were made on the spot.
        copies: Packages of a repository that lies elsewhere.
    """

    def __init__(self, state: State, *, cache: Path, copies: Path) -> None:
        self._state = state
        self._cache = cache
        self._copies = copies

    def parts(self, wanted: str, *, newest: bool = False) -> list[Part]:
        """What all packages of a suite or snapshot hold.

        Args:
            wanted: What `catalog.found` takes; the only suite if empty.
            newest: Of each package the highest version alone: what hosts install.

        Raises:
            InputError: There is none, or several suites and none is named.
            CheckFailed: An SBOM or a package is missing or was altered.
        """
        snapshot = self._snapshot(wanted)
        packages = _packages(self._state, snapshot)
        if newest:
            packages = [*{(one.name, one.architecture): one for one in packages}.values()]
        return [part for sbom in self._sboms(snapshot, packages) for part in parts_of(sbom)]

    def sbom(self, name: str, wanted: str) -> bytes:
        """The SBOM of a package, `name` or `name=version`: of the highest version that there is.

        Raises:
            InputError: There is no such package.
            CheckFailed: It is missing or was altered.
        """
        snapshot = self._snapshot(wanted)
        return self._sboms(snapshot, [self._package(name, snapshot)])[0]

    def provenance(self, name: str, wanted: str, *, public: bytes) -> Provenance:
        """The statement where a package comes from, verified.

        Args:
            name: `name`, `name=version`, or a .deb file.
            wanted: As for `parts`; of a file all snapshots are asked.
            public: Keys, binary, of which one must have signed.

        Raises:
            InputError: There is no such package.
            CheckFailed: There is no statement about it, or it is about others.
            SigningError: None of the keys has signed it.
        """
        if is_file(name):
            sha256 = read_deb(Path(name)).sha256
            snapshots = [self._state.snapshot(one) for one in self._state.snapshots()]
        else:
            snapshots = [self._snapshot(wanted)]
            sha256 = self._package(name, snapshots[0]).sha256
        known = [one[sha256] for one in attested.attested(self._state, snapshots) if sha256 in one]
        statement = next((one.provenance for one in reversed(known) if one.provenance), "")
        if not statement:
            raise CheckFailed(
                f"{self._state.store.name} has no statement where {name} comes from",
                hint="only what `release` published has one, not what `repo add` took or the archive-keyring package",
            )
        envelope = attested.envelope(self._state, statement)
        signers = signers_of(envelope, public=public, what=layout.provenance_file(statement), expired=True)
        said: dict[str, Any] = json.loads(envelope.content)
        if sha256 not in {one["digest"].get("sha256") for one in said["subject"]}:
            raise CheckFailed(f"{layout.provenance_file(statement)} is about other packages than {name}")
        return Provenance(statement=said, envelope=envelope, signers=signers)

    def _snapshot(self, wanted: str) -> Snapshot:
        if not wanted:
            there = [*self._state.unverified_pointers(self._state.settings().suites)]
            if len(there) != 1:
                raise InputError(
                    f"{self._state.store.name} has {counted(len(there), 'suite')} with packages",
                    hint=f"name one with --suite: {', '.join(there)}" if there else "publish something to it",
                )
            wanted = there[0]
        return self._state.snapshot(named(self._state, wanted))

    def _package(self, name: str, snapshot: Snapshot) -> Stanza:
        plain, _, version = name.partition("=")
        found = [
            one
            for one in _packages(self._state, snapshot)
            if one.name == plain and version in {"", one.version}
        ]
        if not found:
            raise InputError(
                f"there is no package {name} in this snapshot of {self._state.store.name}",
                hint="bigtop-builder repo list shows what suites hold",
            )
        return max(found, key=lambda one: NativeVersion(one.version))

    def _sboms(self, snapshot: Snapshot, packages: Sequence[Stanza]) -> list[bytes]:
        (known,) = attested.attested(self._state, [snapshot])
        recorded = {
            one.sha256: known[one.sha256].sbom for one in packages if known.get(one.sha256, NOTHING).sbom
        }
        without = [one for one in packages if one.sha256 not in recorded]
        with ThreadPoolExecutor(self._state.store.readers) as threads:
            read = threads.map(partial(attested.sbom, self._state), recorded.values())
            sboms = dict(zip(recorded, read, strict=True))
        if without:
            made = self._made(without)
            sboms |= zip((one.sha256 for one in without), made, strict=True)
            if told := [one.name for one, text in zip(without, made, strict=True) if parts_of(text)]:
                log.info(
                    "%s with jars came without an SBOM, which was made on the spot from what these tell: %s",
                    counted(len(told), "package"),
                    ", ".join(dict.fromkeys(told)),
                )
        return [sboms[one.sha256] for one in packages]

    def _made(self, packages: Sequence[Stanza]) -> list[bytes]:
        files = {one.filename: Held(size=one.size, sha256=one.sha256) for one in packages}
        paths = self._state.store.local(files, self._copies)
        pairs = list(zip(paths, (one.sha256 for one in packages), strict=True))
        return on_all_cores(partial(_made, self._cache), pairs)


NOTHING = Attested(sbom="", provenance="")


def _made(cache: Path, package: tuple[Path, str]) -> bytes:
    return kept_sbom(cache, *package)


def is_file(name: str) -> bool:
    """Whether a word means a .deb file, not a package of a repository."""
    return name.endswith(".deb") or "/" in name


def sbom_of_file(path: Path, cache: Path) -> bytes:
    """The SBOM of any .deb.

    Raises:
        InputError: There is no such file.
        CheckFailed: It is no whole .deb.
    """
    return kept_sbom(cache, path, read_deb(path).sha256)


def _packages(state: State, snapshot: Snapshot) -> list[Stanza]:
    """All packages of a snapshot, by name and version."""
    indices = [index for named_ in snapshot.components.values() for index in named_.values()]
    found = {one.filename: one for index in indices for one in state.packages(index)}
    return sorted(found.values(), key=lambda one: (one.name, NativeVersion(one.version), one.architecture))
