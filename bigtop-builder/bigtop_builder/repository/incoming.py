# SPDX-License-Identifier: Apache-2.0
"""What a set of packages would change in a suite: which are new to it, which stay, which must go."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

from bigtop_builder.artifact import Deb
from bigtop_builder.repository import pool, source_pool
from bigtop_builder.repository.drafting import write_snapshot
from bigtop_builder.repository.gate import Loss, growing, replacing
from bigtop_builder.repository.index.packages import Stanza
from bigtop_builder.repository.index.sources import ARCHITECTURE, SourceStanza
from bigtop_builder.repository.layout import Removed, Snapshot
from bigtop_builder.repository.snapshot import Draft
from bigtop_builder.repository.source_pool import AdmittedSource
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store import Store
from bigtop_builder.repository.wrapper import Change
from bigtop_builder.source_package import Beside, SourcePackage
from bigtop_builder.verify.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """A set of packages before a suite; false if it would change nothing.

    Attributes:
        before: The suite's snapshot; without components if it has none.
        component: Component of the suite.
        debs: The set.
        fresh: Those that the component does not have.
        replace: The component is to hold this set only.
        sources: Source packages that the component does not have.
        kept: If so, those that it has.
        kept_sources: If so, source packages that it has.
        removed: If so, what must go.
    """

    before: Snapshot
    component: str
    debs: Sequence[Deb]
    fresh: tuple[Deb, ...]
    sources: tuple[SourcePackage, ...] = ()
    replace: bool = False
    kept: tuple[Stanza, ...] = ()
    kept_sources: tuple[SourceStanza, ...] = ()
    removed: tuple[Removed, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.fresh or self.sources or self.removed)

    def loss(self, state: State, expected: Collection[str]) -> Loss:
        """What hosts would lose.

        Args:
            state: The repository.
            expected: Names that must be in the set, or have vanished.
        """
        if not self.before.components:
            return Loss()
        come = [_coming(deb) for deb in self.debs]
        if self.replace:
            return replacing(self.before, self.component, come, state.stanzas)
        return growing(self.before, come, state.stanzas, expected=expected)

    def staged(self, store: Store) -> Self:
        """The same, with the hash of each fresh package known (`pool.staged`)."""
        fresh = pool.staged(store, self.fresh, self.component)
        known = {deb.path: deb for deb in fresh}
        return replace(self, fresh=fresh, debs=tuple(known.get(deb.path, deb) for deb in self.debs))

    def brought(
        self,
        state: State,
        wanted: Change,
        *,
        verdicts: Sequence[Verdict],
        manifest: bytes | None,
        integrity: pool.Integrity | None,
        beside: Beside,
    ) -> Change:
        """Bring what is fresh into the store, and the snapshot that has it: the change that then is to be made.

        Args:
            state: The repository, locked.
            wanted: The change, as far as it is known before.
            verdicts: What verification said.
            manifest: Release manifest that the packages came with.
            integrity: As `pool.admit` takes it.
            beside: Has the .changes and .buildinfo to keep.

        Raises:
            PublishError: A package is refused, or the store cannot be written.
        """
        admitted = pool.admit(
            state, self.fresh, component=self.component, verdicts=verdicts, integrity=integrity
        )
        sources = source_pool.admit(state, self.sources, component=self.component)
        kept, named = source_pool.kept_records(beside.records, self.debs, beside.sources)
        state.store.put(source_pool.together(admitted, sources))
        records = {**pool.records(admitted, verdicts, manifest), **kept}
        manifests = () if manifest is None else (hashlib.sha256(manifest).hexdigest(),)
        grown = partial(
            self.grown, suite=wanted.suite, admitted=admitted, sources=sources, manifests=manifests
        )
        return replace(
            wanted,
            snapshot=write_snapshot(state, self.before, grown, records),
            added=(*(one.record for one in admitted), *(one.record for one in sources)),
            removed=self.removed,
            records=named,
        )

    def grown(
        self,
        draft: Draft,
        suite: str,
        admitted: Sequence[pool.Admitted],
        sources: Sequence[AdmittedSource],
        manifests: Sequence[str],
    ) -> Snapshot:
        """The snapshot that has the admitted packages besides those that stay.

        Args:
            draft: Makes it.
            suite: The suite.
            admitted: The fresh ones.
            sources: Fresh source packages.
            manifests: Hashes of the release manifests that they came with.
        """
        return draft.grown(
            self.before,
            component=self.component,
            added=[*self.kept, *(one.stanza for one in admitted)],
            architectures=draft.state.settings().suites[suite].architectures,
            manifests=tuple(manifests),
            sources=[*self.kept_sources, *(one.stanza for one in sources)],
            replace=self.replace,
        )


def incoming_of(
    state: State,
    before: Snapshot,
    component: str,
    debs: Sequence[Deb],
    sources: Sequence[SourcePackage] = (),
    *,
    replace: bool,
) -> Incoming:
    """Hold a set of packages against a snapshot.

    Raises:
        PublishError: The snapshot has one with other bytes, or two of the set differ in their bytes alone.
    """
    fresh = pool.not_yet_in(state, before, component, debs)
    index = before.sources.get(component)
    new = source_pool.not_yet_in(state, index, sources)
    if not replace:
        return Incoming(before=before, component=component, debs=debs, fresh=fresh, sources=new)
    wanted = {(deb.name, deb.version, deb.architecture) for deb in debs}
    indices = before.components.get(component, {})
    there = {one.key: one for named in indices.values() for one in state.packages(named)}
    held = {one.key: one for block in (index.blocks if index else ()) for one in state.sources(block)}
    stay = held.keys() & {(one.name, one.version, ARCHITECTURE) for one in sources}
    return Incoming(
        before=before,
        component=component,
        debs=debs,
        fresh=fresh,
        sources=new,
        replace=True,
        kept=tuple(stanza for key, stanza in there.items() if key in wanted),
        kept_sources=tuple(stanza for key, stanza in held.items() if key in stay),
        removed=(
            *(removed(component, there[key]) for key in sorted(there.keys() - wanted)),
            *(removed(component, held[key]) for key in sorted(held.keys() - stay)),
        ),
    )


def _coming(deb: Deb) -> Stanza:
    """What the gate looks at of a package, which has no place yet and whose bytes do not matter to it."""
    return Stanza(
        name=deb.name,
        version=deb.version,
        architecture=deb.architecture,
        filename="",
        size=deb.size,
        sha256="",
        text="",
    )


def removed(component: str, stanza: Stanza) -> Removed:
    """What the history says of a package that goes out."""
    return Removed(
        component=component, name=stanza.name, version=stanza.version, architecture=stanza.architecture
    )
