# SPDX-License-Identifier: Apache-2.0
"""What a command did to a suite."""

from dataclasses import dataclass

from bigtop_builder.repository.gate import Lowered, Vanished
from bigtop_builder.repository.layout import Added, Removed
from bigtop_builder.repository.pointer import Pointer


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a command did.

    Attributes:
        suite: The suite it was about.
        serial: Of the switch that stands now.
        snapshot: Id of the snapshot that the suite points to now.
        changed: Something was written; if not, all was as wanted already.
        added: Packages that came in.
        removed: Packages that went out by name, or because others replaced them.
        vanished: Packages that hosts find no more, as was accepted.
        lowered: Packages whose newest version went down, as was allowed.
    """

    suite: str
    serial: int
    snapshot: str
    changed: bool
    added: tuple[Added, ...] = ()
    removed: tuple[Removed, ...] = ()
    vanished: tuple[Vanished, ...] = ()
    lowered: tuple[Lowered, ...] = ()


def unchanged(pointer: Pointer) -> Published:
    """What a command says that found all as it was wanted."""
    return Published(suite=pointer.suite, serial=pointer.serial, snapshot=pointer.snapshot, changed=False)
