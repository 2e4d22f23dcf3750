#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hold a host against the signed manifest of a release: `verify_host.py MANIFEST`, on the host, as any user.

This is one file of Python's standard library (3.9 and up) that imports nothing of ours, so it can be copied to hosts.
It reads dpkg's database, the installed files and apt's lists, runs `gpgv` (or `sqv`, where apt brings that one),
`apt-get indextargets`, `apt-cache policy` and `apt-helper cat-file`, and changes nothing.

Exit status: 0 as the manifest says, 1 something differs, 2 wrong use or a manifest that is not to be trusted,
3 nothing was found to differ, but something could not be read.
"""

from __future__ import annotations

import argparse
import errno
import fnmatch
import hashlib
import io
import json
import os
import re
import shutil
import stat
import subprocess  # noqa: TID251  # this file runs on hosts, where bigtop_builder.run is not
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

AS_SAID, DIFFERS, WRONG_USE, UNREAD = range(4)
INFO = "/var/lib/dpkg/info"
GUARD = "/usr/sbin/policy-rc.d"
MARK = b"bigtop-builder guard"
"""Stands in the guard that `fleet sources` makes."""
ASIDE = f"{GUARD}.before-guard"
"""Where `guard-on` puts a policy-rc.d of the host's own."""
KEYRINGS = "/usr/share/keyrings"
SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config")
UPHELD = 1000
"""Pins up to this priority never make apt go back to a lower version (apt_preferences(5))."""
READERS = 2
"""Threads that read files: a disk has something to do while one hashes, and the host keeps its other cores."""
PIECE = 1 << 20
BESIDE = re.compile(r"/usr/share/(doc|doc-base|info|lintian|locale|man)/")
"""Where files lie that no program runs by: that they are elsewhere is told only."""
PASSING = re.compile(r"/(run|tmp|var/(cache|lock|run|tmp))/")
"""Where a host may lose what a package ships: with a reboot, or to make room (FHS 3.0, 3.15, 5.5, 5.15)."""
ABSENT = (FileNotFoundError, NotADirectoryError)
MISSING = "is missing"
FEW = 3
"""Names of a finding that has many."""
HOPS = 40
"""Links followed before a path counts as a loop, as the kernel does it (path_resolution(7))."""
AGE = 30
"""Days that a host may go without `apt-get update`: until then it knows no withdrawal and no new key."""
PATIENCE = 300
"""Seconds that a program of the host may take."""
SIGNED = r"^\[GNUPG:\] {} .*^\[GNUPG:\] VALIDSIG [^\n]* ([0-9A-F]{{40}})$"
DAMAGED = "see whether the disk is full, then bring it back from status-old or /var/backups/dpkg.status.*"
"""What mends dpkg's status."""
MEND = "apt-get --fix-broken install"
GOOD = re.compile(SIGNED.format("GOODSIG"), re.MULTILINE | re.DOTALL)
EXPIRED = re.compile(SIGNED.format("EXPKEYSIG"), re.MULTILINE | re.DOTALL)
FIELDS = frozenset({"Package", "Status", "Version", "Architecture", "Source", "Maintainer", "Conffiles"})
"""Fields of dpkg's status that are kept."""
MANIFEST = {
    "origin": str,
    "label": str,
    "snapshot": str,
    "date": str,
    "withdrawn": str,
    "roles": dict,
    "indices": dict,
    "packages": list,
}
PACKAGE = {
    "name": str,
    "version": str,
    "architecture": str,
    "sha256": str,
    "md5sums": str,
    "conffiles": dict,
    "scripts": dict,
    "source": str,
}


class Unable(Exception):
    """What keeps anything from being said of the host.

    Args:
        status: Exit status.
        brief: What is wrong, with its name and value.
        way_out: What to do about it.
    """

    def __init__(self, status: int, brief: str, way_out: str = "") -> None:
        super().__init__(brief)
        self.status, self.brief, self.way_out = status, brief, way_out


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


@dataclass(frozen=True)
class Finding:
    """What was found.

    Attributes:
        check: What kind of thing it is.
        subject: Package or thing that it is about.
        level: `error`, or `note` for what is told only.
        detail: What is so.
        way_out: What mends it.
    """

    check: str
    subject: str
    level: str
    detail: str
    way_out: str = ""


error = partial(Finding, level="error")
note = partial(Finding, level="note")


def unread(subject: str, path: str, failed: OSError) -> Finding:
    """What could not be read."""
    detail = f"{path}: {failed.strerror or failed}"
    return error("unreadable", subject, detail=detail, way_out="run verify-host as root")


@dataclass(frozen=True)
class Installed:
    """A package that dpkg knows (deb-control(5), dpkg-query(1)).

    Attributes:
        name: Its name.
        version: Its version.
        architecture: Its architecture.
        status: Wanted, flag and state: `install ok installed`.
        source: Source package, without version.
        maintainer: Its maintainer.
        conffiles: Path -> MD5 as it was shipped.
        obsolete: Conffiles that its present version does not have any more.
    """

    name: str
    version: str
    architecture: str
    status: str
    source: str
    maintainer: str
    conffiles: Mapping[str, str]
    obsolete: tuple[str, ...]

    @property
    def present(self) -> bool:
        """Whether there is more of it than its configuration."""
        return self.status.rpartition(" ")[2] not in {"not-installed", "config-files"}

    @property
    def again(self) -> str:
        """The command that brings its files back."""
        return f"apt-get install --reinstall {self.name}={self.version}"


@dataclass
class Root:
    """The folder that a host lies in; links on the way are followed inside it."""

    folder: str
    _known: dict[str, str] = field(default_factory=dict)

    def at(self, name: str) -> str:
        """Where an absolute path of the host lies. If it is a link itself, that is not followed."""
        if self.folder == "/":
            return name
        above, _, last = name.rpartition("/")
        return f"{self._real(above or '/', 0)}/{last}"

    def read(self, name: str) -> bytes:
        """Content of a file of the host, links followed.

        Raises:
            OSError: It cannot be read, or is no regular file.
        """
        with self.open(name) as file:
            return file.read()

    def open(self, name: str) -> io.FileIO:
        """A file of the host, links followed.

        Raises:
            OSError: It cannot be read; IrregularError: it is no regular file.
        """
        return opened(self._real(name, 0))

    def lstat(self, name: str) -> os.stat_result:
        """What a name of the host stands for; if it is a link, that is not followed.

        Raises:
            OSError: It is not there, or cannot be seen.
        """
        return os.lstat(raw(self.at(name)))

    def mode(self, name: str) -> int:
        """Mode of a file of the host, links followed.

        Raises:
            OSError: It is not there.
        """
        return os.stat(raw(self._real(name, 0))).st_mode  # noqa: PTH116  # these are many: a Path of each costs more

    def has(self, name: str) -> bool:
        """Whether there is something of a name, be it a link to nothing."""
        return os.path.lexists(self.at(name))

    def names(self, folder: str) -> list[str]:
        """Names in a folder of the host, sorted; none if it is not there."""
        try:
            return sorted(os.listdir(self._real(folder, 0)))  # noqa: PTH208  # names are wanted
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _real(self, name: str, hops: int) -> str:
        if self.folder == "/" or name == "/":
            return name if self.folder == "/" else self.folder
        if hops > HOPS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
        if name not in self._known:
            above, _, last = name.rpartition("/")
            place = f"{self._real(above or '/', hops)}/{last}"
            if os.path.islink(place):  # noqa: PTH114  # as above
                target = os.readlink(place)  # noqa: PTH115  # as above
                place = self._real(os.path.normpath(os.path.join(above or "/", target)), hops + 1)  # noqa: PTH118
            self._known[name] = place
        return self._known[name]


class IrregularError(OSError):
    """What is no regular file: to read it could take for ever."""


def raw(path: str) -> bytes:
    """A path as the kernel has it, whatever the locale: dpkg's files are read as UTF-8, other bytes escaped."""
    return path.encode(errors="surrogateescape")


def shown(text: str) -> str:
    r"""Text that may hold bytes of a path that is no UTF-8, in characters: these as `\xff`."""
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def opened(place: str) -> io.FileIO:
    """A regular file. A FIFO does not keep us waiting.

    Raises:
        OSError: It cannot be read; IrregularError: it is none.
    """
    number = os.open(raw(place), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(number).st_mode):
        return io.FileIO(number)
    os.close(number)
    raise IrregularError(errno.EINVAL, "it is no regular file", place)


def ran(argv: Sequence[str], env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end.

    Raises:
        Unable: It is not there, or does not end.
    """
    variables = {**os.environ, "LC_ALL": "C", **(env or {})}
    try:
        return subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=variables, timeout=PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired) as failed:
        raise Unable(UNREAD, f"{argv[0]} cannot be run: {failed}", f"see that {argv[0]} works") from failed


def stanzas(text: str, wanted: Iterable[str]) -> Iterator[dict[str, str]]:
    """Paragraphs of fields, those that are wanted; a value's further lines follow its first (deb822(5))."""
    keep = frozenset(wanted)
    for block in text.split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in block.split("\n"):
            if line[:1] in {" ", "\t"}:
                if name in keep:
                    fields[name] += f"\n{line}"
            else:
                name, _, value = line.partition(":")
                if name in keep:
                    fields[name] = value.strip()
        if fields:
            yield fields


@dataclass(frozen=True)
class Checked:
    """What became of a signature.

    Attributes:
        good: Whether a key of the keyring has signed the text.
        text: The text, of a clear-signed one what was signed of it.
        signer: Fingerprint of the key that has.
        expired: Whether that key has expired since.
        said: What the program said.
    """

    good: bool
    text: bytes
    signer: str = ""
    expired: bool = False
    said: str = ""


def check_signature(data: bytes, keyring: str, signature: bytes | None = None) -> Checked:
    """Verify a text, clear-signed if it comes without a signature.

    As in apt, other signatures may stand beside a good one, but none that does not fit the text.

    Raises:
        Unable: No program is there that can.
    """
    program = next((name for name in ("gpgv", "sqv") if shutil.which(name)), "")
    if not program:
        raise Unable(UNREAD, "neither gpgv nor sqv is installed", "apt-get install gpgv")
    with tempfile.TemporaryDirectory(prefix="verify-host-") as folder:
        signed, output, apart = (Path(folder, name) for name in ("signed", "text", "signature"))
        signed.write_bytes(data)
        argv = [program, "--keyring", str(Path(keyring).absolute())]
        argv += ["--homedir", folder, "--status-fd", "2"] if program == "gpgv" else []
        if signature is None:
            argv += ["--output", str(output), *(["--cleartext"] if program == "sqv" else [])]
        else:
            apart.write_bytes(signature)
            argv += ["--signature-file"] if program == "sqv" else []
            argv += [str(apart)]
        done = ran([*argv, str(signed)])
        text = data if signature is not None else output.read_bytes() if output.exists() else b""
    said = done.stderr.decode(errors="replace").strip()
    if program == "sqv":
        key = re.search(rb"^[0-9A-F]{40,64}$", done.stdout, re.MULTILINE)
        return Checked(done.returncode == 0, text, key[0].decode() if key else "", said=said)
    told = "\n".join(line for line in said.splitlines() if not line.startswith("[GNUPG:]"))
    if "[GNUPG:] BADSIG" in said:
        return Checked(good=False, text=text, said=told)
    groups = said.split("[GNUPG:] NEWSIG")[1:]
    now, once = ([match[1] for group in groups if (match := like.search(group))] for like in (GOOD, EXPIRED))
    return Checked(bool(now or once), text, (*now, *once, "")[0], expired=bool(once and not now), said=told)


def trusted(path: Path, data: bytes, keyring: str, signature: bytes | None = None) -> Checked:
    """A text that a key of the keyring has signed.

    Raises:
        Unable: None has.
    """
    checked = check_signature(data, keyring, signature)
    if not checked.good:
        raise Unable(
            WRONG_USE,
            f"{path} has no good signature by a key of {keyring}\n{checked.said}".rstrip(),
            "fetch it anew with its signature; if the repository's keys changed, install its new keyring package",
        )
    return checked


def expired(subject: str, checked: Checked) -> Iterator[Finding]:
    """A key that is over."""
    if checked.expired:
        yield error(
            "key",
            subject,
            detail=f"it is signed by the key {checked.signer}, which has expired",
            way_out="install the repository's new keyring package: apt refuses what an expired key has signed",
        )


def given(path: Path) -> bytes:
    """Content of a file that the user named.

    Raises:
        Unable: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as failed:
        raise Unable(
            WRONG_USE, f"{path}: {failed.strerror}", "name a file that this user can read"
        ) from failed


def parsed(path: Path, data: bytes, shape: Mapping[str, type]) -> dict[str, Any]:
    """A JSON object of format 1.

    Raises:
        Unable: It is none, or lacks something.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as failed:
        raise Unable(
            WRONG_USE, f"{path} is no JSON: {failed}", "fetch it anew: it may be cut off"
        ) from failed
    if not isinstance(value, dict) or value.get("format") != 1:
        form = value.get("format") if isinstance(value, dict) else None
        raise Unable(
            WRONG_USE, f"{path} has format {form}, not 1", "take the verify-host that belongs to the manifest"
        )
    check_shape(str(path), value, shape)
    return value


def check_shape(what: str, value: Any, shape: Mapping[str, type]) -> None:
    """See that an object has what is used of it.

    Raises:
        Unable: It lacks something.
    """
    for name, kind in shape.items():
        if not isinstance(value, dict) or not isinstance(value.get(name), kind):
            raise Unable(
                WRONG_USE,
                f"{what}: {name} is not there, or no {kind.__name__}",
                "make the manifest anew: `bigtop-builder fleet manifest`",
            )


def slug(origin: str) -> str:
    """An origin as names of packages have it."""
    return re.sub(r"[^a-z0-9]+", "-", origin.lower()).strip("-")


@dataclass(frozen=True)
class Release:
    """The manifest, verified."""

    fields: Mapping[str, Any]
    sha256: str
    keyring: str
    signer: str = ""

    @cached_property
    def packages(self) -> dict[str, list[dict[str, Any]]]:
        """Name -> what the release has under it."""
        found: dict[str, list[dict[str, Any]]] = {}
        for one in self.fields["packages"]:
            found.setdefault(one["name"], []).append(one)
        return found

    @property
    def origin(self) -> str:
        """Origin of the repository."""
        return str(self.fields["origin"])

    @property
    def trust(self) -> str:
        """The package with the repository's keys: hosts may have a newer one than the release, with newer keys."""
        return f"{slug(self.origin)}-archive-keyring"

    @property
    def snapshot(self) -> str:
        """Id of the snapshot."""
        return str(self.fields["snapshot"])

    def way_out(self, name: str) -> str:
        """The command that gives a host the release's version of a package."""
        return f"apt-get install --allow-downgrades {name}={self.packages[name][0]['version']}"


def load(asked: Asked, root: Root) -> tuple[Release, list[Finding]]:
    """Read the manifest and what else is given, and verify all of it.

    Raises:
        Unable: Something is not as it must be.
    """
    data = given(asked.manifest)
    fields = parsed(asked.manifest, data, MANIFEST)
    if asked.origin not in {"", fields["origin"]}:
        brief = f"{asked.manifest} is of origin {fields['origin']!r}, not {asked.origin!r}"
        raise Unable(WRONG_USE, brief, "take the manifest of that repository")
    keyring = str(asked.keyring or root.at(f"{KEYRINGS}/{slug(fields['origin'])}-archive-keyring.gpg"))
    if not os.access(keyring, os.R_OK):
        raise Unable(
            WRONG_USE,
            f"no keyring {keyring} to read",
            "install the repository's keyring package, or give --keyring",
        )
    signature = asked.signature or asked.manifest.with_name(f"{asked.manifest.name}.asc")
    checked = trusted(asked.manifest, data, keyring, given(signature))
    for number, one in enumerate(fields["packages"]):
        check_shape(f"{asked.manifest}: package {number}", one, PACKAGE)
    for role in asked.roles:
        if role not in fields["roles"]:
            known = ", ".join(sorted(fields["roles"])) or "none"
            raise Unable(WRONG_USE, f"role {role!r} is not in the manifest", f"roles are: {known}")
    release = Release(fields, hashlib.sha256(data).hexdigest(), keyring, checked.signer)
    return release, [*expired(asked.manifest.name, checked), *withdrawn(asked, release)]


def withdrawn(asked: Asked, release: Release) -> Iterator[Finding]:
    """Say whether the release was taken out of use, by the manifest or by the repository's list.

    Raises:
        Unable: The list is not to be trusted.
    """
    if release.fields["withdrawn"]:
        yield out_of_use(release, release.fields["withdrawn"])
    if asked.withdrawn:
        checked = trusted(asked.withdrawn, given(asked.withdrawn), release.keyring)
        yield from expired(asked.withdrawn.name, checked)
        for notice in parsed(asked.withdrawn, checked.text, {"withdrawn": list})["withdrawn"]:
            check_shape(str(asked.withdrawn), notice, {"snapshot": str, "when": str, "who": str, "why": str})
            if notice["snapshot"] == release.snapshot:
                yield out_of_use(release, "{why} ({who}, {when})".format_map(notice))


def out_of_use(release: Release, why: str) -> Finding:
    """A snapshot that was withdrawn."""
    back = release.fields.get("rollback_to")
    way = f"go back to snapshot {back}" if back else "take another snapshot"
    return error("withdrawn", release.snapshot[:16], detail=f"the snapshot is withdrawn: {why}", way_out=way)


def dpkg_status(root: Root) -> list[Installed]:
    """All packages of dpkg's status.

    Raises:
        Unable: It cannot be read, or is damaged.
    """
    name = "/var/lib/dpkg/status"
    try:
        text = root.read(name).decode(errors="surrogateescape")
    except OSError as failed:
        raise Unable(UNREAD, f"{root.at(name)}: {failed.strerror}", "is this a Debian system?") from failed
    if not text.endswith("\n\n"):  # dpkg ends each paragraph with an empty line
        last = next(
            (line for line in reversed(text.split("\n")) if line.startswith("Package:")), "no package"
        )
        raise Unable(UNREAD, f"{root.at(name)} is cut off or empty ({last})", DAMAGED)
    found = []
    for fields in stanzas(text, FIELDS):
        if "Package" not in fields or len(fields.get("Status", "").split()) != 3:  # noqa: PLR2004  # want, flag, state
            raise Unable(
                UNREAD, f"{root.at(name)} has a paragraph without package or status: {fields}", DAMAGED
            )
        found.append(package_of(fields))
    return found


def package_of(fields: Mapping[str, str]) -> Installed:
    """A paragraph of dpkg's status as a value."""
    lines = [line.rsplit(" ", 2) for line in fields.get("Conffiles", "").split("\n") if line.strip()]
    flags = {"obsolete", "remove-on-upgrade"}
    kept = [words for words in lines if words[-1] not in flags]
    return Installed(
        name=fields["Package"],
        version=fields.get("Version", ""),
        architecture=fields.get("Architecture", ""),
        status=fields["Status"],
        source=(fields.get("Source") or fields["Package"]).partition(" ")[0],
        maintainer=fields.get("Maintainer", ""),
        conffiles={" ".join(words[:-1]).strip(): words[-1] for words in kept},
        obsolete=tuple(words[0].strip() for words in lines if words[-1] in flags),
    )


def some(names: Sequence[str]) -> str:
    """A few names of many."""
    return ", ".join(names[:FEW]) + (f" and {len(names) - FEW} more" if len(names) > FEW else "")


def lost(packages: Iterable[Installed], root: Root) -> Iterator[Finding]:
    """Packages that dpkg's status has lost, cut off between two of them: the lists of their files are there."""
    known = {one.name for one in packages}
    listed = {name[: -len(".list")].partition(":")[0] for name in root.names(INFO) if name.endswith(".list")}
    if gone := sorted(listed - known):
        detail = f"its status lacks {some(gone)}, and it has a list of their files"
        yield error("state", "dpkg", detail=detail, way_out=DAMAGED)


def unmet(apt: Apt, release: Release) -> Iterator[Finding]:
    """Packages that lack what they depend on, as apt sees it (apt-get(8), check): a role's closure has a hole."""
    others = []
    for name, what in apt.unmet().items():
        if name in release.packages:
            yield error("state", name, detail=f"it lacks what it needs: {what}", way_out=MEND)
        else:
            others.append(f"{name} ({what})")
    if others:
        yield error("state", "apt", detail=f"these lack what they need: {some(others)}", way_out=MEND)


def states(packages: Iterable[Installed], root: Root, release: Release) -> Iterator[Finding]:
    """Packages that dpkg did not bring to an end, of whomever they are, and ours that are held."""
    if any(name.isdigit() for name in root.names("/var/lib/dpkg/updates")):
        yield error(
            "state",
            "dpkg",
            detail="dpkg was interrupted: its journal is not worked in",
            way_out="dpkg --configure -a",
        )
    for one in packages:
        want, flag, state = one.status.split()
        if flag != "ok" or state not in {"installed", "config-files", "not-installed"}:
            way = f"apt-get install --reinstall {one.name}" if flag != "ok" else "dpkg --configure -a"
            yield error("state", one.name, detail=f"its state is {one.status!r}", way_out=way)
        elif one.name not in release.packages:
            continue
        elif state == "config-files":
            yield note("state", one.name, detail="it is removed, and its configuration is left")
        elif want == "hold" and one.present:
            yield error(
                "held", one.name, detail=f"it is held at {one.version}", way_out=f"apt-mark unhold {one.name}"
            )
        elif want != "install" and one.present:
            yield error(
                "state", one.name, detail=f"it is selected for {want}", way_out=f"apt-mark install {one.name}"
            )


def absent(packages: Iterable[Installed], release: Release, roles: Sequence[str]) -> Iterator[Finding]:
    """Packages of the host's roles that are not there."""
    there = {one.name for one in packages if one.present}
    if there.isdisjoint(release.packages) and not roles:
        detail = "none of the manifest's packages is installed"
        yield error("missing", release.origin, detail=detail, way_out="name the host's roles with --role")
    for role in roles:
        for name in release.fields["roles"][role]:
            if name not in there:
                way = release.way_out(name) if name in release.packages else f"apt-get install {name}"
                yield error(
                    "missing", name, detail=f"role {role} has it, and it is not installed", way_out=way
                )


@dataclass
class Contents:
    """Installed packages and what the manifest says of their bytes."""

    root: Root
    release: Release
    quick: bool
    sums: dict[str, str] = field(default_factory=dict)

    def findings(self, packages: Sequence[Installed]) -> Iterator[Finding]:
        """All that differs."""
        for one in packages:
            if one.present and one.name in self.release.packages:
                yield from self._package(one)

    def _package(self, one: Installed) -> Iterator[Finding]:
        sums = self._info(one, "md5sums")
        if isinstance(sums, bytes):
            self.sums[one.name] = hashlib.sha256(sums).hexdigest()
        known = self.release.packages[one.name]
        entry = next(
            (e for e in known if (e["version"], e["architecture"]) == (one.version, one.architecture)), None
        )
        if entry is None:
            has = ", ".join(sorted({f"{e['version']} ({e['architecture']})" for e in known}))
            detail = f"{one.version} ({one.architecture}) is installed, the manifest has {has}"
            if one.name == self.release.trust:
                yield note("package", one.name, detail=detail)
            else:
                yield error("package", one.name, detail=detail, way_out=self.release.way_out(one.name))
        else:
            yield from self._identity(one, entry, sums)
            yield from self._scripts(one, entry)
            yield from self._conffiles(one, entry)
        yield from self._places(one, sums if isinstance(sums, bytes) else b"")

    def _info(self, one: Installed, kind: str) -> bytes | OSError | None:
        """A control file that dpkg has kept; None if there is none (dpkg has two names for it)."""
        for name in (one.name, f"{one.name}:{one.architecture}"):
            found = self._kept(f"{name}.{kind}")
            if not isinstance(found, FileNotFoundError):
                return found
        return None

    def _kept(self, name: str) -> bytes | OSError:
        try:
            return self.root.read(f"{INFO}/{name}")
        except OSError as failed:
            return failed

    def _places(self, one: Installed, sums: bytes) -> Iterator[Finding]:
        """What became of a package's files on the disk."""
        found = self._info(one, "list")
        if isinstance(found, OSError):
            yield unread(one.name, f"{INFO}/{one.name}.list", found)
        elif found is None:
            yield error("package", one.name, detail="dpkg has lost the list of its files", way_out=one.again)
        listed = found.decode(errors="surrogateescape").split("\n") if isinstance(found, bytes) else []
        yield from self._aside(one, listed)
        if not self.quick:
            expected = dict(map(sum_of, sums.decode(errors="surrogateescape").splitlines()))
            for path in {*one.conffiles, *one.obsolete}:
                expected.pop(
                    path, None
                )  # some packages have them there: what the admin did is told, not failed
            yield from self._files(one, expected, frozenset(listed))
            yield from self._links(one, [path for path in listed if path not in {"", "/.", *expected}])

    def _identity(
        self, one: Installed, entry: Mapping[str, Any], sums: bytes | OSError | None
    ) -> Iterator[Finding]:
        expected = entry["md5sums"]
        if isinstance(sums, OSError):
            yield unread(one.name, f"{INFO}/{one.name}.md5sums", sums)
        elif not expected:
            yield note(
                "package", one.name, detail="it was built without md5sums: its version alone is compared"
            )
        elif sums is None:
            yield error("package", one.name, detail="dpkg has lost its md5sums", way_out=one.again)
        elif self.sums[one.name] != expected:
            detail = (
                f"{one.version} is another build than the manifest's: its md5sums have sha256 "
                f"{self.sums[one.name][:16]}, not {expected[:16]}"
            )
            yield error("package", one.name, detail=detail, way_out=one.again)

    def _scripts(self, one: Installed, entry: Mapping[str, Any]) -> Iterator[Finding]:
        expected: Mapping[str, str] = entry["scripts"]
        for script in sorted({*SCRIPTS, *expected}):
            data = self._info(one, script)
            if isinstance(data, OSError):
                yield unread(one.name, f"{INFO}/{one.name}.{script}", data)
                continue
            has = hashlib.sha256(data).hexdigest() if data is not None else ""
            if has != expected.get(script, ""):
                what = (
                    "is not the manifest's"
                    if has and script in expected
                    else "is lost"
                    if not has
                    else "is new"
                )
                yield error(
                    "package",
                    one.name,
                    detail=f"its {script} script {what}",
                    way_out=one.again,
                )

    def _conffiles(self, one: Installed, entry: Mapping[str, Any]) -> Iterator[Finding]:
        known = {shown(path): (path, digest) for path, digest in one.conffiles.items()}
        for name, shipped in sorted(entry["conffiles"].items()):
            path, digest = known.get(name, (name, "none"))
            if digest != shipped:
                yield error(
                    "package",
                    one.name,
                    detail=f"dpkg knows conffile {name} with MD5 {digest}, the manifest with {shipped}",
                    way_out=one.again,
                )
            yield from self._conffile(one.name, path, shipped)
        for path in one.obsolete:
            yield note("conffile", one.name, detail=f"{path} is left of an earlier version")

    def _conffile(self, package: str, path: str, shipped: str) -> Iterator[Finding]:
        """What became of a configuration file."""
        try:
            has = md5_of(self.root.open(self._diverted(package, path)))
        except ABSENT:
            yield note("conffile", package, detail=f"{path} is deleted")
        except IrregularError:
            yield note("conffile", package, detail=f"{path} is no regular file any more")
        except OSError as failed:
            yield unread(package, path, failed)
        else:
            if has != shipped:
                yield note("conffile", package, detail=f"{path} is altered: MD5 {has}")

    def _files(
        self, one: Installed, expected: Mapping[str, str], listed: frozenset[str]
    ) -> Iterator[Finding]:
        """Files of md5sums."""
        with ThreadPoolExecutor(READERS) as pool:
            said = dict(zip(expected, pool.map(partial(self._file, one.name), expected.items())))
        wrong = {path: what for path, what in said.items() if what}
        takers = self._takers(path for path in wrong if listed and path not in listed)
        left_out = []
        for path, what in wrong.items():
            if path in takers:
                yield self._instead(one, path, takers[path], f"is {takers[path]}'s now, and not compared")
            elif isinstance(what, OSError):
                yield unread(one.name, path, what)
            elif what == MISSING and self._left_out(path):
                left_out.append(path)
            else:
                yield error("file", one.name, detail=f"{path} {what}", way_out=one.again)
        yield from excluded(one, left_out)

    def _file(self, package: str, known: tuple[str, str]) -> OSError | str:
        """What is wrong with a file; empty if nothing is."""
        path, expected = known
        try:
            place = self._diverted(package, path)
            if not stat.S_ISREG(self.root.lstat(place).st_mode):
                return "is no regular file any more"
            return "" if md5_of(opened(self.root.at(place))) == expected else "is altered"
        except ABSENT:
            return MISSING
        except OSError as failed:
            return failed

    def _links(self, one: Installed, paths: Iterable[str]) -> Iterator[Finding]:
        """What else dpkg holds for the package's: links and folders. Only that they are there is known."""
        left_out = []
        for path in paths:
            if path in one.conffiles or path in one.obsolete or PASSING.match(path):
                continue
            try:
                self.root.lstat(self._diverted(one.name, path))
            except ABSENT:
                if self._left_out(path):
                    left_out.append(path)
                else:
                    yield error("file", one.name, detail=f"{path} {MISSING}", way_out=one.again)
            except OSError as failed:
                yield unread(one.name, path, failed)
        yield from excluded(one, left_out)

    def _aside(self, one: Installed, listed: Iterable[str]) -> Iterator[Finding]:
        """Files in whose place something else stands, by dpkg-divert(1)."""
        for path in listed:
            by, target = self._diversions.get(path, (one.name, ""))
            if by != one.name:
                who = "by hand" if by == ":" else f"by {by}"
                yield self._instead(one, path, by, f"is diverted {who}: the package's own lies at {target}")

    def _instead(self, one: Installed, path: str, by: str, what: str) -> Finding:
        """A file in whose place another one stands: right if that is the release's, or no program runs by it."""
        detail = f"{path} {what}"
        if by in self.release.packages or BESIDE.match(path) or path in one.conffiles:
            return note("file", one.name, detail=detail)
        way = (
            f"dpkg-divert --rename --remove {path}"
            if by == ":"
            else f"apt-get remove {by}, or see what it is for"
        )
        return error("file", one.name, detail=detail, way_out=way)

    def _takers(self, paths: Iterable[str]) -> dict[str, str]:
        """Path -> package that took it over (Debian policy, 7.6.1): dpkg then has it in that one's list alone."""
        wanted = set(map(raw, paths))
        found: dict[str, str] = {}
        for name in self.root.names(INFO) if wanted else ():
            if name.endswith(".list"):
                with suppress(OSError):
                    for path in wanted.intersection(self.root.read(f"{INFO}/{name}").split(b"\n")):
                        found[path.decode(errors="surrogateescape")] = name[: -len(".list")].partition(":")[0]
        return found

    def _diverted(self, package: str, path: str) -> str:
        """Where dpkg has put a file (dpkg-divert(1))."""
        by, target = self._diversions.get(path, (package, path))
        return path if by == package else target

    @cached_property
    def _diversions(self) -> dict[str, tuple[str, str]]:
        return diversions(self.root)

    def _left_out(self, path: str) -> bool:
        """Whether dpkg was told not to install a file: the last pattern that fits counts (dpkg(1))."""
        return next(
            (kind == "exclude" for kind, like in self._patterns if fnmatch.fnmatchcase(path, like)), False
        )

    @cached_property
    def _patterns(self) -> list[tuple[str, str]]:
        found = []
        folder = "/etc/dpkg/dpkg.cfg.d"
        for name in ("/etc/dpkg/dpkg.cfg", *(f"{folder}/{one}" for one in self.root.names(folder))):
            with suppress(OSError):
                text = self.root.read(name).decode(errors="surrogateescape")
                found += re.findall(
                    r"^\s*path-(exclude|include)\s*=?\s*[\"']?(.+?)[\"']?\s*$", text, re.MULTILINE
                )
        return found[::-1]


def diversions(root: Root) -> dict[str, tuple[str, str]]:
    """Path -> package that has diverted it, and where to. Three lines each; `:` is the admin (dpkg-divert(1))."""
    try:
        lines = root.read("/var/lib/dpkg/diversions").decode(errors="surrogateescape").splitlines()
    except OSError:
        return {}
    return {path: (by, target) for path, target, by in zip(lines[::3], lines[1::3], lines[2::3])}


def sum_of(line: str) -> tuple[str, str]:
    r"""Absolute path and MD5 of a line of md5sums; a line that begins with `\` has escapes (md5sum(1))."""
    digest, _, path = line.partition("  ")
    if digest.startswith("\\"):
        digest, path = digest[1:], re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], path)
    return f"/{path}", digest


def excluded(one: Installed, paths: Sequence[str]) -> Iterator[Finding]:
    """Files that the admin has told dpkg to leave out."""
    for beside in (True, False):
        if which := sorted(path for path in paths if bool(BESIDE.match(path)) is beside):
            detail = f"path-exclude has left out {some(which)}"
            way = f"take path-exclude out of /etc/dpkg, then {one.again}"
            yield (
                note("file", one.name, detail=detail)
                if beside
                else error("file", one.name, detail=detail, way_out=way)
            )


def md5_of(file: io.FileIO) -> str:
    """MD5 of a file, which is read once, in pieces, and closed."""
    digest = hashlib.md5(usedforsecurity=False)
    with file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


@dataclass(frozen=True)
class Table:
    """What `apt-cache policy` says of a package.

    Attributes:
        candidate: Version that apt would install.
        versions: Version -> priority, and where it can be had: apt's words for a list.
    """

    candidate: str
    versions: Mapping[str, tuple[int, tuple[str, ...]]]

    def sources(self, version: str) -> tuple[str, ...]:
        """Where a version can be had, but for dpkg's status."""
        return tuple(one for one in self.versions.get(version, (0, ()))[1] if not one.startswith("/"))


def tables(text: str) -> dict[str, Table]:
    """What `apt-cache policy NAME…` printed, by name (apt-cache(8))."""
    found: dict[str, Table] = {}
    versions: dict[str, tuple[int, tuple[str, ...]]] = {}
    name = version = ""
    for line in text.splitlines():
        if line and not line.startswith(" "):
            name, versions = line[:-1], {}
        elif match := re.fullmatch(r"  Candidate: (\S+)", line):
            found[name] = Table(match[1], versions)
        elif match := re.fullmatch(r"(?: \*\*\*|    ) (\S+)(?: (-?\d+))?(?: \(.*\))?", line):
            version = match[1]
            # Packages of one version that differ in more than their place have a block each.
            priority, places = versions.get(version, (int(match[2] or 0), ()))
            versions[version] = max(priority, int(match[2] or 0)), places
        elif (match := re.fullmatch(r" {6,}(-?\d+) (.+)", line)) and version in versions:
            priority, places = versions[version]
            versions[version] = priority, (*places, match[2])
    return found


@dataclass
class Apt:
    """The host's apt, asked through its own programs: only these know how it keeps and reads its lists."""

    root: Root
    scratch: str

    @cached_property
    def _env(self) -> dict[str, str]:
        if self.root.folder == "/":
            return {}
        path, inside = Path(self.scratch, "apt.conf"), self.root.folder
        path.write_text(
            f'Dir "{inside}/";\nDir::State::status "{inside}/var/lib/dpkg/status";\n'
            f'Dir::Cache::pkgcache "{self.scratch}/cache";\nDir::Cache::srcpkgcache "";\n',
            encoding="utf-8",
        )
        return {"APT_CONFIG": str(path)}

    def _said(self, *argv: str) -> str:
        done = ran(argv, self._env)
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()
            raise Unable(
                UNREAD, f"{argv[0]} {argv[1]} failed\n{said}".rstrip(), "mend apt on this host first"
            )
        return done.stdout.decode(errors="replace")

    def targets(self) -> list[dict[str, str]]:
        """Packages files of the host's sources that apt has.

        Raises:
            Unable: Apt refuses.
        """
        wanted = ("MetaKey", "Description", "Filename", "Origin", "Label", "Sourcesentry")
        said = self._said("apt-get", "indextargets", "Created-By: Packages")
        return [one for one in stanzas(said, wanted) if {"MetaKey", "Description", "Filename"} <= set(one)]

    def updated(self) -> datetime | None:
        """When apt has last asked for lists: it makes its files in this folder. None if it never did."""
        with suppress(OSError):
            seconds = self.root.lstat("/var/lib/apt/lists/partial").st_mtime
            return datetime.fromtimestamp(seconds, timezone.utc)
        return None

    def policy(self, names: Iterable[str]) -> dict[str, Table]:
        """What apt would install.

        Raises:
            Unable: Apt refuses.
        """
        words = sorted(names)
        return tables(self._said("apt-cache", "policy", *words)) if words else {}

    def unmet(self) -> dict[str, str]:
        """Installed packages that lack what they depend on -> what that is. Sources and their lists do not matter.

        Raises:
            Unable: Apt cannot tell.
        """
        nothing = ["Etc::sourcelist=/dev/null", "Etc::sourceparts=/dev/null"]
        nothing += [f"State::lists={self.scratch}/lists", "Cache::pkgcache=", "Cache::srcpkgcache="]
        options = [word for one in nothing for word in ("-o", f"Dir::{one}")]
        done = ran(["apt-get", "check", "-o", "Debug::NoLocking=true", *options], self._env)
        said = done.stdout.decode(errors="replace")
        found = {}
        for name, what in re.findall(r"^ (\S+) : (.+(?:\n {2,}.+)*)", said, re.MULTILINE):
            needed = [line.strip() for line in what.split("\n")]
            found[name] = ", ".join(one for one in needed if not one.startswith(("Recommends:", "Suggests:")))
        complaint = done.stderr.decode(errors="replace").strip()
        # What is to be installed again is told by its state.
        if done.returncode != 0 and not found and "needs to be reinstalled" not in complaint:
            raise Unable(UNREAD, f"apt-get check failed\n{complaint}".rstrip(), "mend apt on this host first")
        return found

    @staticmethod
    def index(path: str) -> bytes:
        """Content of a list, however apt has packed it.

        Raises:
            Unable: It cannot be read.
        """
        if path.endswith("_Packages"):
            with suppress(OSError):
                return Path(path).read_bytes()
        done = ran(["/usr/lib/apt/apt-helper", "cat-file", path])
        if done.returncode != 0:
            raise Unable(UNREAD, f"{path}: {done.stderr.decode(errors='replace').strip()}", "apt-get update")
        return done.stdout


@dataclass
class Offered:
    """What apt's lists have of the repository.

    Attributes:
        suites: The fields of each suite's InRelease.
        places: Apt's words for the lists.
        hashes: Name, version and architecture -> SHA256 of the .debs.
        findings: What is wrong with the lists.
    """

    suites: dict[str, dict[str, str]] = field(default_factory=dict)
    places: set[str] = field(default_factory=set)
    hashes: dict[tuple[str, str, str], set[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def offered(apt: Apt, release: Release) -> Offered:
    """Read those of apt's lists whose InRelease a key of the keyring has signed."""
    found = Offered()
    label = release.fields["label"]
    entries = set()
    for target in apt.targets():
        if target.get("Origin") != release.origin:
            continue
        if label and target.get("Label") != label:
            detail = (
                f"{target['Description']} is of the same origin, and not of this repository: its label is "
            )
            found.findings.append(note("origin", "apt", detail=f"{detail}{target.get('Label')!r}"))
            continue
        entries.add(target.get("Sourcesentry", ""))
        path, key = target["Filename"], target["MetaKey"].replace("/", "_")
        in_release = f"{path.rpartition(key)[0]}InRelease"
        if in_release not in found.suites:
            found.suites[in_release] = suite_fields(in_release, release, found)
        if found.suites[in_release]:
            found.places.add(target["Description"])
            read_index(apt.index(path), target, found.suites[in_release], release, found)
    found.suites = {path: fields for path, fields in found.suites.items() if fields}
    for entry in sorted(entries):
        found.findings += weak(entry, release)
    return found


def weak(entry: str, release: Release) -> Iterator[Finding]:
    """A source for which more than the repository's keys may sign (sources.list(5)).

    Args:
        entry: Its file and, after a colon, its line, or the number of its paragraph.
        release: The manifest.
    """
    path, _, number = entry.rpartition(":")
    if not number.isdigit():
        return
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as failed:
        yield unread("apt", path, failed)
        return
    said = source_options(text, int(number) - 1, paragraphs=path.endswith(".sources"))
    if re.search(r"^trusted[:=]\s*(yes|true|with|on|enable|1)$", said, re.MULTILINE):
        detail = f"{path} says `trusted`: apt takes what nobody has signed"
        yield error("origin", "apt", detail=detail, way_out=f"take that out of {path}, then apt-get update")
    if not re.search(r"^signed-by[:=]", said, re.MULTILINE):
        detail = f"{path} has no Signed-By: every key that apt trusts may sign for {release.origin}"
        yield error("origin", "apt", detail=detail, way_out=f"Signed-By: {release.keyring} in {path}")


def source_options(text: str, number: int, *, paragraphs: bool) -> str:
    """Options of a source, a line each in small letters: `name=value`, or `name: value` where it is a paragraph."""
    if paragraphs:
        lines = re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE).lower()
        every = [one.strip("\n") for one in re.split(r"\n\s*\n", lines) if one.strip()]
    else:
        every = [re.sub(r"[^\[]*(\[([^\]]*)\])?.*", r"\2", line).strip() for line in text.lower().split("\n")]
        every = [re.sub(r"\s+", "\n", one) for one in every]
    return "\n".join(line.rstrip() for line in every[number].split("\n")) if number < len(every) else ""


def check_suite(path: str, keyring: str) -> Checked:
    """Verify an InRelease, or the Release and Release.gpg that apt takes where a mirror has none.

    Raises:
        OSError: It cannot be read.
    """
    with suppress(FileNotFoundError):
        return check_signature(Path(path).read_bytes(), keyring)
    release = Path(f"{path.removesuffix('InRelease')}Release")
    return check_signature(release.read_bytes(), keyring, Path(f"{release}.gpg").read_bytes())


def suite_fields(path: str, release: Release, found: Offered) -> dict[str, str]:
    """Fields of an InRelease; none if it is not the repository's."""
    try:
        checked = check_suite(path, release.keyring)
    except OSError as failed:
        found.findings.append(unread("apt", path, failed))
        return {}
    if not checked.good:
        found.findings.append(
            error(
                "origin",
                Path(path).name,
                detail=f"it says that it is {release.origin}, and no key of {release.keyring} has signed it",
                way_out="take this source out of /etc/apt, or install the keyring package that it belongs to",
            )
        )
        return {}
    found.findings += expired(Path(path).name, checked)
    wanted = ("Suite", "Codename", "Date", "Valid-Until", "X-Snapshot", "X-Withdrawn")
    return next(stanzas(checked.text.decode(errors="replace"), wanted), {})


def read_index(
    data: bytes, target: Mapping[str, str], suite: Mapping[str, str], release: Release, found: Offered
) -> None:
    """Take up what a Packages file offers."""
    expected = release.fields["indices"].get(target["MetaKey"])
    if (
        expected
        and suite.get("X-Snapshot") == release.snapshot
        and hashlib.sha256(data).hexdigest() != expected
    ):
        found.findings.append(
            error(
                "lists",
                target["MetaKey"],
                detail=f"{target['Filename']} is not the manifest's",
                way_out="rm it, then apt-get update",
            )
        )
    for one in stanzas(data.decode(errors="replace"), ("Package", "Version", "Architecture", "SHA256")):
        key = (one.get("Package", ""), one.get("Version", ""), one.get("Architecture", ""))
        found.hashes.setdefault(key, set()).add(one.get("SHA256", ""))


def moment(text: str) -> datetime:
    """A date of an InRelease; the beginning of time if it is none."""
    try:
        when = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return datetime.min.replace(tzinfo=timezone.utc)
    return when.replace(tzinfo=when.tzinfo or timezone.utc)


def stale(apt: Apt, max_age: int, now: datetime) -> Iterator[Finding]:
    """Lists that nobody has asked for in a while."""
    when = apt.updated()
    if max_age and when and when < now - timedelta(days=max_age):
        detail = f"apt-get update has last run on {when.date()}, more than {max_age} days ago"
        yield error("lists", "apt", detail=detail, way_out="apt-get update")


def lists(found: Offered, release: Release, now: datetime) -> Iterator[Finding]:
    """Lists of the repository that are over, or of another snapshot."""
    yield from found.findings
    update = "apt-get update"
    if not found.suites:
        yield error(
            "lists",
            release.origin,
            detail="apt has no list of the repository: what it would install cannot be compared",
            way_out=f"add the repository to /etc/apt/sources.list.d, then {update}",
        )
    current = any(one.get("X-Snapshot") == release.snapshot for one in found.suites.values())
    for one in found.suites.values():
        suite = one.get("Suite") or one.get("Codename", "?")
        if one.get("X-Snapshot") != release.snapshot:
            detail = f"apt knows it with snapshot {one.get('X-Snapshot', '?')[:16]} of {one.get('Date')}"
            tell = note if current else error
            way = "" if current else f"{update}, or name the snapshot's own suite in the sources"
            yield tell(
                "lists", suite, detail=f"{detail}, the manifest is of {release.snapshot[:16]}", way_out=way
            )
        elif one.get("X-Withdrawn"):
            yield out_of_use(release, one["X-Withdrawn"])
        if "Valid-Until" in one and moment(one["Valid-Until"]) < now:
            yield error(
                "lists", suite, detail=f"its list was valid until {one['Valid-Until']}", way_out=update
            )


def candidates(
    packages: Iterable[Installed], table: Mapping[str, Table], found: Offered, release: Release
) -> Iterator[Finding]:
    """What apt would install of the release's packages, from where, and what the pins are for."""
    installed = {one.name: one.version for one in packages if one.present}
    loose = []
    for name, one in sorted(table.items()):
        if name == release.trust:
            continue
        versions = {entry["version"] for entry in release.packages[name]}
        yield from candidate(name, one, versions, found, release)
        has = installed.get(name, "")
        places = one.sources(has)
        if has and has not in versions and not found.places.intersection(places):
            where = " and ".join(places) or "no source of this host"
            yield error("origin", name, detail=f"{has} is from {where}", way_out=release.way_out(name))
        ours = max((one.versions[version][0] for version in versions & set(one.versions)), default=None)
        if ours is None:
            continue
        others = {version: pin for version, (pin, _) in one.versions.items() if version not in versions}
        upheld = [f"{version} at {pin}" for version, pin in others.items() if pin > max(ours, UPHELD)]
        if upheld or ours < 0:
            detail = f"pinned are {' and '.join(upheld) or 'others'}, the manifest's version is at {ours}"
            yield error("pin", name, detail=detail, way_out="take the manifest's pin file: `fleet sources`")
        elif ours <= UPHELD:
            loose.append(name)
    if loose:
        some = ", ".join(loose)
        detail = f"{len(loose)} of {len(table)} packages are not pinned above {UPHELD}: {some}"
        yield note("pin", "apt", detail=detail, way_out="take the manifest's pin file: `fleet sources`")


def candidate(
    name: str, one: Table, versions: set[str], found: Offered, release: Release
) -> Iterator[Finding]:
    """What is wrong with the version of a package that apt would install."""
    places = one.sources(one.candidate)
    if one.candidate not in versions:
        where = f" from {' and '.join(places)}" if places else ""
        has = ", ".join(sorted(versions))
        detail = f"apt would install {one.candidate.strip('()')}{where}, the manifest has {has}"
        yield error(
            "candidate", name, detail=detail, way_out="apt-get update; see the sources and pins in /etc/apt"
        )
        return
    foreign = sorted(set(places) - found.places)
    if len(foreign) == len(places):
        where = " and ".join(foreign) or "no source of this host"
        detail = f"{one.candidate} can be had from {where}, not from {release.origin}"
        yield error(
            "origin",
            name,
            detail=detail,
            way_out="add the snapshot's suite to the sources, then apt-get update",
        )
    elif foreign:
        detail = f"{one.candidate} can be had from {' and '.join(foreign)} too: apt takes either"
        yield error("origin", name, detail=detail, way_out="take that source out of /etc/apt")
    expected = {(e["version"], e["architecture"]): e["sha256"] for e in release.packages[name]}
    for (version, architecture), sha256 in sorted(expected.items()):
        other = found.hashes.get((name, version, architecture), {sha256}) - {sha256}
        if version == one.candidate and other:
            detail = (
                f"apt would install {version} with SHA256 {min(other)[:16]}, the manifest has {sha256[:16]}"
            )
            yield error(
                "candidate", name, detail=detail, way_out="name the snapshot's own suite in the sources"
            )


def extra(packages: Iterable[Installed], found: Offered, release: Release, apt: Apt) -> Iterator[Finding]:
    """Packages of the repository, now or once, that the manifest has not.

    No list tells what it had once: that is what the release's maintainers made and no source has. Debian has
    packages of the same sources, so a source alone tells nothing.
    """
    there = [one for one in packages if one.present]
    maintainers = {one.maintainer for one in there if one.name in release.packages} - {""}
    known = {*release.packages, release.trust}
    doubtful = []
    for one in there:
        if one.name in known:
            continue
        if (one.name, one.version, one.architecture) in found.hashes:
            detail = f"{one.version} is from {release.origin}, and the manifest has no such package"
            yield error("extra", one.name, detail=detail, way_out=f"apt-get remove {one.name}")
        elif one.maintainer in maintainers:
            doubtful.append(one)
    table = apt.policy(one.name for one in doubtful)
    sources = {entry["source"] for entry in release.fields["packages"]}
    for one in doubtful:
        if one.name not in table or not table[one.name].sources(one.version):
            detail = f"{one.version} of source {one.source} is by {one.maintainer}, and no source of this host has it"
            tell, way = (error, f"apt-get remove {one.name}") if one.source in sources else (note, "")
            yield tell("extra", one.name, detail=detail, way_out=way)


def guard(root: Root, expected: str) -> Iterator[Finding]:
    """How policy-rc.d stands, which keeps services from starting while packages are installed (invoke-rc.d(8))."""
    try:
        text, runs = root.read(GUARD), bool(root.mode(GUARD) & 0o111)
    except FileNotFoundError:
        text, runs = b"", False
    except OSError as failed:
        yield unread(GUARD, GUARD, failed)
        return
    ours = MARK in text
    on = ours or forbids(text)
    if on and expected == "off":
        way = "guard-off, which `fleet sources` has made" if ours else f"rm {GUARD}"
        yield error("guard", GUARD, detail="it is on: no package starts a service", way_out=way)
    elif expected == "on" and not (on and runs):
        why = "it is not executable" if on else "it is off"
        way = "guard-on, which `fleet sources` has made"
        way = f"guard-off, then {way}" if ours else way
        yield error("guard", GUARD, detail=f"{why}: packages start their services", way_out=way)
    elif text and not on:
        yield note("guard", GUARD, detail="the host has one of its own")
    if not ours and (root.has(ASIDE) or diversions(root).get(GUARD, ("", ""))[1] == ASIDE):
        detail = "guard-on or guard-off was broken off: here lies, or will lie, a policy of the host's own"
        yield error("guard", ASIDE, detail=detail, way_out="guard-off, which `fleet sources` has made")


def forbids(policy: bytes) -> bool:
    """Whether a policy-rc.d does nothing but to forbid: one that was made by hand for an upgrade."""
    lines = [re.sub(rb"(^|\s)#.*", b"", line).strip(b" \t\r;") for line in policy.split(b"\n")]
    *others, last = list(filter(None, lines)) or [b""]
    return last == b"exit 101" and not any(re.search(rb"\b(exit|exec|return)\b", line) for line in others)


def verify(asked: Asked, now: datetime) -> dict[str, Any]:
    """Hold the host against the manifest.

    Returns:
        The report, as `--json` prints it.

    Raises:
        Unable: Nothing can be said of the host.
    """
    begun = time.monotonic()
    root = Root(os.path.realpath(asked.root))
    release, findings = load(asked, root)
    packages = dpkg_status(root)
    contents = Contents(root, release, asked.quick)
    findings += guard(root, asked.guard)
    findings += states(packages, root, release)
    findings += lost(packages, root)
    findings += absent(packages, release, asked.roles)
    with tempfile.TemporaryDirectory(prefix="verify-host-") as scratch:
        apt = Apt(root, scratch)
        findings += heeding(unmet(apt, release))
        findings += heeding(sources(asked, apt, packages, release, now))
    findings += contents.findings(packages)
    known = [one for one in packages if one.name in release.packages and one.version]
    return {
        "format": 1,
        "host": shown(asked.host or own_name(root)),
        "time": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "snapshot": release.snapshot,
        "manifest": release.sha256,
        "origin": release.origin,
        "signer": release.signer,
        "roles": sorted(set(asked.roles)),
        "findings": [
            {name: shown(value) for name, value in asdict(one).items()}
            for one in sorted(set(findings), key=lambda f: (f.level, f.check, f.subject, f.detail))
        ],
        "packages": {
            shown(one.name): {
                "version": shown(one.version),
                "state": shown(one.status),
                "sha256_md5sums": contents.sums.get(one.name, ""),
            }
            for one in sorted(known, key=lambda one: one.name)
        },
        "seconds": round(time.monotonic() - begun, 3),
        "quick": asked.quick,
        "guard": asked.guard,
    }


def heeding(found: Iterable[Finding]) -> Iterator[Finding]:
    """What apt says; if it cannot be asked, that."""
    try:
        yield from found
    except Unable as failed:
        yield error("unreadable", "apt", detail=failed.brief, way_out=failed.way_out)


def sources(
    asked: Asked, apt: Apt, packages: Sequence[Installed], release: Release, now: datetime
) -> Iterator[Finding]:
    """What apt says of the release's packages that are installed or meant to be.

    Raises:
        Unable: Apt cannot be asked.
    """
    found = offered(apt, release)
    yield from lists(found, release, now)
    yield from stale(apt, asked.max_age, now)
    if found.suites:
        there = {one.name for one in packages if one.present}
        wanted = {name for role in asked.roles for name in release.fields["roles"][role]}
        table = apt.policy((there | wanted) & set(release.packages))
        yield from candidates(packages, table, found, release)
    yield from extra(packages, found, release, apt)


def own_name(root: Root) -> str:
    """The host's name, with its domain if /etc/hosts has it: a name server that is silent would cost seconds."""
    name = os.uname().nodename
    with suppress(OSError):
        name = name if root.folder == "/" else root.read("/etc/hostname").decode().strip()
    with suppress(OSError):
        words = re.sub(r"#.*", "", root.read("/etc/hosts").decode(errors="replace")).split()
        # Of a line, only what begins with the name is the name: `localhost.localdomain localhost worker1` is usual.
        return next((one for one in words if one.partition(".")[0] == name and one != name), name)
    return name


def status_of(report: Mapping[str, Any]) -> int:
    """Exit status of a report."""
    errors = {one["check"] for one in report["findings"] if one["level"] == "error"}
    return UNREAD if errors == {"unreadable"} else DIFFERS if errors else AS_SAID


def table_of(report: Mapping[str, Any]) -> str:
    """A report for people."""
    columns = ("level", "check", "subject", "detail")
    rows = [[" ".join(one[name].split("\n")) for name in columns] for one in report["findings"]]
    widths = [max(map(len, column)) for column in zip(*rows)] if rows else []
    signer = report["signer"] or "a key of the keyring"
    about = f"snapshot {report['snapshot'][:16]} of {report['origin']}, signed by {signer}"
    lines = [f"{report['host']}: {len(report['packages'])} packages, {about}"]
    ways: Counter[str] = Counter()
    for row, one in zip(rows, report["findings"]):
        lines.append("  ".join(map(str.ljust, row, [*widths[:3], 0])))
        ways[one["way_out"]] += 1
    lines += [
        f"way out: {way}{f' ({count} findings)' if count > 1 else ''}" for way, count in ways.items() if way
    ]
    errors = sum(one["level"] == "error" for one in report["findings"])
    said = {
        AS_SAID: "as the manifest says",
        DIFFERS: "not as the manifest says",
        UNREAD: "not all could be read",
    }
    read = "without the content of files, " if report["quick"] else ""
    counts = f"{errors} errors, {len(rows) - errors} notes, {read}{report['seconds']:.1f} s"
    return "\n".join([*lines, f"{said[status_of(report)]}: {counts}"])


def act(asked: Asked) -> int:
    """Hold the host against the manifest, print what was found, and return the exit status."""
    try:
        report = verify(asked, datetime.now(timezone.utc))
    except OSError as failed:
        return told(Unable(UNREAD, str(failed), "see that the disk is not full"))
    except Unable as failed:
        return told(failed)
    text = json.dumps(report, indent=2) if asked.as_json else table_of(report)
    sys.stdout.buffer.write(text.encode(errors="backslashreplace") + b"\n")
    sys.stdout.flush()
    return status_of(report)


def told(failed: Unable) -> int:
    """Say what went wrong, and return the exit status."""
    first, *rest = failed.brief.splitlines()
    lines = [f"error: {first}", *(f"  {line}" for line in rest), f"way out: {failed.way_out}"]
    sys.stderr.write("\n".join(lines) + "\n")
    return failed.status


def arguments() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = argparse.ArgumentParser(
        prog="verify-host",
        description="Hold this host against the signed manifest of a release.",
        epilog="Exit status: 0 as the manifest says, 1 differs, 2 wrong use or a manifest that is not to be trusted, "
        "3 nothing differs and something could not be read.",
    )
    parser.add_argument("manifest", type=Path, metavar="MANIFEST", help="fleet-manifest.json")
    parser.add_argument("--signature", type=Path, help="its signature [MANIFEST.asc]")
    parser.add_argument(
        "--keyring", type=Path, help="public keys, binary [as the keyring package installs them]"
    )
    parser.add_argument(
        "--role", dest="roles", action="append", default=[], help="role of the host; repeatable"
    )
    parser.add_argument("--root", type=Path, default=Path("/"), help="folder that the host lies in [/]")
    parser.add_argument("--withdrawn", type=Path, help="the repository's state/withdrawn.asc")
    parser.add_argument(
        "--guard", choices=("off", "on"), default="off", help="how policy-rc.d is to stand [off]"
    )
    parser.add_argument("--origin", default="", help="origin that the manifest must have")
    parser.add_argument(
        "--max-age", type=int, default=AGE, help=f"days without apt-get update that may be; 0: any [{AGE}]"
    )
    parser.add_argument("--host", default="", help="name of the host in the report [its own]")
    parser.add_argument("--quick", action="store_true", help="leave out the content of files")
    parser.add_argument("--json", dest="as_json", action="store_true", help="print JSON")
    return parser


def main() -> None:
    """The command, where this file is run by itself."""
    options = vars(arguments().parse_args())
    sys.exit(act(Asked(**{**options, "roles": tuple(options["roles"])})))


if __name__ == "__main__":
    main()
