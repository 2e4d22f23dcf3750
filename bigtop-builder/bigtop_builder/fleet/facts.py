# SPDX-License-Identifier: Apache-2.0
"""What dpkg keeps on a host of a .deb that is not in Packages: md5sums, configuration files, maintainer scripts.

They follow from the file's bytes, so they are kept by its sha256; all that is kept may be deleted.
"""

import hashlib
import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import Field

from bigtop_builder.artifact import AGAIN, MEMBER_LIMIT, Member, control_files, frame
from bigtop_builder.cores import on_all_cores
from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.expand import BrokenStreamError, Window, allowance, expand
from bigtop_builder.fleet.fleet_manifest import Md5
from bigtop_builder.repository.index.packages import Stanza
from bigtop_builder.repository.layout import COPY
from bigtop_builder.repository.store import Held, Store
from bigtop_builder.schema import OptionalSha256, Sha256, Value
from bigtop_builder.tarball import Tarball

SCRIPTS = frozenset({"preinst", "postinst", "prerm", "postrm", "config"})
"""Maintainer scripts (Debian policy 6.1; debconf-devel(7))."""
REMOVED = "remove-on-upgrade "
"""Before a configuration file that the package ships no more (deb-conffiles(5))."""


class Facts(Value):
    """What dpkg keeps of one .deb."""

    format: Literal[1] = 1
    md5sums: OptionalSha256 = Field(description="Sha256 of its md5sums; empty if it has none")
    conffiles: dict[str, Md5] = Field(description="Configuration file -> md5 as shipped")
    scripts: dict[str, Sha256] = Field(description="Maintainer script -> sha256")


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """A .deb that is to be read: what it must be, where it lies, and what to call it."""

    sha256: str
    path: Path
    name: str


def facts_of(packages: Iterable[Stanza], store: Store, kept: Path) -> dict[str, Facts]:
    """Facts of packages by the sha256 of their .debs; those that are not known yet are read by all cores.

    Args:
        packages: The packages.
        store: Has their files.
        kept: Folder for facts, made if it is not there; a store elsewhere has its packages brought there for a while.

    Raises:
        PublishError: A file is missing, or has another size.
        CheckFailed: One was altered, or is no whole .deb.
    """
    wanted = {one.sha256: one for one in packages}
    known = {sha256: found for sha256 in wanted if (found := _kept(kept, sha256))}
    missing = {sha256: one for sha256, one in wanted.items() if sha256 not in known}
    if missing:
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".copies-", dir=kept) as copies:
            files = {one.filename: Held(size=one.size, sha256=sha256) for sha256, one in missing.items()}
            debs = [
                _Wanted(sha256=sha256, path=path, name=f"{store.name}/{one.filename}")
                for (sha256, one), path in zip(missing.items(), store.local(files, Path(copies)), strict=True)
            ]
            known |= dict(zip(missing, on_all_cores(partial(_read, kept=kept), debs), strict=True))
    return known


def _kept(folder: Path, sha256: str) -> Facts | None:
    """Facts that were kept; None if there are none, or an older version of this tool kept them."""
    try:
        text = _place(folder, sha256).read_bytes()
        return Facts.from_json(text, source="facts")
    except (OSError, InputError):
        return None


def _place(folder: Path, sha256: str) -> Path:
    return folder / sha256[:2] / f"{sha256}.json"


def _read(wanted: _Wanted, *, kept: Path) -> Facts:
    facts = read_facts(wanted.path, sha256=wanted.sha256, name=wanted.name)
    place = _place(kept, wanted.sha256)
    place.parent.mkdir(exist_ok=True)
    place.write_text(facts.to_json(), encoding="utf-8")  # what is cut off is no JSON, and read anew
    return facts


def read_facts(path: Path, *, sha256: str, name: str = "") -> Facts:
    """Facts of a .deb that has this sha256.

    Raises:
        CheckFailed: It has another one, or is no whole .deb.
    """
    name = name or str(path)
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise CheckFailed(
                f"{name} was altered: its sha256 is not {sha256}",
                hint=f"bigtop-builder repo check names what mends it; or {COPY}",
            )
        file.seek(0)
        try:
            control, data = frame(file)
            file.seek(control.at)
            members = _control(
                Tarball(expand(Window(file, control.size), control.suffix, limit=MEMBER_LIMIT))
            )
            wanted = _listed(members.get("conffiles", b""))
            digests = _md5s(file, data, wanted) if wanted else {}
        except BrokenStreamError as error:
            raise CheckFailed(f"{name} is no whole .deb: {error}", hint=AGAIN) from error
    return Facts(
        md5sums=hashlib.sha256(members["md5sums"]).hexdigest() if "md5sums" in members else "",
        conffiles={_shown(one): digests[one] for one in wanted if one in digests},
        scripts={one: hashlib.sha256(members[one]).hexdigest() for one in sorted(SCRIPTS) if one in members},
    )


def _control(tar: Tarball) -> dict[str, bytes]:
    """The control files that count; what they unpack to is bounded as a whole."""
    counts = {"md5sums", "conffiles", *SCRIPTS}
    return {name: tar.read() for name, _ in control_files(tar) if name in counts}


def _listed(conffiles: bytes) -> list[str]:
    """Paths of configuration files that a package ships, sorted (deb-conffiles(5))."""
    lines = (line.strip() for line in conffiles.decode(errors="surrogateescape").splitlines())
    return sorted({line for line in lines if line and not line.startswith(REMOVED)})


def _md5s(file: BinaryIO, data: Member, wanted: Collection[str]) -> dict[str, str]:
    """Path -> md5 of files of a package; what is neither a plain file nor another name of one has none."""
    found, links = _look(file, data, wanted)
    others = set(links.values()) - found.keys()
    if others:  # that one comes before the link in the archive, and nobody knew that it would count
        found |= _look(file, data, others)[0]
    return found | {path: found[target] for path, target in links.items() if target in found}


def _look(file: BinaryIO, data: Member, wanted: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Path -> md5 of the plain files among these, and path -> target of the hard links; read as far as needed."""
    found: dict[str, str] = {}
    links: dict[str, str] = {}
    left = set(wanted)
    file.seek(data.at)
    tar = Tarball(expand(Window(file, data.size), data.suffix, limit=allowance(data.size)))
    for entry in tar:
        path = _absolute(entry.name)
        if path not in left:
            continue
        left.discard(path)
        if entry.kind == "file":
            digest = hashlib.md5(usedforsecurity=False)  # dpkg's own
            for piece in tar.content():
                digest.update(piece)
            found[path] = digest.hexdigest()
        elif entry.kind == "hardlink":
            links[path] = _absolute(entry.link)
        if not left:
            break
    return found, links


def _absolute(name: str) -> str:
    """A name in data.tar as the path on a host."""
    return "/" + name.removeprefix("./").strip("/")


def _shown(path: str) -> str:
    """A path as text; bytes that are no UTF-8 stand there escaped."""
    return path.encode(errors="surrogateescape").decode(errors="backslashreplace")
