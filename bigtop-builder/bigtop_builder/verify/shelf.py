# SPDX-License-Identifier: Apache-2.0
"""Packages laid into a clean room of the target distribution, where its apt finds them beside the archive's.

The room's apt takes exactly these versions: Debian has a zookeeper of its own, so each package is pinned.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from bigtop_builder.artifact import Deb
from bigtop_builder.errors import VerifyError
from bigtop_builder.room import Room
from bigtop_builder.run import Completed
from bigtop_builder.tarstream import pack

log = logging.getLogger(__name__)

HOME = "/var/lib/bigtop-builder-verify"
ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "LC_ALL": "C",
}
APT = ("apt-get", "-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", "-o", "Acquire::Retries=3")
SET_PRIORITY = 990
PUBLISHED_PRIORITY = 980
"""What was published before stands in for components that this run leaves out, after the set itself."""

GUARD = "/usr/sbin/policy-rc.d"
PREPARE = f"""
set -e
printf '#!/bin/sh\\nexit 101\\n' > {GUARD} && chmod 755 {GUARD}
# Slim base images drop documentation: dpkg -V would miss it.
for file in /etc/dpkg/dpkg.cfg /etc/dpkg/dpkg.cfg.d/*; do
    [ ! -f "$file" ] || sed -i '/^path-exclude/d' "$file"
done
mv {HOME}/sources.list /etc/apt/sources.list.d/bigtop-builder-verify.list
mv {HOME}/preferences /etc/apt/preferences.d/bigtop-builder-verify.pref
chmod -R a+rX {HOME}
apt-get -q -o Acquire::Retries=3 update
"""


def shell(room: Room, script: str, *words: str, env: dict[str, str] | None = None) -> Completed:
    """Run a shell script with arguments; its status is the caller's business."""
    argv = ["sh", "-c", script, "sh", *words]
    return room.run(argv, env={**ENVIRONMENT, **(env or {})}, check=False)


def apt(room: Room, *words: str) -> Completed:
    """Run apt-get as an unattended host would; its status is the caller's business."""
    return room.run([*APT, *words], env=ENVIRONMENT, check=False)


def last_lines(done: Completed, count: int = 15) -> str:
    """The end of what a command said, errors after the rest."""
    said = [*done.text.splitlines(), *done.complaint.splitlines()]
    return "\n".join(said[-count:])


def furnish(room: Room, debs: Sequence[Deb], published: Sequence[Deb] = ()) -> None:
    """Lay a set into a room, guard it against daemons that start by themselves, and update its apt.

    Args:
        room: A clean room of the target distribution.
        debs: The set.
        published: Packages of earlier runs that the set does not hold, as stand-ins.

    Raises:
        VerifyError: The room's apt cannot read its own archive.
    """
    room.run(["mkdir", "-p", f"{HOME}/set", f"{HOME}/published"])
    room.put(pack(_files("set", debs) | _files("published", published)), HOME)
    pins = [*_pins(debs, SET_PRIORITY), *_pins(published, PUBLISHED_PRIORITY)]
    lists = [f"deb [trusted=yes] file:{HOME}/{shelf} ./" for shelf in ("set", "published")]
    texts = {"sources.list": "\n".join(lists) + "\n", "preferences": "\n\n".join(pins) + "\n"}
    room.put(pack({name: text.encode() for name, text in texts.items()}), HOME)
    done = shell(room, PREPARE)
    if done.returncode != 0:
        raise VerifyError(
            f"apt in {room.name} cannot be made ready for the install checks",
            details=last_lines(done),
            hint="see that the target's mirrors in the settings can be reached from a container",
        )


def _files(shelf: str, debs: Sequence[Deb]) -> dict[str, Path | bytes]:
    index = "\n".join(_stanza(deb) for deb in debs)
    return {f"{shelf}/Packages": index.encode(), **{f"{shelf}/{deb.path.name}": deb.path for deb in debs}}


def _stanza(deb: Deb) -> str:
    return f"{deb.stanza}\nFilename: ./{deb.path.name}\nSize: {deb.size}\nSHA256: {deb.sha256}\n"


def _pins(debs: Sequence[Deb], priority: int) -> list[str]:
    return [f"Package: {deb.name}\nPin: version {deb.version}\nPin-Priority: {priority}" for deb in debs]
