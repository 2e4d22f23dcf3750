# SPDX-License-Identifier: Apache-2.0
"""The gate before the pool: which packages are new, which must not go in, and why."""

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bigtop_builder.artifact import Deb, require_same, whole
from bigtop_builder.cores import on_all_cores
from bigtop_builder.errors import InputError, PublishError
from bigtop_builder.repository import layout
from bigtop_builder.repository.index.blocks import holding
from bigtop_builder.repository.index.packages import Stanza, stanza_of
from bigtop_builder.repository.layout import Added, Snapshot
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store import Content, Held, Present, Staged, Store, Upload
from bigtop_builder.schema import counted
from bigtop_builder.verify.integrity import check_integrity
from bigtop_builder.verify.verdict import Verdict

log = logging.getLogger(__name__)

Integrity = Callable[[Path], list[str]]
"""Says what is wrong with a .deb's content, as `verify.integrity.check_integrity` does."""
BUMP = (
    "give it a new version; a package of a release gets one by bigtop-builder plan RELEASE --bump and a build"
)
FEW = 16
"""Packages given at once up to which the pool's own bytes of them are read."""
DAMAGED = "nothing was published: build or fetch the file again"


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """A package that may go in.

    Attributes:
        stanza: What the index will say.
        record: What the history will say.
        content: The pool file's content, or that it is there.
    """

    stanza: Stanza
    record: Added
    content: Content


def not_yet_in(
    state: State, snapshot: Snapshot | None, component: str, debs: Iterable[Deb]
) -> tuple[Deb, ...]:
    """Those packages that a snapshot does not have in a component.

    Raises:
        PublishError: It has one with other bytes, or two of the packages differ in their bytes alone.
    """
    wanted: dict[tuple[str, str, str], Deb] = {}
    for deb in debs:
        twin = wanted.setdefault((deb.name, deb.version, deb.architecture), deb)
        if twin is not deb and twin.sha256 != deb.sha256:
            raise _other_bytes(deb, f"{twin.path} with sha256 {twin.sha256}")
    names = {deb.name for deb in wanted.values()}
    indices = snapshot.components.get(component, {}) if snapshot else {}
    there: dict[tuple[str, str, str], Stanza] = {}
    for index in indices.values():
        there |= {stanza.key: stanza for stanza in state.find(index, names) if stanza.key in wanted}
    for key, stanza in there.items():
        if wanted[key].sha256 != stanza.sha256:
            raise _other_bytes(wanted[key], f"{stanza.filename} with sha256 {stanza.sha256}")
    return tuple(deb for key, deb in wanted.items() if key not in there)


def only(debs: Sequence[Deb], architectures: Collection[str]) -> Sequence[Deb]:
    """Packages for some architectures, and those for `all`; each one if none is named.

    Raises:
        InputError: There are none.
    """
    fitting = [deb for deb in debs if not architectures or deb.architecture in {*architectures, "all"}]
    if fitting or not debs:
        return fitting
    raise InputError(
        f"none of {counted(len(debs), 'package')} is for {', '.join(architectures)} or all",
        hint=f"they are for {', '.join(sorted({deb.architecture for deb in debs}))}",
    )


def recognised(store: Store, debs: Sequence[Deb]) -> tuple[Deb, ...]:
    """The same packages, with the hash of each that some component's pool has, or that was given twice.

    Only of others may the hash be left for `staged`. Whoever has read a package's hash does not read it again here.

    Raises:
        InputError: A file cannot be read any more.
        PublishError: One changed since it was read.
    """
    unread = [deb for deb in debs if not deb.sha256]
    if not unread:
        return tuple(debs)
    components = store.names(layout.POOL)
    places = {deb.path: {_place(deb, component) for component in components} for deb in unread}
    held = store.held(place for one in places.values() for place in one).keys()
    given = Counter((deb.name, deb.version, deb.architecture) for deb in debs)
    known = {
        deb.path
        for deb in unread
        if places[deb.path] & held or given[deb.name, deb.version, deb.architecture] > 1
    }
    read = {deb.path: deb for deb in whole([deb for deb in unread if deb.path in known])}
    return tuple(deb if deb.sha256 else read.get(deb.path, deb) for deb in debs)


def staged(store: Store, debs: Sequence[Deb], component: str) -> tuple[Deb, ...]:
    """The same packages, each with its hash: those without one are copied to the store's disk and hashed meanwhile.

    What is looked at from then on is the copy, to which nobody else writes. The repository must be locked.

    Raises:
        InputError: A file cannot be read any more.
        PublishError: One changed since it was read, or the store cannot be written.
    """
    new = {_place(deb, component): deb.path for deb in debs if not deb.sha256}
    copies = store.stage(new) if new else {}
    known = []
    for deb in debs:
        if there := copies.get(_place(deb, component)):
            require_same(deb, there.path, hash_up_to=0)
            known.append(replace(deb, sha256=there.sha256, copy=there.path))
        else:
            known.append(deb)
    return whole(known)


def admit(
    state: State,
    debs: Sequence[Deb],
    *,
    component: str,
    verdicts: Sequence[Verdict],
    integrity: Integrity | None,
) -> tuple[Admitted, ...]:
    """Let packages through the gate, all or none; what no verdict knows is verified now, on all cores.

    Args:
        state: The repository.
        debs: Packages.
        component: Where they go.
        verdicts: What verification said.
        integrity: Verifies one package, also one that is in the pool, for it may have come in unverified; None
            lets through what no verdict knows, and the history says so.

    Raises:
        PublishError: The pool has one with other bytes, a verdict is against one, or one is not whole.
    """
    judged = _judged(verdicts)
    _check_kept_out(debs, verdicts)
    pooled = _pooled(state.store, debs, component)
    known = list(zip(debs, pooled, strict=True))
    how = {deb.sha256: "pool" if there else "no" for deb, there in known}
    if integrity:
        unknown = {deb.sha256: deb for deb in debs if deb.sha256 not in judged}
        _verify(list(unknown.values()), integrity)
        how |= dict.fromkeys(unknown, "integrity")
    how |= {sha256: f"verdict:{verdict}" for sha256, verdict in judged.items()}
    return tuple(_admitted(deb, component, there=there, how=how[deb.sha256]) for deb, there in known)


def records(
    admitted: Sequence[Admitted], verdicts: Sequence[Verdict], manifest: bytes | None
) -> dict[str, Content]:
    """Files that the history and the snapshot name: verdicts that let packages in, and the manifest."""
    used = {one.record.verified for one in admitted}
    files: dict[str, Content] = {}
    for verdict in verdicts:
        name = verdict_sha256(verdict)
        if f"verdict:{name}" in used:
            files[layout.verdict_file(name)] = verdict.to_json().encode()
    if manifest is not None:
        files[layout.manifest_file(hashlib.sha256(manifest).hexdigest())] = manifest
    return files


def verdict_sha256(verdict: Verdict) -> str:
    """Name under which the repository keeps a verdict."""
    return hashlib.sha256(verdict.to_json().encode()).hexdigest()


def spoilt(store: Store, debs: Sequence[Deb], fresh: Sequence[Deb], component: str) -> dict[str, Deb]:
    """Path in the pool -> package, of those that a suite has and whose file is missing or has other bytes.

    Sizes are always looked at. Bytes are read of no more than `FEW` packages, which is how somebody mends what
    `check` has found: who gives thousands again waits for no hash of them.

    Args:
        store: The repository's.
        debs: Packages, each with its hash.
        fresh: Those of them that the suite does not have.
        component: Its component.
    """
    new = {(one.name, one.version, one.architecture) for one in fresh}
    known = {
        _place(deb, component): deb for deb in debs if (deb.name, deb.version, deb.architecture) not in new
    }
    held = store.held(known)
    return {
        path: deb
        for path, deb in known.items()
        if path not in held
        or held[path].size != deb.size
        or (len(debs) <= FEW and not _same(store, path, held[path], deb))
    }


def put_back(state: State, debs: Sequence[Deb], fresh: Sequence[Deb], component: str) -> tuple[str, ...]:
    """Give files of the pool that were lost or altered their bytes again, from packages with the recorded hash.

    Of packages that the suite does not have, up to `FEW` are looked at, and any snapshot that has one may tell.
    The repository must be locked.

    Args:
        state: The repository.
        debs: Packages, each with its hash if some pool has a file of that name.
        fresh: Those of them that the suite does not have.
        component: Its component.

    Returns:
        Paths of the files.
    """
    store = state.store
    found = spoilt(store, debs, fresh, component)
    if len(debs) <= FEW:
        pools = store.names(layout.POOL)
        places = {_place(deb, other): deb for deb in fresh if deb.sha256 for other in pools}
        held = store.held(places)
        found |= {
            path: deb
            for path, deb in places.items()
            if path in held and not _same(store, path, held[path], deb) and _recorded(state, path, deb)
        }
    if found:
        store.put({path: Upload(deb.path, deb.sha256) for path, deb in found.items()})
    for path, deb in found.items():
        log.warning("%s was missing or altered: it has the bytes of %s again", path, deb.path)
    return tuple(found)


def _recorded(state: State, path: str, deb: Deb) -> bool:
    """Whether a snapshot has a package with these bytes at this place. Only a conflict pays for asking them all."""
    indices = [
        index
        for snapshot in state.snapshots()
        for named in state.snapshot(snapshot).components.values()
        for index in named.values()
    ]
    blocks = {block.sha256: block for index in indices for block in holding(index.blocks, [deb.name])}
    return any(
        (one.filename, one.sha256) == (path, deb.sha256)
        for block in blocks.values()
        for one in state.stanzas(block)
    )


def _place(deb: Deb, component: str) -> str:
    return layout.pool_file(component, deb.name, deb.version, deb.architecture)


def _admitted(deb: Deb, component: str, *, there: bool, how: str) -> Admitted:
    return Admitted(
        stanza=stanza_of(deb, _place(deb, component)),
        record=Added(
            name=deb.name,
            version=deb.version,
            architecture=deb.architecture,
            sha256=deb.sha256,
            verified=how,
        ),
        content=_content(deb, there=there),
    )


def _content(deb: Deb, *, there: bool) -> Content:
    if there:
        return Present()
    return Staged(deb.copy, deb.sha256) if deb.copy else Upload(deb.path, deb.sha256)


def _pooled(store: Store, debs: Sequence[Deb], component: str) -> list[bool]:
    """Whether a component's pool has these bytes; any component's must not have others of the same identity."""
    components = store.names(layout.POOL)
    places = [{other: _place(deb, other) for other in components} for deb in debs]
    held = store.held(path for one in places for path in one.values())
    for deb, one in zip(debs, places, strict=True):
        for path in one.values():
            if path in held and not _same(store, path, held[path], deb):
                raise _other_bytes(deb, path)
    return [one.get(component) in held for one in places]


def _same(store: Store, path: str, held: Held, deb: Deb) -> bool:
    return held.size == deb.size and (held.sha256 or store.sha256(path)) == deb.sha256


def _judged(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """Sha256 of each package that a verdict is on -> name of the verdict.

    Raises:
        PublishError: A verdict did not pass.
    """
    judged: dict[str, str] = {}
    for verdict in verdicts:
        if not verdict.passed:
            failed = [f"{one.check}: {one.subject}" for one in verdict.findings if one.outcome == "failed"]
            raise PublishError(
                f"the verdict on {verdict.release} did not pass",
                details="\n".join(failed),
                hint=f"bigtop-builder verify {verdict.release}",
            )
        judged |= dict.fromkeys((one.sha256 for one in verdict.packages), verdict_sha256(verdict))
    return judged


def _check_kept_out(debs: Iterable[Deb], verdicts: Iterable[Verdict]) -> None:
    reasons = {one.sha256: one.not_published for verdict in verdicts for one in verdict.packages}
    for deb in debs:
        if reason := reasons.get(deb.sha256):
            raise PublishError(
                f"{deb.path} stays out of the repository by its verdict: {reason}",
                hint="leave it out, or mend the reason and verify the release again",
            )


def _verify(debs: Sequence[Deb], integrity: Integrity) -> None:
    if not debs:
        return
    log.info("verifying %s that no verdict knows", counted(len(debs), "package"))
    found = on_all_cores(integrity, [deb.content for deb in debs])
    broken = [
        f"{deb.path}: {problem}" for deb, problems in zip(debs, found, strict=True) for problem in problems
    ]
    if broken:
        raise PublishError(
            f"{broken[0]}",
            details="\n".join(broken[1:]),
            hint=DAMAGED,
        )


def _other_bytes(deb: Deb, other: str) -> PublishError:
    said = f"{deb.name} {deb.version} {deb.architecture} is in the repository with other bytes"
    if problems := check_integrity(deb.content):
        return PublishError(
            f"{deb.path}: {problems[0]}",
            details="\n".join([*problems[1:], f"{said}: {other}"]),
            hint=DAMAGED,
        )
    return PublishError(
        f"{deb.path}: {said}",
        details=f"this file: sha256 {deb.sha256}, {deb.size} bytes\nalready there: {other}\n"
        "Hosts that have it would never take the new one. (A version that differs in its epoch alone "
        "has the same file name, and counts as the same.)",
        hint=BUMP,
    )
