# SPDX-License-Identifier: Apache-2.0
"""Changing a repository: add, promote, rollback. Each ends in one switch, and is whole before it.

Order of writes: pool, then blocks and indices by hash, then the snapshot, then the signed wrapper and its
history entry, then the switch. All of one step is durable before the next begins, so whatever a crash leaves
is either unreachable or whole, and the same command takes up what is there.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Self

from bigtop_builder.artifact import Deb
from bigtop_builder.errors import BuilderError
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import pool
from bigtop_builder.repository.accidents import require_link
from bigtop_builder.repository.authentic import check_signers, public_keys, require_good, require_newest
from bigtop_builder.repository.catalog import promoted
from bigtop_builder.repository.founding import (
    begin,
    define,
    ensure,
    require_component,
    require_titles,
    unpublished,
)
from bigtop_builder.repository.gate import Gate, Loss, between
from bigtop_builder.repository.incoming import Incoming, incoming_of
from bigtop_builder.repository.key_expiry import require_lasting
from bigtop_builder.repository.layout import Action, Form, Settings, Snapshot, SuiteSettings
from bigtop_builder.repository.pointer import Pointer, Proven
from bigtop_builder.repository.published import Published, compared, unchanged
from bigtop_builder.repository.rollback import earlier, warn_of_withdrawn, went_back
from bigtop_builder.repository.source_pool import NOTHING
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store import Content, Store, open_store
from bigtop_builder.repository.unfinished import Completion
from bigtop_builder.repository.wrapper import Change, Clock, switch
from bigtop_builder.source_package import Beside
from bigtop_builder.verify.integrity import check_integrity
from bigtop_builder.verify.verdict import Verdict

CLOSED = Gate()


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
        self.clock = clock

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
        forms: tuple[Form, ...] | None = None,
        contents: bool | None = None,
        translations: bool | None = None,
        sync: bool = True,
    ) -> Self:
        """Make a repository; on one that is there, choose the indices that are named, and change nothing else.

        Args:
            where: Its folder, empty or not there yet, or `s3://bucket/prefix`.
            origin: Origin in Release, for apt's pins on the hosts.
            label: Label in Release; the origin if empty.
            keyring: Holds the keys.
            fingerprints: Keys that sign, each of them every time.
            forms: Forms of the indices to write from the next publish on; None for those that are written.
            contents: Whether to write Contents; None for what is.
            translations: Whether to write Translation-en; None for what is.
            sync: Wait for the disk.

        Raises:
            SigningError: A key cannot sign.
            InputError: Origin or label can be none, or the folder holds something else, or a repository with other
                settings.
        """
        keyring.check(fingerprints)
        repository = cls(open_store(where, sync=sync))
        indices = {"forms": forms, "contents": contents, "translations": translations}
        chosen = {name: value for name, value in indices.items() if value is not None}
        require_titles(origin=origin, label=label or origin)
        fixed = Settings(origin=origin, label=label or origin, keys=tuple(fingerprints))
        begin(repository.state, fixed.model_copy(update=chosen), keyring, named=chosen)
        return repository

    def define(self, suite: str, settings: SuiteSettings) -> None:
        """Make a suite known, or change what may change of it.

        Raises:
            InputError: The name is none, or the codename would change.
        """
        with self.state.lock():
            define(self.state, suite, settings)

    def add(
        self,
        suite: str,
        debs: Sequence[Deb],
        *,
        keyring: Keyring,
        component: str = "main",
        architectures: Collection[str] = (),
        replace: bool = False,
        gate: Gate = CLOSED,
        expected: Collection[str] = (),
        verdicts: Sequence[Verdict] = (),
        manifest: bytes | None = None,
        new_suite: bool = False,
        verify: bool = True,
        beside: Beside = NOTHING,
        attestations: Callable[[], Mapping[str, Content]] = dict,
        who: str = "",
        why: str = "",
    ) -> Published:
        """Bring packages into a suite. Packages that are in it stay; what is there already costs nothing.

        Args:
            suite: Suite.
            debs: Packages.
            keyring: Holds the repository's keys.
            component: Component of the suite.
            architectures: Take only packages for these and for `all`; each one if empty.
            replace: The component is to hold exactly these packages: others leave the suite.
            gate: What may be lost, and what is demanded first.
            expected: Names that the suite has from an earlier set of this kind: one that did not come has vanished.
            verdicts: What verification said; packages that none of them knows are verified here.
            manifest: Release manifest that the packages came with.
            new_suite: Make the suite, with its name as codename, if it is none of the repository's; the first
                one of a repository is made in any case.
            verify: Verify packages that no verdict knows; if not, the history says so.
            beside: Source packages, .changes and .buildinfo.
            attestations: Gives SBOMs and signed statements, by path; called if anything is new.
            who: Whom the history names; this user and host if empty.
            why: Reason for the history.

        Raises:
            InputError: The suite is unknown, suite or component cannot be a name, or no package is for the
                architectures.
            SigningError: A key cannot sign or expires soon, or the suite's state is not signed by the
                repository's keys.
            PublishError: A package is refused, hosts would lose something, or the store cannot be written.
            CheckFailed: The suite was lost, stands at an old state, or has another suite's.

        After an error the suite stands as before, or where a first publish that was cut off was to take it: the
        error names that one.
        """
        debs = pool.recognised(self.store, debs)
        done = self.settled(
            suite, debs, component=component, architectures=architectures, replace=replace, beside=beside
        )
        if done:
            return done
        debs = pool.only(debs, architectures)
        self.check_lasting(suite, keyring)
        with self.state.lock(), Completion(self.state, keyring, self.clock) as completion:
            debs = pool.recognised(self.store, debs)  # another publisher may have brought one in meanwhile
            ensure(self.state, suite, new=new_suite)
            pointer = self.trusted(suite, keyring) or completion.take_up(suite)
            incoming = self._incoming(pointer, component, debs, beside, replace=replace)
            mended = pool.put_back(self.state, debs, incoming.fresh, component)
            if pointer and not incoming:
                return dataclasses.replace(completion.alone(pointer), mended=mended)
            loss = incoming.loss(self.state, expected)
            waived = gate.judge(suite, loss) + gate.demanded(suite, pointer.snapshot if pointer else "", "")
            action: Action = "replace" if replace else "add"
            wanted = Change(suite=suite, snapshot="", action=action, who=who, why=why, waived=waived)
            change = incoming.staged(self.store).brought(
                self.state,
                wanted,
                verdicts=verdicts,
                manifest=manifest,
                integrity=self._integrity if verify else None,
                beside=beside,
                attestations=attestations,
            )
            return dataclasses.replace(self.switch_to(pointer, change, keyring, loss), mended=mended)

    def settled(
        self,
        suite: str,
        debs: Sequence[Deb],
        *,
        component: str = "main",
        architectures: Collection[str] = (),
        replace: bool = False,
        beside: Beside = NOTHING,
    ) -> Published | None:
        """What `add` would answer if all is as it wants it already, which takes no key; None if not.

        Raises:
            InputError: The component cannot be a name, or no package is for the architectures.
            PublishError: The suite has one of the packages with other bytes.
        """
        require_component(component)
        fitting = pool.only(debs, architectures)
        pointer = self.state.unverified_pointer(suite)
        if pointer is None:
            return None
        incoming = self._incoming(pointer, component, fitting, beside, replace=replace)
        spoilt = incoming or pool.spoilt(self.store, fitting, incoming.fresh, component)
        return None if spoilt else unchanged(pointer)

    def promote(
        self,
        source: str,
        target: str,
        *,
        keyring: Keyring,
        gate: Gate = CLOSED,
        new_suite: bool = False,
        who: str = "",
        why: str = "",
    ) -> Published:
        """Point a suite to the snapshot that another one points to, or to any other; no index is made anew.

        Args:
            source: Suite that has the snapshot, or what `catalog.found` takes.
            target: Suite that gets it.
            keyring: Holds the repository's keys.
            gate: What may be lost, and what is demanded first.
            new_suite: Make the target if it is none of the repository's suites.
            who: Whom the history names.
            why: Reason for the history.

        Raises:
            InputError: Nothing was published to the source, it is no snapshot either, or the target is unknown.
            SigningError: A key cannot sign, or expires soon.
            PublishError: Hosts of the target would lose something, or what is demanded is wanting.
            CheckFailed: As in `add`, for both suites; and an error names what was completed before.
        """
        self.check_lasting(target, keyring)
        with self.state.lock(), Completion(self.state, keyring, self.clock) as completion:
            wanted, via = promoted(self, source, keyring)
            ensure(self.state, target, new=new_suite)
            pointer = self.trusted(target, keyring) or completion.take_up(target)
            if pointer and pointer.snapshot == wanted:
                warn_of_withdrawn(self.state, pointer, partial(public_keys, self.state, keyring))
                return completion.alone(pointer)
            loss = self.loss(pointer, wanted)
            waived = gate.judge(target, loss)
            waived += gate.demanded(target, pointer.snapshot if pointer else "", wanted)
            change = Change(
                suite=target, snapshot=wanted, action="promote", who=who, why=why, source=via, waived=waived
            )
            done = self.switch_to(pointer, change, keyring, loss)
        return compared(self.state, pointer, done)

    def rollback(
        self, suite: str, *, to: str | None = None, keyring: Keyring, who: str = "", why: str = ""
    ) -> Published:
        """Point a suite to a snapshot that it pointed to before; hosts take it as newer than what they have.

        Args:
            suite: Suite.
            to: What `catalog.found` takes; the one before the present one if None.
            keyring: Holds the repository's keys.
            who: Whom the history names.
            why: Reason for the history.

        Raises:
            InputError: The suite never pointed there, or there is nothing before.
            SigningError: A key cannot sign.
        """
        check_signers(keyring, self.state.settings().keys)
        with self.state.lock():
            pointer = self.standing(suite, keyring)
            public = partial(public_keys, self.state, keyring)
            target = earlier(self.state, pointer, to, public=public)
            if target == pointer.snapshot:
                warn_of_withdrawn(self.state, pointer, public)
                return unchanged(pointer)
            change = Change(suite=suite, snapshot=target, action="rollback", who=who, why=why)
            done = self.switch_to(pointer, change, keyring)
        return went_back(self.state, pointer, done, public)

    def trusted(self, suite: str, keyring: Keyring) -> Proven | None:
        """Where a suite stands, by what was verified: nobody else's state is ever signed anew."""
        said = self.state.unverified_pointer(suite)
        if said is None:
            return None
        require_link(self.store, suite, said.serial)
        public = public_keys(self.state, keyring)
        pointer = require_good(self.state, said, public)
        require_newest(self.state, pointer, public)
        return pointer

    def standing(self, suite: str, keyring: Keyring) -> Proven:
        """Where a suite stands that something was published to, verified as `trusted` does it.

        Raises:
            InputError: Nothing was published to it.
        """
        pointer = self.trusted(suite, keyring)
        if pointer is None:
            raise unpublished(self.state, suite)
        return pointer

    def check_lasting(self, suite: str, keyring: Keyring) -> None:
        """See that the keys can sign, and that a Release signed now, of suite or snapshot, can be read until its end.

        Raises:
            SigningError: A key cannot sign, or all expire soon.
        """
        settings = self.state.settings()
        known = settings.suites.get(suite)
        days = (known.valid_days if known else None, settings.snapshot_days)
        require_lasting(
            check_signers(keyring, settings.keys),
            now=self.clock(),
            valid_days=max((one for one in days if one), default=None),
        )

    def loss(self, pointer: Pointer | None, snapshot: str) -> Loss:
        """What hosts of a suite would lose by its switch to another snapshot."""
        if pointer is None:
            return Loss()
        after = self.state.snapshot(snapshot)
        try:
            before = self.state.snapshot(pointer.snapshot)
        except BuilderError as error:  # what is lost of the old snapshot is no reason to stay at it
            return Loss(unknown=error.brief)
        return between(before, after, self.state.stanzas)

    def _incoming(
        self, pointer: Pointer | None, component: str, debs: Sequence[Deb], beside: Beside, *, replace: bool
    ) -> Incoming:
        before = self.state.snapshot(pointer.snapshot) if pointer else Snapshot(components={})
        return incoming_of(self.state, before, component, debs, beside.sources, replace=replace)

    def switch_to(
        self, pointer: Proven | None, change: Change, keyring: Keyring, loss: Loss | None = None
    ) -> Published:
        """Make a change the suite's state. The repository must be locked, and the snapshot in the store.

        Args:
            pointer: Where the suite stands, as `trusted` gives it.
            change: What is wanted.
            keyring: Holds the repository's keys.
            loss: What hosts lose by it, for the answer.

        Raises:
            SigningError: A key cannot sign.
            PublishError: The store cannot be written, or clocks differ; nothing was switched.
        """
        serial = switch(self.state, pointer, change, keyring=keyring, clock=self.clock)
        return Published(
            suite=change.suite,
            serial=serial,
            snapshot=change.snapshot,
            changed=True,
            added=change.added,
            removed=change.removed,
            vanished=loss.vanished if loss else (),
            lowered=loss.lowered if loss else (),
        )
