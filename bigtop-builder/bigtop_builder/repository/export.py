# SPDX-License-Identifier: Apache-2.0
"""A mirror of a suite or a snapshot that needs nothing else: for rsync, and for sites without a network.

It is laid out as the repository is and signed by the same bytes, so apt and `repo check` take it as they take that
one. Packages come first, the switch last, and what the mirror had before stays for a day.
"""

import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bigtop_builder.errors import InputError, PublishError
from bigtop_builder.repository import catalog, layout
from bigtop_builder.repository.accidents import refuse_inside
from bigtop_builder.repository.founding import unpublished
from bigtop_builder.repository.gc import Plan, remove, sweep
from bigtop_builder.repository.layout import COPY, Form, Mirror, Mirrored, Snapshot, SuiteSettings
from bigtop_builder.repository.pointer import Pointer
from bigtop_builder.repository.retention import DAY
from bigtop_builder.repository.snapshot import links_of
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store import Alias, Content, Held, Store, Upload
from bigtop_builder.repository.wrapper import places_of

log = logging.getLogger(__name__)

BATCH = 256
"""Packages that are on their way at once; a copy of each is here if the repository is elsewhere."""
RELEASE = ("Release", "Release.gpg", "InRelease")


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an export did.

    Attributes:
        target: The mirror.
        suites: Suites that it has now by this export -> snapshot.
        files: Files that were written.
        size: Bytes of those that are packages or indices.
        removed: Files that nothing named any more.
    """

    target: str
    suites: Mapping[str, str]
    files: int
    size: int
    removed: int


def export(
    source: State,
    target: Store,
    *,
    suites: Sequence[str] = (),
    snapshots: Sequence[str] = (),
    now: datetime,
    why: str = "",
) -> Exported:
    """Bring a mirror to where suites of a repository stand.

    Args:
        source: The repository; it is only read.
        target: Where the mirror is to be: a place that is empty, or has one.
        suites: Suites to mirror.
        snapshots: Snapshots to mirror, as `catalog.found` takes them.
        now: The time, UTC.
        why: Reason, for the mirror's record.

    Raises:
        InputError: Nothing was published to a suite, there is no such snapshot, or the target is something else
            or lies in a repository.
        PublishError: The mirror is newer, a file is missing or was altered, or the mirror cannot be written.
    """
    refuse_inside(target, source.store)
    chosen = [catalog.named(source, one) for one in snapshots]
    pointers = _wanted(source, suites, chosen)
    _held(source, target)  # a place that holds something else does not even get a lock
    there = State(target)
    with target.lock():
        held = _held(source, target)
        settings = _settings(source, there, pointers)
        if target.read(layout.MIRROR) is None:
            _begin(target, settings, Mirror(when=now, why=why, source=source.store.name))
        before = there.unverified_pointers(target.names("dists"))
        for one in pointers:
            _require_newer(target, one, before.get(one.suite))
        forms = source.settings().forms
        carrier = _Carrier(source, target, forms)
        models = {one.snapshot: source.snapshot(one.snapshot) for one in pointers}
        carrier.bring(pointers, models)
        asked = {*suites, *map(layout.snapshot_suite, chosen)}
        wanted = {one.suite: one.snapshot for one in pointers if one.suite in asked}
        mirror = Mirror(when=now, why=why, source=source.store.name, held=_turned(held, before, wanted, now))
        files: dict[str, Content] = {layout.MIRROR: mirror.to_json().encode(), layout.SETTINGS: settings}
        target.put({path: content for path, content in files.items() if target.read(path) != content})
        for one in pointers:
            _switch(target, one, before.get(one.suite), places_of(models[one.snapshot], forms))
        swept = _swept(there, mirror, now)
    return Exported(
        target=target.name,
        suites={one.suite: one.snapshot for one in pointers},
        files=carrier.files,
        size=carrier.size,
        removed=swept.count,
    )


class _Carrier:
    """Brings files to a mirror that it does not have, and counts them."""

    def __init__(self, source: State, target: Store, forms: tuple[Form, ...]) -> None:
        self.source = source
        self.target = target
        self.forms = forms
        self.files = 0
        self.size = 0

    def bring(self, pointers: Sequence[Pointer], models: Mapping[str, Snapshot]) -> None:
        """Copy all that suites need, in the order in which a publish writes it, and no switch."""
        every = tuple(models.values())
        self.packages(every)
        self.indices(every)
        for snapshot, model in models.items():
            self.snapshot(snapshot, model)
        self.records(every)
        for one in pointers:
            self.wrapper(one, models[one.snapshot])

    def put(self, files: Mapping[str, Content], *, modified: datetime | None = None) -> None:
        """Write files that the target does not have; names of aliases are all it compares."""
        there = self.target.held(files)
        fresh = {path: content for path, content in files.items() if path not in there}
        self.target.put(fresh, modified=modified)
        self.files += sum(not isinstance(content, Alias) for content in fresh.values())

    def packages(self, models: Sequence[Snapshot]) -> None:
        """Copy packages, each verified by the hash that its index has."""
        found = self.source.pool_files(models)
        self._copy({path: (one.sha256, one.size) for path, one in found.items()})

    def indices(self, models: Sequence[Snapshot]) -> None:
        """Copy indices by hash, and the blocks they are made of."""
        named = {path: place for one in models for path, place in places_of(one, self.forms).items()}
        places = set(named.values())
        sizes = self.source.store.held(places)
        if missing := sorted(places - sizes.keys()):
            raise PublishError(f"{self.source.store.name}/{missing[0]} is missing", hint=COPY)
        self._copy({place: (place.rpartition("/")[2], sizes[place].size) for place in sorted(places)})
        names = {path.rpartition("/")[2]: place for path, place in named.items() if "/SHA512/" in path}
        self.put({layout.by_hash("SHA512", name): Alias(place) for name, place in names.items()})
        blocks = {
            layout.block_file(block.sha256, form)
            for one in models
            for _, index in one.indices()
            for block in index.blocks
            for form in {".gz", *(layout.form_of(name) for name in index.files)} - {""}
        }
        # Only the .gz is sure to be there: an older version of this tool kept no other form.
        others = {path for path in blocks if layout.form_of(path) != ".gz"}
        self._as_they_are((blocks - others) | self.source.store.held(others).keys())

    def snapshot(self, snapshot: str, model: Snapshot) -> None:
        """Copy a model as it is: one that an older version of this tool wrote would not be written so today."""
        path = layout.snapshot_file(snapshot)
        self.put({path: self._read(path), **links_of(snapshot, model, self.forms)})

    def records(self, models: Sequence[Snapshot]) -> None:
        """Copy manifests, public keys, and the list of withdrawn snapshots."""
        keys = {f"state/keys/{name}" for name in self.source.store.names("state/keys")}
        self._as_they_are(keys | {layout.manifest_file(one) for model in models for one in model.manifests})
        notices = self.source.store.read(layout.WITHDRAWN)
        if notices and notices != self.target.read(layout.WITHDRAWN):
            self.target.put({layout.WITHDRAWN: notices})
            self.files += 1

    def wrapper(self, pointer: Pointer, model: Snapshot) -> None:
        """Copy what a suite points to, and its history."""
        self._history(pointer)
        folder = layout.release_folder(pointer.suite, pointer.serial)
        if self.target.read(f"{folder}/InRelease") == pointer.signed:
            return
        files: dict[str, Content] = {
            f"{folder}/{name}": Alias(f"snapshots/{pointer.snapshot}/{name}") for name in model.components
        }
        for name in RELEASE:
            files[f"{folder}/{name}"] = self._read(f"{folder}/{name}")
        if files[f"{folder}/InRelease"] != pointer.signed:
            raise PublishError(
                f"{self.source.store.name}/{folder}/InRelease is not what {pointer.suite} shows", hint=COPY
            )
        # Where a mirror has another release of this serial, hosts read it meanwhile: the signed one is the switch.
        signed = {f"{folder}/InRelease": files.pop(f"{folder}/InRelease")}
        self.target.put(files, modified=pointer.date)
        self.target.put(signed, modified=pointer.date)
        self.files += len(RELEASE)

    def _history(self, pointer: Pointer) -> None:
        """Copy the entries that the mirror lacks or has otherwise: from another copy, or signed by other keys."""
        entries = [layout.history_file(pointer.suite, serial) for serial in range(1, pointer.serial + 1)]
        paths = [path for entry in entries for path in (entry, f"{entry}.asc")]
        with ThreadPoolExecutor(max(self.source.store.readers, self.target.readers)) as threads:
            ours, theirs = threads.map(self._read, paths), threads.map(self.target.read, paths)
            fresh = {path: one for path, one, other in zip(paths, ours, theirs, strict=True) if one != other}
        for part in _parts(sorted(fresh)):
            self.target.put({path: fresh[path] for path in part})
            self.files += len(part)

    def _copy(self, files: Mapping[str, tuple[str, int]]) -> None:
        """Copy files by their sha256 and size, in parts of which copies are here for a while."""
        there = self.target.held(files)
        fresh = [path for path, (_, size) in files.items() if path not in there or there[path].size != size]
        for part in _parts(fresh):
            with self.target.scratch() as scratch, tempfile.TemporaryDirectory(dir=scratch) as folder:
                wanted = {path: Held(sha256=files[path][0], size=files[path][1]) for path in part}
                copies = self.source.store.local(wanted, Path(folder))
                self.target.put(
                    {path: Upload(copy, wanted[path].sha256) for path, copy in zip(part, copies, strict=True)}
                )
            self.files += len(part)
            self.size += sum(files[path][1] for path in part)
            log.info("copied %d files to %s", self.files, self.target.name)

    def _as_they_are(self, paths: set[str]) -> None:
        """Copy small files."""
        there = self.target.held(paths)
        for part in _parts(sorted(paths - there.keys())):
            self.target.put({path: self._read(path) for path in part})
            self.files += len(part)

    def _read(self, path: str) -> bytes:
        data = self.source.store.read(path)
        if data is None:
            raise PublishError(f"{self.source.store.name}/{path} is missing", hint=COPY)
        return data


def _wanted(source: State, suites: Sequence[str], snapshots: Sequence[str]) -> list[Pointer]:
    """Where suites stand, each after the own suite of its snapshot.

    Raises:
        InputError: Nothing was published to a suite, or a snapshot has no suite of its own.
    """
    found: dict[str, Pointer] = {}
    for suite in suites:
        pointer = source.unverified_pointer(suite)
        if pointer is None:
            raise unpublished(source, suite)
        own = source.unverified_pointer(layout.snapshot_suite(pointer.snapshot))
        found |= {one.suite: one for one in (own, pointer) if one}
    for snapshot in snapshots:
        own = source.unverified_pointer(layout.snapshot_suite(snapshot))
        if own is None:
            raise InputError(
                f"snapshot {snapshot} has no suite of its own", hint="bigtop-builder repo refresh makes it"
            )
        found[own.suite] = own
    return list(found.values())


def _held(source: State, target: Store) -> tuple[Mirrored, ...]:
    """What a mirror holds; nothing if its place is empty.

    Raises:
        InputError: Something else is there.
    """
    text = target.read(layout.MIRROR)
    if text is None:
        foreign = [name for name in target.names("") if name != "state"] or target.names("state/keys")
        if foreign or target.name == source.store.name:
            raise InputError(
                f"{target.name} holds {foreign[0] if foreign else 'the repository'} and is no mirror of this tool",
                hint="name an empty place, or one that repo export made",
            )
        return ()
    settings, there = source.settings(), State(target).settings()
    if (settings.origin, settings.label) != (there.origin, there.label):
        raise InputError(
            f"{target.name} is a mirror of another repository: its origin is {there.origin!r}, "
            f"not {settings.origin!r}",
            hint="name another place",
        )
    return Mirror.from_json(text, source=f"{target.name}/{layout.MIRROR}").held


def _begin(target: Store, settings: bytes, mirror: Mirror) -> None:
    """Make an empty place a mirror that holds nothing, so that the first export can be taken up if it is killed."""
    target.put({layout.SETTINGS: settings})
    target.put({layout.MIRROR: mirror.to_json().encode()})


def _require_newer(target: Store, wanted: Pointer, standing: Pointer | None) -> None:
    if standing and standing.date > wanted.date:
        raise PublishError(
            f"{wanted.suite} of {target.name} is of {standing.date:%Y-%m-%d %H:%M:%S} UTC, "
            f"newer than the repository's of {wanted.date:%Y-%m-%d %H:%M:%S}",
            hint="hosts would ignore the older one: export from the newer repository, or into an empty place",
        )


def _of_suites(pointers: Iterable[Pointer]) -> list[Mirrored]:
    """What suites show to hosts, whatever an export that was cut off has noted."""
    named = (one for one in pointers if not layout.OWN_SUITE.fullmatch(one.suite))
    return [Mirrored(suite=one.suite, snapshot=one.snapshot) for one in named]


def _switch(target: Store, wanted: Pointer, standing: Pointer | None, places: Mapping[str, str]) -> None:
    """Point a suite of the mirror to where the repository's does, if it does not yet."""
    before = standing.signed if standing else None
    if before != wanted.signed:
        release = layout.release_folder(wanted.suite, wanted.serial)
        target.switch(wanted.suite, release, files=places, before=before)


def _swept(there: State, mirror: Mirror, now: datetime) -> Plan:
    """What nothing in the mirror names any more, after it was removed."""
    named = there.unverified_pointers(there.store.names("dists")).values()
    stays = {one.snapshot: ("mirrored",) for one in (*mirror.held, *_of_suites(named))}
    gone = tuple(one for one in there.snapshots() if one not in stays)
    found = sweep(there, stays, gone=gone, now=now)
    remove(there, found)
    return found


def _turned(
    before: Sequence[Mirrored], standing: Mapping[str, Pointer], wanted: Mapping[str, str], now: datetime
) -> tuple[Mirrored, ...]:
    """What a mirror holds after an export: what it had a day ago at most, and what it gets."""
    held = []
    shown = _of_suites(standing.values())
    places = {(one.suite, one.snapshot) for one in shown}
    for one in (*shown, *(one for one in before if (one.suite, one.snapshot) not in places)):
        if one.replaced is None and wanted.get(one.suite, one.snapshot) != one.snapshot:
            held.append(one.model_copy(update={"replaced": now}))
        elif (one.replaced is None and one.suite not in wanted) or (
            one.replaced and one.replaced > now - DAY
        ):
            held.append(one)
    return (*held, *(Mirrored(suite=suite, snapshot=snapshot) for suite, snapshot in wanted.items()))


def _settings(source: State, there: State, pointers: Sequence[Pointer]) -> bytes:
    """The repository's settings, with the mirror's suites."""
    settings = source.settings()
    known = there.settings().suites if there.store.size(layout.SETTINGS) is not None else {}
    own = {one.suite: settings.suites[one.suite] for one in pointers if one.suite in settings.suites}
    suites: dict[str, SuiteSettings] = {**known, **own}
    return settings.model_copy(update={"suites": suites}).to_json().encode()


def _parts(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    return (paths[start : start + BATCH] for start in range(0, len(paths), BATCH))
