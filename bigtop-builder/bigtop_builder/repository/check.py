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
from bigtop_builder.repository.authentic import kept_keys, require_good, require_newest
from bigtop_builder.repository.index.packages import Stanza, parse_stanzas
from bigtop_builder.repository.index.sources import PoolFile, parse_sources
from bigtop_builder.repository.key_expiry import all_expired, ending_keys
from bigtop_builder.repository.layout import COPY, Block, Entry, Form, Settings, Snapshot
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
class _File:
    """What a file of the store must be.

    Attributes:
        suite: One that has it, of the settings if any of these has.
    """

    path: str
    size: int
    sha256: str
    suite: str = field(compare=False)


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

    def files(self, suites: Iterable[_Suite]) -> Iterator[str]:
        """Indices, under each suite's own path and by hash, the blocks they are made of, and what they name."""
        there = list(suites)
        yield from self._right([file for suite in there for file in self._indices(suite)])
        named: list[_File] = []
        for problems, files in self.threads.map(self._block, _blocks(there)):
            yield from problems
            named += files
        yield from self._right(list(dict.fromkeys(named)))

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

    def _indices(self, suite: _Suite) -> Iterator[_File]:
        """Files of the indices that clients may ask for."""
        for folder, index in suite.snapshot.indices() if suite.snapshot else ():
            for name, entry in index.files.items():
                if layout.is_written(name, self.settings.forms):
                    for one in (name, f"by-hash/SHA256/{entry.sha256}", f"by-hash/SHA512/{entry.sha512}"):
                        path = f"{layout.suite_folder(suite.name)}/{folder}/{one}"
                        yield _File(path=path, size=entry.size, sha256=entry.sha256, suite=suite.name)

    def _block(self, block: "_Block") -> tuple[list[str], list[_File]]:
        """What is wrong with a block, and the files of the pool that it names."""
        sha256 = block.block.sha256
        try:
            text = self.state.block(block.block)[0]
            for form in sorted(block.forms):
                self.state.stream(sha256, text, form)
        except BuilderError as error:
            return [_said(block.suite, error)], []
        return [], [
            _File(path=one.filename, size=one.size, sha256=one.sha256, suite=block.suite)
            for one in _named(block.folder, text.decode())
        ]

    def _right(self, files: Sequence[_File]) -> Iterator[str]:
        """Whether files are there, and what they must be; one that several paths lead to is read once."""
        store = self.state.store
        held = store.held(file.path for file in files)
        whole: dict[tuple[str, str], list[_File]] = {}
        wrong: dict[str, list[_File]] = {}
        for file in files:
            there = held.get(file.path)
            if there and there.size == file.size:
                whole.setdefault((store.origin(file.path), file.sha256), []).append(file)
                continue
            said = f"has {there.size} bytes, not {file.size}" if there else "is missing"
            wrong.setdefault(f"{self._real(file.path)} {said}", []).append(file)
        found = self.threads.map(lambda same: store.sha256(same[0].path), whole.values())
        for same, sha256 in zip(whole.values(), found, strict=True):
            if sha256 != same[0].sha256:
                wrong[f"{self._real(same[0].path)} was altered, its sha256 is not {same[0].sha256}"] = same
        for told, hit in wrong.items():
            yield f"{told}{self._mend(hit)}"

    def _mend(self, same: Sequence[_File]) -> str:
        """Whom a fault of a file hits, and what mends it; the file may have several names."""
        suites = sorted(
            dict.fromkeys(one.suite for one in same), key=lambda one: one not in self.settings.suites
        )
        one, named = same[0], ", ".join(suites)
        if self.state.store.size(layout.MIRROR) is not None:
            return f" (of {named}): {COPY}"
        if one.path.startswith("dists/"):
            refresh = f"bigtop-builder repo refresh {suites[0]}"
            if not self.state.store.origin(""):  # it is a copy where the store has no links
                return f" (of {named}): {refresh} copies it anew, and so does the command that was cut off"
            return f" (of {named}): {refresh} joins it anew from its blocks; or {COPY}"
        if one.path.endswith(".deb"):
            add = (
                f"bigtop-builder repo add {suites[0] if suites[0] in self.settings.suites else 'SUITE'} FILE"
            )
            return f" (of {named}): {add} puts back the same bytes, of sha256 {one.sha256}; or {COPY}"
        return f" (of {named}; sha256 {one.sha256}): {COPY}"

    def _real(self, path: str) -> str:
        """The file that a path leads to: to bring back a link would mend nothing."""
        origin, root = self.state.store.origin, self.state.store.origin("")
        return origin(path).removeprefix(f"{root}/")


@dataclass(kw_only=True)
class _Block:
    """A block of one or more suites.

    Attributes:
        suite: One of these.
        folder: Of the index, as `Snapshot.indices` has it.
        forms: Those in which it may be kept beside the gzip member.
    """

    suite: str
    folder: str
    block: Block
    forms: set[Form]


def _blocks(suites: Iterable[_Suite]) -> list[_Block]:
    """All blocks of suites, each once."""
    found: dict[str, _Block] = {}
    for suite in suites:
        for folder, index in suite.snapshot.indices() if suite.snapshot else ():
            forms: set[Form] = {layout.form_of(name) for name in index.files} - {"", ".gz"}
            for block in index.blocks:
                fresh = _Block(suite=suite.name, folder=folder, block=block, forms=set())
                found.setdefault(block.sha256, fresh).forms.update(forms)
    return list(found.values())


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


def _named(folder: str, text: str) -> Iterator[Stanza | PoolFile]:
    """Files of the pool that a block of an index in this folder names."""
    if folder.endswith("/source"):
        yield from (file for source in parse_sources(text) for file in source.files)
    elif "/binary-" in folder:
        yield from parse_stanzas(text)


@contextmanager
def _told(suite: _Suite) -> Iterator[None]:
    """Note what is wrong with a suite, and go on."""
    try:
        yield
    except BuilderError as error:
        suite.problems.append(_said(suite.name, error))


def _said(suite: str, error: BuilderError) -> str:
    return f"{suite}: {error.brief}: {error.hint}"
