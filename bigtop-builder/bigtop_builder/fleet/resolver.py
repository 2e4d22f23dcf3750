# SPDX-License-Identifier: Apache-2.0
"""apt's own resolver in a clean system of the target distribution, about snapshots of a repository.

The room gets each snapshot's signed InRelease and its Packages, and nothing of the pool: a simulated install reads no
package. One update brings the distribution's lists and all snapshots'; each question then sees one snapshot alone,
with its pins, as a host does. That a host has a role's packages is made believe by a dpkg status of its own.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from bigtop_builder.errors import CheckFailed, VerifyError
from bigtop_builder.fleet.emitted import pins_text
from bigtop_builder.fleet.offer import Offer
from bigtop_builder.repository import layout
from bigtop_builder.repository.layout import COPY
from bigtop_builder.repository.state import State
from bigtop_builder.room import Room
from bigtop_builder.tarstream import pack
from bigtop_builder.verify.shelf import last_lines, shell
from bigtop_builder.verify.simulate import Simulated, simulate

HOME = "/var/lib/bigtop-builder-fleet"
PREPARE = f"""
set -e
chmod -R a+rX {HOME}
for side in "$@" all; do
    mkdir -p {HOME}/$side.d
    cat /etc/apt/sources.list >{HOME}/$side.d/target.list 2>/dev/null || :
    cp /etc/apt/sources.list.d/* {HOME}/$side.d/ 2>/dev/null || :
done
for side in "$@"; do
    cp {HOME}/$side.sources {HOME}/$side.d/
    cp {HOME}/$side.sources {HOME}/all.d/
done
apt-get -q -o Acquire::Retries=3 -o Acquire::Languages=none -o APT::Update::Error-Mode=any \
    -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts={HOME}/all.d update
"""
INSTALLED = """
set -e
status=$1 options=$2
shift 2
cat /var/lib/dpkg/status >"$status"
[ $# -gt 0 ] || exit 0
apt-cache $options show "$@" >"$status.shown"
sed '/^Package: /a Status: install ok installed' "$status.shown" >>"$status"
"""
QUESTION = """
options=$1
shift
exec apt-get $options -y -V --no-install-recommends --print-uris -oDebug::NoLocking=true install "$@"
"""
"""Resolves and says what it would do, a third of the time that -s takes, which plays the whole install through."""
CHANGING = re.compile(
    r"The following (?:NEW packages will be installed|packages will be (?:upgraded|DOWNGRADED|(REMOVED))):"
)
CHANGED = re.compile(r"   (\S+?)(?::\S+?)?\*? \((?:\S+ => )?(\S+)\)")


class Resolver:
    """Snapshots in a room.

    Args:
        room: A clean room of the target distribution.
        state: The repository.
        offers: Side (a word) -> snapshot.
        architecture: Of the room.
    """

    def __init__(self, room: Room, state: State, offers: Mapping[str, Offer], architecture: str) -> None:
        self._room = room
        self._offers = offers
        self._there = {side: offer.of(architecture) for side, offer in offers.items()}
        files = {"keys.gpg": b"".join(_keys(state))}
        for side, offer in offers.items():
            other = next((one for name, one in offers.items() if name != side), None)
            files |= _side(state, side, offer, architecture, other)
        room.run(["mkdir", "-p", HOME])
        room.put(pack(files), HOME)
        done = shell(room, PREPARE, *offers)
        if done.returncode:
            raise VerifyError(
                f"apt in {room.name} cannot read the snapshots or the target distribution",
                details=last_lines(done),
                hint="see that the target's mirrors in the settings can be reached from a container, and run "
                "bigtop-builder repo check",
            )
        # What follows may be asked by several threads, none of which is to make what all of them read.
        made = " & ".join(f"apt-cache {' '.join(self._options(side))} gencaches" for side in offers)
        shell(room, f"{made} & wait")

    def ours(self, side: str) -> Mapping[str, str]:
        """Package -> version of what a snapshot offers, but for the keyring package, which never goes back."""
        keyring = self._offers[side].keyring_package
        return {name: one.version for name, one in self._there[side].items() if name != keyring}

    def ask(
        self, side: str, wanted: Sequence[str], *, status: str = "", options: Sequence[str] = ()
    ) -> Simulated:
        """What apt would do on a host that follows a snapshot.

        Args:
            side: Which.
            wanted: What is asked: `name`, `name=version`, `name-`.
            status: What the host has, as `installed` gave it; nothing but the clean system if empty.
            options: Further options of apt-get.
        """
        given = [*self._options(side, status), *options]
        done = shell(self._room, QUESTION, " ".join(given), *wanted)
        return simulate(self._room, [wanted], given)[0] if done.returncode else planned(done.text)

    def installed(self, side: str, packages: Mapping[str, str], name: str) -> str:
        """A dpkg status in the room of a host that has packages, and the clean system.

        Args:
            side: Snapshot that knows them.
            packages: Package -> version.
            name: Word for the file.
        """
        path = f"{HOME}/{name}.status"
        wanted = [f"{one}={version}" for one, version in packages.items() if one not in self._clean]
        done = shell(self._room, INSTALLED, path, " ".join(self._options(side)), *wanted)
        if done.returncode:
            raise VerifyError(f"{path} cannot be written in {self._room.name}", details=last_lines(done))
        return path

    @cached_property
    def _clean(self) -> frozenset[str]:
        """What the clean system has."""
        return frozenset(self._room.run(["dpkg-query", "-W", "-f", "${Package}\\n"]).text.split())

    def _options(self, side: str, status: str = "") -> list[str]:
        kept = ["-oDir::Cache::pkgcache=", f"-oDir::State::status={status}"]
        return [
            "-oDir::Etc::sourcelist=/dev/null",
            f"-oDir::Etc::sourceparts={HOME}/{side}.d",
            f"-oDir::Etc::preferences={HOME}/{side}.pref",
            "-oDir::Etc::preferencesparts=/dev/null",
            f"-oDir::Cache::srcpkgcache={HOME}/{side}.bin",
            *(kept if status else [f"-oDir::Cache::pkgcache={HOME}/{side}.all.bin"]),
            "-oAcquire::Languages=none",
        ]


def planned(text: str) -> Simulated:
    """Read what `apt-get -V` would do."""
    installs, removes, within = {}, [], None
    for line in text.splitlines():
        if not line.startswith("   "):
            within = CHANGING.fullmatch(line)
        elif within and (found := CHANGED.fullmatch(line)):
            if within[1]:
                removes.append(found[1])
            else:
                installs[found[1]] = found[2]
    return Simulated(installs=installs, removes=tuple(removes))


def _side(
    state: State, side: str, offer: Offer, architecture: str, other: Offer | None = None
) -> dict[str, bytes]:
    """A snapshot as its hosts read it: files below the room's folder."""
    suite = layout.suite_folder(offer.suite)
    found = {
        component: indices[architecture]
        for component, indices in state.snapshot(offer.snapshot).components.items()
        if architecture in indices
    }
    signed = state.store.read(f"{suite}/InRelease")
    if signed is None:
        raise CheckFailed(
            f"{state.store.name}/{suite}/InRelease is missing", hint="bigtop-builder repo refresh makes it"
        )
    source = (
        f"Types: deb\nURIs: file:{HOME}/repo\nSuites: {offer.suite}\nComponents: {' '.join(found)}\n"
        f"Architectures: {architecture}\nBy-Hash: no\nSigned-By: {HOME}/keys.gpg\n"
    )
    files = {
        f"{side}.sources": source.encode(),
        f"{side}.pref": pins_text(offer, other).encode(),
        f"repo/{suite}/InRelease": signed,
    }
    forms = state.settings().forms
    for component, index in found.items():
        folder = f"repo/{suite}/{component}/binary-{architecture}"
        files |= {f"{folder}/{name}": _read(state, one.sha256) for name, one in index.written(forms)}
    return files


def _read(state: State, sha256: str) -> bytes:
    path = layout.by_hash("SHA256", sha256)
    content = state.store.read(path)
    if content is None or hashlib.sha256(content).hexdigest() != sha256:
        raise CheckFailed(
            f"{state.store.name}/{path} is missing or was altered",
            hint=f"bigtop-builder repo check says what mends it; or {COPY}",
        )
    return content


def _keys(state: State) -> Iterator[bytes]:
    """The keys that sign, as the repository has them."""
    for fingerprint in state.settings().keys:
        if key := state.store.read(layout.key_file(fingerprint)):
            yield key
