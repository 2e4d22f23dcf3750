# SPDX-License-Identifier: Apache-2.0
"""The source of a component as a git tree, so that git checks, merges and explains patches to it.

A source that comes from a git repository of this machine is there already, and so is one of a repository that
`upstream prepare` or `sync` follows. Any other one is committed, once a pin, to `<cache>/sources/trees.git`, a
repository that may be deleted at any time: `refs/sources/<sha512>`, of a commit `<sha512>-<commit>`. What is
committed is what Bigtop unpacks: the download's contents without their single top folder. No source is fetched here.
"""

import logging
import os
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from filelock import FileLock

from bigtop_builder.acquire import kept
from bigtop_builder.archive import read_archive
from bigtop_builder.contents import Contents
from bigtop_builder.errors import SourceError, TreeError
from bigtop_builder.hashes import hash_of
from bigtop_builder.mirror import Mirror
from bigtop_builder.recipe import Source
from bigtop_builder.settings import Settings
from bigtop_builder.workspace import Workspace

log = logging.getLogger(__name__)

STORE: Final = "trees.git"
TOP: Final = "source"
GIT_FOLDER: Final = ".git"
PLAIN, EXECUTABLE, LINK = b"100644", b"100755", b"120000"


@dataclass(frozen=True, kw_only=True)
class SourceTree:
    """The source of a component in git.

    Attributes:
        id: Git tree id; the same contents have the same one, whatever archive they came in.
        mirror: A repository that has it.
    """

    id: str
    mirror: Mirror


def source_tree(
    source: Source, *, workspace: Workspace, settings: Settings, recipe_dir: Path
) -> SourceTree | None:
    """The tree of a source, if this machine has it: as a git repository, or in the cache after `source fetch`.

    Args:
        source: As `sources.select` chose it.
        workspace: Holds the cache.
        settings: For `mirrors.git`.
        recipe_dir: Where relative paths in the recipe start.

    Raises:
        SourceError: The download is damaged, or holds what an archive of sources should not; or the pin is known to
            be of another commit's files.
    """
    if source.kind == "git" and (mirror := _repository(source, workspace, settings, recipe_dir)):
        tree = _tree(mirror, source.commit)
        _require_pin(source, tree, mirror, workspace)
        return SourceTree(id=tree, mirror=mirror)
    if not source.sha512:
        return None
    mirror = Mirror(path=workspace.sources / STORE, url="", cache=workspace.root)
    reference = f"refs/sources/{source.kept_as}"
    if not (known := _tree(mirror, reference)):
        download = kept(source, workspace)
        if not download.is_file() or hash_of(download, "sha512") != source.sha512:
            return None
        _commit(mirror, reference, download, source.where, workspace.locks)
        known = _tree(mirror, reference)
    return SourceTree(id=known, mirror=mirror)


def _require_pin(source: Source, tree: str, mirror: Mirror, workspace: Workspace) -> None:
    """Raise if the cache has proved the pin of a commit with other files: `source fetch` would refuse this one."""
    if not source.sha512 or kept(source, workspace).is_file():
        return
    for folder in workspace.sources.glob(f"{source.sha512}-*"):
        other = folder.name.rpartition("-")[2]
        if _tree(mirror, other) not in {"", tree}:
            raise SourceError(
                f"{source.where} is not what its pin says: that is of commit {other}",
                hint="mend `commit` in the recipe, or empty its sha512 and run source fetch --pin",
            )


def _repository(source: Source, workspace: Workspace, settings: Settings, recipe_dir: Path) -> Mirror | None:
    """The repository of a git source with its commit, if it is one of this machine, or a mirror follows a branch."""
    place = settings.mirrors.git.get(source.repository, source.repository).removeprefix("file://")
    own = (recipe_dir / place).is_dir()
    if not own and not _is_followed(source, workspace, settings):
        return None
    try:
        mirror = Mirror.ensure(
            source.repository, source.commit, workspace=workspace, settings=settings, base=recipe_dir
        )
        if not own:
            mirror.complete(source.commit)
    except TreeError:
        return None  # what `source fetch` packed of it may be in the cache all the same
    return mirror


def _is_followed(source: Source, workspace: Workspace, settings: Settings) -> bool:
    """Whether a mirror has the commit, and `upstream prepare` or `sync` read the whole history of its repository.

    One that `source fetch` made has the files of single commits: to ask for its history would be to fetch that.
    """
    mirror = Mirror.find(source.repository, source.commit, workspace=workspace, settings=settings)
    return mirror is not None and mirror.fetched is not None


def _tree(mirror: Mirror, name: str) -> str:
    """Tree id of a commit or reference; empty if there is none."""
    if not mirror.path.is_dir():
        return ""
    done = mirror.git("rev-parse", "--quiet", "--verify", f"{name}^{{tree}}", check=False)
    return done.text if done.returncode == 0 else ""


def _commit(mirror: Mirror, reference: str, download: Path, name: str, locks: Path) -> None:
    """Commit an archive's contents with git-fast-import(1): one process and one pack for any number of files."""
    log.info("reading %s into git, to try patches on it", name)
    locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / "source-trees.lock"), tempfile.TemporaryDirectory(dir=mirror.path.parent) as folder:
        tar, stream = Path(folder) / "source.tar", Path(folder) / "stream"
        with Contents(name, Path(folder)) as contents:
            read_archive(contents, download)
            contents.write(tar, top=TOP, form="tar")
        with stream.open("wb") as out:
            for piece in _commands(reference, tar):
                out.write(piece)
        if not mirror.path.is_dir():
            mirror.git("init", "--quiet", "--bare", "--template=", mirror.path)
        with stream.open("rb") as commands:
            mirror.git("-c", "core.compression=1", "fast-import", "--quiet", "--force", stdin=commands)


def _commands(reference: str, tar: Path) -> Iterator[bytes]:
    yield f"feature done\ncommit {reference}\ncommitter bigtop-builder <> 0 +0000\ndata 0\n".encode()
    with tarfile.open(tar, encoding="utf-8", errors="surrogateescape") as archive:
        for member in archive:
            path = member.name.partition("/")[2]
            if member.isdir() or GIT_FOLDER in path.split("/"):
                continue  # git keeps no empty folder, and no tree holds a repository's own files
            mode = LINK if member.issym() else EXECUTABLE if member.mode & 0o100 else PLAIN
            yield b"M " + mode + b" inline " + _quoted(path) + b"\n"
            data = archive.extractfile(member) if member.isreg() else None
            yield from _data(data, member.size) if data else _link(member.linkname)
    yield b"done\n"


def _data(data: IO[bytes], size: int) -> Iterator[bytes]:
    yield f"data {size}\n".encode()
    yield data.read()
    yield b"\n"


def _link(target: str) -> Iterator[bytes]:
    content = os.fsencode(target)
    yield f"data {len(content)}\n".encode() + content + b"\n"


def _quoted(path: str) -> bytes:
    """A path in git's C style quotes, which any path may stand in."""
    escaped = os.fsencode(path).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + escaped + b'"'
