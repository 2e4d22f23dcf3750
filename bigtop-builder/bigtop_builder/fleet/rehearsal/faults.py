# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in a rehearsal on purpose, on one host, in the middle of the switch; each is the real thing.

While dpkg unpacks it tells a command of ours what it is at (dpkg(1), --status-logger), and that strikes. To configure
a package may take it less time than such a command needs to start: there the package's own script strikes.
"""

import shlex
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from bigtop_builder.fleet.rehearsal.stage import SMALL, StageHost

if TYPE_CHECKING:
    from bigtop_builder.fleet.rehearsal.served import Served

HOOK = "/etc/dpkg/dpkg.cfg.d/zz-rehearsal"
STRUCK = f"{SMALL}/struck"
STRIKE = f"""#!/bin/sh
# Run by dpkg, as its child or its shell's; each line on stdin says what a package has just become.
dpkg=$PPID
until [ "$(cat "/proc/$dpkg/comm" 2>/dev/null)" = dpkg ]; do
    dpkg=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$dpkg/status" 2>/dev/null)
    [ "${{dpkg:-0}}" -gt 1 ] || exec cat >/dev/null # it has ended
done
tr '\\0' ' ' </proc/$dpkg/cmdline | grep -qe ' --@DOING@' || exec cat >/dev/null
while read -r line; do
    case $line in
    "status: "*": half-"@STATE@*)
        [ ! -e {STRUCK} ] || continue
        : >{STRUCK}
        @STRIKE@
        ;;
    esac
done
"""
DATABASE = "/var/lib/dpkg"
IN_POSTINST = f"""#!/bin/sh
# Run by dpkg before it begins, which waits for it (dpkg(1), --pre-invoke). The first package that is to be configured
# gets a postinst that kills dpkg, its parent, once, and leaves the package's own in its place.
[ "$DPKG_HOOK_ACTION" = configure ] && [ ! -e {STRUCK} ] || exit 0
name=$(dpkg-query -W -f '${{db:Status-Status}} ${{binary:Package}}\\n' | sed -n 's/^unpacked //p' | head -n 1)
[ -n "$name" ] || exit 0
script={DATABASE}/info/$name.postinst
[ -e "${{script%.postinst}}.list" ] || script={DATABASE}/info/${{name%:*}}.postinst
[ ! -e "$script" ] || mv "$script" "$script.own"
cat >"$script" <<'END'
#!/bin/sh
mv "$0.own" "$0" 2>/dev/null || rm "$0"
: >{STRUCK}
kill -KILL $PPID
END
chmod 755 "$script"
"""
MOVED = f"{SMALL}/dpkg"
FILLER = f"{SMALL}/filler"
LEFT_KB = 512
"""What is left on the small file system until dpkg is in the middle: enough to begin, little to fill then."""
POLL = 0.05


class Fault(ABC):
    """Something that goes wrong.

    Args:
        victim: The host that it hits.
        served: The repository's server; None if it is not ours.
        fetched: Packages that the switch needs, as names of files without their ends.

    Attributes:
        name: What the command line calls it.
        what: The same in words.
        lifted_first: The way back is tried after it is lifted; else before, too.
    """

    name: ClassVar[str]
    what: ClassVar[str]
    lifted_first: ClassVar[bool] = True

    def __init__(self, victim: StageHost, served: "Served | None", fetched: Sequence[str] = ()) -> None:
        self.victim = victim
        self._served = served
        self._fetched = fetched

    @classmethod
    def impossible(cls, served: "Served | None") -> str:  # noqa: ARG003  # for those that need it
        """Why it cannot be tried; empty if it can."""
        return ""

    @abstractmethod
    def arm(self) -> None:
        """Have it strike in the middle of what is run next."""

    def watch(self, over: Callable[[], bool]) -> None:  # noqa: B027  # most strike by themselves
        """Look on while the switch runs, from another thread, until it is over."""

    def struck(self) -> bool:
        """Whether it struck."""
        return self.victim.run("test", "-e", STRUCK).status == 0

    @abstractmethod
    def lift(self) -> None:
        """End what is wrong. What it broke stays broken."""

    def tidy(self) -> None:  # noqa: B027  # most leave nothing
        """Take away what the rehearsal itself needed for it."""

    def _strike(self, doing: str, state: str, action: str) -> None:
        script = STRIKE.replace("@DOING@", doing).replace("@STATE@", state).replace("@STRIKE@", action)
        self._hook("status-logger", script)

    def _hook(self, option: str, script: str) -> None:
        """Have dpkg run a script of ours."""
        self.victim.must(
            f"cat >{SMALL}/strike <<'STRIKE'\n{script}STRIKE\n"
            f"chmod 755 {SMALL}/strike && rm -f {STRUCK} && echo {option}={SMALL}/strike >{HOOK}"
        )

    def _calm(self) -> None:
        self.victim.must(f"rm -f {HOOK} {STRUCK}")


class KilledUnpacking(Fault):
    """dpkg dies while it unpacks."""

    name = "killed-unpacking"
    what = "dpkg is killed while it unpacks"

    def arm(self) -> None:
        """Kill it when a package is half-installed."""
        self._strike("unpack", "installed", "kill -KILL $dpkg")

    def lift(self) -> None:
        """Kill no more."""
        self._calm()


class KilledConfiguring(Fault):
    """dpkg dies while it configures."""

    name = "killed-configuring"
    what = "dpkg is killed while it configures"

    def arm(self) -> None:
        """Kill it when a package is half-configured."""
        self._hook("pre-invoke", IN_POSTINST)

    def lift(self) -> None:
        """Kill no more."""
        self._calm()


class DiskFull(Fault):
    """No space is left for dpkg's database."""

    name = "disk-full"
    what = "the file system of /var/lib/dpkg is full"

    def arm(self) -> None:
        """Move the database to a small file system that is filled when a package is half-installed."""
        self.victim.must(
            f"cp -a {DATABASE} {MOVED} && mv {DATABASE} {DATABASE}.on-disk && ln -s {MOVED} {DATABASE}\n"
            f"left=$(df --output=avail -k {SMALL} | tail -n 1)\n"
            f"head -c $((left - {LEFT_KB}))k /dev/zero >{FILLER}"
        )
        self._strike(
            "unpack",
            "installed",
            f"kill -STOP $dpkg; cat /dev/zero >{FILLER}.more 2>/dev/null; kill -CONT $dpkg",
        )

    def lift(self) -> None:
        """Free the space."""
        self.victim.must(f"rm -f {FILLER} {FILLER}.more")
        self._calm()

    def tidy(self) -> None:
        """Take the database back to the disk."""
        self.victim.must(
            f"rm {DATABASE} && rm -rf {DATABASE}.on-disk && cp -a {MOVED} {DATABASE} && rm -rf {MOVED}"
        )


class RepositoryGone(Fault):
    """The repository's server ends in the middle of a download."""

    name = "repository-gone"
    what = "the repository is gone in the middle of a download"
    lifted_first = False

    @classmethod
    def impossible(cls, served: "Served | None") -> str:
        """A server that is not ours is not ours to stop."""
        return "" if served else "the repository is served by somebody else (--url)"

    def arm(self) -> None:
        """Take away what was fetched before the day, and end the first download in its middle."""
        self._was_cut = False
        names = " -o ".join(f"-name {shlex.quote(name)}'*.deb'" for name in self._fetched)
        self.victim.must(f"find / -xdev \\( {names} \\) -type f -delete")
        self.server.arm()

    def watch(self, over: Callable[[], bool]) -> None:
        """Stop the server as soon as a download was cut."""
        while not over():
            if self.server.cut(POLL):
                self._was_cut = True
                self.server.stop()
                return

    def struck(self) -> bool:
        """Whether a download was cut."""
        return self._was_cut

    def lift(self) -> None:
        """Serve again."""
        self.server.stop()
        self.server.start()

    @property
    def server(self) -> "Served":
        """The server."""
        if self._served is None:
            raise ValueError(self.impossible(None))
        return self._served


class HostLost(Fault):
    """A host loses power and network, and comes back."""

    name = "host-unreachable"
    what = "a host is gone, and comes back"
    lifted_first = False

    def arm(self) -> None:
        """Hold dpkg when a package is half-installed."""
        self._off = False
        self._strike("unpack", "installed", "kill -STOP $dpkg; sleep infinity")

    def watch(self, over: Callable[[], bool]) -> None:
        """Cut the host off as soon as dpkg is held."""
        while not over():
            if self.victim.run("test", "-e", STRUCK).status == 0:
                self.victim.room.cut_off()
                self._off = True
                return
            time.sleep(POLL)

    def struck(self) -> bool:
        """Whether it is off."""
        return self._off

    def lift(self) -> None:
        """Switch it on."""
        if self._off:
            self.victim.room.switch_on()
        self._calm()


# The last takes away what was fetched before the day, which the others go by.
FAULTS: dict[str, type[Fault]] = {
    one.name: one for one in (KilledUnpacking, KilledConfiguring, DiskFull, HostLost, RepositoryGone)
}
