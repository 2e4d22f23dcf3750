# SPDX-License-Identifier: Apache-2.0
"""What a repository keeps about packages besides verdicts: their SBOMs, and signed statements where they come from.

Each is named by the hash of what it says, and a release manifest says which package has which. So whoever trusts a
snapshot's signature can trust these. An envelope may be signed anew by other keys: its statement stays the same.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from bigtop_builder.cores import cores
from bigtop_builder.dsse import Envelope, sign, signers_of
from bigtop_builder.errors import BuilderError, CheckFailed
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout
from bigtop_builder.repository.layout import COPY, Snapshot
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store import Store

if TYPE_CHECKING:  # recipes and all: 80 ms that no command of a repository should pay
    from bigtop_builder.attestations import Attestations
    from bigtop_builder.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class Attested:
    """What there is about a package.

    Attributes:
        sbom: Name of its SBOM; empty if it has none.
        provenance: Name of its statement; empty if it has none.
    """

    sbom: str
    provenance: str

    @property
    def paths(self) -> tuple[str, ...]:
        """Where they lie."""
        named = ((layout.sbom_file, self.sbom), (layout.provenance_file, self.provenance))
        return tuple(place(name) for place, name in named if name)


def attested(state: State, snapshots: Iterable[Snapshot]) -> list[dict[str, Attested]]:
    """For each snapshot: sha256 of a package -> what its manifests say there is about it, the newest first.

    Raises:
        CheckFailed: A manifest is missing or was altered.
    """
    read: dict[str, dict[str, Attested]] = {}
    found = []
    for snapshot in snapshots:
        known: dict[str, Attested] = {}
        for name in snapshot.manifests:
            if name not in read:
                read[name] = _of_manifest(release_manifest(state, name))
            known |= read[name]
        found.append(known)
    return found


def paths_of(state: State, snapshots: Iterable[Snapshot], packages: Collection[str]) -> set[str]:
    """Where all lies that there is about packages of some snapshots.

    Args:
        state: The repository.
        snapshots: The snapshots.
        packages: Sha256 of each package that counts.

    Raises:
        CheckFailed: A manifest is missing or was altered.
    """
    wanted = set(packages)
    return {
        path
        for known in attested(state, snapshots)
        for sha256 in known.keys() & wanted
        for path in known[sha256].paths
    }


def records_of(
    state: State, keyring: Keyring, attestations: "Attestations", manifest: "Manifest"
) -> dict[str, bytes]:
    """Path -> SBOM or signed statement, of packages that are published; what is signed already stays as it is.

    Args:
        state: The repository.
        keyring: Holds its keys.
        attestations: SBOMs, and statements that are to be signed.
        manifest: Names both.

    Raises:
        SigningError: A key cannot sign.
    """
    keys = state.settings().keys
    public = keyring.export_public(keys, armor=False)
    files: dict[str, bytes] = {}
    for component in manifest.components:
        published = [one for one in component.packages if not one.not_published]
        files |= {layout.sbom_file(one.sbom): attestations.sboms[one.sha256] for one in published if one.sbom}
        name = component.provenance if published else ""
        if name and not is_signed(state, name, public):
            signed = sign(attestations.statements[component.name], keyring, keys)
            files[layout.provenance_file(name)] = signed.to_json().encode()
    return files


def release_manifest(state: State, name: str) -> Mapping[str, Any]:
    """A release manifest by its name; one of another version of this tool may have keys that this one does not know.

    Raises:
        CheckFailed: It is missing or was altered.
    """
    said: Mapping[str, Any] = json.loads(_content(state.store, layout.manifest_file(name), name))
    return said


def sbom(state: State, name: str) -> bytes:
    """An SBOM by its name.

    Raises:
        CheckFailed: It is missing or was altered.
    """
    return _content(state.store, layout.sbom_file(name), name)


def envelope(state: State, name: str) -> Envelope:
    """A signed statement by its name; its signatures are not verified.

    Raises:
        CheckFailed: It is missing, or holds another statement.
    """
    path = layout.provenance_file(name)
    text = state.store.read(path)
    if text is None:
        raise CheckFailed(f"{state.store.name}/{path} is missing", hint=COPY)
    try:
        found = Envelope.from_json(text, source=f"{state.store.name}/{path}")
        same = hashlib.sha256(found.content).hexdigest() == name
    except BuilderError as error:
        raise CheckFailed(f"{state.store.name}/{path} was altered: {error.brief}", hint=COPY) from error
    if not same:
        raise CheckFailed(f"{state.store.name}/{path} was altered: it holds another statement", hint=COPY)
    return found


def faults(
    state: State, snapshots: Iterable[Snapshot], packages: Collection[str], public: bytes
) -> Iterator[str]:
    """What is wrong with SBOMs and signed statements, one thing a line with what mends it.

    Args:
        state: The repository.
        snapshots: Snapshots; a manifest of theirs that is missing is for others to tell.
        packages: Sha256 of each package that counts.
        public: Keys, binary, that have signed statements.
    """
    paths: set[str] = set()
    for snapshot in snapshots:
        with suppress(BuilderError):
            paths |= paths_of(state, [snapshot], packages)
    with ThreadPoolExecutor(max(cores(), state.store.readers)) as threads:
        found = threads.map(lambda path: list(_wrong(state, path, public)), sorted(paths))
        yield from chain.from_iterable(found)


def _wrong(state: State, path: str, public: bytes) -> Iterator[str]:
    name = path.rpartition("/")[2].partition(".")[0]
    try:
        if path == layout.sbom_file(name):
            sbom(state, name)
        else:
            signers_of(envelope(state, name), public=public, what=path, expired=True)
    except BuilderError as error:
        said = error.brief.removeprefix(f"{state.store.name}/")
        yield f"{said}: {error.hint or COPY}"


def is_signed(state: State, name: str, public: bytes) -> bool:
    """Whether a statement is there, and one of the keys has signed it."""
    try:
        return bool(signers_of(envelope(state, name), public=public, what=name))
    except BuilderError:
        return False


def _content(store: Store, path: str, sha256: str) -> bytes:
    text = store.read(path)
    if text is None:
        raise CheckFailed(f"{store.name}/{path} is missing", hint=COPY)
    if hashlib.sha256(text).hexdigest() != sha256:
        raise CheckFailed(f"{store.name}/{path} was altered: its sha256 is not {sha256}", hint=COPY)
    return text


def _of_manifest(said: Mapping[str, Any]) -> dict[str, Attested]:
    """What a manifest says."""
    return {
        package["sha256"]: Attested(sbom=package.get("sbom", ""), provenance=component.get("provenance", ""))
        for component in said.get("components", ())
        for package in component["packages"]
    }
