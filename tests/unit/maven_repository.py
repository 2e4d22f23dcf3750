# SPDX-License-Identifier: Apache-2.0
"""Local Maven repositories of a test's own, as Maven 3.8 leaves them."""

import hashlib
from pathlib import Path

REMOTE = "_remote.repositories"


def artifact(repository: Path, path: str, content: str, *origins: str, sha1: str | None = None) -> Path:
    """Put a file into a local repository.

    Args:
        repository: The repository.
        path: Of the file, below it.
        content: Of the file.
        origins: Repository ids it came from; an empty one stands for an install on this machine.
        sha1: What its .sha1 says; the truth if None and it came from elsewhere.
    """
    file = repository / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    marker = file.with_name(REMOTE)
    said = (
        marker.read_text() if marker.exists() else "#NOTE: This is a Maven Resolver file\n#Mon Nov 02 2026\n"
    )
    marker.write_text(said + "".join(f"{file.name}>{origin}=\n" for origin in origins))
    if sha1 is not None or any(origins):
        true = hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()
        file.with_name(f"{file.name}.sha1").write_text(true if sha1 is None else sha1)
    return file
