# SPDX-License-Identifier: Apache-2.0
"""The life of the packages on a host: install, services, removal, purge, upgrade with changed conffiles.

It happens in a clean room of the target distribution, under a policy-rc.d guard until services are started on
purpose (invoke-rc.d(8); design, invariant 9). Dependencies from the distribution are installed first and stay.
"""

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bigtop_builder.artifact import Deb
from bigtop_builder.errors import VerifyError
from bigtop_builder.recipe import Service
from bigtop_builder.room import Room
from bigtop_builder.run import Completed
from bigtop_builder.tarstream import pack
from bigtop_builder.verify.closure import Closure
from bigtop_builder.verify.integrity import Contents
from bigtop_builder.verify.older import lay_older, replaced
from bigtop_builder.verify.services import outlives, runs, try_service
from bigtop_builder.verify.shelf import APT, GUARD, HOME, apt, last_lines, shell
from bigtop_builder.verify.verdict import Finding, Outcome

log = logging.getLogger(__name__)

ADMIN = "# changed by the admin of this host"
ALTERED = re.compile(r"(?P<how>missing|[?.0-9SMTUGDLCPV]{9}) +(?P<kind>[cdglr] )?(?P<path>/.*)")
"""A line of `dpkg --verify` (dpkg(1)); kind `c` is a conffile."""
SHOWN = 20

PRESENT = """
while read -r path; do
    { [ -e "$path" ] || [ -L "$path" ]; } && echo "$path"
done < "$1"
true
"""
CHANGE = """
while read -r path; do
    [ ! -f "$path" ] || { echo "$2" >> "$path"; echo "$path"; }
done < "$1"
"""
UNCHANGED = """
while read -r path; do
    [ ! -f "$path" ] || grep -qxF "$2" "$path" || echo "$path"
done < "$1"
"""
SURVEY = f"""
find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/cache \\
    -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/log/apt -o -path /var/log/dpkg.log \\
    -o -path /var/log/alternatives.log -o -path '/etc/*-' -o -path {HOME} \\) -prune -o -print \\
    | LC_ALL=C sort > {HOME}/"$1"
"""
"""What is on the host, but for apt's and dpkg's own books and the backups that adduser leaves."""
CREATED = f"LC_ALL=C comm -13 {HOME}/before {HOME}/after"
GUARD_AGAIN = f"printf '#!/bin/sh\\nexit 101\\n' > {GUARD} && chmod 755 {GUARD}"


@dataclass(frozen=True, kw_only=True)
class Guests:
    """What is installed in one room.

    Attributes:
        name: Roles, for findings; `*` for the whole set.
        closures: The roles' closures.
        debs: Packages of the set in them, with what they hold.
        services: Daemons of these packages.
        previous: Packages published before, to upgrade from.
    """

    name: str
    closures: Sequence[Closure]
    debs: Sequence[tuple[Deb, Contents]]
    services: Sequence[Service] = ()
    previous: Sequence[Deb] = ()

    @property
    def names(self) -> list[str]:
        """Packages of the set, sorted."""
        return sorted(deb.name for deb, _ in self.debs)

    @property
    def roots(self) -> list[str]:
        """What the roles ask for."""
        return sorted({root for closure in self.closures for root in closure.roots})


def try_packages(room: Room, guests: Guests) -> list[Finding]:
    """Take the packages through their life in a furnished room; a phase that fails ends it."""
    stay = _Stay(room, guests)
    phases: Sequence[tuple[str, Callable[[], None]]] = (
        ("install", stay.install),
        ("service", stay.services),
        ("remove", stay.remove),
        ("purge", stay.purge),
        ("upgrade", stay.upgrade),
    )
    broken = ""
    for check, phase in phases:
        if broken:
            stay.say(check, "skipped", f"{broken} failed before")
            continue
        log.info("%s: %s", check, ", ".join(guests.names))
        before = len(stay.findings)
        phase()
        if check != "service" and any(finding.outcome == "failed" for finding in stay.findings[before:]):
            broken = check
    return stay.findings


class _Stay:
    """One stay of the packages in a room."""

    def __init__(self, room: Room, guests: Guests) -> None:
        self.findings: list[Finding] = []
        self._room = room
        self._guests = guests
        self._owners = {f"/{path}": deb.name for deb, contents in guests.debs for path in contents.files}
        self._conffiles = {f"/{path}" for _, contents in guests.debs for path in contents.conffiles}

    def say(self, check: str, outcome: Outcome, detail: str, subject: str = "") -> None:
        self.findings.append(
            Finding(check=check, subject=subject or self._guests.name, outcome=outcome, detail=detail)
        )

    def install(self) -> None:
        others = {
            name: version for closure in self._guests.closures for name, version in closure.others.items()
        }
        if others and self._failed(
            "install", apt(self._room, "install", *(f"{n}={v}" for n, v in others.items()))
        ):
            return
        shell(self._room, SURVEY, "before")
        if self._failed("install", apt(self._room, "install", *self._guests.roots)):
            return
        if not self._wrong("install"):
            self.say("install", "passed", f"{', '.join(self._guests.names)}; files are as md5sums says")
        for service in self._guests.services:
            if runs(self._room, service):
                detail = f"{service.process} runs after the install, although policy-rc.d forbids it"
                self.say("install", "failed", detail, service.package)

    def services(self) -> None:
        self.findings += [try_service(self._room, service) for service in self._guests.services]

    def remove(self) -> None:
        conffiles = self._present(self._conffiles)
        if self._failed("remove", apt(self._room, "remove", *self._guests.names)):
            return
        before = len(self.findings)
        for service in self._guests.services:
            if outlives(self._room, service):
                self.say(
                    "remove", "failed", f"{service.process} still runs after the removal", service.package
                )
        self._left_behind("remove", self._owners.keys() - self._conffiles)
        if lost := conffiles - self._present(conffiles):
            self.say("remove", "failed", f"conffiles went with the removal:\n{_list(lost)}")
        if len(self.findings) == before:
            self.say("remove", "passed", f"{len(conffiles)} conffiles stay, no other file, no process")

    def purge(self) -> None:
        if self._failed("purge", apt(self._room, "purge", *self._guests.names)):
            return
        before = len(self.findings)
        self._left_behind("purge", self._owners.keys())
        if len(self.findings) == before:
            shell(self._room, SURVEY, "after")
            created = shell(self._room, CREATED).text.splitlines()
            rest = f"; created by scripts or services and left:\n{_list(created)}" if created else ""
            self.say("purge", "passed", f"no file of the packages stays{rest}")

    def upgrade(self) -> None:
        shell(self._room, GUARD_AGAIN)
        origin = self._settle_older()
        if not origin:
            return
        changed = self._lines(CHANGE, self._conffiles, ADMIN)
        keep = ("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")
        if self._failed("upgrade", apt(self._room, *keep, "install", *self._guests.names)):
            return
        before = len(self.findings)
        self._wrong("upgrade")
        lost = self._lines(UNCHANGED, changed, ADMIN)
        if lost:
            self.say("upgrade", "failed", f"{origin}: the admin's changes were lost in:\n{_list(lost)}")
        if len(self.findings) == before:
            told = (
                f"the admin's changes stay in {len(changed)} conffiles" if changed else "there is no conffile"
            )
            self.say("upgrade", "passed", f"{origin}; {told}")

    def _settle_older(self) -> str:
        """Install older packages and say where they are from; nothing if that failed, which is then said."""
        debs = [deb for deb, _ in self._guests.debs]
        note = ""
        published = replaced(debs, self._guests.previous)
        for previous in [published, []] if published else [[]]:
            try:
                folder, origin = lay_older(self._room, debs, previous)
            except VerifyError as error:
                self.say("upgrade", "failed", str(error))
                return ""
            done = shell(self._room, f"{' '.join(APT)} install {folder}/*.deb")
            if done.returncode == 0:
                return note + origin
            note = f"what was published cannot be installed ({last_lines(done, 3)}), so "
            shell(self._room, f"rm -rf {folder}")
        self._failed("upgrade", done)
        return ""

    def _wrong(self, check: str) -> bool:
        """Say which packages are not there in the set's version, or not as their md5sums say."""
        before = len(self.findings)
        query = ["dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Abbrev}\n", *self._guests.names]
        done = self._room.run(query, check=False)
        status = {line.rstrip() for line in done.text.splitlines()}
        none = done.complaint.strip() or f"nothing, with exit status {done.returncode}"
        for deb, _ in self._guests.debs:
            if f"{deb.name} {deb.version} ii" not in status:
                said = next((line for line in status if line.startswith(f"{deb.name} ")), none)
                self.say(check, "failed", f"not installed as {deb.version}: dpkg says {said}", deb.name)
        verified = self._room.run(["dpkg", "--verify", *self._guests.names], check=False).text.splitlines()
        found = [match for line in verified if (match := ALTERED.fullmatch(line)) and match["kind"] != "c "]
        if altered := [f"{match['path']} ({match['how']})" for match in found]:
            self.say(check, "failed", f"files are not as in the packages (dpkg --verify):\n{_list(altered)}")
        return len(self.findings) > before

    def _left_behind(self, check: str, paths: Iterable[str]) -> None:
        left: dict[str, list[str]] = {}
        for path in self._present(paths):
            left.setdefault(self._owners[path], []).append(path)
        for name, its in sorted(left.items()):
            self.say(check, "failed", f"files of the package stay:\n{_list(its)}", name)

    def _present(self, paths: Iterable[str]) -> set[str]:
        return set(self._lines(PRESENT, paths))

    def _lines(self, script: str, paths: Iterable[str], *words: str) -> list[str]:
        """Run a script over a list of paths and return the paths that it prints."""
        text = "".join(f"{path}\n" for path in sorted(paths))
        self._room.put(pack({"paths": text.encode(errors="surrogateescape")}), HOME)
        return shell(self._room, script, f"{HOME}/paths", *words).text.splitlines()

    def _failed(self, check: str, done: Completed) -> bool:
        if done.returncode != 0:
            self.say(
                check, "failed", f"apt-get ended with exit status {done.returncode}:\n{last_lines(done)}"
            )
        return done.returncode != 0


def _list(lines: Iterable[str]) -> str:
    ordered = sorted(lines)
    more = [f"and {len(ordered) - SHOWN} more"] if len(ordered) > SHOWN else []
    return "\n".join([*ordered[:SHOWN], *more])
