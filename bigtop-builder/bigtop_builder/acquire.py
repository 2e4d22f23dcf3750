# SPDX-License-Identifier: Apache-2.0
"""Sources of every kind brought into one file with one sha512, which is what a pin is of.

A download is that file. A git commit and a folder are not downloaded as one file; theirs is a plain tar of our
own making (`contents`, form `tar`, top folder `source`), which depends on names, contents and executable bits
alone: not on git's version, its attributes or a compressor. docs/decisions/0004-sources.md tells why.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from filelock import FileLock

from bigtop_builder.archive import read_folder
from bigtop_builder.contents import Contents
from bigtop_builder.download import Progress, download
from bigtop_builder.errors import EnvironmentMissing, SourceError, TreeError
from bigtop_builder.hashes import hash_of
from bigtop_builder.mirror import Mirror
from bigtop_builder.recipe import Source
from bigtop_builder.settings import Settings
from bigtop_builder.workspace import Workspace

TOP: Final = "source"
"""Top folder of the tar that a commit or folder is pinned as: a recipe's pin outlives a change of names."""
GITLINK: Final = "160000"
SYMLINK: Final = "120000"
EXECUTABLE: Final = "100755"


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What all steps of fetching one source share."""

    workspace: Workspace
    settings: Settings
    recipe_dir: Path
    progress: Progress

    def kept(self, source: Source) -> Path:
        """Where the download of a pinned source is, once it is what the pin says."""
        return kept(source, self.workspace)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Keep two runs apart, and say it plainly when the disk is full."""
        self.workspace.locks.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.workspace.locks / f"source-{name[:32]}.lock"):
                yield
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise EnvironmentMissing(
                f"no space left on the disk that holds {self.workspace.root}",
                hint="make room there, or set cache_dir in the settings to another disk",
            ) from error


def kept(source: Source, workspace: Workspace) -> Path:
    """Where the cache has what was fetched of a pinned source: one commit is never taken for another."""
    return workspace.sources / source.kept_as / "download"


def location(source: Source, settings: Settings) -> str:
    """The URL or path of a source at this site; it may hold a password."""
    match source.kind:
        case "apache":
            return f"{settings.mirrors.apache.rstrip('/')}/{source.path}"
        case "archive":
            return f"{settings.mirrors.archive.rstrip('/')}/{source.path}"
        case "maven":
            return f"{settings.mirrors.maven.rstrip('/')}/{_maven_path(source.coordinates)}"
        case "git":
            return settings.mirrors.git.get(source.repository, source.repository)
        case "file":
            return source.file
        case "url":
            return source.url


def acquire(source: Source, part: Path, desk: Desk) -> str:
    """Write what the pin is of to `part`, and return its sha512. Verifies nothing but downloads."""
    part.parent.mkdir(parents=True, exist_ok=True)
    if source.kind == "git":
        return _pack(source, part, lambda contents: _read_commit(contents, source, desk))
    if source.kind != "file":
        url = location(source, desk.settings)
        return download(url, part, settings=desk.settings, sha512=source.sha512, progress=desk.progress)
    path = desk.recipe_dir / source.file
    if path.is_dir():
        return _pack(source, part, lambda contents: read_folder(contents, path))
    if not path.is_file():
        raise SourceError(
            f"source {source.where} is neither a file nor a folder",
            details=f"looked for {path}",
            hint="a file is named relative to the recipe's folder",
        )
    shutil.copyfile(path, part)
    return hash_of(part, "sha512")


def settle(part: Path, final: Path) -> Path:
    """Give a verified download its name, once its bytes are on the disk."""
    sync(part)
    final.parent.mkdir(parents=True, exist_ok=True)
    return part.replace(final)


def sync(path: Path) -> None:
    """Have a file's bytes on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _maven_path(coordinates: str) -> str:
    """Path of an artifact in a repository with Maven's default layout."""
    group, artifact, version, classifier, extension = coordinates.split(":")
    file = "-".join(part for part in (artifact, version, classifier) if part)
    return f"{group.replace('.', '/')}/{artifact}/{version}/{file}.{extension}"


def _pack(source: Source, part: Path, fill: Callable[[Contents], None]) -> str:
    with Contents(source.where, part.parent) as contents:
        fill(contents)
        contents.write(part, top=TOP, form="tar")
    return hash_of(part, "sha512")


def _read_commit(contents: Contents, source: Source, desk: Desk) -> None:
    """Add the files of a commit as they are stored.

    Blobs are read one by one and not with `git archive`, which heeds the tree's .gitattributes: what it leaves
    out (export-ignore), fills in (export-subst) or converts (eol) depends on git's version and on the clone.
    """
    try:
        mirror = Mirror.ensure(
            source.repository,
            source.commit,
            ref=source.ref,
            workspace=desk.workspace,
            settings=desk.settings,
            base=desk.recipe_dir,
        )
        mirror.complete(source.commit)
    except TreeError as error:
        raise SourceError(error.brief, details=error.details, hint=error.hint) from error
    listed = mirror.git("ls-tree", "-r", "-z", "--full-tree", source.commit, error=SourceError).stdout
    files = [line.split("\t", 1) for line in os.fsdecode(listed).split("\0") if line]
    for entry, name in files:
        if entry.startswith(GITLINK):
            raise SourceError(
                f"{source.where} has a submodule, {name}: its files are in no tree of this repository",
                hint="give an archive that holds them as `file` or `url`",
            )
    ids = "".join(f"{entry.split()[2]}\n" for entry, _ in files).encode()
    with tempfile.TemporaryFile(dir=desk.workspace.sources) as blobs:
        mirror.git("cat-file", "--batch", "--buffer", stdin=ids, stdout=blobs, error=SourceError)
        blobs.seek(0)
        for entry, name in files:
            _add_blob(contents, name, entry.split()[0], blobs)


def _add_blob(contents: Contents, name: str, mode: str, blobs: IO[bytes]) -> None:
    """Add the next blob of `git cat-file --batch`: `<id> blob <size>`, the bytes, a newline."""
    header = blobs.readline().split()
    if len(header) != 3 or header[1] != b"blob":  # noqa: PLR2004  # see above
        raise SourceError(f"{contents.name}: git cannot read {name}", details=b" ".join(header).decode())
    size = int(header[2])
    if mode == SYMLINK:
        contents.link(name, os.fsdecode(blobs.read(size)))
    else:
        contents.file(name, blobs, size=size, executable=mode == EXECUTABLE)
    blobs.read(1)
