# SPDX-License-Identifier: Apache-2.0
"""Changing a repository: add, promote, rollback, refresh. Each ends in one switch, and is whole before it.

Order of writes: pool, then blocks and indices by hash, then the snapshot, then the signed wrapper and its
history entry, then the switch. All of one step is durable before the next begins, so whatever a crash leaves
is either unreachable or whole, and the same command takes up what is there.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from bigtop_builder import openpgp
from bigtop_builder.artifact import Deb
from bigtop_builder.errors import InputError
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout, pool
from bigtop_builder.repository.founding import begin, define, ensure, meant
from bigtop_builder.repository.layout import Added, Form, Settings, Snapshot, SuiteSettings
from bigtop_builder.repository.snapshot import Draft
from bigtop_builder.repository.state import Pointer, State
from bigtop_builder.repository.store import Content, Store, open_store
from bigtop_builder.repository.wrapper import Change, Clock, switch
from bigtop_builder.verify.integrity import check_integrity
from bigtop_builder.verify.verdict import Verdict

COMPONENT = re.compile(r"[a-z0-9][a-z0-9+.\-]*")
"""A component is a folder below pool/: what may stand in Packages' Filename (the models hold it to the same)."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a command did.

    Attributes:
        suite: The suite it was about.
        serial: Of the switch that stands now.
        snapshot: Id of the snapshot that the suite points to now.
        changed: Something was written; if not, all was as wanted already.
        added: Packages that came in.
    """

    suite: str
    serial: int
    snapshot: str
    changed: bool
    added: tuple[Added, ...] = ()


class Repository:
    """A repository in a store.

    Args:
        store: Where it lies.
        integrity: Verifies packages that no verdict knows.
        clock: Says what time it is.
    """

    def __init__(
        self,
        store: Store,
        *,
        integrity: pool.Integrity = check_integrity,
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self.store = store
        self.state = State(store)
        self._integrity = integrity
        self._clock = clock

    @classmethod
    def open(cls, where: str | Path, *, sync: bool = True) -> Self:
        """A repository that is there.

        Args:
            where: Its folder, or `s3://bucket/prefix`.
            sync: Wait for the disk.

        Raises:
            InputError: There is none.
        """
        repository = cls(open_store(where, sync=sync))
        repository.state.settings()
        return repository

    @classmethod
    def init(
        cls,
        where: str | Path,
        *,
        origin: str,
        label: str = "",
        keyring: Keyring,
        fingerprints: Sequence[str],
        forms: tuple[Form, ...] = ("", ".gz", ".xz"),
        sync: bool = True,
    ) -> Self:
        """Make a repository; the same call on one that is there changes nothing.

        Args:
            where: Its folder, empty or not there yet, or `s3://bucket/prefix`.
            origin: Origin in Release, for apt's pins on the hosts.
            label: Label in Release; the origin if empty.
            keyring: Holds the keys.
            fingerprints: Keys that sign, each of them every time.
            forms: Forms of the indices to write.
            sync: Wait for the disk.

        Raises:
            SigningError: A key cannot sign.
            InputError: The folder holds something else, or a repository with other settings.
        """
        keyring.check(fingerprints)
        repository = cls(open_store(where, sync=sync))
        wanted = Settings(origin=origin, label=label or origin, keys=tuple(fingerprints), forms=forms)
        begin(repository.state, wanted, keyring)
        return repository

    def define(self, suite: str, settings: SuiteSettings) -> None:
        """Make a suite known, or change what may change of it.

        Raises:
            InputError: The name is none, or the codename would change.
        """
        with self.store.lock():
            define(self.state, suite, settings)

    def add(
        self,
        suite: str,
        debs: Sequence[Deb],
        *,
        keyring: Keyring,
        component: str = "main",
        verdicts: Sequence[Verdict] = (),
        manifest: bytes | None = None,
        new_suite: bool = False,
        verify: bool = True,
        who: str = "",
        why: str = "",
    ) -> Published:
        """Bring packages into a suite. Packages that are in it stay; what is there already costs nothing.

        Args:
            suite: Suite.
            debs: Packages.
            keyring: Holds the repository's keys.
            component: Component of the suite.
            verdicts: What verification said; packages that none of them knows are verified here.
            manifest: Release manifest that the packages came with.
            new_suite: Make the suite, with its name as codename, if it is none of the repository's; the first
                one of a repository is made in any case.
            verify: Verify packages that no verdict knows; if not, the history says so.
            who: Whom the history names; this user and host if empty.
            why: Reason for the history.

        Raises:
            InputError: The suite is unknown, or suite or component cannot be a name.
            SigningError: A key cannot sign, or the suite's state is not signed by the repository's keys.
            PublishError: A package is refused, or the store cannot be written; nothing was switched.
        """
        if COMPONENT.fullmatch(component) is None:
            raise InputError(
                f"{component!r} cannot be a component's name",
                hint="lower-case letters, digits, + . and - only",
            )
        pointer = self.state.pointer(suite)
        if pointer and not self._missing(pointer, component, debs):
            return _unchanged(pointer)
        keyring.check(self.state.settings().keys)
        with self.store.lock():
            ensure(self.state, suite, new=new_suite)
            pointer = self._trusted(suite, keyring)
            fresh = self._missing(pointer, component, debs)
            if pointer and not fresh:
                return _unchanged(pointer)
            admitted = pool.admit(
                self.state,
                fresh,
                component=component,
                verdicts=verdicts,
                integrity=self._integrity if verify else None,
            )
            self.store.put({one.stanza.filename: one.content for one in admitted})
            records = self._records(admitted, verdicts, manifest)
            snapshot = self._grow(suite, pointer, component, admitted, records)
            added = tuple(one.record for one in admitted)
            change = Change(suite=suite, snapshot=snapshot, action="add", who=who, why=why, added=added)
            return self._switch(pointer, change, keyring)

    def promote(
        self,
        source: str,
        target: str,
        *,
        keyring: Keyring,
        new_suite: bool = False,
        who: str = "",
        why: str = "",
    ) -> Published:
        """Point a suite to the snapshot that another one points to; no index is made anew.

        Args:
            source: Suite that has the snapshot.
            target: Suite that gets it.
            keyring: Holds the repository's keys.
            new_suite: Make the target if it is none of the repository's suites.
            who: Whom the history names.
            why: Reason for the history.

        Raises:
            InputError: Nothing was published to the source, or the target is unknown.
            SigningError: A key cannot sign.
        """
        keyring.check(self.state.settings().keys)
        with self.store.lock():
            origin = self._standing(source, keyring)
            ensure(self.state, target, new=new_suite)
            pointer = self._trusted(target, keyring)
            if pointer and pointer.snapshot == origin.snapshot:
                return _unchanged(pointer)
            change = Change(
                suite=target, snapshot=origin.snapshot, action="promote", who=who, why=why, source=source
            )
            return self._switch(pointer, change, keyring)

    def rollback(
        self, suite: str, *, to: str = "", keyring: Keyring, who: str = "", why: str = ""
    ) -> Published:
        """Point a suite to a snapshot that it pointed to before; hosts take it as newer than what they have.

        Args:
            suite: Suite.
            to: Id of the snapshot or the beginning of it; the one before the present one if empty.
            keyring: Holds the repository's keys.
            who: Whom the history names.
            why: Reason for the history.

        Raises:
            InputError: The suite never pointed there, or there is nothing before.
            SigningError: A key cannot sign.
        """
        keyring.check(self.state.settings().keys)
        with self.store.lock():
            pointer = self._standing(suite, keyring)
            target = self._earlier(pointer, to)
            if target == pointer.snapshot:
                return _unchanged(pointer)
            change = Change(suite=suite, snapshot=target, action="rollback", who=who, why=why)
            return self._switch(pointer, change, keyring)

    def refresh(self, suite: str, *, keyring: Keyring, who: str = "", why: str = "") -> Published:
        """Sign a suite anew, with a new Date and Valid-Until, over the snapshot it points to.

        Raises:
            InputError: Nothing was published to the suite.
            SigningError: A key cannot sign.
        """
        keyring.check(self.state.settings().keys)
        with self.store.lock():
            pointer = self._standing(suite, keyring)
            change = Change(suite=suite, snapshot=pointer.snapshot, action="refresh", who=who, why=why)
            return self._switch(pointer, change, keyring)

    def snapshots(self) -> tuple[str, ...]:
        """Ids of all snapshots in the store that are whole."""
        names = self.store.names("snapshots")
        return tuple(name for name in names if self.store.size(layout.snapshot_file(name)) is not None)

    def _trusted(self, suite: str, keyring: Keyring) -> Pointer | None:
        """Where a suite stands, after its signature was verified: nobody else's state is ever signed anew."""
        pointer = self.state.pointer(suite)
        if pointer:
            public = keyring.export_public(self.state.settings().keys, armor=False)
            openpgp.verify(pointer.signed, keyring=public, what=f"{self.store.name}/dists/{suite}/InRelease")
        return pointer

    def _standing(self, suite: str, keyring: Keyring) -> Pointer:
        pointer = self._trusted(suite, keyring)
        if pointer is None:
            raise InputError(
                f"nothing was published to suite {suite} of {self.store.name}",
                hint=meant(suite, self.state.settings().suites),
            )
        return pointer

    def _missing(self, pointer: Pointer | None, component: str, debs: Sequence[Deb]) -> tuple[Deb, ...]:
        snapshot = self.state.snapshot(pointer.snapshot) if pointer else None
        return pool.not_yet_in(self.state, snapshot, component, debs)

    def _records(
        self, admitted: Sequence[pool.Admitted], verdicts: Sequence[Verdict], manifest: bytes | None
    ) -> dict[str, Content]:
        used = {one.record.verified for one in admitted}
        files: dict[str, Content] = {}
        for verdict in verdicts:
            name = pool.verdict_sha256(verdict)
            if f"verdict:{name}" in used:
                files[layout.verdict_file(name)] = verdict.to_json().encode()
        if manifest is not None:
            files[layout.manifest_file(hashlib.sha256(manifest).hexdigest())] = manifest
        return files

    def _grow(
        self,
        suite: str,
        pointer: Pointer | None,
        component: str,
        admitted: Sequence[pool.Admitted],
        records: Mapping[str, Content],
    ) -> str:
        """Write the snapshot that has the admitted packages besides the suite's, and return its id."""
        settings = self.state.settings()
        before = self.state.snapshot(pointer.snapshot) if pointer else Snapshot(components={})
        manifests = tuple(Path(path).stem for path in records if path.startswith("state/manifests/"))
        with self.store.scratch() as scratch:
            draft = Draft(state=self.state, forms=settings.forms, scratch=scratch)
            grown = draft.grown(
                before,
                component=component,
                added=[one.stanza for one in admitted],
                architectures=settings.suites[suite].architectures,
                manifests=manifests,
            )
            self.store.put({**draft.files, **records})
        name, files = draft.seal(grown)
        self.store.put(files)
        return name

    def _earlier(self, pointer: Pointer, wanted: str) -> str:
        """Id of a snapshot that the suite pointed to."""
        history = self.state.history(pointer.suite)
        past = "\n".join(f"{one.serial}: {one.after} ({one.when:%Y-%m-%d %H:%M} UTC)" for one in history)
        if not wanted:
            came = [
                one for one in history if one.after == pointer.snapshot and one.action in {"add", "promote"}
            ]
            if not came or not came[-1].before:
                raise InputError(
                    f"suite {pointer.suite} has no snapshot before the present one",
                    details=f"it pointed to\n{past}",
                    hint="--to ID takes it to one of these; one of another suite comes in by repo promote",
                )
            return came[-1].before
        found = {one.after for one in history if one.after.startswith(wanted)}
        if len(found) != 1:
            raise InputError(
                f"{wanted} is {'more than one' if found else 'no'} snapshot that {pointer.suite} pointed to",
                details=past,
                hint="name one of these; a snapshot of another suite comes in by promote",
            )
        return found.pop()

    def _switch(self, pointer: Pointer | None, change: Change, keyring: Keyring) -> Published:
        serial = switch(self.state, pointer, change, keyring=keyring, clock=self._clock)
        return Published(
            suite=change.suite, serial=serial, snapshot=change.snapshot, changed=True, added=change.added
        )


def _unchanged(pointer: Pointer) -> Published:
    return Published(suite=pointer.suite, serial=pointer.serial, snapshot=pointer.snapshot, changed=False)
