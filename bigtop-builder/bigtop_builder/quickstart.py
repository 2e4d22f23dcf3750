# SPDX-License-Identifier: Apache-2.0
"""The quickstart: the whole road on the miniature Bigtop, with the commands that a user would type.

Releases are built, verified and published by the command line itself; this module lays out the project and
plays the host: a clean system that trusts only the keyring package.
"""

import logging
import os
import shlex
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import tomlkit

from bigtop_builder import miniature
from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.patches.queue import DEFAULT
from bigtop_builder.publishing import Archive
from bigtop_builder.repository.serve import serve
from bigtop_builder.room import Room, RoomMaker
from bigtop_builder.workspace import Project

log = logging.getLogger(__name__)

HOST = "repository.example"
"""Name under which the host knows the repository's server; /etc/hosts of the room says where it is."""
OLD, NEW = miniature.RELEASES
WANTED = ("salute", "herald-server")
REST = ("bigtop-utils", "bigtop-jsvc", "herald")
"""What WANTED depends on: on the way back apt wants every package of the closure named."""

PATCH = "salute/miniature-blank-name"
"""The one of the three patches that is shown."""
PATCHED = ("salute", "herald")
"""Components with patches: these are tried on the components' sources."""

OWN = frozenset({"BIGTOP_BUILDER_GRADLE", "BIGTOP_BUILDER_KEYS_DIR"})
"""Variables of what the quickstart sets itself: they would win over its settings file."""

LISTED = f"dpkg-query -W -f '${{Package}} ${{Version}}\\n' {' '.join((*WANTED, *REST))}"

Say = Callable[[str], None]


def prepare(origin: Project, folder: Path, site: Path) -> Project:
    """Lay out the miniature's project, with settings and a repository definition of its own.

    Args:
        origin: The project that came with the tool.
        folder: Where it goes.
        site: The user's settings file; what is in it holds for the quickstart too.

    Raises:
        InputError: The folder holds something that no quickstart made.
    """
    # Read first: it may lie in the folder that is made anew.
    settings = tomlkit.parse(site.read_text(encoding="utf-8") if site.is_file() else "")
    if not miniature.clear(folder):
        raise InputError(
            f"{folder} is not empty and was not made by a quickstart", hint="name another folder with --dir"
        )
    project = miniature.lay_out(origin, folder)
    # Debian's Gradle keeps the download small, and the miniature's build runs with it.
    settings["gradle"] = "system"
    settings["keys_dir"] = f"{project.root}/keys"
    settings_of(project).write_text(tomlkit.dumps(settings), encoding="utf-8")
    text = (origin.definition).read_text(encoding="utf-8")
    project.definition.write_text(text, encoding="utf-8")
    return project


def found(origin: Project, folder: Path) -> Project:
    """Lay out the miniature as a project of the user's own: no run of the quickstart ever removes it.

    Raises:
        InputError: The folder holds something.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty", hint="name another folder with --dir")
    project = miniature.lay_out(origin, folder)
    (folder / miniature.MARK).unlink()
    project.definition.write_text(origin.definition.read_text(encoding="utf-8"), encoding="utf-8")
    return project


@contextmanager
def own_settings() -> Iterator[tuple[str, ...]]:
    """Take the variables in OWN out of the environment for a while; their names, for what the user types next."""
    taken = {name: os.environ.pop(name) for name in sorted(os.environ) if name.upper() in OWN}
    try:
        yield tuple(taken)
    finally:
        os.environ.update(taken)


def settings_of(project: Project) -> Path:
    """The settings file of a quickstart's project."""
    return project.root / "settings.toml"


def define(project: Project, *, key: str, url: str) -> None:
    """Write the signing key and the address into the repository's definition."""
    document = tomlkit.parse(project.definition.read_text(encoding="utf-8"))
    document["keys"] = [key]
    document["url"] = url
    document["storage"] = "repository"
    document["origin"] = "Quickstart"
    project.definition.write_text(tomlkit.dumps(document), encoding="utf-8")


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.create_server(("", 0)) as listening:
        return int(listening.getsockname()[1])


@dataclass(frozen=True, kw_only=True)
class Host:
    """A clean host in a room.

    Attributes:
        room: Where it is.
        say: Takes what is shown.
    """

    room: Room
    say: Say

    def __call__(self, line: str, *, shown: bool = True) -> str:
        """Run a shell line on the host, show it with what it printed, and return that.

        Raises:
            CheckFailed: It failed.
        """
        self.say(f"host# {line}")
        text = self.ask(line)
        if shown and text:
            self.say("\n".join(f"  {shown_line}" for shown_line in text.splitlines()))
        return text

    def ask(self, line: str) -> str:
        """Run a shell line on the host without showing it, and return what it printed.

        Raises:
            CheckFailed: It failed.
        """
        env = {"DEBIAN_FRONTEND": "noninteractive"}
        return self.room.run(["sh", "-ec", line], env=env, cwd="/", error=CheckFailed).text

    def version(self, package: str) -> str:
        """The installed version of a package."""
        return self.ask(f"dpkg-query -W -f '${{Version}}' {package}")


def show_queue(project: Project, *, do: Callable[..., None], say: Say) -> None:
    """Show a patch, what lint says of the queue, and what each patch is on each release.

    Args:
        project: Has the queue.
        do: Runs a command of the tool.
        say: Takes what is shown.
    """
    file = project.patches / PATCH / DEFAULT
    say(f"\n$ cat {shlex.quote(str(file))}")
    say("\n".join(f"  {line}".rstrip() for line in file.read_text(encoding="utf-8").splitlines()))
    do("patch", "lint")
    for release in miniature.RELEASES:
        do("source", "fetch", release, *(word for name in PATCHED for word in ("-c", name)))
    do("patch", "status")


def live(archive: Archive, targets: RoomMaker, *, port: int, do: Callable[..., None], say: Say) -> None:
    """The host's life: it installs the first release, upgrades to the second, and goes back.

    Args:
        archive: The repository; its stable suite has the first release.
        targets: Opens clean rooms of the target distribution.
        port: What the repository is served on.
        do: Runs a command of the tool.
        say: Takes what is shown.

    Raises:
        CheckFailed: Something did not come out as it should.
    """
    with targets.open(purpose="quickstart") as room, serve(archive.on_disk, host=room.gateway, port=port):
        host = Host(room=room, say=say)
        _trust(host, archive, port)
        _install(host)
        old = {package: host.version(package) for package in (*WANTED, *REST)}
        do("plan", NEW, "--bump")
        do("release", NEW, "--suite", "testing")
        do("repo", "snapshot", "stable", "--name", f"before-{NEW}", "--why", "upgrade day")
        do("repo", "promote", "testing", "stable", "--why", f"{NEW} was tried out")
        _upgrade(host, old)
        do("repo", "list", "--snapshots")
        do("repo", "rollback", "stable", "--why", "quickstart shows the way back")
        _go_back(host, old)


def _trust(host: Host, archive: Archive, port: int) -> None:
    """Bring in the keyring package over HTTP; nothing else vouches for the repository afterwards."""
    pool = next(archive.on_disk.glob("pool/**/*-archive-keyring_*.deb")).relative_to(archive.on_disk)
    host(f"echo '{host.room.gateway} {HOST}' >> /etc/hosts")
    host(f"/usr/lib/apt/apt-helper download-file http://{HOST}:{port}/{pool} /tmp/keyring.deb", shown=False)
    host("dpkg --install /tmp/keyring.deb", shown=False)
    host("cat /etc/apt/sources.list.d/quickstart.sources")
    # Packages start their daemons when they are installed; on a host an admin decides that (invoke-rc.d(8)).
    host("printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d")
    host("apt-get -q update")


def _install(host: Host) -> None:
    host(f"apt-get -q -y install {' '.join(WANTED)}", shown=False)
    host(LISTED)
    _expect(host("salute Ada"), "Hello, Ada!")


def _upgrade(host: Host, old: dict[str, str]) -> None:
    host("apt-get -q update")
    host("apt-get -q -y upgrade", shown=False)
    for package, version in old.items():
        host.ask(f"dpkg --compare-versions {host.version(package)} gt {version}")
    host(LISTED)
    _expect(host("salute Ada"), "Ada")


def _go_back(host: Host, old: dict[str, str]) -> None:
    host("apt-get -q update")
    closure = " ".join(f"{package}={version}" for package, version in old.items())
    host(f"apt-get -q -y --allow-downgrades install {closure}", shown=False)
    back = {package: host.version(package) for package in old}
    host(LISTED)
    if back != old:
        raise CheckFailed("the host did not go back", details=f"had {old}\nhas {back}")
    _expect(host("salute Ada"), "Hello, Ada!")


def _expect(text: str, wanted: str) -> None:
    if wanted not in text:
        raise CheckFailed(f"the program said {text!r}, and {wanted!r} was expected")


def next_commands(words: Sequence[str], *, port: int) -> str:
    """The three commands that a user would type next, and what hosts need for the last."""
    tool = " ".join(words)
    return "\n".join(
        [
            f"Hosts look for the repository at http://{HOST}:{port}: a line `<this machine> {HOST}` in their",
            "/etc/hosts leads them here, once it is served with --host 0.0.0.0 too.",
            "Next:",
            f"  {tool} repo list",
            f"  {tool} plan {NEW} --json",
            f"  {tool} repo serve --port {port}",
        ]
    )
