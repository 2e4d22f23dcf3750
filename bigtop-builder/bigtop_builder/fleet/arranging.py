# SPDX-License-Identifier: Apache-2.0
"""What an upgrade day takes of a repository and a fleet: snapshots, manifests, lists, and the day made of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bigtop_builder.fleet.day_files import day_files
from bigtop_builder.fleet.day_folder import day_folder
from bigtop_builder.fleet.definition import Fleet, Role
from bigtop_builder.fleet.emitted import Files, Sources
from bigtop_builder.fleet.fleet_manifest import FleetManifest
from bigtop_builder.fleet.issuing import manifest_of
from bigtop_builder.fleet.lists import ROLLBACK, UPGRADE, RoleLists, files_of, lists_of
from bigtop_builder.fleet.offer import Offer
from bigtop_builder.fleet.resolver import Resolver
from bigtop_builder.fleet.runbook import Runbook
from bigtop_builder.fleet.trust import trust_of
from bigtop_builder.fleet.upgrade_day import runbook_of
from bigtop_builder.fleet.wanted import Wanted
from bigtop_builder.openpgp import Keyring
from bigtop_builder.recipe import Target
from bigtop_builder.repository.authentic import public_keys
from bigtop_builder.repository.state import State
from bigtop_builder.room import RoomMaker


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """A day from one snapshot to another.

    Attributes:
        state: The repository.
        keyring: Holds its keys.
        fleet: The definition.
        roles: Those that take part, with the packages that the new snapshot has.
        hosts: Role -> its hosts.
        wanted: What roles ask of apt, and sets of them that a host may have.
        new: The snapshot that hosts go to.
        old: The one that they come from; None if there is no way back.
        target: The distribution.
        kept: Folder where facts of packages are kept.
    """

    state: State
    keyring: Keyring
    fleet: Fleet
    roles: Mapping[str, Role]
    hosts: Mapping[str, Sequence[str]]
    wanted: Sequence[Wanted]
    new: Offer
    old: Offer | None
    target: Target
    kept: Path

    @cached_property
    def manifests(self) -> dict[str, FleetManifest]:
        """`new` and `old` -> the fleet manifest.

        Raises:
            CheckFailed: A package, manifest or index is missing or was altered.
            SigningError: The repository's keys have not signed what one is made of, or one cannot sign.
        """
        alone = [one for one in self.wanted if one.role in self.roles]
        going = {one.role: one.upgrade for one in alone}
        made = {"new": self._manifest(self.new, going, back=self.old.snapshot if self.old else "")}
        if self.old:
            made["old"] = self._manifest(self.old, {one.role: one.rollback for one in alone})
        return made

    def lists(self, rooms: RoomMaker, accept: Collection[str]) -> list[RoleLists]:
        """What each role installs, there and back, as apt says in a clean room.

        Args:
            rooms: Opens clean systems of the target distribution.
            accept: Packages that may go.

        Raises:
            InputError: As `lists.lists_of`.
            CheckFailed: The same.
        """
        with rooms.open(purpose="fleet-lists") as room:
            offers = {UPGRADE: self.new, **({ROLLBACK: self.old} if self.old else {})}
            resolver = Resolver(room, self.state, offers, self.target.architecture)
            back = self.old.suite if self.old else ""
            return lists_of(resolver, self.wanted, accept=accept, back=back)

    def day(self, lists: Sequence[RoleLists], url: str) -> tuple[Runbook, Files]:
        """The runbook, and the day's folder as hosts get it.

        Args:
            lists: What each role installs.
            url: Address under which hosts reach the repository.
        """
        runbook = runbook_of(
            self.fleet,
            self.roles,
            self.hosts,
            origin=self.new.origin,
            upgrade=self.new.snapshot,
            rollback=self.old.snapshot if self.old else "",
            closures=lists,
        )
        sides = (self.new, *([self.old] if self.old else []))
        trust = trust_of(self.state, public_keys(self.state, self.keyring), *sides)
        target = self.target
        files = day_folder(
            day_files(runbook),
            sources=Sources(upgrade=self.new, rollback=self.old, trust=trust, url=url).files(),
            lists=files_of(lists, self.new, self.old, target.tag, architecture=target.architecture),
            new=self.manifests["new"],
            old=self.manifests.get("old"),
            keyring=self.keyring,
        )
        return runbook, files

    def versions(self, offer: Offer) -> dict[str, str]:
        """Package -> version of what a snapshot offers; without the keyring package, which never goes back."""
        there = offer.of(self.target.architecture)
        return {name: one.version for name, one in there.items() if name != offer.keyring_package}

    def _manifest(
        self, offer: Offer, roles: Mapping[str, tuple[str, ...]], *, back: str = ""
    ) -> FleetManifest:
        return manifest_of(
            self.state,
            offer.snapshot,
            keyring=self.keyring,
            kept=self.kept,
            roles=lambda *_: roles,
            back=back,
        )
