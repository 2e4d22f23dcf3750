# SPDX-License-Identifier: Apache-2.0
"""Is a repository whole: every signature, hash and reference that a host or the next publisher will follow."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import chain

from bigtop_builder.cores import cores
from bigtop_builder.errors import BuilderError
from bigtop_builder.repository import layout, records
from bigtop_builder.repository.accidents import require_link
from bigtop_builder.repository.attested import faults
from bigtop_builder.repository.authentic import kept_keys, require_good, require_newest
from bigtop_builder.repository.intact import Files
from bigtop_builder.repository.key_expiry import all_expired, ending_keys
from bigtop_builder.repository.layout import COPY, Entry, Settings, Snapshot
from bigtop_builder.repository.missing import missing_snapshots
from bigtop_builder.repository.pointer import Pointer, Proven
from bigtop_builder.repository.refresh import why_due
from bigtop_builder.repository.rights import closed
from bigtop_builder.repository.signatures import signatures, unnamed, verified
from bigtop_builder.repository.state import State
from bigtop_builder.repository.strays import forgotten, strays
from bigtop_builder.repository.unfinished import Unfinished, unfinished
from bigtop_builder.repository.withdrawals import unheeded


@dataclass(frozen=True, kw_only=True)
class Health:
    """What was found, one thing a line with what mends it.

    Attributes:
        problems: What is wrong.
        warnings: What will be, or what nobody knows.
    """

    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def examine(state: State, *, trusted: bytes = b"", now: datetime) -> Health:
    """What is wrong with a repository, and what will be.

    Args:
        state: The repository.
        trusted: Public keys, binary, that its suites must be signed with; those that it keeps itself if
            empty, which finds accidents but no forger.
        now: The time, UTC.

    Raises:
        InputError: There is no repository.
    """
    settings = state.settings()
    kept = kept_keys(state)
    missing = [layout.key_file(one) for one in settings.keys if layout.key_file(one) not in kept]
    if missing and not trusted:
        mend = (
            COPY
            if state.store.size(layout.MIRROR) is not None
            else f"bigtop-builder repo refresh writes it anew; or {COPY}"
        )
        told = (f"{path} is missing, so what it signed cannot be verified: {mend}" for path in missing)
        return Health(problems=tuple(told), warnings=())
    public = trusted or b"".join(kept[path] for path in map(layout.key_file, settings.keys) if path in kept)
    once = trusted or b"".join(kept.values())
    with ThreadPoolExecutor(max(state.store.readers, cores())) as threads:
        look = _Look(state=state, settings=settings, public=public, once=once, threads=threads)
        found = [f"{path} is missing: {COPY}" for path in missing]
        suites = look.suites([*settings.suites, *_own_suites(state)])
        for suite in suites:
            found += suite.problems
        pointers = [suite.pointer for suite in suites if suite.pointer]
        found += missing_snapshots(state, pointers, look.public, look.once)
        found += look.histories(suites)
        found += look.files(suites)
        found += unheeded(state, pointers, look.public)
        found += forgotten(state)
        refused, soon = look.endings(suites, now)
        found += refused
        dead, ending = all_expired(public, now), list(ending_keys(public, now))
        found += ending if dead else ()
        warnings = [
            *(() if dead else ending),
            *soon,
            *_ownless(suites),
            *(suite.unfinished.told for suite in suites if suite.unfinished),
            *closed(state),
            *strays(state),
        ]
    return Health(problems=tuple(dict.fromkeys(found)), warnings=tuple(warnings))


@dataclass(kw_only=True)
class _Suite:
    """A suite that is being looked at.

    Attributes:
        pointer: Where it stands; None if nothing was published to it, or it cannot be read.
        snapshot: What it points to, if that can be read.
        unfinished: What was signed for it, if it has no InRelease.
        problems: What is wrong with these.
    """

    name: str
    pointer: Pointer | None = None
    snapshot: Snapshot | None = None
    unfinished: Unfinished | None = None
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class _Look:
    """A repository that is being checked, many files at once: what several suites share is looked at once.

    Attributes:
        public: Present keys, binary.
        once: All keys that it has had: for what was signed long ago.
        threads: Do the work; gpgv, hashes and a far store let go of Python's lock.
    """

    state: State
    settings: Settings
    public: bytes
    once: bytes
    threads: ThreadPoolExecutor

    def suites(self, names: Sequence[str]) -> list[_Suite]:
        """Suites with their signatures and what their Release says."""
        return list(self.threads.map(self._suite, names))

    def histories(self, suites: Iterable[_Suite]) -> Iterator[str]:
        """Every entry of every history, with its signature."""
        last: dict[str, Pointer | Entry] = {one.suite: one for one in _retired(self.state)}
        last |= {suite.name: suite.pointer for suite in suites if suite.pointer}
        paths = {
            layout.history_file(suite, serial): one.snapshot
            if isinstance(one, Pointer) and serial == one.serial
            else ""
            for suite, one in last.items()
            for serial in range(1, one.serial + 1)
        }
        return chain.from_iterable(self.threads.map(self._entry, paths.keys(), paths.values()))

    def files(self, suites: Sequence[_Suite]) -> Iterator[str]:
        """Indices, the blocks they are made of, what these name, and what is said of that."""
        snapshots = {suite.name: suite.snapshot for suite in suites if suite.snapshot}
        files = Files(state=self.state, settings=self.settings, threads=self.threads)
        yield from files.indices(snapshots)
        problems, named = files.blocks(snapshots)
        yield from problems
        models = {
            suite.pointer.snapshot: suite.snapshot for suite in suites if suite.pointer and suite.snapshot
        }
        yield from faults(self.state, models.values(), named, self.once)

    def endings(self, suites: Iterable[_Suite], now: datetime) -> tuple[list[str], list[str]]:
        """Suites that hosts refuse, or will after the next step, and others that are to be signed anew."""
        refused: list[str] = []
        soon: list[str] = []
        pointers = [suite.pointer for suite in suites if suite.pointer]
        dead = all_expired(self.public, now)
        for pointer, told in zip(pointers, self.threads.map(partial(self._due, now), pointers), strict=True):
            if told and _unfinished(pointer, self.settings):
                if (ours := self._ours(pointer)) and (step := _unfinished(ours, self.settings)):
                    refused.append(f"{pointer.suite}: a change of keys was cut short: {step} completes it")
                else:
                    refused.append(
                        f"{pointer.suite}: it names other keys than the repository has: "
                        "if a change of keys was cut short, the same command completes it"
                    )
            elif told and not dead:
                over = pointer.until and pointer.until <= now
                line = f"{pointer.suite}: {told}: bigtop-builder repo refresh signs it anew"
                (refused if over else soon).append(line)
        return refused, soon

    def _ours(self, pointer: Pointer) -> Proven | None:
        """What a present key has signed of a suite: no command is taken from what somebody else wrote."""
        with suppress(BuilderError):
            return require_good(self.state, pointer, self.public, expired=True)
        return None

    def _due(self, now: datetime, pointer: Pointer) -> str:
        with suppress(BuilderError):
            return why_due(pointer, self.settings, self.public, now=now)
        return ""

    def _suite(self, name: str) -> _Suite:
        suite = _Suite(name=name)
        with _told(suite):
            suite.pointer = self.state.unverified_pointer(name)
            if suite.pointer:
                with _told(suite):
                    require_link(self.state.store, name, suite.pointer.serial)
                    require_newest(self.state, suite.pointer, self.public)
                unsigned = list(signatures(self.state, suite.pointer, self.public))
                suite.problems += unsigned
                if self.state.store.size(layout.snapshot_file(suite.pointer.snapshot)) is not None:
                    suite.snapshot = self.state.snapshot(suite.pointer.snapshot)
                    suite.problems += () if unsigned else unnamed(suite.pointer, suite.snapshot)
                    suite.problems += records.wrong(self.state.store, records.of_snapshot(suite.snapshot))
            elif not layout.OWN_SUITE.fullmatch(name):
                suite.unfinished = unfinished(self.state, name, self.public)
        return suite

    def _entry(self, path: str, snapshot: str = "") -> list[str]:
        """What is wrong with an entry; the newest one must lead to the snapshot that the suite points to."""
        entry, signature = self.state.store.read(path), self.state.store.read(f"{path}.asc")
        if entry is None or signature is None:
            return [f"{path} or its signature is missing: {COPY}"]
        if problems := list(verified(entry, signature, self.once, path, mend=COPY, expired=True)):
            return problems
        try:
            found = Entry.from_json(entry, source=path)
        except BuilderError as error:
            return [f"{error.brief}: {COPY}"]
        right = layout.history_file(found.suite, found.serial)
        if right != path:
            return [f"{path} is what {right} should be: {COPY}"]
        if snapshot and found.after != snapshot:
            two = f"went to snapshot {found.after[:16]}, and it points to {snapshot[:16]}"
            mend = f"bigtop-builder repo refresh {found.suite} puts into the history where it stands"
            return [f"{path} says that {found.suite} {two}: two published to it at once; {mend}"]
        return list(records.wrong(self.state.store, records.of_entry(self.state.store, found)))


def _unfinished(pointer: Pointer, settings: Settings) -> str:
    """The command that completes a change of keys that has not come to this suite; empty if there is none."""
    before = [key for key in pointer.fields.get("Signed-By", "").split(", ") if key]
    gone = [key for key in before if key not in settings.keys]
    come = [key for key in settings.keys if key not in before]
    if not before or not (gone or come):
        return ""
    if not gone:
        return f"bigtop-builder key rotate {before[-1]} --to {come[-1]}"
    return f"bigtop-builder key rotate {gone[0]} --finish{f' --to {come[-1]}' if come else ''}"


def _own_suites(state: State) -> list[str]:
    """Snapshots' own suites: those that there should be, and those that are there."""
    due = [layout.snapshot_suite(one) for one in state.snapshots()]
    names = [name for name in state.store.names("dists") if layout.OWN_SUITE.fullmatch(name)]
    held = state.store.held(f"{layout.suite_folder(name)}/InRelease" for name in names if name not in {*due})
    return [*due, *(path.split("/")[1] for path in held)]


def _retired(state: State) -> Iterator[Entry]:
    """The last entries of suites that were retired."""
    suites = set(state.store.names("state/history")) - set(state.store.names("dists"))
    yield from filter(None, map(state.retired, sorted(suites)))


def _ownless(suites: Iterable[_Suite]) -> Iterator[str]:
    """Snapshots of a history that have no suite of their own: an older version of this tool made them."""
    for suite in suites:
        if layout.OWN_SUITE.fullmatch(suite.name) and not suite.pointer and not suite.problems:
            snapshot = suite.name.removeprefix("snapshot-")
            yield f"snapshot {snapshot} has no suite of its own: bigtop-builder repo refresh makes it"


@contextmanager
def _told(suite: _Suite) -> Iterator[None]:
    """Note what is wrong with a suite, and go on."""
    try:
        yield
    except BuilderError as error:
        suite.problems.append(f"{suite.name}: {error.brief}: {error.hint}")
