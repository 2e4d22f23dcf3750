# SPDX-License-Identifier: Apache-2.0
"""The Maven hand-over: what a build installed into its local Maven repository, packed for its dependents.

An artifact is local if `_remote.repositories` has a line `<file>>=` for it, whatever other lines stand there:
an install over a download leaves both (measured with Maven 3.8.7). Packed are those files, a marker that holds
only their local lines, and maven-metadata-local.xml; no checksums of a remote file, no `.lastUpdated`.
"""

import io
import tarfile
from pathlib import Path

from bigtop_builder.downloads import MAVEN, REMOTE, beside

METADATA = "maven-metadata-local.xml"


def pack(repository: Path, tar_file: Path, *, epoch: int) -> int:
    """Pack the locally installed artifacts of a Maven repository; return the number of files.

    Args:
        repository: The local repository, or the part of it that a build wrote.
        tar_file: Where the tar goes; it is not made if there is nothing to hand over.
        epoch: Time of every member, so that equal artifacts give an equal tar.
    """
    members: dict[str, bytes | Path] = {}
    for marker in repository.rglob(REMOTE):
        local = {line for line in marker.read_text(errors="replace").splitlines() if line.endswith(">=")}
        files = (beside(marker, line.removesuffix(">=")) for line in sorted(local))
        whole = [file for file in files if file and file.is_file()]
        if whole:
            members[_name(marker, repository)] = "".join(f"{file.name}>=\n" for file in whole).encode()
            members |= {_name(file, repository): file for file in whole}
    if members:
        members |= {_name(file, repository): file for file in repository.rglob(METADATA)}
        _write(members, tar_file, epoch)
    return len(members)


def _name(path: Path, repository: Path) -> str:
    return f"{MAVEN}/{path.relative_to(repository)}"


def _write(members: dict[str, bytes | Path], tar_file: Path, epoch: int) -> None:
    with tarfile.open(tar_file, "w") as tar:
        for name, content in sorted(members.items()):
            info = tarfile.TarInfo(name)
            info.mtime, info.mode = epoch, 0o644
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.size = content.stat().st_size
                with content.open("rb") as stream:
                    tar.addfile(info, stream)
