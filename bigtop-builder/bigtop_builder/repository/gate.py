# SPDX-License-Identifier: Apache-2.0
"""What hosts would lose by a change of a suite, and whether that was meant.

Hosts see a suite by architecture: the packages for it and those for `all`, of all components, of each the
newest version. So that is what is compared, and of two snapshots only those blocks that differ.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from debian.debian_support import NativeVersion

from bigtop_builder.errors import PublishError
from bigtop_builder.repository.index.blocks import holding
from bigtop_builder.repository.index.packages import Stanza
from bigtop_builder.repository.layout import Block, Snapshot
from bigtop_builder.schema import some

log = logging.getLogger(__name__)

Load = Callable[[Block], Iterable[Stanza]]
Demand = Callable[[str, str], Sequence[str]]
"""Snapshot that a suite has, empty if none, and the one that it is to get, empty if that is made in the suite itself
-> what is wanting before hosts may get it."""
Named = dict[str, list[Stanza]]
"""Name of a package -> what there is of it for one architecture."""

RELATIONS = re.compile(r"^(?:Provides|Replaces): (.*(?:\n .*)*)", re.MULTILINE)
SOURCE = re.compile(r"^Source: (\S+)", re.MULTILINE)
LIKELY = 3
"""Successors that are named."""
SHOWN = 40
"""Lines of a warning."""


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """A package whose newest version goes down.

    Attributes:
        name: The package.
        architecture: For hosts of this one.
        before: Newest version in the suite.
        after: Newest version that there would be.
    """

    name: str
    architecture: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.name} {self.before} -> {self.after} ({self.architecture})"


@dataclass(frozen=True, kw_only=True)
class Vanished:
    """A package that a suite has no more.

    Attributes:
        name: The package.
        version: Its newest version.
        architectures: For hosts of these.
        successors: Names that it probably has now: packages that provide or replace it, else new ones of the
            same source package.
    """

    name: str
    version: str
    architectures: tuple[str, ...]
    successors: tuple[str, ...] = ()

    def __str__(self) -> str:
        renamed = f", probably now {' or '.join(self.successors)}" if self.successors else ""
        return f"{self.name} {self.version} ({', '.join(self.architectures)}){renamed}"


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What hosts would lose.

    Attributes:
        vanished: Packages that there are no more.
        lowered: Packages whose newest version goes down.
        stays: What vanished stays in the suite, in its old version: only nothing newer comes.
        unknown: Why nobody can tell; empty if it was looked at.
    """

    vanished: tuple[Vanished, ...] = ()
    lowered: tuple[Lowered, ...] = ()
    stays: bool = False
    unknown: str = ""


def nothing(before: str, after: str) -> tuple[str, ...]:  # noqa: ARG001  # a Demand
    """The demand of suites of which nothing is demanded."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What a user lets through.

    Attributes:
        accept: Packages may vanish.
        allow_downgrade: Versions may go down.
        demand: What a site demands of a snapshot before the suite's hosts get it.
        force: What it demands may be wanting.
    """

    accept: bool = False
    allow_downgrade: bool = False
    demand: Demand = nothing
    force: bool = False

    def demanded(self, suite: str, before: str, after: str) -> tuple[str, ...]:
        """What is wanting and was let through, for the history; each of it is warned of.

        Args:
            suite: The suite.
            before: Snapshot that it has; empty if none.
            after: Snapshot that it is to get; empty for one that is made in it.

        Raises:
            PublishError: Something is wanting.
        """
        wanting = self.demand(before, after)
        if wanting and not self.force:
            raise PublishError(
                f"suite {suite} does not get {f'snapshot {after[:16]}' if after else 'packages of its own'} yet",
                details="\n".join(wanting),
                hint="see to it; --force with --why REASON goes on without, and the history says so",
            )
        for line in wanting:
            log.warning("%s: forced: %s", suite, line)
        return tuple(f"forced: {line}" for line in wanting)

    def judge(self, suite: str, loss: Loss) -> tuple[str, ...]:
        """What was let through, for the history; each of it is warned of.

        Raises:
            PublishError: Something is lost that was not to be.
        """
        lowered = () if self.allow_downgrade else loss.lowered
        vanished = () if self.accept else loss.vanished
        if lowered or vanished:
            raise PublishError(
                "; ".join([*_falls(suite, lowered), *_goes(suite, vanished, stays=loss.stays)]),
                details="\n".join(map(str, (*lowered, *vanished))),
                hint=_way_out(lowered=bool(lowered), vanished=bool(vanished)),
            )
        waived = [f"not compared with what hosts have: {loss.unknown}"] if loss.unknown else []
        waived += [f"goes down: {one}" for one in loss.lowered]
        waived += [f"vanishes: {one}" for one in loss.vanished]
        for line in waived[:SHOWN]:
            log.warning("%s: %s", suite, line)
        if waived[SHOWN:]:
            log.warning("%s: and %d more, which the history names", suite, len(waived) - SHOWN)
        return tuple(waived)


def _falls(suite: str, lowered: Sequence[Lowered]) -> Iterator[str]:
    for first in lowered[:1]:
        others = f", and so do {len(lowered) - 1} others" if lowered[1:] else ""
        yield f"{first.name} goes down from {first.before} to {first.after} in suite {suite}{others}"


def _goes(suite: str, vanished: Sequence[Vanished], *, stays: bool) -> Iterator[str]:
    if vanished:
        named = some([one.name for one in vanished], "package")
        yield f"{named} {'did not come, but would stay in' if stays else 'would vanish from'} suite {suite}"


def _way_out(*, lowered: bool, vanished: bool) -> str:
    down = "hosts do not downgrade by themselves: repo rollback goes back to an earlier snapshot"
    if lowered and vanished:
        return f"{down}; --allow-downgrade --accept, if both are meant"
    if lowered:
        return f"{down}; --allow-downgrade, if it is meant"
    return "hosts that have them get no newer ones and are not told; --accept, if it is meant"


def between(before: Snapshot, after: Snapshot, load: Load) -> Loss:
    """What hosts lose when a suite goes from one snapshot to another. It costs what differs.

    Args:
        before: The suite's.
        after: Its next.
        load: Reads a block.
    """
    read = _Once(load)
    sides: dict[str, tuple[Named, Named]] = {}
    for architecture in before.architectures:
        old, new = (_blocks(one, architecture) for one in (before, after))
        names = _differing(old, new, read)
        if names:
            sides[architecture] = (_of(old, names, read), _of(new, names, read))
    return _loss(sides)


def growing(before: Snapshot, come: Sequence[Stanza], load: Load, *, expected: Collection[str] = ()) -> Loss:
    """What hosts would take as going down if packages came in besides a suite's.

    Args:
        before: The suite's snapshot.
        come: All that a user brings.
        load: Reads a block.
        expected: Names that must be among it, or have vanished.
    """
    read = _Once(load)
    sides: dict[str, tuple[Named, Named]] = {}
    for architecture in before.architectures:
        brought = _named(come, architecture)
        there = _of(_blocks(before, architecture), {*brought, *expected}, read)
        known = {name for name in there if name in brought and _keys(brought[name]) <= _keys(there[name])}
        sides[architecture] = (
            {name: there[name] for name in there if name not in known},
            {name: brought[name] for name in brought if name not in known},
        )
    loss = _loss(sides)
    return replace(loss, stays=bool(loss.vanished))


def replacing(before: Snapshot, component: str, come: Sequence[Stanza], load: Load) -> Loss:
    """What hosts lose when a component holds other packages than before.

    Args:
        before: The suite's snapshot.
        component: The component.
        come: All that it will hold.
        load: Reads a block.
    """
    read = _Once(load)
    sides: dict[str, tuple[Named, Named]] = {}
    for architecture in before.architectures:
        all_blocks = _blocks(before, architecture)
        brought = _named(come, architecture)
        left = {one.name for block in all_blocks.get(component, ()) for one in read(block)}
        names = left | brought.keys()
        others = _of({key: all_blocks[key] for key in all_blocks if key != component}, names, read)
        after = {name: [*brought.get(name, ()), *others.get(name, ())] for name in names}
        sides[architecture] = (_of(all_blocks, names, read), after)
    return _loss(sides)


class _Once:
    """Reads each block once."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._read: dict[str, list[Stanza]] = {}

    def __call__(self, block: Block) -> list[Stanza]:
        if block.sha256 not in self._read:
            self._read[block.sha256] = list(self._load(block))
        return self._read[block.sha256]


Blocks = Mapping[str, Sequence[Block]]
"""Component -> blocks of its index for one architecture."""


def _blocks(snapshot: Snapshot, architecture: str) -> Blocks:
    return {
        component: indices[architecture].blocks
        for component, indices in snapshot.components.items()
        if architecture in indices
    }


def _differing(old: Blocks, new: Blocks, read: _Once) -> set[str]:
    """Names of packages that are not the same on both sides."""
    names: set[str] = set()
    for component in {*old, *new}:
        sides = [{block.sha256: block for block in side.get(component, ())} for side in (old, new)]
        keys = [
            _keys(one for sha256 in mine.keys() - theirs.keys() for one in read(mine[sha256]))
            for mine, theirs in (sides, sides[::-1])
        ]
        names |= {name for name, _, _ in keys[0] ^ keys[1]}
    return names


def _of(blocks: Blocks, names: Collection[str], read: _Once) -> Named:
    """All that there is of packages of these names."""
    found: Named = defaultdict(list)
    for chain in blocks.values():
        for block in holding(chain, names):
            for stanza in read(block):
                if stanza.name in names:
                    found[stanza.name].append(stanza)
    return found


def _named(stanzas: Iterable[Stanza], architecture: str) -> Named:
    named: Named = defaultdict(list)
    for stanza in stanzas:
        if stanza.architecture in {architecture, "all"}:
            named[stanza.name].append(stanza)
    return named


def _keys(stanzas: Iterable[Stanza]) -> set[tuple[str, str, str]]:
    return {one.key for one in stanzas}


def _loss(sides: Mapping[str, tuple[Named, Named]]) -> Loss:
    lowered: list[Lowered] = []
    gone: dict[str, list[str]] = defaultdict(list)
    versions: dict[str, str] = {}
    for architecture, (before, after) in sides.items():
        for name in sorted(before):
            newest = _newest(before[name])
            if not after.get(name):
                gone[name].append(architecture)
                versions[name] = newest
            elif (there := _newest(after[name])) != newest and NativeVersion(there) < NativeVersion(newest):
                lowered.append(Lowered(name=name, architecture=architecture, before=newest, after=there))
    vanished = [
        Vanished(
            name=name,
            version=versions[name],
            architectures=tuple(architectures),
            successors=_successors(name, [sides[one] for one in architectures]),
        )
        for name, architectures in sorted(gone.items())
    ]
    return Loss(vanished=tuple(vanished), lowered=tuple(lowered))


def _newest(stanzas: Iterable[Stanza]) -> str:
    return max((one.version for one in stanzas), key=NativeVersion)


def _successors(name: str, sides: Iterable[tuple[Named, Named]]) -> tuple[str, ...]:
    heirs: set[str] = set()
    siblings: set[str] = set()
    for before, after in sides:
        source = _source(before[name][-1])
        for stanza in (one for stanzas in after.values() for one in stanzas):
            if name in _replaced(stanza):
                heirs.add(stanza.name)
            elif not before.get(stanza.name) and _source(stanza) == source:
                siblings.add(stanza.name)
    return tuple(sorted(heirs or siblings)[:LIKELY])


def _source(stanza: Stanza) -> str:
    found = SOURCE.search(stanza.text)
    return found[1] if found else stanza.name


def _replaced(stanza: Stanza) -> Iterator[str]:
    """Names of packages that this one provides or replaces."""
    for field in RELATIONS.findall(stanza.text):
        for relation in field.split(","):
            yield relation.split("(")[0].split(":")[0].strip()
