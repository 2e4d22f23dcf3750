# SPDX-License-Identifier: Apache-2.0
"""What is asked of the program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

AGE = 30
"""Days that a host may go without `apt-get update`: until then it knows no withdrawal and no new key."""


@dataclass(frozen=True)
class Asked:
    """What is asked for.

    Attributes:
        manifest: The manifest.
        signature: Its detached signature [the manifest's name and `.asc`].
        keyring: Public keys, binary [what the keyring package of the manifest's origin installs].
        roles: Roles of the host: their packages must be there.
        root: Folder that the host lies in.
        withdrawn: The repository's signed list of withdrawn snapshots.
        guard: `on` or `off`: how policy-rc.d is meant to stand.
        max_age: Days after the last `apt-get update` from which apt's lists count as stale; 0 for never.
        origin: Origin that the manifest must have [whatever it says, which chooses the keyring].
        host: Name of the host [its own].
        quick: Leave out the content of files.
        as_json: Print JSON.
    """

    manifest: Path
    signature: Path | None = None
    keyring: Path | None = None
    roles: tuple[str, ...] = ()
    root: Path = Path("/")
    withdrawn: Path | None = None
    guard: str = "off"
    max_age: int = AGE
    origin: str = ""
    host: str = ""
    quick: bool = False
    as_json: bool = False
