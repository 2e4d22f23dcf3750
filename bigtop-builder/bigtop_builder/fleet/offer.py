# SPDX-License-Identifier: Apache-2.0
"""What one snapshot offers to hosts: of each package the newest version, and what a host trusts it by."""

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from debian.debian_support import NativeVersion

from bigtop_builder.artifact import ARCHITECTURE, NAME, VERSION
from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.fleet.way_back import own_suite, pointing, require_whole, titles, way_back
from bigtop_builder.repository import layout
from bigtop_builder.repository.catalog import named
from bigtop_builder.repository.index.packages import Stanza
from bigtop_builder.repository.keyring_package import package_name
from bigtop_builder.repository.layout import Snapshot
from bigtop_builder.repository.notices import notice_of
from bigtop_builder.repository.state import State
from bigtop_builder.schema import TITLE

FILE = re.compile(r"pool(?:/[A-Za-z0-9][A-Za-z0-9+.~_\-]*)+\.deb")
COMPONENT = r"[a-z0-9][a-z0-9+.\-]*"
FORMS = {"name": NAME, "version": VERSION, "architecture": ARCHITECTURE, "filename": FILE}
"""What hosts are given goes into scripts that root runs: Debian policy 5.6, and paths as `layout` makes them."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One snapshot, as a host sees it that follows it.

    Attributes:
        snapshot: Its id.
        origin: Origin of the repository.
        components: Its components, sorted.
        packages: Architecture -> package -> the newest version, with packages for all architectures.
    """

    snapshot: str
    origin: str
    components: tuple[str, ...]
    packages: Mapping[str, Mapping[str, Stanza]]

    def __post_init__(self) -> None:
        """See that all names and versions have their Debian forms.

        Raises:
            CheckFailed: One has not.
        """
        _require_form("origin", self.origin, TITLE)
        for component in self.components:
            _require_form("component", component, COMPONENT)
        for one in (one for packages in self.packages.values() for one in packages.values()):
            require_stanza(one)

    @property
    def suite(self) -> str:
        """The suite of its own, which never shows another package."""
        return layout.snapshot_suite(self.snapshot)

    @property
    def keyring_package(self) -> str:
        """Name of the package that brings the repository's keys."""
        return package_name(self.origin)

    def of(self, architecture: str) -> Mapping[str, Stanza]:
        """What a host of an architecture finds there.

        Raises:
            InputError: Nothing.
        """
        if architecture not in self.packages:
            raise InputError(
                f"snapshot {self.snapshot[:16]} has no packages for {architecture}",
                hint=f"it has them for {', '.join(self.packages) or 'no architecture'}",
            )
        return self.packages[architecture]

    def pins(self) -> Iterator[tuple[str, str]]:
        """Packages and the versions that hosts take, sorted.

        Where architectures have different ones a package has several: a host sees that of its own alone. The keyring
        package is left out: it must never go back to one that lacks a key which signs by now.
        """
        pairs = {(one.name, one.version) for named_ in self.packages.values() for one in named_.values()}
        return (pair for pair in sorted(pairs) if pair[0] != self.keyring_package)


def offer_of(state: State, wanted: str, public: bytes) -> Offer:
    """What a snapshot offers that is in use.

    Args:
        state: The repository.
        wanted: A suite or snapshot, as `catalog.found` takes it.
        public: The repository's keys, binary.

    Raises:
        InputError: There is none, or it was withdrawn.
        CheckFailed: It has no packages, no suite of its own, or a part of it is missing or has no Debian form.
        SigningError: None of the keys has signed it.
    """
    snapshot = named(state, wanted)
    if notice := notice_of(state, snapshot, lambda: public):
        raise InputError(
            f"snapshot {snapshot[:16]} was withdrawn: {notice.why}",
            hint="name one that is in use: bigtop-builder repo list --snapshots shows them",
        )
    origin, _ = titles(state, own_suite(state, snapshot, public))
    model = state.snapshot(snapshot)
    packages = newest(state, model)
    if not any(packages.values()):
        raise CheckFailed(
            f"snapshot {snapshot[:16]} has no packages, so there is nothing for hosts",
            hint="name another one: bigtop-builder repo list --snapshots shows them",
        )
    return Offer(
        snapshot=snapshot,
        origin=origin,
        components=tuple(sorted(model.components)),
        packages=packages,
    )


def offers_of(state: State, wanted: str, back: str, public: bytes) -> tuple[Offer, Offer | None]:
    """A snapshot, and the one that its hosts go back to; None if there is none.

    Args:
        state: The repository.
        wanted: A suite or snapshot.
        back: Another one that was named for the way back; what the suites had before if empty.
        public: The repository's keys, binary.

    Raises:
        InputError: One is not there, or was withdrawn, or both are the same.
        CheckFailed: One has no packages, or one of them is missing.
        SigningError: None of the keys has signed what says where hosts go back to.
    """
    now = offer_of(state, wanted, public)
    before = way_back(state, now.snapshot, pointing(state, now.snapshot, public), wanted, back, public)
    for one in filter(None, (now.snapshot, before)):
        require_whole(state, one)
    return now, offer_of(state, before, public) if before else None


def require_stanza(package: Stanza) -> None:
    """See that a package's fields have their Debian forms.

    Raises:
        CheckFailed: One has not.
    """
    for name, form in FORMS.items():
        _require_form(f"{name} of package {package.name!r}", getattr(package, name), form.pattern)


def _require_form(what: str, value: str, pattern: str) -> None:
    """See that a value can go into files and scripts on hosts.

    Raises:
        CheckFailed: It cannot.
    """
    if not re.fullmatch(pattern, value):
        raise CheckFailed(
            f"{what} is {value!r}, which no package or repository has: hosts are not given that",
            hint="remove the package from the suite; bigtop-builder repo check says whether the repository is whole",
        )


def newest(state: State, model: Snapshot) -> dict[str, dict[str, Stanza]]:
    """What hosts take of a snapshot: architecture -> package -> the newest version among all components.

    Raises:
        CheckFailed: A part of it is missing or was altered.
    """
    found: dict[str, dict[str, Stanza]] = {}
    with ThreadPoolExecutor(state.store.readers) as threads:
        for architecture in model.architectures:
            indices = [named_[architecture] for named_ in model.components.values() if architecture in named_]
            there = found.setdefault(architecture, {})
            for stanzas in threads.map(state.stanzas, (block for index in indices for block in index.blocks)):
                for one in stanzas:
                    known = there.get(one.name)
                    if known is None or NativeVersion(known.version) < NativeVersion(one.version):
                        there[one.name] = one
    return found
